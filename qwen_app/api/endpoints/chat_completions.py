"""``POST /v1/chat/completions``."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.endpoints.chat_input import chat_request
from qwen_app.api.endpoints.chat_stream import ChatStream
from qwen_app.api.protocol.answer import (
    Answer,
    answer_head,
    collect,
    finish_reason,
    legacy_reason,
    logprobs_body,
    usage_of,
)
from qwen_app.api.protocol.format_translation import format_as_asked
from qwen_app.api.protocol.generation import DROPPED_HEADER, Generation, choices_of
from qwen_app.api.protocol.request_bodies import ChatRequest
from qwen_app.api.protocol.response_bodies import AnswerMessage, ChatCompletion, Choice
from qwen_app.api.protocol.sse import STREAMED, EventStream, while_connected
from qwen_app.messages import GenerationRequest
from qwen_app.service import Service


def add_chat_routes(router: APIRouter, parts: ApiParts) -> None:
    guarded = Depends(parts.guard)

    async def chat_completions(body: ChatRequest, context: RequestContext = guarded) -> Response:
        """An answer to a conversation, whole or, with ``stream``, as server-sent events."""
        parts.unknown_fields.check(body)
        return await answer_chat(parts.service, body, context)

    router.add_api_route(
        "/v1/chat/completions",
        chat_completions,
        methods=["POST"],
        tags=["chat"],
        response_model=ChatCompletion,
        responses=STREAMED,
    )


async def answer_chat(service: Service, body: ChatRequest, context: RequestContext) -> Response:
    """The answer to ``body``. Everything that can be refused is refused before the status line is sent."""
    info = service.info()
    request = await chat_request(service, body, context)
    generation = Generation(service, choices_of(request, body.n or 1), context.caller.acquire())
    with format_as_asked(body):
        await generation.admit()
    truncation = generation.truncation()
    headers = {DROPPED_HEADER: str(truncation["dropped_messages"])} if truncation else {}
    answer_id = f"chatcmpl-{context.request_id}"
    if body.stream:
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        head = answer_head("chat.completion.chunk", answer_id, info)
        legacy = body.functions is not None
        stream = ChatStream(head, request.tool_choice, truncation, with_usage=with_usage, legacy=legacy)
        return EventStream(stream.chunks(generation), generation.aclose, headers)
    answers = await while_connected(context.receive, collect(generation, body.n or 1))
    completion: dict[str, object] = {
        **answer_head("chat.completion", answer_id, info),
        "choices": [
            _choice(index, answer, request, legacy=body.functions is not None) for index, answer in enumerate(answers)
        ],
        "usage": usage_of([answer.end for answer in answers]),
        **({"truncation": truncation} if truncation else {}),
    }
    return JSONResponse(completion, headers=headers)


def _choice(index: int, answer: Answer, request: GenerationRequest, *, legacy: bool) -> Choice:
    """``legacy`` answers ``functions``: there a call has a form of its own."""
    message: AnswerMessage = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.thoughts:
        message["reasoning_content"] = "".join(answer.thoughts)
    if answer.calls:
        message["content"] = answer.text or None
        calls = answer.ordered_calls()
        if legacy:
            message["function_call"] = calls[0]["function"]
        else:
            message["tool_calls"] = calls
    reason = finish_reason(answer.end, request.tool_choice, called=bool(answer.calls))
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs_body(answer.logprobs) if request.sampling.logprobs else None,
        "finish_reason": legacy_reason(reason) if legacy else reason,
    }
