"""Uploads in memory: kept for a while and within limits, no file, no path.

Who uploads more than his share loses what he himself used least lately, never anybody else's: first what is kept
elsewhere too. A share is so many, so large, and no more than what it leaves free for others.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from qwen_app.errors import ServerFull
from qwen_app.fair_share import has_room, held_by, is_guest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Sizes are in what the store measures by. ``unused_s``: how long is kept what nobody looks into."""

    uploads_per_user: int
    size_per_user: int
    size_in_all: int
    unused_s: float


@dataclass(frozen=True, slots=True)
class Upload(Generic[T]):
    """``id`` cannot be guessed."""

    id: str
    user: str
    content: T


class UploadStore(Generic[T]):
    """All uploads of one kind, measured by ``size_of``. Methods may be called from any thread.

    ``refusal`` is what is said where others leave no room, ``refusal_to_guests`` where all guests together do.
    """

    def __init__(
        self,
        limits: UploadLimits,
        size_of: Callable[[T], int],
        *,
        refusal: str,
        refusal_to_guests: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._size_of = size_of
        self._refusal = refusal
        self._refusal_to_guests = refusal_to_guests
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[Upload[T], float]] = OrderedDict()  # by id, the longest unused first
        self._spare: set[str] = set()

    def keep(self, user: str, content: T, *, share_refusal: str = "") -> Upload[T]:
        """Keep an upload. Raises ServerFull where others leave no room for it; then the user loses nothing.

        With ``share_refusal`` this is what it says, too, where only what is kept nowhere else could make room.
        """
        upload = Upload(secrets.token_urlsafe(24), user, content)
        with self._lock:
            self._forget_unused()
            leaving = self._leaving(user, self._size_of(content))
            if leaving is None:
                raise ServerFull(self._refusal_to_guests if is_guest(user) else self._refusal)
            if share_refusal and not self._spare.issuperset(leaving):
                raise ServerFull(share_refusal)
            for upload_id in leaving:
                self._forget(upload_id)
            self._kept[upload.id] = upload, self._clock()
        return upload

    def spare(self, user: str, upload_id: str) -> None:
        """It is kept elsewhere too, and goes first where there is no room."""
        if self.peek(user, upload_id) is not None:
            self._spare.add(upload_id)

    def peek(self, user: str, upload_id: str) -> T | None:
        """The upload of ``user`` with this id; None where he has none, or has it no longer."""
        with self._lock:
            self._forget_unused()
            found = self._kept.get(upload_id)
            return found[0].content if found is not None and found[0].user == user else None

    def use(self, user: str, upload_id: str) -> T | None:
        """As ``peek``, and it is kept longer for it."""
        content = self.peek(user, upload_id)
        with self._lock:
            if content is not None and upload_id in self._kept:
                self._kept[upload_id] = self._kept[upload_id][0], self._clock()
                self._kept.move_to_end(upload_id)
        return content

    def drop(self, user: str, upload_id: str) -> None:
        with self._lock:
            found = self._kept.get(upload_id)
            if found is not None and found[0].user == user:
                self._forget(upload_id)

    def _leaving(self, user: str, size: int) -> list[str] | None:
        """Which of the user's uploads have to go for one of ``size``; None where that would not be enough."""
        kept = [upload for upload, _ in self._kept.values()]
        own = sorted((one for one in kept if one.user == user), key=lambda one: one.id not in self._spare)
        others = [(upload.user, self._size_of(upload.content)) for upload in kept if upload.user != user]
        for going in range(len(own) + 1):
            left = self._size(own[going:])
            held = held_by(user, [*others, (user, left)])
            share = len(own) - going < self._limits.uploads_per_user and left + size <= self._limits.size_per_user
            swapped = left + size <= self._size(own)  # what takes no more than his own before is no loss to others
            if share and (swapped or has_room(size, held, self._limits.size_in_all)):
                return [upload.id for upload in own[:going]]
        return None

    def _size(self, uploads: Iterable[Upload[T]]) -> int:
        return sum(self._size_of(upload.content) for upload in uploads)

    def _forget_unused(self) -> None:
        last = self._clock() - self._limits.unused_s
        for upload_id in [upload_id for upload_id, (_, used_s) in self._kept.items() if used_s < last]:
            self._forget(upload_id)

    def _forget(self, upload_id: str) -> None:
        del self._kept[upload_id]
        self._spare.discard(upload_id)
