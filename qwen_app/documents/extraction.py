"""A file's bytes to a document, read in a child process with limits of CPU, memory and time."""

from __future__ import annotations

import asyncio
import base64
from functools import cache

from pydantic import JsonValue

from qwen_app.documents.document import Document, read_document_json
from qwen_app.documents.refusal import LIMIT_FILE_BYTES, DocumentRefused, RefusalReason
from qwen_app.errors import OverBudget
from qwen_app.sandbox.pool import Limits, Sandbox
from qwen_app.uploads.shown_name import shown_name

TASKS = "qwen_app.documents.readers.tasks"
WORKERS = 2  # children of their own, so that nobody's grammar waits for somebody's book
READING = Limits(cpu_s=25.0, memory_bytes=768 * 2**20, output_bytes=48 * 2**20)


class Extraction:
    """Reads files in the children of ``pool``."""

    def __init__(self, pool: Sandbox) -> None:
        self._pool = pool

    async def read(self, name: str, data: bytes, *, user: str) -> Document:
        """The document that ``data`` is. One file of a ``user`` is read at a time; others of his wait.

        Raises DocumentRefused with a sentence for people, TooManyRequests when too much waits already, and
        EngineUnavailable when no child can be started.
        """
        name = shown_name(name)
        if len(data) > LIMIT_FILE_BYTES:
            raise DocumentRefused("too_large", name=name, limit=str(LIMIT_FILE_BYTES // 2**20))
        payload: JsonValue = await asyncio.to_thread(_payload, name, data)
        try:
            found = await self._pool.run("read_document", payload, user=user, limits=READING)
        except OverBudget as over:
            raise DocumentRefused("too_costly", name=name) from over
        return await asyncio.to_thread(_document, found)


@cache
def extraction() -> Extraction:
    """On the process's own children, which start at the first file."""
    return Extraction(Sandbox(WORKERS, TASKS))


def _payload(name: str, data: bytes) -> JsonValue:
    return {"name": name, "data": base64.b64encode(data).decode()}


def _document(found: JsonValue) -> Document:
    told = found if isinstance(found, dict) else {}
    if "document" in told:
        return read_document_json(told["document"])
    reason: RefusalReason = told["reason"]  # type: ignore[assignment] # our own child's word
    values = told["values"]
    raise DocumentRefused(reason, **{key: str(value) for key, value in dict(values).items()})  # type: ignore[arg-type]
