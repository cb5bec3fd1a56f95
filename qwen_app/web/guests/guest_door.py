"""Knows the guest behind a request, by a cookie that is signed and can be revoked; and the site that guests get.

It stands from the first request on; until the app is loaded it knows nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Scope

from qwen_app.guests.guest import Guest
from qwen_app.guests.guest_book import GuestBook
from qwen_app.http.visitors import cookies_named

COOKIE = "qwen_guest"
ENTRY = "/g/"  # and the pass in the link


class GuestDoor:
    """``site`` is what guests see, and all that they can reach."""

    def __init__(self) -> None:
        self.book: GuestBook | None = None
        self.site: ASGIApp | None = None
        self._open: dict[str, set[asyncio.Task[object]]] = {}  # requests, by the guest's id

    def open(self, book: GuestBook, site: ASGIApp) -> None:
        """Let the guests of ``book`` in from here on, to ``site``."""
        self.book, self.site = book, site

    def invited(self, scope: Scope) -> Guest | None:
        """The guest whose link this request opens, whether or not it is over."""
        path: str = scope["path"]
        if self.book is None or not path.startswith(ENTRY):
            return None
        return self.book.guest_with(path.removeprefix(ENTRY), "link")

    def guest_in(self, scope: Scope) -> Guest | None:
        """The guest whose cookie a request brings, whether or not the link is over."""
        if self.book is None:
            return None
        known = (self.book.guest_with(guest_pass, "cookie") for guest_pass in cookies_named(COOKIE, scope))
        return next(filter(None, known), None)

    def knows(self, scope: Scope) -> bool:
        """Whether the request is a guest's, or comes to be one: then no password is asked for."""
        return scope["path"].startswith(ENTRY) or self.guest_in(scope) is not None

    def is_over(self, guest: Guest) -> bool:
        """Whether the guest's link opens nothing any more, as it is known now."""
        now = self.book.guest_named(guest.user) if self.book else None
        return self.book is None or now is None or self.book.is_over(now)

    @contextmanager
    def request(self, guest: Guest) -> Iterator[None]:
        """The current task works for ``guest``, and is cancelled by ``end``."""
        task = asyncio.current_task()
        if task is None:
            yield
            return
        tasks = self._open.setdefault(guest.id, set())
        tasks.add(task)
        try:
            yield
        finally:
            tasks.discard(task)
            if not tasks:
                self._open.pop(guest.id, None)

    def end(self, guest_id: str) -> None:
        """Cut off what is open for a guest."""
        for task in self._open.get(guest_id, ()):
            task.cancel()
