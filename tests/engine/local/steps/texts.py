"""Texts that are hard on whoever takes them apart, as ids and back."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import assume
from hypothesis import strategies as st
from tokenizers import Tokenizer

BROKEN = "\ufffd"
PIECES = (
    "Hello", " world", "你好", "，世界。", "👩‍👩‍👧‍👦", "🇨🇳", "👍🏽", "é", "e\u0301", "Z͑ͫ̓ͪ̂ͫ̽͏", "नमस्ते", "שלום",
    "\n\n", "```py\n", "\u200d", "\u202e", "\x00", "𠮷", "<|im_end|>", "  ", "’", "ﬃ", " time", "cat", "<0xE2>",
)  # fmt: skip
texts = st.one_of(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.text(max_size=40))


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of text; what spells a control token is cut, as the prompt encoder cuts it."""
    return [i for part in text.split("|") for i in tokenizer.encode(part, add_special_tokens=False).ids]


def example_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of an example, passed over where the vocabulary has no bytes for it: the small model's lacks some."""
    ids = encode(tokenizer, text)
    assume(BROKEN not in decode(tokenizer, ids))
    return ids


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=True))
