"""Grammar compilers over the two vocabularies that matter: Qwen2.5's own and the built-in model's."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from qwen_app.structured.grammars.compiler import GrammarCompiler
from tests.qwen_vocabulary import END_OF_TEXT, END_OF_TURN, LOGITS_WIDTH, qwen_tokenizer


@pytest.fixture(scope="session")
def qwen() -> GrammarCompiler:
    return GrammarCompiler(qwen_tokenizer(), vocab_size=LOGITS_WIDTH, eos_ids=[END_OF_TURN, END_OF_TEXT])


@pytest.fixture(scope="session")
def builtin(builtin_dir: Path) -> GrammarCompiler:
    """Over a tokenizer whose tool tags are ordinary text and whose vocabulary lacks some bytes."""
    tokenizer = Tokenizer.from_file(str(builtin_dir / "tokenizer.json"))
    return GrammarCompiler(tokenizer, vocab_size=49_152, eos_ids=[2, 0])
