"""Uploaded tables, kept in memory as the bytes that came, for a while and within limits: no file, no path.

Who uploads more than his share loses his own oldest table, never anybody else's.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from qwen_app.errors import TooManyRequests

UPLOAD_PATH = "/uploads/table"  # where a file is sent to become a table
LIMIT_BYTES = 2 * 2**20  # of a file
TOO_LARGE = f"The file is over the limit of {LIMIT_BYTES // 2**20} MiB. Upload a smaller one."

TABLES_PER_USER = 8
BYTES_PER_USER = 6 * 2**20
BYTES_IN_ALL = 64 * 2**20
UNUSED_S = 6 * 3600.0  # how long a table is kept that nobody looks into


@dataclass(frozen=True, slots=True)
class TableInfo:
    """What is told of a table of ``user``. ``id`` cannot be guessed; ``rows`` is their number."""

    user: str
    id: str
    name: str
    columns: tuple[str, ...]
    rows: int


@dataclass(slots=True)
class _Kept:
    info: TableInfo
    data: bytes
    used_s: float

    @property
    def size_bytes(self) -> int:
        return len(self.data) + sum(map(len, self.info.columns))


class TableStore:
    """All tables of a server. Methods may be called from any thread."""

    def __init__(self, *, bytes_in_all: int = BYTES_IN_ALL, clock: Callable[[], float] = time.monotonic) -> None:
        self._bytes_in_all = bytes_in_all
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # by id, the oldest first

    def keep(self, user: str, name: str, data: bytes, columns: tuple[str, ...], rows: int) -> TableInfo:
        """Keep a table. Raises TooManyRequests when those of everybody together leave no room for it."""
        kept = _Kept(TableInfo(user, secrets.token_urlsafe(24), name, columns, rows), data, self._clock())
        with self._lock:
            self._forget_unused()
            self._make_room_of(user, kept.size_bytes)
            if sum(one.size_bytes for one in self._kept.values()) + kept.size_bytes > self._bytes_in_all:
                raise TooManyRequests("The server keeps as many tables as it can just now. Try again later.")
            self._kept[kept.info.id] = kept
        return kept.info

    def info(self, user: str, table_id: str) -> TableInfo | None:
        """The table of ``user`` with this id; None where he has none."""
        with self._lock:
            self._forget_unused()
            kept = self._kept.get(table_id)
            return kept.info if kept is not None and kept.info.user == user else None

    def data(self, table: TableInfo) -> bytes | None:
        """The bytes of ``table``; None when they are kept no longer."""
        with self._lock:
            self._forget_unused()
            kept = self._kept.get(table.id)
            if kept is None:
                return None
            kept.used_s = self._clock()
            return kept.data

    def drop(self, table: TableInfo) -> None:
        with self._lock:
            self._kept.pop(table.id, None)

    def _make_room_of(self, user: str, size_bytes: int) -> None:
        own = [kept for kept in self._kept.values() if kept.info.user == user]
        held = sum(kept.size_bytes for kept in own)
        while own and (len(own) >= TABLES_PER_USER or held + size_bytes > BYTES_PER_USER):
            oldest = own.pop(0)
            held -= oldest.size_bytes
            del self._kept[oldest.info.id]

    def _forget_unused(self) -> None:
        last = self._clock() - UNUSED_S
        for table_id in [table_id for table_id, kept in self._kept.items() if kept.used_s < last]:
            del self._kept[table_id]
