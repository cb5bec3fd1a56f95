"""Every engine under the one contract."""

from __future__ import annotations

import pytest

from qwen_app.engine.scripted import Script, ScriptedEngine
from tests.engine.contract import EngineContract, Make


class TestScriptedEngine(EngineContract):
    @pytest.fixture
    def make(self) -> Make:
        script = Script(text=[f"word{n} " for n in range(500)], token_s=0.002)

        def build(*, slots: int = 2, queue_limit: int = 8, context_tokens: int = 1024) -> ScriptedEngine:
            return ScriptedEngine(script, slots=slots, queue_limit=queue_limit, context_tokens=context_tokens)

        return build
