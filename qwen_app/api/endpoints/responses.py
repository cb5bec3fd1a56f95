"""``POST /v1/responses``, stateless: nothing is stored, so the whole conversation comes with every request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing, contextmanager

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.endpoints.responses_body import ResponseBody, ended_response, response_draft
from qwen_app.api.endpoints.responses_input import ResponsesRequest, left_out, own_path, responses_request
from qwen_app.api.endpoints.responses_output import ResponseOutput
from qwen_app.api.endpoints.responses_stream import ResponseStream
from qwen_app.api.protocol.generation import DROPPED_HEADER, Generation
from qwen_app.api.protocol.request_translation import check_model
from qwen_app.api.protocol.sse import STREAMED, EventStream, while_connected
from qwen_app.errors import RequestError
from qwen_app.service import Service


def add_response_routes(router: APIRouter, parts: ApiParts) -> None:
    guarded = Depends(parts.guard)

    async def responses(body: ResponsesRequest, context: RequestContext = guarded) -> Response:
        """An answer as typed items. Nothing is stored."""
        parts.unknown_fields.check(body)
        parts.unknown_fields.leave_out("input", left_out(body))
        return await answer_response(parts.service, body, context)

    router.add_api_route(
        "/v1/responses",
        responses,
        methods=["POST"],
        tags=["responses"],
        response_model=ResponseBody,
        responses=STREAMED,
    )


@contextmanager
def in_own_terms() -> Iterator[None]:
    """What is refused within is called as it is called here: engines speak of the fields of a chat."""
    try:
        yield
    except RequestError as refused:
        refused.param = refused.param and own_path(refused.param)
        raise


async def answer_response(service: Service, body: ResponsesRequest, context: RequestContext) -> Response:
    """The answer to ``body``. Everything that can be refused is refused before the status line is sent."""
    check_model(body.model, service.info())
    request = await responses_request(service, body, context)
    generation = Generation(service, [request], context.caller.acquire())
    with in_own_terms():
        await generation.admit()
    truncation = generation.truncation()
    headers = {DROPPED_HEADER: str(truncation["dropped_messages"])} if truncation else {}
    draft = response_draft(body, request.tool_choice, service.info().model, context.request_id)
    output = ResponseOutput(draft["id"], request.tool_choice)
    if body.stream:
        stream = ResponseStream(draft, output)
        return EventStream(stream.chunks(generation), generation.aclose, headers)
    with in_own_terms():
        await while_connected(context.receive, _collect(generation, output))
    return JSONResponse(ended_response(draft, output.items, output.end, output.choice), headers=headers)


async def _collect(generation: Generation, output: ResponseOutput) -> None:
    """All of the answer into ``output``. Raises its failure."""
    async with aclosing(generation):
        async for _, event in generation.events():
            output.add(event)
