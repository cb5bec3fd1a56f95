"""What an answer of ``/v1/responses`` consists of: messages and function calls, in the order in which they begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from qwen_app.api.endpoints.responses_body import (
    ItemStatus,
    OutputItem,
    call_item,
    message_item,
    output_text,
    status_of,
)
from qwen_app.api.protocol.answer import call_head, logprobs_body
from qwen_app.api.protocol.response_bodies import TopLogprobsBody
from qwen_app.errors import EngineError
from qwen_app.messages import Delta, Event, Finished, TokenLogprob, ToolCallDelta, ToolChoice


@dataclass(frozen=True, slots=True)
class ItemChange:
    """What became of the item at ``position``. One that ``grown`` has ``text`` more, with its log-probabilities."""

    kind: Literal["begun", "grown", "ended"]
    position: int
    item: OutputItem
    text: str = ""
    logprobs: Sequence[TopLogprobsBody] = ()


@dataclass(slots=True)
class ResponseOutput:
    """Collects an answer's events as items, of which one is open at a time: the last.

    Log-probabilities belong to the message whose text their tokens are. Those of a call's tokens are left out, for
    OpenAI's calls have no place for them.
    """

    response_id: str
    choice: ToolChoice
    items: list[OutputItem] = field(default_factory=list)
    _finished: Finished | None = None
    _open: OutputItem | None = None
    _call: int | None = None  # the engine's index of the call that is open
    _pieces: list[str] = field(default_factory=list)  # of the open item
    _logprobs: list[TopLogprobsBody] = field(default_factory=list)  # of the open message
    _held: list[TokenLogprob] = field(default_factory=list)  # of tokens whose text is still to come

    @property
    def end(self) -> Finished:
        """How the answer ended. Raises EngineError for one that did not."""
        if self._finished is None:
            raise EngineError("The engine's answer has no end. This is a fault of the server.")
        return self._finished

    def add(self, event: Event) -> list[ItemChange]:
        """What ``event`` changes."""
        match event:
            case Delta():
                return self._add_text(event)
            case ToolCallDelta():
                return self._add_call(event)
            case Finished():
                return self._finish(event)
            case _:
                return []

    def _add_text(self, delta: Delta) -> list[ItemChange]:
        tokens = [*self._held, *delta.logprobs]
        self._held = [] if delta.text else tokens
        if not delta.text:
            return []
        if self._in_message():
            return [self._grow(delta.text, tokens)]
        if self.items:  # what is held may be of the call before
            tokens = _tokens_of(delta.text, tokens) or list(delta.logprobs)
        return [*self._begin_message(), self._grow(delta.text, tokens)]

    def _add_call(self, delta: ToolCallDelta) -> list[ItemChange]:
        self._held = []  # those of the call's own tokens, or of its tag's
        begun = []
        if self._call != delta.index:
            begun = self._begin(call_item(self.response_id, len(self.items), call_head(delta)))
            self._call = delta.index
        return [*begun, self._grow(delta.arguments)] if delta.arguments else begun

    def _finish(self, end: Finished) -> list[ItemChange]:
        self._finished = end
        begun = [] if self.items else self._begin_message()  # an answer of no words is one all the same
        rest = [self._grow("", self._held)] if self._held and self._in_message() else []
        return [*begun, *rest, *self._end_item(status_of(end, self.choice))]

    def _in_message(self) -> bool:
        return self._open is not None and self._open["type"] == "message"

    def _begin_message(self) -> list[ItemChange]:
        return self._begin(message_item(self.response_id, len(self.items)))

    def _begin(self, item: OutputItem) -> list[ItemChange]:
        ended = self._end_item("completed")
        self.items.append(item)
        self._open = item
        return [*ended, ItemChange("begun", len(self.items) - 1, item)]

    def _grow(self, text: str, tokens: Sequence[TokenLogprob] = ()) -> ItemChange:
        logprobs = logprobs_body(tokens)["content"] or []
        self._pieces.append(text)
        self._logprobs += logprobs
        return ItemChange("grown", len(self.items) - 1, self.items[-1], text, logprobs)

    def _end_item(self, status: ItemStatus) -> list[ItemChange]:
        if self._open is None:
            return []
        self.items[-1] = _ended(self._open, status, "".join(self._pieces), self._logprobs)
        self._open, self._call, self._pieces, self._logprobs = None, None, [], []
        return [ItemChange("ended", len(self.items) - 1, self.items[-1])]


def _ended(item: OutputItem, status: ItemStatus, text: str, logprobs: list[TopLogprobsBody]) -> OutputItem:
    if item["type"] == "message":
        return {**item, "status": status, "content": [output_text(text, logprobs)]}
    return {**item, "status": status, "arguments": text}


def _tokens_of(text: str, tokens: Sequence[TokenLogprob]) -> list[TokenLogprob]:
    """The last of ``tokens`` that ``text`` begins with; none where they cannot be told from what was before."""
    written, begun = text.encode(), b""
    for start in range(len(tokens) - 1, -1, -1):
        begun = tokens[start].bytes + begun
        if begun.startswith(written):
            return list(tokens[start:])
    return []
