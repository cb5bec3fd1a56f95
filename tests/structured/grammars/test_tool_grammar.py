"""Answers under a tool choice, with Qwen's tags that are tokens and with the built-in model's that are text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from qwen_app.errors import SchemaError
from qwen_app.messages import JsonObject, Tool, ToolCallDelta, ToolChoice
from qwen_app.structured.grammars.compiler import GrammarCompiler
from qwen_app.structured.grammars.grammar import Grammar
from qwen_app.structured.validation import validate_text
from qwen_app.tools.parser import ToolCallParser
from tests.qwen_vocabulary import END_OF_TURN, TOOL_CALL
from tests.structured.random_model import RandomModel
from tests.structured.writing import allowed, takes, written

WEATHER = Tool(
    "get_weather",
    "",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
        "required": ["city"],
    },
)
NOW = Tool("now", "", {"type": "object", "properties": {}})
TREE = Tool(
    "grow",
    "",
    {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "required": ["root"],
        "$defs": {"node": {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}},
    },
)
TOOLS = (WEATHER, NOW, TREE)


@pytest.fixture(params=["qwen", "builtin"])
def compiler(request: pytest.FixtureRequest) -> GrammarCompiler:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, GrammarCompiler)
    return found


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def test_auto_takes_text_calls_or_both(compiler: GrammarCompiler) -> None:
    grammar = compiler.compile_tools(TOOLS, ToolChoice("auto"))
    for answer in ("", "Hello.", 'He said "<tool".', call("now", "{}"), "Well:\n" + call("now", "{}")):
        assert takes(compiler, grammar, answer)
    assert takes(compiler, grammar, call("now", "{}") + "\n" + call("get_weather", '{"city": "Rome"}'))
    for answer in ("<tool_call>", call("nobody", "{}"), call("get_weather", "{}"), call("now", "{}") + " so"):
        assert not takes(compiler, grammar, answer)


def test_required_begins_with_a_call(compiler: GrammarCompiler) -> None:
    grammar = compiler.compile_tools(TOOLS, ToolChoice("required"))
    assert takes(compiler, grammar, call("now", "{}") + "\n" + call("now", "{}"))
    for answer in ("", "Hello.", "\n" + call("now", "{}")):
        assert not takes(compiler, grammar, answer)


def test_required_opens_with_the_tags_own_token(qwen: GrammarCompiler) -> None:
    first = set(allowed(qwen.compile_tools(TOOLS, ToolChoice("required")).new_state()))
    assert TOOL_CALL in first
    assert END_OF_TURN not in first
    assert all(qwen.vocabulary.decode([token]).startswith(b"<") for token in first)


def test_named_is_exactly_one_call_of_that_tool(compiler: GrammarCompiler) -> None:
    grammar = compiler.compile_tools(TOOLS, ToolChoice("named", "now"))
    assert takes(compiler, grammar, call("now", "{}"))
    for answer in (call("get_weather", '{"city": "Rome"}'), call("now", "{}") * 2, call("now", "{}") + "\n"):
        assert not takes(compiler, grammar, answer)


def test_one_call_alone_when_parallel_is_off(compiler: GrammarCompiler) -> None:
    grammar = compiler.compile_tools(TOOLS, ToolChoice("auto", parallel=False))
    assert takes(compiler, grammar, "Ok\n" + call("now", "{}"))
    assert not takes(compiler, grammar, call("now", "{}") + "\n" + call("now", "{}"))


def test_none_bans_the_token_that_opens_a_call(qwen: GrammarCompiler, builtin: GrammarCompiler) -> None:
    assert qwen.banned_token_ids(ToolChoice("none")) == (TOOL_CALL,)
    assert qwen.banned_token_ids(ToolChoice("auto")) == ()
    assert builtin.banned_token_ids(ToolChoice("none")) == ()
    with pytest.raises(ValueError, match="none"):
        qwen.compile_tools(TOOLS, ToolChoice("none"))


def test_a_tool_without_parameters_takes_none(compiler: GrammarCompiler) -> None:
    grammar = compiler.compile_tools((NOW,), ToolChoice("required"))
    assert not takes(compiler, grammar, call("now", '{"zone": "UTC"}'))


def test_references_stay_within_their_tool(compiler: GrammarCompiler) -> None:
    grammar = compiler.compile_tools(TOOLS, ToolChoice("named", "grow"))
    assert takes(compiler, grammar, call("grow", '{"root": {"age": 3}}'))
    assert not takes(compiler, grammar, call("grow", '{"root": {}}'))


@pytest.mark.parametrize("kind", ["array", "string", ["string", "null"], []])
def test_arguments_are_an_object_or_a_strict_tool_is_refused(compiler: GrammarCompiler, kind: object) -> None:
    tool = Tool("now", "", {"type": kind}, strict=True)
    with pytest.raises(SchemaError, match="are an object") as refused:
        compiler.compile_tools((WEATHER, tool), ToolChoice("auto"))
    assert refused.value.param == "tools[1].function.parameters"
    assert takes(
        compiler, compiler.compile_tools((replace(tool, strict=False),), ToolChoice("auto")), call("now", "{}")
    )


def test_arguments_that_may_be_null_are_an_object(compiler: GrammarCompiler) -> None:
    grammar = compiler.compile_tools((Tool("now", "", {"type": ["object", "null"]}, strict=True),), ToolChoice("auto"))
    assert takes(compiler, grammar, call("now", "{}"))
    assert not takes(compiler, grammar, call("now", "null"))


# Schemas of real tools that no grammar takes whole, with arguments that they have to allow all the same.
ODD: dict[str, tuple[dict[str, Any], str]] = {
    "format": ({"a": {"type": "string", "format": "password"}}, '{"a": "x"}'),
    "unique": ({"a": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}}, '{"a": [1, 2]}'),
    "look-ahead": ({"a": {"type": "string", "pattern": "^(?!x)[a-z]+$"}}, '{"a": "b"}'),
    "int64": ({"a": {"type": "integer", "maximum": 2**63 - 1}}, '{"a": 3}'),
    "not": ({"a": {"not": {"type": "string"}}}, '{"a": 1}'),
    "if": ({"a": {"if": {"type": "string"}, "then": {"minLength": 2}}}, '{"a": "xy"}'),
    "oneOf": ({"a": {"oneOf": [{"type": "integer"}, {"type": "number"}]}}, '{"a": 1.5}'),
    "elsewhere": ({"a": {"$ref": "https://example.com/a.json"}}, '{"a": 1}'),
    "no type": ({"a": {"type": "any"}}, '{"a": 1}'),
    "no schema": ({"a": None}, '{"a": 1}'),
    "no list": ({"a": {"type": "object", "required": None, "properties": None}}, '{"a": {}}'),
    "empty": ({"a": {"type": "string", "minLength": 5, "pattern": "^a$"}}, '{"a": "abcdef"}'),
}


@pytest.mark.parametrize("name", ODD)
def test_what_of_a_tool_compiles_is_enforced_and_the_rest_left_out(qwen: GrammarCompiler, name: str) -> None:
    """``strict`` was not asked for. The tool's other argument, and the other tool, are held to all that they say."""
    odd, arguments = ODD[name]
    parameters: dict[str, Any] = {"type": "object", "properties": {**odd, "b": {"enum": ["c", "d"]}}, "required": ["a"]}
    grammar = qwen.compile_tools((WEATHER, Tool("odd", "", parameters)), ToolChoice("required"))
    assert takes(qwen, grammar, call("odd", arguments))
    assert takes(qwen, grammar, call("odd", arguments[:-1] + ', "b": "c"}'))
    wrong_b = call("odd", arguments[:-1] + ', "b": "e"}')
    for wrong in (wrong_b, call("odd", "{}"), call("odd", "[1]"), call("get_weather", "{}")):
        assert not takes(qwen, grammar, wrong)


