"""``GET /v1/models`` and ``GET /v1/models/{id}``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from qwen_app.api.protocol.translate import check_model
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


def describe(info: EngineInfo, created: int) -> ModelBody:
    owner = info.model.split("/")[0] if "/" in info.model else "local"
    return ModelBody(id=info.model, created=created, owned_by=owner, max_model_len=info.context_tokens)


def list_models(info: EngineInfo, created: int) -> ModelList:
    return ModelList(data=[describe(info, created)])


def find_model(name: str, info: EngineInfo, created: int) -> ModelBody:
    """The model called ``name``, its alias included. Raises ModelNotFound."""
    check_model(name, info)
    return describe(info, created)
