"""Who may use the API: holders of a key, who is logged in to the page, or programs on a server's own machine.

The last only where the server listens to nobody else: an address or a header alone does not say who is asking.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable

from starlette.requests import Request

from qwen_app.api.access.rate_limits import Caller, Clock, RateLimits
from qwen_app.errors import AuthenticationError, PermissionDenied, SettingsError
from qwen_app.http.addresses import host_of_header, is_loopback
from qwen_app.http.forwarded import FORWARDING_HEADERS
from qwen_app.http.key_values import digest_of_key
from qwen_app.http.origins import host_line, is_foreign
from qwen_app.settings import Settings


class ApiKeyStore:
    """The API keys, of which only SHA-256 hashes are kept.

    A key given as ``sha256:<64 hex digits>`` is one that was hashed before, so that a file need not hold it either.
    """

    def __init__(
        self,
        keys: Iterable[str],
        limits: RateLimits = RateLimits(),  # noqa: B008 (frozen)
        clock: Clock = time.monotonic,
        *,
        local: bool = True,
        origins: frozenset[str] = frozenset(),
    ) -> None:
        """``local``: without keys, programs on this machine need none. ``origins`` are whose pages may ask, too."""
        digests = dict.fromkeys(_digest_of(key) for key in keys)
        self._callers = [(digest, _holder_of(digest, limits, clock)) for digest in digests]
        self._local = Caller("local", limits, clock) if local and not digests else None
        self._origins = origins
        self._limits, self._clock = limits, clock
        self._users: dict[str, Caller] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> ApiKeyStore:
        """The keys of ``settings``. Raises SettingsError for a key that no client could send."""
        limits = RateLimits(settings.requests_per_minute, settings.tokens_per_minute, settings.concurrency_per_key)
        local, origins = settings.is_local(), settings.allowed_origins()
        return cls(settings.keys(), limits, local=local, origins=origins)

    def caller_of(self, request: Request, key: str | None) -> Caller:
        """Who sent ``request`` with ``key``. Raises AuthenticationError without a valid key, PermissionDenied from
        elsewhere."""
        if self._local:
            if not is_from_here(request, self._origins):
                raise PermissionDenied(
                    "Without an API key this API answers programs on its own machine only. "
                    "Start the server with QWEN_API_KEYS to use it from elsewhere."
                )
            return self._local
        if key and self._callers:
            return self._holder(key)
        user = request.scope.get("state", {}).get("user")  # the page's session, which stands before us
        if user is not None:
            return self._users.setdefault(user, Caller(user, self._limits, self._clock, f"login {user}"))
        raise AuthenticationError(
            "No API key. Send it in the header 'Authorization: Bearer YOUR_KEY'."
            if self._callers
            else "This server asks for an API key and has none yet. Start it with QWEN_API_KEYS, or log in to the page."
        )

    def _holder(self, key: str) -> Caller:
        sent = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found = None
        for digest, caller in self._callers:  # never stops early: the time taken tells nothing
            if hmac.compare_digest(digest, sent):
                found = caller
        if found is None and not key.isascii():
            raise AuthenticationError(
                "This API key holds characters beyond ASCII, which no key here has. Copy it anew, without quotes."
            )
        if found is None:
            raise AuthenticationError("This API key is not valid here. Check it, or ask whoever runs the server.")
        return found


def _holder_of(digest: bytes, limits: RateLimits, clock: Clock) -> Caller:
    return Caller(f"key-{digest.hex()[:8]}", limits, clock, f"key {digest.hex()}")


def _digest_of(key: str) -> bytes:
    try:
        return digest_of_key(key)
    except ValueError as refused:
        raise SettingsError(f"An API key {refused}. Choose others in QWEN_API_KEYS and the file of keys.") from refused


def is_from_here(request: Request, origins: frozenset[str] = frozenset()) -> bool:
    """Whether a program on this machine, or a page of one of ``origins``, sent ``request`` of its own accord.

    The address alone does not say so: tunnels and proxies on this machine connect from it for others, and a page in a
    browser on it may be anybody's. So a request that was forwarded, that names another host (as after a change of a
    name's address), or that another page makes, is not from here.
    """
    client = request.client.host if request.client else ""
    forwarded = any(name in request.headers for name in FORWARDING_HEADERS)
    return is_loopback(client) and not forwarded and _names_loopback(request) and not is_foreign(request.scope, origins)


def _names_loopback(request: Request) -> bool:
    return is_loopback(host_of_header(host_line(request.scope) or ""))
