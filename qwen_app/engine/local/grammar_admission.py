"""Grammars before their requests: tried in the sandbox, compiled aside, within a deadline.

A schema that takes long, or for ever, costs its own request and nobody else's: prompts are encoded on other threads.
"""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from transformers import PreTrainedTokenizerBase

from qwen_app.engine.local.request_threads import RequestThreads, outcome_of
from qwen_app.errors import OverBudget
from qwen_app.messages import GenerationRequest
from qwen_app.sandbox.checks import Checks, checks
from qwen_app.structured.grammars.compiler import GrammarCompiler
from qwen_app.structured.grammars.grammar import Grammar

THREADS = 2
# A grammar over a model's whole vocabulary takes longer than its trial over bytes, and several times as long where
# others have the processor meanwhile.
DEADLINE_S = 15.0


class GrammarAdmission:
    """Compiles the grammar of a request into ``compiler``'s cache, where the request processor finds it."""

    def __init__(self, compiler: GrammarCompiler, checks: Checks, *, deadline_s: float = DEADLINE_S) -> None:
        self.compiler = compiler
        self._checks = checks
        self._deadline_s = deadline_s
        self._threads = RequestThreads(THREADS, "grammar-compiler")
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def prepare(self) -> None:
        """See ``GrammarCompiler.prepare``."""
        self.compiler.prepare()

    async def admit(self, request: GenerationRequest) -> None:
        """Raises SchemaError for what cannot be enforced, OverBudget for what takes too long to compile, and
        EngineUnavailable where a drain comes first."""
        tools = request.tools if request.tool_choice.mode != "none" else ()
        if not tools and request.grammar is None:
            return
        turn = self._turns.setdefault(request.user, asyncio.Lock())
        await turn.acquire()  # one grammar a user at a time, so that nobody holds all threads
        compiling: asyncio.Future[Grammar | None] | None = None
        try:
            await self._checks.check_grammar(request.grammar, tools, request.tool_choice, user=request.user)
            begun = asyncio.Event()
            compiling = self._compile(request, begun)
            await begun.wait()  # to wait for a thread, or for what all grammars share, does not count against it
            async with asyncio.timeout(self._deadline_s):
                await outcome_of(asyncio.shield(compiling))
        except TimeoutError:
            raise OverBudget("time", param="response_format" if request.grammar else "tools") from None
        finally:
            _release_when_done(turn, compiling)

    def _compile(self, request: GenerationRequest, begun: asyncio.Event) -> asyncio.Future[Grammar | None]:
        loop = asyncio.get_running_loop()

        def compile_request() -> Grammar | None:
            self.compiler.prepare()
            loop.call_soon_threadsafe(begun.set)
            return self.compiler.compile_request(request)

        compiling = self._threads.begin(compile_request)
        compiling.add_done_callback(lambda _: begun.set())  # also where it never began
        return compiling

    def close(self) -> None:
        self._threads.close()


def _release_when_done(turn: asyncio.Lock, compiling: asyncio.Future[Grammar | None] | None) -> None:
    """A thread cannot be stopped: whoever no longer waits for his keeps his turn until it is over."""
    if compiling is None:
        turn.release()
        return

    def release(done: asyncio.Future[Grammar | None]) -> None:
        turn.release()
        if not done.cancelled():
            done.exception()  # told to the caller already, or to nobody any more

    compiling.add_done_callback(release)


def sandboxed_admission(
    tokenizer: PreTrainedTokenizerBase, *, vocab_size: int, eos_ids: frozenset[int]
) -> GrammarAdmission:
    """Admission to a new compiler for ``tokenizer``, by this process's own sandbox."""
    return GrammarAdmission(GrammarCompiler(tokenizer, vocab_size=vocab_size, eos_ids=sorted(eos_ids)), checks())
