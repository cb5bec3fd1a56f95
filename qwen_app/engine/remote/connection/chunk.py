"""A server's stream, as far as we read it. Servers leave out, null, double and misname the parts of its chunks.

Format: WHATWG HTML, "Server-sent events", whose data are JSON here, and ``[DONE]`` at the end. Gateways that know no
streams send a whole answer, or an error, as one JSON document instead.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from qwen_app.engine.remote.connection.upstream_errors import StreamBroken, is_error, malformed, read_error_body
from qwen_app.structured.json_text import whole_characters

log = logging.getLogger(__name__)

END_MARK = "[DONE]"
EVENTS, ERROR_EVENT = "text/event-stream", "error"
LIMIT_CHARACTERS = 16 * 2**20  # of one event: a whole long answer, with all its log-probabilities
TOO_LONG = "It sent more than any event can hold."
TELLING_BYTES = len(b"event:")  # what a stream of events is known by, whatever the server calls it
_DOCUMENT, _EVENT = re.compile(rb"[{\[]"), re.compile(rb"(?:data|event|id|retry|error)?:")
_BLANK = b"\xef\xbb\xbf \t\r\n"  # with the mark of the byte order
_LINE_END = re.compile(r"\r\n|\r|\n")  # and nothing else: JSON may hold what str.splitlines takes for one

T = TypeVar("T")


def _object_or_nothing(value: object) -> object:
    return value if isinstance(value, Mapping) else None


def _as_known_or_nothing(value: object, validated: ValidatorFunctionWrapHandler) -> object:
    try:
        return validated(value)
    except ValidationError:
        return None


def _without_nulls(value: object) -> object:
    return [part for part in value if part is not None] if isinstance(value, list) else value


# Parts, of which some servers null those that they have nothing to say of.
Parts = Annotated[list[T] | None, BeforeValidator(_without_nulls)]
# A part that an answer can do without: one of another shape than OpenAI's counts as left out.
Dispensable = Annotated[T | None, WrapValidator(_as_known_or_nothing)]


def _without_halves(value: object) -> object:
    return whole_characters(value) if isinstance(value, str) else value


# Text of an answer. JSON can write half a character, which UTF-8 cannot: it becomes U+FFFD.
Text = Annotated[T, BeforeValidator(_without_halves)]


def _joined(content: object) -> object:
    """Content as a list of parts, as Mistral's servers send it, or of bare strings. A part without a text is a
    thought."""
    if not isinstance(content, list):
        return content
    texts = (part.get("text") if isinstance(part, Mapping) else part for part in content)
    return "".join(text for text in texts if isinstance(text, str))


def _thoughts_in(delta: Mapping[str, object]) -> str:
    """What the model thinks: in one of two fields, of which some servers send both, or in the parts of the content."""
    content = delta.get("content")
    parts = content if isinstance(content, list) else []
    within = (_joined(part.get("thinking")) for part in parts if isinstance(part, Mapping))
    texts = (delta.get("reasoning_content") or delta.get("reasoning"), *within)
    return "".join(text for text in texts if isinstance(text, str))


class ChunkFunction(BaseModel):
    name: Text[str | None] = None
    arguments: Text[object] = None


class ChunkToolCall(BaseModel):
    """Some servers send no ``index``, a string as index, no ``id`` or a number, or arguments as an object."""

    index: Dispensable[int] = None
    id: Dispensable[str] = None
    function: ChunkFunction | None = None


class ChunkDelta(BaseModel):
    """Some servers make the one call they can in ``function_call``, the older form of ``tool_calls``. A refusal, which
    OpenAI's models write in the place of a document, is the answer."""

    content: Annotated[Text[str | None], BeforeValidator(_joined)] = None
    thoughts: Text[str] = ""
    tool_calls: Parts[ChunkToolCall] = None

    @model_validator(mode="before")
    @classmethod
    def _as_one(cls, value: Mapping[str, object]) -> Mapping[str, object]:
        content = value.get("content") or value.get("refusal")
        value = {**value, "content": content, "thoughts": _thoughts_in(value)}
        older = value.get("function_call")
        if value.get("tool_calls") or not isinstance(older, Mapping) or not any(older.values()):
            return value
        return {**value, "tool_calls": [{"index": 0, "function": older}]}


