"""An answer of ``/v1/responses`` as typed server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from qwen_app.api.endpoints.responses_body import (
    FunctionCallItem,
    ItemStatus,
    MessageItem,
    ResponseBody,
    call_item,
    call_item_id,
    ended_response,
    message_item,
    output_text,
    status_of,
)
from qwen_app.api.endpoints.responses_input import own_path
from qwen_app.api.protocol.answer import Answer, call_head, json_logprob
from qwen_app.api.protocol.api_error import api_error
from qwen_app.api.protocol.generation import Generation
from qwen_app.api.protocol.sse import DONE, event
from qwen_app.messages import Delta, Event, Finished, ToolCallDelta, ToolChoice


@dataclass(slots=True)
class ResponseStream:
    """Writes an answer as typed events. An item (the message, a call) is open from its first event to its last."""

    draft: ResponseBody
    tool_choice: ToolChoice
    _answer: Answer = field(default_factory=Answer)
    _output: list[MessageItem | FunctionCallItem] = field(default_factory=list)
    _open: MessageItem | FunctionCallItem | None = None
    _pieces: list[str] = field(default_factory=list)
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

    def _event(self, kind: str, **fields: object) -> bytes:
        self._number += 1
        return event({"type": kind, "sequence_number": self._number, **fields}, kind)

    def _error(self, error: Exception) -> bytes:
        shown = api_error(error, self.draft["id"])
        param = shown.param and own_path(shown.param)
        return self._event("error", code=shown.code, message=shown.message, param=param)

    def _written(self, event_: Event) -> list[bytes]:
        if isinstance(event_, Delta):
            return self._text(event_) if event_.text else []
        if isinstance(event_, ToolCallDelta):
            return self._call(event_)
        if isinstance(event_, Finished):
            return self._end(event_)
        return []

    def _text(self, delta: Delta) -> list[bytes]:
        opened = [] if self._open is not None and self._open["type"] == "message" else self._open_message()
        self._pieces.append(delta.text)
        logprobs = [{"token": token.text, "logprob": json_logprob(token)} for token in delta.logprobs]
        return [
            *opened,
            self._item_event("response.output_text.delta", content_index=0, delta=delta.text, logprobs=logprobs),
        ]

    def _open_message(self) -> list[bytes]:
        added = self._add_item(message_item(self.draft["id"], "in_progress", []))
        part = output_text("", Answer())
        return [*added, self._item_event("response.content_part.added", content_index=0, part=part)]

    def _call(self, delta: ToolCallDelta) -> list[bytes]:
        opened = []
        item = self._open
        if item is None or item["id"] != call_item_id(self.draft["id"], delta.index):
            item = call_item(self.draft["id"], delta.index, call_head(delta), "in_progress")
            opened = self._add_item(item)
        if not delta.arguments or item["type"] != "function_call":
            return opened
        item["arguments"] += delta.arguments
        return [*opened, self._item_event("response.function_call_arguments.delta", delta=delta.arguments)]

    def _end(self, end: Finished) -> list[bytes]:
        empty = [] if self._output or self._open else self._open_message()  # an answer of no words is one all the same
        closed = self._close_item(status_of(end, self.tool_choice))
        body = ended_response(self.draft, self._output, end, self.tool_choice)
        return [*empty, *closed, self._event(f"response.{body['status']}", response=body)]

    def _add_item(self, item: MessageItem | FunctionCallItem) -> list[bytes]:
        closed = self._close_item()
        self._open = item
        return [*closed, self._event("response.output_item.added", output_index=len(self._output), item=item)]

    def _close_item(self, status: ItemStatus = "completed") -> list[bytes]:
        item = self._open
        if item is None:
            return []
        item["status"] = status
        closing = self._close_message(item) if item["type"] == "message" else self._close_call(item)
        closing.append(self._event("response.output_item.done", output_index=len(self._output), item=item))
        self._output.append(item)
        self._open = None
        return closing

    def _close_message(self, item: MessageItem) -> list[bytes]:
        part = output_text("".join(self._pieces), self._answer)
        self._pieces = []
        item["content"] = [part]
        return [
            self._item_event(
                "response.output_text.done", content_index=0, text=part["text"], logprobs=part["logprobs"]
            ),
            self._item_event("response.content_part.done", content_index=0, part=part),
        ]

    def _close_call(self, item: FunctionCallItem) -> list[bytes]:
        return [
            self._item_event("response.function_call_arguments.done", arguments=item["arguments"], name=item["name"])
        ]

    def _item_event(self, kind: str, **fields: object) -> bytes:
        item_id = self._open["id"] if self._open else ""
        return self._event(kind, item_id=item_id, output_index=len(self._output), **fields)
