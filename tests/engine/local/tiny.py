"""A tiny model that, random as it is, has much to say in plain letters, and engines with their parts in reach."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from qwen_app.engine.local.build import build_local_engine, local_compute_parts
from qwen_app.engine.local.compute.drafts import DraftBudget
from qwen_app.engine.local.compute.model_runner import Runner, ScheduledChunk
from qwen_app.engine.local.compute.prefill_budget import PrefillBudget
from qwen_app.messages import Delta, Event, Prefill
from qwen_app.models.loading.loaded_model import LoadedModel
from qwen_app.models.loading.loader import load

PRINTABLE = range(33, 127)


def load_talkative(folder: Path) -> LoadedModel:
    """The model in ``folder`` with a head that clearly prefers printable ASCII, and attention that decides which."""
    loaded = load(folder, precision="fp32")
    letters = {loaded.tokenizer.convert_tokens_to_ids(chr(code)) for code in PRINTABLE}
    weight = loaded.model.get_output_embeddings().weight
    silent = [token for token in range(weight.shape[0]) if token not in letters]
    with torch.no_grad():
        weight *= 40.0
        weight[silent] = 0.0
        for layer in loaded.model.get_decoder().layers:
            for matrix in (parameter for parameter in layer.parameters() if parameter.dim() == 2):
                matrix *= 6.0  # random weights of the usual size only repeat what came last
    return loaded


class FaultyRunner:
    """A runner that calls ``before`` with the chunks of every step: it may raise, or wait."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.before: Callable[[Sequence[ScheduledChunk]], None] = lambda chunks: None
        self.change: Callable[[torch.Tensor, Sequence[ScheduledChunk]], torch.Tensor] = lambda logits, chunks: logits
        self.computed: list[int] = []
        self.ahead = 0  # steps whose tokens the host did not know

    def forward(self, chunks: Sequence[ScheduledChunk], drawn: torch.Tensor | None = None) -> torch.Tensor:
        self.computed.append(sum(chunk.span.length for chunk in chunks))
        self.ahead += drawn is not None
        if drawn is not None:  # ``before`` and ``change`` see what is computed
            known = zip(chunks, drawn.tolist(), strict=True)
            chunks = [replace(chunk, token_ids=[token_id]) for chunk, token_id in known]
        self.before(chunks)
        return self.change(self._runner.forward(chunks, drawn), chunks)


class OpenEngine:
    """A LocalEngine made of parts that stay in reach. ``runner`` takes faults."""

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        slots: int = 4,
        context_tokens: int = 1024,
        offload_bytes: int | None = None,
        **more: Any,
    ) -> None:
        self.fatal: list[str] = []
        self.parts = local_compute_parts(
            loaded, slots=slots, context_tokens=context_tokens, offload_bytes=offload_bytes
        )
        self.parts.runner = self.runner = FaultyRunner(self.parts.runner)
        self.engine = build_local_engine(
            loaded,
            slots=slots,
            context_tokens=context_tokens,
            parts=self.parts,
            on_fatal=self.fatal.append,
            **more,
        )

    def heal(self) -> None:
        self.runner.before = lambda chunks: None
        self.runner.change = lambda logits, chunks: logits
        self.runner.computed.clear()
        self.runner.ahead = 0
        self.parts.prefill_budget = PrefillBudget()
        self.parts.drafts = DraftBudget()

    def forget(self) -> None:
        """Empty every slot, so that nothing is reused."""
        self.parts.prefix_cache.invalidate()


@asynccontextmanager
async def tiny_engine(folder: Path, **options: Any) -> AsyncGenerator[OpenEngine, None]:
    """An engine that ends with the block."""
    tiny = OpenEngine(load_talkative(folder), **options)
    try:
        yield tiny
    finally:
        tiny.heal()
        await tiny.engine.drain(0.0)


class StepGate:
    """Holds a runner's steps while closed."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self.holding = False

    def __call__(self, chunks: Sequence[ScheduledChunk]) -> None:
        self.holding = not self._open.is_set()
        if not self._open.wait(30):
            raise TimeoutError("the gate was never opened")

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (what is watched lives on another thread)
            await asyncio.sleep(0.005)


def prefills(events: Sequence[Event]) -> list[Prefill]:
    return [event for event in events if isinstance(event, Prefill)]


def ids_of(events: Sequence[Event]) -> list[int]:
    return [token_id for event in events if isinstance(event, Delta) for token_id in event.token_ids]


def reused(events: Sequence[Event]) -> int:
    """Prompt tokens that needed no computing."""
    return prefills(events)[0].reused
