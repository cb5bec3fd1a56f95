"""How an answer came about, as a line under it; and what happens before its first word."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from qwen_app.messages import Failed, Finished, FinishReason, Timings
from qwen_app.ui.scores.pace import Point
from qwen_app.ui.scores.scored_token import ScoredToken
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

STEPS = {"part": "step_part", "join": "step_join"}  # texts by the kind of step; the last is like any answer
EndReason = FinishReason | Literal["failed", "interrupted", "unwatched"]


@dataclass(frozen=True, slots=True)
class Run:
    """How an answer came about. Speeds are tokens a second, times seconds; ``error_code`` is set when it failed.

    ``scores`` are how likely its first tokens were, where that was asked for, ``pace`` when its text came.
    ``left_out`` are the places of the turns that the prompt could have held and did not, ``dropped_tokens`` their size.
    """

    reason: EndReason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reused_tokens: int = 0
    first_token_s: float = 0.0
    total_s: float = 0.0
    tokens_per_s: float = 0.0
    seed: int | None = None
    closed: bool = False
    error_code: str = ""
    error_text: str = ""
    model: str = ""
    revision: str = ""
    precision: str = ""
    kept_turns: int = 0
    left_out: tuple[int, ...] = ()
    dropped_tokens: int = 0
    scores: tuple[ScoredToken, ...] = ()
    pace: tuple[Point, ...] = ()


def run_of(progress: Progress) -> Run:
    """The record of an answer that is over."""
    run, planned = _run_of(progress), progress.planned
    run = dataclasses.replace(run, scores=progress.scores, pace=progress.pace)
    if planned is None:
        return run
    return dataclasses.replace(
        run, kept_turns=planned.kept_turns, left_out=planned.left_out, dropped_tokens=planned.dropped_tokens
    )


def _run_of(progress: Progress) -> Run:
    end = progress.end
    if isinstance(end, Finished):
        return Run(
            reason=end.reason,
            prompt_tokens=end.usage.prompt_tokens,
            completion_tokens=end.usage.completion_tokens,
            reused_tokens=end.usage.reused_tokens,
            first_token_s=end.timings.first_token_s,
            total_s=end.timings.total_s,
            tokens_per_s=end.timings.tokens_per_s(end.usage.completion_tokens),
            seed=end.seed,
            closed=end.closed,
        )
    timings = Timings(0.0, progress.first_token_s, progress.elapsed_s)
    return Run(
        reason="failed" if isinstance(end, Failed) else "cancelled",
        prompt_tokens=progress.prompt_tokens,
        completion_tokens=progress.completion_tokens,
        reused_tokens=progress.reused_tokens,
        first_token_s=progress.first_token_s,
        total_s=progress.elapsed_s,
        tokens_per_s=timings.tokens_per_s(progress.completion_tokens),
        error_code=end.error.code if isinstance(end, Failed) else "",
        error_text=end.error.message if isinstance(end, Failed) else "",
    )


def run_line(run: Run, texts: Texts) -> str:
    """One line on how an answer came about."""
    facts = [texts(f"run_{run.reason}")]
    if run.closed:
        facts.append(texts("run_closed"))
    if run.first_token_s:
        facts.append(texts("run_first_token", seconds=f"{run.first_token_s:.2f}"))
    if run.tokens_per_s:
        facts.append(texts("run_speed", speed=f"{run.tokens_per_s:.1f}"))
    if run.prompt_tokens:
        facts.append(texts("run_tokens", prompt=f"{run.prompt_tokens:,}", completion=f"{run.completion_tokens:,}"))
    if run.reused_tokens:
        facts.append(texts("run_reused", reused=f"{run.reused_tokens:,}"))
    if run.seed is not None:
        facts.append(texts("run_seed", seed=run.seed))
    return " · ".join(facts)


def waiting_line(progress: Progress, texts: Texts) -> str:
    """What happens before the first word."""
    step = progress.step
    if step is not None and step.kind in STEPS:
        told = texts(STEPS[step.kind], number=step.number, count=step.count, place=step.place.strip("[]"))
        return " · ".join((told, _waiting(progress, texts)))
    return _waiting(progress, texts)


def _waiting(progress: Progress, texts: Texts) -> str:
    if progress.phase == "queued" and progress.position:
        return texts("queued", position=progress.position)
    if progress.phase == "prefill" and progress.prompt_done < progress.prompt_tokens:
        percent = 100 * progress.prompt_done // progress.prompt_tokens
        line = texts("prefill", done=f"{progress.prompt_done:,}", total=f"{progress.prompt_tokens:,}", percent=percent)
        reused = texts("run_reused", reused=f"{progress.reused_tokens:,}") if progress.reused_tokens else ""
        return " · ".join(filter(None, (line, reused)))
    return texts("starting" if progress.phase in ("waiting", "queued") else "thinking")
