"""Tells tool calls from text in an answer as it is being written, in Qwen2.5's format."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable

from qwen_app.messages import ToolCallDelta
from qwen_app.tools.call_scanner import ARGUMENT_KEYS, ARGUMENTS, BLANKS, CallBody, is_nothing
from qwen_app.tools.prompt_format import CALL_CLOSE, CALL_OPEN

Piece = str | ToolCallDelta

CALL_KEYS = frozenset({"name", "id", *ARGUMENT_KEYS})
BARE_START = re.compile(r'\s*\{\s*"([^"\\]*)"(?:\s*:\s*"([^"\\]*)")?')
BARE_MARKS = ("[TOOL_CALLS]", "<|python_tag|>")  # what Mistral's and Llama's models begin such a message with
MISTRAL_MARK = BARE_MARKS[0]
NAMED_CALL = re.compile(r"\[TOOL_CALLS\]\s*([^\s\[{]+)(?:\[CALL_ID\]\w*)?(?:\[ARGS\])?\s*")
BARE_PREFIX = 64  # characters after which a whole-message call must have shown its first key


class ToolCallParser:
    """Text pieces in, text and call deltas out; how the text is cut into pieces makes no difference.

    A call of a tool that was not offered, and what is no call in the end, is text: nothing is lost. A message that is
    nothing but the JSON of calls, which Qwen2.5 sometimes writes without tags and other models always, as Mistral's do
    in a list, is held back and counts as calls, with one of BARE_MARKS before it or without. Mistral's later models
    write a mark, a name and the arguments for each.
    """

    def __init__(self, tool_names: Iterable[str]) -> None:
        self._names = frozenset(tool_names)
        self._held = ""
        self._body: CallBody | None = None
        self._opened = CALL_OPEN  # what the call being read began with
        self._closing = False
        self._maybe_bare = True
        self._announced = False
        self._beginning = ""  # of the arguments, not sent yet
        self._calls = 0
        self._out: list[Piece] = []

    @property
    def called(self) -> bool:
        """Whether there was any call, so that the answer's reason is ``tool_calls``."""
        return self._calls > 0

    @property
    def in_call(self) -> bool:
        """A call has begun, or what may be one."""
        return self._body is not None or self.called

    @property
    def in_named_call(self) -> bool:
        """A call that has its name is not at its end."""
        return self._body is not None and self._body.name is not None

    def feed(self, text: str) -> list[Piece]:
        self._held += text
        if self._maybe_bare and self._still_bare():
            return []
        self._maybe_bare = False
        self._advance()
        return self._taken()

    def finish(self, *, cut: bool = False) -> list[Piece]:
        """The answer is over. Where a limit ``cut`` it, a call is not made to look whole: its arguments end where they
        were cut, and one that has no name yet is none. One whose arguments cannot become an object is text."""
        if self._maybe_bare:
            self._maybe_bare = False
            if not self._bare_calls():
                self._advance()
        if self._body is not None:
            self._cut_short(self._body, cut=cut)
        elif not self._closing or (self._held.strip() and not cut):
            self._text(self._held)
        self._held, self._body = "", None
        return self._taken()

    def _taken(self) -> list[Piece]:
        out, self._out = self._out, []
        return out

    def _text(self, text: str) -> None:
        if text:
            self._out.append(text)

    def _advance(self) -> None:
        while self._held:
            before = (len(self._held), self._body, self._closing)
            if self._body is not None:
                self._read_body(self._body)
            elif self._closing:
                self._read_close()
            else:
                self._read_text()
            if before == (len(self._held), self._body, self._closing):
                return

    def _read_text(self) -> None:
        """Send text up to a tag, or up to what may become one. The line break before a tag belongs to the tag."""
        at = self._held.find(CALL_OPEN)
        if at >= 0:
            before = self._held[:at]
            self._text(before.removesuffix("\n"))
            self._opened = "\n" + CALL_OPEN if before.endswith("\n") else CALL_OPEN
            self._held = self._held[at + len(CALL_OPEN) :]
            self._body, self._announced = CallBody(), False
            return
        keep = max(overlap(self._held, CALL_OPEN), overlap(self._held, "\n" + CALL_OPEN))
        self._text(self._held[: len(self._held) - keep])
        self._held = self._held[len(self._held) - keep :]

    def _read_body(self, body: CallBody) -> None:
        for position, char in enumerate(self._held):
            body.feed(char)
            self._begin(body)
            unknown = body.name is not None and body.name not in self._names
            if body.broken or unknown or (body.done and not self._announced):
                # After a call that lacks its last brace, this is where its closing tag begins.
                self._held = self._held[position if self._announced else position + 1 :]
                self._not_a_call(body)
                return
            if body.done:
                self._held = self._held[position + 1 :]
                self._send(body)
                self._body, self._closing = None, True
                return
        self._held = ""
        self._send(body)

    def _begin(self, body: CallBody) -> None:
        """Announce a call once it has its name and its arguments begin, for until then they may be no object."""
        if self._announced or body.name is None or body.name not in self._names:
            return
        self._beginning = body.take_arguments()
        if self._beginning:
            self._announce(body.name)

    def _announce(self, name: str) -> None:
        self._announced = True
        self._out.append(ToolCallDelta(self._calls, f"call_{uuid.uuid4().hex[:24]}", name))
        self._calls += 1

    def _send(self, body: CallBody) -> None:
        if not self._announced:
            return
        if arguments := self._beginning + body.take_arguments():
            self._out.append(ToolCallDelta(self._calls - 1, arguments=arguments))
        self._beginning = ""

    def _not_a_call(self, body: CallBody) -> None:
        self._body = None
        if self._announced:  # what came of it stays a call
            self._send(body)
            self._closing = True
        else:
            self._text(self._opened + body.raw)

    def _cut_short(self, body: CallBody, *, cut: bool) -> None:
        if body.name is None:
            self._text("" if cut else self._opened + body.raw)
            return
        body.cut_off(cut=cut)
        if body.broken and not self._announced:
            self._text(self._opened + body.raw)
            return
        if not self._announced:
            self._announce(body.name)
        self._send(body)

    def _read_close(self) -> None:
        """After a call: its closing tag and blanks are dropped, another call or text goes on."""
        text = self._held.lstrip(BLANKS)
        if text.startswith(CALL_CLOSE):
            self._held = text[len(CALL_CLOSE) :]
        elif text.startswith(CALL_OPEN):
            self._held, self._closing = text, False
        elif text and not CALL_OPEN.startswith(text) and not CALL_CLOSE.startswith(text):
            self._closing = False

    def _still_bare(self) -> bool:
        """Whether the message so far may turn out to be calls without tags, and nothing else."""
        text = _without_mark(self._held)
        if any(mark.startswith(text) for mark in BARE_MARKS):
            return True
        marked = self._held.lstrip().startswith(MISTRAL_MARK)
        if marked and any(name.startswith(text) or text.startswith(name) for name in self._names):
            return True
        if text.startswith("["):
            text = text[1:].lstrip()
        if not text:
            return True
        found = BARE_START.match(text)
        if not text.startswith("{") or (found is None and len(text) > BARE_PREFIX):
            return False
        if found is None:
            return True
        key, value = found[1], found[2]
        return key in ARGUMENT_KEYS or (key == "name" and (value is None or value in self._names))

    def _bare_calls(self) -> bool:
        """Take the whole message as calls, if JSON objects that are calls are all it is."""
        calls = _named_calls(self._held) or _objects(_without_mark(self._held))
        if not calls or not all(self._is_call(call) for call in calls):
            return False
        for call in calls:
            arguments = _arguments_of(call)
            self._announce(str(call["name"]))
            self._out.append(ToolCallDelta(self._calls - 1, arguments=json.dumps(arguments, ensure_ascii=False)))
        self._held = ""
        return True

    def _is_call(self, value: dict[str, object]) -> bool:
        """A tool's definition, which has a name and parameters too, has its description beside them."""
        name = value.get("name")
        named = isinstance(name, str) and name in self._names
        return named and CALL_KEYS.issuperset(value) and isinstance(_arguments_of(value), dict)


