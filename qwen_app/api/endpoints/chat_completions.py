"""``POST /v1/chat/completions``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from qwen_app.api.access.request_guard import Visit
from qwen_app.api.protocol.answer import Answer, call_head, collect, finish_reason, logprobs_body, usage_of
from qwen_app.api.protocol.chunks import ChunkStream
from qwen_app.api.protocol.generation import Generation, choices_of
from qwen_app.api.protocol.schema import ChatRequest, Truncation
from qwen_app.api.protocol.sse import EventStream, while_connected
from qwen_app.api.protocol.translate import (
    check_model,
    conversation_id,
    grammar_of,
    messages_of,
    sampling_of,
    stops_of,
    tool_choice_of,
    tools_of,
)
from qwen_app.engine.base import EngineInfo
from qwen_app.errors import RequestError
from qwen_app.messages import Finished, GenerationRequest, PromptPolicy, TokenLogprob, ToolCallDelta, ToolChoice
from qwen_app.service import Service

DROPPED_HEADER = "x-truncated-messages"


async def answer_chat(service: Service, body: ChatRequest, visit: Visit) -> Response:
    """The answer to ``body``. Everything that can be refused is refused before the status line is sent."""
    check_model(body.model, service.info())
    asked = chat_request(service, body, visit)
    generation = Generation(service, choices_of(asked, body.n or 1), visit.caller.hold())
    await generation.admit()
    truncation = generation.truncation()
    headers = {DROPPED_HEADER: str(truncation.dropped_messages)} if truncation else {}
    if body.stream:
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        stream = ChatStream(service.info(), asked, truncation, with_usage=with_usage)
        return EventStream(stream.chunks(generation), generation.aclose, headers)
    answers = await while_connected(visit.receive, collect(generation, body.n or 1))
    return JSONResponse(_whole(answers, service.info(), asked, truncation), headers=headers)


def chat_request(service: Service, body: ChatRequest, visit: Visit) -> GenerationRequest:
    tools = tools_of(body.tools)
    choice = tool_choice_of(body.tool_choice, tools, parallel=body.parallel_tool_calls is not False)
    messages = messages_of(body.messages)
    grammar = grammar_of(body.response_format, choice)
    if body.top_logprobs and not body.logprobs:
        raise RequestError("top_logprobs needs logprobs: true.", param="top_logprobs")
    return GenerationRequest(
        visit.request_id,
        messages,
        sampling=sampling_of(
            body,
            service,
            stop=stops_of(body.stop),
            max_tokens=body.max_completion_tokens or body.max_tokens,
            logprobs=bool(body.logprobs),
            top_logprobs=body.top_logprobs or 0,
        ),
        user=visit.caller.name,
        conversation_id=conversation_id(visit.caller.name, messages),
        tools=tools,
        tool_choice=choice,
        grammar=grammar,
        policy=PromptPolicy(overflow="trim" if body.truncation == "auto" else "refuse"),
    )


def chat_head(kind: str, info: EngineInfo, request_id: str) -> dict[str, Any]:
    """What every body and chunk of one answer repeats."""
    return {
        "id": f"chatcmpl-{request_id}",
        "object": kind,
        "created": int(time.time()),
        "model": info.model,
        "system_fingerprint": f"{info.revision[:12]}-{info.precision}",
    }


def _whole(
    answers: Sequence[Answer], info: EngineInfo, asked: GenerationRequest, truncation: Truncation | None
) -> dict[str, Any]:
    body = {
        **chat_head("chat.completion", info, asked.request_id),
        "choices": [_choice(index, answer, asked) for index, answer in enumerate(answers)],
        "usage": usage_of([answer.end for answer in answers]).model_dump(),
    }
    return body if truncation is None else {**body, "truncation": truncation.model_dump()}


def _choice(index: int, answer: Answer, asked: GenerationRequest) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.calls:
        message |= {"content": answer.text or None, "tool_calls": answer.ordered_calls()}
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs_body(answer.logprobs) if asked.sampling.logprobs else None,
        "finish_reason": finish_reason(answer.end, asked.tool_choice, called=bool(answer.calls)),
    }


class ChatStream(ChunkStream):
    """Chunks of kind ``chat.completion.chunk``. What was left out of the prompt is reported in the first."""

    def __init__(
        self, info: EngineInfo, asked: GenerationRequest, truncation: Truncation | None, *, with_usage: bool
    ) -> None:
        head = chat_head("chat.completion.chunk", info, asked.request_id)
        super().__init__(head, '"delta":{"content":', "}", with_usage=with_usage)
        self._choice: ToolChoice = asked.tool_choice
        self._truncation = truncation
        self._called: dict[int, set[int]] = {}

    def opening(self, index: int) -> bytes:
        forced = self._choice.mode in ("required", "named")
        said: dict[str, Any] = {"delta": {"role": "assistant", "content": None if forced else "", "refusal": None}}
        chunk = self.chunk(index, said)
        if self._truncation is None:
            return chunk
        report = self._truncation.model_dump_json()
        return chunk.rstrip()[:-1] + f',"truncation":{report}}}\n\n'.encode()

    def said(self, text: str) -> dict[str, Any]:
        return {"delta": {"content": text} if text else {}}

    def logprobs(self, index: int, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        return logprobs_body(tokens)

    def call(self, index: int, delta: ToolCallDelta) -> bytes:
        seen = self._called.setdefault(index, set())
        call: dict[str, Any] = {"index": delta.index, "function": {"arguments": delta.arguments}}
        if delta.index not in seen:
            seen.add(delta.index)
            head = call_head(delta)
            call = {**call, **head, "function": {**head["function"], "arguments": delta.arguments}}
        return self.chunk(index, {"delta": {"tool_calls": [call]}})

    def reason(self, index: int, end: Finished) -> Any:
        return finish_reason(end, self._choice, called=index in self._called)
