"""The upload of a table: a CSV file, from the socket to the parser as bytes."""

from __future__ import annotations

from urllib.parse import unquote

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from qwen_app.errors import AppError, RequestError
from qwen_app.http.turns import Turnstile
from qwen_app.http.visitors import visitor_of
from qwen_app.sandbox.checks import Checks
from qwen_app.uploads.shown_name import shown_name
from qwen_app.uploads.table_store import LIMIT_BYTES, TOO_LARGE, UPLOAD_PATH, TableInfo, TableStore
from qwen_app.web.uploads.body import NAME_HEADER, read_body


def build_table_upload(tables: TableStore, checks: Checks) -> APIRouter:
    """The route: the file as the body, its name in ``x-file-name``; the answer is ``{"id": ...}`` of the table kept."""
    router = APIRouter(include_in_schema=False)
    turnstile = Turnstile()

    @router.post(UPLOAD_PATH)
    async def take(request: Request) -> JSONResponse:
        try:
            return JSONResponse({"id": (await _take(request, turnstile, tables, checks)).id})
        except AppError as refused:
            return JSONResponse({"detail": refused.message}, refused.http_status)

    return router


async def _take(request: Request, turnstile: Turnstile, tables: TableStore, checks: Checks) -> TableInfo:
    """Raises AppError with a sentence for people."""
    name, user = _file_name(request.headers.get(NAME_HEADER, "")), visitor_of(request)
    async with turnstile.passing(user):
        data = await read_body(request, LIMIT_BYTES, TOO_LARGE)
        try:
            columns, rows = await checks.read_table(data, user=user)
        except ValueError as refused:
            raise RequestError(str(refused)) from refused
        return tables.keep(user, name, data, columns, rows)


def _file_name(header: str) -> str:
    """For show alone. Raises RequestError for what is not named as a CSV file is."""
    name = shown_name(unquote(header, errors="replace"))
    if not name.lower().endswith(".csv"):
        raise RequestError("Only a file whose name ends in .csv can be uploaded.")
    return name
