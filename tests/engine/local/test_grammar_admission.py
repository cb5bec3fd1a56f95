"""Grammars are compiled aside, one a user, within a deadline; who takes longer waits for himself alone."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from qwen_app.engine.local.grammar_admission import THREADS, GrammarAdmission
from qwen_app.errors import OverBudget, SchemaError
from qwen_app.messages import GenerationRequest, GrammarSpec, JsonObject, JsonSchema
from qwen_app.sandbox.checks import checks
from qwen_app.structured.grammars.compiler import GrammarCompiler
from qwen_app.structured.grammars.grammar import Grammar
from tests.tiny_qwen import PADDED_VOCABULARY

pytestmark = pytest.mark.anyio
SLOW = JsonSchema({"type": "object", "title": "slow"})
SHORT_S = 1.0
SECOND = JsonSchema({"type": "object", "title": "second"})


class HeldCompiler(GrammarCompiler):
    """Holds the schema SLOW back until it is let go."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer, vocab_size=PADDED_VOCABULARY, eos_ids=[tokenizer.get_vocab()["<|im_end|>"]])
        self.let_go = threading.Event()
        self.compiled: list[GrammarSpec] = []

    def compile(self, spec: GrammarSpec) -> Grammar:
        if spec == SLOW:
            self.let_go.wait(30)
        self.compiled.append(spec)
        return super().compile(spec)


@pytest.fixture
def compiler(tiny_qwen_dir: Path) -> HeldCompiler:
    return HeldCompiler(Tokenizer.from_file(str(tiny_qwen_dir / "tokenizer.json")))


def ask(user: str, grammar: GrammarSpec) -> GenerationRequest:
    return GenerationRequest("r", user=user, grammar=grammar)


async def test_what_cannot_be_enforced_is_refused_before_it_is_compiled_here(compiler: HeldCompiler) -> None:
    admission = GrammarAdmission(compiler, checks())
    with pytest.raises(SchemaError):
        await admission.admit(ask("ada", JsonSchema({"type": "string", "pattern": "(?=a)b"})))
    assert compiler.compiled == []
    admission.close()


@pytest.mark.slow
async def test_who_takes_too_long_is_refused_and_holds_nobody_up(compiler: HeldCompiler) -> None:
    admission = GrammarAdmission(compiler, checks(), deadline_s=SHORT_S)
    try:
        with pytest.raises(OverBudget):
            await admission.admit(ask("mallory", SLOW))
        again = asyncio.create_task(admission.admit(ask("mallory", SECOND)))
        await admission.admit(ask("ada", JsonObject()))
        await admission.admit(ask("ada", JsonObject()))  # behind whatever waited for the other thread by now
        assert SECOND not in compiler.compiled  # his thread still works for him
        assert not again.done()
        compiler.let_go.set()
        await again
        assert SLOW in compiler.compiled
    finally:
        compiler.let_go.set()
        admission.close()


async def test_what_all_grammars_share_is_no_time_of_the_first_one(
    compiler: HeldCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, waits_s = compiler.prepare, iter([SHORT_S])

    def prepare_slowly() -> None:
        prepare()
        time.sleep(next(waits_s, 0))

    monkeypatch.setattr(compiler, "prepare", prepare_slowly)
    admission = GrammarAdmission(compiler, checks(), deadline_s=SHORT_S)
    await admission.admit(ask("ada", JsonObject()))
    admission.close()


@pytest.mark.slow
async def test_waiting_for_others_is_no_time_of_ones_own(compiler: HeldCompiler) -> None:
    admission = GrammarAdmission(compiler, checks(), deadline_s=SHORT_S)
    try:
        others = [asyncio.create_task(admission.admit(ask(f"mallory {n}", SLOW))) for n in range(THREADS)]
        for refused in await asyncio.gather(*others, return_exceptions=True):
            assert isinstance(refused, OverBudget)
        waiting = asyncio.create_task(admission.admit(ask("ada", JsonObject())))
        await asyncio.wait({waiting}, timeout=1.5)  # longer than the deadline, and both threads still work
        assert not waiting.done()
        compiler.let_go.set()
        await waiting
    finally:
        compiler.let_go.set()
        admission.close()
