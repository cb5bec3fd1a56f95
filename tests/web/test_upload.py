"""The page takes one CSV file of bounded size, and refuses everything else before anything is stored."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import Request

from qwen_app.settings import Settings
from qwen_app.web.upload import UPLOAD_LIMIT_BYTES, UPLOAD_PATH
from tests.web.web_app import bare_app

pytestmark = pytest.mark.anyio

CSV = b"name,price\nlamp,3\n"


async def post(**request: Any) -> httpx.Response:
    app = bare_app(Settings())

    @app.post(UPLOAD_PATH)
    async def store(request: Request) -> dict[str, Any]:
        form = await request.form()
        stored = {str(file.filename): len(await file.read()) for file in form.values() if not isinstance(file, str)}
        await form.close()
        return stored

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:7860") as web:
        return await web.post(UPLOAD_PATH, **request)


async def test_one_csv_passes_whole() -> None:
    response = await post(files={"files": ("prices.CSV", CSV)})
    assert response.json() == {"prices.CSV": len(CSV)}


async def test_the_largest_file_passes() -> None:
    response = await post(files={"files": ("a.csv", b"x" * UPLOAD_LIMIT_BYTES)})
    assert response.json() == {"a.csv": UPLOAD_LIMIT_BYTES}


@pytest.mark.parametrize(
    "request_",
    [
        {"files": {"files": ("page.html", CSV)}},
        {"files": {"files": ("a.csv.exe", CSV)}},
        {"files": {"files": ("", CSV)}},
        {"files": [("files", ("a.csv", CSV)), ("files", ("b.csv", CSV))]},
        {"files": {"files": ("a.csv", CSV)}, "data": {"more": "text"}},
        {"data": {"files": "a.csv"}},
        {"content": CSV, "headers": {"content-type": "text/csv"}},
        {"content": b"--x\r\nbroken", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": b"broken", "headers": {"content-type": "multipart/form-data"}},
        {"content": b""},
    ],
)
async def test_everything_else_is_refused(request_: dict[str, Any]) -> None:
    response = await post(**request_)
    assert response.status_code == 400
    assert "CSV" in response.json()["detail"] or ".csv" in response.json()["detail"]


async def test_larger_files_are_refused() -> None:
    response = await post(files={"files": ("a.csv", b"x" * (UPLOAD_LIMIT_BYTES + 8192))})
    assert response.status_code == 413
    assert "2 MiB" in response.json()["detail"]
