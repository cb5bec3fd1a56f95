"""What of a conversation the next request sends, with exact token counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qwen_app.chat.window import Window, fit
from qwen_app.messages import Message
from qwen_app.service import Service
from qwen_app.ui.chat.controls import Choices
from qwen_app.ui.chat.conversation import Conversation, Turn, counted, moved

_PROBE = (Message("user", ""),)  # templates put what they add to every prompt here, so that it cancels out


@dataclass(frozen=True, slots=True)
class Plan:
    """``needed_tokens`` is the least that must be sent: the system prompt and the last question."""

    window: Window
    needed_tokens: int

    @property
    def messages(self) -> tuple[Message, ...]:
        return self.window.kept


async def plan(service: Service, conversation: Conversation, choices: Choices) -> tuple[Conversation, Plan]:
    """The next request, and the conversation with what was counted and where the window now starts.

    The last turn is the one to be answered. Turns whose answer failed before its first word are not sent.
    """
    conversation = await _all_counted(service, conversation)
    last = len(conversation.turns) - 1
    sent = [i for i, turn in enumerate(conversation.turns) if turn.answer or i == last]
    question = Message("user", conversation.last.question)
    system = choices.system_messages()
    needed = await service.count_tokens([*system, question])
    budget = choices.context_tokens - choices.reserve_tokens()
    remembered = conversation.window_start if budget <= conversation.window_tokens else 0
    window = fit(
        [*system, *(message for i in sent[:-1] for message in conversation.turns[i].messages()), question],
        [conversation.turns[i].tokens or 0 for i in sent[:-1]] + [0],
        system_tokens=needed,
        budget_tokens=budget,
        start=sum(i < remembered for i in sent),
    )
    start = sent[window.start] if window.start else 0
    return moved(conversation, start, budget), Plan(window, needed)


async def turn_tokens(service: Service, turn: Turn) -> int:
    """Size of a question with its answer in a prompt, template included."""
    with_turn = await service.count_tokens([*turn.messages(), *_PROBE])
    return with_turn - await service.count_tokens(_PROBE)


async def prompt_tokens(service: Service, system: Sequence[Message]) -> int:
    """Size of a prompt in which nothing has been asked yet."""
    return await service.count_tokens([*system, *_PROBE])


async def _all_counted(service: Service, conversation: Conversation) -> Conversation:
    for i, turn in enumerate(conversation.turns[:-1]):
        if turn.tokens is None:
            conversation = counted(conversation, i, await turn_tokens(service, turn))
    return conversation
