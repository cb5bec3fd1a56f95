"""The engine whole, with Qwen's vocabulary: memory, start, users, faults, and a device that does not answer."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import torch

from bench.contenders import STORY, Ours, total_speed
from bench.engine import cancel_latency, disturbed, first_token, json_mode
from bench.gpu.http_check import over_http
from bench.gpu.models import SEVEN_B, loaded_model
from bench.gpu.options import Options
from bench.gpu.rows import Rows
from bench.report import Report
from qwen_app.engine.local.build import build_local_engine, local_compute_parts
from qwen_app.engine.local.compute.drafts import DraftBudget
from qwen_app.engine.local.compute.model_runner import Runner, ScheduledChunk
from qwen_app.messages import TokenLogprob
from qwen_app.models.device import Device
from qwen_app.models.dims import dims_from_config
from qwen_app.models.loading.loaded_model import LoadedModel
from qwen_app.models.memory_plan import estimate

SLOTS, CONTEXT, CONTEXT_TINY = 8, 8192, 600
TOKENS, TOKENS_TINY = 160, 12
PLANNED = {"nf4": "4bit"}  # what the plan calls it
PLAN_TOLERANCE = 0.03
HANG_WATCHDOG_S, HANG_CYCLES = 2.0, 12_000_000_000  # six seconds and more of a card's clock
LEFT_BYTES = 30e6
ALL_CAME_S = 0.3
NEAR_TIE = 0.5  # of two log-probabilities in 16 bits: by chance, five of 150,000 tokens are so near the best


class Watched:
    """A runner that calls ``before`` in every step: it may raise, or wait."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.before: Callable[[Sequence[ScheduledChunk]], None] = lambda chunks: None
        self.ahead = 0  # steps whose tokens the host did not know
        self.waits: list[str] = []  # what made the host wait for the device while it launched one of them

    def forward(self, chunks: Sequence[ScheduledChunk], drawn: torch.Tensor | None = None) -> torch.Tensor:
        self.before(chunks)
        if drawn is None:
            return self._runner.forward(chunks)
        self.ahead += 1
        with _waits_noted(self.waits):
            return self._runner.forward(chunks, drawn)


@contextmanager
def _waits_noted(waits: list[str]) -> Iterator[None]:
    """torch warns of each of its own calls that waits for the device."""
    if not torch.cuda.is_available():
        yield
        return
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits += [str(one.message) for one in warned if "called a synchronizing" in str(one.message)]


class WatchedEngine(Ours):
    """The engine with its runner in reach."""

    def __init__(self, loaded: LoadedModel, *, slots: int, context_tokens: int, watchdog_s: float = 30.0) -> None:
        self.parts = parts = local_compute_parts(loaded, slots=slots, context_tokens=context_tokens)
        parts.runner = self.runner = Watched(parts.runner)
        self.fatal: list[str] = []
        self.serve(
            lambda: build_local_engine(
                loaded,
                slots=slots,
                context_tokens=context_tokens,
                parts=parts,
                watchdog_s=watchdog_s,
                on_fatal=self.fatal.append,
            )
        )


def engine(rows: Rows, options: Options) -> None:
    for precision in options.precisions:
        if not rows.may_begin(precision):
            return
        with rows.part(precision):
            _of_one_precision(rows, precision, options)


def faults(rows: Rows, precision: str, options: Options) -> None:
    """Users, memory and faults alone: what has to be right before speed counts."""
    _of_one_precision(rows, precision, options, benchmarks=False)


def _of_one_precision(rows: Rows, precision: str, options: Options, *, benchmarks: bool = True) -> None:
    context = CONTEXT_TINY if options.tiny else CONTEXT
    before_bytes = _used_bytes() if options.on_card else 0
    loaded = loaded_model(precision, options)
    started_s = time.perf_counter()
    ours = WatchedEngine(loaded, slots=SLOTS, context_tokens=context)
    rows.add(f"{precision}: start", time.perf_counter() - started_s, "s")
    health = ours.engine.health()
    rows.check(f"{precision}: nothing slows it", not health.reason, said=health.reason)
    checks: dict[str, Callable[[], None]] = {
        "users": lambda: _users(rows, precision, ours, TOKENS_TINY if options.tiny else TOKENS),
        "overlap": lambda: _overlap(rows, precision, ours, TOKENS_TINY if options.tiny else TOKENS),
        "one to blame": lambda: _one_to_blame(rows, precision, ours),
    }
    if options.on_card:
        checks["memory"] = lambda: _memory(rows, precision, loaded, options, before_bytes)
        checks["no memory"] = lambda: _no_memory(rows, precision, ours)
    checks["end"] = ours.close
    if benchmarks:
        checks |= _through_the_benchmarks(rows, precision, loaded, options)
        checks["HTTP"] = lambda: over_http(rows, precision, loaded, context, tiny=options.tiny)
    checks["a device that hangs"] = lambda: _hang(rows, precision, loaded, options)
    for name, check in checks.items():
        if rows.may_begin(f"{precision}: {name}"):
            with rows.part(f"{precision}: {name}"):
                check()


