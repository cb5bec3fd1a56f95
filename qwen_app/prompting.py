"""What a prompt holds: the one place for prompt policy, behind the service.

Callers say what they want (``PromptPolicy``); here the format is asked for in words, turns that do not fit are left out
or refused with both numbers, and what was decided is told.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from qwen_app.chat.json_hint import asking_for_json
from qwen_app.chat.window import fit, split_turns
from qwen_app.engine.base import Engine
from qwen_app.errors import ContextLengthExceeded
from qwen_app.messages import GenerationRequest, GrammarSpec, Message, Planned, PromptPolicy, TemplateOptions, Tool

ANSWER_SHARE = 4  # with no limit on the answer, this fraction of the context is kept free for it
ANSWER_TOKENS = 1024  # ... but no more than this
REMEMBERED_CONVERSATIONS = 1024
REMEMBERED_COUNTS = 16_384
PROBE = (Message("user", ""),)  # templates put what they add to every prompt here, so that it cancels out

Prompt = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """A prompt before it is sent.

    ``request`` is what the engine gets. ``fixed_tokens`` are the template's, the system prompt's and the tools';
    ``turn_tokens`` those of each turn, the one to be answered last; ``planned.left_out`` says which are not sent.
    ``window_start`` is the first turn that is sent for its age alone, ``budget_tokens`` what the prompt may take.
    """

    request: GenerationRequest
    planned: Planned
    fixed_tokens: int
    turn_tokens: tuple[int, ...]
    window_start: int
    budget_tokens: int

    @property
    def prompt_tokens(self) -> int:
        """What is sent. Where that is over the budget, it is the least: the history is left out but for its pins."""
        return self.planned.prompt_tokens or 0

    @property
    def needed_tokens(self) -> int:
        """What is sent at the least: all of the history is left out but for its pins."""
        *history, last = self.turn_tokens
        pins = self.request.policy.pinned_turns
        return self.fixed_tokens + sum(tokens for turn, tokens in enumerate(history) if turn in pins) + last

    @property
    def over_tokens(self) -> int:
        """How many tokens too many are sent. Such a prompt is refused."""
        return max(0, self.prompt_tokens - self.budget_tokens)


class Prompting:
    """Plans prompts for one engine. Sizes of turns are kept, so that a keystroke costs the count of the draft alone."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._windows: OrderedDict[str, _Remembered] = OrderedDict()

    async def prepare(self, request: GenerationRequest) -> tuple[GenerationRequest, Planned]:
        """``request`` as the engine is to get it, and what was planned.

        Nothing is counted where nothing may be left out: the engine counts such a prompt itself, and refuses what does
        not fit. Raises ContextLengthExceeded where not even what must stay fits.
        """
        if request.policy.overflow == "refuse" or not request.messages:
            return _with_hint(request), Planned(len(split_turns(request.messages)[1]))
        plan = await self.plan(request)
        if plan.over_tokens:
            context_tokens = self._context_tokens(request)
            raise ContextLengthExceeded(plan.prompt_tokens, context_tokens - plan.budget_tokens, context_tokens)
        self._remember(request.conversation_id, plan)
        return plan.request, plan.planned

    async def count(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        grammar: GrammarSpec | None,
        template: TemplateOptions,
    ) -> int:
        """Tokens of a prompt, with what is said in it of ``grammar``."""
        (tokens,) = await self._engine.count_tokens([asking_for_json(tuple(messages), grammar)], tools, template)
        return tokens

    async def plan(self, request: GenerationRequest) -> PromptPlan:
        """The prompt of a chat as ``trim`` makes it, with the size of its parts, whether it fits or not."""
        hinted = _with_hint(request)
        system, turns = split_turns(hinted.messages)
        fixed_tokens, *turn_tokens = await self._sizes(system, turns, request.tools)
        context_tokens = self._context_tokens(request)
        budget_tokens = max(0, context_tokens - _reserve_tokens(request, context_tokens))
        sent_tokens = sum(size for turn, size in enumerate(turn_tokens) if turn not in request.policy.dropped_turns)
        all_fits = fixed_tokens + sent_tokens <= budget_tokens
        window = fit(
            hinted.messages,
            turn_tokens,
            system_tokens=fixed_tokens,
            budget_tokens=budget_tokens,
            pins=request.policy.pinned_turns | _affordable(request.policy, turn_tokens, budget_tokens - fixed_tokens),
            drops=request.policy.dropped_turns,
            start=0 if all_fits else self._start(request.conversation_id, len(turns), budget_tokens),
        )
        planned = Planned(
            kept_turns=len(window.kept_turns),
            dropped_turns=len(window.dropped_turns),
            dropped_messages=len(window.dropped),
            prompt_tokens=window.tokens,
            reply_tokens=_reply_tokens(request, context_tokens - window.tokens),
            left_out=window.dropped_turns,
            dropped_tokens=sum(turn_tokens[turn] for turn in window.dropped_turns),
        )
        trimmed = dataclasses.replace(hinted, messages=window.kept)
        return PromptPlan(trimmed, planned, fixed_tokens, tuple(turn_tokens), window.start, budget_tokens)

    async def _sizes(self, system: Prompt, turns: Sequence[Prompt], tools: Sequence[Tool]) -> list[int]:
        """Tokens of what is fixed, then of each turn: what it adds to a prompt.

        Sizes are differences to a prompt in which nothing was asked: exact for templates that write one message after
        the other. The engine's own count, when it reads the prompt, has the last word.
        """
        fixed = (*system, *PROBE)
        alone = [(*turn, *PROBE) for turn in turns[:-1]] + list(turns[-1:])
        await self._count([PROBE, *alone, *([] if tools else [fixed])], ())
        await self._count([fixed], tools)
        nothing = self._counts[_key(PROBE, ())]
        return [self._counts[_key(fixed, tools)], *(self._counts[_key(turn, ())] - nothing for turn in alone)]

    async def _count(self, prompts: Sequence[Prompt], tools: Sequence[Tool]) -> None:
        """Make sure that the sizes of ``prompts`` are known; the engine is asked once, for those that are not."""
        keys = {_key(prompt, tools): prompt for prompt in prompts}
        unknown = [key for key in keys if key not in self._counts]
        if unknown:
            counted = await self._engine.count_tokens([keys[key] for key in unknown], tools)
            self._counts.update(zip(unknown, counted, strict=True))
        for key in keys:
            self._counts.move_to_end(key)
        while len(self._counts) > max(REMEMBERED_COUNTS, len(keys)):
            self._counts.popitem(last=False)

    def _context_tokens(self, request: GenerationRequest) -> int:
        context_tokens = self._engine.info().context_tokens
        return min(context_tokens, request.context_tokens or context_tokens)

    def _start(self, conversation_id: str, turns: int, budget_tokens: int) -> int:
        """Where the conversation's window starts by now: it stays there, so that the prompt's beginning stays the same.

        More room than it was chosen for, or fewer turns than there were, bring old turns back. So does a chat that fits
        as a whole again, because what was too long in it was taken out (see ``plan``).
        """
        remembered = self._windows.get(conversation_id) if conversation_id else None
        if remembered is None or budget_tokens > remembered.budget_tokens or remembered.start >= turns:
            return 0
        return remembered.start

    def _remember(self, conversation_id: str, plan: PromptPlan) -> None:
        self._windows[conversation_id] = _Remembered(plan.window_start, plan.budget_tokens)
        self._windows.move_to_end(conversation_id)
        while len(self._windows) > REMEMBERED_CONVERSATIONS:
            self._windows.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Remembered:
    """The first turn that a conversation still sent, and the budget it was chosen for."""

    start: int
    budget_tokens: int


