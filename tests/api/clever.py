"""A scripted stand-in for a clever model: it calls the tool it is given, follows the schema, and answers results."""

from __future__ import annotations

import json
from typing import Any

from qwen_app.messages import GenerationRequest, JsonSchema, Tool, ToolCallDelta
from qwen_app.testing.scripted_engine import Script

GREETING = "Ahoy 你好 こんにちは"


def clever(request: GenerationRequest) -> Script:
    last = request.messages[-1]
    if request.grammar is not None:
        schema = request.grammar.schema if isinstance(request.grammar, JsonSchema) else JOKE
        return Script(pieces(json.dumps(filled(schema, schema), ensure_ascii=False)))
    if request.tools and request.tool_choice.mode != "none" and last.role == "user":
        return Script((), call(wanted(request)))
    return Script(pieces("It is what the tool says."))


JOKE = {"type": "object", "properties": {"setup": {"type": "string"}, "punchline": {"type": "string"}}}


def wanted(request: GenerationRequest) -> Tool:
    return next((tool for tool in request.tools if tool.name == request.tool_choice.name), request.tools[0])


def call(tool: Tool) -> tuple[ToolCallDelta, ...]:
    arguments = json.dumps(filled(tool.parameters, tool.parameters), ensure_ascii=False)
    parts = tuple(ToolCallDelta(0, arguments=piece) for piece in pieces(arguments))
    return (ToolCallDelta(0, f"call_{tool.name}", tool.name), *parts)


def pieces(text: str) -> tuple[str, ...]:
    return tuple(text[start : start + 4] for start in range(0, len(text), 4))


def filled(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """A document for ``schema`` with every property there is."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    if "anyOf" in schema:
        schema = schema["anyOf"][0]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: filled(part, root) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [filled(schema["items"], root)]
        case "integer" | "number":
            return 3
        case "boolean":
            return True
        case _:
            return GREETING
