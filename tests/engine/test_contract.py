"""Every engine under the one contract."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, ExitStack

import pytest

from qwen_app.engine.local.build import build_local_engine
from qwen_app.engine.local.engine import LocalEngine
from qwen_app.engine.remote import RemoteEngine
from qwen_app.models.loading.loaded_model import LoadedModel
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.serving import running_api
from tests.engine.contract import EngineContract, Make
from tests.engine.local.tiny import load_talkative
from tests.engine.remote.vllm_like import VllmLike


class TestScriptedEngine(EngineContract):
    @pytest.fixture
    def make(self) -> Make:
        script = Script(text=[f"word{n} " for n in range(500)], token_s=0.002)

        def build(*, slots: int = 2, queue_limit: int = 8, context_tokens: int = 1024) -> ScriptedEngine:
            return ScriptedEngine(script, slots=slots, queue_limit=queue_limit, context_tokens=context_tokens)

        return build


class TestRemoteEngine(EngineContract):
    @pytest.fixture
    async def make(self) -> AsyncGenerator[Make, None]:
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


@pytest.fixture(scope="module", params=["tiny_qwen_dir", "tiny_mistral_dir"])
def loaded(request: pytest.FixtureRequest) -> LoadedModel:
    return load_talkative(request.getfixturevalue(request.param))


class TestRemoteEngineOnThisApp(EngineContract):
    """A second copy of this app as the remote server, over its own API."""

    @pytest.fixture
    async def make(self) -> AsyncGenerator[Make, None]:
        engines: list[RemoteEngine] = []
        script = Script(text=[f"word{n} " for n in range(500)], token_s=0.002)
        with ExitStack() as servers:

            def build(*, slots: int = 2, queue_limit: int = 8, context_tokens: int = 1024) -> RemoteEngine:
                api = servers.enter_context(running_api(ScriptedEngine(script, context_tokens=context_tokens)))
                engines.append(RemoteEngine(base_url=f"{api.url}/v1", slots=slots, queue_limit=queue_limit))
                return engines[-1]

            yield build
            for engine in engines:
                await engine.drain(0.0)


class TestLocalEngine(EngineContract):
    long_tokens = 1500

    @pytest.fixture
    async def make(self, loaded: LoadedModel) -> AsyncGenerator[Make, None]:
        engines: list[LocalEngine] = []

        def build(*, slots: int = 2, queue_limit: int = 8, context_tokens: int = 1024) -> LocalEngine:
            engines.append(
                build_local_engine(loaded, slots=slots, context_tokens=context_tokens, queue_limit=queue_limit)
            )
            return engines[-1]

        yield build
        for engine in engines:
            await engine.drain(0.0)
