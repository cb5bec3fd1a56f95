"""A server's stream of chunks as events, tolerant of what servers leave out, double or misname."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qwen_app.engine.remote.errors import RemoteFailure, StreamBroken, read_body
from qwen_app.messages import Delta, Event, FinishReason, Prefill, TokenLogprob, ToolCall, ToolCallDelta, Usage
from qwen_app.tools.parser import ToolCallParser

UNKNOWN_ID = -1  # a remote server names tokens by text, not by id

_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "content_filter": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


@dataclass(slots=True)
class Transcript:
    """What one answer has brought so far. Feed it chunks, read events; ``reason`` is set once the server ended it.

    ``parser`` finds tool calls that the server left in the text. ``calls`` are all calls, with the arguments so far.
    """

    parser: ToolCallParser | None = None
    text: list[str] = field(default_factory=list)
    calls: dict[int, ToolCall] = field(default_factory=dict)
    chunks: int = 0
    reason: FinishReason | None = None
    usage: Usage | None = None

    @property
    def started(self) -> bool:
        return bool(self.text or self.calls)

    @property
    def partial_text(self) -> str:
        return "".join(self.text)

    def feed(self, chunk: Mapping[str, Any]) -> Iterator[Event]:
        """Events of one chunk. Raises StreamBroken for an error sent in its place."""
        if chunk.get("object") == "error" or chunk.get("error"):
            raise StreamBroken(read_body(0, chunk))
        progress = chunk.get("prompt_progress")
        if isinstance(progress, Mapping) and not self.started:
            yield Prefill(progress.get("processed", 0), progress.get("total", 0), progress.get("cache", 0))
        self.usage = _usage(chunk) or self.usage
        for choice in chunk.get("choices") or ():
            yield from self._choice(choice)

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[Event]:
        delta = choice.get("delta") or {}
        text = delta.get("content") or choice.get("text") or ""
        logprobs = tuple(_logprobs(choice.get("logprobs")))
        if text or logprobs:
            self.chunks += 1
            self.text.append(text)
            if self.parser is None:
                yield Delta(text, (), logprobs)
            else:
                yield from self._pieces(self.parser.feed(text))
        for place, call in enumerate(delta.get("tool_calls") or ()):
            self.chunks += 1
            yield from self._call(place, call)
        if reason := choice.get("finish_reason"):
            yield from self.flush()
            self.reason = self._reason(reason)

    def flush(self) -> Iterator[Event]:
        """What the parser still holds back. Safe to call twice."""
        if self.parser is not None:
            yield from self._pieces(self.parser.finish())
            self.parser = None

    def _pieces(self, pieces: Iterable[str | ToolCallDelta]) -> Iterator[Event]:
        for piece in pieces:
            yield Delta(piece) if isinstance(piece, str) else self._noted(piece)

    def _noted(self, delta: ToolCallDelta) -> ToolCallDelta:
        known = self.calls.get(delta.index, ToolCall(delta.id or "", delta.name or "", ""))
        self.calls[delta.index] = replace(known, arguments=known.arguments + delta.arguments)
        return delta

    def _call(self, place: int, call: Mapping[str, Any]) -> Iterator[ToolCallDelta]:
        """Some servers send no index, a string as index, no id, or arguments as an object."""
        given = call.get("index")
        index = place if given is None else int(given)
        function = call.get("function") or {}
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):
            raise StreamBroken(RemoteFailure(0, "It sent tool arguments that are not text.", "malformed"))
        if index not in self.calls:
            call_id = call.get("id") or f"call_{uuid.uuid4().hex[:24]}"
            yield self._noted(ToolCallDelta(index, call_id, function.get("name") or "", arguments))
        elif arguments:
            yield self._noted(ToolCallDelta(index, arguments=arguments))

    def _reason(self, reason: str) -> FinishReason:
        if reason not in _REASONS:
            raise StreamBroken(RemoteFailure(0, f"It ended the answer with {reason!r}.", "aborted"))
        known = _REASONS[reason]
        return "tool_calls" if self.calls and known == "stop" else known


def _usage(chunk: Mapping[str, Any]) -> Usage | None:
    usage = chunk.get("usage")
    if not isinstance(usage, Mapping) or usage.get("prompt_tokens") is None:
        return None
    details = usage.get("prompt_tokens_details") or {}
    timings = chunk.get("timings") or {}  # llama.cpp counts reuse here
    reused = details.get("cached_tokens") or timings.get("cache_n") or 0
    return Usage(usage["prompt_tokens"], usage.get("completion_tokens") or 0, reused)


def _logprobs(found: Any) -> Iterator[TokenLogprob]:
    """Of a chat (``content``) or of a plain completion (parallel lists)."""
    if not isinstance(found, Mapping):
        return
    for entry in found.get("content") or ():
        yield _token(entry, tuple(_token(other) for other in entry.get("top_logprobs") or ()))
    tokens: Sequence[str] = found.get("tokens") or ()
    values: Sequence[float | None] = found.get("token_logprobs") or [None] * len(tokens)
    tops: Sequence[Mapping[str, float] | None] = found.get("top_logprobs") or [None] * len(tokens)
    for text, value, top in zip(tokens, values, tops, strict=False):
        others = tuple(_token({"token": name, "logprob": chance}) for name, chance in (top or {}).items())
        yield _token({"token": text, "logprob": value or 0.0}, others)


def _token(entry: Mapping[str, Any], top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
    text = entry.get("token") or ""
    raw = entry.get("bytes")
    return TokenLogprob(UNKNOWN_ID, text, bytes(raw) if raw else text.encode(), entry.get("logprob") or 0.0, top)
