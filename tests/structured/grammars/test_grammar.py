"""Grammars over Qwen2.5's real vocabulary, one test a trap."""

from __future__ import annotations

import random
import re
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.errors import SchemaError
from qwen_app.messages import CHOICE_LIMIT, JsonObject, Regex, StringChoice
from qwen_app.structured.grammars import compiler as compiler_module
from qwen_app.structured.grammars.compiler import GrammarCompiler
from qwen_app.structured.grammars.grammar import Grammar, fill_masks
from qwen_app.structured.schema_check import json_schema
from qwen_app.structured.validation import validate_text
from tests.examples import examples
from tests.qwen_vocabulary import END_OF_TEXT, END_OF_TURN, LOGITS_WIDTH, TOKENS, TOOL_CALL, TOOL_CALL_END
from tests.structured.random_model import RandomModel
from tests.structured.writing import allowed, schema_grammar, takes, written


def refusal(compiler: GrammarCompiler, schema: Any) -> SchemaError:
    with pytest.raises(SchemaError) as refused:
        schema_grammar(compiler, schema)
    return refused.value


def test_json_object_takes_objects_alone(qwen: GrammarCompiler) -> None:
    grammar = qwen.compile(JsonObject())
    assert takes(qwen, grammar, '{"a": [1, null, "ß"], "b": {}}')
    assert not takes(qwen, grammar, "[1]")
    assert not takes(qwen, grammar, '"text"')


@pytest.mark.parametrize("masks", [True, False], ids=["by masks", "as forced"])
@pytest.mark.parametrize(
    "name", ["<|im_end|>", "<|endoftext|>", "<|im_start|>", "<|fim_prefix|>", "<tool_call>", "</tool_call>"]
)
@pytest.mark.parametrize("vocabulary", ["qwen", "builtin"])
def test_text_that_names_a_control_token_is_text(
    vocabulary: str, name: str, masks: bool, request: pytest.FixtureRequest
) -> None:
    compiler: GrammarCompiler = request.getfixturevalue(vocabulary)
    width = compiler.vocabulary.vocab_size
    specs = {
        StringChoice((f"ab{name}",)): f"ab{name}",
        Regex(f"a{re.escape(name)}b"): f"a{name}b",
        json_schema({"const": f"x{name}y"}, strict=True): f'"x{name}y"',
        json_schema({"enum": [name]}, strict=True): f'"{name}"',
    }
    for spec, whole in specs.items():
        state = compiler.compile(spec).new_state()
        while not state.is_done():
            forced = [] if masks else state.forced_tokens()
            token_id = int((forced or allowed(state, width))[0])
            if state.grammar.ends(token_id):
                break
            state.accept(token_id)
        assert state.text().decode() == whole
        assert state.may_end()


def test_ids_without_text_are_never_allowed(qwen: GrammarCompiler) -> None:
    """Ids from 151,665 on have logits but no text."""
    for text in ("", '{"a', '{"a": 1}'):
        assert allowed(written(qwen, qwen.compile(JsonObject()), text)).max() < TOKENS


def test_both_end_tokens_are_legal_after_the_document_and_nothing_else(qwen: GrammarCompiler) -> None:
    state = written(qwen, qwen.compile(JsonObject()), '{"a": 1}')
    assert set(allowed(state)) == {END_OF_TURN, END_OF_TEXT}
    assert state.is_done()


def test_whether_tokens_end_the_document_is_told_beforehand(qwen: GrammarCompiler) -> None:
    state = written(qwen, qwen.compile(JsonObject()), '{"a": 1')
    assert state.may_end_after(qwen.vocabulary.encode(b"}"))
    assert not state.may_end_after(qwen.vocabulary.encode(b', "b": 2'))
    assert not state.may_end_after(qwen.vocabulary.encode(b"}}"))
    assert not state.may_end_after([])
    assert state.text() == b'{"a": 1'


def test_no_text_before_or_after_the_document(qwen: GrammarCompiler) -> None:
    grammar = qwen.compile(JsonObject())
    for text in (' {"a":1}', '{"a":1} ', '{"a":1}\n', 'Sure! {"a":1}'):
        assert not takes(qwen, grammar, text)


def test_control_and_tool_tokens_are_masked_inside_strings(qwen: GrammarCompiler) -> None:
    inside = set(allowed(written(qwen, qwen.compile(JsonObject()), '{"a": "x')))
    assert not inside & {END_OF_TURN, END_OF_TEXT, TOOL_CALL, TOOL_CALL_END}
    assert len(inside) > 100_000


def test_tool_tags_may_be_spelled_out_inside_strings(qwen: GrammarCompiler) -> None:
    state = qwen.compile(JsonObject()).new_state()
    for byte in b'{"a": "<tool_call>"}':
        state.accept(qwen.vocabulary.byte_ids[byte])
    assert state.is_done()


