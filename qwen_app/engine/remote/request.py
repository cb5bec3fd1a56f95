"""Our request as the body that one server understands; what it cannot do is refused with a sentence that says so."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

from qwen_app.engine.remote.server_profile import Dialect
from qwen_app.errors import RequestError, SchemaError
from qwen_app.messages import GenerationRequest, GrammarSpec, Message, Tool, ToolChoice
from qwen_app.tools.messages import ordered
from qwen_app.tools.prompt_format import described

Body = dict[str, Any]


def build_body(request: GenerationRequest, dialect: Dialect, model: str, *, room_tokens: int | None) -> Body:
    """The JSON of a streaming chat or plain completion.

    ``room_tokens`` limits an answer whose request sets no limit; None leaves that to the server. Raises RequestError
    and SchemaError.
    """
    if not request.messages and request.prompt is None:
        raise RequestError("There is nothing to answer: give messages or a prompt.", param="messages")
    body: Body = {"model": model, "stream": True} | _sampling(request, dialect)
    if dialect.usage_option:
        body["stream_options"] = {"include_usage": True}
    chat = request.prompt is None
    limit = min((n for n in (room_tokens, request.sampling.max_tokens) if n is not None), default=None)
    if limit is not None:
        body |= dict.fromkeys(dialect.max_tokens_fields if chat else ("max_tokens",), limit)
    if request.grammar is not None:
        body |= _grammar(request.grammar, dialect)
    if not chat:
        return body | {"prompt": request.prompt} | _logprobs(request, dialect, chat=False)
    body["messages"] = [message_body(message) for message in ordered(request.messages)]
    if dialect.progress:
        body["return_progress"] = True
    return body | _logprobs(request, dialect, chat=True) | _tools(request.tools, request.tool_choice, dialect)


def message_body(message: Message) -> Body:
    body: Body = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["content"] = message.content or None
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def _sampling(request: GenerationRequest, dialect: Dialect) -> Body:
    given = {name: value for name, value in asdict(request.sampling).items() if value is not None}
    given["stop"] = list(request.sampling.stop)
    body: Body = {name: given[name] for name in sorted(dialect.sampling) if name in given}
    body |= {theirs: given[ours] for ours, theirs in dialect.extras.items()}
    if not body.get("stop"):
        body.pop("stop", None)
    if dialect.refuses_top_p_one and body["top_p"] >= 1.0:
        del body["top_p"]
    return body


def _logprobs(request: GenerationRequest, dialect: Dialect, *, chat: bool) -> Body:
    sampling = request.sampling
    if not sampling.logprobs:
        return {}
    if not dialect.logprobs:
        raise RequestError(f"{dialect.title} returns no log-probabilities.", param="logprobs")
    return {"logprobs": True, "top_logprobs": sampling.top_logprobs} if chat else {"logprobs": sampling.top_logprobs}


def _tools(tools: tuple[Tool, ...], choice: ToolChoice, dialect: Dialect) -> Body:
    """``named`` becomes ``required`` with that one tool where the server knows no names."""
    if not tools or (choice.mode == "none" and dialect.tool_choice != "all"):
        return {}
    named = choice.mode == "named"
    narrowed = named and dialect.tool_choice == "strings"
    bodies = [described(tool) for tool in tools if not narrowed or tool.name == choice.name]
    if dialect.strict_tools:
        bodies = [body | {"function": body["function"] | {"strict": True}} for body in bodies]
    body: Body = {"tools": bodies}
    if dialect.tool_choice == "all" and named:
        body["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif dialect.tool_choice != "none":
        body["tool_choice"] = "required" if narrowed else choice.mode
    if not choice.parallel and dialect.parallel_tool_calls:
        body["parallel_tool_calls"] = False
    return body


def _grammar(spec: GrammarSpec, dialect: Dialect) -> Body:
    if spec.kind in ("regex", "choice"):
        return _pattern(spec, dialect)
    if dialect.formats == "none":
        raise SchemaError(f"{dialect.title} cannot hold an answer to JSON. Use another server, or no JSON mode.")
    schema = json.loads(spec.text) if spec.kind == "json_schema" else {"type": "object"}
    if dialect.formats == "tgi":
        return {"response_format": {"type": "json_object", "value": schema}}
    if spec.kind == "json_object" and dialect.formats == "openai":
        return {"response_format": {"type": "json_object"}}
    named = {"name": "answer", "schema": schema, "strict": spec.strict}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _pattern(spec: GrammarSpec, dialect: Dialect) -> Body:
    """A regex, or one of several strings, in the server's own field."""
    choices: list[str] = json.loads(spec.text) if spec.kind == "choice" else []
    expression = "|".join(f"({re.escape(choice)})" for choice in choices) if choices else spec.text
    if dialect.grammar == "vllm":
        return {"structured_outputs": {"choice": choices} if choices else {"regex": expression}}
    if dialect.grammar == "sglang":
        return {"regex": expression}
    if dialect.grammar == "tgi":
        return {"response_format": {"type": "regex", "value": expression}}
    if dialect.grammar == "gbnf" and choices:
        return {"grammar": "root ::= " + " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)}
    raise SchemaError(f"{dialect.title} cannot hold an answer to a {spec.kind}. Use a JSON schema.")
