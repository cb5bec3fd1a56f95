"""``POST /v1/messages`` and ``POST /v1/messages/count_tokens``."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from pydantic import RootModel
from starlette.responses import Response

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.anthropic.message_answer import answer_message
from qwen_app.api.anthropic.message_body import AnthropicMessage, TokenCount
from qwen_app.api.anthropic.message_input import (
    choice_of,
    conversation,
    grammar_of_format,
    is_ours,
    template_of,
    tools_of,
)
from qwen_app.api.anthropic.message_request import CountTokensRequest, MessagesRequest
from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.protocol.anthropic_error import AnthropicErrorBody
from qwen_app.api.protocol.request_translation import check_model
from qwen_app.api.protocol.sse import STREAMED


class AnthropicErrorAnswer(RootModel[AnthropicErrorBody]):
    """Describes AnthropicErrorBody."""


ERRORS: dict[int | str, dict[str, object]] = {
    "4XX": {"model": AnthropicErrorAnswer, "description": "The request cannot be answered as it is."},
    "5XX": {"model": AnthropicErrorAnswer, "description": "The server failed."},
}


def add_message_routes(router: APIRouter, parts: ApiParts) -> None:
    guarded = Depends(parts.guard)

    async def messages(body: MessagesRequest, context: RequestContext = guarded) -> Response:
        """An answer in the shape of Anthropic's Messages API, whole or, with ``stream``, as server-sent events."""
        check_fields(parts, body)
        return await answer_message(parts.service, body, context)

    async def count_tokens(body: CountTokensRequest, context: RequestContext = guarded) -> TokenCount:
        """The number of tokens of a prompt, tools, system prompt and format included."""
        check_fields(parts, body)
        check_model(body.model, parts.service.info())
        messages, tools = await conversation(body), tools_of(body.tools)
        grammar = grammar_of_format(body, choice_of(body.tool_choice, tools))
        return {"input_tokens": await parts.service.count_tokens(messages, tools, grammar, template_of(messages))}

    router.add_api_route(
        "/v1/messages",
        messages,
        methods=["POST"],
        tags=["messages"],
        response_model=AnthropicMessage,
        responses=ERRORS | STREAMED,
    )
    router.add_api_route(
        "/v1/messages/count_tokens", count_tokens, methods=["POST"], tags=["messages"], responses=ERRORS
    )


def check_fields(parts: ApiParts, body: CountTokensRequest) -> None:
    """Count what is ignored: unknown fields, and tools that nothing here can run. Raises RequestError where the server
    is strict."""
    parts.unknown_fields.check(body)
    left_out = [f"tools[{index}]" for index, tool in enumerate(body.tools or ()) if not is_ours(tool)]
    parts.unknown_fields.leave_out("tools", left_out)
