"""Who is logged in: a random token in a cookie, and what it stands for kept on the server, where it can be ended."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

COOKIE = "qwen_session"
LIFETIME_S = 7 * 24 * 3600
SESSIONS_PER_USER = 200  # the oldest of a user's own is ended for one more
INVITATION_S = 3600  # in which a link that logs in must be opened
INVITATIONS = 100  # open at a time
_ID_DIGITS = 8
Clock = Callable[[], float]


@dataclass(slots=True)
class Session:
    """Somebody's login on one browser, until ``expires``. Times are the clock's; ``tasks`` are its open requests."""

    user: str
    address: str
    opened: float
    seen: float
    expires: float
    tasks: set[asyncio.Task[object]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session as the owner sees it. ``id`` is part of the token's hash; ages are in seconds."""

    id: str
    user: str
    address: str
    age_s: float
    idle_s: float
    requests: int


class Sessions:
    """The open sessions, and invitations: tokens in a link that log in once. A restart ends them all."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[bytes, Session] = {}  # by the token's hash, oldest first
        self._invitations: dict[bytes, Session] = {}  # by the hash of theirs

    def token(self, user: str, address: str = "") -> str:
        """A token that says ``user`` until LIFETIME_S seconds from now, given to a browser at ``address``."""
        self._forget_old(user)
        token, now = secrets.token_urlsafe(32), self._clock()
        self._open[_digest(token)] = Session(user, address, now, now, now + LIFETIME_S)
        return token

    def user(self, token: str) -> str | None:
        """Who a token names, or None for one that is foreign, ended or over."""
        session = self._open.get(_digest(token))
        return session.user if session and self._clock() < session.expires else None

    @contextmanager
    def request(self, token: str) -> Iterator[None]:
        """The current task works for the session of ``token``, and is cancelled when that is ended."""
        session, task = self._open.get(_digest(token)), asyncio.current_task()
        if session is None or task is None:
            yield
            return
        session.seen = self._clock()
        session.tasks.add(task)
        try:
            yield
        finally:
            session.tasks.discard(task)

    def end(self, token: str) -> None:
        """From here on ``token`` says nobody."""
        self._end([_digest(token)])

    def end_named(self, name: str) -> int:
        """End the session with the id ``name``, all of the user ``name``, or with ``all`` everybody's; how many."""
        found = [key for key, one in self._open.items() if name in ("all", one.user, _id(key))]
        self._end(found)
        return len(found)

    def lines(self) -> list[SessionLine]:
        """All that are open, oldest first."""
        now = self._clock()
        return [
            SessionLine(_id(key), one.user, one.address, now - one.opened, now - one.seen, len(one.tasks))
            for key, one in self._open.items()
            if now < one.expires
        ]

    def invite(self, user: str) -> str:
        """A key that logs in as ``user`` once, within INVITATION_S seconds."""
        key, now = secrets.token_urlsafe(32), self._clock()
        while len(self._invitations) >= INVITATIONS:
            del self._invitations[next(iter(self._invitations))]
        self._invitations[_digest(key)] = Session(user, "", now, now, now + INVITATION_S)
        return key

    def redeem(self, key: str) -> str | None:
        """Whom ``key`` invited; it is used up by this."""
        invitation = self._invitations.pop(_digest(key), None)
        return invitation.user if invitation and self._clock() < invitation.expires else None

    def _end(self, keys: list[bytes]) -> None:
        for key in keys:
            session = self._open.pop(key, None)
            for task in session.tasks if session else ():
                task.cancel()

    def _forget_old(self, user: str) -> None:
        now = self._clock()
        self._open = {key: session for key, session in self._open.items() if now < session.expires}
        own = [key for key, session in self._open.items() if session.user == user]
        self._end(own[: max(0, len(own) + 1 - SESSIONS_PER_USER)])


def browser_of(token: str) -> str:
    """A name for the browser that has ``token``, from which the token cannot be found."""
    return _digest(token).hex()


def _id(digest: bytes) -> str:
    return digest.hex()[:_ID_DIGITS]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
