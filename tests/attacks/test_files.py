"""Files named by a visitor: no handler of the page opens, copies, fetches or removes what a request names.

The first wall refuses every form of a file before Gradio sees it; the second is Gradio's own check, which is on.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from qwen_app.documents.document_store import DocumentStore
from qwen_app.knowledge.knowledge_base import knowledge_in_memory
from qwen_app.saved_chats.saved_chats import chats_in_memory
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.testing.scripted_engine import ScriptedEngine
from qwen_app.ui.mount import mount_page
from qwen_app.ui.shared.context import Stores
from qwen_app.uploads.table_store import TableStore
from qwen_app.web.no_files import refusal_of
from tests.browser.serving import running_page

TYPE = {"_type": "gradio.FileData"}
PAYROLL = b"name,pay\nAda,100\n"
PATIENCE_S = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("private")
    (folder / "payroll.csv").write_bytes(PAYROLL)
    os.mkfifo(folder / "pipe.csv")
    return folder


@pytest.fixture(scope="module")
def named(folder: Path) -> list[str]:
    return [
        str(folder / "payroll.csv"),
        str(folder / "pipe.csv"),
        "/proc/self/environ",
        "/dev/zero",
        "payroll.csv",
        "../../../../etc/passwd",
        f"file://{folder}/payroll.csv",
        "http://127.0.0.1:1/payroll.csv",
    ]


@pytest.fixture(scope="module")
def web() -> Iterator[httpx.Client]:
    with (
        running_page(ScriptedEngine()) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as web,
    ):
        yield web


def cached() -> set[Path]:
    return set(Path(os.environ.get("GRADIO_TEMP_DIR", Path(tempfile.gettempdir()) / "gradio")).rglob("*"))


def files(path: str) -> list[Any]:
    """All that Gradio has taken for a file, at any place of a value."""
    bare = {"path": path}
    return [
        {**bare, "meta": TYPE},
        {**bare, "meta": TYPE, "is_stream": True, "orig_name": "a.csv", "url": path},
        bare,
        [[{"role": "user", "content": [{"type": "file", "file": {**bare, "meta": TYPE}}]}]],
        {"text": "", "files": [{**bare, "meta": TYPE}]},
        {"path": None, "url": path, "meta": TYPE},
    ]


def handlers(web: httpx.Client) -> list[dict[str, Any]]:
    found = [one for one in web.get("/config").json()["dependencies"] if one["backend_fn"]]
    assert len(found) > 20
    return found


def test_no_handler_takes_a_file(web: httpx.Client, named: list[str], folder: Path) -> None:
    before = cached()
    for handler in handlers(web):
        for path, value in zip(named, itertools.cycle(files(named[handler["id"] % len(named)])), strict=False):
            data = [value, *files(path)[: len(handler["inputs"])]]
            body = {"fn_index": handler["id"], "data": data, "session_hash": "x", "trigger_id": 1}
            route = "queue/join" if handler["queue"] else "run/predict"
            assert web.post(f"/gradio_api/{route}", json=body).status_code == 400, (handler["id"], value)
    for value in itertools.chain.from_iterable(map(files, named)):
        for route in ("queue/join", "run/predict", "call/chat"):
            assert web.post(f"/gradio_api/{route}", json={"fn_index": 13, "data": [value]}).status_code == 400, value
    for route in ("call/chat", "call/v2/chat", "run/predict", "cancel", "reset", "startup-events"):
        body = {"data": [[{"role": "user", "content": "", **files(named[0])[0]}]], "messages": files(named[0])}
        assert web.post(f"/gradio_api/{route}", json=body).status_code == 400
    assert cached() == before
    assert (folder / "payroll.csv").read_bytes() == PAYROLL
    assert web.get("/health").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":[{"path":"/etc/passwd"}]}',
        b'{"data":[{"path" \n\t:"/etc/passwd"}]}',
        b'{"data":[{"p\\u0061th":"/etc/passwd"}]}',
        b'{"data":[{"\\u0070\\u0061\\u0074\\u0068":"/etc/passwd"}]}',
        b'{"data":[{"path":1,"path":"/etc/passwd"}]}',
        b'{"data":[{"a":{"_type":"gradio.F\\u0069leData"}}]}',
        b'{"data":[{"a":{"_type":"gradio\\u002EFileData"}}]}',
        '{"data":[{"path":"/etc/passwd"}]}'.encode("utf-16"),
        '{"data":[{"path":"/etc/passwd"}]}'.encode("utf-32-le"),
        b'\xef\xbb\xbf{"data":[{"path":"/etc/passwd"}]}',
        b'{"path":"/a"' + b"[" * 100_000,
    ],
)
def test_no_spelling_gets_a_file_past(body: bytes) -> None:
    assert refusal_of(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"data":["the path: /etc/passwd", "gradio.FileData is a class"]}',
        rb'{"data":["{\"path\": 1}"]}',
        '{"data":["路径 path"], "paths": {"xpath": 1}}'.encode(),
    ],
)
def test_text_about_paths_passes(body: bytes) -> None:
    assert refusal_of(body) == ""


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/upload_progress", "/gradio_api/stream/x"])
def test_gradios_own_upload_is_closed(web: httpx.Client, path: str) -> None:
    before = cached()
    assert web.post(path, files={"files": ("a.csv", PAYROLL)}).status_code == 404
    assert cached() == before


@pytest.mark.anyio
async def test_behind_the_wall_gradio_checks_too(folder: Path) -> None:
    app = FastAPI()
    service = Service(ScriptedEngine())
    stores = Stores(TableStore(), chats_in_memory(), DocumentStore(), knowledge_in_memory())
    mount_page(app, service, Settings(), stores)
    before, refused = cached(), 0
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    gradio = httpx.AsyncClient(transport=transport, base_url="http://localhost/gradio_api")
    async with app.router.lifespan_context(app), gradio as web:
        for handler in (await web.get("http://localhost/config")).json()["dependencies"]:
            if not handler["backend_fn"]:
                continue
            value = {"path": str(folder / "payroll.csv"), "meta": TYPE}
            body = {"fn_index": handler["id"], "data": [value] * len(handler["inputs"]), "session_hash": "x"}
            if handler["queue"]:
                assert (await web.post("/queue/join", json=body)).status_code == 200
                said = (await web.get("/queue/data", params={"session_hash": "x"})).text
                refused += '"success":false' in said
            else:
                answer = await web.post("/run/predict", json=body)
                said = answer.text
                refused += answer.status_code == 500
            assert "payroll" not in said
    assert refused > 30  # all but those that take nothing of the browser's
    assert cached() == before
    assert (folder / "payroll.csv").read_bytes() == PAYROLL
