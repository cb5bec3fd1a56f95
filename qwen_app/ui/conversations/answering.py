"""The server's own work on a chat: an answer runs whether or not anybody looks on, is saved as it comes, and once it
has ended, the next waiting message is asked and the chat is named."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from qwen_app.errors import AppError
from qwen_app.messages import Failed, GenerationRequest, PromptPolicy, SamplingParams, TemplateOptions
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.service import Service
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import (
    Conversation,
    Turn,
    answer,
    begun,
    held_as,
    places_held,
    sendable,
    turn_named,
    with_documents_sent,
)
from qwen_app.ui.conversations.in_parts import ReadingInParts
from qwen_app.ui.conversations.open_chat import OpenChat, TypedMessage
from qwen_app.ui.conversations.turn_saver import TurnSaver, save_hold
from qwen_app.ui.shared.context import TurnCounter
from qwen_app.ui.shared.run_line import Run, run_of
from qwen_app.ui.shared.stream import Happenings, Progress, follow

log = logging.getLogger(__name__)

KEPT_NOWHERE_S = 5.0  # how long an answer runs unwatched that could not be found again
MODELS_OWN = ("top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
_GOES_ON = ("stop", "length", "tool_calls")  # ends after which the next waiting message is asked
Titler = Callable[[OpenChat, GenerationRequest], None]


class Answering:
    """Starts answers and sees them through. ``named`` is told of each first answer, ``turns`` counts them all."""

    def __init__(
        self,
        service: Service,
        saved: SavedChats,
        *,
        unwatched_s: float = 300.0,
        named: Titler | None = None,
        turns: TurnCounter | None = None,
    ) -> None:
        self._service = service
        self._reading = ReadingInParts(service, turns)
        self._saved = saved
        self._unwatched_s = unwatched_s
        self._named = named
        self._turns = turns

    def ask(self, chat: OpenChat, message: TypedMessage) -> None:
        """Answer ``message``. Raises AppError as ``start``."""
        self.start(chat, message.asked_in(chat.conversation), message.choices, message.user, message)

    def start(
        self,
        chat: OpenChat,
        with_question: Conversation,
        choices: Choices,
        user: str,
        message: TypedMessage | None = None,
    ) -> None:
        """Answer the last turn of ``with_question``, which the chat is from now on. It must have no answer running.

        The ``message`` that it came from waits where it turns out that it cannot be asked. Raises AppError where the
        user may not ask; then nothing has changed.
        """
        before = chat.conversation
        with_question = begun(with_question, choices.start)
        request = self.request(with_question, choices, user)
        if self._turns is not None:
            self._turns.take(user)
        turn = dataclasses.replace(
            with_question.last, settings=_settings(choices, request.sampling, with_question.last.answer)
        )
        chat.conversation = dataclasses.replace(with_question, turns=(*with_question.turns[:-1], turn))
        chat.refusal = None
        unwatched_s = self._unwatched_s if chat.address else min(KEPT_NOWHERE_S, self._unwatched_s)
        saver = TurnSaver(self._saved, chat, turn.id)
        events = self._events(chat, turn, request, choices, saver)
        live = chat.go_live(partial(_snapshots, events), unwatched_s=unwatched_s)

        def noted(progress: Progress) -> None:
            if progress.planned is None and isinstance(progress.end, Failed):
                chat.refuse(progress.end.error, message)
                chat.conversation = held_as(before, chat.conversation)  # may have been pinned meanwhile
                if self._turns is not None:
                    self._turns.give_back(user)
                return
            run = self._run(progress) if progress.over else None
            chat.conversation = answer(chat.conversation, turn.answer + progress.text, run, turn.id)
            if progress.planned is not None:
                saver.save_soon()

        async def ended() -> None:
            if chat.refusal is None:
                _close(chat, turn.id, "unwatched" if live.unwatched else "cancelled")
                await saver.save()
            await self._end(chat, request, turn.id)

        live.start(noted, ended)

    def _events(
        self, chat: OpenChat, turn: Turn, request: GenerationRequest, choices: Choices, saver: TurnSaver
    ) -> Callable[[], Happenings]:
        """What answers the turn: one request, or many where its documents have to be read in parts."""
        if turn.summary is None or turn.summary.ready:
            return partial(self._service.generate, request)
        final = partial(self.request, choices=choices, user=request.user)
        return partial(self._reading.events, chat, choices, request.user, final, saver.save_soon)

    def request(self, conversation: Conversation, choices: Choices, user: str) -> GenerationRequest:
        """What asks for the answer to the last turn, or for the rest of it."""
        last = len(sendable(conversation)) - 1
        pinned, dropped = places_held(conversation, "pinned"), places_held(conversation, "dropped")
        if choices.left_out is not None:
            dropped = choices.left_out
            pinned = frozenset(range(last)) - dropped
        return GenerationRequest(
            request_id=self._service.new_request_id(),
            messages=(*choices.system_messages(), *conversation.messages()),
            sampling=choices.sampling(self._service),
            user=user,
            conversation_id=conversation.id,
            grammar=choices.grammar(),
            context_tokens=choices.context_tokens,
            policy=PromptPolicy(
                overflow="trim",
                reserve_tokens=choices.reserve_tokens(),
                pinned_turns=pinned,
                dropped_turns=dropped,
                preferred_turns=with_documents_sent(conversation),
                cap_answer=True,
            ),
            template=TemplateOptions(continue_final=bool(conversation.turns and conversation.last.answer)),
        )

    async def store(self, chat: OpenChat, *turns: Turn) -> None:
        """Save these turns, and what the chat shows; an owner's chat alone."""
        await TurnSaver(self._saved, chat, "").save(*turns)

    async def store_hold(self, chat: OpenChat, turn: Turn) -> None:
        """Save what the visitor said of sending the turn again; an owner's chat alone."""
        await save_hold(self._saved, chat, turn)

    def _run(self, progress: Progress) -> Run:
        """The record of an answer that is over, and of the model that gave it."""
        info = self._service.info()
        return dataclasses.replace(run_of(progress), model=info.model, revision=info.revision, precision=info.precision)

    async def _is_deleted(self, chat: OpenChat) -> bool:
        """Whether the owner has deleted the chat, which may still be taken back."""
        if not chat.stored:
            return False
        try:
            return not await self._saved.run(self._saved.chats.holds, chat.owner, chat.conversation.id)
        except (AppError, SQLAlchemyError):
            return False

    async def _end(self, chat: OpenChat, request: GenerationRequest, turn_id: str) -> None:
        deleted = bool(chat.waiting) and await self._is_deleted(chat)
        chat.live = None
        if not deleted:  # else the next question would bring the chat back
            self._go_on(chat, request, turn_id)

    def _go_on(self, chat: OpenChat, request: GenerationRequest, turn_id: str) -> None:
        turn = turn_named(chat.conversation, turn_id)
        well = chat.refusal is None and turn is not None and turn.run is not None and turn.run.reason in _GOES_ON
        first_answer = len(chat.conversation.turns) + len(chat.conversation.others) == 1
        if chat.waiting and well:
            first = chat.waiting[0]
            chat.take(first.id)
            try:
                self.ask(chat, first)
            except AppError as refused:  # nobody's hand is on it: the page shows it where it shows the answer's end
                chat.refuse(refused, first)
        if well and first_answer and self._named is not None:
            self._named(chat, request)


async def _snapshots(events: Callable[[], Happenings], stop: asyncio.Event) -> AsyncGenerator[Progress, None]:
    async with aclosing(events()) as happening, aclosing(follow(happening, stop)) as snapshots:
        async for progress in snapshots:
            yield progress


def _settings(choices: Choices, sampling: SamplingParams, start: str) -> dict[str, object]:
    """What the answer is asked for with, as JSON: the visitor's choices, and what the model's defaults add to them."""
    settings = dataclasses.asdict(choices) | {"start": start}
    chosen = {name: value for name, value in settings.items() if name not in ("problem", "json_mode", "left_out")}
    return chosen | {name: getattr(sampling, name) for name in MODELS_OWN}


def _close(chat: OpenChat, turn_id: str, reason: str) -> None:
    """End the turn where its answer was broken off, and say by what."""
    turn = turn_named(chat.conversation, turn_id)
    if turn is None or (turn.run is not None and turn.run.reason != "cancelled"):
        return
    run = turn.run or Run("cancelled")
    run = dataclasses.replace(run, reason="unwatched") if reason == "unwatched" else run
    chat.conversation = answer(chat.conversation, turn.answer, run, turn_id)
