"""The logins' passwords, kept and compared through a slow hash that holds nobody else up."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

AT_ONCE = 2  # hashes computed at the same time; each takes about 50 ms of a core and 16 MiB
COST = 2**14  # scrypt's N
_BLOCK = 8
_NOBODY = ""  # no login has this name; whoever is unknown is compared with its password


class Passwords:
    """Knows the passwords of ``logins``, which are (user, password). It computes in threads of its own."""

    def __init__(self, logins: Sequence[tuple[str, str]]) -> None:
        self._salt = secrets.token_bytes(16)
        self._threads = ThreadPoolExecutor(AT_ONCE, "passwords")
        everybody = {_NOBODY: secrets.token_urlsafe(), **dict(logins)}
        self._hashes = {user: self._threads.submit(self._hash, password) for user, password in everybody.items()}

    async def knows(self, user: str, password: str) -> bool:
        """Whether ``password`` is that of ``user``; takes as long for an unknown user."""
        expected = self._hashes.get(user, self._hashes[_NOBODY])
        return await asyncio.wrap_future(self._threads.submit(self._is, expected, password)) and user != _NOBODY

    def close(self) -> None:
        """Nobody is compared any more: the threads end, and whoever waits for one is not answered."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _is(self, expected: Future[bytes], password: str) -> bool:
        return hmac.compare_digest(self._hash(password), expected.result())  # that one was begun before, so it ends

    def _hash(self, password: str) -> bytes:
        secret = password.encode("utf-8", "surrogatepass")
        return hashlib.scrypt(secret, salt=self._salt, n=COST, r=_BLOCK, p=1, dklen=32)
