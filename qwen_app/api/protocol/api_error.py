"""Every error in OpenAI's shape: ``{"error": {"message", "type", "param", "code"}}`` with the status clients expect.

Format: the ``Error`` schema of OpenAI's OpenAPI description. SDKs choose their exception by status and read
``retry-after``, ``x-should-retry`` and ``x-request-id``.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NotRequired

from fastapi.exceptions import RequestValidationError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from qwen_app.api.protocol.response_bodies import ErrorBody
from qwen_app.errors import EngineError, RequestError, SchemaError

log = logging.getLogger(__name__)

OUR_BUG = "Something went wrong on the server. The request id names this failure in the server's log."
NO_FILE = "Send {name} as a file of the form (multipart/form-data), with filename= beside its name."
IN_JSONS_TERMS = {  # in place of pydantic's words, which are for programmers in Python
    "model_attributes_type": "Input should be an object",
    "dict_type": "Input should be an object",
    "bool_type": "Input should be true or false",
    "too_short": "It is empty",  # no list has a longer least length
    "missing": "It is missing",
}
KIND = "Input should be "  # begins what pydantic says of a value of the wrong kind
TOO_DEEP = "The body is nested too deeply. Send a flatter document."
STATUS_SAYS_IT_ALL = {"not_found", "request_too_large", "engine_error", "error"}  # such codes leave as null


class InvalidField(TypedDict):
    """One complaint of pydantic, as far as we read it."""

    type: str
    loc: tuple[int | str, ...]
    msg: str
    ctx: NotRequired[dict[str, object]]


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error as it leaves: status, body fields and headers."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        if self.status == 429:
            return "rate_limit_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"

    def body(self) -> ErrorBody:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), self.status, dict(self.headers))


def api_error(error: Exception, request_id: str) -> ApiError:
    """Whatever was raised, in our terms. What we did not foresee tells nothing but its id, under which it is logged."""
    if isinstance(error, RequestError | EngineError):
        return _from_app_error(error)
    if isinstance(error, RequestValidationError):
        return _from_validation(error)
    if isinstance(error, HTTPException) and error.status_code == 400 and error.__cause__ is not None:
        return _from_unreadable(error.__cause__)
    if isinstance(error, HTTPException):
        return ApiError(error.status_code, str(error.detail), headers=error.headers or {})
    if isinstance(error, RecursionError):
        return ApiError(400, TOO_DEEP)
    log.error("unforeseen error in request %s", request_id, exc_info=error)
    return ApiError(500, OUR_BUG, headers={"x-should-retry": "false"})


def _from_unreadable(cause: BaseException) -> ApiError:
    """A body that JSON allows and our reader does not: nested too deeply, too many values, an endless number."""
    if isinstance(cause, RequestError):
        return _from_app_error(cause)
    return ApiError(400, TOO_DEEP if isinstance(cause, RecursionError) else f"The body cannot be read: {cause}.")


def _from_app_error(error: RequestError | EngineError) -> ApiError:
    message, headers = error.message, {}
    if isinstance(error, SchemaError) and error.pointer and error.pointer not in message:
        message = f"{message} (at {error.pointer})"
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(retry_after_s)))
    if error.http_status == 500:
        headers["x-should-retry"] = "false"
    if error.http_status == 401:
        headers["www-authenticate"] = "Bearer"
    param = error.param if isinstance(error, RequestError) else None
    code = None if error.code in STATUS_SAYS_IT_ALL else error.code
    return ApiError(error.http_status, message, param, code, headers)


def _from_validation(error: RequestValidationError) -> ApiError:
    fields: Sequence[InvalidField] = error.errors()
    first = fields[0]
    location = tuple(first["loc"])
    if first["type"] == "json_invalid":
        return ApiError(400, f"The body is not valid JSON: {first['ctx']['error']} at character {location[-1]}.")
    if location[0] == "query":
        asked = str(location[1])
        return ApiError(400, f"Invalid value for '{asked}': {first['msg']}", asked, "invalid_value")
    if isinstance(error.body, bytes):
        return ApiError(400, "Send the body as JSON, with the header Content-Type: application/json.")
    if error.body is None:
        return ApiError(400, "The body is empty. Send a JSON object.")
    # Every member of a union complains; the one that got furthest was the one meant.
    same_field = [field for field in fields if tuple(field["loc"])[:2] == location[:2]]
    paths = [json_path(field, error.body) for field in same_field]
    furthest = max(range(len(paths)), key=lambda index: len(paths[index]))
    param, meant = paths[furthest] or None, same_field[furthest]
    if meant["type"] == "value_error" and isinstance(error.body, FormData):  # FastAPI's word is for programmers
        return ApiError(400, NO_FILE.format(name=location[-1]), str(location[-1]), "invalid_value")
    told = [
        IN_JSONS_TERMS.get(field["type"], field["msg"])
        for field, path in zip(same_field, paths, strict=True)
        if path == paths[furthest]
    ]
    where = f"Invalid value for '{param}': " if param else ""
    return ApiError(400, f"{where}{_one_sentence(told)}", param, "invalid_value")


def _one_sentence(told: Sequence[str]) -> str:
    """What the members of a union say of one value: what is wrong with its content, else all the kinds it may be of."""
    of_content = [message for message in told if not message.startswith(KIND)]
    first, *others = of_content[:1] or dict.fromkeys(told)
    return first + "".join(f", or {other.removeprefix(KIND)}" for other in others)


def json_path(error: InvalidField, body: object) -> str:
    """Where pydantic's ``error`` lies in ``body``, as a path such as ``messages[0].role``.

    Names that are no part of the body are pydantic's own, for the member of a union it tried; they are left out.
    """
    path, here = "", body
    location = error["loc"][1:]
    for part in location:
        if isinstance(part, int) and isinstance(here, list) and part < len(here):
            path, here = f"{path}[{part}]", here[part]
        elif isinstance(part, str) and isinstance(here, dict) and part in here:
            path, here = f"{path}.{part}", here[part]
    if error["type"] == "missing":
        path = f"{path}.{location[-1]}"
    return path.removeprefix(".")
