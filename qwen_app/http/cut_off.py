"""Serving a request that may be ended from elsewhere: its task is cancelled, and the client gets a whole answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


async def serve_until_cut(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, is_cut: Callable[[], bool], refusal: ASGIApp
) -> None:
    """Answer by ``app``. Where the task is cancelled and ``is_cut``, what was begun ends; else ``refusal`` answers."""
    begun = whole = False

    def noted_send(message: Message) -> Awaitable[None]:  # no coroutine of its own: streams send often
        nonlocal begun, whole
        begun = True
        whole = message["type"] == "http.response.body" and not message.get("more_body", False)
        return send(message)

    try:
        await app(scope, receive, noted_send)
    except asyncio.CancelledError:
        if not is_cut():
            raise
        if begun and not whole:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif not begun:
            await refusal(scope, receive, send)
