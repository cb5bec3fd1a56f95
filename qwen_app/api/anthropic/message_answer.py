"""The answer to ``POST /v1/messages``, from the request to the response."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.anthropic.message_body import AnswerLimits, message_head, whole_message
from qwen_app.api.anthropic.message_input import generation_request
from qwen_app.api.anthropic.message_request import MessagesRequest
from qwen_app.api.anthropic.message_stream import PING, MessageStream
from qwen_app.api.protocol.answer import collect
from qwen_app.api.protocol.anthropic_error import ANTHROPIC_REQUEST_ID
from qwen_app.api.protocol.generation import Generation
from qwen_app.api.protocol.request_translation import check_model
from qwen_app.api.protocol.sse import EventStream, while_connected
from qwen_app.errors import RequestError
from qwen_app.service import Service


async def answer_message(service: Service, body: MessagesRequest, context: RequestContext) -> Response:
    """The answer to ``body``. Everything that can be refused is refused before the status line is sent."""
    info = service.info()
    check_model(body.model, info)
    request = await generation_request(service, body, context)
    generation = Generation(service, [request], context.caller.acquire())
    try:
        await generation.admit()
    except RequestError as refused:
        refused.param = _own_name(refused.param)
        raise
    head = message_head(context.request_id, info.model)
    limits = AnswerLimits(body.max_tokens, info.context_tokens)
    headers = {ANTHROPIC_REQUEST_ID: context.request_id}
    if body.stream:
        stream = MessageStream(head, context.request_id, limits)
        return EventStream(stream.chunks(generation), generation.aclose, headers, ping=PING)
    (answer,) = await while_connected(context.receive, collect(generation, 1))
    return JSONResponse(whole_message(head, answer, limits), headers=headers)


def _own_name(param: str | None) -> str | None:
    """Anthropic's name of a field that the engine calls as OpenAI does."""
    if param == "response_format":
        return "output_config.format.schema"
    if param == "continue_final_message":
        return "messages"
    return param and param.replace(".function.parameters", ".input_schema")
