"""Who is logged in: a signed cookie, and nothing kept on the server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence

COOKIE = "qwen_session"
LIFETIME_S = 7 * 24 * 3600
Clock = Callable[[], float]


class Sessions:
    """Issues and reads session tokens. The signing key is new with each start, so a restart logs everybody out."""

    def __init__(self, logins: Sequence[tuple[str, str]], clock: Clock = time.time) -> None:
        self._passwords = {user: _digest(password) for user, password in logins}
        self._key = secrets.token_bytes(32)
        self._clock = clock

    def knows(self, user: str, password: str) -> bool:
        """Whether ``password`` is that of ``user``; takes as long for an unknown user."""
        expected = self._passwords.get(user, b"\0" * 32)
        return hmac.compare_digest(_digest(password), expected)

    def token(self, user: str) -> str:
        """A token that says ``user`` until LIFETIME_S seconds from now."""
        name = base64.urlsafe_b64encode(user.encode()).decode()
        payload = f"{name}.{int(self._clock() + LIFETIME_S)}"
        return f"{payload}.{self._signature(payload)}"

    def user(self, token: str) -> str | None:
        """Who a token names, or None for one that is foreign, forged or over."""
        payload, _, signature = token.encode(errors="replace").decode().rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(payload).encode()):
            return None
        name, _, expires = payload.partition(".")
        return base64.urlsafe_b64decode(name).decode() if self._clock() < int(expires) else None

    def _signature(self, payload: str) -> str:
        return hmac.new(self._key, payload.encode(), hashlib.sha256).hexdigest()


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode()).digest()
