"""A chat's title, made by the model after the first answer, once nobody else waits for it."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from contextlib import aclosing

from sqlalchemy.exc import SQLAlchemyError

from qwen_app.messages import Delta, Failed, GenerationRequest, Message, TemplateOptions
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.service import Service
from qwen_app.ui.conversations.answering import Answering
from qwen_app.ui.conversations.open_chat import OpenChat
from qwen_app.ui.shared.context import TurnCounter

log = logging.getLogger(__name__)

TITLE_TOKENS = 24
LIMIT_CHARS = 60
IDLE_TRIES, IDLE_EVERY_S = 30, 2.0  # after a minute of others' work the question stays the title
WISH = (
    "Give this conversation a title of at most six words, in its own language. Write the title alone: no quotes, no "
    "full stop."
)
_EDGES = " \t\r\f\v\u00a0\u3000\"'“”‘’「」《》*#:.。-"  # around a title, and none of it


class Titles:
    """Names chats in the background. What the model writes must look like a title, or the question stays it."""

    def __init__(self, service: Service, saved: SavedChats) -> None:
        self._service = service
        self._saved = saved
        self._naming: set[asyncio.Task[None]] = set()

    def name(self, chat: OpenChat, request: GenerationRequest) -> None:
        """Name ``chat``, whose first answer ``request`` asked for."""
        if not chat.stored:
            return
        task = asyncio.create_task(self._name(chat, request))
        self._naming.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._naming.discard)

    async def done(self) -> None:
        """Wait until no chat is being named."""
        await asyncio.gather(*self._naming)

    async def _name(self, chat: OpenChat, request: GenerationRequest) -> None:
        if not await self._idle():
            return
        title = title_in(await self._written(chat, request))
        if title:
            try:
                await self._saved.run(self._saved.chats.rename, chat.owner, chat.conversation.id, title, "model")
            except SQLAlchemyError as error:
                log.warning("a title could not be saved: %s", type(error).__name__)

    async def _idle(self) -> bool:
        """Wait until no request is being answered; False where that takes too long."""
        for _ in range(IDLE_TRIES):
            health = self._service.health()
            if not health.ready:
                return False
            if health.running + health.queued == 0:
                return True
            await asyncio.sleep(IDLE_EVERY_S)
        return False

    async def _written(self, chat: OpenChat, request: GenerationRequest) -> str:
        """The model's words. The prompt begins as the chat's own does, so that what was read of it is reused."""
        turn = chat.conversation.turns[0] if chat.conversation.turns else None
        if turn is None:
            return ""
        begun = request.messages[-1].role == "assistant"
        before = request.messages[:-1] if begun else request.messages
        title_request = dataclasses.replace(
            request,
            request_id=self._service.new_request_id(),
            template=TemplateOptions(),
            messages=(*before, Message("assistant", turn.answer), Message("user", WISH)),
            sampling=self._service.sampling(temperature=0.0, max_tokens=TITLE_TOKENS),
            grammar=None,
        )
        text = ""
        async with aclosing(self._service.generate(title_request)) as events:
            async for event in events:
                if isinstance(event, Failed):
                    return ""
                text += event.text if isinstance(event, Delta) else ""
        return text


def answering_with_titles(
    service: Service, saved: SavedChats, *, unwatched_s: float, titles: bool, turns: TurnCounter | None
) -> Answering:
    """What answers, and names chats where ``titles`` are wanted."""
    named = Titles(service, saved).name if titles else None
    return Answering(service, saved, unwatched_s=unwatched_s, named=named, turns=turns)


def title_in(written: str) -> str:
    """The title that a model wrote; empty where it wrote something else."""
    title = written.strip().partition("\n")[0].strip(_EDGES).removeprefix("Title:").strip()
    return title if 1 < len(title) <= LIMIT_CHARS else ""
