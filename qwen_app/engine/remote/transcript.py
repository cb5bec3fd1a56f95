"""A server's chunks as events, and all that one answer has brought so far."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from qwen_app.engine.remote.chunk import Chunk, ChunkChoice, ChunkLogprobs, ChunkToken, ChunkToolCall
from qwen_app.engine.remote.tools_as_prompt import is_call_forced
from qwen_app.engine.remote.upstream_errors import StreamBroken, UpstreamFailure
from qwen_app.messages import (
    Delta,
    Event,
    FinishReason,
    GenerationRequest,
    Prefill,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from qwen_app.tools.messages import parsed_arguments
from qwen_app.tools.parser import ToolCallParser
from qwen_app.tools.prompt_format import CALL_OPEN

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


def transcript_of(request: GenerationRequest) -> Transcript:
    """An empty transcript for the answer to ``request``."""
    return Transcript(_parser_for(request), calls_only=is_call_forced(request))


def _parser_for(request: GenerationRequest) -> ToolCallParser | None:
    """Finds calls that a server left in the text. Log-probabilities belong to text as it came, so they go without,
    unless a call is all that is wanted."""
    as_it_came = request.sampling.logprobs and not is_call_forced(request)
    if not request.tools or request.tool_choice.mode == "none" or as_it_came:
        return None
    return ToolCallParser(tool.name for tool in request.tools)


@dataclass(slots=True)
class Transcript:
    """What one answer has brought so far. Feed it chunks, read events; ``reason`` is set once the server ended it.

    ``parser`` finds tool calls that the server left in the text. ``calls`` are all calls, with the arguments so far.
    ``calls_only`` keeps the text to itself, where a call is all that was asked for; ``bare_call`` says that the text is
    to be the JSON of one, without its tags, so that it is a call even where a limit cuts it.
    """

    parser: ToolCallParser | None = None
    calls_only: bool = False
    bare_call: bool = False
    text: list[str] = field(default_factory=list)
    calls: dict[int, ToolCall] = field(default_factory=dict)
    chunks: int = 0
    reason: FinishReason | None = None
    stop: str | None = None
    usage: Usage | None = None
    _places: dict[int, int] = field(default_factory=dict)  # which call the server means by an index
    _ids: dict[int, str] = field(default_factory=dict)  # that the server gave
    _open: int | None = None  # the call that is being told
    _held: list[ToolCallDelta] = field(default_factory=list)  # of calls that come after it

    @property
    def started(self) -> bool:
        return bool(self.text or self.calls)

    @property
    def partial_text(self) -> str:
        return "".join(self.text)

    @property
    def written_text(self) -> str:
        """All that the model wrote: calls, too, which the server told apart from the text."""
        told_apart = self.calls.values() if self._places else ()
        return self.partial_text + "".join(call.name + call.arguments for call in told_apart)

    def feed(self, chunk: Chunk) -> Iterator[Event]:
        """Events of one chunk. Raises StreamBroken for what cannot be part of an answer."""
        progress = chunk.prompt_progress
        if progress is not None and not self.started:
            yield Prefill(progress.processed, progress.total, progress.cache)
        self.usage = _usage(chunk) or self.usage
        for choice in chunk.choices or ():
            yield from self._feed_choice(choice)

    def _feed_choice(self, choice: ChunkChoice) -> Iterator[Event]:
        text = (choice.delta.content if choice.delta else None) or choice.text or ""
        logprobs = tuple(_logprobs(choice.logprobs)) if choice.logprobs else ()
        if text or logprobs:
            self.chunks += 1
            self.text.append(text)
            if self.parser is None:
                yield from self._told(Delta(text, (), logprobs))
            else:
                yield from self._pieces(self.parser.feed(self._opened(text)))
        calls = choice.delta.tool_calls if choice.delta else None
        for place, call in enumerate(calls or ()):
            self.chunks += 1
            yield from self._feed_call(place, call)
        if choice.finish_reason:
            yield from self.flush(cut=choice.finish_reason == "length")
            self.reason = self._reason(choice.finish_reason)
            met = choice.stop_reason or choice.matched_stop
            self.stop = met if isinstance(met, str) and self.reason == "stop" else None

    def _opened(self, text: str) -> str:
        """``text``, with the tag before it where it begins a call without one."""
        if not self.bare_call or not text.strip():
            return text
        self.bare_call = False
        return CALL_OPEN + text if text.lstrip().startswith("{") else text

    def flush(self, *, cut: bool) -> Iterator[Event]:
        """What the parser still holds back, of an answer that was ``cut`` or came to its end. Safe to call twice."""
        if self.parser is not None:
            yield from self._pieces(self.parser.finish(cut=cut))
            self.parser = None

    def end_call(self, ending: str) -> ToolCallDelta:
        """The rest of the last call's arguments."""
        return self._recorded(ToolCallDelta(max(self.calls), arguments=ending))

    def rest_of_calls(self, *, cut: bool) -> Iterator[ToolCallDelta]:
        """What was held back of calls; and, unless the answer was ``cut``, an empty object for each that came without
        arguments: a tool that takes none is called so."""
        for index in sorted(self.calls):
            yield from (delta for delta in self._held if delta.index == index)
            if not cut and not self.calls[index].arguments.strip():
                yield self._recorded(ToolCallDelta(index, arguments="{}"))
        self._held = []

    def _pieces(self, pieces: Iterable[str | ToolCallDelta]) -> Iterator[Event]:
        for piece in pieces:
            yield from self._told(Delta(piece) if isinstance(piece, str) else self._recorded(piece))

    def _told(self, event: Delta | ToolCallDelta) -> Iterator[Event]:
        if not (self.calls_only and isinstance(event, Delta)):
            yield event

    def _recorded(self, delta: ToolCallDelta) -> ToolCallDelta:
        call = self.calls.get(delta.index, ToolCall(delta.id or "", delta.name or "", ""))
        self.calls[delta.index] = replace(call, arguments=call.arguments + delta.arguments)
        return delta

    def _feed_call(self, place: int, call: ChunkToolCall) -> Iterator[ToolCallDelta]:
        arguments = (call.function.arguments if call.function else None) or ""
        name = (call.function.name if call.function else None) or ""
        if not isinstance(arguments, str):
            raise StreamBroken(UpstreamFailure(0, "It sent tool arguments that are not text.", "malformed"))
        index = self._index_of(place if call.index is None else call.index, call.id or "", name)
        if index not in self.calls:
            head = ToolCallDelta(index, call.id or f"call_{uuid.uuid4().hex[:24]}", name, arguments)
            yield from self._in_turn(self._recorded(head))
        elif arguments:
            yield from self._in_turn(self._recorded(ToolCallDelta(index, arguments=arguments)))

    def _index_of(self, place: int, call_id: str, name: str) -> int:
        """The call that the server means. Some give every call the same index: another id, with a name, is another."""
        index = self._places.get(place)
        if index is None or (call_id and name and self._ids.get(index, call_id) != call_id):
            index = self._places[place] = len(self.calls)
        if call_id:
            self._ids.setdefault(index, call_id)
        return index

    def _in_turn(self, delta: ToolCallDelta) -> Iterator[ToolCallDelta]:
        """``delta`` if it is its call's turn. One call is told after the other, as protocols want that know no index: a
        call waits while the one before may have to be given its arguments yet."""
        if self._open is None or (not self._held and delta.index != self._open and self._is_whole(self._open)):
            self._open = delta.index
        if delta.index == self._open:
            yield delta
        else:
            self._held.append(delta)

    def _is_whole(self, index: int) -> bool:
        return parsed_arguments(self.calls[index]) is not None

    def _reason(self, reason: str) -> FinishReason:
        if reason not in _REASONS:
            raise StreamBroken(UpstreamFailure(0, f"It ended the answer with {reason!r}.", "aborted"))
        known = _REASONS[reason]
        return "tool_calls" if self.calls and known == "stop" else known


def _usage(chunk: Chunk) -> Usage | None:
    usage = chunk.usage
    if usage is None or usage.prompt_tokens is None:
        return None
    reused_tokens = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None
    reused_tokens = reused_tokens or (chunk.timings.cache_n if chunk.timings else None)
    return Usage(usage.prompt_tokens, usage.completion_tokens or 0, reused_tokens or 0)


def _logprobs(logprobs: ChunkLogprobs) -> Iterator[TokenLogprob]:
    for entry in logprobs.content or ():
        yield _token(entry, tuple(_token(other) for other in entry.top_logprobs or ()))
    tokens = logprobs.tokens or []
    values = logprobs.token_logprobs or [None] * len(tokens)
    tops = logprobs.top_logprobs or [None] * len(tokens)
    for text, value, top in zip(tokens, values, tops, strict=False):
        others = tuple(_token(ChunkToken(token=other, logprob=logprob)) for other, logprob in (top or {}).items())
        yield _token(ChunkToken(token=text, logprob=value), others)


def _token(entry: ChunkToken, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
    text = entry.token or ""
    raw = bytes(entry.bytes) if entry.bytes else text.encode()
    return TokenLogprob(UNKNOWN_ID, text, raw, entry.logprob or 0.0, top)
