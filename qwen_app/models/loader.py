"""A model's folder or GGUF file to a model in memory, in the precision asked for. Reads local files only."""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from qwen_app.errors import DoesNotFit, ModelFilesError, first_line
from qwen_app.models.adapted.half_range import within_half_range
from qwen_app.models.adapted.long_context import use_yarn
from qwen_app.models.container import keep_to_quota
from qwen_app.models.device import card_uuids, lacks_memory, on_a_card, use_expandable_segments
from qwen_app.models.folder import Checkpoint, open_checkpoint, read_manifest, weight_files
from qwen_app.models.gguf.metadata import do_as_written
from qwen_app.models.memory_plan import INT4, NUMBER_BYTES
from qwen_app.models.transformers_logging import quiet_transformers

if TYPE_CHECKING:
    import torch
    from transformers import BitsAndBytesConfig, GenerationConfig, GgufConfig, PreTrainedModel, PreTrainedTokenizerBase

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
_TOO_LITTLE_DATA = "cannot reshape array"  # says NumPy of a tensor whose end is not in a GGUF file
_NO_ROOM = "The weights of {path} do not fit the device in {precision}. Try {smaller}."
_NO_ROOM_ON_EACH = (
    "The weights of {path} do not fit {cards} cards in {precision}. Try --precision int4, which takes the first, or "
    "leave out a small one by CUDA_VISIBLE_DEVICES."
)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to run, in eval mode."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    revision: str
    precision: str
    device: torch.device
    weights_bytes: int
    generation_config: GenerationConfig

    def gpu_uuids(self) -> tuple[str, ...]:
        """The cards that its weights are on."""
        return card_uuids({parameter.device for parameter in self.model.parameters()})


@dataclass(frozen=True, slots=True)
class _Source:
    """Where transformers reads from, and as what. ``gguf_file`` is empty for a folder of safetensors."""

    folder: Path
    precision: str
    dtype: torch.dtype | Literal["auto"]
    unpacking: GgufConfig | BitsAndBytesConfig | None = None
    gguf_file: str | None = None
    four_bits: bool = False
    cards: int = 1

    @property
    def path(self) -> Path:
        return self.folder / self.gguf_file if self.gguf_file else self.folder


def load(path: Path, *, precision: str, name: str = "", context_tokens: int = 0) -> LoadedModel:
    """Check and load the model in ``path`` (a folder, or a .gguf file); see ``load_checkpoint``."""
    return load_checkpoint(open_checkpoint(path), precision=precision, name=name, context_tokens=context_tokens)


def load_checkpoint(
    checkpoint: Checkpoint, *, precision: str, name: str = "", context_tokens: int, cards: int = 1
) -> LoadedModel:
    """Load ``checkpoint`` as fp16, bf16, fp32, int4, 8bit or 4bit, under its own name unless ``name`` gives another.

    ``context_tokens`` beyond the model's own are read by YaRN.

    A checkpoint that comes quantised keeps its own precision; so does a GGUF file in int4. The layers lie on the first
    CUDA card, or spread over all where ``cards`` is more than one. Raises ModelFilesError for files that are missing,
    damaged, refused, or need a package that is not installed, and DoesNotFit when the device has no room.
    """
    keep_to_quota()
    started_s = time.monotonic()
    path, source = checkpoint.path, replace(_source(checkpoint, precision), cards=cards)
    quiet_transformers()
    model, tokenizer = _read(source)
    if use_yarn(model, context_tokens):
        log.info("Positions are turned by YaRN, for contexts up to %s tokens.", f"{context_tokens:,}")
    _refuse_offloaded(model, source)
    runs_in = within_half_range(model, tokenizer, source.precision)
    manifest = None if checkpoint.is_gguf else read_manifest(path)
    loaded = LoadedModel(
        model=model,
        tokenizer=tokenizer,
        name=name or (manifest.name if manifest else path.stem if checkpoint.is_gguf else path.name),
        revision=manifest.revision if manifest else "",
        precision=runs_in,
        device=model.device,
        weights_bytes=weights_bytes(model),
        generation_config=model.generation_config,
    )
    log.info(
        "Loaded %s in %s on %s, %.1f s.", loaded.name, loaded.precision, model.device, time.monotonic() - started_s
    )
    return loaded


