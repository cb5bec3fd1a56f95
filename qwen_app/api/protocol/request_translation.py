"""From OpenAI's request fields to the values the engine understands."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from qwen_app.api.protocol.body_reading import read_json
from qwen_app.api.protocol.request_bodies import (
    MAX_STOPS,
    ChatMessage,
    ContentPart,
    NamedToolChoice,
    ResponseFormat,
    SamplingFields,
    ToolDefinition,
)
from qwen_app.engine.base import EngineInfo
from qwen_app.errors import NotFound, RequestError, SchemaError
from qwen_app.messages import GrammarSpec, JsonObject, Message, Role, SamplingParams, Tool, ToolCall, ToolChoice
from qwen_app.service import Service
from qwen_app.structured.schema_check import json_schema

ALIAS = "default"
ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


class ModelNotFound(NotFound):
    code = "model_not_found"


def check_model(name: str, info: EngineInfo) -> None:
    if name not in (info.model, ALIAS):
        raise ModelNotFound(
            f"The model '{name}' does not exist here. This server runs '{info.model}', also called '{ALIAS}'.",
            param="model",
        )


def messages_of(bodies: Sequence[ChatMessage], paths: Sequence[str] = ()) -> tuple[Message, ...]:
    """The conversation. Raises RequestError for what a text model cannot read and for results without a call.

    ``paths`` say where each message came from, for errors; ``messages[i]`` where they are not given.
    """
    called: set[str] = set()
    messages = []
    for index, message in enumerate(bodies):
        path = paths[index] if paths else f"messages[{index}]"
        if message.role == "tool":
            _check_result(message, called, path)
        calls = _calls_of(message, path)
        if calls and message.role != "assistant":
            raise RequestError("Only assistant messages can hold tool_calls.", param=f"{path}.tool_calls")
        called.update(call.id for call in calls)
        content = text_of(message.content, f"{path}.content")
        messages.append(Message(ROLES[message.role], content, calls, message.tool_call_id))
    return tuple(messages)


def _calls_of(message: ChatMessage, path: str) -> tuple[ToolCall, ...]:
    for index, call in enumerate(message.tool_calls or ()):
        if not _is_json_object(call.function.arguments):
            raise RequestError(
                "The arguments of a tool call must be the text of a JSON object.",
                param=f"{path}.tool_calls[{index}].function.arguments",
            )
    return tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ())


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(read_json(text), dict)
    except (ValueError, RecursionError, RequestError):
        return False


def _check_result(message: ChatMessage, called: set[str], path: str) -> None:
    if message.tool_call_id is None:
        raise RequestError("A tool message needs the tool_call_id it answers.", param=f"{path}.tool_call_id")
    if message.tool_call_id not in called:
        raise RequestError(
            f"No assistant message before this one made the call '{message.tool_call_id}'. "
            "Send the assistant message with its tool_calls first.",
            param=f"{path}.tool_call_id",
        )


def text_of(content: str | list[ContentPart] | None, path: str) -> str:
    """The text of a content: a string, a list of text parts, or null for none."""
    if content is None or isinstance(content, str):
        return content or ""
    pieces = []
    for index, part in enumerate(content):
        text = part.refusal if part.type == "refusal" else part.text
        if part.type not in ("text", "refusal", "input_text", "output_text"):
            raise RequestError(f"This model reads text only, not '{part.type}' parts.", param=f"{path}[{index}].type")
        if text is None:
            raise RequestError("A text part needs its text.", param=f"{path}[{index}].text")
        pieces.append(text)
    return "".join(pieces)


def stops_of(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    """The stop strings. Raises RequestError for too many."""
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if len(stops) > MAX_STOPS:
        raise RequestError(f"At most {MAX_STOPS} stop strings, not {len(stops)}.", param="stop")
    return stops


def sampling_of(
    body: SamplingFields,
    service: Service,
    *,
    max_tokens: int | None,
    stop: tuple[str, ...] | None = None,
    logprobs: bool | None = None,
    top_logprobs: int | None = None,
) -> SamplingParams:
    """The model's defaults under what ``body`` chose; the keywords are fields of SamplingParams, None for no choice."""
    return service.sampling(
        temperature=body.temperature,
        # 0 asks for the likeliest token alone, which any mass above 0 gives as well
        top_p=None if body.top_p is None else max(body.top_p, 1e-6),
        top_k=None if body.top_k is None else max(body.top_k, 0),
        min_p=body.min_p,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        repetition_penalty=body.repetition_penalty,
        seed=body.seed,
        max_tokens=max_tokens,
        stop=stop,
        logprobs=logprobs,
        top_logprobs=top_logprobs,
    )


def tools_of(definitions: Sequence[ToolDefinition] | None, path: str = "tools[{}].function.name") -> tuple[Tool, ...]:
    """The tools of a request. Raises RequestError, at ``path`` with the tool's index in it, for a name used twice."""
    tools: dict[str, Tool] = {}
    for index, definition in enumerate(definitions or ()):
        function = definition.function
        if function.name in tools:
            raise RequestError(f"Two tools are called '{function.name}'.", param=path.format(index))
        parameters = function.parameters or {"type": "object", "properties": {}}
        tools[function.name] = Tool(
            function.name, function.description or "", parameters, strict=function.strict is not False
        )
    return tuple(tools.values())


def tool_choice_of(choice: str | NamedToolChoice | None, tools: Sequence[Tool], *, parallel: bool) -> ToolChoice:
    """Whether and which tools are called. Raises RequestError for a choice that names none of ``tools``."""
    if isinstance(choice, NamedToolChoice):
        name = choice.function.name
        if name not in {tool.name for tool in tools}:
            raise RequestError(f"tool_choice names '{name}', which is none of the tools.", param="tool_choice")
        return ToolChoice("named", name, parallel)
    if choice == "required" and not tools:
        raise RequestError("tool_choice 'required' needs tools.", param="tool_choice")
    return ToolChoice("none" if choice == "none" else "required" if choice == "required" else "auto", None, parallel)


def grammar_of(wanted: ResponseFormat | None, choice: ToolChoice, param: str = "response_format") -> GrammarSpec | None:
    """What the answer must look like. ``strict`` has to be asked for: else keywords that cannot be enforced are let
    through, and the finished answer is checked."""
    if wanted is None or wanted.type == "text":
        return None
    if choice.mode in ("required", "named"):
        raise RequestError(
            f"The format '{wanted.type}' and a forced tool call exclude each other. Send one of them.",
            param=param,
        )
    if wanted.type == "json_object":
        return JsonObject()
    schema = wanted.json_schema.schema_ if wanted.json_schema else None
    if wanted.json_schema is None or schema is None:
        where = "schema" if param == "text.format" else "json_schema.schema"
        raise RequestError("The format 'json_schema' needs a schema.", param=f"{param}.{where}")
    try:
        return json_schema(schema, strict=wanted.json_schema.strict is True)
    except SchemaError as error:
        raise SchemaError(str(error), pointer=error.pointer, param=param) from error


def conversation_id(caller: str, messages: Sequence[Message]) -> str:
    """The same for every turn of a chat: made of all up to its first user message."""
    digest = hashlib.sha256(caller.encode())
    for message in messages:
        digest.update(f"\0{message.role}\0{message.content}".encode())
        if message.role == "user":
            break
    return digest.hexdigest()[:32]
