"""Tools as people write them: a JSON list in the shape of OpenAI's ``tools``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from qwen_app.errors import AppError, SchemaError
from qwen_app.messages import Tool
from qwen_app.sandbox.checks import checks
from qwen_app.structured.schema_bounds import check_whole_characters
from qwen_app.structured.schema_check import Schema, check_numbers, check_schema, read_json
from qwen_app.tools.prompt_format import tool_definition

LIMIT_BYTES = 256 * 1024
LIMIT_TOOLS = 64
TOOL_OF_PARAM = re.compile(r"tools\[(\d+)\]")  # in errors about tools
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
NO_PARAMETERS: Schema = {"type": "object", "properties": {}}


def parse_tools(text: str) -> tuple[Tool, ...]:
    """The tools in ``text``; none when it is blank.

    Raises SchemaError with a sentence that names the JSON pointer of what is wrong.
    """
    if not text.strip():
        return ()
    if len(text.encode(errors="replace")) > LIMIT_BYTES:
        raise SchemaError(f"The tools are larger than {LIMIT_BYTES // 1024} KB. Leave some out.", param="tools")
    definitions = _definitions(text)
    if not isinstance(definitions, list):
        raise _wrong("", 'The tools must be a JSON list: [{"type": "function", "function": {...}}].')
    if len(definitions) > LIMIT_TOOLS:
        raise _wrong("", f"At most {LIMIT_TOOLS} tools can be offered; there are {len(definitions)}.")
    tools = tuple(_tool(definition, f"/{index}") for index, definition in enumerate(definitions))
    _check_names(tools)
    return tools


def _definitions(text: str) -> object:
    try:
        return read_json(text, "The tools are")
    except SchemaError as error:
        raise SchemaError(error.message, param="tools") from error


async def usable_tools(text: str, user: str) -> tuple[Tool, ...]:
    """The tools in ``text``. Raises SchemaError for what could not be offered, found without the model, and OverBudget
    for what cannot be found out cheaply."""
    tools = parse_tools(text)
    if not tools:
        return tools
    try:
        await checks().check_grammar(None, tools, user=user, thorough=True)
    except SchemaError as error:
        place = TOOL_OF_PARAM.match(error.param or "")
        if place is None:
            raise
        raise _wrong(f"/{place[1]}/function/parameters{error.pointer}", error.message) from error
    return tools


async def tools_or_problem(text: str, user: str) -> tuple[tuple[Tool, ...], AppError | None]:
    """``usable_tools``, or why there are none."""
    try:
        return await usable_tools(text, user), None
    except AppError as problem:
        return (), problem


def _tool(definition: object, pointer: str) -> Tool:
    function = definition.get("function") if isinstance(definition, dict) else None
    if not isinstance(definition, dict) or not isinstance(function, dict) or definition.get("type") != "function":
        raise _wrong(pointer, 'A tool must look like {"type": "function", "function": {"name": ...}}.')
    name, description = function.get("name"), function.get("description") or ""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise _wrong(f"{pointer}/function/name", "A tool needs a name of 1 to 64 letters, digits, _ and -.")
    if not isinstance(description, str):
        raise _wrong(f"{pointer}/function/description", "A tool's description must be text.")
    check_whole_characters(description, f"{pointer}/function/description")
    parameters = _parameters(function.get("parameters"), f"{pointer}/function/parameters")
    return Tool(name, description, parameters, strict=function.get("strict") is True)


def _parameters(parameters: object, pointer: str) -> Schema:
    if parameters is None:
        return NO_PARAMETERS
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        raise _wrong(pointer, 'The parameters must be a JSON Schema of type "object".')
    try:
        schema = check_schema(parameters)
        check_numbers(schema)
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


def with_tools(definitions: str, wanted: Mapping[str, Tool], known: Mapping[str, Tool]) -> str:
    """The definitions with exactly the ``wanted`` of the ``known`` tools, in place; the visitor's own stay.

    What cannot be read is left as it is, for nothing may be lost.
    """
    try:
        parse_tools(definitions)
    except SchemaError:
        return definitions
    written = json.loads(definitions) if definitions.strip() else []
    kept = [one for one in written if one["function"]["name"] not in known or one["function"]["name"] in wanted]
    names = {one["function"]["name"] for one in kept}
    added = [tool_definition(tool) for name, tool in wanted.items() if name not in names]
    return definitions_text([*kept, *added])


def definitions_text(definitions: Sequence[object]) -> str:
    return json.dumps(definitions, ensure_ascii=False, indent=2)
