"""What all visitors share: the table of it in DEPLOYMENT.md says what the code holds, and each has a share for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwen_app.documents import document_store
from qwen_app.http.turns import AT_ONCE, GUESTS_AT_ONCE
from qwen_app.knowledge import file_store
from qwen_app.sandbox.pool import WAITING_LIMIT, WAITING_PER_USER
from qwen_app.saved_chats.values import ChatLimits
from qwen_app.serve.connections import ConnectionLimits
from qwen_app.uploads import table_store
from qwen_app.web.page_calls.ledger import Bounds
from qwen_app.web.status.live_status import MOST_OF_ONE, MOST_WATCHERS

MANUAL = Path(__file__).resolve().parents[2] / "DEPLOYMENT.md"
MILLION = 1_000_000
# What is shared, as the table calls it: how much in all, and how much of one visitor.
SHARED: dict[str, tuple[int, int]] = {
    "saved chats": (ChatLimits().bytes_in_all // 2**30, ChatLimits().bytes_per_user // 2**20),
    "documents that wait to be sent": (
        document_store.LIMITS.size_in_all // MILLION,
        document_store.LIMITS.size_per_user // MILLION,
    ),
    "files being read": (AT_ONCE, 1),
    "the Files tab's texts": (file_store.LIMIT_CHARACTERS_IN_ALL // MILLION, file_store.LIMIT_CHARACTERS // MILLION),
    "tables of the Tools tab": (table_store.LIMITS.size_in_all // 2**20, table_store.LIMITS.size_per_user // 2**20),
    "tabs of the page": (Bounds().sessions_in_all, Bounds().sessions),
    "streams of the status": (MOST_WATCHERS, MOST_OF_ONE),
    "checks of schemas": (WAITING_LIMIT, WAITING_PER_USER),
    "connections": (ConnectionLimits().in_all, ConnectionLimits().per_address),
}


@pytest.mark.parametrize("name", SHARED)
def test_the_manual_tells_the_whole_and_the_share(name: str) -> None:
    rows = [line.split("|") for line in MANUAL.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    (row,) = [row for row in rows if row[1].strip().startswith(name) and len(row) == 6]
    for figure, cell in zip(SHARED[name], row[2:4], strict=True):
        assert f"{figure:,}" == cell.split()[0].rstrip(";,"), cell


def test_no_share_is_more_than_half() -> None:
    assert GUESTS_AT_ONCE <= AT_ONCE // 2
    for (in_all, own), name in ((SHARED[name], name) for name in SHARED if name != "saved chats"):
        assert own <= in_all // 2, name
    assert ChatLimits().bytes_per_user <= ChatLimits().bytes_in_all // 2
