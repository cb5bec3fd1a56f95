"""Writing text under a grammar, token by token, as a model would."""

from __future__ import annotations

from typing import Any

import numpy as np

from qwen_app.errors import SchemaError
from qwen_app.structured.grammars.compiler import GrammarCompiler
from qwen_app.structured.grammars.grammar import Grammar, GrammarState, fill_masks
from qwen_app.structured.schema_check import json_schema
from tests.qwen_vocabulary import LOGITS_WIDTH


def schema_grammar(compiler: GrammarCompiler, schema: Any, *, strict: bool = True) -> Grammar:
    return compiler.compile(json_schema(schema, strict=strict))


def written(compiler: GrammarCompiler, grammar: Grammar, text: str) -> GrammarState:
    state = grammar.new_state()
    for token_id in compiler.vocabulary.encode(text.encode()):
        state.accept(token_id)
    return state


def takes(compiler: GrammarCompiler, grammar: Grammar, text: str) -> bool:
    """Whether ``text`` is a whole answer, as the model would tokenize it."""
    try:
        return written(compiler, grammar, text).may_end()
    except SchemaError:
        return False


def allowed(state: GrammarState, width: int = LOGITS_WIDTH) -> np.ndarray[Any, np.dtype[np.int64]]:
    row = np.zeros((1, (width + 31) // 32), np.int32)
    fill_masks([state], row)
    return np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little"))