def _affordable(policy: PromptPolicy, turn_tokens: Sequence[int], room_tokens: int) -> frozenset[int]:
    """Those of the preferred turns that fit beside the pinned ones and the last, the newest first."""
    last = len(turn_tokens) - 1
    held = {turn for turn in policy.pinned_turns if 0 <= turn < last} | {last}
    room_tokens -= sum(turn_tokens[turn] for turn in held)
    kept = set()
    for turn in sorted(policy.preferred_turns - policy.dropped_turns - held, reverse=True):
        if 0 <= turn < last and turn_tokens[turn] <= room_tokens:
            room_tokens -= turn_tokens[turn]
            kept.add(turn)
    return frozenset(kept)


def _with_hint(request: GenerationRequest) -> GenerationRequest:
    if request.prompt is not None:
        return request
    hinted = asking_for_json(request.messages, request.grammar or request.policy.hint)
    return request if hinted is request.messages else dataclasses.replace(request, messages=hinted)


def _reserve_tokens(request: GenerationRequest, context_tokens: int) -> int:
    """What is kept free for the answer."""
    if request.policy.reserve_tokens is not None:
        return request.policy.reserve_tokens
    return request.sampling.max_tokens or min(ANSWER_TOKENS, context_tokens // ANSWER_SHARE)


def _reply_tokens(request: GenerationRequest, room_tokens: int) -> int:
    room_tokens = max(0, room_tokens)
    asked_tokens = request.sampling.max_tokens or room_tokens
    return min(asked_tokens, room_tokens) if request.policy.cap_answer else asked_tokens


def _key(prompt: Prompt, tools: Sequence[Tool]) -> bytes:
    """A digest: texts of conversations are not kept here."""
    return hashlib.blake2b(repr((prompt, tuple(tools))).encode("utf-8", "surrogatepass"), digest_size=16).digest()
