"""From OpenAI's request fields to the values the engine understands."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qwen_app.api.protocol.request_bodies import (
    MAX_STOPS,
    ChatMessage,
    ContentPart,
    MessageToolCall,
    SamplingFields,
)
from qwen_app.engine.base import EngineInfo
from qwen_app.errors import NotFound, RequestError
from qwen_app.messages import Message, Role, SamplingParams, ToolCall
from qwen_app.service import Service
from qwen_app.tools.messages import results_in_call_order

ALIAS = "default"
THOUGHTS = ("thinking", "redacted_thinking", "reasoning")  # parts in which other models' thoughts come back
MAX_ID_DIGITS = 10
ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


class ModelNotFound(NotFound):
    code = "model_not_found"


def check_model(name: str | None, info: EngineInfo) -> None:
    """Raises ModelNotFound for a name that is not the model's. None asks for the one there is."""
    if name is not None and name not in (info.model, ALIAS, *info.aliases):
        also = "', '".join((ALIAS, *info.aliases))
        raise ModelNotFound(
            f"The model '{name}' does not exist here. This server runs '{info.model}', also called '{also}'.",
            param="model",
        )


@dataclass(frozen=True, slots=True)
class MessageSource:
    """A message and where it came from, for errors: the paths of its content, its calls and the call it answers."""

    body: ChatMessage
    content: str
    calls: str
    result: str


def chat_sources(bodies: Sequence[ChatMessage]) -> list[MessageSource]:
    """The messages of a chat, in which newer forms have taken the place of ``function_call`` and role ``function``."""
    sources, last_call = [], ""
    for index, body in enumerate(bodies):
        path = f"messages[{index}]"
        if body.role == "function":
            body = body.model_copy(update={"role": "tool", "tool_call_id": last_call})
        elif body.function_call is not None and not body.tool_calls:
            last_call = f"call_{index}"
            body = body.model_copy(update={"tool_calls": [MessageToolCall(id=last_call, function=body.function_call)]})
        sources.append(MessageSource(body, f"{path}.content", f"{path}.tool_calls", f"{path}.tool_call_id"))
    return sources


def messages_of(sources: Sequence[MessageSource]) -> tuple[Message, ...]:
    """The conversation. Raises RequestError for what a text model cannot read and for results without a call.

    What its calls say is history, and may be any text.
    """
    messages = tuple(_message(source) for source in sources)
    results_in_call_order(messages, [(source.calls, source.result) for source in sources])
    return messages


def _message(source: MessageSource) -> Message:
    body = source.body
    calls = tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in body.tool_calls or ())
    if body.role == "tool" and body.tool_call_id is None:
        raise RequestError("A tool message needs the tool_call_id it answers.", param=source.result)
    answered = body.tool_call_id if body.role == "tool" else None
    text = text_of(body.content or body.refusal, source.content)
    return Message(ROLES[body.role], text, calls, answered)


def text_of(content: str | list[ContentPart] | None, path: str) -> str:
    """The text of a content: a string, a list of text parts, or null for none. Thoughts are left out."""
    if content is None or isinstance(content, str):
        return content or ""
    pieces = []
    for index, part in enumerate(content):
        if part.type in THOUGHTS:
            continue
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
    logprobs: bool | None,
    top_logprobs: int | None,
    prompt_logprobs: bool | None = None,
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
        repetition_penalty=body.repetition_penalty if body.repeat_penalty is None else body.repeat_penalty,
        logit_bias=_biases(body.logit_bias or {}),
        seed=body.seed,
        max_tokens=max_tokens,
        stop=stops_of(body.stop),
        stop_token_ids=tuple(body.stop_token_ids or ()),
        min_tokens=body.min_tokens,
        ignore_eos=body.ignore_eos,
        logprobs=logprobs,
        top_logprobs=top_logprobs,
        prompt_logprobs=prompt_logprobs,
    )


def _biases(biases: Mapping[str, float]) -> tuple[tuple[int, float], ...]:
    for token_id in biases:
        if not (token_id.isascii() and token_id.isdigit() and len(token_id) < MAX_ID_DIGITS):
            raise RequestError("The keys of logit_bias are token ids, as /tokenize gives them.", param="logit_bias")
    return tuple((int(token_id), bias) for token_id, bias in biases.items())


def conversation_id(caller: str, messages: Sequence[Message]) -> str:
    """The same for every turn of a chat: made of all up to its first user message."""
    digest = hashlib.sha256(caller.encode())
    for message in messages:
        digest.update(f"\0{message.role}\0{message.content}".encode())
        if message.role == "user":
            break
    return digest.hexdigest()[:32]
