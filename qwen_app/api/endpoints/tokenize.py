"""``/tokenize`` and ``/detokenize``, in the shapes of vLLM (``prompt``) and llama.cpp's server (``content``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.protocol.request_bodies import (
    MAX_IDS,
    MAX_MESSAGES,
    MAX_TOOLS,
    AnyTool,
    AtMost,
    Body,
    ChatMessage,
    TokenId,
)
from qwen_app.api.protocol.request_translation import chat_sources, check_model, messages_of
from qwen_app.api.protocol.tool_translation import chat_tools
from qwen_app.errors import RequestError
from qwen_app.service import Service

WHOLE_PROMPT = "Conversations are counted with the beginning of the answer, and nothing else."
TEXT_OF_IDS = "Ask /detokenize for the text of ids."


class TokenizeRequest(Body):
    """One of ``prompt``, ``content`` and ``messages``."""

    refused: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("with_pieces", "return_token_strs"), TEXT_OF_IDS),
        **dict.fromkeys(("add_generation_prompt", "continue_final_message", "chat_template_kwargs"), WHOLE_PROMPT),
        "chat_template": "The model's own template is used.",
    }

    model: str | None = None
    prompt: str | None = None
    content: str | None = None
    messages: Annotated[list[ChatMessage], AtMost(MAX_MESSAGES)] | None = Field(None, min_length=1)
    tools: Annotated[list[AnyTool], AtMost(MAX_TOOLS)] | None = None
    parse_special: bool | None = Field(True, description="false: control tokens in the text are text, as in messages")
    add_special_tokens: bool | None = Field(
        None, description="begin with BOS, if the model has it, as a prompt of /v1/completions does; true for prompt"
    )
    add_special: bool | None = Field(None, description="the same in llama.cpp's words; false for content")


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
        count = await service.count_tokens(messages_of(chat_sources(body.messages)), chat_tools(body.tools or ()))
        return Tokens(count=count, max_model_len=limit_tokens, tokens=None)
    text = body.prompt if body.prompt is not None else body.content or ""
    tokens = await service.tokenize(
        text, parse_special=body.parse_special is not False, add_special_tokens=_opened(body)
    )
    return Tokens(count=len(tokens), max_model_len=limit_tokens, tokens=tokens)


def _opened(body: TokenizeRequest) -> bool:
    """What the caller says, or else what each of the two servers does."""
    said = (body.add_special_tokens, body.add_special)
    return next((value for value in said if value is not None), body.content is None)


async def detokenize(service: Service, body: DetokenizeRequest) -> DetokenizedText:
    """Raises RequestError for ids that the vocabulary does not have."""
    if body.model is not None:
        check_model(body.model, service.info())
    text = await service.detokenize(body.tokens)
    return DetokenizedText(prompt=text, content=text)