def _arguments_of(call: dict[str, object]) -> object:
    return next((call[key] for key in ARGUMENT_KEYS if not is_nothing(call.get(key))), {})


def _without_mark(text: str) -> str:
    text = text.lstrip()
    return next((text[len(mark) :].lstrip() for mark in BARE_MARKS if text.startswith(mark)), text)


def overlap(text: str, wanted: str) -> int:
    """How many of the last characters of ``text`` may begin ``wanted``, such as a tag or a stop string."""
    for length in range(min(len(text), len(wanted) - 1), 0, -1):
        if wanted.startswith(text[-length:]):
            return length
    return 0


def _named_calls(text: str) -> list[dict[str, object]]:
    """The calls that ``text`` consists of in the later form of Mistral's; none beside anything else."""
    found: list[dict[str, object]] = []
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        head = NAMED_CALL.match(rest)
        if head is None:
            return []
        try:
            arguments, end = decoder.raw_decode(rest, head.end())
        except (ValueError, RecursionError):
            return []
        found.append({"name": head[1], ARGUMENTS: arguments})
        rest = rest[end:].lstrip()
    return found


def _objects(text: str) -> list[dict[str, object]]:
    """The JSON objects that ``text`` consists of, one after the other or in a list; none beside anything else."""
    found: list[object] = []
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        try:
            value, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            return []
        found.append(value)
        rest = rest[end:].lstrip()
    if len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    return [value for value in found if isinstance(value, dict)] if all(isinstance(v, dict) for v in found) else []
