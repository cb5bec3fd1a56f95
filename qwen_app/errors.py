"""Every error the project raises on purpose.

    AppError
    ├── StartupError               the app cannot start; carries the process's exit code
    │   ├── SettingsError          exit 2   a setting has a bad value
    │   ├── PortTaken              exit 2   somebody else listens on the port
    │   ├── FolderTaken            exit 2   another copy runs in this folder, or on this data
    │   ├── ModelFilesError        exit 3   the model's folder is missing, damaged or of a kind we refuse
    │   ├── DownloadError          exit 4   no network, hub refused, disk full
    │   └── DoesNotFit             exit 5   no suitable device, or too little memory
    ├── RequestError        400    the caller can mend it
    │   ├── ContextLengthExceeded  400   prompt and answer do not fit the context; TextTooLong at first sight
    │   ├── SchemaError            400   a grammar or schema that cannot be enforced
    │   ├── AuthenticationError    401   no key, or a wrong one
    │   ├── PermissionDenied       403   not from here, not for this caller; GuestLinkOver: not any more
    │   ├── NotFound               404   no such model or route
    │   ├── TooLarge               413   body or upload over the limit
    │   ├── UnsupportedMediaType   415   a body in an encoding that is not read
    │   ├── TooManyRequests        429   queue full, or a caller's own limit reached; TurnsUsedUp: a guest's; ServerFull
    │   ├── AnswersPaused          503   the presenter lets nothing be asked just now
    │   └── StoppedByPresenter     503   the presenter has ended what was being answered
    └── EngineError         500    our side failed
        ├── SchemaNotMet           422    no answer matched the schema: the model's fault or the schema's
        ├── EngineUnavailable      503   loading, draining or stopped
        ├── OutOfDeviceMemory      503   the device had no memory left for this request
        ├── DiskFull               507   the server's disk took no more; GuestNotKept: of a guest link
        └── UpstreamError          502   the remote server failed

Each has a ``code`` for programs, an ``http_status``, and a sentence for people that says what to do.
"""

from __future__ import annotations

from typing import Literal

PYTHON = ".venv/bin/python"  # in sentences: the system's own Python has none of what we need


class AppError(Exception):
    """Base of all our errors. ``str(error)`` is the sentence shown to people."""

    code: str = "error"
    http_status: int = 500

    @property
    def message(self) -> str:
        return str(self)


class StartupError(AppError):
    """The app cannot start. ``exit_code`` is what the process ends with."""

    code = "startup_error"
    exit_code: int = 1


class SettingsError(StartupError):
    code = "invalid_settings"
    exit_code = 2


class PortTaken(StartupError):
    code = "port_taken"
    exit_code = 2


class FolderTaken(StartupError):
    code = "folder_taken"
    exit_code = 2


class ModelFilesError(StartupError):
    code = "model_files"
    exit_code = 3


class DownloadError(StartupError):
    code = "download_failed"
    exit_code = 4


class HubUnreachable(DownloadError):
    """The hub does not answer at all."""


class DoesNotFit(StartupError):
    code = "does_not_fit"
    exit_code = 5


class RequestError(AppError):
    """The caller's request is wrong. ``param`` names the field, as a JSON path such as ``messages[0].role``."""

    code = "invalid_value"
    http_status = 400

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


CHARACTERS_A_TOKEN = 24  # on average at most: six times what prose has


def _limit(limit_tokens: int) -> str:
    """As OpenAI's sentence begins: client libraries know the case by it."""
    return f"This model's maximum context length is {limit_tokens} tokens."


class ContextLengthExceeded(RequestError):
    code = "context_length_exceeded"

    def __init__(self, prompt_tokens: int, answer_tokens: int, limit_tokens: int, *, param: str = "messages") -> None:
        super().__init__(
            f"{_limit(limit_tokens)} However, you requested {prompt_tokens + answer_tokens} tokens "
            f"({prompt_tokens} in the {param}, {answer_tokens} in the completion). "
            f"Please reduce the length of the {param} or completion.",
            param=param,
        )
        self.prompt_tokens = prompt_tokens
        self.answer_tokens = answer_tokens
        self.limit_tokens = limit_tokens


