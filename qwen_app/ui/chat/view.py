"""A conversation as the Chatbot component draws it: two messages a turn, question and answer.

Parts of the form ``{"type": "text"}`` are used throughout, for the component re-indents plain strings.
"""

from __future__ import annotations

from html import escape
from typing import Any

from qwen_app.messages import Failed, Finished
from qwen_app.ui.chat.conversation import Conversation, Run, Turn
from qwen_app.ui.shared.render import safe_markdown
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts


def chat_messages(conversation: Conversation, texts: Texts, progress: Progress | None = None) -> list[dict[str, Any]]:
    """Messages for the Chatbot; ``progress`` is that of the last turn while it is being answered."""
    messages: list[dict[str, Any]] = []
    last = len(conversation.turns) - 1
    for number, turn in enumerate(conversation.turns):
        parts = _answer_parts(turn, texts, progress if number == last else None)
        if number + 1 == conversation.window_start:
            parts.append(f'<div class="left-out">{texts("left_out")}</div>')
        messages.append(_message("user", [safe_markdown(turn.question)]))
        messages.append(_message("assistant", parts))
    return messages


def turn_of(message_index: int) -> int:
    """Number of the turn that the Chatbot's message belongs to."""
    return message_index // 2


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
    writing_s = progress.elapsed_s - progress.first_token_s
    return Run(
        reason="failed" if isinstance(end, Failed) else "cancelled",
        prompt_tokens=progress.prompt_tokens,
        completion_tokens=progress.completion_tokens,
        reused_tokens=progress.reused_tokens,
        first_token_s=progress.first_token_s,
        total_s=progress.elapsed_s,
        tokens_per_s=(progress.completion_tokens - 1) / writing_s if progress.completion_tokens > 1 else 0.0,
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


def _answer_parts(turn: Turn, texts: Texts, progress: Progress | None) -> list[str]:
    parts: list[str] = []
    if turn.answer:
        parts.append(_json_block(turn.answer) if turn.json_mode else safe_markdown(turn.answer))
    elif turn.run is None:
        parts.append(f'<div class="waiting">{waiting_line(progress or Progress(), texts)}</div>')
    if turn.run is not None and turn.run.error_code:
        parts.append(_error_html(turn, texts))
    if turn.run is not None:
        parts.append(f'<div class="run-line run-{turn.run.reason}">{escape(run_line(turn.run, texts))}</div>')
    return parts


def _error_html(turn: Turn, texts: Texts) -> str:
    run = turn.run or Run("failed")
    kept = " " + texts("run_partial") if turn.answer else ""
    return f'<div class="run-error" role="alert">{escape(texts.error(run.error_code, run.error_text) + kept)}</div>'


def _json_block(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}json\n{text}\n{fence}"


def _message(role: str, parts: list[str]) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": part} for part in parts]}
