from __future__ import annotations

import pytest

from qwen_app.messages import JsonSchema
from qwen_app.structured.grammars.compiler import GrammarCompiler
from qwen_app.structured.validation import validate_text
from qwen_app.ui.json_lab.schema_library import EXAMPLES, SchemaExample
from tests.structured.random_model import RandomModel


def test_keys_are_unique_and_both_languages_are_there() -> None:
    assert len({example.key for example in EXAMPLES}) == len(EXAMPLES) == 6
    for example in EXAMPLES:
        assert all(example.title)
        assert all(example.prompt)
        assert example.title[0] != example.title[1]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.key)
def test_every_schema_is_enforced_to_the_letter(
    qwen: GrammarCompiler, builtin: GrammarCompiler, example: SchemaExample
) -> None:
    spec = JsonSchema(example.schema)
    for compiler in (qwen, builtin):
        grammar = compiler.compile(spec)
        assert grammar.source.exact
        assert grammar.minimum_tokens < 64
        for seed in range(3):
            answer = RandomModel(compiler.vocabulary, seed, 9.0).write(grammar, grammar.minimum_tokens + 25 * seed)
            wrong = validate_text(answer.text.decode(), example.schema)
            assert wrong is None or "twice" in wrong
