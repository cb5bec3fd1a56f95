"""The anthropic SDK against a server under test, and what streams of Anthropic's kind say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from tests.api.serving import Api

if TYPE_CHECKING:
    import anthropic  # takes seconds: only the slow tests do that

MESSAGES = "/v1/messages"
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@contextmanager
def claude_sdk(api: Api, **options: Any) -> Iterator[anthropic.Anthropic]:
    import anthropic

    with anthropic.Anthropic(**{"base_url": api.url, "max_retries": 0, "api_key": "none", **options}) as client:
        yield client


def ask(content: Any = "Hi", **fields: Any) -> dict[str, Any]:
    """A body, and the keywords of the SDK."""
    return {"model": "default", "max_tokens": 50, "messages": [{"role": "user", "content": content}], **fields}


def named_events(response: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    """Name and data of every event of a stream; the name is the data's ``type`` too."""
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.split("\n\n"):
        if block:
            name, data = block.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    assert all(data["type"] == name for name, data in found)
    return found
