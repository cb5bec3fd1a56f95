"""The upload of a document: a file of any kind, from the socket to a child process as bytes, its text into memory."""

from __future__ import annotations

from urllib.parse import unquote

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from qwen_app.documents.document import Document
from qwen_app.documents.document_store import UPLOAD_PATH, DocumentStore
from qwen_app.documents.extraction import Extraction
from qwen_app.documents.refusal import LIMIT_FILE_BYTES, DocumentRefused
from qwen_app.errors import AppError, TooLarge
from qwen_app.http.visitors import visitor_of
from qwen_app.uploads.shown_name import shown_name
from qwen_app.uploads.upload_store import Upload
from qwen_app.web.uploads.body import NAME_HEADER, read_body


def build_document_upload(documents: DocumentStore, extraction: Extraction) -> APIRouter:
    """The route: the file as the body, its name in ``x-file-name``; the answer is ``{"id": ...}`` of what is kept.

    A file that is refused is answered with ``reason`` and ``values`` beside the sentence, for pages in other languages.
    """
    router = APIRouter(include_in_schema=False)

    @router.post(UPLOAD_PATH)
    async def take(request: Request) -> JSONResponse:
        try:
            return JSONResponse({"id": (await _take(request, documents, extraction)).id})
        except DocumentRefused as refused:
            told = {"detail": refused.message, "reason": refused.reason, "values": refused.values}
            return JSONResponse(told, refused.http_status)
        except AppError as refused:
            return JSONResponse({"detail": refused.message}, refused.http_status)

    return router


async def _take(request: Request, documents: DocumentStore, extraction: Extraction) -> Upload[Document]:
    """Raises AppError with a sentence for people."""
    name, user = shown_name(unquote(request.headers.get(NAME_HEADER, ""), errors="replace")), visitor_of(request)
    async with documents.turnstile.passing(user):
        try:
            data = await read_body(request, LIMIT_FILE_BYTES, "too large")
        except TooLarge as over:
            raise DocumentRefused("too_large", name=name, limit=str(LIMIT_FILE_BYTES // 2**20)) from over
        return documents.keep(user, await extraction.read(name, data, user=user))
