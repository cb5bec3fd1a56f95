"""``POST /v1/chat/completions``."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse, Response

from qwen_app.api.answer import Answer, call_head, finish_reason, logprobs_body, usage_of
from qwen_app.api.errors import api_error
from qwen_app.api.gate import Visit
from qwen_app.api.generation import Generation
from qwen_app.api.schema import ChatRequest
from qwen_app.api.sse import DONE, EventStream, event, while_connected
from qwen_app.api.translate import (
    check_model,
    conversation_id,
    grammar_of,
    messages_of,
    sampling_of,
    tool_choice_of,
    tools_of,
    with_json_hint,
)
from qwen_app.errors import RequestError
from qwen_app.messages import Delta, Event, Finished, GenerationRequest, TokenLogprob, ToolCallDelta, ToolChoice
from qwen_app.service import Service


async def answer_chat(service: Service, body: ChatRequest, visit: Visit) -> Response:
    """The answer to ``body``. Everything that can be refused is refused before the status line is sent."""
    check_model(body.model, service.info())
    asked = chat_request(service, body, visit)
    shape = ChatShape.of(service, visit, asked.tool_choice)
    generation = Generation(service, choices_of(asked, body.n or 1), visit.caller.hold())
    await generation.admit()
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        stream = ChatStream(shape, with_usage=usage, with_logprobs=bool(body.logprobs))
        return EventStream(stream.chunks(generation), generation.aclose)
    return await while_connected(visit.receive, _whole(generation, shape, body))


def chat_request(service: Service, body: ChatRequest, visit: Visit) -> GenerationRequest:
    tools = tools_of(body.tools)
    choice = tool_choice_of(body, tools)
    messages = messages_of(body.messages)
    grammar = grammar_of(body.response_format, choice)
    if body.top_logprobs and not body.logprobs:
        raise RequestError("top_logprobs needs logprobs: true.", param="top_logprobs")
    return GenerationRequest(
        visit.request_id,
        with_json_hint(messages) if grammar and grammar.kind == "json_object" else messages,
        sampling=sampling_of(
            body,
            service,
            max_tokens=body.max_completion_tokens or body.max_tokens,
            logprobs=bool(body.logprobs),
            top_logprobs=body.top_logprobs or 0,
        ),
        user=visit.caller.name,
        conversation_id=conversation_id(visit.caller.name, messages),
        tools=tools,
        tool_choice=choice,
        grammar=grammar,
    )


def choices_of(asked: GenerationRequest, n: int) -> list[GenerationRequest]:
    """``n`` requests that differ in their id and, where one is given, in their seed."""
    if n == 1:
        return [asked]
    seed = asked.sampling.seed
    return [
        dataclasses.replace(
            asked,
            request_id=f"{asked.request_id}-{index}",
            sampling=dataclasses.replace(asked.sampling, seed=None if seed is None else seed + index),
        )
        for index in range(n)
    ]


@dataclass(frozen=True, slots=True)
class ChatShape:
    """What every body and chunk of one answer repeats."""

    id: str
    created: int
    model: str
    fingerprint: str
    tool_choice: ToolChoice

    @classmethod
    def of(cls, service: Service, visit: Visit, tool_choice: ToolChoice) -> ChatShape:
        info = service.info()
        fingerprint = f"{info.revision[:12]}-{info.precision}"
        return cls(f"chatcmpl-{visit.request_id}", int(time.time()), info.model, fingerprint, tool_choice)

    def head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }


async def _whole(generation: Generation, shape: ChatShape, body: ChatRequest) -> Response:
    answers = [Answer() for _ in range(body.n or 1)]
    async with aclosing(generation):
        async for index, event_ in generation.events():
            answers[index].add(event_)
    choices = [_choice(index, answer, shape, body) for index, answer in enumerate(answers)]
    usage = usage_of([answer.finished for answer in answers if answer.finished])
    return JSONResponse({**shape.head("chat.completion"), "choices": choices, "usage": usage.model_dump()})


def _choice(index: int, answer: Answer, shape: ChatShape, body: ChatRequest) -> dict[str, Any]:
    calls = [answer.calls[key] for key in sorted(answer.calls)]
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
    if calls:
        message |= {"content": answer.text or None, "tool_calls": calls}
    if answer.finished is None:
        raise RuntimeError("an answer ended without its last event")
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs_body(answer.logprobs) if body.logprobs else None,
        "finish_reason": finish_reason(answer.finished, shape.tool_choice, called=bool(calls)),
    }


@dataclass(slots=True)
class ChatStream:
    """Writes an answer's events as chunks. The constant part of a chunk is made once: it is sent for every token."""

    shape: ChatShape
    with_usage: bool
    with_logprobs: bool
    _head: bytes = b""
    _tail: bytes = b""
    _text_tail: bytes = b""
    _held: dict[int, list[TokenLogprob]] = field(default_factory=dict)
    _called: dict[int, set[int]] = field(default_factory=dict)
    _finished: list[Finished] = field(default_factory=list)

    def __post_init__(self) -> None:
        head = json.dumps(self.shape.head("chat.completion.chunk"), separators=(",", ":"))
        self._head = f'data: {head[:-1]},"choices":[{{"index":'.encode()
        self._tail = b'}],"usage":null}\n\n' if self.with_usage else b"}]}\n\n"
        self._text_tail = b'},"logprobs":null,"finish_reason":null' + self._tail

    async def chunks(self, generation: Generation) -> AsyncGenerator[bytes, None]:
        """The whole body: chunks, an error event should the answer fail, the usage, and the end mark."""
        started: set[int] = set()
        try:
            async with aclosing(generation):
                async for index, event_ in generation.events():
                    if index not in started:
                        started.add(index)
                        yield self._chunk(index, self._opening())
                    chunk = self._written(index, event_)
                    if chunk:
                        yield chunk
            if self.with_usage:
                yield self._usage_chunk()
        except Exception as error:
            yield event(api_error(error).body())
        yield DONE

    def _opening(self) -> dict[str, Any]:
        forced = self.shape.tool_choice.mode in ("required", "named")
        return {"role": "assistant", "content": None if forced else "", "refusal": None}

    def _written(self, index: int, event_: Event) -> bytes | None:
        if isinstance(event_, Delta):
            return self._text(index, event_)
        if isinstance(event_, ToolCallDelta):
            return self._call(index, event_)
        if isinstance(event_, Finished):
            self._finished.append(event_)
            reason = finish_reason(event_, self.shape.tool_choice, called=index in self._called)
            return self._chunk(index, {}, self._logprobs(index), reason)
        return None

    def _text(self, index: int, delta: Delta) -> bytes | None:
        if self.with_logprobs:
            self._held.setdefault(index, []).extend(delta.logprobs)
        if not delta.text:  # ids alone: their text is still held back
            return None
        if self.with_logprobs:
            return self._chunk(index, {"content": delta.text}, self._logprobs(index))
        return b'%b%d,"delta":{"content":%b%b' % (self._head, index, json.dumps(delta.text).encode(), self._text_tail)

    def _call(self, index: int, delta: ToolCallDelta) -> bytes:
        seen = self._called.setdefault(index, set())
        call: dict[str, Any] = {"index": delta.index}
        if delta.index in seen:
            call["function"] = {"arguments": delta.arguments}
        else:
            seen.add(delta.index)
            call |= call_head(delta)
            call["function"]["arguments"] = delta.arguments
        return self._chunk(index, {"tool_calls": [call]})

    def _logprobs(self, index: int) -> dict[str, Any] | None:
        held = self._held.pop(index, None)
        return logprobs_body(held) if held else None

    def _chunk(
        self, index: int, delta: dict[str, Any], logprobs: dict[str, Any] | None = None, reason: str | None = None
    ) -> bytes:
        rest = json.dumps({"delta": delta, "logprobs": logprobs, "finish_reason": reason}, separators=(",", ":"))
        return b"%b%d,%b%b" % (self._head, index, rest[1:-1].encode(), self._tail)

    def _usage_chunk(self) -> bytes:
        usage = usage_of(self._finished).model_dump()
        return event({**self.shape.head("chat.completion.chunk"), "choices": [], "usage": usage})
