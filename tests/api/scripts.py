"""An engine whose every event a test writes down, and what streams say."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence

from openai.types.chat import ChatCompletionChunk

from qwen_app.messages import (
    Event,
    Finished,
    FinishReason,
    GenerationRequest,
    Prefill,
    Queued,
    Timings,
    TokenLogprob,
    Usage,
)
from qwen_app.testing.scripted_engine import ScriptedEngine


class LoggedEngine(ScriptedEngine):
    """Sends exactly ``middle`` between the prefill and the end."""

    def __init__(self, middle: Sequence[Event], reason: FinishReason = "stop") -> None:
        super().__init__()
        self.middle = middle
        self.reason = reason

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        started = time.monotonic()
        yield Queued(0)
        yield Prefill(5, 5, 0)
        for event in self.middle:
            yield event
        total_s = time.monotonic() - started
        yield Finished(self.reason, Usage(5, len(self.middle)), Timings(0.0, 0.0, total_s), 0)


def byte_token(byte: bytes) -> TokenLogprob:
    """A token that is one byte, with two alternatives that were impossible."""
    other = TokenLogprob(1, "x", b"x", float("-inf"))
    return TokenLogprob(byte[0], byte.decode(errors="replace"), byte, -0.5, (other, other))


def text_of_chunks(chunks: Sequence[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
