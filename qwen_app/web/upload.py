"""The one upload the page has: a single CSV file of bounded size. Read and checked before Gradio stores anything."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Message, Receive, Scope

from qwen_app.errors import RequestError, TooLarge

UPLOAD_PATH = "/gradio_api/upload"
UPLOAD_LIMIT_BYTES = 2 * 2**20
_FORM_BYTES = 4096  # what the form adds to the file


async def only_one_csv(scope: Scope, receive: Receive) -> Receive:
    """The same request, once its body was read and found to hold one CSV file. Raises RequestError otherwise."""
    body = await _read(receive)
    headers = Headers(scope=scope)
    if not headers.get("content-type", "").startswith("multipart/form-data"):
        raise RequestError("An upload must be a form with one CSV file.")

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    try:
        form = await MultiPartParser(headers, stream(), max_files=1, max_fields=0).parse()
    except (MultiPartException, HTTPException, KeyError) as error:
        raise RequestError("An upload must be a form with one CSV file.") from error
    names = [file.filename or "" for _, file in form.multi_items() if isinstance(file, UploadFile)]
    await form.close()
    if [name.lower().endswith(".csv") for name in names] != [True]:
        raise RequestError("Only a file whose name ends in .csv can be uploaded, one at a time.")
    return _replay(body)


async def _read(receive: Receive) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError("The upload broke off. Try again.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > UPLOAD_LIMIT_BYTES + _FORM_BYTES:
            raise TooLarge(f"The file is over the limit of {UPLOAD_LIMIT_BYTES // 2**20} MiB. Upload a smaller one.")
    return bytes(body)


def _replay(body: bytes) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    return receive
