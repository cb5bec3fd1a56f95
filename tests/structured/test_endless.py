"""Schemas that require themselves are refused at once, by the place; those that may end are not."""

from __future__ import annotations

from typing import Any

import pytest

from qwen_app.errors import SchemaError
from qwen_app.messages import Tool, ToolChoice
from qwen_app.structured.endless import check_finite
from qwen_app.structured.grammars.compiler import GrammarCompiler
from tests.structured.writing import schema_grammar, takes

NODE = {"$ref": "#/$defs/node"}


def holding(value: object, *, required: bool = True, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"v": value}, "required": ["v"] if required else []} | more


def node(value: object, **more: Any) -> dict[str, Any]:
    return {"$defs": {"node": value, **more}, **NODE}


ENDLESS: dict[str, tuple[dict[str, Any], str]] = {
    "by its root": (holding({"$ref": "#"}), "/properties/v"),
    "by a definition": (node(holding(NODE)), "/$defs/node/properties/v"),
    "by two that require each other": (
        node(holding({"$ref": "#/$defs/other"}), other=holding(NODE)),
        "/$defs/node/properties/v",
    ),
    "by its items": (node({"type": "array", "items": NODE, "minItems": 1}), "/$defs/node/items"),
    "by its first item": (node({"type": "array", "prefixItems": [NODE], "minItems": 1}), "/$defs/node/prefixItems/0"),
    "by every alternative": (node({"anyOf": [holding(NODE), holding(NODE)]}), "/$defs/node/anyOf/1/properties/v"),
    "by what stands behind allOf": (node({"allOf": [holding(NODE)]}), "/$defs/node/allOf/0/properties/v"),
    "by nothing but itself": ({"$ref": "#"}, ""),
}
FINITE: dict[str, dict[str, Any]] = {
    "may be null": node(holding({"anyOf": [NODE, {"type": "null"}]})),
    "may be left out": node(holding(NODE, required=False)),
    "may be empty": node(holding({"type": "array", "items": NODE})),
    "may be of another type": node(holding(NODE, type=["object", "null"])),
    "has few enough items": node({"type": "array", "prefixItems": [{"type": "null"}], "items": NODE, "minItems": 1}),
    "is fixed": node(holding(NODE, const={"v": None})),
    "is met twice": {"type": "array", "prefixItems": [NODE, NODE], "minItems": 2, "$defs": {"node": {"type": "null"}}},
    "refers to an anchor": {**holding({"$ref": "#leaf"}), "$defs": {"leaf": {"$anchor": "leaf", "type": "null"}}},
}


@pytest.mark.parametrize(("schema", "pointer"), ENDLESS.values(), ids=ENDLESS.keys())
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "lenient"])
def test_what_requires_itself_is_refused(
    qwen: GrammarCompiler, schema: dict[str, Any], pointer: str, strict: bool
) -> None:
    with pytest.raises(SchemaError, match="requires itself without end") as refused:
        schema_grammar(qwen, schema, strict=strict)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize("schema", FINITE.values(), ids=FINITE.keys())
def test_what_may_end_is_not(schema: dict[str, Any]) -> None:
    check_finite(schema)


def test_arguments_that_require_themselves_cost_a_tool_the_schema_of_that_argument_alone(qwen: GrammarCompiler) -> None:
    """A strict tool is refused."""
    parameters = {"type": "object", "properties": {"n": {"type": "integer"}, "child": {"$ref": "#"}}}
    tool = Tool("plant", parameters={**parameters, "required": ["n", "child"]})
    grammar = qwen.compile_tools([tool], ToolChoice("required"))
    called = '<tool_call>\n{"name": "plant", "arguments": {"n": %s, "child": {}}}\n</tool_call>'
    assert takes(qwen, grammar, called % "1")
    assert not takes(qwen, grammar, called % '"one"')
    with pytest.raises(SchemaError, match="requires itself"):
        qwen.compile_tools([Tool(tool.name, parameters=tool.parameters, strict=True)], ToolChoice("required"))
