"""Who is logged in: a random token in a cookie, and what it stands for kept on the server, where it can be ended."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

COOKIE = "qwen_session"
LIFETIME_S = 7 * 24 * 3600
SESSIONS_PER_USER = 200  # the oldest of a user's own is ended for one more
_COOKIES_READ = 20
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody's login on one browser, until ``expires`` on the clock."""

    user: str
    expires: float


class Sessions:
    """The open sessions. A restart ends them all."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[bytes, Session] = {}  # by the token's hash, oldest first

    def token(self, user: str) -> str:
        """A token that says ``user`` until LIFETIME_S seconds from now."""
        self._forget_old(user)
        token = secrets.token_urlsafe(32)
        self._open[_digest(token)] = Session(user, self._clock() + LIFETIME_S)
        return token

    def user(self, token: str) -> str | None:
        """Who a token names, or None for one that is foreign, ended or over."""
        session = self._open.get(_digest(token))
        return session.user if session and self._clock() < session.expires else None

    def end(self, token: str) -> None:
        """From here on ``token`` says nobody."""
        self._open.pop(_digest(token), None)

    def _forget_old(self, user: str) -> None:
        now = self._clock()
        self._open = {key: session for key, session in self._open.items() if now < session.expires}
        own = [key for key, session in self._open.items() if session.user == user]
        for key in own[: max(0, len(own) + 1 - SESSIONS_PER_USER)]:
            del self._open[key]


def tokens_of(scope: Scope) -> list[str]:
    """Every session token that a request brings. Another page under our name may have added one of its own."""
    pairs = (pair.strip().partition("=") for line in Headers(scope=scope).getlist("cookie") for pair in line.split(";"))
    return [value for name, _, value in pairs if name == COOKIE][:_COOKIES_READ]


def browser_of(token: str) -> str:
    """A name for the browser that has ``token``, from which the token cannot be found."""
    return _digest(token).hex()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
