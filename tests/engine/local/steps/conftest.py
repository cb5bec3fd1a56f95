"""Vocabularies of every kind: byte-level ones, and those of SentencePiece."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from tests.qwen_vocabulary import qwen_tokenizer
from tests.tiny_mistral import KINDS, sentencepiece_tokenizer

BYTE_LEVEL = ("builtin", "tiny", "qwen")


@pytest.fixture(scope="module", params=[*BYTE_LEVEL, *KINDS])
def tokenizer(request: pytest.FixtureRequest, builtin_dir: Path, tiny_qwen_dir: Path) -> Tokenizer:
    if request.param in KINDS:
        return sentencepiece_tokenizer(request.param)
    if request.param == "qwen":
        return qwen_tokenizer()
    folder = builtin_dir if request.param == "builtin" else tiny_qwen_dir
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def tiny_tokenizer(tiny_qwen_dir: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tiny_qwen_dir / "tokenizer.json"))