def _read(source: _Source) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model, in eval mode, and its tokenizer. Raises ModelFilesError and DoesNotFit."""
    if source.gguf_file:
        from qwen_app.models.gguf.quick_reader import use_quick_reader

        use_quick_reader()
    try:
        model = _load_four_bits(source) if source.four_bits else _load_weights(source)
        if source.gguf_file:
            do_as_written(model, source.path)
        return model.eval(), _load_tokenizer(source)
    except DoesNotFit:
        raise
    except Exception as broken:  # its readers raise whatever a file of the wrong shape makes them stumble over
        if lacks_memory(broken):
            raise _no_room(source) from broken
        reason = first_line(broken)
        if source.gguf_file and reason.startswith(_TOO_LITTLE_DATA):
            reason = "it is cut short. Fetch it again."
        raise ModelFilesError(f"{source.path} cannot be loaded: {reason}") from broken


def _load_four_bits(source: _Source) -> PreTrainedModel:
    """Tensor by tensor where the architecture is one whose tensors we know, else whole, and rounded afterwards."""
    from qwen_app.models.quantised.load import default_placement, load_folder, load_gguf, reads_folder
    from qwen_app.models.quantised.skeleton import shrink_layers

    has_card = on_a_card()
    if has_card:
        use_expandable_segments()
    placement = default_placement(on_a_card=has_card)
    if source.gguf_file:
        model = load_gguf(source.path, placement)
        if model is not None:
            return model
    elif reads_folder(source.folder):
        return load_folder(source.folder, weight_files(source.folder), placement)
    model = _load_weights(replace(source, dtype=placement.dtype), device_map="cpu")
    shrink_layers(model, placement)
    return model


def _load_weights(source: _Source, device_map: str | None = None) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    from qwen_app.models.quantised.skeleton import misshapen_weight, weights_lacking

    with each_tensor_by_itself():
        loaded = AutoModelForCausalLM.from_pretrained(
            source.folder,
            device_map=device_map or _device_map(source.cards),
            local_files_only=True,
            trust_remote_code=False,
            dtype=source.dtype,
            quantization_config=source.unpacking,
            gguf_file=source.gguf_file,
            use_safetensors=None if source.gguf_file else True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # its own refusal names none
        )
    model, told = cast("tuple[PreTrainedModel, Mapping[str, Iterable[Any]]]", loaded)
    if mismatched := sorted(told["mismatched_keys"]):
        raise misshapen_weight(*mismatched[0])
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}  # it would make up random ones
    if missing := sorted(parameters & set(told["missing_keys"])):
        raise weights_lacking(missing)
    if left_out := _biases_left_out(source, parameters, told["unexpected_keys"]):
        raise ModelFilesError(
            f"its files have {len(left_out)} biases that its configuration does not mention, such as {left_out[0]}, "
            "and without them its answers would be wrong. Use --precision int4, which takes them."
        )
    return model


def _biases_left_out(source: _Source, parameters: Collection[str], unexpected: Iterable[str]) -> list[str]:
    """Biases that the files have and the model, whose ``parameters`` these are, has no place for."""
    weighted = {name.removesuffix(".weight") for name in parameters if name.endswith(".weight")}
    without = {module for module in weighted if f"{module}.bias" not in parameters}
    if not source.gguf_file:
        return sorted(name for name in unexpected if name.endswith(".bias") and name.removesuffix(".bias") in without)
    from qwen_app.models.quantised.load import biases_in_gguf

    return [f"{module}.bias" for module in sorted(biases_in_gguf(source.path, without))]


@contextmanager
def each_tensor_by_itself() -> Iterator[None]:
    """transformers takes memory for all weights of a card in one piece, of which none is given back: where projections
    lay that are joined later would be lost. Within, each tensor has memory of its own."""
    from transformers import modeling_utils

    usual = vars(modeling_utils).get("caching_allocator_warmup")
    vars(modeling_utils)["caching_allocator_warmup"] = lambda *_: None
    try:
        yield
    finally:
        vars(modeling_utils)["caching_allocator_warmup"] = usual


def _load_tokenizer(source: _Source) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        source.folder, local_files_only=True, trust_remote_code=False, gguf_file=source.gguf_file
    )
    one, other = (tokenizer.encode(letter, add_special_tokens=False) for letter in "ab")
    if one == other:  # where there is no vocabulary, transformers makes a tokenizer without one
        raise ModelFilesError("its files lack the tokenizer's vocabulary (tokenizer.json). Fetch the model again.")
    return tokenizer


def _source(checkpoint: Checkpoint, precision: str) -> _Source:
    """What to tell transformers, and the precision that comes out of it. Raises ModelFilesError."""
    from transformers import GgufConfig

    path = checkpoint.path
    if checkpoint.is_gguf:
        _need_reader("gguf", path)
        if precision in ("8bit", "4bit"):
            raise ModelFilesError(
                f"{path} is unpacked while it is loaded and cannot run in {precision}. Use --precision fp16 or int4."
            )
        dense, int4 = _dense(precision), precision == INT4
        unpacking = GgufConfig(dequantize=True)
        return _Source(path.parent, INT4 if int4 else dense, _dtype(dense), unpacking, path.name, four_bits=int4)
    if checkpoint.stays_in_four_bits:
        return _Source(path, checkpoint.quantisation, "auto", four_bits=True)
    if checkpoint.quantisation:
        _need_reader(checkpoint.quantisation, path)
        return _Source(path, checkpoint.quantisation, "auto")
    if precision in ("8bit", "4bit"):
        return _Source(path, precision, _half_on_a_card(), _bitsandbytes(precision))
    if precision == INT4:
        return _Source(path, INT4, "auto", four_bits=True)
    dense = _dense(precision)
    return _Source(path, dense, _dtype(dense))


def _bitsandbytes(precision: str) -> BitsAndBytesConfig:
    from transformers import BitsAndBytesConfig

    if precision == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=_half_on_a_card(),
    )


def _half_on_a_card() -> torch.dtype:
    import torch

    return torch.float16 if on_a_card() else torch.float32


def _dtype(precision: str) -> torch.dtype:
    import torch

    return {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}[precision]


def _dense(precision: str) -> str:
    if precision in NUMBER_BYTES:
        return precision
    return "fp16" if on_a_card() else "fp32"


def _device_map(cards: int) -> str | dict[str, int]:
    """Several cards share the layers; one takes all, or has no room."""
    if not on_a_card():
        return "cpu"
    return "auto" if cards > 1 else {"": 0}


def _no_room(source: _Source) -> DoesNotFit:
    sentence = _NO_ROOM_ON_EACH if source.cards > 1 else _NO_ROOM
    smaller = "a smaller model" if source.four_bits else "--precision int4"
    return DoesNotFit(
        sentence.format(path=source.path, precision=source.precision, cards=source.cards, smaller=smaller)
    )


def _refuse_offloaded(model: PreTrainedModel, source: _Source) -> None:
    """Every weight lies where the model computes: one left on the CPU would be copied in every step, if it can run."""
    kind = model.device.type
    if any(weight.device.type != kind for weight in model.parameters()):
        raise _no_room(source)


def _need_reader(method: str, path: Path) -> None:
    if method not in QUANTISED_READERS:  # never a name to look up: the checkpoint's maker chose it
        raise ModelFilesError(
            f"{path} comes quantised as {method[:50]!r}, which is not read here. Use the model in floats, AWQ or GPTQ."
        )
    module, package = QUANTISED_READERS[method]
    if importlib.util.find_spec(module) is None:
        raise ModelFilesError(
            f"{path} comes quantised as {method}, which needs the package {package}. "
            f"Install it with: .venv/bin/pip install {package}"
        )


def weights_bytes(model: PreTrainedModel) -> int:
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
