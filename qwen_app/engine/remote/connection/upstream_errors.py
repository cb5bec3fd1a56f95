"""A remote server's failure, whatever its shape, as one of our errors with a sentence that helps."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urljoin, urlsplit

import httpx2
import openai

from qwen_app.errors import AppError, EngineUnavailable, RequestError, SchemaError, TooManyRequests, UpstreamError

MESSAGE_LIMIT = 600
SOON_S = 5.0  # until another try, where a busy server names no time
PAGE_LIMIT = 10_000  # characters of a page in which its headline is looked for

_RETRY = frozenset({429, 502, 503, 504})
_REASONS = ("message", "detail", "msg", "error_msg")  # what a flat body calls its reason
_HEADLINE = re.compile(r"<(title|h1)\b[^<>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_OF_THIS_REQUEST = r"\bvalues?\b|\b(?:when|while|together|both|combin\w+)\b|\bwith\b(?! (?:this |the )?model)"
_STATUSES = {"rate_limit_exceeded": 429, "rate_limit_error": 429, "overloaded_error": 503}  # by code or type

OVERFLOW_CODES = ("context_length_exceeded", "exceed_context_size_error")


@dataclass(frozen=True, slots=True)
class ErrorText:
    """A wording by which servers tell what a status code does not. ``statuses`` are those it is looked for in.

    The groups of a wording that holds a number are alternatives: the first that matched is the number.
    """

    pattern: re.Pattern[str]
    statuses: frozenset[int] = frozenset()

    def found_in(self, status: int, text: str) -> bool:
        return status in self.statuses and self.pattern.search(text) is not None

    def number_in(self, text: str) -> int:
        """The number that ``text`` tells, 0 where it tells none."""
        match = self.pattern.search(text)
        return int(next(group for group in match.groups() if group)) if match else 0


def _any_of(*alternatives: str, statuses: Iterable[int] = ()) -> ErrorText:
    return ErrorText(re.compile("|".join(alternatives), re.IGNORECASE), frozenset(statuses))


# Every wording that is looked for. A server that words an error in a way of its own is one more line here.
ErrorKind = Literal[
    "overflow",
    "no_model",
    "tools_refused",
    "field_refused",
    "fields_taken",
    "bad_format",
    "limit_tokens",
    "prompt_tokens",
]
ERROR_TEXTS: Mapping[ErrorKind, ErrorText] = {
    "overflow": _any_of(  # the prompt and its answer do not fit
        r"maximum context|model's context",  # vLLM, SGLang
        r"context (length|size|window)",  # llama.cpp, LM Studio, OpenAI
        r"max_total_tokens|`inputs` tokens|`inputs` must have",  # Text Generation Inference
        r"prompt is too long",
        statuses=(400, 413, 422, 500),
    ),
    "no_model": _any_of(  # it is named in another way, or gone
        r"model\b.{0,300}\b(?:does not exist|not found|not (?:loaded|available))",  # vLLM, Ollama
        r"(?:invalid|unknown) model|no such model",  # gateways
        statuses=(400, 404, 422),
    ),
    "tools_refused": _any_of(  # no tools the way it was started, or for this model
        r"enable-auto-tool-choice",  # vLLM
        r"tools param requires",  # llama.cpp
        r"does not support tools",  # Ollama
        statuses=(400, 422, 500, 501),
    ),
    "field_refused": _any_of(  # a field of the request, or its value, is none that this model or server takes
        r"unsupported|not support",  # OpenAI, Groq, LiteLLM
        r"unrecognized|unknown|unexpected",  # Azure, Gemini, transformers serve
        r"extra (?:inputs|fields)",  # Mistral and others that check by pydantic
        statuses=(400, 422),
    ),
    "fields_taken": _any_of(  # behind the refused ones: those that may be sent
        r"expected one of",  # serde, which servers in Rust read requests with
        r"(?<!not )(?<!yet )(?<!currently )\b(?:supported|allowed|permitted|accepted|valid|known)(?: \w+)?(?::| are\b)",
    ),
    "bad_format": _any_of(r"response_format|json.?schema|grammar|structured|guided", statuses=(400, 413, 422, 501)),
    "limit_tokens": _any_of(
        r"context(?: length| size| window)?(?: is| of)?(?: only)? \(?(\d+)",  # vLLM, SGLang, llama.cpp
        r"must be <= (\d+)",  # Text Generation Inference
        r"less than (\d+) tokens",
    ),
    "prompt_tokens": _any_of(
        r"(\d+) (?:tokens )?(?:in|from) the (?:input )?(?:messages|prompt)",  # vLLM, SGLang
        r"(?:has|contains|contains at least) (\d+) input tokens",  # vLLM
        r"given: (\d+)",  # Text Generation Inference
        r"(?:request|input|prompt) \((\d+) tokens\)",  # llama.cpp
        r"(\d+) prompt tokens",
    ),
}


@dataclass(frozen=True, slots=True)
class UpstreamFailure:
    """What a server said, or that it said nothing (``status`` 0).

    ``prompt_tokens`` and ``limit_tokens`` are what it tells of an over-long prompt, 0 where it does not.
    """

    status: int
    message: str
    code: str = ""
    param: str | None = None
    prompt_tokens: int = 0
    limit_tokens: int = 0
    retry_after_s: float | None = None

    @property
    def overflow(self) -> bool:
        """The prompt and its answer do not fit the server's context."""
        return self.code in OVERFLOW_CODES or ERROR_TEXTS["overflow"].found_in(self.status, self.message)

    @property
    def no_model(self) -> bool:
        """The server has no model of the name that was asked for, or nothing at that address."""
        return self.status == 404 or self.denies_model

    @property
    def denies_model(self) -> bool:
        """It says itself that it is the model which it has not."""
        return ERROR_TEXTS["no_model"].found_in(self.status, self.message)

    @property
    def tools_refused(self) -> bool:
        """The server takes no tools the way it was started, or for this model."""
        return ERROR_TEXTS["tools_refused"].found_in(self.status, self.message)

    def repeats(self, body: Mapping[str, object]) -> bool:
        """Whether the words that refuse tools stand in ``body`` too: then they may be somebody's and not its own."""
        return ERROR_TEXTS["tools_refused"].pattern.search(json.dumps(body, ensure_ascii=False)) is not None

    def of_this_request(self, refused: Iterable[str]) -> bool:
        """What is refused of these fields may be the value that this request gave, or one beside another, and not the
        field itself."""
        valued = rf"\b(?:{'|'.join(refused)})\W{{1,4}}\d"
        return any(re.search(wording, self.message, re.IGNORECASE) for wording in (_OF_THIS_REQUEST, valued))

    def refused_fields(self, body: Iterable[str]) -> frozenset[str]:
        """Those fields of ``body`` that the server says it does not take. Behind them some name those that they do."""
        if self.overflow or not ERROR_TEXTS["field_refused"].found_in(self.status, self.message):
            return frozenset()
        refused = ERROR_TEXTS["fields_taken"].pattern.split(self.message, maxsplit=1)[0]
        named = frozenset(re.findall(r"\w+", f"{self.param} {refused}"))
        return named.intersection(body)

    @property
    def transient(self) -> bool:
        """The server did not take the request, and may take it in a moment."""
        return self.status in _RETRY or self.code == "unreachable"

    def as_error(self, server: str) -> AppError:
        """Our error. ``server`` names the remote server for the reader."""
        sentence = f"{server} says: {self.message}"
        if self.status == 429:
            wait_s = self.retry_after_s or SOON_S
            when = f"{math.ceil(wait_s)} seconds" if wait_s > SOON_S else "a few seconds"
            return TooManyRequests(f"{sentence} Try again in {when}.", retry_after_s=wait_s)
        if self.status in (401, 403):
            return UpstreamError(f"{server} refused this app's key. Set the right one with --api-key. ({self.message})")
        if self.status == 404:
            return UpstreamError(f"{sentence} Check --base-url (it usually ends in /v1) and --remote-model.")
        if self.status == 503:
            return EngineUnavailable(sentence)
        if self.status in (400, 413, 422, 501):
            if ERROR_TEXTS["bad_format"].found_in(self.status, f"{self.param} {self.message}"):
                return SchemaError(sentence)
            return RequestError(sentence, param=self.param)
        if self.code == "unreachable":
            return EngineUnavailable(f"{server} cannot be reached: {self.message} Check that it runs, and --base-url.")
        return UpstreamError(sentence)


