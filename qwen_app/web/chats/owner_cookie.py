"""Whose saved chats a request may read: those of its login, else those of its browser, which has a signed cookie.

The cookie is a random name and a signature of it: who makes one up has none of ours, and who learns a chat's id has
nothing at all.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_app.fair_share import BROWSERS
from qwen_app.http.visitors import CHATS_OWNER, GUEST, USER, cookies_named

PAGE = "/"  # the one path that gives a browser its cookie
LIFETIME_S = 400 * 24 * 3600  # as long as browsers keep one; each visit begins it anew
_NAME_BYTES = 16
_VALUE = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{64})")


class OwnerCookie:
    """ASGI middleware behind the login: notes the owner in the request's state."""

    def __init__(self, app: ASGIApp, *, key: bytes) -> None:
        self._app = app
        self._key = key
        # two servers under one host share its cookies: each has a name of its own
        self.cookie = f"qwen_browser_{hashlib.sha256(key).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        if guest := state.get(GUEST):
            state[CHATS_OWNER] = guest
            await self._app(scope, receive, send)
            return
        user = state.get(USER)
        browser = "" if user is not None else self.browser_of(scope)
        if user is None and scope["path"] == PAGE and scope["method"] == "GET":
            browser = browser or secrets.token_hex(_NAME_BYTES)
            send = self._with_cookie(send, scope, browser)
        state[CHATS_OWNER] = f"login {user}" if user is not None else f"{BROWSERS}{browser}" if browser else ""
        await self._app(scope, receive, send)

    def browser_of(self, scope: Scope) -> str:
        """The name in the first cookie of ours that a request brings; empty where it brings none."""
        for value in cookies_named(self.cookie, scope):
            found = _VALUE.fullmatch(value)
            if found and hmac.compare_digest(self._signature(found[1]), found[2]):
                return found[1]
        return ""

    def value(self, browser: str) -> str:
        """The cookie of a browser."""
        return f"{browser}.{self._signature(browser)}"

    def _signature(self, browser: str) -> str:
        return hmac.new(self._key, browser.encode(), hashlib.sha256).hexdigest()

    def _with_cookie(self, send: Send, scope: Scope, browser: str) -> Send:
        secure = "; Secure" if scope["scheme"] == "https" else ""
        flags = f"Max-Age={LIFETIME_S}; Path=/; HttpOnly; SameSite=Lax{secure}"

        async def outgoing(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", f"{self.cookie}={self.value(browser)}; {flags}")
            await send(message)

        return outgoing
