"""Our request as the body that one server understands; what it cannot do is refused with a sentence that says so."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict

from qwen_app.engine.remote.connection.server_info import ServerInfo
from qwen_app.engine.remote.connection.server_profile import ServerProfile
from qwen_app.engine.remote.tools_as_prompt import check_tool_choice, is_call_forced, with_tools_as_prompt
from qwen_app.errors import RequestError, SchemaError
from qwen_app.messages import (
    GenerationRequest,
    GrammarSpec,
    JsonSchema,
    Regex,
    StringChoice,
    TemplateOptions,
    Tool,
    ToolChoice,
)
from qwen_app.openai_format import (
    RequestBody,
    json_schema_format,
    message_body,
    response_format,
    tool_body,
    tool_choice_body,
)
from qwen_app.tools.messages import results_in_call_order

MUST_BE_HEEDED = ("logit_bias", "stop_token_ids", "min_tokens", "ignore_eos")  # or the answer is another one


def build_body(
    request: GenerationRequest,
    server: ServerInfo,
    *,
    room_tokens: int | None,
    tools_refused: bool,
    by_schema: bool,
) -> RequestBody:
    """The JSON of a streaming chat or plain completion.

    ``room_tokens`` limits the answer as ``max_tokens`` does; None where there is no need to. ``tools_refused`` says
    that the server takes no tools, so that they are written into the prompt; ``by_schema`` that it makes no call it is
    forced to, so that one is had by a schema. Raises RequestError and SchemaError.
    """
    check_tool_choice(request)
    profile = server.profile
    request = with_tools_as_prompt(request, profile, tools_refused=tools_refused, by_schema=by_schema)
    if not request.messages and request.prompt is None:
        raise RequestError("There is nothing to answer: give messages or a prompt.", param="messages")
    body: RequestBody = {"model": server.model, "stream": True}
    if profile.stream_options:
        body["stream_options"] = {"include_usage": True}
    body |= _sampling(request, profile) | _token_limit(request, profile, room_tokens)
    if request.grammar is not None:
        body |= _grammar(request.grammar, profile)
    if request.prompt is not None:
        return body | _prompt(request) | _logprobs(request, profile)
    body |= _template(request, profile)
    body["messages"] = [message_body(message) for message in results_in_call_order(request.messages)]
    if profile.reports_progress:
        body["return_progress"] = True
    return body | _logprobs(request, profile) | _tools(request.tools, request.tool_choice, profile)


def _prompt(request: GenerationRequest) -> RequestBody:
    if request.sampling.prompt_logprobs:
        raise RequestError("Log-probabilities of the prompt are not to be had from a remote server.", param="echo")
    body: RequestBody = {"prompt": request.prompt if isinstance(request.prompt, str) else list(request.prompt or ())}
    return body if request.suffix is None else body | {"suffix": request.suffix}


def _template(request: GenerationRequest, profile: ServerProfile) -> RequestBody:
    """How the server is to use its chat template. Raises RequestError where it would take no notice."""
    wanted = request.template
    if wanted == TemplateOptions():
        return {}
    if not profile.template_options:
        if wanted.continue_final:
            sentence = f"{profile.title} begins every answer anew. End the conversation with a user message."
            raise RequestError(sentence, param="continue_final_message")
        raise RequestError(
            f"{profile.title} uses its chat template in its own way only. "
            "Leave out add_generation_prompt and chat_template_kwargs.",
            param="chat_template_kwargs",
        )
    body: RequestBody = {"chat_template_kwargs": dict(wanted.variables)} if wanted.variables else {}
    continued = wanted.continue_final and not profile.continues_unasked
    if continued or not wanted.open_answer:
        body |= {"continue_final_message": continued, "add_generation_prompt": False}
    return body


def _sampling(request: GenerationRequest, profile: ServerProfile) -> RequestBody:
    prose = request.grammar is None and not is_call_forced(request)  # a stop string would cut a document or a call
    params: dict[str, object] = asdict(request.sampling) | {
        "stop": (list(request.sampling.stop) or None) if prose else None,
        "stop_token_ids": (list(request.sampling.stop_token_ids) or None) if prose else None,
        "logit_bias": {str(token_id): bias for token_id, bias in request.sampling.logit_bias} or None,
        "min_tokens": request.sampling.min_tokens or None,
        "ignore_eos": request.sampling.ignore_eos or None,
    }
    body = {name: params[name] for name in sorted(profile.sampling) if params[name] is not None}
    body |= {theirs: params[ours] for ours, theirs in profile.sampling_names.items()}
    for name in MUST_BE_HEEDED:
        if params[name] is None:
            continue
        if name not in profile.heeds:
            raise RequestError(f"{profile.title} does not know {name}. Leave it out.", param=name)
        body[name] = params[name]
    if profile.refuses_top_p_one and request.sampling.top_p >= 1.0:
        body.pop("top_p", None)
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
    offered = [tool for tool in tools if not narrowed or tool.name == choice.name]
    body: RequestBody = {"tools": [tool_body(tool, strict=tool.strict or profile.strict_tools) for tool in offered]}
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
