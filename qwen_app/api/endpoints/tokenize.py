"""``/tokenize`` and ``/detokenize``, in the shapes of vLLM (``prompt``) and llama.cpp's server (``content``)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.protocol.request_bodies import (
    MAX_IDS,
    MAX_MESSAGES,
    MAX_TOOLS,
    AtMost,
    Body,
    ChatMessage,
    TokenId,
    ToolDefinition,
)
from qwen_app.api.protocol.request_translation import check_model, messages_of, tools_of
from qwen_app.errors import RequestError
from qwen_app.service import Service


class TokenizeRequest(Body):
    """One of ``prompt``, ``content`` and ``messages``."""

    model: str | None = None
    prompt: str | None = None
    content: str | None = None
    messages: Annotated[list[ChatMessage], AtMost(MAX_MESSAGES)] | None = Field(None, min_length=1)
    tools: Annotated[list[ToolDefinition], AtMost(MAX_TOOLS)] | None = None


class Tokens(BaseModel):
    """``tokens`` is null for a conversation, whose prompt is counted with its template."""

    count: int
    max_model_len: int
    tokens: list[int] | None


class DetokenizeRequest(Body):
    model: str | None = None
    tokens: Annotated[list[TokenId], AtMost(MAX_IDS)]


class DetokenizedText(BaseModel):
    """The same text under both names."""

    prompt: str
    content: str


def add_token_routes(router: APIRouter, parts: ApiParts) -> None:
    """The routes stand at ``/v1`` and, as in vLLM and llama.cpp, at the top."""

    async def to_tokens(body: TokenizeRequest) -> Tokens:
        """Token ids of a text, or the number of tokens of a conversation."""
        parts.unknown_fields.check(body)
        return await tokenize(parts.service, body)

    async def to_text(body: DetokenizeRequest) -> DetokenizedText:
        """The text of token ids."""
        parts.unknown_fields.check(body)
        return await detokenize(parts.service, body)

    guarded = [Depends(parts.guard)]
    for prefix in ("", "/v1"):
        router.add_api_route(f"{prefix}/tokenize", to_tokens, methods=["POST"], tags=["tokens"], dependencies=guarded)
        router.add_api_route(f"{prefix}/detokenize", to_text, methods=["POST"], tags=["tokens"], dependencies=guarded)


async def tokenize(service: Service, body: TokenizeRequest) -> Tokens:
    """Raises RequestError unless the body holds exactly one thing to count."""
    if body.model is not None:
        check_model(body.model, service.info())
    sources = [value for value in (body.prompt, body.content, body.messages) if value is not None]
    if len(sources) != 1:
        raise RequestError("Send one of prompt, content and messages.", param="prompt")
    limit_tokens = service.info().context_tokens
    if body.messages is not None:
        count = await service.count_tokens(messages_of(body.messages), tools_of(body.tools))
        return Tokens(count=count, max_model_len=limit_tokens, tokens=None)
    tokens = await service.tokenize(body.prompt if body.prompt is not None else body.content or "")
    return Tokens(count=len(tokens), max_model_len=limit_tokens, tokens=tokens)


async def detokenize(service: Service, body: DetokenizeRequest) -> DetokenizedText:
    """Raises RequestError for ids that the vocabulary does not have."""
    if body.model is not None:
        check_model(body.model, service.info())
    text = await service.detokenize(body.tokens)
    return DetokenizedText(prompt=text, content=text)
