from __future__ import annotations

import pytest

from qwen_app.errors import SchemaError
from qwen_app.messages import JsonSchema, Tool, ToolChoice
from qwen_app.structured.grammars.byte_grammar import byte_compiler
from qwen_app.structured.grammars.compiler import GrammarCompiler
from qwen_app.structured.schema_check import json_schema
from qwen_app.ui.json_lab.schema_library import EXAMPLES, SchemaExample


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.key)
def test_the_library_can_be_enforced(example: SchemaExample) -> None:
    assert byte_compiler().compile(JsonSchema(example.schema)).source.exact


@pytest.mark.slow
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string", "contains": {}}}},
        {"type": "array", "uniqueItems": True},
        {"type": "string", "minLength": 3, "maxLength": 1},
        {"$ref": "http://elsewhere.invalid"},
        {"type": "string", "pattern": "^[a-z]+$", "maxLength": 4},
    ],
)
def test_it_says_what_a_model_s_compiler_says(schema: object, qwen: GrammarCompiler) -> None:
    def said(compiler: GrammarCompiler) -> tuple[str, str]:
        try:
            compiler.compile(json_schema(schema))
        except SchemaError as error:
            return error.message, error.pointer
        return "", ""

    assert said(byte_compiler()) == said(qwen)


def test_tools_too() -> None:
    with pytest.raises(SchemaError, match="contains at /properties/a"):
        byte_compiler().compile_tools(
            [Tool("bad", parameters={"properties": {"a": {"contains": {}}}}, strict=True)], ToolChoice("required")
        )


def test_more_optional_properties_than_can_be_enforced_are_named_as_the_cause() -> None:
    names = [f"p{number}" for number in range(2_000)]
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    with pytest.raises(SchemaError, match="500 optional properties of one object"):
        byte_compiler().compile(JsonSchema(schema))
    byte_compiler().compile(JsonSchema({**schema, "required": names[:1_600]}))