@pytest.mark.parametrize(
    "parameters", [{"type": ["object", "null"]}, {"$defs": {"a": 1}}, {"required": 5}, {"x": [[]] * 30_000}]
)
def test_parameters_that_are_no_schema_take_any_object(qwen: GrammarCompiler, parameters: dict[str, Any]) -> None:
    grammar = qwen.compile_tools((Tool("f", "", parameters),), ToolChoice("required"))
    assert takes(qwen, grammar, call("f", '{"b": [1]}'))
    assert not takes(qwen, grammar, call("f", "[1]"))


@pytest.mark.slow
def test_a_set_that_is_no_grammar_as_a_whole_is_called_with_any_objects(qwen: GrammarCompiler) -> None:
    long = {f"argument_{number}": {"enum": [f"{number}{letter}" * 200 for letter in "abcdef"]} for number in range(60)}
    tools = [
        Tool(f"t{number}", "", {"type": "object", "properties": long, "required": list(long)}) for number in range(60)
    ]
    grammar = qwen.compile_tools(tools, ToolChoice("required"))
    assert takes(qwen, grammar, call("t7", "{}"))
    with pytest.raises(SchemaError):
        qwen.compile_tools([replace(tool, strict=True) for tool in tools], ToolChoice("required"))


def test_a_strict_schema_that_cannot_be_enforced_names_the_tool(qwen: GrammarCompiler) -> None:
    wrong = Tool("f", "", {"type": "object", "properties": {"a": {"not": {}}}}, strict=True)
    with pytest.raises(SchemaError) as refused:
        qwen.compile_tools((NOW, wrong), ToolChoice("auto"))
    assert refused.value.param == "tools[1].function.parameters"
    assert refused.value.pointer == "/properties/a/not"


