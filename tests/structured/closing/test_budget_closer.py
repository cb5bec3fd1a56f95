"""Whatever a model writes and however little room it has, a constrained answer ends as a valid document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qwen_app.errors import SchemaError
from qwen_app.messages import JsonObject
from qwen_app.structured.closing.budget_closer import BudgetCloser
from qwen_app.structured.grammars.compiler import GrammarCompiler
from qwen_app.structured.grammars.grammar import Grammar, GrammarState
from qwen_app.structured.json_text import duplicate_keys
from qwen_app.structured.validation import validate_text
from tests.examples import examples
from tests.structured.random_model import Answer, RandomModel
from tests.structured.schemas import schemas
from tests.structured.writing import schema_grammar

SEEDS = st.integers(0, 2**32 - 1)
EXTRA = st.integers(0, 60)  # tokens above the least the schema admits
LIKINGS = st.sampled_from([0.0, 4.0, 8.0, 10.0, 12.0])
SAME_EVERY_TIME = settings(
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def problem(answer: Answer, schema: Any) -> str | None:
    """What is wrong with the answer, duplicate keys aside: those no grammar can rule out."""
    text = answer.text.decode()
    return None if duplicate_keys(text) else validate_text(text, schema)


@pytest.mark.slow
@settings(SAME_EVERY_TIME, max_examples=examples(500))
@given(schema=schemas, seed=SEEDS, extra=EXTRA, liking=LIKINGS)
def test_any_answer_to_any_strict_schema_validates(
    qwen: GrammarCompiler, schema: Any, seed: int, extra: int, liking: float
) -> None:
    """500 random schemas, random logits for a model, limits from the least the schema admits."""
    try:
        grammar = schema_grammar(qwen, schema)
    except SchemaError:
        return
    limit = grammar.minimum_tokens + extra
    answer = RandomModel(qwen.vocabulary, seed, liking).write(grammar, limit)
    assert problem(answer, schema) is None
    assert answer.tokens <= limit


@pytest.mark.slow
@settings(SAME_EVERY_TIME, max_examples=examples(100))
@given(seed=SEEDS, extra=EXTRA, liking=LIKINGS)
def test_any_object_validates_with_the_built_in_vocabulary(
    builtin: GrammarCompiler, seed: int, extra: int, liking: float
) -> None:
    grammar = builtin.compile(JsonObject())
    answer = RandomModel(builtin.vocabulary, seed, liking).write(grammar, grammar.minimum_tokens + extra)
    assert isinstance(json.loads(answer.text.decode(), strict=True), dict)


@pytest.mark.slow
@settings(SAME_EVERY_TIME, max_examples=examples(60))
@given(schema=schemas, seed=SEEDS, steps=st.integers(0, 30))
def test_the_completion_from_any_state_validates(qwen: GrammarCompiler, schema: Any, seed: int, steps: int) -> None:
    try:
        state = schema_grammar(qwen, schema).new_state()
    except SchemaError:
        return
    model = RandomModel(qwen.vocabulary, seed, 9.0)
    for _ in range(steps):
        token_id = model.next_token(state)
        if state.grammar.ends(token_id):
            break
        state.accept(token_id)
    before = state.text()
    for token_id in state.completion_tokens():
        state.accept(token_id)
    assert state.may_end()
    assert state.text().startswith(before)
    assert problem(Answer(state.text(), 0, True, state), schema) is None


@pytest.mark.slow
def test_a_deadline_closes_at_once(qwen: GrammarCompiler) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }
    answer = RandomModel(qwen.vocabulary, 1).write(schema_grammar(qwen, schema), 1000, close_at=8)
    assert answer.closed
    assert answer.tokens < 30
    assert problem(answer, schema) is None


def test_the_least_number_of_tokens_is_reachable(qwen: GrammarCompiler) -> None:
    grammar = schema_grammar(qwen, {"enum": ["a long text that nobody needs to write", "b"]})
    assert grammar.minimum_tokens == 3
    assert RandomModel(qwen.vocabulary, 3).write(grammar, 3).text == b'"b"'


CUT_INSIDE_A_WORD: list[Any] = [
    {"enum": ["$'team", "$" + "longer text " * 6]},
    {
        "type": "object",
        "properties": {"path": {"enum": ["$'team", "$'" + "longer text " * 6, "$" + "longer text " * 6]}},
        "required": ["path"],
    },
    {"type": "string", "pattern": "^\\$('team|[a-z]{20,30})$"},
    {"enum": ["\U0001f600'team", "\U0001f600" + "longer text " * 6]},
]


@pytest.mark.parametrize("schema", CUT_INSIDE_A_WORD)
def test_an_ending_is_as_many_tokens_as_were_counted(builtin: GrammarCompiler, schema: Any) -> None:
    """What is left of ``$'team`` behind ``$`` is one token more when it is encoded by itself."""
    grammar = schema_grammar(builtin, schema)
    for seed in range(40):
        for spare in range(4):
            answer = RandomModel(builtin.vocabulary, seed, 0.7).write(grammar, grammar.minimum_tokens + spare)
            assert problem(answer, schema) is None


