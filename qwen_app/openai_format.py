"""OpenAI's shapes, written once: messages, tools, the choice of a tool, the form of an answer, a whole chat request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import (
    Literal,
    Required,  # pydantic reads those of typing from Python 3.12 on only
)

from typing_extensions import TypedDict

from qwen_app.errors import SchemaError
from qwen_app.messages import (
    GrammarSpec,
    JsonObject,
    JsonSchema,
    Message,
    Role,
    SamplingParams,
    Tool,
    ToolCall,
    ToolChoice,
)
from qwen_app.tools.prompt_format import ToolDict, tool_definition

RequestBody = dict[str, object]  # the JSON of a request, as yet unsent


class FunctionCallBody(TypedDict):
    """``arguments`` is JSON text."""

    name: str
    arguments: str


class ToolCallBody(TypedDict):
    id: str
    type: Literal["function"]
    function: FunctionCallBody


class MessageBody(TypedDict, total=False):
    role: Required[Role]
    content: Required[str | None]
    tool_calls: list[ToolCallBody]
    tool_call_id: str


def message_body(message: Message) -> MessageBody:
    """One message. A message that is nothing but calls has no content."""
    body = MessageBody(role=message.role, content=message.content)
    if message.tool_calls:
        body["content"] = message.content or None
        body["tool_calls"] = [tool_call_body(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def tool_call_body(call: ToolCall) -> ToolCallBody:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def tool_body(tool: Tool, *, strict: bool = False) -> ToolDict:
    """The definition of a tool. ``strict`` is said only where it is True: False keeps some servers from all help."""
    body = tool_definition(tool)
    if strict:
        body["function"]["strict"] = True
    return body


def tool_choice_body(choice: ToolChoice) -> object:
    """A word, or the one tool that must be called."""
    return {"type": "function", "function": {"name": choice.name}} if choice.mode == "named" else choice.mode


def response_format(grammar: GrammarSpec) -> Mapping[str, object]:
    """JSON, of any kind or of a schema. Raises SchemaError for what OpenAI has no words for: a regex, a choice."""
    if isinstance(grammar, JsonObject):
        return {"type": "json_object"}
    if isinstance(grammar, JsonSchema):
        return json_schema_format(grammar.schema, strict=grammar.strict)
    raise SchemaError("OpenAI's API knows no regex and no choice as the form of an answer. Use a JSON schema.")


def json_schema_format(schema: Mapping[str, object], *, strict: bool) -> Mapping[str, object]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": strict}}


def openai_body(
    model: str,
    messages: Sequence[Message],
    sampling: SamplingParams,
    *,
    grammar: GrammarSpec | None = None,
    tools: Sequence[Tool] = (),
    choice: ToolChoice | None = None,
) -> RequestBody:
    """A chat request that asks this app's API for the same answer. The model's own defaults are left to the server."""
    body: RequestBody = {
        "model": model,
        "messages": [message_body(message) for message in messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "response_format": response_format(grammar) if grammar else None,
        "tools": [tool_body(tool, strict=tool.strict) for tool in tools] or None,
        "tool_choice": tool_choice_body(choice) if tools and choice else None,
    }
    return {name: value for name, value in body.items() if value is not None}
