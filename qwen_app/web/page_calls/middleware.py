"""ASGI middleware in front of Gradio: every session, stream and call is somebody's, and counted for him."""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import suppress

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_app.errors import RequestError, TooManyRequests
from qwen_app.web.page_calls.call import Kind, Visitor, call_in, caller_of, kind_of, stream_of
from qwen_app.web.page_calls.gradio_tables import GradioTables
from qwen_app.web.page_calls.ledger import CallTicket, Ledger
from qwen_app.web.page_calls.whole_body import read_body, replayed

_LOOKED_AT_EVERY_S = 10.0
_ANSWER_LIMIT_BYTES = 64 * 1024  # of a join's answer: an event's id, or why there is none


class PageCalls:
    """Lets a request to Gradio through if it is within its user's bounds and uses nothing of another's.

    A refusal has its sentence as ``detail`` and ``error``, which the page shows as a toast.
    """

    def __init__(self, app: ASGIApp, *, ledger: Ledger) -> None:
        self._app = app
        self._ledger = ledger
        self._watches = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = kind_of(scope) if scope["type"] == "http" else None
        if kind is None:
            await self._app(scope, receive, send)
            return
        if self._ledger.tables is None and (blocks := getattr(scope["app"].state, "blocks", None)):
            self._ledger.tables = GradioTables(blocks)
        try:
            await self._pass(kind, scope, receive, send)
        except RequestError as refusal:
            await refuse(refusal)(scope, receive, send)

    async def _pass(self, kind: Kind, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = caller_of(scope)
        if kind is Kind.STREAM:
            stream = stream_of(scope)
            with self._ledger.reading(visitor, stream.session, stream.event):
                await self._app(scope, receive, send)
        elif kind is Kind.HEARTBEAT:
            with self._ledger.connected(visitor, stream_of(scope).session):
                await self._app(scope, receive, send)
        elif kind is Kind.END:
            await self._end(visitor, scope, receive, send)
        else:
            with self._ledger.calling(visitor) as ticket:
                await self._call(kind, ticket, scope, receive, send)

    async def _call(self, kind: Kind, ticket: CallTicket, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        self._ledger.call(ticket, call_in(kind, scope, body).session, len(body))
        if kind is Kind.JOIN:
            send = _Joining(self._ledger, ticket, send)
        await self._app(scope, replayed(body, receive), send)
        if kind is Kind.JOIN and not self._watches:
            self._watch()

    def _watch(self) -> None:
        """Look at the calls now and again while there are any, so that it is known when each was over."""
        self._watches = self._ledger.settle()
        if self._watches:
            asyncio.get_running_loop().call_later(_LOOKED_AT_EVERY_S, self._watch)

    async def _end(self, visitor: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        call = call_in(Kind.END, scope, body)
        if call.session:
            self._ledger.use(visitor, call.session)
        if self._ledger.may_end(visitor, call.event):
            await self._app(scope, replayed(body, receive), send)
        else:  # it is over: there is nothing to end
            await JSONResponse({"success": True})(scope, receive, send)


class _Joining:
    """Sends a join's answer on, once the event it names is in the ledger."""

    def __init__(self, ledger: Ledger, ticket: CallTicket, send: Send) -> None:
        self._ledger = ledger
        self._ticket = ticket
        self._send = send
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.body" and len(self._body) < _ANSWER_LIMIT_BYTES:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                self._note()
        await self._send(message)

    def _note(self) -> None:
        with suppress(ValueError):
            answer = json.loads(self._body)
            event = answer.get("event_id") if isinstance(answer, dict) else None
            if isinstance(event, str):
                self._ledger.joined(self._ticket, event)


def refuse(refusal: RequestError) -> JSONResponse:
    """The answer to a call that is refused, in the shape the page shows as a toast."""
    headers = {"retry-after": str(math.ceil(refusal.retry_after_s))} if isinstance(refusal, TooManyRequests) else None
    return JSONResponse({"detail": refusal.message, "error": refusal.message}, refusal.http_status, headers)
