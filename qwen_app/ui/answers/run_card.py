"""How an answer came about: one short line under it, which unfolds to everything that is known; and how it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from qwen_app.ui.answers.rerun import choices_again
from qwen_app.ui.answers.token_scores import token_scores_html
from qwen_app.ui.answers.turn_tools import tool_button
from qwen_app.ui.conversations.conversation import Conversation, run_before
from qwen_app.ui.shared.run_line import Run
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

LIVE_FROM_TOKENS = 3  # before that a speed says nothing
FULL_REVISION_CHARS, SHORT_REVISION_CHARS = 40, 12  # of a commit
PARAMETERS = {  # by their names in the settings
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "card_top_k",
    "min_p": "card_min_p",
    "repetition_penalty": "card_repetition",
    "presence_penalty": "card_presence",
    "frequency_penalty": "card_frequency",
    "max_tokens": "max_tokens",
    "context_tokens": "context",
}


def run_card_html(run: Run, texts: Texts, settings: Mapping[str, object] | None = None, tools: str = "") -> str:
    """A card that is folded to "2.1 s · 57 tokens/s"; an end that nobody would expect is said before that.

    ``settings`` are what the answer was asked for with, ``tools`` the HTML of what can be done with the run.
    """
    known = [*_facts(run, texts), *_parameters(settings or {}, texts)]
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in known)
    return (
        f'<details class="run-line run-card run-{run.reason}"><summary>{escape(_brief(run, texts))}</summary>'
        f"<dl>{facts}</dl>{token_scores_html(run.scores, texts)}{tools}</details>"
    )


def run_tools(conversation: Conversation, number: int, texts: Texts) -> str:
    """What can be done with the run of a turn: ask for it again exactly, compare it with the run before."""
    turn = conversation.turns[number]
    tools = []
    if choices_again(turn) is not None:
        tools.append(tool_button("again", texts("again"), texts("again_info"), number))
    if run_before(conversation, number) is not None:
        tools.append(tool_button("compare", texts("compare_runs"), texts("compare_runs_info"), number))
    return f'<div class="run-tools">{"".join(tools)}</div>' if tools else ""


def _brief(run: Run, texts: Texts) -> str:
    words = [] if run.reason == "stop" and run.total_s else [texts(f"run_{run.reason}")]
    if run.closed:
        words.append(texts("run_closed"))
    if run.total_s:
        words.append(texts("run_seconds", seconds=f"{run.total_s:.1f}"))
    if run.tokens_per_s:
        words.append(texts("run_speed", speed=f"{run.tokens_per_s:.0f}"))
    return " · ".join(words)


def _facts(run: Run, texts: Texts) -> list[tuple[str, str]]:
    facts = [("card_end", texts(f"run_{run.reason}"))]
    if run.prompt_tokens:
        facts += [("card_prompt", f"{run.prompt_tokens:,}"), ("card_reused", f"{run.reused_tokens:,}")]
    if run.left_out:
        dropped = texts("card_turns", turns=len(run.left_out), tokens=f"{run.dropped_tokens:,}")
        facts.append(("card_dropped", dropped))
    if run.completion_tokens:
        facts.append(("card_answer", f"{run.completion_tokens:,}"))
    if run.first_token_s:
        facts.append(("card_first", texts("run_seconds", seconds=f"{run.first_token_s:.2f}")))
    if run.tokens_per_s:
        facts.append(("card_speed", texts("run_speed", speed=f"{run.tokens_per_s:.1f}")))
    if run.seed is not None:
        facts.append(("card_seed", str(run.seed)))
    if run.model:
        revision = run.revision if len(run.revision) < FULL_REVISION_CHARS else run.revision[:SHORT_REVISION_CHARS]
        facts.append(("card_model", " · ".join(part for part in (run.model, revision, run.precision) if part)))
    return [(texts(key), value) for key, value in facts]


def _parameters(settings: Mapping[str, object], texts: Texts) -> list[tuple[str, str]]:
    """What of the settings changes the answer. They are read from a store, and may be anything."""
    numbers = {key: settings.get(name) for name, key in PARAMETERS.items()}
    return [(texts(key), f"{value:g}") for key, value in numbers.items() if type(value) in (int, float)]


def live_line_html(progress: Progress, texts: Texts) -> str:
    """Speed, seconds and tokens of an answer that is being written; empty until a speed can be told."""
    writing_s = progress.elapsed_s - progress.first_token_s
    if progress.completion_tokens < LIVE_FROM_TOKENS or writing_s <= 0:
        return ""
    facts = [
        texts("run_speed", speed=f"{(progress.completion_tokens - 1) / writing_s:.0f}"),
        texts("run_seconds", seconds=f"{progress.elapsed_s:.1f}"),
        texts("live_tokens", tokens=f"{progress.completion_tokens:,}"),
    ]
    return f'<div class="run-live">{" · ".join(facts)}</div>'
