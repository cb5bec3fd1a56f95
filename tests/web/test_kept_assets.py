"""A page's files are compressed once, kept by browsers, and what they were before."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.web import kept_assets
from qwen_app.web.kept_assets import FOREVER, KeptAssets

pytestmark = pytest.mark.anyio

ASSETS = Path(gr.__file__).parent / "templates" / "frontend" / "assets"
SCRIPT = max(ASSETS.glob("index-*.js"), key=lambda file: file.stat().st_size)
ADDRESS = f"/assets/{SCRIPT.name}"


class Counted:
    """Notes the paths that get through to ``app``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        await self._app(scope, receive, send)


@pytest.fixture(scope="module")
async def gradios() -> FastAPI:  # Gradio makes loops of its own where none runs, and never closes them
    with gr.Blocks() as page:
        gr.Markdown("hello")
    return gr.mount_gradio_app(FastAPI(), page, path="/")


@pytest.fixture
def counted(gradios: FastAPI) -> Counted:
    return Counted(gradios)


@pytest.fixture
async def web(counted: Counted) -> AsyncGenerator[httpx.AsyncClient, None]:
    transport = httpx.ASGITransport(KeptAssets(counted))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as web:
        yield web


@pytest.mark.parametrize("encoding", ["br, gzip", "gzip", "identity"])
async def test_a_file_is_read_and_compressed_once(encoding: str, web: httpx.AsyncClient, counted: Counted) -> None:
    headers = {"accept-encoding": encoding}
    answers = [await web.get(ADDRESS, headers=headers) for _ in range(3)]
    assert counted.paths == [ADDRESS]
    for answer in answers:
        assert answer.content == SCRIPT.read_bytes()
        assert answer.headers["cache-control"] == FOREVER
        assert answer.headers.get("content-encoding", "identity") == encoding.partition(",")[0]
        assert int(answer.headers["content-length"]) == answer.num_bytes_downloaded


async def test_who_reads_no_compression_is_not_sent_any(web: httpx.AsyncClient) -> None:
    await web.get(ADDRESS, headers={"accept-encoding": "br"})
    plain = await web.get(ADDRESS, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers


async def test_a_browser_that_has_it_is_told_so(web: httpx.AsyncClient) -> None:
    first = await web.get(ADDRESS)
    again = await web.get(ADDRESS, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await web.get(ADDRESS, headers={"if-none-match": '"another"'})).content == first.content


async def test_a_browser_that_has_it_does_not_hide_it_from_the_next(web: httpx.AsyncClient, counted: Counted) -> None:
    etag = (await web.get(ADDRESS)).headers["etag"]
    counted.paths.clear()
    encoding = {"accept-encoding": "identity"}  # nobody asked for it so yet
    assert (await web.get(ADDRESS, headers={"if-none-match": etag} | encoding)).status_code == 304
    assert (await web.get(ADDRESS, headers=encoding)).content == SCRIPT.read_bytes()
    assert counted.paths == [ADDRESS]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("HEAD", ADDRESS, {}),
        ("GET", ADDRESS, {"range": "bytes=0-9"}),
        ("GET", "/config", {}),
        ("GET", "/theme.css", {}),
    ],
)
async def test_the_rest_is_asked_for_each_time(
    method: str, path: str, headers: dict[str, str], web: httpx.AsyncClient, counted: Counted
) -> None:
    answers = [await web.request(method, path, headers=headers) for _ in range(2)]
    assert counted.paths == [path, path]
    assert all(answer.status_code < 500 and answer.headers.get("cache-control") != FOREVER for answer in answers)


async def test_what_is_not_there_is_not_kept(web: httpx.AsyncClient, counted: Counted) -> None:
    for _ in range(2):
        missing = await web.get("/assets/nothing-ABCDEFGH.js")
        assert missing.status_code == 404
        assert missing.headers.get("cache-control") != FOREVER
    assert len(counted.paths) == 2


async def test_what_nobody_asks_for_goes_when_there_is_too_much(
    web: httpx.AsyncClient, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted(ASSETS.glob("Index-*.js"))[:3]
    room = sum(file.stat().st_size + len(f"/assets/{file.name}") + kept_assets.ENTRY_BYTES for file in files[1:])
    monkeypatch.setattr(kept_assets, "LIMIT_BYTES", room)
    plain = {"accept-encoding": "identity"}
    for file in [*files, files[1], files[2], files[0]]:
        assert (await web.get(f"/assets/{file.name}", headers=plain)).content == file.read_bytes()
    asked = [Path(path).name for path in counted.paths]
    assert asked == [file.name for file in [*files, files[0]]]


@pytest.mark.parametrize("accepted", ["br;q=0, gzip", "br; q=0.0 , x, GZIP;q=0.5", "gzip, deflate", "gzip;q=1.0"])
async def test_an_encoding_that_is_refused_is_not_sent(accepted: str, web: httpx.AsyncClient) -> None:
    answer = await web.get(ADDRESS, headers={"accept-encoding": accepted})
    assert answer.headers["content-encoding"] == "gzip"


async def test_what_a_stranger_says_of_encodings_takes_no_memory(web: httpx.AsyncClient, counted: Counted) -> None:
    for number in range(20):
        answer = await web.get(ADDRESS, headers={"accept-encoding": f"x-{number}, gzip;q=0.{number + 1}, BR"})
        assert answer.headers["content-encoding"] == "br"
    assert counted.paths == [ADDRESS]


async def test_every_file_of_gradios_has_a_name_that_changes_with_it(web: httpx.AsyncClient) -> None:
    for file in sorted(ASSETS.rglob("*.*"))[::40]:
        answer = await web.get(f"/assets/{file.relative_to(ASSETS).as_posix()}")
        assert answer.headers["cache-control"] == FOREVER, file
