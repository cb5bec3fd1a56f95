"""``POST /v1/vector_stores/{id}/search``: passages with the numbers that answers cite them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.files.vector_stores import ONE_STORE, store_named
from qwen_app.api.protocol.request_bodies import AtMost, Body
from qwen_app.knowledge.knowledge_base import KnowledgeBase
from qwen_app.knowledge.search import FoundPassage

MOST_RESULTS = 50
MOST_QUERIES = 8
Query = Annotated[str, Field(min_length=1, max_length=4_000)]


class SearchRequest(Body):
    """Several queries are searched as one."""

    refused: ClassVar[Mapping[str, str]] = {
        "filters": "Keep what is to be searched apart in a store of its own.",
        "ranking_options": "Results come by rank; take as many as you want with max_num_results.",
    }

    query: Query | Annotated[list[Query], AtMost(MOST_QUERIES)]
    max_num_results: int = Field(10, ge=1, le=MOST_RESULTS)


class SearchContent(BaseModel):
    type: Literal["text"] = "text"
    text: str


class SearchResultBody(BaseModel):
    """A passage. ``attributes`` have its ``number``, for citations such as [1], and its ``place`` in the file, such as
    ``page 3``. ``score`` falls with the rank, and says no more than that."""

    file_id: str
    filename: str
    score: float
    attributes: dict[str, str]
    content: list[SearchContent]


class SearchPage(BaseModel):
    """The best first; all there are."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchResultBody]
    has_more: Literal[False] = False
    next_page: None = None


def add_search_routes(router: APIRouter, parts: ApiParts, knowledge: KnowledgeBase) -> None:
    guarded = Depends(parts.guard)

    async def search(store_id: str, body: SearchRequest, context: RequestContext = guarded) -> SearchPage:
        """The passages that answer the query best; none where nothing in the collection does."""
        parts.unknown_fields.check(body)
        owner = context.caller.owner
        await store_named(knowledge, owner, store_id)
        queries = [body.query] if isinstance(body.query, str) else body.query
        found = (await knowledge.find(owner, store_id, "; ".join(queries), body.max_num_results)).passages
        return SearchPage(search_query=queries, data=[_result(number, one) for number, one in enumerate(found, 1)])

    router.add_api_route(ONE_STORE + "/search", search, methods=["POST"], tags=["files"])


def _result(number: int, one: FoundPassage) -> SearchResultBody:
    return SearchResultBody(
        file_id=one.file_id,
        filename=one.file,
        score=round(1 / number, 4),
        attributes={"number": str(number), "place": one.place.strip("[]"), "title": one.title},
        content=[SearchContent(text=one.text)],
    )
