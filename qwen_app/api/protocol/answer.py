"""What has been said so far in one choice, and how its pieces look in OpenAI's bodies."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from qwen_app.api.protocol.generation import Generation
from qwen_app.api.protocol.response_bodies import (
    AnswerHead,
    LogprobBody,
    LogprobsBody,
    Reason,
    UsageBody,
)
from qwen_app.engine.base import EngineInfo
from qwen_app.errors import EngineError, EngineUnavailable
from qwen_app.messages import (
    Delta,
    Event,
    Finished,
    Prefill,
    Thought,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
)
from qwen_app.openai_format import ToolCallBody, tool_call_body

LOWEST_LOGPROB = -9999.0  # JSON has no minus infinity; OpenAI writes this for it


@dataclass(slots=True)
class Answer:
    """One choice, made of its events. ``parts`` are pieces of text and calls, in the order in which they come."""

    parts: list[str | ToolCallBody] = field(default_factory=list)
    calls: dict[int, ToolCallBody] = field(default_factory=dict)
    thoughts: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    prompt_logprobs: list[TokenLogprob] = field(default_factory=list)
    finished: Finished | None = None

    @property
    def text(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def end(self) -> Finished:
        if self.finished is None:
            raise EngineError("The engine's answer has no end. This is a fault of the server.")
        return self.finished

    def ordered_calls(self) -> list[ToolCallBody]:
        return [self.calls[index] for index in sorted(self.calls)]

    def add(self, event: Event) -> None:
        if isinstance(event, Delta):
            self.parts.append(event.text)
            self.logprobs.extend(event.logprobs)
        elif isinstance(event, Thought):
            self.thoughts.append(event.text)
        elif isinstance(event, ToolCallDelta):
            if event.index not in self.calls:
                self.calls[event.index] = call_head(event)
                self.parts.append(self.calls[event.index])
            self.calls[event.index]["function"]["arguments"] += event.arguments
        elif isinstance(event, Prefill):
            self.prompt_logprobs.extend(event.logprobs)
        elif isinstance(event, Finished):
            self.finished = event


async def collect(generation: Generation, n: int) -> list[Answer]:
    """All of ``n`` answers, once each has ended. Raises the first failure."""
    answers = [Answer() for _ in range(n)]
    async with aclosing(generation):
        async for index, event in generation.events():
            answers[index].add(event)
    return answers


def answer_head(object_type: str, answer_id: str, info: EngineInfo) -> AnswerHead:
    """``object_type`` is OpenAI's name of the kind of body, such as ``chat.completion``."""
    return {
        "id": answer_id,
        "object": object_type,
        "created": int(time.time()),
        "model": info.model,
        "system_fingerprint": f"{info.revision[:12]}-{info.precision}",
    }


def call_head(event: ToolCallDelta) -> ToolCallBody:
    """The call that ``event`` begins, with no arguments yet."""
    return tool_call_body(ToolCall(event.id or "", event.name or "", ""))


def finish_reason(finished: Finished, choice: ToolChoice, *, called: bool) -> Reason:
    """OpenAI's word for how the answer ended: a forced, named call is a plain ``stop`` there.

    Raises EngineUnavailable for an answer that the server itself cut short.
    """
    if finished.reason == "cancelled":
        raise EngineUnavailable("The server stopped before the answer was complete. Try again in a minute.")
    if finished.reason in ("length", "deadline"):
        return "length"
    return "tool_calls" if called and choice.mode != "named" else "stop"


def legacy_reason(reason: Reason) -> Reason:
    """``reason`` where the tools were ``functions``."""
    return "function_call" if reason == "tool_calls" else reason


def usage_of(finished: Sequence[Finished], prompts: Iterable[int] = (0,)) -> UsageBody:
    """A prompt counts once, however many answers it has. ``prompts`` are the answers that stand for one each."""
    prompt_tokens = sum(finished[index].usage.prompt_tokens for index in prompts)
    completion_tokens = sum(end.usage.completion_tokens for end in finished)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": sum(finished[index].usage.reused_tokens for index in prompts)},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def logprobs_body(tokens: Iterable[TokenLogprob]) -> LogprobsBody:
    """Each token with its log-probability and the best alternatives."""
    return {
        "content": [{**_logprob(token), "top_logprobs": [_logprob(other) for other in token.top]} for token in tokens],
        "refusal": None,
    }


def json_logprob(token: TokenLogprob) -> float:
    """The log-probability as a number JSON can carry."""
    return max(token.logprob, LOWEST_LOGPROB)


def _logprob(token: TokenLogprob) -> LogprobBody:
    return {"token": token.text, "logprob": json_logprob(token), "bytes": list(token.bytes)}
