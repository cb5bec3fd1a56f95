"""``GET /v1/models`` and ``GET /v1/models/{id}``."""

from __future__ import annotations

import time
from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.protocol.request_translation import check_model
from qwen_app.engine.base import EngineInfo


class ModelBody(BaseModel):
    """``max_model_len`` is the context in tokens, under the name vLLM gives it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    max_model_len: int


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelBody]


def add_model_routes(router: APIRouter, parts: ApiParts) -> None:
    created = int(time.time())

    async def models() -> ModelList:
        """The model that answers here."""
        return ModelList(data=[describe(parts.service.info(), created)])

    async def model(name: str) -> ModelBody:
        """One model by its id or alias."""
        check_model(name, parts.service.info())
        return describe(parts.service.info(), created)

    guarded = [Depends(parts.guard)]
    router.add_api_route("/v1/models", models, tags=["models"], dependencies=guarded)
    router.add_api_route("/v1/models/{name:any}", model, tags=["models"], dependencies=guarded)


def describe(info: EngineInfo, created: int) -> ModelBody:
    """The model of ``info`` as OpenAI lists models; ``created`` in seconds since 1970."""
    owner = info.model.split("/")[0] if "/" in info.model else "local"
    return ModelBody(id=info.model, created=created, owned_by=owner, max_model_len=info.context_tokens)
