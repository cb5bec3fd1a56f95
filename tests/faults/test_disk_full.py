"""A disk that fills while the server runs: it answers, says that it cannot save, and saves all of it once it can."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.attacks.page_client import PageClient, page_client
from tests.browser.serving import running_app

FULL_BYTES = 4096  # no file of the process's grows beyond, as if the disk had no more
UNSAVED = "disk is full or cannot be written"


@contextmanager
def full_disk(pid: int) -> Iterator[None]:
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL_BYTES, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def ask(page: PageClient, question: str) -> str:
    """All that the page is told until the answer is there."""
    page.ask(question)
    return json.dumps([message for message in page.read() if message["msg"].startswith("process")])


def found(page: PageClient, words: str) -> int:
    """How many saved chats hold ``words``."""
    return len(page.http.get("/chats", params={"search": words}).raise_for_status().json()["chats"])


@pytest.mark.slow
def test_chats_go_on_and_are_saved_whole_once_there_is_room(builtin_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    processes: list[int] = []
    options = {"models_dir": builtin_dir.parent, "context": 512, "users": 1, "chat_titles": "false"}
    with (
        running_app(tmp_path / "app" / "log", processes=processes, **options) as url,
        page_client(url, "s") as page,
    ):
        page.http.get("/").raise_for_status()  # with the cookie that its chats are kept under
        assert UNSAVED not in ask(page, "before it is full")
        (chat,) = page.http.get("/chats").json()["chats"]
        store = {"name": "papers"}
        page.http.post("/v1/vector_stores", json=store).raise_for_status()
        with full_disk(processes[0]):
            said = ask(page, "while it is full")
            assert "process_completed" in said
            assert UNSAVED in said
            refused = page.http.patch(f"/chats/{chat['id']}", json={"title": "renamed"})
            assert (refused.status_code, UNSAVED in refused.json()["detail"]) == (507, True)
            refused = page.http.post("/v1/vector_stores", json={"name": "more papers"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (507, "disk_full")
            assert page.http.get("/ready").status_code == 200
            assert found(page, "before it is full") == 1
        assert UNSAVED not in ask(page, "after it was full")
        for question in ("before", "while", "after"):
            assert found(page, f"{question} it ") == 1
        page.http.post("/v1/vector_stores", json=store).raise_for_status()
        assert len(page.http.get("/v1/vector_stores").json()["data"]) == 1
