"""A record of the requests that failed by our fault, from which ``qwen_app.replay`` asks them again.

Format: one JSON object a line, in a file for its owner's eyes alone and its predecessor, five megabytes each at most.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from qwen_app.errors import EngineError
from qwen_app.messages import (
    Event,
    Failed,
    GenerationRequest,
    GrammarSpec,
    JsonSchema,
    Message,
    Regex,
    StringChoice,
    Tool,
    ToolCall,
    ToolChoice,
)

log = logging.getLogger(__name__)

RECORD_FILE = Path("run/failed-requests.jsonl")
FILE_LIMIT_BYTES = 5_000_000
RECORD_LIMIT_BYTES = 500_000  # a longer request is kept without its text, or not at all
_SOMEBODY, _TOOL, _CALL_ID, _NO_ARGUMENTS = "somebody", "tool", "call_0", "{}"
Keep = Literal["shape", "text", "nothing"]


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """One line of the record.

    ``at`` is Unix time, ``after_s`` how long the request took to fail, ``partial_characters`` how much was answered by
    then. ``request`` is what was asked; where ``keeps`` is ``shape`` with filler for text, and None for ``nothing``.
    """

    at: float
    request_id: str
    code: str
    after_s: float
    partial_characters: int
    keeps: Keep
    request: GenerationRequest | None


_FORMAT = TypeAdapter(FailedRequest)


class FailedRequests:
    """Writes the record: an observer of the service. A file that cannot be written is a warning, once."""

    def __init__(self, path: Path = RECORD_FILE, *, keeps: Keep = "shape") -> None:
        self._path = path
        self._keeps = keeps
        self._warned = False

    def watch(self, request: GenerationRequest) -> _Answer:
        """An observer of the answer to ``request``, for the service."""
        return _Answer(request, self.add)

    def add(self, request: GenerationRequest, failure: Failed, after_s: float) -> None:
        """Note that ``request`` ended in ``failure``, ``after_s`` seconds after it came."""
        note = partial(FailedRequest, time.time(), request.request_id, failure.error.code, after_s)
        note = partial(note, len(failure.partial_text))
        lines = (_line(note(keeps, part)) for keeps, part in self._ways(request))
        try:
            self._append(next(line for line in lines if line and len(line) <= RECORD_LIMIT_BYTES))
        except OSError as refused:
            if not self._warned:
                log.warning("%s cannot be written (%s): failed requests are not kept.", self._path, refused.strerror)
            self._warned = True

    def _ways(self, request: GenerationRequest) -> Iterator[tuple[Keep, GenerationRequest | None]]:
        """How ``request`` could be kept, the best first."""
        if self._keeps == "text":
            yield "text", request
        if self._keeps != "nothing":
            yield "shape", without_text(request)
        yield "nothing", None

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            if self._path.stat().st_size + len(line) > FILE_LIMIT_BYTES:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
        descriptor = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with open(descriptor, "ab") as file:
            file.write(line)


class _Answer:
    """One answer as the service tells of it."""

    def __init__(self, request: GenerationRequest, add: Callable[[GenerationRequest, Failed, float], None]) -> None:
        self._request = request
        self._add = add
        self._started = time.monotonic()

    def see(self, event: Event) -> None:
        if isinstance(event, Failed) and isinstance(event.error, EngineError):
            self._add(self._request, event, time.monotonic() - self._started)

    def end(self) -> None:
        pass


def read_record(path: Path) -> list[FailedRequest]:
    """What is recorded, oldest first. Lines that broke off are passed over. Raises OSError without a file."""
    older = path.with_name(path.name + ".1")
    lines = [*(older.read_bytes().splitlines() if older.exists() else []), *path.read_bytes().splitlines()]
    found = []
    for line in lines:
        with suppress(ValueError):
            found.append(_FORMAT.validate_json(line))
    return found


def without_text(request: GenerationRequest) -> GenerationRequest:
    """``request`` with filler of the same length in place of everything that somebody wrote, and no names."""
    return dataclasses.replace(
        request,
        messages=tuple(map(_shape_of_message, request.messages)),
        prompt=_shape_of_prompt(request.prompt),
        suffix=None if request.suffix is None else _filler(request.suffix),
        template=dataclasses.replace(request.template, variables={}),
        sampling=dataclasses.replace(
            request.sampling, stop=tuple(map(_filler, request.sampling.stop)), logit_bias=(), stop_token_ids=()
        ),
        user=_SOMEBODY,
        conversation_id="",
        tools=tuple(_shape_of_tool(tool, number) for number, tool in enumerate(request.tools)),
        tool_choice=_shape_of_choice(request.tool_choice),
        grammar=_shape_of_grammar(request.grammar),
        policy=dataclasses.replace(request.policy, hint=_shape_of_grammar(request.policy.hint)),
    )


def _line(record: FailedRequest) -> bytes:
    """``record`` as a line, or nothing where its text cannot be written as JSON (half a surrogate pair)."""
    try:
        return _FORMAT.dump_json(record) + b"\n"
    except ValueError:
        return b""


def _shape_of_prompt(prompt: str | tuple[int, ...] | None) -> str | tuple[int, ...] | None:
    """As long as it was. Token ids say what a text says."""
    return (0,) * len(prompt) if isinstance(prompt, tuple) else None if prompt is None else _filler(prompt)


def _shape_of_message(message: Message) -> Message:
    calls = tuple(ToolCall(call.id and _CALL_ID, _TOOL, _NO_ARGUMENTS) for call in message.tool_calls)
    answers = None if message.tool_call_id is None else _CALL_ID
    return Message(message.role, _filler(message.content), calls, answers)


def _shape_of_tool(tool: Tool, number: int) -> Tool:
    return Tool(f"{_TOOL}{number or ''}", _filler(tool.description), strict=tool.strict)


def _shape_of_choice(choice: ToolChoice) -> ToolChoice:
    return choice if choice.name is None else dataclasses.replace(choice, name=_TOOL)


def _shape_of_grammar(grammar: GrammarSpec | None) -> GrammarSpec | None:
    if isinstance(grammar, JsonSchema):
        return JsonSchema({"type": "object"}, grammar.strict)
    if isinstance(grammar, Regex):
        return Regex("[a-z ]*")
    if isinstance(grammar, StringChoice):
        return StringChoice(tuple(f"{number} {_filler(option)}" for number, option in enumerate(grammar.options)))
    return grammar


def _filler(text: str) -> str:
    """Words of five letters, as long as ``text`` together."""
    return ("words " * (len(text) // 6 + 1))[: len(text)]
