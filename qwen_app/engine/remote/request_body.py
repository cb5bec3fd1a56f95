"""Our request as the body that one server understands; what it cannot do is refused with a sentence that says so."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict

from qwen_app.engine.remote.server_info import ServerInfo
from qwen_app.engine.remote.server_profile import ServerProfile
from qwen_app.engine.remote.tools_as_prompt import check_tool_choice, with_tools_as_prompt
from qwen_app.errors import RequestError, SchemaError
from qwen_app.messages import GenerationRequest, GrammarSpec, JsonSchema, Regex, StringChoice, Tool, ToolChoice
from qwen_app.openai_format import (
    RequestBody,
    json_schema_format,
    message_body,
    response_format,
    tool_body,
    tool_choice_body,
)
from qwen_app.tools.messages import results_in_call_order


def build_body(
    request: GenerationRequest, server: ServerInfo, *, room_tokens: int | None, tools_refused: bool
) -> RequestBody:
    """The JSON of a streaming chat or plain completion.

    ``room_tokens`` limits the answer as ``max_tokens`` does; None where there is no need to. ``tools_refused`` says
    that the server takes no tools, so that they are written into the prompt. Raises RequestError and SchemaError.
    """
    check_tool_choice(request)
    profile = server.profile
    request = with_tools_as_prompt(request, profile, tools_refused=tools_refused)
    if not request.messages and request.prompt is None:
        raise RequestError("There is nothing to answer: give messages or a prompt.", param="messages")
    body: RequestBody = {"model": server.model, "stream": True, "stream_options": {"include_usage": True}}
    body |= _sampling(request, profile) | _token_limit(request, profile, room_tokens)
    if request.grammar is not None:
        body |= _grammar(request.grammar, profile)
    if request.prompt is not None:
        return body | {"prompt": request.prompt} | _logprobs(request, profile)
    body["messages"] = [message_body(message) for message in results_in_call_order(request.messages)]
    if profile.reports_progress:
        body["return_progress"] = True
    return body | _logprobs(request, profile) | _tools(request.tools, request.tool_choice, profile)


def _sampling(request: GenerationRequest, profile: ServerProfile) -> RequestBody:
    params: dict[str, object] = asdict(request.sampling) | {"stop": list(request.sampling.stop) or None}
    body = {name: params[name] for name in sorted(profile.sampling) if params[name] is not None}
    body |= {theirs: params[ours] for ours, theirs in profile.sampling_names.items()}
    if profile.refuses_top_p_one and request.sampling.top_p >= 1.0:
        del body["top_p"]
    return body


def _token_limit(request: GenerationRequest, profile: ServerProfile, room_tokens: int | None) -> RequestBody:
    limit = min((tokens for tokens in (room_tokens, request.sampling.max_tokens) if tokens is not None), default=None)
    if limit is None:
        return {}
    return dict.fromkeys(profile.max_tokens_fields if request.prompt is None else ("max_tokens",), limit)


def _logprobs(request: GenerationRequest, profile: ServerProfile) -> RequestBody:
    sampling = request.sampling
    if not sampling.logprobs:
        return {}
    if not profile.logprobs:
        raise RequestError(f"{profile.title} returns no log-probabilities.", param="logprobs")
    if request.prompt is not None:
        return {"logprobs": sampling.top_logprobs}
    return {"logprobs": True, "top_logprobs": sampling.top_logprobs}


def _tools(tools: tuple[Tool, ...], choice: ToolChoice, profile: ServerProfile) -> RequestBody:
    """``named`` becomes ``required`` with that one tool where the server knows no names."""
    if not tools or (choice.mode == "none" and profile.tool_choice != "all"):
        return {}
    narrowed = choice.mode == "named" and profile.tool_choice == "words"
    strict = True if profile.strict_tools else None
    offered = [tool for tool in tools if not narrowed or tool.name == choice.name]
    body: RequestBody = {"tools": [tool_body(tool, strict=strict) for tool in offered]}
    if profile.tool_choice != "none":
        body["tool_choice"] = "required" if narrowed else tool_choice_body(choice)
    if not choice.parallel and profile.parallel_tool_calls:
        body["parallel_tool_calls"] = False
    return body


def _grammar(grammar: GrammarSpec, profile: ServerProfile) -> RequestBody:
    if isinstance(grammar, Regex | StringChoice):
        return _pattern(grammar, profile)
    if profile.json_formats == "none":
        raise SchemaError(f"{profile.title} cannot hold an answer to JSON. Use another server, or no JSON mode.")
    if profile.json_formats == "openai":
        return {"response_format": response_format(grammar)}
    schema: Mapping[str, object] = grammar.schema if isinstance(grammar, JsonSchema) else {"type": "object"}
    if profile.json_formats == "schema_as_value":
        return {"response_format": {"type": "json_object", "value": schema}}
    return {"response_format": json_schema_format(schema, strict=not isinstance(grammar, JsonSchema) or grammar.strict)}


def _pattern(grammar: Regex | StringChoice, profile: ServerProfile) -> RequestBody:
    """A regex, or one of several strings, in the server's own field."""
    choices = grammar.options if isinstance(grammar, StringChoice) else ()
    alternatives = "|".join(f"({re.escape(choice)})" for choice in choices)
    expression = grammar.pattern if isinstance(grammar, Regex) else alternatives
    if profile.pattern_field == "structured_outputs":
        return {"structured_outputs": {"choice": list(choices)} if choices else {"regex": expression}}
    if profile.pattern_field == "regex":
        return {"regex": expression}
    if profile.pattern_field == "response_format":
        return {"response_format": {"type": "regex", "value": expression}}
    if profile.pattern_field == "grammar" and choices:
        return {"grammar": "root ::= " + " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)}
    kind = "choice" if choices else "regex"
    raise SchemaError(f"{profile.title} cannot hold an answer to a {kind}. Use a JSON schema.")
