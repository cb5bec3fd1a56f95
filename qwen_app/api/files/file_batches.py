"""``/v1/vector_stores/{id}/file_batches``: several uploaded files kept in a collection by one request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.files.library import Library
from qwen_app.api.files.store_files import StoreFileRequest
from qwen_app.api.files.vector_stores import MAX_FILE_IDS, ONE_STORE, FileId, store_named
from qwen_app.api.protocol.request_bodies import Body, Part
from qwen_app.errors import NotFound, RequestError
from qwen_app.uploads.upload_store import UploadLimits, UploadStore

FILE_BATCHES = ONE_STORE + "/file_batches"
LIMITS = UploadLimits(uploads_per_user=64, size_per_user=64, size_in_all=4096, unused_s=3600.0)  # each of size 1


class BatchFile(Part):
    file_id: FileId


class FileBatchRequest(Body):
    """The files by their ids, or as objects that hold them."""

    refused: ClassVar[Mapping[str, str]] = {
        place + name: instead for name, instead in StoreFileRequest.refused.items() for place in ("", "files.")
    }

    file_ids: list[FileId] | None = Field(None, min_length=1, max_length=MAX_FILE_IDS)
    files: list[BatchFile] | None = Field(None, min_length=1, max_length=MAX_FILE_IDS)

    def ids(self) -> list[FileId]:
        """Raises RequestError unless they are named in one of the two ways."""
        if (self.file_ids is None) == (self.files is None):
            raise RequestError("Name the files in file_ids or in files.", param="file_ids")
        return self.file_ids if self.file_ids is not None else [file.file_id for file in self.files or ()]


class BatchCounts(BaseModel):
    """``failed`` are uploads that are kept no longer, or never were."""

    in_progress: int = 0
    completed: int
    failed: int
    cancelled: int = 0
    total: int


class FileBatchBody(BaseModel):
    """Done once it is answered: the files that it counts as completed can be searched."""

    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: Literal["completed"] = "completed"
    file_counts: BatchCounts


def add_file_batch_routes(router: APIRouter, parts: ApiParts, library: Library) -> None:
    guarded, knowledge = Depends(parts.guard), library.knowledge
    batches: UploadStore[FileBatchBody] = UploadStore(
        LIMITS,
        lambda batch: 1,
        refusal="The server keeps as many batches as it can just now. Add the files one by one.",
        refusal_to_guests="All guests together keep as many batches as they may. Add the files one by one.",
    )

    async def add(store_id: str, body: FileBatchRequest, context: RequestContext = guarded) -> FileBatchBody:
        """Keep uploaded files in the collection, each in the place of one of its name."""
        parts.unknown_fields.check(body)
        owner = context.caller.owner
        await store_named(knowledge, owner, store_id)
        completed, file_ids = 0, body.ids()
        for file_id in file_ids:
            document = library.documents.find(owner, file_id)
            if document is not None:
                await library.collect(owner, store_id, file_id, document)
                completed += 1
        total = len(file_ids)
        counts = BatchCounts(completed=completed, failed=total - completed, total=total)
        batch = FileBatchBody(id="", created_at=int(time.time()), vector_store_id=store_id, file_counts=counts)
        return batch.model_copy(update={"id": batches.keep(owner, batch).id})

    async def one(store_id: str, batch_id: str, context: RequestContext = guarded) -> FileBatchBody:
        """What became of a batch, for an hour."""
        batch = batches.peek(context.caller.owner, batch_id)
        if batch is None or batch.vector_store_id != store_id:
            raise NotFound("There is no batch with this id, or it is kept no longer.", param="batch_id")
        return batch.model_copy(update={"id": batch_id})

    router.add_api_route(FILE_BATCHES, add, methods=["POST"], tags=["files"])
    router.add_api_route(FILE_BATCHES + "/{batch_id}", one, methods=["GET"], tags=["files"])
