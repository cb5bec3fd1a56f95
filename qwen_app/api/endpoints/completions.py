"""``POST /v1/completions``: plain text continued, without a chat template."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Discriminator, Field, Tag
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.protocol.answer import Answer, answer_head, collect, finish_reason, json_logprob, usage_of
from qwen_app.api.protocol.chunk_stream import ChunkStream
from qwen_app.api.protocol.format_translation import format_as_asked, grammar_of
from qwen_app.api.protocol.generation import Generation, PromptReading, choices_of
from qwen_app.api.protocol.request_bodies import MAX_IDS, MAX_TOKENS, AtMost, CompletionFields, TokenId
from qwen_app.api.protocol.request_translation import check_model, sampling_of
from qwen_app.api.protocol.response_bodies import AnswerHead, Reason, UsageBody
from qwen_app.api.protocol.sse import STREAMED, EventStream, while_connected
from qwen_app.errors import RequestError
from qwen_app.messages import Event, Finished, GenerationRequest, Prefill, TokenLogprob, ToolCallDelta, ToolChoice

DEFAULT_TOKENS = 16  # OpenAI's
FREE = ToolChoice()


def prompt_kind(value: object) -> str | None:
    """Which member of PromptBody ``value`` is meant to be. A list is what its first item says; no other is tried."""
    if isinstance(value, str):
        return "text"
    if not isinstance(value, list):
        return None
    first = value[0] if value else ""
    return "ids" if isinstance(first, int) else "ids of several" if isinstance(first, list) else "texts"


BY_PROMPT_KIND = Discriminator(
    prompt_kind,
    custom_error_type="prompt_kind",
    custom_error_message="Input should be a text, a list of texts, a list of token ids or a list of such lists",
)
Ids = Annotated[list[TokenId], AtMost(MAX_IDS)]
PromptBody = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[list[str], AtMost(MAX_IDS), Tag("texts")]
    | Annotated[Ids, Tag("ids")]
    | Annotated[list[Ids], AtMost(MAX_IDS), Tag("ids of several")],
    BY_PROMPT_KIND,
]


class CompletionRequest(CompletionFields):
    prompt: PromptBody = Field(description="text or token ids, one prompt or several")
    max_tokens: int | None = Field(None, ge=0, le=MAX_TOKENS, description="0 reads the prompt and writes nothing")
    logprobs: int | None = Field(None, ge=0, le=5)
    echo: bool | None = Field(
        False, description="repeat the prompt before its continuation; with logprobs, those of its tokens too"
    )
    suffix: str | None = Field(None, description="what comes after the answer, for models that write towards it")
    best_of: int | None = Field(None, ge=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Echo:
    """The prompt as it is repeated. The model read ``unseen`` characters of BOS before it."""

    text: str
    unseen: int = 0


NO_ECHO = Echo("")


class TextLogprobs(TypedDict):
    """The first token of a prompt has null in both lists: nothing came before it."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class TextChoice(TypedDict):
    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: Reason


class TextCompletion(AnswerHead):
    choices: list[TextChoice]
    usage: UsageBody


def add_completion_routes(router: APIRouter, parts: ApiParts) -> None:
    guarded = Depends(parts.guard)

    async def completions(body: CompletionRequest, context: RequestContext = guarded) -> Response:
        """Plain text continued, without a chat template."""
        parts.unknown_fields.check(body)
        return await answer_completion(parts, body, context)

    router.add_api_route(
        "/v1/completions",
        completions,
        methods=["POST"],
        tags=["completions"],
        response_model=TextCompletion,
        responses=STREAMED,
    )


async def answer_completion(parts: ApiParts, body: CompletionRequest, context: RequestContext) -> Response:
    """The continuations of ``body``'s prompts, ``n`` of each, in order."""
    service = parts.service
    check_model(body.model, service.info())
    if body.best_of is not None and body.best_of != (body.n or 1):
        raise RequestError("best_of is not supported. Use n and choose yourself.", param="best_of")
    requests = _requests(parts, body, context)
    echoes = [await _echo(parts, request) if body.echo else NO_ECHO for request in requests]
    generation = (PromptReading if body.max_tokens == 0 else Generation)(service, requests, context.caller.acquire())
    with format_as_asked(body):
        await generation.admit()
    head = answer_head("text_completion", f"cmpl-{context.request_id}", service.info())
    firsts = range(0, len(requests), body.n or 1)
    if body.stream:
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        stream = TextStream(head, echoes, firsts, with_usage=with_usage)
        return EventStream(stream.chunks(generation), generation.aclose)
    answers = await while_connected(context.receive, collect(generation, len(requests)))
    completion: TextCompletion = {
        **head,
        "choices": [_choice(index, answer, echoes[index]) for index, answer in enumerate(answers)],
        "usage": usage_of([answer.end for answer in answers], prompts=firsts),
    }
    return JSONResponse(completion)


