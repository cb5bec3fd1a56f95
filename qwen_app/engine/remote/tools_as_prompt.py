"""Tools for servers that cannot take them, or cannot be made to call one: written into the prompt."""

from __future__ import annotations

from dataclasses import replace

from qwen_app.engine.remote.connection.server_profile import ServerProfile
from qwen_app.errors import RequestError
from qwen_app.messages import GenerationRequest, JsonSchema, Tool
from qwen_app.tools.messages import results_in_call_order
from qwen_app.tools.prompt_format import as_plain_messages


def is_call_forced(request: GenerationRequest) -> bool:
    return bool(request.tools) and request.tool_choice.forced


def check_tool_choice(request: GenerationRequest) -> None:
    """Raises RequestError for a choice that no server could honour."""
    choice = request.tool_choice
    if choice.mode == "named" and choice.name not in {tool.name for tool in request.tools}:
        raise RequestError(f"tool_choice names {choice.name!r}, which is not among the tools.", param="tool_choice")
    if choice.mode == "required" and not request.tools:
        raise RequestError("tool_choice is required, and there are no tools.", param="tool_choice")
    if is_call_forced(request) and request.grammar is not None:
        raise RequestError("A forced tool call and response_format exclude each other.", param="response_format")


def with_tools_as_prompt(
    request: GenerationRequest, profile: ServerProfile, *, tools_refused: bool, by_schema: bool
) -> GenerationRequest:
    """``request`` with its tools as Qwen2.5's text where the server needs that, else as it is.

    ``tools_refused`` says that the server refused the field, ``by_schema`` that it heeds no choice of a tool. A forced
    call is the JSON of a call, held to by a schema. Raises RequestError where the server can do neither.
    """
    by_schema = is_call_forced(request) and (by_schema or profile.tool_choice == "none")
    if not (tools_refused or by_schema):
        return request
    grammar = request.grammar
    if is_call_forced(request):
        if profile.json_formats == "none":
            sentence = f"{profile.title} cannot be made to call a tool. Use tool_choice auto."
            raise RequestError(sentence, param="tool_choice")
        grammar = JsonSchema(_call_schema(request))
    return replace(written_out(request), grammar=grammar)


def written_out(request: GenerationRequest) -> GenerationRequest:
    """``request`` without tools, whose messages say all of them."""
    offered = request.tools if request.tool_choice.mode != "none" else ()
    messages = as_plain_messages(results_in_call_order(request.messages), offered)
    return replace(request, messages=messages, tools=())


def _call_schema(request: GenerationRequest) -> dict[str, object]:
    offered = [tool for tool in request.tools if request.tool_choice.name in (None, tool.name)]
    calls = [_one_call(tool) for tool in offered]
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


def _one_call(tool: Tool) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {"name": {"enum": [tool.name]}, "arguments": tool.parameters},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
