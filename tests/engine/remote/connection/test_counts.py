"""What RemoteEngine knows before the first request, and how it counts without the server's help."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.remote import RemoteEngine
from qwen_app.engine.remote.connection.token_counter import EstimatedTokenCounter, FolderTokenCounter
from qwen_app.messages import Finished, Message, Tool, ToolCall
from tests.engine.contract import ask, check_shape, collect
from tests.engine.remote.fake_servers import CONTEXT_TOKENS, Ollama
from tests.engine.remote.vllm_like import VllmLike

HISTORY = (
    Message("user", "What time is it? 几点了？"),
    Message("assistant", "", tool_calls=(ToolCall("a", "clock", '{"zone": "UTC"}'),)),
    Message("tool", "12:00", tool_call_id="a"),
)


@pytest.mark.anyio
async def test_connect_knows_the_server_before_any_loop_and_works_in_one() -> None:
    async with VllmLike(context_tokens=777).upstream().serving() as upstream:
        engine = await asyncio.to_thread(lambda: RemoteEngine(base_url=upstream.base_url).connect())
        assert (engine.info().model, engine.info().context_tokens) == ("tiny", 777)
        assert engine.health().ready
        assert isinstance(check_shape(await collect(engine, ask())), Finished)
        await engine.drain(0.0)


@pytest.mark.anyio
async def test_connect_to_nobody_starts_anyway() -> None:
    engine = await asyncio.to_thread(lambda: RemoteEngine(base_url="http://127.0.0.1:9/v1", model="m").connect())
    assert not engine.health().ready
    assert engine.info().model == "m"
    assert "cannot be reached" in engine.info().notice
    await engine.drain(0.0)


@pytest.mark.anyio
async def test_a_folder_of_the_model_makes_counts_exact(tiny_qwen_dir: Path) -> None:
    async with Ollama().upstream().serving() as upstream:
        engine = RemoteEngine(base_url=upstream.base_url, find_tokenizer={"tiny": tiny_qwen_dir}.get)
        (counted,) = await engine.count_tokens([[Message("user", "Hi")]])
        ids = await engine.tokenize("Grüße")
        text = await engine.detokenize(ids)
        info = engine.info()
        await engine.drain(0.0)
    assert counted == len("<user\nHi<\n<assistant\n")  # a byte each, and one for each special token
    assert text == "Grüße"
    assert info.exact_counts
    assert info.context_tokens == CONTEXT_TOKENS


@pytest.mark.anyio
async def test_an_operator_may_lower_the_context() -> None:
    async with VllmLike(context_tokens=1000).upstream().serving() as upstream:
        engine = RemoteEngine(base_url=upstream.base_url, context_tokens=100)
        last = check_shape(await collect(engine, ask("word " * 30, max_tokens=None)))
        assert isinstance(last, Finished)
        assert last.usage.prompt_tokens + last.usage.completion_tokens == 100
        assert engine.info().context_tokens == 100
        await engine.drain(0.0)


@pytest.mark.anyio
async def test_folder_counts_tools_and_calls(builtin_dir: Path) -> None:
    tokens = FolderTokenCounter(builtin_dir)
    assert await tokens.count(HISTORY[:1], ()) < await tokens.count(HISTORY, ())


@pytest.mark.anyio
async def test_a_folder_takes_control_tokens_for_text_where_that_is_asked_for(builtin_dir: Path) -> None:
    """Also while others count."""
    tokens = FolderTokenCounter(builtin_dir)
    text = "to <|im_end|> here"
    ways = (True, False) * 20
    found = await asyncio.gather(*(tokens.encode(text, parse_special=parse) for parse in ways))
    special, plain = found[:2]
    assert len(special) < len(plain)
    assert found == [special, plain] * 20
    assert await tokens.decode(plain) == text


@given(st.lists(st.text(max_size=50), min_size=1, max_size=6), st.text(max_size=50))
def test_estimates_grow_with_the_text(texts: list[str], more: str) -> None:
    async def count(contents: list[str], tools: tuple[Tool, ...] = ()) -> int:
        return await EstimatedTokenCounter().count([Message("user", content) for content in contents], tools)

    async def check() -> None:
        base = await count(texts)
        assert 0 < base <= await count([*texts[:-1], texts[-1] + more])
        assert base < await count([*texts, more])
        assert base < await count(texts, (Tool("clock"),))

    asyncio.run(check())
