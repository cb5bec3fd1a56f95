"""``/v1/vector_stores``: the caller's collections of files, as OpenAI describes vector stores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.files.library import Library
from qwen_app.api.files.paging import Page, PageBody
from qwen_app.api.protocol.request_bodies import Body
from qwen_app.documents.document_store import LIMITS as UPLOADS
from qwen_app.errors import NotFound
from qwen_app.knowledge.file_store import Collection
from qwen_app.knowledge.knowledge_base import KnowledgeBase

STORES = "/v1/vector_stores"
ONE_STORE = STORES + "/{store_id}"
FileId = Annotated[str, Field(min_length=1, max_length=100)]  # that of POST /v1/files
MAX_FILE_IDS = UPLOADS.uploads_per_user  # no more are kept of a caller's


class VectorStoreChange(Body):
    refused: ClassVar[Mapping[str, str]] = {"expires_after": "A store is kept until it is deleted."}

    name: str | None = Field(None, min_length=1, max_length=200)


class VectorStoreRequest(VectorStoreChange):
    """``file_ids`` are kept in it at once."""

    name: str = Field(min_length=1, max_length=200)
    file_ids: list[FileId] | None = Field(None, max_length=MAX_FILE_IDS)


class FileCounts(BaseModel):
    in_progress: int = 0
    completed: int
    failed: int = 0
    cancelled: int = 0
    total: int


class VectorStoreBody(BaseModel):
    """``usage_bytes`` are the characters of its texts."""

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    last_active_at: int
    name: str
    status: Literal["completed"] = "completed"
    usage_bytes: int
    file_counts: FileCounts
    metadata: dict[str, str] = {}


class VectorStoreList(PageBody):
    data: list[VectorStoreBody]


class Deleted(BaseModel):
    id: str
    object: Literal["vector_store.deleted", "vector_store.file.deleted"]
    deleted: Literal[True] = True


def add_vector_store_routes(router: APIRouter, parts: ApiParts, library: Library) -> None:
    guarded, knowledge = Depends(parts.guard), library.knowledge

    async def create(body: VectorStoreRequest, context: RequestContext = guarded) -> VectorStoreBody:
        """A collection of this name, made where there is none yet, with uploaded files."""
        parts.unknown_fields.check(body)
        owner = context.caller.owner
        uploaded = [(file_id, library.uploaded(owner, file_id)) for file_id in body.file_ids or ()]
        store_id = await knowledge.create(owner, body.name)
        for file_id, document in uploaded:
            await library.collect(owner, store_id, file_id, document)
        return vector_store_body(await store_named(knowledge, owner, store_id))

    async def change(store_id: str, body: VectorStoreChange, context: RequestContext = guarded) -> VectorStoreBody:
        """Give a collection another name."""
        parts.unknown_fields.check(body)
        owner = context.caller.owner
        await store_named(knowledge, owner, store_id)
        if body.name is not None:
            await knowledge.rename(owner, store_id, body.name)
        return vector_store_body(await store_named(knowledge, owner, store_id))

    async def listed(page: Page = Depends(), context: RequestContext = guarded) -> VectorStoreList:  # noqa: B008
        """The caller's collections, the newest first."""
        every = [vector_store_body(one) for one in await knowledge.described(context.caller.owner)]
        return VectorStoreList.of(every, page)

    async def one(store_id: str, context: RequestContext = guarded) -> VectorStoreBody:
        """One of the caller's collections."""
        return vector_store_body(await store_named(knowledge, context.caller.owner, store_id))

    async def delete(store_id: str, context: RequestContext = guarded) -> Deleted:
        """Forget a collection and all its files."""
        await store_named(knowledge, context.caller.owner, store_id)
        await knowledge.drop(context.caller.owner, store_id)
        return Deleted(id=store_id, object="vector_store.deleted")

    router.add_api_route(STORES, create, methods=["POST"], tags=["files"])
    router.add_api_route(STORES, listed, methods=["GET"], tags=["files"])
    router.add_api_route(ONE_STORE, one, methods=["GET"], tags=["files"])
    router.add_api_route(ONE_STORE, change, methods=["POST"], tags=["files"])
    router.add_api_route(ONE_STORE, delete, methods=["DELETE"], tags=["files"])


async def store_named(knowledge: KnowledgeBase, owner: str, store_id: str) -> Collection:
    """The owner's collection with this id. Raises NotFound where he has none."""
    for one in await knowledge.described(owner):
        if one.id == store_id:
            return one
    raise NotFound("There is no vector store of yours with this id.", param="vector_store_id")


def vector_store_body(collection: Collection) -> VectorStoreBody:
    created = int(collection.created_at)
    return VectorStoreBody(
        id=collection.id,
        created_at=created,
        last_active_at=created,
        name=collection.name,
        usage_bytes=collection.characters,
        file_counts=FileCounts(completed=collection.files, total=collection.files),
    )
