"""Completions that greed alone does not find."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.messages import JsonObject, Regex, StringChoice
from qwen_app.structured.closing import minimal_instance
from qwen_app.structured.grammars.compiler import GrammarCompiler
from tests.structured.writing import schema_grammar, written


def completed(compiler: GrammarCompiler, schema: Any, start: str) -> str:
    state = written(compiler, schema_grammar(compiler, schema), start)
    for token_id in state.completion_tokens():
        state.accept(token_id)
    assert state.may_end()
    return state.text().decode()


@pytest.mark.parametrize(
    ("start", "whole"),
    [
        ("", "{}"),
        ('{"a', '{"a": null}'),
        ('{"a": {"b": [1, "x', '{"a": {"b": [1, "x"]}}'),
        ('{"a": "x\\', '{"a": "x\\""}'),
        ('{"a": -', '{"a": -0}'),
        ('{"a": 1.', '{"a": 1.0}'),
        ('{"a": 1e', '{"a": 1e0}'),
        ('{"a": t', '{"a": true}'),
        ('{"a": [', '{"a": []}'),
        ('{"a": 12', '{"a": 12}'),
        ('{"a": "\\u00', '{"a": "\\u0000"}'),
    ],
)
def test_completions_of_any_object(qwen: GrammarCompiler, start: str, whole: str) -> None:
    found = completed(qwen, {"type": "object"}, start)
    assert len(found) <= len(whole)
    json.loads(found)


PATTERNS = {
    "pattern": {"type": "string", "pattern": "^[a-z]+@[a-z]+\\.com$"},
    "far away": {"type": "string", "pattern": "^[a-z ]*the end$"},
    "suffix": {"type": "string", "pattern": r"^\S+\.(pdf|docx)$"},
    "framed": {"type": "string", "pattern": r"^Title: .*, page [1-9]\d*$"},
    "long": {"type": "string", "minLength": 300},
    **{name: {"type": "string", "format": name} for name in ("email", "uri", "ipv6", "duration", "date-time", "uuid")},
    "multiple": {"type": "integer", "multipleOf": 7, "minimum": 100},
    "bounds": {"type": "number", "minimum": 57.5, "maximum": 57.6},
    "negative": {"type": "integer", "maximum": -5},
}


@pytest.mark.parametrize("part", PATTERNS.values(), ids=PATTERNS)
def test_strings_and_numbers_that_something_holds_open(qwen: GrammarCompiler, part: Any) -> None:
    schema = {"type": "array", "items": part, "minItems": 3}
    document = json.loads(completed(qwen, schema, "["))
    assert len(document) == 3
    if "pattern" in part:
        assert all(re.search(part["pattern"], item) for item in document)


HELD_OPEN = [
    *PATTERNS.values(),
    *({"type": "string", "format": name} for name in ("date", "time", "hostname", "ipv4")),
    *({"type": ["string", "null"], "format": name} for name in ("date", "date-time", "duration")),
    {"type": ["string", "null"], "format": "date", "pattern": "^19"},
    {"type": "string", "pattern": r"^\p{L}+ \p{L}+, \d{5}$"},
    {"type": "array", "items": {"type": "string", "format": "email"}, "minItems": 1},
    {"enum": ["alpha", "beta"]},
]


def completed_in_a_row(compiler: GrammarCompiler, parts: list[Any], within: str) -> None:
    properties = {f"field_{number}": part for number, part in enumerate(parts)}
    record = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    schema, start = {
        "": (record, ""),
        "list": ({"type": "array", "items": record, "maxItems": 3}, '[{"field_0": '),
        "union": ({"anyOf": [record, {"type": "null"}]}, '{"field_0": '),
    }[within]
    document = json.loads(completed(compiler, schema, start))
    (written,) = document if within == "list" else [document]
    assert [*written] == [*properties]


@settings(max_examples=25)
@given(st.lists(st.sampled_from(HELD_OPEN), min_size=2, max_size=5), st.sampled_from(["", "list", "union"]))
def test_several_in_a_row_in_any_order(qwen: GrammarCompiler, parts: list[Any], within: str) -> None:
    """What is forced behind one opens the next."""
    completed_in_a_row(qwen, parts, within)


@pytest.mark.parametrize(
    ("start", "longest"),
    [("[", "[null, null, null]"), ('["19', '["1900-01-01", null, null]'), ('["2024-02-', '["2024-02-29", null, null]')],
)
@pytest.mark.parametrize("more", [{}, {"maxLength": 10}, {"allOf": [{"minLength": 2}]}], ids=str)
def test_rows_of_dates_that_may_be_null_end(qwen: GrammarCompiler, start: str, longest: str, more: Any) -> None:
    dated = {"type": ["string", "null"], "format": "date", **more}
    found = completed(qwen, {"type": "array", "items": dated, "minItems": 3}, start)
    assert len(found) <= len(longest)
    assert all(day is None or date.fromisoformat(day) for day in json.loads(found))


def test_they_are_found_without_a_guess(qwen: GrammarCompiler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minimal_instance, "FORMATS", {})
    dated = {"type": "string", "format": "date-time"}
    mail = {"type": "string", "format": "email"}
    completed_in_a_row(qwen, [dated, dated, mail, PATTERNS["bounds"], PATTERNS["multiple"]], "list")


def test_a_recursive_schema_ends(qwen: GrammarCompiler) -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert json.loads(completed(qwen, {"anyOf": [node, {"type": "array", "items": {"type": "null"}}]}, "")) == []


def test_half_a_character_is_completed(qwen: GrammarCompiler) -> None:
    state = qwen.compile(JsonObject()).new_state()
    for byte in '{"a": "中'.encode()[:-1]:
        state.accept(qwen.vocabulary.byte_ids[byte])
    for token_id in state.completion_tokens():
        state.accept(token_id)
    assert set(json.loads(state.text().decode())) == {"a"}


def test_regex_and_choice_end(qwen: GrammarCompiler) -> None:
    for spec, start, whole in (
        (Regex("(abc){4}x*"), "ab", "abcabcabcabc"),
        (Regex(r"[0-9]{4}-[0-9]{2}"), "20", "2000-00"),
        (StringChoice(("yes", "no", "yesterday")), "yest", "yesterday"),
    ):
        state = written(qwen, qwen.compile(spec), start)
        for token_id in state.completion_tokens():
            state.accept(token_id)
        assert state.may_end()
        assert len(state.text()) == len(whole)
    assert qwen.compile(StringChoice(("something long", "no"))).minimum_tokens == 1


def test_strings_once_found_are_remembered(qwen: GrammarCompiler) -> None:
    grammar = schema_grammar(qwen, {"type": "array", "items": {"type": "string", "format": "email"}, "minItems": 2})
    found = list(grammar.search.string_completions)
    assert found
    written(qwen, grammar, '["me@example.org",').completion_tokens()
    assert grammar.search.string_completions == found


@pytest.mark.parametrize("step", [37, 365, 997, 604_800])
@pytest.mark.parametrize("start", ["-7", "12345", "98765432123456"])
def test_a_number_ends_as_a_multiple_of_its_step(qwen: GrammarCompiler, step: int, start: str) -> None:
    schema = {"type": "array", "items": {"type": "integer", "multipleOf": step}}
    number = json.loads(completed(qwen, schema, f"[{start}"))[0]
    assert number % step == 0
    assert str(number).startswith(start)


def test_many_numbers_of_one_grammar_end_as_multiples(qwen: GrammarCompiler) -> None:
    """What one of them takes of the grammar's limits, all answers that share it lack."""
    grammar = schema_grammar(qwen, {"type": "array", "items": {"type": "integer", "multipleOf": 86_400}})
    for start in range(123_457, 1_000_000, 87_654):
        state = written(qwen, grammar, f"[{start}")
        assert len(state.completion_tokens()) <= len("00000]")


@pytest.mark.parametrize("start", ["12", "12.", "12.2", "-0."])
def test_a_fraction_ends_as_a_multiple_of_its_step(qwen: GrammarCompiler, start: str) -> None:
    schema = {"type": "array", "items": {"type": "number", "multipleOf": 0.37}}
    number = json.loads(completed(qwen, schema, f"[{start}"), parse_float=Decimal)[0]
    assert number % Decimal("0.37") == 0
