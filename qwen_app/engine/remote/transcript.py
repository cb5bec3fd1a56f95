"""A server's chunks as events, and all that one answer has brought so far."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from qwen_app.engine.remote.connection.chunk import ENDED, Chunk, ChunkChoice, ChunkLogprobs, ChunkToken, ChunkToolCall
from qwen_app.engine.remote.connection.upstream_errors import StreamBroken, UpstreamFailure, malformed
from qwen_app.engine.remote.think_tags import ThinkTags
from qwen_app.engine.remote.tools_as_prompt import is_call_forced
from qwen_app.messages import (
    Delta,
    Event,
    FinishReason,
    GenerationRequest,
    Prefill,
    Thought,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from qwen_app.structured.json_text import whole_characters
from qwen_app.tools.messages import parsed_arguments
from qwen_app.tools.parser import ToolCallParser
from qwen_app.tools.prompt_format import CALL_OPEN

UNKNOWN_ID = -1  # a remote server names tokens by text, not by id

# What servers, and the services behind their gateways, call an ending, in whatever letters.
_REASONS: Mapping[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "stop_sequence", "end_turn", "complete", "completed"), "stop"),
    **dict.fromkeys(("content_filter", "safety", "sensitive", "refusal"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), "length"),
    "repetition": "length",  # vLLM's: the model went round in circles, and was cut
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call"), "tool_calls"),
}
_NO_REASONS = ("", "null", "none")


def transcript_of(request: GenerationRequest) -> Transcript:
    """An empty transcript for the answer to ``request``. Log-probabilities belong to text as it came, so that nothing
    is looked for in it, unless a call is all that is wanted."""
    offered = frozenset(tool.name for tool in request.tools)
    forced = is_call_forced(request)
    as_it_came = bool(request.sampling.logprobs) and not forced
    calls_in_text = offered and request.tool_choice.mode != "none" and not as_it_came
    parser = ToolCallParser(offered) if calls_in_text else None
    return Transcript(parser, None if as_it_came else ThinkTags(), calls_only=forced, offered=offered)


@dataclass(slots=True)
class _Heads:
    """Calls before they are told: servers send id and name late, in pieces, and after the arguments.

    A call has all of its name when its arguments begin, or when the answer ends. Those after it wait for it.
    """

    offered: frozenset[str]
    calls: dict[int, ToolCall] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)  # of calls that were told: a result names its call by it

    def add(self, index: int, call_id: str, name: str, arguments: str) -> None:
        call = self.calls.get(index, ToolCall("", "", ""))
        self.calls[index] = ToolCall(call.id or call_id, self._joined(call.name, name), call.arguments + arguments)

    def begun(self) -> Iterator[ToolCallDelta]:
        """The calls that can be told by now, in their order."""
        for index in sorted(self.calls):
            call = self.calls[index]
            if not (call.name and call.arguments):
                return
            yield self._told(index)

    def rest(self, *, cut: bool) -> Iterator[ToolCallDelta]:
        """All others. Raises StreamBroken for a call without a name; of what was ``cut``, one that has not all of its
        name is none, nor is what came after it."""
        for index in sorted(self.calls):
            call = self.calls[index]
            if not cut and not call.name:
                raise malformed("It called a tool and did not say which.")
            if cut and not (call.name in self.offered or (call.name and call.arguments)):
                break
            yield self._told(index)
        self.calls.clear()

    def _told(self, index: int) -> ToolCallDelta:
        call = self.calls.pop(index)
        call_id = call.id if call.id and call.id not in self._ids else f"call_{uuid.uuid4().hex[:24]}"
        self._ids.add(call_id)
        return ToolCallDelta(index, call_id, call.name, call.arguments)

    def _joined(self, begun: str, piece: str) -> str:
        """The name so far. Some servers send a piece of it at a time, others all of it with every chunk."""
        joined = begun + piece
        if any(name.startswith(joined) for name in self.offered):
            return joined
        return next((name for name in (begun, piece) if name in self.offered or begun == piece), joined)


@dataclass(slots=True)
class _Turns:
    """Events in the order of protocols that know no index: nothing else comes between the pieces of a call.

    What does waits until the arguments of the call are whole, or until the answer ends.
    """

    calls: Mapping[int, ToolCall]  # with the arguments that wait
    open: int | None = None  # the call that is being told
    waiting: list[Delta | ToolCallDelta] = field(default_factory=list)

    def tell(self, event: Delta | ToolCallDelta) -> Iterator[Event]:
        """What can be told now that ``event`` has come."""
        if isinstance(event, ToolCallDelta) and event.index == self.open:
            yield event
            turn_may_end = event.arguments.rstrip().endswith("}")
        else:
            turn_may_end = not self.waiting
            self.waiting.append(event)
        while turn_may_end and self.waiting and (self.open is None or self.is_whole(self.open)):
            yield from self.next()

    def next(self) -> Iterator[Event]:
        """What waits longest; of a call, all that waits."""
        first = self.waiting.pop(0)
        yield first
        self.open = first.index if isinstance(first, ToolCallDelta) else None
        if isinstance(first, ToolCallDelta):
            yield from (event for event in self.waiting if _is_of(event, first.index))
            self.waiting = [event for event in self.waiting if not _is_of(event, first.index)]

    def is_whole(self, index: int) -> bool:
        return index in self.calls and parsed_arguments(self.calls[index]) is not None


def _is_of(event: Delta | ToolCallDelta, index: int) -> bool:
    return isinstance(event, ToolCallDelta) and event.index == index


@dataclass(slots=True)
class Transcript:
    """What one answer has brought so far. Feed it chunks, read events; ``reason`` is set once the server ended it.

    ``parser`` finds tool calls that the server left in the text, ``think_tags`` thoughts. ``calls`` are all calls, with
    the arguments so far. ``calls_only`` keeps the text to itself, where a call is all that was asked for; ``bare_call``
    says that the text is to be the JSON of one, without its tags, so that it is a call even where a limit cuts it.
    """

    parser: ToolCallParser | None = None
    think_tags: ThinkTags | None = None
    calls_only: bool = False
    bare_call: bool = False
    offered: frozenset[str] = frozenset()
    text: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: dict[int, ToolCall] = field(default_factory=dict)
    chunks: int = 0
    reason: FinishReason | None = None
    stop: str | None = None
    usage: Usage | None = None
    _places: dict[int, int] = field(default_factory=dict)  # which call the server means by an index
    _found: dict[int, int] = field(default_factory=dict)  # likewise the parser
    _ids: dict[int, str] = field(default_factory=dict)  # that the server gave
    _heads: _Heads = field(init=False)
    _turns: _Turns = field(init=False)

    def __post_init__(self) -> None:
        self._heads, self._turns = _Heads(self.offered), _Turns(self.calls)

    @property
    def started(self) -> bool:
        return bool(self.text or self.thoughts or self.calls)

    @property
    def only_thinks(self) -> bool:
        return bool(self.thoughts) and not (self.calls or self.partial_text.strip())

    @property
    def partial_text(self) -> str:
        return "".join(self.text)

    @property
    def written_text(self) -> str:
        """All that the model wrote: thoughts and calls, too, which the server told apart from the text."""
        in_the_text = self._found.values()
        told_apart = (call for index, call in self.calls.items() if index not in in_the_text)
        return "".join([*self.thoughts, *self.text]) + "".join(call.name + call.arguments for call in told_apart)

    def feed(self, chunk: Chunk) -> Iterator[Event]:
        """Events of one chunk. Raises StreamBroken for what cannot be part of an answer."""
        progress = chunk.prompt_progress
        if progress is not None and not self.started:
            yield Prefill(progress.processed, progress.total, progress.cache)
        self.usage = _usage(chunk) or self.usage
        if chunk is ENDED and self.reason is None and (self.started or self._heads.calls):
            yield from self._end("stop")  # some servers give no reason
        for choice in chunk.choices or ():
            yield from self._feed_choice(choice)

    def _feed_choice(self, choice: ChunkChoice) -> Iterator[Event]:
        thoughts = choice.delta.thoughts if choice.delta else ""
        text = (choice.delta.content if choice.delta else None) or ""
        logprobs = tuple(_logprobs(choice.logprobs)) if choice.logprobs else ()
        self.chunks += bool(thoughts) + bool(text or choice.text or logprobs)
        if self.think_tags is not None and text:
            within, text = self.think_tags.feed(text)
            thoughts += within
        yield from self._think(thoughts)
        yield from self._say(text or choice.text or "", logprobs)
        calls = choice.delta.tool_calls if choice.delta else None
        for place, call in enumerate(calls or ()):
            self.chunks += 1
            yield from self._feed_call(place, call)
        reason = (choice.finish_reason or "").lower()
        if reason not in _NO_REASONS:
            if reason not in _REASONS:
                sentence = f"It ended the answer with {choice.finish_reason!r}."
                raise StreamBroken(UpstreamFailure(0, sentence, "aborted"))
            yield from self._end(_REASONS[reason])
            met = choice.stop_reason or choice.matched_stop
            self.stop = met if isinstance(met, str) and self.reason == "stop" else None

    def _think(self, thoughts: str) -> Iterator[Event]:
        if thoughts:
            self.thoughts.append(thoughts)
            yield Thought(thoughts)

    def _say(self, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> Iterator[Event]:
        if text or logprobs:
            self.text.append(text)
            if self.parser is None:
                yield from self._tell_text(Delta(text, (), logprobs))
            else:
                yield from self._pieces(self.parser.feed(self._opened(text)))

    def _end(self, reason: FinishReason) -> Iterator[Event]:
        yield from self.flush(cut=reason == "length")
        if reason == "stop" and self.only_thinks:  # servers take answers for thoughts where the model was to have none
            self.text, self.thoughts = self.thoughts, []
            yield from self._tell_text(Delta(self.partial_text))
        self.reason = "tool_calls" if self.calls and reason == "stop" else reason

    def _opened(self, text: str) -> str:
        """``text``, with the tag before it where it begins a call without one."""
        if not self.bare_call or not text.strip():
            return text
        self.bare_call = False
        return CALL_OPEN + text if text.lstrip().startswith("{") else text

    def flush(self, *, cut: bool) -> Iterator[Event]:
        """What is still held back, and calls whose arguments have not begun, of an answer that was ``cut`` or
        came to its end. Raises StreamBroken for a call that has no name by then. Safe to call twice."""
        if self.think_tags is not None:
            thoughts, text = self.think_tags.finish()
            yield from self._think(thoughts)
            yield from self._say(text)
        if self.parser is not None:
            yield from self._pieces(self.parser.finish(cut=cut))
            self.parser = None
        for head in self._heads.rest(cut=cut):
            yield from self._tell_call(head)

    def end_call(self, ending: str) -> ToolCallDelta:
        """The rest of the last call's arguments."""
        return self._recorded(ToolCallDelta(max(self.calls), arguments=ending))

    def rest_of_turns(self, *, cut: bool) -> Iterator[Event]:
        """What still waits for its turn; and, unless the answer was ``cut``, an empty object for each call that came
        without arguments: a tool that takes none is called so."""
        yield from self._without_arguments(cut=cut)
        while self._turns.waiting:
            yield from self._turns.next()
            yield from self._without_arguments(cut=cut)

    def _without_arguments(self, *, cut: bool) -> Iterator[ToolCallDelta]:
        index = self._turns.open
        if not cut and index is not None and not self.calls[index].arguments.strip():
            yield self._recorded(ToolCallDelta(index, arguments="{}"))

    def _pieces(self, pieces: Iterable[str | ToolCallDelta]) -> Iterator[Event]:
        for piece in pieces:
            if isinstance(piece, str):
                yield from self._tell_text(Delta(piece))
            else:
                index = self._found.setdefault(piece.index, self._next_index())
                yield from self._tell_call(replace(piece, index=index))

    def _tell_text(self, delta: Delta) -> Iterator[Event]:
        if not self.calls_only:
            yield from self._turns.tell(delta)

    def _tell_call(self, delta: ToolCallDelta) -> Iterator[Event]:
        yield from self._turns.tell(self._recorded(delta))

    def _recorded(self, delta: ToolCallDelta) -> ToolCallDelta:
        call = self.calls.get(delta.index, ToolCall(delta.id or "", delta.name or "", ""))
        self.calls[delta.index] = replace(call, arguments=call.arguments + delta.arguments)
        return delta

    def _feed_call(self, place: int, call: ChunkToolCall) -> Iterator[Event]:
        arguments = (call.function.arguments if call.function else None) or ""
        if isinstance(arguments, Mapping):
            arguments = whole_characters(json.dumps(arguments, ensure_ascii=False))
        name = (call.function.name if call.function else None) or ""
        if not isinstance(arguments, str):
            raise malformed("It sent tool arguments that are neither text nor an object.")
        place = place if call.index is None else call.index
        index = self._places.get(place)
        if index is None or (name and self._is_another(index, call.id or "", name, arguments)):
            index = self._places[place] = self._next_index()
        if call.id:
            self._ids.setdefault(index, call.id)
        if index not in self.calls:
            self._heads.add(index, call.id or "", name, arguments)
            for head in self._heads.begun():
                yield from self._tell_call(head)
        elif arguments:
            yield from self._tell_call(ToolCallDelta(index, arguments=arguments))

    def _next_index(self) -> int:
        return len(self.calls) + len(self._heads.calls)

    def _is_another(self, index: int, call_id: str, name: str, arguments: str) -> bool:
        """Whether a call with a name is not that of ``index``. Some servers give every call the same index: another id
        tells them apart, or, without ids and with the same one, that the one before is whole."""
        if call_id and self._ids.get(index, call_id) != call_id:
            return True
        repeated = index in self.calls and self.calls[index].name == name and not arguments.strip()
        return not repeated and self._turns.is_whole(index)


def _usage(chunk: Chunk) -> Usage | None:
    usage = chunk.usage
    if usage is None or not usage.prompt_tokens:  # a prompt has tokens: zero is of a server that counts none
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
