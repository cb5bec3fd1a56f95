"""The openai SDK against a server under test, and the check that a body fits the SDK's own types exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
from pydantic import BaseModel, ConfigDict, TypeAdapter

from tests.api.serving import Api

MESSAGES: list[Any] = [{"role": "user", "content": "Hi"}]


@contextmanager
def sdk(api: Api, **options: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{api.url}/v1", api_key="none", max_retries=0, **options) as client:
        yield client


def strictly(kind: Any, body: Any) -> Any:
    """``body``, a JSON value, as the SDK's type ``kind``; raises where a field is missing or of the wrong type."""
    adapter = (
        TypeAdapter(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        else TypeAdapter(kind, config=ConfigDict(strict=True))
    )
    return adapter.validate_json(json.dumps(body), strict=True)


def events_of(response: httpx.Response) -> list[Any]:
    """The JSON values of a body of server-sent events, up to ``[DONE]``, which has to come last."""
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = [block for block in response.text.split("\n\n") if block and not block.startswith(":")]
    data = [line.removeprefix("data: ") for block in blocks for line in block.split("\n") if line.startswith("data: ")]
    assert data.count("[DONE]") <= 1
    if "[DONE]" in data:
        assert data[-1] == "[DONE]"
    return [json.loads(one) for one in data if one != "[DONE]"]
