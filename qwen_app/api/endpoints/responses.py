"""``POST /v1/responses``, stateless: nothing is stored, so the whole conversation comes with every request."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from qwen_app.api.access.request_guard import Visit
from qwen_app.api.endpoints.chat_completions import DROPPED_HEADER
from qwen_app.api.endpoints.responses_input import ResponsesRequest, responses_request
from qwen_app.api.protocol.answer import Answer, collect, finish_reason, logprobs_body
from qwen_app.api.protocol.errors import api_error
from qwen_app.api.protocol.generation import Generation
from qwen_app.api.protocol.sse import DONE, EventStream, event, while_connected
from qwen_app.api.protocol.translate import check_model
from qwen_app.errors import SchemaError
from qwen_app.messages import Delta, Event, Finished, ToolCallDelta, ToolChoice
from qwen_app.service import Service


class ResponseBody(BaseModel):
    """The fields clients rely on; ``output`` holds messages and function calls."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    model: str
    status: Literal["in_progress", "completed", "incomplete"]
    output: list[dict[str, Any]]
    usage: dict[str, Any] | None


async def answer_response(service: Service, body: ResponsesRequest, visit: Visit) -> Response:
    check_model(body.model, service.info())
    asked = responses_request(service, body, visit)
    generation = Generation(service, [asked], visit.caller.hold())
    try:
        await generation.admit()
    except SchemaError as refused:
        if refused.param == "response_format":  # chat's name for it
            refused.param = "text.format"
        raise
    truncation = generation.truncation()
    headers = {DROPPED_HEADER: str(truncation.dropped_messages)} if truncation else {}
    draft = _draft(body, service.info().model, visit.request_id)
    draft["truncation"] = body.truncation or "disabled"
    if body.stream:
        return EventStream(ResponseStream(draft, asked.tool_choice).chunks(generation), generation.aclose, headers)
    (answer,) = await while_connected(visit.receive, collect(generation, 1))
    return JSONResponse(_whole(draft, answer, asked.tool_choice), headers=headers)


def _draft(body: ResponsesRequest, model: str, request_id: str) -> dict[str, Any]:
    """A response before its first word."""
    return {
        "id": f"resp_{request_id}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "model": model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": None,
        "store": False,
        "temperature": body.temperature,
        "text": body.text.model_dump(by_alias=True, exclude_none=True) if body.text else {"format": {"type": "text"}},
        "tool_choice": body.tool_choice.model_dump()
        if isinstance(body.tool_choice, BaseModel)
        else body.tool_choice or "auto",
        "tools": [{"strict": None, **tool.model_dump()} for tool in body.tools or ()],
        "top_p": body.top_p,
        "usage": None,
        "user": body.user,
    }


def _whole(draft: dict[str, Any], answer: Answer, choice: ToolChoice) -> dict[str, Any]:
    calls = answer.ordered_calls()
    output = [] if calls and not answer.text else [_message(draft["id"], answer)]
    output += [_call(draft["id"], index, call) for index, call in enumerate(calls)]
    return _ended(draft, output, answer.end, choice)


def _message(response_id: str, answer: Answer, status: str = "completed") -> dict[str, Any]:
    return {
        "type": "message",
        "id": response_id.replace("resp_", "msg_"),
        "role": "assistant",
        "status": status,
        "content": [_part(answer.text, answer)] if status == "completed" else [],
    }


def _part(text: str, answer: Answer) -> dict[str, Any]:
    logprobs = logprobs_body(answer.logprobs)["content"]
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def _call(response_id: str, index: int, call: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"{response_id.replace('resp_', 'fc_')}_{index}",
        "call_id": call["id"],
        "name": call["function"]["name"],
        "arguments": call["function"]["arguments"],
        "status": status,
    }


def _ended(draft: dict[str, Any], output: list[dict[str, Any]], end: Finished, choice: ToolChoice) -> dict[str, Any]:
    cut = finish_reason(end, choice, called=False) == "length"
    usage = end.usage
    return {
        **draft,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": output,
        "usage": {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.reused_tokens, "cache_write_tokens": 0},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        },
    }


