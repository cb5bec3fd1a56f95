"""The page takes one document at a time as bytes, and answers what it refuses with a reason and a sentence."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import httpx
import pytest

from qwen_app.documents.document_store import UPLOAD_PATH, DocumentStore
from qwen_app.documents.extraction import extraction
from qwen_app.http.addresses import THIS_MACHINE
from qwen_app.settings import Settings
from qwen_app.web.uploads.document_upload import build_document_upload
from tests.documents import files
from tests.web.web_app import bare_app

pytestmark = pytest.mark.anyio
HERE = f"address {THIS_MACHINE}"


def uploading(documents: DocumentStore) -> httpx.AsyncClient:
    app = bare_app(Settings())
    app.include_router(build_document_upload(documents, extraction()))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:7860", timeout=60)


async def test_a_document_is_kept_for_its_user() -> None:
    documents = DocumentStore()
    async with uploading(documents) as web:
        headers = {"x-file-name": quote("合同.pdf")}
        response = await web.post(UPLOAD_PATH, content=files.pdf(["Pay in May."]), headers=headers)
    document = documents.find(HERE, response.json()["id"])
    assert document is not None
    assert (document.name, document.pages) == ("合同.pdf", 1)


async def test_a_refusal_names_its_reason() -> None:
    async with uploading(DocumentStore()) as web:
        response = await web.post(UPLOAD_PATH, content=b"", headers={"x-file-name": "a.txt"})
        told = {"detail": "a.txt is empty: it has 0 bytes.", "reason": "empty", "values": {"name": "a.txt"}}
        assert (response.status_code, response.json()) == (400, told)
        huge = await web.post(UPLOAD_PATH, content=bytes(33 * 2**20 - 1), headers={"x-file-name": "a.txt"})
        assert huge.json()["reason"] == "too_large"


async def test_a_second_file_at_the_same_time_waits_outside() -> None:
    async with uploading(DocumentStore()) as web:
        posts = [web.post(UPLOAD_PATH, content=b"words", headers={"x-file-name": "a.txt"}) for _ in range(2)]
        assert sorted(one.status_code for one in await asyncio.gather(*posts)) == [200, 429]
