"""What transformers reads by itself: weights in floats or as they come quantised, and the tokenizer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from qwen_app.errors import ModelFilesError
from qwen_app.models.device import on_a_card
from qwen_app.models.loading.source import Source

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_weights(source: Source, device_map: str | None = None) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    from qwen_app.models.quantised.skeleton import misshapen_weight, weights_lacking

    with each_tensor_by_itself():
        loaded = AutoModelForCausalLM.from_pretrained(
            source.folder,
            device_map=device_map or device_map_for(source.cards),
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


def _biases_left_out(source: Source, parameters: Collection[str], unexpected: Iterable[str]) -> list[str]:
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


def load_tokenizer(source: Source) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        source.folder, local_files_only=True, trust_remote_code=False, gguf_file=source.gguf_file
    )
    one, other = (tokenizer.encode(letter, add_special_tokens=False) for letter in "ab")
    if one == other:  # where there is no vocabulary, transformers makes a tokenizer without one
        raise ModelFilesError("its files lack the tokenizer's vocabulary (tokenizer.json). Fetch the model again.")
    return tokenizer


def device_map_for(cards: int) -> str | dict[str, int]:
    """Several cards share the layers; one takes all, or has no room."""
    if not on_a_card():
        return "cpu"
    return "auto" if cards > 1 else {"": 0}