def test_blanks_are_those_that_qwen_writes(qwen: GrammarCompiler) -> None:
    """Others are legal JSON too: models that wanted other text write them to the end, and no key would be forced."""
    grammar = qwen.compile(JsonObject())
    assert takes(qwen, grammar, '{"a": 1, "b": [1, {}, []]}')
    for text in ('{"a":1}', '{ "a": 1}', '{"a": 1,"b": 2}', '{\n  "a": 1\n}', '{"a": [1,2]}', "{ }"):
        assert not takes(qwen, grammar, text)


def test_what_follows_of_itself_is_told(qwen: GrammarCompiler) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["green", "grey"]}, "n": {}},
        "required": ["colour", "n"],
    }
    grammar = schema_grammar(qwen, {**schema, "additionalProperties": False})
    state = grammar.new_state()
    assert qwen.vocabulary.decode(state.forced_tokens()).startswith(b'{"colour":')
    state = written(qwen, grammar, '{"colour": "green"')
    assert qwen.vocabulary.decode(state.forced_tokens()) == b', "n":'
    assert written(qwen, grammar, '{"colour": "green", "n": 1').forced_tokens() == []
    assert written(qwen, grammar, '{"colour": "green", "n": {}}').forced_tokens() == []


def test_property_order_is_the_schemas(qwen: GrammarCompiler) -> None:
    schema = {
        "type": "object",
        "properties": {"reasoning": {"type": "string"}, "answer": {"type": "integer"}, "a": {"type": "boolean"}},
        "required": ["a", "answer", "reasoning"],
        "additionalProperties": False,
    }
    grammar = schema_grammar(qwen, schema)
    assert takes(qwen, grammar, '{"reasoning": "r", "answer": 1, "a": true}')
    assert not takes(qwen, grammar, '{"a": true, "answer": 1, "reasoning": "r"}')


@settings(max_examples=examples(10))
@given(seed=st.integers(0, 2**32 - 1), text=st.sampled_from(["", '{"a', '{"a": "x\\', '{"a": 1', '{"a": tr']))
def test_whether_one_token_may_come_is_what_the_mask_says_of_it(qwen: GrammarCompiler, seed: int, text: str) -> None:
    state, dice = written(qwen, qwen.compile(JsonObject()), text), random.Random(seed)
    masked = set(allowed(state).tolist())
    asked = {*dice.sample(range(TOKENS), 500), *dice.sample(sorted(masked), min(len(masked), 100)), END_OF_TEXT}
    assert {token_id for token_id in asked if state.allows(token_id)} == asked & masked


@pytest.mark.parametrize("text", ["", '{"co', '{"colour": "gre', '{"colour": "green"', '{"colour": "green", "nu'])
def test_where_a_token_is_forced_no_other_way_to_write_its_text_may_come(qwen: GrammarCompiler, text: str) -> None:
    properties = {"colour": {"enum": ["green"]}, "number": {"type": "integer"}}
    schema = {"type": "object", "properties": properties, "required": ["colour", "number"]}
    state = schema_grammar(qwen, {**schema, "additionalProperties": False}).new_state()
    for byte in text.encode():
        state.accept(qwen.vocabulary.byte_ids[byte])
    masked = set(allowed(state).tolist())
    assert {token_id for token_id in range(TOKENS) if state.allows(token_id)} == masked


def test_an_end_may_come_where_the_text_is_whole_and_may_go_on(qwen: GrammarCompiler) -> None:
    state = written(qwen, qwen.compile(Regex("[0-9]+")), "12")
    assert set(allowed(state)) >= {END_OF_TURN, END_OF_TEXT}
    assert state.allows(END_OF_TURN)
    assert state.allows(END_OF_TEXT)


@pytest.mark.parametrize("strict", [True, False])
def test_counts_may_be_written_with_a_point(qwen: GrammarCompiler, strict: bool) -> None:
    items = {"type": "array", "items": {"type": "string", "maxLength": 2.0}, "minItems": 1.0, "maxItems": 2.0}
    grammar = schema_grammar(qwen, items, strict=strict)
    assert grammar.source.exact
    assert takes(qwen, grammar, '["ab", "c"]')
    for text in ("[]", '["abc"]', '["a", "b", "c"]'):
        assert not takes(qwen, grammar, text)


