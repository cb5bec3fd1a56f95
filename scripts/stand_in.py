"""An engine for pictures: it says what was written for them, at the pace and with the token counts of a 7B model."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from qwen_app.engine.base import EngineInfo, Health
from qwen_app.messages import (
    PLAIN_TEMPLATE,
    Event,
    Finished,
    GenerationRequest,
    Message,
    Prefill,
    TemplateOptions,
    Tool,
    ToolCallDelta,
    Usage,
)
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.tools.prompt_format import tool_definition
from tests.qwen_vocabulary import qwen_tokenizer

TOKENS_PER_S = 50.0  # the weights of a 7B model in FP16 are 15.2 GB; a 24 GB card reads about 1,000 GB a second
PREFILL_S = 0.12
PREFILL_TOKENS_PER_S = 4_000  # 15.2 GFLOP a token, of the 60 TFLOPS that such a card does of them
TEMPLATE_TOKENS = 5  # around each message
OPENING_TOKENS = 3  # before the answer
CONTEXT_TOKENS = 24_576

Call = tuple[str, Mapping[str, object]]  # a tool's name, and its arguments


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What is said to one question: ``calls`` first, one a round, then ``text``."""

    text: str
    calls: Sequence[Call] = ()


class StandIn:
    """Answers each question of ``answers`` with what is written there. An engine in every other way."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = answers
        self._scripted = ScriptedEngine(self._script, context_tokens=CONTEXT_TOKENS)

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        return self._counted(request)

    async def count_tokens(
        self,
        prompts: Sequence[Sequence[Message]],
        tools: Sequence[Tool] = (),
        template: TemplateOptions = PLAIN_TEMPLATE,
    ) -> list[int]:
        offered = sum(_tokens(json.dumps(tool_definition(tool))) for tool in tools)
        return [OPENING_TOKENS + offered + sum(map(_message_tokens, messages)) for messages in prompts]

    async def tokenize(self, text: str, *, parse_special: bool = True, add_special_tokens: bool = False) -> list[int]:
        return qwen_tokenizer().encode(text).ids

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        return qwen_tokenizer().decode(list(token_ids))

    def info(self) -> EngineInfo:
        return dataclasses.replace(
            self._scripted.info(), model="Qwen2.5-7B-Instruct", precision="fp16", device="24 GB card"
        )

    def health(self) -> Health:
        return self._scripted.health()

    async def drain(self, timeout_s: float) -> None:
        await self._scripted.drain(timeout_s)

    async def _counted(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """The scripted events with the tokens counted as Qwen counts them. The turns before count as reused."""
        total, before = await self.count_tokens([request.messages, request.messages[:-1]], request.tools)
        reused = before - OPENING_TOKENS if any(m.role == "assistant" for m in request.messages) else 0
        async with aclosing(self._scripted.generate(request)) as events:
            async for event in events:
                if isinstance(event, Prefill):
                    event = Prefill(total, total, reused)
                elif isinstance(event, Finished):
                    usage = Usage(total, event.usage.completion_tokens, reused)
                    event = dataclasses.replace(event, usage=usage, seed=_seed(request))
                yield event

    def _script(self, request: GenerationRequest) -> Script:
        question = next(m.content for m in reversed(request.messages) if m.role == "user")
        answer = next(answer for asked, answer in self._answers.items() if asked in question)
        done = sum(message.role == "tool" for message in request.messages)
        if done < len(answer.calls):
            name, arguments = answer.calls[done]
            call = ToolCallDelta(0, f"call_{done}", name, json.dumps(arguments))
            return Script((), (call,), prefill_s=PREFILL_S)
        prefill_s = max(PREFILL_S, sum(map(_message_tokens, request.messages)) / PREFILL_TOKENS_PER_S)
        return Script(_pieces(answer.text), token_s=1 / TOKENS_PER_S, prefill_s=prefill_s)


def _pieces(text: str) -> list[str]:
    """``text`` in the pieces that Qwen's tokens are; a character that takes several comes with the last of them."""
    pieces, start = [], 0
    for _, end in qwen_tokenizer().encode(text).offsets:
        pieces.append(text[start:end])
        start = max(start, end)
    return pieces


def _tokens(text: str) -> int:
    return len(qwen_tokenizer().encode(text).ids)


def _message_tokens(message: Message) -> int:
    return TEMPLATE_TOKENS + _tokens(message.content) + sum(_tokens(call.arguments) + 8 for call in message.tool_calls)


def _seed(request: GenerationRequest) -> int:
    """As an engine draws one, but the same for the same question, so that pictures change only where the page does."""
    return request.sampling.seed or zlib.crc32(request.messages[-1].content.encode()) >> 1
