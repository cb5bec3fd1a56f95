"""Every error the project raises on purpose.

    AppError
    ├── StartupError               the app cannot start; carries the process's exit code
    │   ├── SettingsError          exit 2   a setting has a bad value
    │   ├── PortTaken              exit 2   somebody else listens on the port
    │   ├── FolderTaken            exit 2   another copy runs in this folder
    │   ├── ModelFilesError        exit 3   the model's folder is missing, damaged or of a kind we refuse
    │   ├── DownloadError          exit 4   no network, hub refused, disk full
    │   └── DoesNotFit             exit 5   no suitable device, or too little memory
    ├── RequestError        400    the caller can mend it
    │   ├── ContextLengthExceeded  400   prompt and answer do not fit the context; TextTooLong at first sight
    │   ├── SchemaError            400   a grammar or schema that cannot be enforced
    │   ├── AuthenticationError    401   no key, or a wrong one
    │   ├── PermissionDenied       403   not from here, not for this caller
    │   ├── NotFound               404   no such model or route
    │   ├── TooLarge               413   body or upload over the limit
    │   └── TooManyRequests        429   queue full, or a caller's own limit reached
    └── EngineError         500    our side failed
        ├── EngineUnavailable      503   loading, draining or stopped
        ├── OutOfDeviceMemory      503   the device had no memory left for this request
        └── UpstreamError          502   the remote server failed

Each has a ``code`` for programs, an ``http_status``, and a sentence for people that says what to do.
"""

from __future__ import annotations

from typing import Literal


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


class ContextLengthExceeded(RequestError):
    code = "context_length_exceeded"

    def __init__(self, prompt_tokens: int, answer_tokens: int, limit_tokens: int, *, param: str = "messages") -> None:
        super().__init__(
            f"This model's context is {limit_tokens} tokens. The request needs {prompt_tokens + answer_tokens}: "
            f"{prompt_tokens} in the prompt and {answer_tokens} for the answer. "
            "Shorten the messages or ask for fewer tokens.",
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
            f"This model's context is {limit_tokens} tokens. The text has {characters:,} characters, and more than "
            f"{limit_characters:,} are not read. Shorten it.",
        )


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


class NotFound(RequestError):
    code = "not_found"
    http_status = 404


class TooLarge(RequestError):
    code = "request_too_large"
    http_status = 413


class TooManyRequests(RequestError):
    """``retry_after_s`` is when another try is worth it."""

    code = "rate_limit_exceeded"
    http_status = 429

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EngineError(AppError):
    code = "engine_error"
    http_status = 500


class EngineUnavailable(EngineError):
    code = "service_unavailable"
    http_status = 503
    retry_after_s = 5.0


class OutOfDeviceMemory(EngineError):
    code = "out_of_memory"
    http_status = 503
    retry_after_s = 5.0


class UpstreamError(EngineError):
    code = "upstream_error"
    http_status = 502
