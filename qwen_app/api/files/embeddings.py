"""``POST /v1/embeddings``: passed through to the embedding server that the settings name."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, StringConstraints, Tag

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.endpoints.completions import BY_PROMPT_KIND, Ids
from qwen_app.api.protocol.request_bodies import AtMost, Body
from qwen_app.errors import NotFound, RequestError
from qwen_app.knowledge.embeddings import Embedded, Embedder, Input, InputRefused

MOST_INPUTS = 2048
MOST_DIMENSIONS = 65_536
OURS = ("default", "")  # names that leave the model to the server's owner
NONE_NAMED = (
    "This server has no model that embeds text. Its owner can name a server that has one by --embeddings-url "
    "(QWEN_EMBEDDINGS_URL)."
)

Text = Annotated[str, StringConstraints(min_length=1)]
InputBody = Annotated[
    Annotated[Text, Tag("text")]
    | Annotated[list[Text], AtMost(MOST_INPUTS), Tag("texts")]
    | Annotated[Ids, Tag("ids")]
    | Annotated[list[Ids], AtMost(MOST_INPUTS), Tag("ids of several")],
    BY_PROMPT_KIND,
]


class EmbeddingsRequest(Body):
    """``model`` is the embedding server's; ``default`` is the one that the settings name."""

    model: str = Field("default", max_length=200)
    input: InputBody
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = Field(None, ge=1, le=MOST_DIMENSIONS)
    user: str | None = None


class EmbeddingBody(BaseModel):
    """``embedding`` is a list of numbers or, as base64, of little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingsBody(BaseModel):
    object: Literal["list"] = "list"
    data: list[EmbeddingBody]
    model: str
    usage: EmbeddingUsage


def add_embedding_routes(router: APIRouter, parts: ApiParts, embedder: Embedder | None) -> None:
    guarded = Depends(parts.guard)

    async def embeddings(body: EmbeddingsRequest, context: RequestContext = guarded) -> EmbeddingsBody:
        """A vector for each input, as the embedding server gives them. Tokens count against the key's limit."""
        parts.unknown_fields.check(body)
        if embedder is None:
            raise NotFound(NONE_NAMED)
        inputs = _inputs(body)
        model = embedder.model if body.model in OURS else body.model
        release, tokens = context.caller.acquire(), 0
        try:
            found = await embedder.embed(inputs, model=model, dimensions=body.dimensions)
            tokens = found.tokens
        except InputRefused as refused:
            raise RequestError(refused.message) from refused
        finally:
            release(tokens)
        return await asyncio.to_thread(_body, found, model, base64_wanted=body.encoding_format == "base64")

    router.add_api_route("/v1/embeddings", embeddings, methods=["POST"], tags=["embeddings"])


def _inputs(body: EmbeddingsRequest) -> list[Input]:
    """Raises RequestError where there is nothing in them."""
    if isinstance(body.input, str):
        return [body.input]
    ids = [one for one in body.input if isinstance(one, int)]
    inputs: list[Input] = [ids] if ids else [one for one in body.input if not isinstance(one, int)]
    if not inputs or not all(inputs):
        raise RequestError("Send at least one text, none of them empty.", param="input")
    return inputs


def _body(found: Embedded, model: str, *, base64_wanted: bool) -> EmbeddingsBody:
    rows = [_base64(vector) if base64_wanted else vector.tolist() for vector in found.vectors]
    return EmbeddingsBody(
        data=[EmbeddingBody(index=index, embedding=row) for index, row in enumerate(rows)],
        model=model,
        usage=EmbeddingUsage(prompt_tokens=found.tokens, total_tokens=found.tokens),
    )


def _base64(vector: np.ndarray) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