def test_there_must_be_a_tool_to_call(qwen: GrammarCompiler) -> None:
    for tools, choice in (((), ToolChoice("required")), (TOOLS, ToolChoice("named", "missing"))):
        with pytest.raises(SchemaError):
            qwen.compile_tools(tools, choice)


def test_json_or_a_call(compiler: GrammarCompiler) -> None:
    """A response format beside tools: the answer is JSON, or calls."""
    grammar = compiler.compile_tools(TOOLS, ToolChoice("auto"), JsonObject())
    assert takes(compiler, grammar, '{"a": 1}')
    assert takes(compiler, grammar, call("now", "{}"))
    assert not takes(compiler, grammar, "Hello.")


def test_the_tag_inside_arguments_is_text(compiler: GrammarCompiler) -> None:
    grammar = compiler.compile_tools(TOOLS, ToolChoice("required"))
    state = grammar.new_state()
    for byte in call("get_weather", '{"city": "</tool_call>"}').encode():
        state.accept(compiler.vocabulary.byte_ids[byte])
    assert state.may_end()


def calls_of(text: str) -> list[tuple[str, Any]]:
    parser = ToolCallParser(tool.name for tool in TOOLS)
    pieces = [piece for part in (text[:7], text[7:]) for piece in parser.feed(part)] + parser.finish()
    found: list[tuple[str, str]] = []
    for piece in pieces:
        if isinstance(piece, ToolCallDelta):
            name, arguments = found.pop() if piece.name is None else (piece.name, "")
            found.append((name, arguments + piece.arguments))
    return [(name, json.loads(arguments)) for name, arguments in found]


@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("named", "grow"), ToolChoice("auto")])
@pytest.mark.parametrize("extra", [0, 7, 40])
def test_whatever_is_written_parses_as_calls_in_any_room(
    compiler: GrammarCompiler, choice: ToolChoice, extra: int
) -> None:
    grammar: Grammar = compiler.compile_tools(TOOLS, choice)
    schemas = {tool.name: tool.parameters for tool in TOOLS}
    for seed in range(4):
        answer = RandomModel(compiler.vocabulary, seed, 10.0).write(grammar, grammar.minimum_tokens + extra)
        calls = calls_of(answer.text.decode())
        assert answer.tokens <= grammar.minimum_tokens + extra
        assert calls or choice.mode == "auto"
        for name, arguments in calls:
            assert validate_text(json.dumps(arguments), schemas[name]) is None


def test_a_call_is_not_begun_when_it_could_not_be_ended(qwen: GrammarCompiler) -> None:
    grammar = qwen.compile_tools((TREE,), ToolChoice("auto"))
    state = written(qwen, grammar, "x")
    assert state.completion_tokens() == []
    assert len(written(qwen, grammar, "x<tool_call>").completion_tokens()) > 10
