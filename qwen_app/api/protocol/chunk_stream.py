"""An answer as a stream of chunks in OpenAI's shape, for chat and for plain completions."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing

from qwen_app.api.protocol.answer import usage_of
from qwen_app.api.protocol.api_error import api_error
from qwen_app.api.protocol.generation import Generation
from qwen_app.api.protocol.response_bodies import AnswerHead, Reason
from qwen_app.api.protocol.sse import DONE, event
from qwen_app.messages import Delta, Event, Finished, Thought, TokenLogprob, ToolCallDelta


class ChunkStream(ABC):
    """Writes the events of an answer as chunks.

    Text is what comes often, so all that surrounds it is made once. ``head`` is what every chunk starts with;
    ``prompts`` are the choices whose prompts count in the usage.
    """

    def __init__(
        self, head: AnswerHead, text_open: str, text_close: str, *, with_usage: bool, prompts: Iterable[int] = (0,)
    ) -> None:
        self._fields = head
        self._head = f'data: {_compact(head)[:-1]},"choices":[{{"index":'.encode()
        self._tail = b'}],"usage":null}\n\n' if with_usage else b"}]}\n\n"
        self._text_open = f",{text_open}".encode()
        self._text_tail = f'{text_close},"logprobs":null,"finish_reason":null'.encode() + self._tail
        self._with_usage = with_usage
        self._held: dict[int, list[TokenLogprob]] = {}
        self._prompts = prompts
        self._finished: dict[int, Finished] = {}

    @abstractmethod
    def opening(self, index: int) -> bytes:
        """What is sent before the first event of a choice, or nothing."""

    @abstractmethod
    def text_part(self, text: str) -> Mapping[str, object]:
        """The part of a choice that holds ``text``; empty text comes with the last chunk."""

    @abstractmethod
    def logprobs(self, index: int, tokens: Sequence[TokenLogprob]) -> Mapping[str, object]:
        """The log-probabilities of ``tokens`` in the shape of this kind of stream."""

    @abstractmethod
    def call(self, index: int, delta: ToolCallDelta) -> bytes:
        """The chunk for a piece of a tool call, or nothing."""

    def thought(self, index: int, thought: Thought) -> bytes:
        """The chunk for a piece of what the model thinks; nothing, where this kind of stream has no place for it."""
        return b""

    @abstractmethod
    def reason(self, index: int, end: Finished) -> Reason:
        """Why the choice ended."""

    async def chunks(self, generation: Generation) -> AsyncGenerator[bytes, None]:
        """The whole body: chunks, an error event should the answer fail, the usage, and the end mark."""
        started: set[int] = set()
        try:
            async with aclosing(generation):
                async for index, event_ in generation.events():
                    if index not in started:
                        started.add(index)
                        yield self.opening(index)
                    chunk = self._written(index, event_)
                    if chunk:
                        yield chunk
            if self._with_usage:
                yield self._usage_chunk()
        except Exception as error:
            yield event(api_error(error, self._fields["id"]).body())
        yield DONE

    def _usage_chunk(self) -> bytes:
        finished = [self._finished[index] for index in sorted(self._finished)]
        return event({**self._fields, "choices": [], "usage": usage_of(finished, self._prompts)})

    def _written(self, index: int, event_: Event) -> bytes:
        if isinstance(event_, Delta):
            return self._text(index, event_)
        if isinstance(event_, Thought):
            return self.thought(index, event_)
        if isinstance(event_, ToolCallDelta):
            return self.call(index, event_)
        if isinstance(event_, Finished):
            self._finished[index] = event_
            return self.chunk(index, self.text_part(""), self._logprobs(index), self.reason(index, event_))
        return b""

    def _text(self, index: int, delta: Delta) -> bytes:
        if delta.logprobs:
            self._held.setdefault(index, []).extend(delta.logprobs)
        if not delta.text:  # ids alone: their text is still held back
            return b""
        if index in self._held:
            return self.chunk(index, self.text_part(delta.text), self._logprobs(index))
        text = json.dumps(delta.text).encode()
        return b"%b%d%b%b%b" % (self._head, index, self._text_open, text, self._text_tail)

    def _logprobs(self, index: int) -> Mapping[str, object] | None:
        held = self._held.pop(index, None)
        return self.logprobs(index, held) if held else None

    def chunk(
        self,
        index: int,
        part: Mapping[str, object],
        logprobs: Mapping[str, object] | None = None,
        reason: Reason | None = None,
        *,
        top: Mapping[str, object] | None = None,
    ) -> bytes:
        """One chunk of choice ``index``. ``part`` stands beside logprobs and reason, ``top`` at the chunk's end."""
        rest = _compact({**part, "logprobs": logprobs, "finish_reason": reason})
        chunk = b"%b%d,%b%b" % (self._head, index, rest[1:-1].encode(), self._tail)
        return chunk if top is None else b"%b,%b\n\n" % (chunk.rstrip()[:-1], _compact(top)[1:].encode())


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
