from __future__ import annotations

import pytest

from qwen_app.errors import TooManyRequests
from qwen_app.uploads.table_store import LIMITS, TableInfo, TableStore


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def keep(tables: TableStore, user: str, size_bytes: int = 10) -> TableInfo:
    return tables.keep(user, "a.csv", b"x" * size_bytes, ("x",), 0)


def test_ids_cannot_be_guessed_and_belong_to_their_user() -> None:
    tables = TableStore()
    ids = {keep(tables, "ada").id for _ in range(3)}
    assert len(ids) == 3
    assert min(map(len, ids)) >= 32
    assert all(tables.info("ada", one) and not tables.info("bo", one) for one in ids)


@pytest.mark.parametrize(
    ("tables_sent", "size_bytes"), [(LIMITS.uploads_per_user + 3, 10), (20, LIMITS.size_per_user // 3)]
)
def test_who_sends_more_than_his_share_loses_his_own_oldest(tables_sent: int, size_bytes: int) -> None:
    tables = TableStore()
    ada = keep(tables, "ada")
    sent = [keep(tables, "mallory", size_bytes) for _ in range(tables_sent)]
    left = [table for table in sent if tables.data(table) is not None]
    assert left == sent[-len(left) :]
    assert len(left) <= LIMITS.uploads_per_user
    assert sum(len(tables.data(table) or b"") for table in left) <= LIMITS.size_per_user
    assert tables.data(ada) is not None


def test_a_full_store_refuses_and_keeps_what_it_has() -> None:
    tables = TableStore(bytes_in_all=1500)
    kept = [keep(tables, f"user {number}", 300) for number in range(3)]
    with pytest.raises(TooManyRequests, match="later"):
        keep(tables, "one more", 300)
    assert all(tables.data(table) for table in kept)
    tables.drop(kept[0])
    keep(tables, "one more", 300)


def test_what_nobody_looks_into_goes() -> None:
    clock = Clock()
    tables = TableStore(clock=clock)
    used, unused = keep(tables, "ada"), keep(tables, "ada")
    clock.now = LIMITS.unused_s * 0.9
    assert tables.data(used) is not None
    clock.now = LIMITS.unused_s * 1.1
    assert tables.data(unused) is None
    assert tables.data(used) is not None
