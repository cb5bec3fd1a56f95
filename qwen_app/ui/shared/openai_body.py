"""A request of the page as the body of the API's ``/v1/chat/completions``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from qwen_app.messages import GrammarSpec, Message, SamplingParams, Tool, ToolChoice
from qwen_app.tools.prompt_format import described

Body = dict[str, object]  # JSON


def openai_body(
    model: str,
    messages: Sequence[Message],
    sampling: SamplingParams,
    *,
    grammar: GrammarSpec | None = None,
    tools: Sequence[Tool] = (),
    choice: ToolChoice | None = None,
) -> Body:
    """The body that asks for the same answer. What the model's own defaults say is left to the server."""
    body: Body = {
        "model": model,
        "messages": [_message(message) for message in messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "response_format": _format(grammar),
        "tools": [_definition(tool) for tool in tools] or None,
        "tool_choice": _choice(choice) if tools and choice else None,
    }
    return {name: value for name, value in body.items() if value is not None}


def _message(message: Message) -> Body:
    body: Body = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def _format(grammar: GrammarSpec | None) -> Body | None:
    if grammar is None:
        return None
    if grammar.kind != "json_schema":
        return {"type": "json_object"}
    schema = {"name": "answer", "schema": json.loads(grammar.text), "strict": grammar.strict}
    return {"type": "json_schema", "json_schema": schema}


def _definition(tool: Tool) -> Body:
    """The API takes ``strict`` for granted."""
    definition = described(tool)
    if not tool.strict:
        definition["function"]["strict"] = False
    return definition


def _choice(choice: ToolChoice) -> str | Body:
    return {"type": "function", "function": {"name": choice.name}} if choice.mode == "named" else choice.mode
