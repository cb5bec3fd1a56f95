"""A model's folder or GGUF file to a model in memory, in the precision asked for. Reads local files only."""

from __future__ import annotations

import importlib.util
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwen_app.errors import DoesNotFit, ModelFilesError
from qwen_app.models.dims import quantisation_of
from qwen_app.models.folder import check_folder, read_manifest
from qwen_app.models.transformers_logging import quiet_transformers

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

# What reads each kind of checkpoint that comes quantised: method -> (module, package to install).
QUANTISED_READERS = {
    "awq": ("gptqmodel", "gptqmodel"),
    "gptq": ("gptqmodel", "gptqmodel"),
    "bitsandbytes": ("bitsandbytes", "bitsandbytes"),
    "gguf": ("gguf", "gguf"),
    "compressed-tensors": ("compressed_tensors", "compressed-tensors"),
    "fbgemm_fp8": ("fbgemm_gpu", "fbgemm-gpu"),
}
_DTYPES = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to run, in eval mode. ``context_tokens`` is the most the model itself was made for."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    revision: str
    precision: str
    device: torch.device
    weights_bytes: int
    context_tokens: int
    generation_config: GenerationConfig


def load(path: Path, *, precision: str, name: str = "", revision: str = "") -> LoadedModel:
    """Load the model in ``path`` (a folder, or a .gguf file) as fp16, bf16, fp32, 8bit or 4bit.

    A checkpoint that comes quantised keeps its own precision. On several CUDA cards the layers spread over them.
    Raises ModelFilesError for files that are missing, damaged, refused, or need a package that is not installed, and
    DoesNotFit when the device has no room.
    """
    import torch

    started_s = time.monotonic()
    source, options, precision = _options(path, precision)
    quiet_transformers()
    try:
        model = _load_weights(source, options)
        tokenizer = _load_tokenizer(source, options)
    except torch.OutOfMemoryError as full:
        raise DoesNotFit(f"The weights of {path} do not fit the device in {precision}. Try --precision 4bit.") from full
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as broken:
        raise ModelFilesError(f"{path} cannot be loaded: {_first_line(broken)}") from broken
    model.eval()
    manifest = read_manifest(path) if path.is_dir() else None
    loaded = LoadedModel(
        model=model,
        tokenizer=tokenizer,
        name=name or (manifest.name if manifest else path.stem if path.is_file() else path.name),
        revision=revision or (manifest.revision if manifest else ""),
        precision=precision,
        device=model.device,
        weights_bytes=_weights_bytes(model),
        context_tokens=int(model.config.get_text_config().max_position_embeddings),
        generation_config=model.generation_config,
    )
    log.info("Loaded %s in %s on %s, %.1f s.", loaded.name, precision, model.device, time.monotonic() - started_s)
    return loaded


def _load_weights(source: Path, options: dict[str, Any]) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    safe = {} if "gguf_file" in options else {"use_safetensors": True}
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        source, device_map=_device_map(), local_files_only=True, trust_remote_code=False, **safe, **options
    )
    return model


def _load_tokenizer(source: Path, options: dict[str, Any]) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    named = {"gguf_file": options["gguf_file"]} if "gguf_file" in options else {}
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        source, local_files_only=True, trust_remote_code=False, **named
    )
    return tokenizer


def _options(path: Path, precision: str) -> tuple[Path, dict[str, Any], str]:
    """The folder to load from, what to tell transformers, and the precision that comes out of it."""
    import torch
    from transformers import GgufConfig

    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelFilesError(f"There is no file {path}.")
        _need_reader("gguf", path)
        if precision in ("8bit", "4bit"):
            raise ModelFilesError(
                f"{path} is unpacked while it is loaded and cannot run in {precision}. Use --precision fp16."
            )
        dense = _dense(precision)
        unpacked = GgufConfig(dequantize=True)
        options = {"gguf_file": path.name, "quantization_config": unpacked, "dtype": getattr(torch, _DTYPES[dense])}
        return path.parent, options, dense
    check_folder(path)
    method = quantisation_of(path)
    if method:
        _need_reader(method, path)
        return path, {"dtype": "auto"}, method
    if precision in ("8bit", "4bit"):
        return path, _bitsandbytes(precision), precision
    dense = _dense(precision)
    return path, {"dtype": getattr(torch, _DTYPES[dense])}, dense


def _bitsandbytes(precision: str) -> dict[str, Any]:
    import torch
    from transformers import BitsAndBytesConfig

    compute = torch.float16 if torch.cuda.is_available() else torch.float32
    if precision == "8bit":
        return {"quantization_config": BitsAndBytesConfig(load_in_8bit=True), "dtype": compute}
    four_bit = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )
    return {"quantization_config": four_bit, "dtype": compute}


def _dense(precision: str) -> str:
    import torch

    if precision in _DTYPES:
        return precision
    return "fp16" if torch.cuda.is_available() else "fp32"


def _device_map() -> str:
    import torch

    return "auto" if torch.cuda.is_available() else "cpu"


def _need_reader(method: str, path: Path) -> None:
    module, package = QUANTISED_READERS.get(method, (method.replace("-", "_"), method))
    if importlib.util.find_spec(module) is None:
        raise ModelFilesError(
            f"{path} comes quantised as {method}, which needs the package {package}. "
            f"Install it with: .venv/bin/pip install {package}"
        )


def _weights_bytes(model: PreTrainedModel) -> int:
    """Bytes of all weights, each shared one once, with the scales that bitsandbytes keeps beside them."""
    tensors = [*model.parameters(), *model.buffers()]
    for weight in model.parameters():
        state = getattr(weight, "quant_state", None)
        if state is not None:
            tensors += [part for part in state.as_dict(packed=True).values() if hasattr(part, "nbytes")]
        scales = getattr(weight, "SCB", None)
        if scales is not None:
            tensors.append(scales)
    return sum(tensor.nbytes for tensor in tensors)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
