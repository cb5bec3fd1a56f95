"""An answer of ``/v1/responses`` as typed server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from qwen_app.api.endpoints.responses_body import (
    FunctionCallItem,
    MessageItem,
    ResponseBody,
    ended_response,
    failed_response,
    output_text,
)
from qwen_app.api.endpoints.responses_input import own_path
from qwen_app.api.endpoints.responses_output import ItemChange, ResponseOutput
from qwen_app.api.protocol.api_error import api_error
from qwen_app.api.protocol.generation import Generation
from qwen_app.api.protocol.sse import DONE, event
from qwen_app.messages import Finished


@dataclass(slots=True)
class ResponseStream:
    """Writes an answer as typed events. ``output`` is empty yet."""

    draft: ResponseBody
    output: ResponseOutput
    _number: int = -1

    async def chunks(self, generation: Generation) -> AsyncGenerator[bytes, None]:
        """The whole body. A failure is an ``error`` event, the response that failed, and the end mark: some clients
        read the one event, and some, such as Codex, the other."""
        yield self._event("response.created", response=self.draft)
        yield self._event("response.in_progress", response=self.draft)
        try:
            async with aclosing(generation):
                async for _, event_ in generation.events():
                    changes = self.output.add(event_)
                    chunk = b"".join(part for change in changes for part in self._written(change))
                    if isinstance(event_, Finished):
                        chunk += self._end(event_)
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
        told = self._event("error", code=shown.code, message=shown.message, param=param)
        return told + self._event("response.failed", response=failed_response(self.draft, shown))

    def _end(self, end: Finished) -> bytes:
        body = ended_response(self.draft, self.output.items, end, self.output.choice)
        return self._event(f"response.{body['status']}", response=body)

    def _written(self, change: ItemChange) -> list[bytes]:
        item = change.item
        if change.kind == "begun":
            added = self._event("response.output_item.added", output_index=change.position, item=item)
            return [added, *self._message_begun(change)] if item["type"] == "message" else [added]
        if change.kind == "grown":
            return [self._message_grown(change) if item["type"] == "message" else self._call_grown(change)]
        closing = self._message_ended(change, item) if item["type"] == "message" else self._call_ended(change, item)
        return [*closing, self._event("response.output_item.done", output_index=change.position, item=item)]

    def _message_begun(self, change: ItemChange) -> list[bytes]:
        return [self._item_event(change, "response.content_part.added", content_index=0, part=output_text("", []))]

    def _message_grown(self, change: ItemChange) -> bytes:
        told = {"delta": change.text, "logprobs": change.logprobs}
        return self._item_event(change, "response.output_text.delta", content_index=0, **told)

    def _message_ended(self, change: ItemChange, item: MessageItem) -> list[bytes]:
        (part,) = item["content"]
        told = {"text": part["text"], "logprobs": part["logprobs"]}
        return [
            self._item_event(change, "response.output_text.done", content_index=0, **told),
            self._item_event(change, "response.content_part.done", content_index=0, part=part),
        ]

    def _call_grown(self, change: ItemChange) -> bytes:
        return self._item_event(change, "response.function_call_arguments.delta", delta=change.text)

    def _call_ended(self, change: ItemChange, item: FunctionCallItem) -> list[bytes]:
        told = {"arguments": item["arguments"], "name": item["name"]}
        return [self._item_event(change, "response.function_call_arguments.done", **told)]

    def _item_event(self, change: ItemChange, kind: str, **fields: object) -> bytes:
        return self._event(kind, item_id=change.item["id"], output_index=change.position, **fields)