def test_masks_of_several_rows_are_filled_in_one_call(qwen: GrammarCompiler) -> None:
    grammar = qwen.compile(JsonObject())
    states = [written(qwen, grammar, text) for text in ("", '{"a', '{"a": 1', "{}")]
    together = np.zeros((4, LOGITS_WIDTH // 32), np.int32)
    fill_masks(states, together)
    for state, row in zip(states, together, strict=True):
        alone = np.zeros((1, LOGITS_WIDTH // 32), np.int32)
        fill_masks([state], alone)
        assert (alone[0] == row).all()


def test_a_copied_state_goes_its_own_way(qwen: GrammarCompiler) -> None:
    """Each choice of n > 1 owns a state."""
    first = written(qwen, qwen.compile(JsonObject()), '{"a": 1')
    second = first.copy()
    first.accept(qwen.vocabulary.byte_ids[ord("}")])
    assert first.is_done()
    assert not second.is_done()
    assert second.text() == b'{"a": 1'


def test_a_token_outside_the_mask_is_an_error_of_that_answer(qwen: GrammarCompiler) -> None:
    state = qwen.compile(JsonObject()).new_state()
    with pytest.raises(SchemaError):
        state.accept(TOOL_CALL)
    assert state.error


UNSUPPORTED = [
    ("not", {"not": {"type": "string"}}),
    ("if", {"if": {"type": "string"}, "then": {"minLength": 1}}),
    ("uniqueItems", {"type": "array", "uniqueItems": True}),
    ("contains", {"type": "array", "contains": {"type": "integer"}}),
    ("propertyNames", {"type": "object", "propertyNames": {"maxLength": 3}}),
    ("dependentRequired", {"type": "object", "dependentRequired": {"a": ["b"]}}),
]


@pytest.mark.parametrize(("keyword", "part"), UNSUPPORTED)
def test_an_unsupported_keyword_is_named_with_its_pointer(qwen: GrammarCompiler, keyword: str, part: Any) -> None:
    error = refusal(qwen, {"type": "object", "properties": {"x/y": {"type": "array", "items": part}}})
    assert error.pointer == f"/properties/x~1y/items/{keyword}"
    assert keyword in str(error)
    assert error.http_status == 400


@pytest.mark.parametrize(
    ("pointer", "part"),
    [
        ("/properties/a", {"type": "string", "format": "no-such-format"}),
        ("/properties/a", {"type": "string", "pattern": "(?=x)y"}),
        ("/properties/a", {"type": "string", "pattern": r"(a)\1"}),
        ("/properties/a", {"oneOf": [{"minimum": 1, "type": "number"}, {"maximum": 5, "type": "number"}]}),
        ("/properties/a", {"type": "text"}),
        ("/properties/a", {"type": "string", "minLength": 5, "maxLength": 3}),
        ("/properties/a", {"$ref": "#/$defs/missing"}),
    ],
)
def test_what_cannot_be_enforced_is_refused_with_its_place(qwen: GrammarCompiler, pointer: str, part: Any) -> None:
    error = refusal(qwen, {"type": "object", "properties": {"ok": {"type": "string"}, "a": part}, "required": ["a"]})
    assert error.pointer == pointer


def test_a_property_named_like_a_keyword_is_no_keyword(qwen: GrammarCompiler) -> None:
    schema = {"type": "object", "properties": {"not": {"type": "string"}, "$ref": {"type": "string"}}}
    assert takes(qwen, schema_grammar(qwen, schema), '{"not": "x", "$ref": "http://example.org"}')


def test_all_of_is_merged_not_dropped(qwen: GrammarCompiler) -> None:
    parts = [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]},
    ]
    grammar = schema_grammar(qwen, {"allOf": parts})
    assert takes(qwen, grammar, '{"a": "x", "b": 1}')
    assert not takes(qwen, grammar, '{"a": "x"}')


def test_pattern_and_length_hold_together(qwen: GrammarCompiler) -> None:
    grammar = schema_grammar(qwen, {"type": "string", "pattern": "^[a-z]+$", "maxLength": 3})
    assert takes(qwen, grammar, '"abc"')
    assert not takes(qwen, grammar, '"abcd"')
    assert not takes(qwen, grammar, '"AB"')


def test_options_hidden_in_the_schema_are_not_honoured(qwen: GrammarCompiler) -> None:
    hidden = {"type": "object", "x-guidance": {"lenient": True, "item_separator": ";", "whitespace_flexible": False}}
    grammar = schema_grammar(qwen, hidden)
    assert takes(qwen, grammar, '{"a": 1, "b": 2}')
    assert refusal(qwen, {**hidden, "not": {}}).pointer == "/not"


def test_integers_that_doubles_cannot_hold_are_refused(qwen: GrammarCompiler) -> None:
    assert refusal(qwen, {"type": "object", "properties": {"id": {"enum": [2**53 + 1]}}}).pointer == (
        "/properties/id/enum"
    )


def test_without_strict_the_finished_text_is_checked(qwen: GrammarCompiler) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}, "required": ["a"]}
    grammar = schema_grammar(qwen, schema, strict=False)
    assert not grammar.source.exact
    assert takes(qwen, grammar, '{"a": [1, 1]}')
    assert validate_text('{"a": [1, 2]}', schema) is None
    assert "$.a" in str(validate_text('{"a": [1, 1]}', schema))
    assert schema_grammar(qwen, {"type": "object"}, strict=False).source.exact


