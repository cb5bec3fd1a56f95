"""Tools as people write them: a JSON list in the shape of OpenAI's ``tools``."""

from __future__ import annotations

import json
import re
from typing import Any

from qwen_app.errors import SchemaError
from qwen_app.messages import Tool
from qwen_app.structured.schema_check import check_integers, check_schema
from qwen_app.structured.validation import check_against_draft

LIMIT_BYTES = 256 * 1024
LIMIT_TOOLS = 64
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


def parse_tools(text: str) -> tuple[Tool, ...]:
    """The tools in ``text``; none when it is blank.

    Raises SchemaError with a sentence that names the JSON pointer of what is wrong.
    """
    if not text.strip():
        return ()
    if len(text.encode(errors="replace")) > LIMIT_BYTES:
        raise SchemaError(f"The tools are larger than {LIMIT_BYTES // 1024} KB. Leave some out.", param="tools")
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"The tools are not valid JSON: {error}.", param="tools") from error
    if not isinstance(given, list):
        raise _wrong("", 'The tools must be a JSON list: [{"type": "function", "function": {...}}].')
    if len(given) > LIMIT_TOOLS:
        raise _wrong("", f"At most {LIMIT_TOOLS} tools can be offered; there are {len(given)}.")
    tools = tuple(_tool(one, f"/{index}") for index, one in enumerate(given))
    _check_names(tools)
    return tools


def _tool(given: Any, pointer: str) -> Tool:
    function = given.get("function") if isinstance(given, dict) else None
    if not isinstance(function, dict) or given.get("type") != "function":
        raise _wrong(pointer, 'A tool must look like {"type": "function", "function": {"name": ...}}.')
    name, description = function.get("name"), function.get("description") or ""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise _wrong(f"{pointer}/function/name", "A tool needs a name of 1 to 64 letters, digits, _ and -.")
    if not isinstance(description, str):
        raise _wrong(f"{pointer}/function/description", "A tool's description must be text.")
    parameters = _parameters(function.get("parameters"), f"{pointer}/function/parameters")
    return Tool(name, description, parameters, strict=function.get("strict") is not False)


def _parameters(given: Any, pointer: str) -> dict[str, Any]:
    if given is None:
        return NO_PARAMETERS
    if not isinstance(given, dict) or given.get("type", "object") != "object":
        raise _wrong(pointer, 'The parameters must be a JSON Schema of type "object".')
    try:
        schema = check_schema(given)
        check_integers(schema)
        check_against_draft(schema)
    except SchemaError as error:
        raise _wrong(pointer + error.pointer, error.message) from error
    except RecursionError as error:
        raise _wrong(pointer, "The parameters are nested too deep.") from error
    return schema


def _check_names(tools: tuple[Tool, ...]) -> None:
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        if tool.name in seen:
            raise _wrong(f"/{index}/function/name", f"Two tools are called {tool.name}. Rename one of them.")
        seen.add(tool.name)


def _wrong(pointer: str, sentence: str) -> SchemaError:
    return SchemaError(f"{sentence} (at {pointer or '/'})", pointer=pointer, param="tools")