def _through_the_benchmarks(
    rows: Rows, precision: str, loaded: LoadedModel, options: Options
) -> dict[str, Callable[[], None]]:
    """What ``bench.engine`` measures on a CPU, here: its report's rows are written as they come."""
    report = _RowsReport(rows, precision)
    if options.tiny:
        return {"JSON": lambda: json_mode(report, loaded, rounds=1, at_most=1)}
    return {
        "first token": lambda: first_token(report, loaded, lengths=(1500,), rounds=1),
        "gaps beside a prompt": lambda: disturbed(report, loaded, rounds=1),
        "cancel": lambda: cancel_latency(report, loaded),
        "JSON": lambda: json_mode(report, loaded, rounds=1),
    }


class _RowsReport(Report):
    def __init__(self, rows: Rows, precision: str) -> None:
        super().__init__("engine")
        self._to = rows
        self._precision = precision

    def add(self, what: str, contender: str, value: float, unit: str) -> float:
        self._to.add(f"{self._precision}: {what} ({contender})", value, unit)
        return super().add(what, contender, value, unit)

    def ratio(self, name: str, above: float, below: float) -> None:
        super().ratio(name, above, below)
        self._to.add(f"{self._precision}: {name}", self.ratios[name] or 0.0)


def _users(rows: Rows, precision: str, ours: Ours, tokens: int) -> None:
    stories = [STORY.format(number) for number in range(SLOTS)]
    rows.add(f"{precision}: the first answer", total_speed(ours.run(stories[:1], tokens)), "tokens/s")
    for users in (1, 2, 4, SLOTS):
        answers = ours.run(stories[:users], tokens)
        rows.add(f"{precision}: {users} users", total_speed(answers), "tokens/s")
        ended = [len(answer.tokens) for answer in answers]
        rows.check(f"{precision}: {users} answers came", all(ended), tokens=ended)


def _overlap(rows: Rows, precision: str, ours: WatchedEngine, tokens: int) -> None:
    """Steps launched ahead give what steps one after another give, in less time."""
    stories = [STORY.format(number) for number in range(SLOTS)]
    overlaps, drafts = ours.parts.overlaps, ours.parts.drafts
    ours.parts.drafts = DraftBudget(enabled=False)
    for users in (1, SLOTS):
        _tokens_of_all(ours, stories[:users], tokens)  # whose prompts are kept: neither way reads them anew
        came, speeds = [], []
        for ours.parts.overlaps in (False, True):
            ours.runner.ahead = 0
            came.append(_tokens_of_all(ours, stories[:users], tokens))
            speeds.append(total_speed(ours.run(stories[:users], tokens)))
        rows.check(f"{precision}: {users} users, steps were launched ahead", ours.runner.ahead > 0)
        waits = ours.runner.waits
        rows.check(f"{precision}: {users} users, launching them waits for nothing", not waits, said=waits[:1])
        same, shared = _the_same(*came)
        rows.check(f"{precision}: {users} users, overlapping steps give the same", same, shared=shared)
        rows.add(f"{precision}: {users} users, overlapping to plain steps", speeds[1] / speeds[0])
    ours.parts.overlaps, ours.parts.drafts = overlaps, drafts


def _tokens_of_all(ours: WatchedEngine, stories: Sequence[str], tokens: int) -> list[list[TokenLogprob]]:
    """The first step waits until all have come: steps have the same rows, and round alike, nearly every time."""

    def wait_once(chunks: Sequence[ScheduledChunk]) -> None:
        ours.runner.before = lambda chunks: None
        time.sleep(ALL_CAME_S)

    ours.runner.before = wait_once
    return ours.on_loop(ours.greedy(stories, tokens))


def _the_same(
    ones: Sequence[Sequence[TokenLogprob]], others: Sequence[Sequence[TokenLogprob]]
) -> tuple[bool, list[int]]:
    """Whether answers are the same up to where two tokens were as good as equal, and how many tokens each pair shares.

    What a token's company is decides how it is rounded, and a random model has many near ties.
    """
    pairs = [_shared(one, other) for one, other in zip(ones, others, strict=True)]
    return all(right for _, right in pairs), [tokens for tokens, _ in pairs]


