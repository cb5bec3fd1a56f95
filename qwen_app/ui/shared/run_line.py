"""How an answer came about, as a line under it; and what happens before its first word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qwen_app.messages import Failed, Finished, FinishReason, Timings
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

EndReason = FinishReason | Literal["failed"]


@dataclass(frozen=True, slots=True)
class Run:
    """How an answer came about. Speeds are tokens a second, times seconds; ``error_code`` is set when it failed."""

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


def run_of(progress: Progress) -> Run:
    """The record of an answer that is over."""
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
    if progress.phase == "queued" and progress.position:
        return texts("queued", position=progress.position)
    if progress.phase == "prefill" and progress.prompt_done < progress.prompt_tokens:
        return texts("prefill", done=f"{progress.prompt_done:,}", total=f"{progress.prompt_tokens:,}")
    return texts("starting" if progress.phase in ("waiting", "queued") else "thinking")