def _requests(parts: ApiParts, body: CompletionRequest, context: RequestContext) -> list[GenerationRequest]:
    prompts = _prompts(body.prompt)
    n = body.n or 1
    answers, most = len(prompts) * n, parts.most_answers
    if not 0 < answers <= most:
        raise RequestError(
            f"{len(prompts)} prompts with n={n} make {answers} answers; 1 to {most} are possible.", param="prompt"
        )
    sampling = sampling_of(
        body,
        parts.service,
        max_tokens=DEFAULT_TOKENS if body.max_tokens is None else max(body.max_tokens, 1),
        logprobs=body.logprobs is not None,
        top_logprobs=body.logprobs or 0,
        prompt_logprobs=bool(body.echo) and body.logprobs is not None,
    )
    request = GenerationRequest(
        context.request_id,
        sampling=sampling,
        user=context.caller.name,
        suffix=body.suffix or None,
        grammar=grammar_of(body),
    )
    many = len(prompts) > 1
    return [
        choice
        for index, prompt in enumerate(prompts)
        for choice in choices_of(
            dataclasses.replace(
                request, prompt=prompt, request_id=f"{request.request_id}-{index}" if many else request.request_id
            ),
            n,
        )
    ]


def _prompts(prompt: str | Sequence[str] | Sequence[int] | Sequence[list[int]]) -> list[str | tuple[int, ...]]:
    if isinstance(prompt, str):
        return [prompt]
    if prompt and isinstance(prompt[0], int):
        return [tuple(token_id for token_id in prompt if isinstance(token_id, int))]
    return [one if isinstance(one, str) else tuple(one) for one in prompt if not isinstance(one, int)]


async def _echo(parts: ApiParts, request: GenerationRequest) -> Echo:
    service, prompt = parts.service, request.prompt or ""
    if not isinstance(prompt, str):
        return Echo(await service.detokenize(prompt))
    if not request.sampling.prompt_logprobs:
        return Echo(prompt)
    opening = await service.detokenize(await service.tokenize("", add_special_tokens=True))
    return Echo(prompt, 0 if prompt.startswith(opening) else len(opening))


def _choice(index: int, answer: Answer, echo: Echo) -> TextChoice:
    tokens = [*answer.prompt_logprobs, *answer.logprobs]
    return {
        "index": index,
        "text": echo.text + answer.text,
        "logprobs": text_logprobs(tokens, -echo.unseen) if tokens else None,
        "finish_reason": finish_reason(answer.end, FREE, called=False),
    }


def text_logprobs(tokens: Sequence[TokenLogprob], offset: int) -> TextLogprobs:
    """``offset`` is how many characters of the answer had begun before ``tokens``, less than none before it begins."""
    offsets = []
    for token in tokens:
        goes_on = offset > 0 and token.bytes[:1] != b"" and not _begins(token.bytes[0])
        offsets.append(max(0, offset - goes_on))
        offset += characters_begun(token)
    return {
        "tokens": [_spelled(token) for token in tokens],
        "token_logprobs": [None if isnan(token.logprob) else json_logprob(token) for token in tokens],
        "top_logprobs": [
            None if isnan(token.logprob) else {_spelled(one): json_logprob(one) for one in token.top}
            for token in tokens
        ],
        "text_offset": offsets,
    }


def characters_begun(token: TokenLogprob) -> int:
    """How many characters of the text begin in ``token``: one of several tokens begins in the first of them."""
    return sum(map(_begins, token.bytes))


def _begins(byte: int) -> bool:
    """In UTF-8."""
    return byte & 0xC0 != 0x80


def _spelled(token: TokenLogprob) -> str:
    """Its text; OpenAI's ``bytes:\\xNN`` of bytes that make no characters by themselves: they would look alike."""
    try:
        return token.bytes.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.bytes)


class TextStream(ChunkStream):
    """Chunks of kind ``text_completion``."""

    def __init__(self, head: AnswerHead, echoes: Sequence[Echo], prompts: range, *, with_usage: bool) -> None:
        super().__init__(head, '"text":', "", with_usage=with_usage, prompts=prompts)
        self._echoes = echoes
        self._offsets = [-echo.unseen for echo in echoes]

    def opening(self, index: int) -> bytes:
        echo = self._echoes[index].text
        return self.chunk(index, {"text": echo}) if echo else b""

    def text_part(self, text: str) -> Mapping[str, object]:
        return {"text": text}

    def logprobs(self, index: int, tokens: Sequence[TokenLogprob]) -> Mapping[str, object]:
        body = text_logprobs(tokens, self._offsets[index])
        self._offsets[index] += sum(map(characters_begun, tokens))
        return body

    def _written(self, index: int, event_: Event) -> bytes:
        if isinstance(event_, Prefill) and event_.logprobs:
            self._held.setdefault(index, []).extend(event_.logprobs)  # sent with the next chunk
        return super()._written(index, event_)

    def call(self, index: int, delta: ToolCallDelta) -> bytes:
        return b""

    def reason(self, index: int, end: Finished) -> Reason:
        return finish_reason(end, FREE, called=False)