class StreamBroken(Exception):
    """A stream that cannot be read to its end."""

    def __init__(self, failure: UpstreamFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def malformed(message: str) -> StreamBroken:
    """To be raised where the server sent what is no answer in OpenAI's format."""
    return StreamBroken(UpstreamFailure(0, message, "malformed"))


def is_error(body: Mapping[str, object]) -> bool:
    """Whether ``body``, which came in the place of an answer or of a piece of one, says of an error."""
    coded = "choices" not in body and (body.get("code") or body.get("error_code"))  # without, it may be of a queue
    flat = coded and any(isinstance(body.get(name), str) for name in _REASONS)
    return bool(flat or body.get("error") or body.get("object") == "error")


def read_error_body(status: int, body: object) -> UpstreamFailure:
    """Reads a nested ``error``, an ``error`` string, a flat body of one of ``_REASONS``, or plain text.

    These are the bodies of vLLM and llama.cpp (nested, a number as code), LM Studio and TGI (a string), SGLang and
    DashScope (flat), transformers serve (``detail``), and Baidu (``error_msg``). ``status`` 0 is of an error that came
    as an answer does: its code or type tells the status that it would have had.
    """
    if isinstance(body, list) and len(body) == 1 and isinstance(body[0], Mapping):  # Google's
        body = body[0]
    fields: Mapping[str, object] = body if isinstance(body, Mapping) else {"message": body}
    inner = fields.get("error")
    if isinstance(inner, Mapping):
        fields = inner
    elif inner:
        fields = {"type": fields.get("error_type"), "message": inner}
    reasons = (fields.get(name) for name in _REASONS)
    silent = f"HTTP {status}, and no reason given" if status else "no reason given"
    message = _text(next(filter(None, reasons), body or silent))
    code, param = fields.get("code"), fields.get("param")
    kind = code if isinstance(code, str) and not code.isdigit() else str(fields.get("type") or "")
    return UpstreamFailure(
        status or _status_in(code) or _STATUSES.get(kind, 0),
        message,
        code=kind,
        param=param if isinstance(param, str) else None,
        prompt_tokens=_number(fields.get("n_prompt_tokens")) or ERROR_TEXTS["prompt_tokens"].number_in(message),
        limit_tokens=_number(fields.get("n_ctx")) or ERROR_TEXTS["limit_tokens"].number_in(message),
    )


def read_exception(error: Exception) -> UpstreamFailure:
    """What the client library raised. Anything unforeseen is re-raised for the caller's boundary to log."""
    if isinstance(error, openai.APIStatusError):
        if error.response.is_redirect:
            return UpstreamFailure(error.status_code, sent_on_to(error.response))
        failure = read_error_body(error.status_code, error.body)
        return replace(failure, retry_after_s=_retry_after_s(error.response.headers))
    if isinstance(error, StreamBroken):
        return error.failure
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__
        refused = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout)
        return UpstreamFailure(0, f"{words_of(cause or error)}.", "unreachable" if refused else "lost")
    if isinstance(error, openai.APIError):  # an error event inside a stream
        return read_error_body(0, error.body or error.message)
    if isinstance(error, httpx2.HTTPError):
        return UpstreamFailure(0, f"The connection broke ({type(error).__name__}).", "lost")
    if isinstance(error, ValueError | RecursionError):
        return UpstreamFailure(0, "It sent something that is not JSON.", "malformed")
    raise error


