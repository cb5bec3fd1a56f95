"""``POST /v1/files``: a file to text, which waits in memory for the vector store it is added to."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, UploadFile
from pydantic import BaseModel
from starlette.formparsers import MultiPartParser

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.files.library import Library
from qwen_app.documents.document_store import LIMITS
from qwen_app.documents.refusal import LIMIT_FILE_BYTES, DocumentRefused
from qwen_app.http.middleware import FILE_LIMIT_BYTES

MultiPartParser.spool_max_size = FILE_LIMIT_BYTES  # no file of anybody's is ever written to disk


class FileBody(BaseModel):
    """A file as OpenAI describes it. It is kept until ``expires_at``, or for good once a vector store has it."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


def add_upload_routes(router: APIRouter, parts: ApiParts, library: Library) -> None:
    guarded = Depends(parts.guard.through(library.documents.turnstile))

    async def upload(
        file: UploadFile, purpose: Annotated[str, Form(max_length=64)] = "assistants", context: RequestContext = guarded
    ) -> FileBody:
        """Read a document. What it holds is text from here on: the file itself is not kept."""
        name = file.filename or "document.txt"
        data = await file.read(LIMIT_FILE_BYTES + 1)
        if len(data) > LIMIT_FILE_BYTES:
            raise DocumentRefused("too_large", name=name, limit=str(LIMIT_FILE_BYTES // 2**20))
        owner = context.caller.owner
        kept = library.documents.keep_beside(owner, await library.extraction.read(name, data, user=owner))
        now = int(time.time())
        return FileBody(
            id=kept.id,
            bytes=len(data),
            created_at=now,
            expires_at=now + int(LIMITS.unused_s),
            filename=kept.content.name,
            purpose=purpose,
        )

    router.add_api_route("/v1/files", upload, methods=["POST"], tags=["files"])