SKELETON = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/big"}}},
    "required": ["items"],
    "$defs": {
        "big": {
            "type": "object",
            "properties": {f"property_number_{index}": {"enum": ["first", "second"]} for index in range(40)},
            "required": [f"property_number_{index}" for index in range(40)],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("limit", [5, 300, 800])
def test_one_bracket_never_commits_to_more_than_fits(qwen: GrammarCompiler, limit: int) -> None:
    """Opening one more object commits this answer to some 350 tokens at once."""
    answer = RandomModel(qwen.vocabulary, limit, 9.0).write(schema_grammar(qwen, SKELETON), limit)
    assert problem(answer, SKELETON) is None
    assert answer.tokens <= limit


LONG_VALUES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {key: {"enum": [f"a long sentence about {key} " * 12, f"z{key}"]} for key in "abcdef"},
        "required": list("abcdef"),
    },
}


@pytest.mark.parametrize("limit", range(2, 400, 37))
def test_the_shortest_of_several_values_is_taken_at_the_end(qwen: GrammarCompiler, limit: int) -> None:
    answer = RandomModel(qwen.vocabulary, limit, 9.0).write(schema_grammar(qwen, LONG_VALUES), limit)
    assert problem(answer, LONG_VALUES) is None
    assert answer.tokens <= limit


def test_a_number_at_the_top_ends_where_it_was_closed(qwen: GrammarCompiler) -> None:
    answer = RandomModel(qwen.vocabulary, 5, 20.0).write(schema_grammar(qwen, {"type": "integer"}), 500, close_at=3)
    assert answer.closed
    assert answer.tokens <= 4


def repeat(compiler: GrammarCompiler, grammar: Grammar, start: str, loop: str, times: int) -> GrammarState:
    """A model that wants to write ``loop`` for ever after ``start``, under a closer with plenty of room."""
    state, closer = grammar.new_state(), BudgetCloser()
    for token_id in compiler.vocabulary.encode(start.encode()):
        state.accept(token_id)
    wanted = compiler.vocabulary.encode(loop.encode()) * times
    for count, token_id in enumerate(wanted):
        chosen = closer.choose(state, token_id, 100_000 - count)
        if grammar.ends(chosen):
            break
        state.accept(chosen)
        if chosen != token_id:
            break
    return state


@pytest.mark.parametrize("loop", [" the same words again", "-", "好", "\\n"])
def test_a_loop_inside_a_string_is_ended(qwen: GrammarCompiler, loop: str) -> None:
    state = repeat(qwen, qwen.compile(JsonObject()), '{"a": "', loop, 200)
    text = state.text().decode()
    assert text.endswith('"')
    assert text.count(loop) < 150
    json.loads(text + "}")


def test_a_number_without_end_is_ended(qwen: GrammarCompiler) -> None:
    text = repeat(qwen, qwen.compile(JsonObject()), '{"a": 0.', "3", 500).text().decode()
    assert text.endswith("}")
    assert len(text) < 200


@pytest.mark.parametrize("schema", [{}, {"type": "number"}, {"type": ["integer", "null"]}])
def test_a_number_without_end_at_the_top_ends_the_answer(qwen: GrammarCompiler, schema: dict[str, object]) -> None:
    """Nothing has to be closed there: the document is whole, and the model would go on to the limit."""
    text = repeat(qwen, schema_grammar(qwen, schema), "1", "1", 500).text().decode()
    assert text.isdigit()
    assert len(text) < 200


def test_where_nothing_is_closed_the_limit_cuts(qwen: GrammarCompiler) -> None:
    grammar = qwen.compile(JsonObject())
    state, closer = grammar.new_state(), BudgetCloser(closes=lambda state: False)
    for left, token_id in enumerate(qwen.vocabulary.encode(b'{"a": "half a po'), start=-40):
        assert closer.choose(state, token_id, -left, close_now=left > -30) == token_id
        state.accept(token_id)
    assert not closer.closing


def test_repeated_items_are_no_loop(qwen: GrammarCompiler) -> None:
    state = repeat(qwen, qwen.compile(JsonObject()), '{"a": [0', ", 0", 100)
    assert state.text().decode().count("0") == 101


def test_far_from_the_limit_nothing_is_looked_at(qwen: GrammarCompiler, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    original = GrammarState.completion_tokens

    def counting(state: GrammarState, guess: bytes | None = None) -> list[int]:
        nonlocal looked
        looked += 1
        return original(state, guess)

    monkeypatch.setattr(GrammarState, "completion_tokens", counting)
    state = repeat(qwen, qwen.compile(JsonObject()), '{"a": "', "x y z, ", 5)
    assert len(state.token_ids) > 15
    assert looked == 1


def test_what_still_ends_the_answer_is_not_searched_for_again(
    qwen: GrammarCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0
    original = GrammarState.copy

    def counting(state: GrammarState) -> GrammarState:
        nonlocal looked
        looked += 1
        return original(state)

    monkeypatch.setattr(GrammarState, "copy", counting)
    state, closer = qwen.compile(JsonObject()).new_state(), BudgetCloser()
    wanted = qwen.vocabulary.encode(b'{"a": "x y z, x y z, x y z, x y z')
    left = len(wanted) + 3  # so few that each token is looked at
    for count, token_id in enumerate(wanted):
        assert closer.choose(state, token_id, left - count) == token_id
        state.accept(token_id)
    assert looked < 6
    (last,) = qwen.vocabulary.encode(b'"}')
    assert closer.choose(state, wanted[-1], 1) == last
    assert closer.closing
