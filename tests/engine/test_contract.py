"""Every engine under the one contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from qwen_app.engine.remote import RemoteEngine
from qwen_app.engine.scripted import Script, ScriptedEngine
from tests.engine.contract import EngineContract, Make
from tests.engine.upstreams import VllmLike


class TestScriptedEngine(EngineContract):
    @pytest.fixture
    def make(self) -> Make:
        script = Script(text=[f"word{n} " for n in range(500)], token_s=0.002)

        def build(*, slots: int = 2, queue_limit: int = 8, context_tokens: int = 1024) -> ScriptedEngine:
            return ScriptedEngine(script, slots=slots, queue_limit=queue_limit, context_tokens=context_tokens)

        return build


class TestRemoteEngine(EngineContract):
    @pytest.fixture
    async def make(self) -> AsyncIterator[Make]:
        engines: list[RemoteEngine] = []
        async with AsyncExitStack() as servers:
            server = VllmLike()
            upstream = await servers.enter_async_context(server.upstream().serving())

            def build(*, slots: int = 2, queue_limit: int = 8, context_tokens: int = 1024) -> RemoteEngine:
                server.context_tokens = context_tokens
                engines.append(RemoteEngine(base_url=upstream.base_url, slots=slots, queue_limit=queue_limit))
                return engines[-1]

            yield build
            for engine in engines:
                await engine.drain(0.0)
