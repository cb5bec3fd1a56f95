"""What a request to Gradio is: a call that runs a handler, a stream that is read, or an end of either."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection
from starlette.types import Scope

from qwen_app.errors import RequestError
from qwen_app.http.json_bounds import PAGE_BOUNDS
from qwen_app.http.visitors import owner_of, visitor_of

_PREFIX = "/gradio_api/"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Kind(Enum):
    """``JOIN`` queues a handler and answers with an event's id, ``DIRECT`` runs one at once, ``END`` ends an event.
    ``STREAM`` reads answers, ``HEARTBEAT`` is open as long as the page is and reads none."""

    JOIN = "join"
    DIRECT = "direct"
    STREAM = "stream"
    HEARTBEAT = "heartbeat"
    END = "end"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whose use is counted together (``user``), and who alone may use a session again (``owner``)."""

    user: str
    owner: str


@dataclass(frozen=True, slots=True)
class Call:
    """What a request names: its session, its event. Empty where it names none."""

    session: str = ""
    event: str = ""


def caller_of(scope: Scope) -> Visitor:
    """Who sends the request."""
    connection = HTTPConnection(scope)
    return Visitor(visitor_of(connection), owner_of(connection))


def kind_of(scope: Scope) -> Kind | None:
    """What ``scope`` asks of Gradio; None for what neither runs nor reads a call."""
    parts = _parts(scope)
    if not parts:
        return None
    if scope["method"] == "GET":
        if parts == ["queue", "data"] or parts[0] == "call":
            return Kind.STREAM
        return Kind.HEARTBEAT if parts[0] == "heartbeat" else None
    if scope["method"] == "POST":
        if parts == ["queue", "join"] or parts[0] == "call":
            return Kind.JOIN
        return {"run": Kind.DIRECT, "api": Kind.DIRECT, "cancel": Kind.END, "reset": Kind.END}.get(parts[0])
    return None


def stream_of(scope: Scope) -> Call:
    """The stream a GET opens. Raises RequestError where it names none."""
    parts = _parts(scope)
    if parts[0] == "call":
        return Call(event=_name(parts[-1]))
    if parts[0] == "heartbeat":
        return Call(_name(parts[-1] if len(parts) == 2 else ""))
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=20)
    return Call(_name(query.get("session_hash", [""])[-1]))


def call_in(kind: Kind, scope: Scope, body: bytes) -> Call:
    """The call a POST makes. Raises RequestError where it is none."""
    fields = _fields(body)
    parts = _parts(scope)
    if kind is Kind.END:
        session = _name(fields.get("session_hash")) if parts[0] == "cancel" else ""
        return Call(session, _name(fields.get("event_id")))
    if parts[:2] == ["call", "v2"]:
        return Call()  # its fields are the handler's own
    named = fields.get("session_hash")
    if named is None and parts[0] != "queue":
        return Call()
    return Call(_name(named))


def _parts(scope: Scope) -> list[str]:
    path: str = scope["path"]
    return path.removeprefix(_PREFIX).strip("/").split("/") if path.startswith(_PREFIX) else []


def _fields(body: bytes) -> dict[str, object]:
    refusal = PAGE_BOUNDS.refusal(body)
    if refusal:
        raise RequestError(refusal)
    try:
        fields = json.loads(body)  # as FastAPI reads it
    except (ValueError, RecursionError) as error:
        raise RequestError("A call must be a JSON object.") from error
    if not isinstance(fields, dict):
        raise RequestError("A call must be a JSON object.")
    return fields


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise RequestError("A session or event is named by 1 to 64 letters, digits, - and _.")
    return value
