"""Uploaded tables, kept as the bytes that came."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from qwen_app.uploads.upload_store import UploadLimits, UploadStore

UPLOAD_PATH = "/uploads/table"  # where a file is sent to become a table
LIMIT_BYTES = 2 * 2**20  # of a file
TOO_LARGE = f"The file is over the limit of {LIMIT_BYTES // 2**20} MiB. Upload a smaller one."

LIMITS = UploadLimits(
    uploads_per_user=8,
    size_per_user=6 * 2**20,  # bytes
    size_in_all=64 * 2**20,
    unused_s=6 * 3600.0,
)


@dataclass(frozen=True, slots=True)
class TableInfo:
    """What is told of a table of ``user``. ``id`` cannot be guessed; ``rows`` is their number."""

    user: str
    id: str
    name: str
    columns: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    data: bytes
    columns: tuple[str, ...]
    rows: int

    @property
    def size_bytes(self) -> int:
        return len(self.data) + sum(map(len, self.columns))


class TableStore:
    """All tables of a server. Methods may be called from any thread."""

    def __init__(self, *, bytes_in_all: int = LIMITS.size_in_all, clock: Callable[[], float] = time.monotonic) -> None:
        self._uploads: UploadStore[_Table] = UploadStore(
            replace(LIMITS, size_in_all=bytes_in_all),
            lambda table: table.size_bytes,
            refusal="The server keeps as many tables as it can just now. Try again later.",
            refusal_to_guests="All guests together keep as many tables here as they may. Try again later.",
            clock=clock,
        )

    def keep(self, user: str, name: str, data: bytes, columns: tuple[str, ...], rows: int) -> TableInfo:
        """Keep a table. Raises ServerFull where others leave no room for it."""
        kept = self._uploads.keep(user, _Table(name, data, columns, rows))
        return TableInfo(user, kept.id, name, columns, rows)

    def info(self, user: str, table_id: str) -> TableInfo | None:
        """The table of ``user`` with this id; None where he has none."""
        table = self._uploads.peek(user, table_id)
        return TableInfo(user, table_id, table.name, table.columns, table.rows) if table is not None else None

    def data(self, table: TableInfo) -> bytes | None:
        """The bytes of ``table``; None when they are kept no longer."""
        kept = self._uploads.use(table.user, table.id)
        return kept.data if kept is not None else None

    def drop(self, table: TableInfo) -> None:
        self._uploads.drop(table.user, table.id)