class ChunkToken(BaseModel):
    """One token of a chat's log-probabilities."""

    token: Text[str | None] = None
    logprob: float | None = None
    bytes: list[Annotated[int, Field(ge=0, le=255)]] | None = None
    top_logprobs: list[ChunkToken] | None = None


class ChunkLogprobs(BaseModel):
    """Of a chat (``content``), or of a plain completion (parallel lists)."""

    content: list[ChunkToken] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float | None] | None] | None = None


class ChunkChoice(BaseModel):
    """A chat sends ``delta``, a plain completion ``text``."""

    delta: Annotated[ChunkDelta | None, BeforeValidator(_object_or_nothing)] = None
    text: Text[str | None] = None
    logprobs: Dispensable[ChunkLogprobs] = None
    finish_reason: str | None = None
    error: object = None  # OpenRouter's, of the server behind it
    stop_reason: object = None  # vLLM's word for the stop string that was met
    matched_stop: object = None  # SGLang's; a number is the id of a token


class ChunkTokenDetails(BaseModel):
    cached_tokens: int | None = None


class ChunkUsage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Dispensable[ChunkTokenDetails] = None


class ChunkTimings(BaseModel):
    """llama.cpp counts here what it reused."""

    cache_n: int | None = None


class ChunkProgress(BaseModel):
    """Prompt tokens read so far, as llama.cpp tells it."""

    processed: int = 0
    total: int = 0
    cache: int = 0


class Chunk(BaseModel):
    choices: Parts[ChunkChoice] = None
    usage: Dispensable[ChunkUsage] = None
    timings: Dispensable[ChunkTimings] = None
    prompt_progress: Dispensable[ChunkProgress] = None


ENDED = Chunk()  # stands for the end mark


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """``name`` is empty where the server gave none."""

    data: str
    name: str = ""


