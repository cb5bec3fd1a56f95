"""Which files become a model in 4 bits, and how: the one door of this package."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from transformers import AutoConfig, GenerationConfig, PretrainedConfig, PreTrainedModel

from qwen_app.errors import DoesNotFit
from qwen_app.linear.int4_linear import problem_on
from qwen_app.models.quantised.formats import PLAIN_NAMES
from qwen_app.models.quantised.gguf_file import GgufFile, gguf_name, tensors_of
from qwen_app.models.quantised.safetensors_folder import SafetensorsFolder, awq_folder, float_folder, gptq_folder
from qwen_app.models.quantised.skeleton import WeightPlacement, build_quantised


def default_placement(*, on_a_card: bool) -> WeightPlacement:
    """The first card in bfloat16, which its 4-bit kernel wants, else the CPU in float32.

    Raises DoesNotFit for a card whose kernel fails or is wrong: one older than Ampere computes nothing, and says so
    nowhere.
    """
    if not on_a_card:
        return WeightPlacement(torch.device("cpu"), torch.float32)
    card = torch.device("cuda", 0)
    if problem := problem_on(card):
        raise DoesNotFit(f"4-bit products {problem} on this card. Use --precision 4bit or fp16.")
    return WeightPlacement(card, torch.bfloat16)


def reads_folder(folder: Path) -> bool:
    """Whether the tensors in ``folder`` are named as expected here; other models are loaded whole, then rounded."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type") in PLAIN_NAMES


def load_folder(folder: Path, files: Sequence[Path], placement: WeightPlacement) -> PreTrainedModel:
    """The model in ``folder``, whose weights are in ``files``, with layers in 4 bits. Raises ModelFilesError."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    source = _folder_source(config, files)
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # or transformers would prepare layers of its own
    model = build_quantised(config, source, placement)
    if (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    ready: PreTrainedModel = model.eval()
    return ready


def load_gguf(path: Path, placement: WeightPlacement) -> PreTrainedModel | None:
    """The model in ``path`` as it is stored; None where its architecture is not one this package reads."""
    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
    if config.model_type not in PLAIN_NAMES:
        return None
    ready: PreTrainedModel = build_quantised(config, GgufFile(path, config), placement).eval()
    return ready


def biases_in_gguf(path: Path, modules: Iterable[str]) -> list[str]:
    """Those of ``modules``, by transformers' names, for which the file has a bias."""
    tensors = tensors_of(path)
    return [module for module in modules if f"{gguf_name(module)}.bias" in tensors]


def _folder_source(config: PretrainedConfig, files: Sequence[Path]) -> SafetensorsFolder:
    written = getattr(config, "quantization_config", None)
    if written is None:
        return float_folder(files)
    settings = dict(written) if isinstance(written, dict) else written.to_dict()
    return (gptq_folder if str(settings.get("quant_method")).lower() == "gptq" else awq_folder)(files, settings)
