"""What has been said so far in one choice, and how its pieces look in OpenAI's bodies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

from qwen_app.api.protocol.generation import Generation
from qwen_app.api.protocol.schema import TokenDetails, UsageBody
from qwen_app.errors import EngineError, EngineUnavailable
from qwen_app.messages import Delta, Event, Finished, TokenLogprob, ToolCall, ToolCallDelta, ToolChoice
from qwen_app.openai_format import tool_call_body

Reason = Literal["stop", "length", "tool_calls"]


@dataclass(slots=True)
class Answer:
    """One choice, collected from its events."""

    pieces: list[str] = field(default_factory=list)
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finished: Finished | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def end(self) -> Finished:
        if self.finished is None:
            raise EngineError("The engine's answer has no end. This is a fault of the server.")
        return self.finished

    def ordered_calls(self) -> list[dict[str, Any]]:
        return [self.calls[index] for index in sorted(self.calls)]

    def add(self, event: Event) -> None:
        if isinstance(event, Delta):
            self.pieces.append(event.text)
            self.logprobs.extend(event.logprobs)
        elif isinstance(event, ToolCallDelta):
            call = self.calls.setdefault(event.index, call_head(event))
            call["function"]["arguments"] += event.arguments
        elif isinstance(event, Finished):
            self.finished = event


async def collect(generation: Generation, n: int) -> list[Answer]:
    """All of ``n`` answers, once each has ended. Raises the first failure."""
    answers = [Answer() for _ in range(n)]
    async with aclosing(generation):
        async for index, event in generation.events():
            answers[index].add(event)
    return answers


def call_head(event: ToolCallDelta) -> dict[str, Any]:
    return {**tool_call_body(ToolCall(event.id or "", event.name or "", ""))}


def finish_reason(finished: Finished, choice: ToolChoice, *, called: bool) -> Reason:
    """OpenAI's word for how the answer ended: a forced, named call is a plain ``stop`` there.

    Raises EngineUnavailable for an answer that the server itself cut short.
    """
    if finished.reason == "cancelled":
        raise EngineUnavailable("The server stopped before the answer was complete. Try again in a minute.")
    if finished.reason in ("length", "deadline"):
        return "length"
    return "tool_calls" if called and choice.mode != "named" else "stop"


def usage_of(finished: Sequence[Finished], prompts: Iterable[int] = (0,)) -> UsageBody:
    """A prompt counts once, however many answers it has. ``prompts`` are the answers that stand for one each."""
    prompt_tokens = sum(finished[index].usage.prompt_tokens for index in prompts)
    completion_tokens = sum(end.usage.completion_tokens for end in finished)
    return UsageBody(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
        prompt_tokens_details=TokenDetails(cached_tokens=sum(finished[index].usage.reused_tokens for index in prompts)),
    )


def logprobs_body(tokens: Iterable[TokenLogprob]) -> dict[str, Any]:
    return {"content": [{**_logprob(t), "top_logprobs": [_logprob(a) for a in t.top]} for t in tokens], "refusal": None}


def _logprob(token: TokenLogprob) -> dict[str, Any]:
    # JSON has no minus infinity; OpenAI writes -9999.0 for it
    return {"token": token.text, "logprob": max(token.logprob, -9999.0), "bytes": list(token.bytes)}