class EventReader:
    """Server-sent events, from bytes that are cut anywhere.

    Events without data are left out, for servers keep connections alive by them. Bytes that are no UTF-8 become U+FFFD,
    as the format wants it. Raises StreamBroken for one without an end.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._line: list[str] = []  # pieces of the one that has not ended
        self._data: list[str] = []  # lines of the event that has not ended
        self._name = ""  # of that event
        self._after_return = False
        self._held = 0  # characters of the event that has not ended

    def feed(self, content: bytes) -> Iterator[ServerEvent]:
        """The events that end in ``content``."""
        text = self._decoder.decode(content)
        if not text:
            return
        if self._after_return:  # a line feed is the other half of that line's end
            text = text.removeprefix("\n")
        self._after_return = text.endswith("\r")
        *ended, rest = _LINE_END.split(text)
        for piece in ended:
            line = "".join([*self._line, piece])
            self._line.clear()
            self._held += len(piece)
            yield from self._event_ended_by(line)
        self._line.append(rest)
        self._held += len(rest)
        if self._held > LIMIT_CHARACTERS:
            raise malformed(TOO_LONG)

    def rest(self) -> Iterator[ServerEvent]:
        """The event that the stream ended in. By the format it is none; some servers leave out the blank line behind
        their last, and then it is whole."""
        yield from self.feed(b"\n\n")

    def _event_ended_by(self, line: str) -> Iterator[ServerEvent]:
        if line:
            field, _, value = line.partition(":")
            if field == "data":
                self._data.append(value.removeprefix(" "))
            elif field == "event":
                self._name = value.removeprefix(" ")
            elif field == ERROR_EVENT:  # as llama.cpp wrote one before the middle of 2025
                self._data.append(value.removeprefix(" "))
                self._name = ERROR_EVENT
            return
        event = ServerEvent("\n".join(self._data), self._name)
        self._data.clear()
        self._name, self._held = "", 0
        if event.data.strip():
            yield event


async def read_chunks(content: AsyncIterator[bytes], content_type: str) -> AsyncGenerator[Chunk, None]:
    """The chunks of an answer that the server calls ``content_type``: of a stream up to its end mark, which is ENDED,
    of a whole answer the one that says all of it, and ENDED. What it is called decides only where its beginning does
    not tell.

    Raises ValueError or RecursionError for what is no JSON, StreamBroken for all else that is no answer, and as
    ``read_chunk`` does.
    """
    begun = await _beginning(content)
    kind = content_type.partition(";")[0].strip().lower()
    if _DOCUMENT.match(begun):
        yield await asyncio.to_thread(_read_whole, await _all_of(begun, content))
        yield ENDED
    elif kind in ("", EVENTS) or _EVENT.match(begun):
        async for chunk in _read_events(begun, content):
            yield chunk
    else:
        raise malformed(f"It answered with {kind} and not with a stream of events.")


async def _beginning(content: AsyncIterator[bytes]) -> bytes:
    """As much as tells what the rest is, without the blanks before it: some servers keep connections alive by them."""
    begun = b""
    async for piece in content:
        begun = (begun + piece).lstrip(_BLANK)
        if len(begun) >= TELLING_BYTES:
            break
    return begun


async def _all_of(begun: bytes, content: AsyncIterator[bytes]) -> bytes:
    held = bytearray(begun)
    async for piece in content:
        held += piece
        if len(held) > LIMIT_CHARACTERS:
            raise malformed(TOO_LONG)
    return bytes(held)


async def _read_events(begun: bytes, content: AsyncIterator[bytes]) -> AsyncGenerator[Chunk, None]:
    reader = EventReader()
    piece: bytes | None = begun
    while piece is not None:
        for event in reader.feed(piece):
            if event.data.startswith(END_MARK):
                yield ENDED
                return
            yield _read_event(event)
        piece = await anext(content, None)
    for event in reader.rest():
        if event.data.startswith(END_MARK):
            yield ENDED
        elif isinstance(_json_or_text(event.data), Mapping):  # and not what there was of it when the server broke off
            yield _read_event(event)


def _read_event(event: ServerEvent) -> Chunk:
    if event.name == ERROR_EVENT:
        raise StreamBroken(read_error_body(0, _json_or_text(event.data)))
    return read_chunk(json.loads(event.data))


def _read_whole(content: bytes) -> Chunk:
    """An answer that came as one document, as the chunk that a stream of one chunk would have brought."""
    value = json.loads(content.decode("utf-8-sig", errors="replace"))
    choices = value.get("choices") if isinstance(value, Mapping) else None
    if not isinstance(choices, list) or not choices:
        raise StreamBroken(read_error_body(0, value))
    return read_chunk({**value, "choices": [_as_streamed(choice) for choice in choices]})


def _as_streamed(choice: object) -> object:
    """What is whole has ended, whether it says so or not. Some servers call it a delta all the same."""
    if not isinstance(choice, Mapping):
        return choice
    message = choice.get("message") or choice.get("delta")
    return {**choice, "delta": message, "finish_reason": choice.get("finish_reason") or "stop"}


def _json_or_text(data: str) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data


def read_chunk(value: object) -> Chunk:
    """The chunk that ``value``, JSON of the stream, stands for. Raises StreamBroken for an error sent in its place."""
    if not isinstance(value, Mapping):
        raise malformed("It sent a chunk that is no JSON object.")
    if is_error(value):
        raise StreamBroken(read_error_body(0, value))
    try:
        chunk = Chunk.model_validate(value)
    except ValidationError as invalid:
        log.warning("a chunk of the remote server is of no known shape, in %d places", invalid.error_count())
        raise malformed("It sent a chunk of a shape that is not OpenAI's.") from None
    error = next((choice.error for choice in chunk.choices or () if choice.error), None)
    if error is not None:
        raise StreamBroken(read_error_body(0, {"error": error}))
    return chunk
