"""What a grammar needs to know of a tokenizer: the bytes behind every id, and which ids end an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from llguidance import LLTokenizer
from tokenizers import Tokenizer

NONCHARACTER = "\U0010fffe"  # Unicode keeps it out of text for good


Json = dict[str, Any]


class FastTokenizer(Protocol):
    """A tokenizer of transformers that is backed by one of tokenizers."""

    @property
    def backend_tokenizer(self) -> Tokenizer: ...


AnyTokenizer = Tokenizer | FastTokenizer


class Vocabulary:
    """A byte-level tokenizer as llguidance sees it. Building one takes about a second; it is never changed.

    ``vocab_size`` is the width of the model's logits. Ids from the tokenizer's own end up to it (Qwen2.5-7B: 151,665 to
    152,063) have no text, and no grammar ever allows them.
    """

    def __init__(self, tokenizer: AnyTokenizer, *, vocab_size: int, eos_ids: Sequence[int]) -> None:
        core = tokenizer if isinstance(tokenizer, Tokenizer) else tokenizer.backend_tokenizer
        self.ll = LLTokenizer(_for_text_alone(core.to_str()), n_vocab=vocab_size, eos_token=list(eos_ids))
        self.vocab_size = vocab_size
        self.eos_ids = frozenset(eos_ids)
        self.byte_ids = self._byte_ids()
        self._tokens: dict[str, int] = core.get_vocab(with_added_tokens=True)

    def _byte_ids(self) -> dict[int, int]:
        """Byte value to the id of the token that is just this byte. Bytes that valid UTF-8 lacks may be missing."""
        found: dict[int, int] = {}
        for token_id in range(self.vocab_size):
            text = self.ll.decode_bytes([token_id])
            if len(text) == 1 and not self.ll.is_special_token(token_id):
                found.setdefault(text[0], token_id)
        return found

    def token_id(self, text: str) -> int | None:
        """The id of the token that is written ``text``, where there is one."""
        return self._tokens.get(text)

    def encode(self, text: bytes) -> list[int]:
        """Ids of ``text``, as the model would mostly write it; control tokens are never made from text."""
        ids: list[int] = self.ll.tokenize_bytes(text)
        return ids

    def decode(self, token_ids: Sequence[int]) -> bytes:
        text: bytes = self.ll.decode_bytes([token_id for token_id in token_ids if token_id not in self.eos_ids])
        return text.replace(NONCHARACTER.encode(), b"")


def _for_text_alone(tokenizer_json: str) -> str:
    """The tokenizer without padding and truncation, and with control tokens under names that no text has.

    A schema that holds ``<|im_end|>`` forces just this text, which would be made the token that ends the answer. What
    llguidance takes for a control token by its form, ``<...>``, keeps that.
    """
    told = json.loads(tokenizer_json)
    hidden = {
        text: f"{text[:1]}{NONCHARACTER}{text[1:]}"
        for text, special in ((token["content"], token["special"]) for token in told["added_tokens"])
        if special or (text.startswith("<") and text.endswith(">"))
    }
    for token in told["added_tokens"]:
        token["content"] = hidden.get(token["content"], token["content"])
    if isinstance(vocabulary := told["model"]["vocab"], dict):
        told["model"]["vocab"] = {hidden.get(text, text): token_id for text, token_id in vocabulary.items()}
    told["decoder"] = _with_blanks(told["decoder"])
    told["padding"] = told["truncation"] = None
    told["post_processor"] = None  # it names them too, and there is nothing to process
    return json.dumps(told)


def _with_blanks(decoder: Json | None) -> Json | None:
    """The decoder as llguidance reads blanks out of it: in a sequence, where something replaces ``▁``."""
    if decoder is None or decoder["type"] not in ("Metaspace", "Sequence"):
        return decoder
    parts = decoder["decoders"] if decoder["type"] == "Sequence" else [{"type": "ByteFallback"}, decoder]
    read = [_replacing(part) if part["type"] == "Metaspace" else part for part in parts]
    return {"type": "Sequence", "decoders": read}


def _replacing(metaspace: Json) -> Json:
    return {"type": "Replace", "pattern": {"String": metaspace["replacement"]}, "content": " "}