def sent_on_to(response: httpx2.Response) -> str:
    """Where a redirect leads, as the address to be set: neither a body nor a key is sent after it."""
    parts = urlsplit(urljoin(str(response.url), response.headers.get("location", "")))
    path = re.sub("/(models|(chat/)?completions)/?$", "", parts.path)
    return f"It sends requests on to {parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}: set --base-url to that."


def words_of(error: BaseException) -> str:
    """What ``error`` says; of one without a word, such as a timeout, what it is."""
    return str(error) or type(error).__name__


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds from ``retry-after-ms`` or ``retry-after``, which may be a date; None for nonsense."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit_s
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:  # by the server's own clock: ours may be set
        come, sent = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))
        return max(0.0, (come - sent).total_seconds())
    except (KeyError, ValueError, TypeError, OverflowError):  # the last two for a date without its zone, or of no year
        return None


def _status_in(code: object) -> int:
    """The HTTP status of an error that ``code`` is, 0 where it is none."""
    digits = str(code)
    return int(digits) if re.fullmatch(r"[45]\d\d", digits, re.ASCII) else 0


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(value: object) -> str:
    if isinstance(value, Mapping) and "detail" in value:  # Mistral's message
        value = value["detail"]
    if isinstance(value, list):  # FastAPI's detail: one entry for each bad field
        entries = [entry for entry in value if isinstance(entry, Mapping)]
        value = "; ".join(f"{'.'.join(map(str, entry.get('loc') or ()))}: {entry.get('msg')}" for entry in entries)
    text = str(value).strip()
    if text.startswith("<"):  # a gateway's page
        headlines = (headline[2] for headline in _HEADLINE.finditer(text[:PAGE_LIMIT]))
        texts = (" ".join(re.sub(r"<[^<>]*>", " ", headline).split()) for headline in headlines)
        text = next(filter(None, texts), "a page of HTML")
    return text[:MESSAGE_LIMIT] + ("" if text[:MESSAGE_LIMIT].endswith((".", "!", "?")) else ".")
