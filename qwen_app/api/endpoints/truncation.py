"""``truncation: "auto"``: leave out the oldest turns of a conversation that is too long, and say so."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import OrderedDict

from qwen_app.api.protocol.response_bodies import Truncation
from qwen_app.chat.window import Window, fit, split_turns
from qwen_app.messages import GenerationRequest, Message
from qwen_app.service import Service

DROPPED_HEADER = "x-truncated-messages"
REMEMBERED = 1024
ANSWER_SHARE = 4  # with no limit on the answer, this fraction of the context is kept free for it
ANSWER_TOKENS = 1024  # ... but no more than this
PROBE = (Message("user", ""),)  # templates put what they add to every prompt here, so that it cancels out


class Windows:
    """Where each conversation's window starts, for the conversations trimmed last.

    A window that stays where it was keeps the prompt's beginning the same, so that the engine need not read it again.
    """

    def __init__(self) -> None:
        self._starts: OrderedDict[str, int] = OrderedDict()

    async def trim(self, service: Service, request: GenerationRequest) -> tuple[GenerationRequest, Truncation | None]:
        """``request`` with as many turns as fit, and what was left out: None when that is nothing."""
        budget_tokens = _budget_tokens(service, request)
        if await service.count_tokens(request.messages, request.tools) <= budget_tokens:
            return request, None
        window = await self._fit(service, request, budget_tokens)
        self._remember(request.conversation_id, window.start)
        kept = dataclasses.replace(request, messages=window.kept)
        prompt_tokens = await service.count_tokens(kept.messages, kept.tools)
        return kept, Truncation(dropped_messages=len(window.dropped), prompt_tokens=prompt_tokens)

    async def _fit(self, service: Service, request: GenerationRequest, budget_tokens: int) -> Window:
        system, turns = split_turns(request.messages)
        probe_tokens = await service.count_tokens(PROBE)
        sizes = await asyncio.gather(*(service.count_tokens((*turn, *PROBE)) for turn in turns[:-1]))
        return fit(
            request.messages,
            [size - probe_tokens for size in sizes] + [0] * bool(turns),
            system_tokens=await service.count_tokens((*system, *turns[-1]) if turns else system, request.tools),
            budget_tokens=budget_tokens,
            start=self._starts.get(request.conversation_id, 0),
        )

    def _remember(self, conversation_id: str, start: int) -> None:
        self._starts[conversation_id] = start
        self._starts.move_to_end(conversation_id)
        while len(self._starts) > REMEMBERED:
            self._starts.popitem(last=False)


def _budget_tokens(service: Service, request: GenerationRequest) -> int:
    context_tokens = service.info().context_tokens
    answer_tokens = request.sampling.max_tokens or min(ANSWER_TOKENS, context_tokens // ANSWER_SHARE)
    return max(0, context_tokens - answer_tokens)
