"""``POST /v1/completions``: plain text continued, without a chat template."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from qwen_app.api.access.request_guard import Visit
from qwen_app.api.protocol.answer import Answer, collect, finish_reason, usage_of
from qwen_app.api.protocol.chunks import ChunkStream
from qwen_app.api.protocol.generation import Generation, choices_of
from qwen_app.api.protocol.schema import CompletionFields, TokenId, UsageBody
from qwen_app.api.protocol.sse import EventStream, while_connected
from qwen_app.api.protocol.translate import check_model, sampling_of, stops_of
from qwen_app.engine.base import EngineInfo
from qwen_app.errors import RequestError
from qwen_app.messages import Finished, GenerationRequest, TokenLogprob, ToolCallDelta, ToolChoice
from qwen_app.service import Service

MAX_ANSWERS = 16
DEFAULT_TOKENS = 16  # OpenAI's
FREE = ToolChoice()


class CompletionRequest(CompletionFields):
    prompt: str | list[str] | list[TokenId] | list[list[TokenId]] = Field(
        description="text or token ids, one prompt or several"
    )
    logprobs: int | None = Field(None, ge=0, le=5)
    echo: bool | None = Field(False, description="repeat the prompt before its continuation")
    suffix: str | None = None
    best_of: int | None = Field(None, ge=1)


class TextLogprobs(BaseModel):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(BaseModel):
    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: Literal["stop", "length"]


class Completion(BaseModel):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[TextChoice]
    usage: UsageBody


async def answer_completion(service: Service, body: CompletionRequest, visit: Visit) -> Response:
    """The continuations of ``body``'s prompts, ``n`` of each, in order."""
    check_model(body.model, service.info())
    _check(body)
    asked = await _requests(service, body, visit)
    generation = Generation(service, asked, visit.caller.hold())
    await generation.admit()
    echoes = [request.prompt or "" for request in asked] if body.echo else [""] * len(asked)
    head = _head(service.info(), visit.request_id)
    firsts = range(0, len(asked), body.n or 1)
    if body.stream:
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        return EventStream(
            TextStream(head, echoes, firsts, with_usage=with_usage).chunks(generation), generation.aclose
        )
    answers = await while_connected(visit.receive, collect(generation, len(asked)))
    choices = [_choice(index, answer, echoes[index]) for index, answer in enumerate(answers)]
    usage = usage_of([answer.end for answer in answers], prompts=firsts)
    return JSONResponse({**head, "choices": choices, "usage": usage.model_dump()})


def _check(body: CompletionRequest) -> None:
    if body.suffix:
        raise RequestError("This model cannot write towards a suffix. Leave it out.", param="suffix")
    if body.best_of is not None and body.best_of != (body.n or 1):
        raise RequestError("best_of is not supported. Use n and choose yourself.", param="best_of")
    if body.echo and body.logprobs is not None:
        raise RequestError("logprobs of the prompt are not there to echo. Leave out echo or logprobs.", param="echo")


async def _requests(service: Service, body: CompletionRequest, visit: Visit) -> list[GenerationRequest]:
    prompts = await _prompts(service, body.prompt)
    n = body.n or 1
    if not 0 < len(prompts) * n <= MAX_ANSWERS:
        raise RequestError(
            f"{len(prompts)} prompts with n={n} make {len(prompts) * n} answers; 1 to {MAX_ANSWERS} are possible.",
            param="prompt",
        )
    sampling = sampling_of(
        body,
        service,
        stop=stops_of(body.stop),
        max_tokens=body.max_tokens or DEFAULT_TOKENS,
        logprobs=body.logprobs is not None,
        top_logprobs=body.logprobs or 0,
    )
    asked = GenerationRequest(visit.request_id, sampling=sampling, user=visit.caller.name)
    many = len(prompts) > 1
    return [
        choice
        for index, prompt in enumerate(prompts)
        for choice in choices_of(
            dataclasses.replace(
                asked, prompt=prompt, request_id=f"{asked.request_id}-{index}" if many else asked.request_id
            ),
            n,
        )
    ]


async def _prompts(service: Service, given: str | Sequence[str] | Sequence[int] | Sequence[list[int]]) -> list[str]:
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [await service.detokenize([token_id for token_id in given if isinstance(token_id, int)])]
    return [one if isinstance(one, str) else await service.detokenize(one) for one in given if not isinstance(one, int)]


def _head(info: EngineInfo, request_id: str) -> dict[str, Any]:
    return {
        "id": f"cmpl-{request_id}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": info.model,
        "system_fingerprint": f"{info.revision[:12]}-{info.precision}",
    }


def _choice(index: int, answer: Answer, echo: str) -> dict[str, Any]:
    return {
        "index": index,
        "text": echo + answer.text,
        "logprobs": text_logprobs(answer.logprobs, 0) if answer.logprobs else None,
        "finish_reason": finish_reason(answer.end, FREE, called=False),
    }


def text_logprobs(tokens: Sequence[TokenLogprob], offset: int) -> dict[str, Any]:
    """``offset`` is how many characters of the answer came before ``tokens``."""
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [max(token.logprob, -9999.0) for token in tokens],
        "top_logprobs": [{one.text: max(one.logprob, -9999.0) for one in token.top} for token in tokens],
        "text_offset": offsets,
    }


class TextStream(ChunkStream):
    """Chunks of kind ``text_completion``."""

    def __init__(self, head: dict[str, Any], echoes: Sequence[str], prompts: range, *, with_usage: bool) -> None:
        super().__init__(head, '"text":', "", with_usage=with_usage, prompts=prompts)
        self._echoes = echoes
        self._offsets = [0] * len(echoes)

    def opening(self, index: int) -> bytes:
        return self.chunk(index, {"text": self._echoes[index]}) if self._echoes[index] else b""

    def said(self, text: str) -> dict[str, Any]:
        return {"text": text}

    def logprobs(self, index: int, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        body = text_logprobs(tokens, self._offsets[index])
        self._offsets[index] += sum(len(token.text) for token in tokens)
        return body

    def call(self, index: int, delta: ToolCallDelta) -> bytes:
        return b""

    def reason(self, index: int, end: Finished) -> Any:
        return finish_reason(end, FREE, called=False)