class TextTooLong(ContextLengthExceeded):
    """Refused for its characters, before anything was counted in tokens. ``prompt_tokens`` is an estimate, then."""

    def __init__(self, characters: int, limit_characters: int, limit_tokens: int, *, param: str = "messages") -> None:
        super().__init__(max(limit_tokens, characters // CHARACTERS_A_TOKEN), 1, limit_tokens, param=param)
        self.args = (
            f"{_limit(limit_tokens)} However, your text has {characters:,} characters, and more than "
            f"{limit_characters:,} are not read. Please reduce its length.",
        )
        self.characters = characters
        self.limit_characters = limit_characters


class SchemaError(RequestError):
    """``pointer`` is the JSON pointer to the part of the schema that cannot be enforced."""

    code = "invalid_schema"

    def __init__(self, message: str, *, pointer: str = "", param: str | None = "response_format") -> None:
        super().__init__(message, param=param)
        self.pointer = pointer


class OverBudget(RequestError):
    """What a visitor's text asked for took more than anybody's may. ``limit`` says of what."""

    code = "over_budget"

    def __init__(self, limit: Literal["time", "memory", "crash", "output"], *, param: str | None = None) -> None:
        what = {"time": "took too long", "memory": "needed too much memory", "output": "became too large"}
        super().__init__(f"This {what.get(limit, 'could not be worked out')}. Use something simpler.", param=param)
        self.limit = limit


class AuthenticationError(RequestError):
    code = "invalid_api_key"
    http_status = 401


class PermissionDenied(RequestError):
    code = "permission_denied"
    http_status = 403


class GuestLinkOver(PermissionDenied):
    """A guest's link was revoked, or its time is over."""

    code = "guest_link_over"

    def __init__(self) -> None:
        super().__init__("Your guest link is over. Ask whoever gave it to you for a new one.")


class NotFound(RequestError):
    code = "not_found"
    http_status = 404


class TooLarge(RequestError):
    code = "request_too_large"
    http_status = 413


class UnsupportedMediaType(RequestError):
    code = "unsupported_media_type"
    http_status = 415


class TooManyRequests(RequestError):
    """``retry_after_s`` is when another try is worth it."""

    code = "rate_limit_exceeded"
    http_status = 429

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServerFull(TooManyRequests):
    """As much is kept for everybody as may be, or for all guests together: others have to leave first."""

    code = "server_full"


class TurnsUsedUp(TooManyRequests):
    """A guest has asked as often as the link allows."""

    code = "turns_used_up"

    def __init__(self) -> None:
        super().__init__("Your guest link allows no more questions. Ask whoever gave it to you for a new one.")


class AnswersPaused(RequestError):
    code = "paused_by_presenter"
    http_status = 503
    retry_after_s = 15.0

    def __init__(self) -> None:
        super().__init__("The presenter has paused this server. Try again in a moment.")


class StoppedByPresenter(RequestError):
    code = "stopped_by_presenter"
    http_status = 503
    retry_after_s = 15.0

    def __init__(self) -> None:
        super().__init__("The presenter has stopped all answers.")


class EngineError(AppError):
    code = "engine_error"
    http_status = 500


class SchemaNotMet(EngineError):
    """Two answers did not match the schema. ``problem`` is a sentence on the second."""

    code = "schema_not_met"
    http_status = 422

    def __init__(self, problem: str) -> None:
        super().__init__(f"The model's answer does not match the schema, at the second try either. {problem}")


class EngineUnavailable(EngineError):
    code = "service_unavailable"
    http_status = 503
    retry_after_s = 5.0


class OutOfDeviceMemory(EngineError):
    code = "out_of_memory"
    http_status = 503
    retry_after_s = 5.0


class DiskFull(EngineError):
    """``what`` was to be kept, and what was kept before is as it was."""

    code = "disk_full"
    http_status = 507
    retry_after_s = 60.0

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} cannot be kept: the server's disk is full or cannot be written. Nothing is lost.")


class GuestNotKept(DiskFull):
    """A change of a guest's that this process alone knows of. Its sentence says how things stand."""

    def __init__(self, sentence: str) -> None:
        super().__init__("")
        self.args = (sentence,)


class UpstreamError(EngineError):
    code = "upstream_error"
    http_status = 502


def first_line(error: BaseException) -> str:
    """What ``error`` says first, in one line. A line that ends with a colon is told with what it announces."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):  # torch's "Kernel compilation failed:", before what NVRTC says
        lines[0] += " " + next((line for line in lines[1:] if "error" in line), lines[1])
    return lines[0] if lines else type(error).__name__
