"""An answer of ``/v1/messages`` as typed server-sent events.

Format: "Streaming Messages" of Anthropic's API reference: ``message_start``, for each block ``content_block_start``,
deltas and ``content_block_stop``, then ``message_delta`` and ``message_stop``. There is no ``[DONE]``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from qwen_app.api.anthropic.message_body import (
    AnswerLimits,
    MessageHead,
    TextBlock,
    ToolUseBlock,
    stop_reason,
    usage_of_message,
)
from qwen_app.api.protocol.anthropic_error import anthropic_error
from qwen_app.api.protocol.api_error import api_error
from qwen_app.api.protocol.generation import Generation
from qwen_app.api.protocol.sse import event
from qwen_app.messages import Delta, Event, Finished, Prefill, ToolCallDelta, Usage

PING = event({"type": "ping"}, "ping")
TEXT = -1  # beside the indexes of calls


@dataclass(slots=True)
class MessageStream:
    """Writes an answer as events. One block, text or a call, is open at a time."""

    head: MessageHead
    request_id: str
    limits: AnswerLimits
    _started: bool = False
    _blocks: int = 0
    _open: int | None = None  # the index of the call that is open, or TEXT
    _calls: set[int] = field(default_factory=set)

    async def chunks(self, generation: Generation) -> AsyncGenerator[bytes, None]:
        """The whole body. A failure is one ``error`` event, and the last."""
        try:
            async with aclosing(generation):
                async for _, event_ in generation.events():
                    chunk = b"".join(self._written(event_))
                    if chunk:
                        yield chunk
        except Exception as error:
            shown = api_error(error, self.request_id)
            yield event(anthropic_error(shown, error, self.request_id), "error")

    def _written(self, event_: Event) -> list[bytes]:
        if isinstance(event_, Prefill):
            return self._start(event_.total, event_.reused)
        if isinstance(event_, Delta):
            return [*self._start(0, 0), *self._text(event_.text)] if event_.text else []
        if isinstance(event_, ToolCallDelta):
            return [*self._start(0, 0), *self._call(event_)]
        if isinstance(event_, Finished):
            return [*self._start(event_.usage.prompt_tokens, event_.usage.reused_tokens), *self._end(event_)]
        return []

    def _start(self, prompt_tokens: int, reused_tokens: int) -> list[bytes]:
        """``message_start``, once. Engines that count at the end alone say nothing of the prompt by then."""
        if self._started:
            return []
        self._started = True
        usage = usage_of_message(Usage(prompt_tokens, 0, reused_tokens))
        message = {**self.head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
        return [event({"type": "message_start", "message": message}, "message_start"), PING]

    def _text(self, text: str) -> list[bytes]:
        opened = [] if self._open == TEXT else self._open_block(TEXT, {"type": "text", "text": ""})
        return [*opened, self._delta({"type": "text_delta", "text": text})]

    def _call(self, delta: ToolCallDelta) -> list[bytes]:
        opened: list[bytes] = []
        if delta.index not in self._calls:
            self._calls.add(delta.index)
            block: ToolUseBlock = {"type": "tool_use", "id": delta.id or "", "name": delta.name or "", "input": {}}
            opened = self._open_block(delta.index, block)
        if not delta.arguments:
            return opened
        return [*opened, self._delta({"type": "input_json_delta", "partial_json": delta.arguments})]

    def _end(self, end: Finished) -> list[bytes]:
        reason = stop_reason(end, self.limits, called=bool(self._calls))
        delta = {"stop_reason": reason, "stop_sequence": end.stop if reason == "stop_sequence" else None}
        ended = event({"type": "message_delta", "delta": delta, "usage": usage_of_message(end.usage)}, "message_delta")
        return [*self._close_block(), ended, event({"type": "message_stop"}, "message_stop")]

    def _open_block(self, kind: int, block: TextBlock | ToolUseBlock) -> list[bytes]:
        closed = self._close_block()
        self._open = kind
        start = {"type": "content_block_start", "index": self._blocks, "content_block": block}
        return [*closed, event(start, "content_block_start")]

    def _close_block(self) -> list[bytes]:
        if self._open is None:
            return []
        self._open = None
        self._blocks += 1
        return [event({"type": "content_block_stop", "index": self._blocks - 1}, "content_block_stop")]

    def _delta(self, delta: dict[str, str]) -> bytes:
        return event({"type": "content_block_delta", "index": self._blocks, "delta": delta}, "content_block_delta")
