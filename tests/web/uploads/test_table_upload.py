"""The page takes one CSV file of bounded size as bytes, and refuses everything else with a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from urllib.parse import quote

import httpx
import pytest

from qwen_app.http.addresses import THIS_MACHINE
from qwen_app.http.visitors import visitor_of
from qwen_app.sandbox.checks import checks
from qwen_app.settings import Settings
from qwen_app.uploads.table_store import LIMIT_BYTES, UPLOAD_PATH, TableStore
from qwen_app.web.uploads.table_upload import build_table_upload
from tests.web.web_app import bare_app

pytestmark = pytest.mark.anyio

CSV = b"name,price\nlamp,3\n"
HERE = f"address {THIS_MACHINE}"


def uploading(tables: TableStore, **settings: str) -> httpx.AsyncClient:
    app = bare_app(Settings(**settings))
    app.include_router(build_table_upload(tables, checks()))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:7860")


async def post(body: bytes | AsyncGenerator[bytes, None] = CSV, name: str = "a.csv") -> httpx.Response:
    async with uploading(TableStore()) as web:
        return await web.post(UPLOAD_PATH, content=body, headers={"x-file-name": name})


async def test_a_table_is_kept_as_its_bytes_for_its_user_alone() -> None:
    tables = TableStore()
    async with uploading(tables) as web:
        response = await web.post(UPLOAD_PATH, content=CSV, headers={"x-file-name": quote("灯 <b>.CSV")})
    table = tables.info(HERE, response.json()["id"])
    assert table is not None
    assert (table.name, table.columns, table.rows) == ("灯 _b_.CSV", ("name", "price"), 1)
    assert tables.data(table) == CSV
    assert tables.info("address 10.0.0.1", table.id) is None


async def test_behind_a_login_strangers_send_nothing() -> None:
    tables = TableStore()
    async with uploading(tables, auth="ada:lovelace") as web:
        refused = await web.post(UPLOAD_PATH, content=CSV, headers={"x-file-name": "a.csv"})
        assert refused.status_code == 401
        await web.post("/login", data={"username": "ada", "password": "lovelace"})
        response = await web.post(UPLOAD_PATH, content=CSV, headers={"x-file-name": "a.csv"})
    assert tables.info("login ada", response.json()["id"]) is not None


async def test_pages_of_other_sites_send_nothing() -> None:
    async with uploading(TableStore()) as web:
        headers = {"x-file-name": "a.csv", "origin": "http://evil.example"}
        assert (await web.post(UPLOAD_PATH, content=CSV, headers=headers)).status_code == 403


@pytest.mark.parametrize("name", ["page.html", "a.csv.exe", "", "csv", "/etc/passwd"])
async def test_only_csv_files(name: str) -> None:
    response = await post(name=name)
    assert response.status_code == 400
    assert ".csv" in response.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"\n\n", b"a,a\n", b"\0\1\2", b"PK\3\4\xff\xfe", b"a," * 2**19, b'"'])
async def test_what_is_no_table_is_a_sentence(body: bytes) -> None:
    response = await post(body)
    assert response.status_code == 400
    assert response.json()["detail"].endswith(".")


async def pieces(total: int) -> AsyncGenerator[bytes, None]:
    for _ in range(total // 65536):
        yield b"x" * 65536


async def test_larger_files_are_refused_announced_or_not() -> None:
    for body in (b"x" * (LIMIT_BYTES + 1), pieces(LIMIT_BYTES + 65536)):
        response = await post(body)
        assert response.status_code == 413
        assert "2 MiB" in response.json()["detail"]
    assert (await post(b"x\n" + b"y" * 100)).status_code == 200


async def test_one_file_of_a_user_at_a_time() -> None:
    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncGenerator[bytes, None]:
        yield b"a,b\n"
        waiting.set()
        await go_on.wait()
        yield b"1,2\n"

    async with uploading(TableStore()) as web:
        headers = {"x-file-name": "a.csv"}
        first = asyncio.create_task(web.post(UPLOAD_PATH, content=slow(), headers=headers))
        await waiting.wait()
        assert (await web.post(UPLOAD_PATH, content=CSV, headers=headers)).status_code == 429
        go_on.set()
        assert (await first).status_code == 200
        assert (await web.post(UPLOAD_PATH, content=CSV, headers=headers)).status_code == 200


def test_who_somebody_is_cannot_be_chosen() -> None:
    from starlette.requests import HTTPConnection

    scope = {"type": "http", "headers": [(b"x-forwarded-for", b"9.9.9.9")], "client": ("10.0.0.1", 5)}
    assert visitor_of(HTTPConnection(scope)) == "address 10.0.0.1"
    assert visitor_of(HTTPConnection(scope | {"state": {"user": "10.0.0.1"}})) == "login 10.0.0.1"
