"""Reads a model and its tokenizer from a source, by whichever way takes its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qwen_app.errors import DoesNotFit, ModelFilesError, first_line
from qwen_app.models.device import lacks_memory
from qwen_app.models.gguf.metadata import do_as_written
from qwen_app.models.loading.dense import load_tokenizer, load_weights
from qwen_app.models.loading.four_bits import load_four_bits
from qwen_app.models.loading.source import Source

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_TOO_LITTLE_DATA = "cannot reshape array"  # says NumPy of a tensor whose end is not in a GGUF file
_NO_ROOM = "The weights of {path} do not fit the device in {precision}. Try {smaller}."
_NO_ROOM_ON_EACH = (
    "The weights of {path} do not fit {cards} cards in {precision}. Try --precision int4, which takes the first, or "
    "leave out a small one by CUDA_VISIBLE_DEVICES."
)


def read_model(source: Source) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model, in eval mode, and its tokenizer. Raises ModelFilesError and DoesNotFit."""
    if source.gguf_file:
        from qwen_app.models.gguf.quick_reader import use_quick_reader

        use_quick_reader()
    try:
        model = load_four_bits(source) if source.four_bits else load_weights(source)
        if source.gguf_file:
            do_as_written(model, source.path)
        return model.eval(), load_tokenizer(source)
    except DoesNotFit:
        raise
    except Exception as broken:  # its readers raise whatever a file of the wrong shape makes them stumble over
        if lacks_memory(broken):
            raise _no_room(source) from broken
        reason = first_line(broken)
        if source.gguf_file and reason.startswith(_TOO_LITTLE_DATA):
            reason = "it is cut short. Fetch it again."
        raise ModelFilesError(f"{source.path} cannot be loaded: {reason}") from broken


def refuse_offloaded(model: PreTrainedModel, source: Source) -> None:
    """Every weight lies where the model computes: one left on the CPU would be copied in every step, if it can run."""
    kind = model.device.type
    if any(weight.device.type != kind for weight in model.parameters()):
        raise _no_room(source)


def _no_room(source: Source) -> DoesNotFit:
    sentence = _NO_ROOM_ON_EACH if source.cards > 1 else _NO_ROOM
    smaller = "a smaller model" if source.four_bits else "--precision int4"
    return DoesNotFit(
        sentence.format(path=source.path, precision=source.precision, cards=source.cards, smaller=smaller)
    )