def test_without_strict_a_pattern_that_no_grammar_knows_is_checked_too(qwen: GrammarCompiler) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"a": {"pattern": "^(?!x)[a-z]{2}$"}, "b": {"maximum": 2**63 - 1}},
    }
    grammar = schema_grammar(qwen, schema, strict=False)
    assert not grammar.source.exact
    assert takes(qwen, grammar, '{"a": "xy", "b": 1}')
    assert validate_text('{"a": "ay"}', schema) is None
    assert "$.a" in str(validate_text('{"a": "xy"}', schema))


def test_without_strict_a_wrong_schema_is_still_refused(qwen: GrammarCompiler) -> None:
    with pytest.raises(SchemaError):
        schema_grammar(qwen, {"type": "object", "not": {"type": "strong"}}, strict=False)


def test_duplicate_keys_are_found_afterwards(qwen: GrammarCompiler) -> None:
    """No grammar can forbid them for keys that the schema does not list."""
    grammar = qwen.compile(JsonObject())
    assert takes(qwen, grammar, '{"a": 1, "a": 2}')
    assert "'a'" in str(validate_text('{"a": 1, "a": 2}', {"type": "object"}))


def test_regex_and_choice(qwen: GrammarCompiler) -> None:
    regex = qwen.compile(Regex(r"[0-9]{4}-(0[1-9]|1[0-2])"))
    assert takes(qwen, regex, "2026-11")
    assert not takes(qwen, regex, "2026-13")
    choice = qwen.compile(StringChoice(("yes", 'no "really"', "中立")))
    assert all(takes(qwen, choice, text) for text in ("yes", 'no "really"', "中立"))
    assert not takes(qwen, choice, "maybe")


@pytest.mark.parametrize("options", [(), ("",), ("a", ""), ("a",) * (CHOICE_LIMIT + 1)], ids=len)
def test_a_list_of_choices_must_be_one(options: tuple[str, ...]) -> None:
    with pytest.raises(SchemaError):
        StringChoice(options)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(", "unclosed group"),
        ("a(?=b)", "look-around, including look-ahead and look-behind, is not supported"),
        (r"(a)\1", "backreferences are not supported"),
    ],
)
def test_a_regex_that_cannot_be_enforced_is_refused_in_one_sentence(
    qwen: GrammarCompiler, pattern: str, said: str
) -> None:
    with pytest.raises(SchemaError) as refused:
        qwen.compile(Regex(pattern))
    assert str(refused.value) == f"The regular expression cannot be enforced: {said}."


def test_a_hostile_schema_costs_itself_only(qwen: GrammarCompiler) -> None:
    """An answer that runs into the parser's limits fails with a sentence; others go on."""
    hostile = schema_grammar(qwen, {"type": "string", "pattern": "^(.*a.{60}b.{60}c.{60})$"})
    with pytest.raises(SchemaError, match="simpler"):
        RandomModel(qwen.vocabulary, 1, 9.0).write(hostile, 80)
    assert takes(qwen, schema_grammar(qwen, {"type": "boolean"}), "true")


def test_compiled_grammars_are_kept_and_the_cache_is_bounded(
    qwen: GrammarCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler_module, "CACHE_ENTRIES", 3)
    first = schema_grammar(qwen, {"const": 0})
    assert schema_grammar(qwen, {"const": 0}) is first
    for number in range(1, 5):
        schema_grammar(qwen, {"const": number})
    assert schema_grammar(qwen, {"const": 0}) is not first
    assert len(qwen._cache) == 3


def test_compiling_from_many_threads(qwen: GrammarCompiler) -> None:
    grammars: list[Grammar] = []
    work = [
        threading.Thread(target=lambda size=size: grammars.append(schema_grammar(qwen, {"minItems": size % 3})))
        for size in range(8)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert len(grammars) == 8
    assert all(not grammar.new_state().error for grammar in grammars)


def test_text_the_vocabulary_lacks_bytes_for_is_refused(builtin: GrammarCompiler) -> None:
    """The built-in vocabulary has no token for byte 0xF1: this character cannot be written."""
    assert "No answer" in str(refusal(builtin, {"const": "\U00050000"}))
    assert schema_grammar(builtin, {"const": "\U0001f600"}).minimum_tokens > 0
