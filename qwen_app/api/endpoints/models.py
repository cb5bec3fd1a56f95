"""``GET /v1/models`` and ``GET /v1/models/{id}``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.protocol.request_translation import check_model
from qwen_app.engine.base import EngineInfo
from qwen_app.errors import NotFound


class ModelBody(BaseModel):
    """A model as OpenAI and as Anthropic list it, in one: their names do not meet.

    The context in tokens has all the names that clients look for: vLLM's ``max_model_len``, the hubs'
    ``context_length``, llama.cpp's in ``meta`` and Anthropic's ``max_input_tokens``.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    max_model_len: int
    context_length: int
    meta: dict[str, int]

    type: Literal["model"] = "model"
    display_name: str
    created_at: str
    max_input_tokens: int
    max_tokens: int
    lifecycle: Literal["active"] = "active"


class ModelList(BaseModel):
    """All there are: no page follows."""

    object: Literal["list"] = "list"
    data: list[ModelBody]
    has_more: Literal[False] = False
    first_id: str
    last_id: str


def add_model_routes(router: APIRouter, parts: ApiParts) -> None:
    created = int(time.time())

    async def models() -> ModelList:
        """The model that answers here, under each of its names."""
        info = parts.service.info()
        names = dict.fromkeys((info.model, *info.aliases))
        data = [describe(info, created, name) for name in names]
        return ModelList(data=data, first_id=data[0].id, last_id=data[-1].id)

    async def model(name: str) -> ModelBody:
        """One model by its id or alias."""
        info = parts.service.info()
        if not name:
            raise NotFound("There is nothing at /v1/models/. Leave out the slash at its end.")
        check_model(name, info)
        return describe(info, created, name if name in info.aliases else info.model)

    guarded = [Depends(parts.guard)]
    router.add_api_route("/v1/models", models, tags=["models"], dependencies=guarded)
    router.add_api_route("/v1/models/{name:any}", model, tags=["models"], dependencies=guarded)


def describe(info: EngineInfo, created: int, name: str) -> ModelBody:
    """The model of ``info`` under one of its names; ``created`` in seconds since 1970."""
    return ModelBody(
        id=name,
        created=created,
        owned_by=info.model.split("/")[0] if "/" in info.model else "local",
        max_model_len=info.context_tokens,
        context_length=info.context_tokens,
        meta={"n_ctx_train": info.context_tokens},
        display_name=info.model,
        created_at=datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        max_input_tokens=info.context_tokens,
        max_tokens=info.context_tokens,
    )
