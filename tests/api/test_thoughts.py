"""What a model behind a remote server thinks, as clients of the chat read it: beside the answer, never in it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from qwen_app.engine.remote import RemoteEngine
from tests.api.serving import running_api
from tests.engine.remote.engines import CHAT, says
from tests.engine.remote.vllm_like import VllmLike, piece

CHUNKS = (
    piece("", delta={"role": "assistant", "content": None, "reasoning_content": "Let me "}),
    piece("", delta={"reasoning": "see.", "reasoning_content": "see."}),
    piece("42"),
)


async def chat_over(*chunks: dict[str, Any], finish: str = "stop", **fields: Any) -> Any:
    """The response of a chat whose upstream streams ``chunks``."""
    upstream = VllmLike().upstream()
    upstream.routes[f"POST {CHAT}"] = says(*chunks, piece("", finish=finish), "[DONE]")
    async with upstream.serving():
        with running_api(RemoteEngine(base_url=upstream.base_url)) as api:
            return await asyncio.to_thread(api.chat, **fields)


@pytest.mark.anyio
async def test_thoughts_stand_beside_the_answer() -> None:
    message = (await chat_over(*CHUNKS)).json()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("Let me see.", "42")


@pytest.mark.anyio
async def test_thoughts_are_streamed_as_they_come() -> None:
    response = await chat_over(*CHUNKS, stream=True)
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: {")]
    deltas = [json.loads(line)["choices"][0]["delta"] for line in lines]
    assert [delta["reasoning_content"] for delta in deltas if "reasoning_content" in delta] == ["Let me ", "see."]
    assert "".join(delta.get("content") or "" for delta in deltas) == "42"


@pytest.mark.anyio
async def test_an_answer_without_thoughts_has_no_field_for_them() -> None:
    assert "reasoning_content" not in (await chat_over(piece("42"))).json()["choices"][0]["message"]


@pytest.mark.anyio
async def test_a_limit_that_the_thoughts_took_leaves_an_answer_empty() -> None:
    choice = (await chat_over(*CHUNKS[:2], finish="length")).json()["choices"][0]
    assert (choice["message"]["reasoning_content"], choice["message"]["content"]) == ("Let me see.", "")
    assert choice["finish_reason"] == "length"


@pytest.mark.anyio
async def test_a_limit_that_the_thoughts_took_leaves_no_document() -> None:
    response = await chat_over(*CHUNKS[:2], finish="length", response_format={"type": "json_object"})
    assert response.status_code == 400
    assert "still thinking" in response.json()["error"]["message"]