@dataclass(slots=True)
class ResponseStream:
    """Writes an answer as typed events. An item (the message, a call) is open from its first event to its last."""

    draft: dict[str, Any]
    choice: ToolChoice
    _answer: Answer = field(default_factory=Answer)
    _output: list[dict[str, Any]] = field(default_factory=list)
    _open: dict[str, Any] | None = None
    _said: list[str] = field(default_factory=list)
    _number: int = -1

    async def chunks(self, generation: Generation) -> AsyncGenerator[bytes, None]:
        """The whole body. A failure is one ``error`` event and the end mark."""
        yield self._event("response.created", response=self.draft)
        yield self._event("response.in_progress", response=self.draft)
        try:
            async with aclosing(generation):
                async for _, event_ in generation.events():
                    self._answer.add(event_)
                    chunk = b"".join(self._written(event_))
                    if chunk:
                        yield chunk
        except Exception as error:
            yield self._error(error)
            yield DONE

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._number += 1
        return event({"type": kind, "sequence_number": self._number, **fields}, kind)

    def _error(self, error: Exception) -> bytes:
        told = api_error(error, self.draft["id"])
        return self._event("error", code=told.code, message=told.message, param=told.param)

    def _written(self, event_: Event) -> list[bytes]:
        if isinstance(event_, Delta):
            return self._text(event_) if event_.text else []
        if isinstance(event_, ToolCallDelta):
            return self._call(event_)
        if isinstance(event_, Finished):
            return self._end(event_)
        return []

    def _text(self, delta: Delta) -> list[bytes]:
        opened = [] if self._is_open("message") else self._open_message()
        self._said.append(delta.text)
        logprobs = [{"token": t.text, "logprob": max(t.logprob, -9999.0)} for t in delta.logprobs]
        return [
            *opened,
            self._item_event("response.output_text.delta", content_index=0, delta=delta.text, logprobs=logprobs),
        ]

    def _open_message(self) -> list[bytes]:
        added = self._add_item(_message(self.draft["id"], self._answer, "in_progress"))
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        return [*added, self._item_event("response.content_part.added", content_index=0, part=part)]

    def _call(self, delta: ToolCallDelta) -> list[bytes]:
        item_id = _call(self.draft["id"], delta.index, self._answer.calls[delta.index])["id"]
        opened = []
        if self._open is None or self._open["id"] != item_id:
            head = {"id": delta.id or "", "function": {"name": delta.name or "", "arguments": ""}}
            opened = self._add_item(_call(self.draft["id"], delta.index, head, "in_progress"))
        if not delta.arguments or self._open is None:
            return opened
        self._open["arguments"] += delta.arguments
        return [*opened, self._item_event("response.function_call_arguments.delta", delta=delta.arguments)]

    def _end(self, end: Finished) -> list[bytes]:
        empty = [] if self._output or self._open else self._open_message()  # an answer of no words is one all the same
        closed = self._close_item()
        body = _ended(self.draft, self._output, end, self.choice)
        return [*empty, *closed, self._event(f"response.{body['status']}", response=body)]

    def _is_open(self, kind: str) -> bool:
        return self._open is not None and self._open["type"] == kind

    def _add_item(self, item: dict[str, Any]) -> list[bytes]:
        closed = self._close_item()
        self._open = item
        return [*closed, self._event("response.output_item.added", output_index=len(self._output), item=item)]

    def _close_item(self) -> list[bytes]:
        if self._open is None:
            return []
        item = {**self._open, "status": "completed"}
        closing = self._close_message(item) if item["type"] == "message" else self._close_call(item)
        closing.append(self._event("response.output_item.done", output_index=len(self._output), item=item))
        self._output.append(item)
        self._open = None
        return closing

    def _close_message(self, item: dict[str, Any]) -> list[bytes]:
        part = _part("".join(self._said), self._answer)
        self._said = []
        item["content"] = [part]
        return [
            self._item_event(
                "response.output_text.done", content_index=0, text=part["text"], logprobs=part["logprobs"]
            ),
            self._item_event("response.content_part.done", content_index=0, part=part),
        ]

    def _close_call(self, item: dict[str, Any]) -> list[bytes]:
        done = {"arguments": item["arguments"], "name": item["name"]}
        return [self._item_event("response.function_call_arguments.done", **done)]

    def _item_event(self, kind: str, **fields: Any) -> bytes:
        item_id = self._open["id"] if self._open else ""
        return self._event(kind, item_id=item_id, output_index=len(self._output), **fields)
