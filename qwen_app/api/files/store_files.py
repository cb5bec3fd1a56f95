"""``/v1/vector_stores/{id}/files``: the files of a collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.files.library import Library
from qwen_app.api.files.paging import Page, PageBody
from qwen_app.api.files.vector_stores import ONE_STORE, Deleted, FileId, store_named
from qwen_app.api.protocol.request_bodies import Body
from qwen_app.errors import NotFound
from qwen_app.knowledge.file_store import KeptFile

STORE_FILES = ONE_STORE + "/files"
FileStatus = Literal["in_progress", "completed", "failed", "cancelled"]


class StoreFileRequest(Body):
    refused: ClassVar[Mapping[str, str]] = {
        "attributes": "Searches cannot be narrowed by them: keep files apart in stores of their own.",
    }

    file_id: FileId


class StoreFileBody(BaseModel):
    """Searchable once it is answered. ``usage_bytes`` are the characters of its text."""

    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int
    vector_store_id: str
    status: Literal["completed"] = "completed"
    last_error: None = None
    usage_bytes: int
    attributes: dict[str, str]


class StoreFileList(PageBody):
    data: list[StoreFileBody]


def add_store_file_routes(router: APIRouter, parts: ApiParts, library: Library) -> None:
    guarded, knowledge = Depends(parts.guard), library.knowledge

    async def add(store_id: str, body: StoreFileRequest, context: RequestContext = guarded) -> StoreFileBody:
        """Keep an uploaded file in the collection; one of the same name is replaced."""
        parts.unknown_fields.check(body)
        owner = context.caller.owner
        await store_named(knowledge, owner, store_id)
        document = library.uploaded(owner, body.file_id)
        return _body(await library.collect(owner, store_id, body.file_id, document), store_id)

    async def listed(
        store_id: str,
        filter: Annotated[FileStatus | None, Query(description="all that are kept are completed")] = None,
        page: Page = Depends(),  # noqa: B008
        context: RequestContext = guarded,
    ) -> StoreFileList:
        """The files of the collection, the newest first."""
        await store_named(knowledge, context.caller.owner, store_id)
        kept = await knowledge.files(context.caller.owner, store_id) if filter in (None, "completed") else ()
        return StoreFileList.of([_body(file, store_id) for file in kept], page)

    async def found(owner: str, store_id: str, file_id: str, name: str = "") -> KeptFile:
        """The file of the store with this id or ``name``."""
        await store_named(knowledge, owner, store_id)
        for file in await knowledge.files(owner, store_id):
            if file.id == file_id or file.name == name:
                return file
        raise NotFound("There is no file with this id in the vector store.", param="file_id")

    async def one(store_id: str, file_id: str, context: RequestContext = guarded) -> StoreFileBody:
        """A file of the collection. Clients ask after what they added by the id of the upload, which finds it too."""
        owner = context.caller.owner
        uploaded = library.documents.find(owner, file_id)
        return _body(await found(owner, store_id, file_id, uploaded.name if uploaded else ""), store_id)

    async def remove(store_id: str, file_id: str, context: RequestContext = guarded) -> Deleted:
        """Forget a file of the collection, by the id that it has there."""
        file = await found(context.caller.owner, store_id, file_id)
        await knowledge.remove(context.caller.owner, [file.id])
        return Deleted(id=file_id, object="vector_store.file.deleted")

    router.add_api_route(STORE_FILES, add, methods=["POST"], tags=["files"])
    router.add_api_route(STORE_FILES, listed, methods=["GET"], tags=["files"])
    router.add_api_route(STORE_FILES + "/{file_id}", one, methods=["GET"], tags=["files"])
    router.add_api_route(STORE_FILES + "/{file_id}", remove, methods=["DELETE"], tags=["files"])


def _body(file: KeptFile, store_id: str) -> StoreFileBody:
    return StoreFileBody(
        id=file.id,
        created_at=int(file.added_at),
        vector_store_id=store_id,
        usage_bytes=file.characters,
        attributes={"filename": file.name},
    )
