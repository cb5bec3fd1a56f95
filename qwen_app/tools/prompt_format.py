"""Qwen2.5's written form of tools, calls and results, as its chat template prints them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict

from qwen_app.messages import Message, Tool, ToolCall

CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"
RESULT_OPEN, RESULT_CLOSE = "<tool_response>", "</tool_response>"
DEFAULT_SYSTEM = "You are a helpful assistant."

BEFORE_TOOLS = (
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
AFTER_TOOLS = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)


class FunctionDict(TypedDict):
    """What OpenAI's API and the chat template call a function. ``strict`` is the API's alone."""

    name: str
    description: str
    parameters: dict[str, object]
    strict: NotRequired[bool]


class ToolDict(TypedDict):
    """A tool in OpenAI's shape."""

    type: Literal["function"]
    function: FunctionDict


def tool_definition(tool: Tool) -> ToolDict:
    """``tool`` in OpenAI's shape, which is what the template prints, with the key order of its parameters kept."""
    function: FunctionDict = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def tools_section(tools: Sequence[Tool]) -> str:
    """What follows the system text when there are tools: one JSON object a line, then how to call them."""
    lines = "".join("\n" + json.dumps(tool_definition(tool), ensure_ascii=False) for tool in tools)
    return BEFORE_TOOLS + lines + AFTER_TOOLS


def call_text(call: ToolCall) -> str:
    """A call as the model writes it. The text of the arguments stays as it is, so that a cached prefix still fits."""
    name, arguments = json.dumps(call.name, ensure_ascii=False), call.arguments or "{}"
    return f'{CALL_OPEN}\n{{"name": {name}, "arguments": {arguments}}}\n{CALL_CLOSE}'


def result_text(content: str) -> str:
    return f"{RESULT_OPEN}\n{content}\n{RESULT_CLOSE}"


def as_plain_messages(messages: Sequence[Message], tools: Sequence[Tool]) -> tuple[Message, ...]:
    """The conversation for a template that knows no tools, with the text Qwen2.5's own template would make.

    Tools go to the end of the system text, calls into the assistant's text, and results that follow one another into
    one user turn. ``messages`` are in the order of ``tools.messages.results_in_call_order``.
    """
    plain: list[Message] = []
    if tools:
        first = messages[0] if messages and messages[0].role == "system" else None
        plain.append(Message("system", (first.content if first else DEFAULT_SYSTEM) + tools_section(tools)))
        messages = messages[1:] if first else messages
    previous = ""
    for message in messages:
        if message.role == "tool" and previous == "tool":
            plain[-1] = Message("user", f"{plain[-1].content}\n{result_text(message.content)}")
        elif message.role == "tool":
            plain.append(Message("user", result_text(message.content)))
        elif message.tool_calls:
            parts = [message.content] if message.content else []
            plain.append(Message(message.role, "\n".join([*parts, *map(call_text, message.tool_calls)])))
        else:
            plain.append(message)
        previous = message.role
    return tuple(plain)