def _shared(one: Sequence[TokenLogprob], other: Sequence[TokenLogprob]) -> tuple[int, bool]:
    """How many tokens both begin with; and whether they part at a near tie, or not at all."""
    for tokens, (own, its) in enumerate(zip(one, other, strict=False)):
        if own.token_id != its.token_id:
            near = (best.token_id for best in own.top if own.logprob - best.logprob < NEAR_TIE)
            return tokens, its.token_id in near
    return min(len(one), len(other)), True


def _one_to_blame(rows: Rows, precision: str, ours: WatchedEngine) -> None:
    """A step of several fails, and each is run alone: none may go on with another's token."""
    stories = [STORY.format(number) for number in range(3)]
    alone = ours.on_loop(ours.greedy(stories, 24))
    failed: list[int] = []

    def fail_once(chunks: Sequence[ScheduledChunk]) -> None:
        if len(chunks) > 1 and all(chunk.span.length == 1 for chunk in chunks) and not failed:
            failed.append(len(chunks))
            raise RuntimeError("injected: one of these requests is to blame")

    ours.runner.before = fail_once
    disturbed_tokens = ours.on_loop(ours.greedy(stories, 24))
    ours.runner.before = lambda chunks: None
    same, shared = _the_same(alone, disturbed_tokens)
    rows.check(f"{precision}: after a failed step each goes on with its own token", same, shared=shared)


def _used_bytes() -> int:
    """What is in use of the card: by torch, by CUDA itself, kernels that were loaded, other processes."""
    free_bytes, total_bytes = torch.cuda.mem_get_info()
    return total_bytes - free_bytes


def _memory(rows: Rows, precision: str, loaded: LoadedModel, options: Options, before_bytes: int) -> None:
    """What the plan says beside what the device says is in use, less what was before: so is a plan's free memory."""
    torch.cuda.empty_cache()  # of what making random weights took
    total_bytes = torch.cuda.get_device_properties(0).total_memory
    device = Device("cuda", "this card", total_bytes, total_bytes)
    dims = dims_from_config(SEVEN_B | {"model_type": "qwen2"})
    plan = estimate(dims, PLANNED.get(precision, precision), device, SLOTS, CONTEXT_TINY if options.tiny else CONTEXT)
    used_bytes = _used_bytes() - before_bytes
    beside_bytes = _used_bytes() - torch.cuda.memory_reserved()
    rows.add(f"{precision}: in use", used_bytes / 1e9, "GB", before=before_bytes / 1e9, beside_torch=beside_bytes / 1e9)
    rows.add(f"{precision}: planned", plan.need_bytes / 1e9, "GB", weights=plan.weights_bytes / 1e9)
    off = loaded.weights_bytes / plan.weights_bytes - 1
    rows.check(f"{precision}: weights as planned", options.tiny or abs(off) < PLAN_TOLERANCE, off=off)
    within = used_bytes <= plan.need_bytes * (1 + PLAN_TOLERANCE)
    rows.check(f"{precision}: no more in use than planned", options.tiny or within)


def _no_memory(rows: Rows, precision: str, ours: Ours) -> None:
    torch.cuda.empty_cache()
    total_bytes = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + LEFT_BYTES) / total_bytes)
    started_s = time.perf_counter()
    try:
        said = f"{len(ours.run([' '.join(f'word{number}' for number in range(1500))], 8)[0].tokens)} tokens"
    except Exception as error:  # a refusal in words is as good an end
        said = f"{type(error).__name__}: {error}"
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    rows.add(f"{precision}: a long prompt with 30 MB left", said, seconds=time.perf_counter() - started_s)
    rows.check(f"{precision}: with memory again it answers", bool(ours.run(["Hello"], 8)[0].tokens))


def _hang(rows: Rows, precision: str, loaded: LoadedModel, options: Options) -> None:
    """A step that the device does not end: whoever waits is told, and the process would be given up."""
    ours = WatchedEngine(loaded, slots=2, context_tokens=512, watchdog_s=HANG_WATCHDOG_S)
    ours.run(["Hello"], 4)
    awake = threading.Event()

    def hang(chunks: Sequence[ScheduledChunk]) -> None:
        ours.runner.before = lambda chunks: None
        if options.on_card:
            torch.cuda._sleep(HANG_CYCLES)
        else:
            awake.wait(3 * HANG_WATCHDOG_S)

    ours.runner.before = hang
    started_s = time.perf_counter()
    with suppress(RuntimeError):  # the answer that was broken off has no token
        ours.run(["Hello"], 4)
    told_s = time.perf_counter() - started_s
    rows.check(f"{precision}: who waits is told in time", told_s < 2 * HANG_WATCHDOG_S, seconds=told_s)
    time.sleep(2 * HANG_WATCHDOG_S)
    rows.check(f"{precision}: the process would be given up", len(ours.fatal) == 1, said=ours.fatal)
    awake.set()
    ours.close()
