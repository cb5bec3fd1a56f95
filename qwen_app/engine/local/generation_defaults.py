"""How a model samples and where it ends by its own files, as far as a sampler can do what they say."""

from __future__ import annotations

import logging
import math

from tokenizers import Tokenizer
from transformers import GenerationConfig

from qwen_app.messages import SAMPLING_RANGES, SamplingParams
from qwen_app.models.loading.loaded_model import LoadedModel

log = logging.getLogger(__name__)

OFF = SamplingParams()


def sampling_defaults(config: GenerationConfig) -> SamplingParams:
    """The sampling of requests that say nothing of it. A model whose files rule out sampling is greedy.

    What is no number, or one that a step of sampling cannot use, leaves this step out, as -1 does in other servers; a
    temperature becomes the nearest there is. Either is told in the log.
    """
    return SamplingParams(
        temperature=0.0 if config.do_sample is False else _usable(config, "temperature"),
        top_p=_usable(config, "top_p"),
        top_k=int(_usable(config, "top_k")),
        min_p=_usable(config, "min_p"),
        repetition_penalty=_usable(config, "repetition_penalty"),
    )


def end_ids(loaded: LoadedModel, vocab_size: int) -> frozenset[int]:
    """The tokens that end an answer. Those that the tokenizer lacks, or a model of so many tokens, are left out and
    told in the log: no grammar could be made with one."""
    told = _listed(loaded.generation_config.eos_token_id)
    told = told or _listed(getattr(loaded.model.config.get_text_config(), "eos_token_id", None))
    told += _listed(loaded.tokenizer.eos_token_id)
    ids = [_token_id(written, loaded.tokenizer.backend_tokenizer, vocab_size) for written in told]
    if unknown := [written for written, token_id in zip(told, ids, strict=True) if token_id is None]:
        log.warning("Its files end answers at %s, which its tokenizer does not have: left out.", unknown)
    return frozenset(token_id for token_id in ids if token_id is not None)


def _token_id(written: object, tokenizer: Tokenizer, vocab_size: int) -> int | None:
    """The id that a file says, where there is a token of it."""
    number = _number(written)
    if number is None or not number.is_integer() or not 0 <= number < vocab_size:
        return None
    return int(number) if tokenizer.id_to_token(int(number)) is not None else None


def _usable(config: GenerationConfig, name: str) -> float:
    written, off = getattr(config, name, None), float(getattr(OFF, name))
    if written is None:
        return off
    lowest, highest = SAMPLING_RANGES[name]
    number = _number(written)
    if number is not None and lowest <= number <= highest:
        return number
    taken = min(max(number, lowest), highest) if name == "temperature" and number is not None else off
    log.warning("Its files ask for a %s of %r, which no sampler can do: %g is taken.", name, written, taken)
    return taken


def _number(written: object) -> float | None:
    """What a file says, where it is a number or one in quotes."""
    if isinstance(written, bool) or not isinstance(written, int | float | str):
        return None
    try:
        number = float(written)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _listed(written: object) -> list[object]:
    """What a file says once or in a list, without what says nothing."""
    return [one for one in (written if isinstance(written, list) else [written]) if one is not None]
