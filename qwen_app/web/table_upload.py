"""The one upload the page has: a CSV file, from the socket to the parser as bytes. Nothing becomes a file here."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import unquote

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from qwen_app.errors import AppError, RequestError, TooLarge, TooManyRequests
from qwen_app.http.visitors import visitor_of
from qwen_app.sandbox.checks import Checks
from qwen_app.table_store import LIMIT_BYTES, TOO_LARGE, UPLOAD_PATH, TableInfo, TableStore

NAME_HEADER = "x-file-name"  # percent-encoded UTF-8
LIMIT_NAME_CHARS = 100
LIMIT_S = 60.0  # for a file to come in
AT_ONCE = 8  # files being read, of everybody together
_NOT_IN_NAMES = re.compile(r"[^\w .,()+-]")


def build_table_upload(tables: TableStore, checks: Checks) -> APIRouter:
    """The route: the file as the body, its name in ``x-file-name``; the answer is ``{"id": ...}`` of the table kept."""
    router = APIRouter(include_in_schema=False)
    uploads = _Uploads(tables, checks)

    @router.post(UPLOAD_PATH)
    async def take(request: Request) -> JSONResponse:
        try:
            return JSONResponse({"id": (await uploads.take(request)).id})
        except AppError as refused:
            return JSONResponse({"detail": refused.message}, refused.http_status)

    return router


class _Uploads:
    """One file of a user at a time."""

    def __init__(self, tables: TableStore, checks: Checks) -> None:
        self._tables = tables
        self._checks = checks
        self._reading: set[str] = set()

    async def take(self, request: Request) -> TableInfo:
        """Raises AppError with a sentence for people."""
        name, user = _file_name(request.headers.get(NAME_HEADER, "")), visitor_of(request)
        if user in self._reading or len(self._reading) >= AT_ONCE:
            raise TooManyRequests("Another file is being read. Try again in a few seconds.")
        self._reading.add(user)
        try:
            data = await _body(request)
            try:
                columns, rows = await self._checks.read_table(data, user=user)
            except ValueError as refused:
                raise RequestError(str(refused)) from refused
            return self._tables.keep(user, name, data, columns, rows)
        finally:
            self._reading.discard(user)


def _file_name(header: str) -> str:
    """For show alone. Raises RequestError for what is not named as a CSV file is."""
    name = re.split(r"[/\\]", unquote(header, errors="replace"))[-1].strip()
    if not name.lower().endswith(".csv"):
        raise RequestError("Only a file whose name ends in .csv can be uploaded.")
    return _NOT_IN_NAMES.sub("_", name)[-LIMIT_NAME_CHARS:]


async def _body(request: Request) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and len(announced) < 20 and int(announced) > LIMIT_BYTES:
        raise TooLarge(TOO_LARGE)
    body = bytearray()
    try:
        async with asyncio.timeout(LIMIT_S):
            async for piece in request.stream():
                body += piece
                if len(body) > LIMIT_BYTES:
                    raise TooLarge(TOO_LARGE)
    except TimeoutError:
        raise RequestError("The file took too long to come in. Try again.") from None
    except ClientDisconnect:
        raise RequestError("The upload broke off. Try again.") from None
    return bytes(body)
