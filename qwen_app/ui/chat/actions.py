"""What the chat tab does: send, regenerate, edit, stop, undo, start anew, measure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from html import escape
from typing import Any

import gradio as gr

from qwen_app.errors import AppError, ContextLengthExceeded, EngineError, RequestError
from qwen_app.messages import GenerationRequest
from qwen_app.openai_format import RequestBody, openai_body
from qwen_app.service import Service
from qwen_app.ui.chat.controls import Choices
from qwen_app.ui.chat.conversation import Conversation, Run, answer, ask, edit, undo
from qwen_app.ui.chat.meter import Meter, meter_html
from qwen_app.ui.chat.plan import Plan, plan, prompt_tokens
from qwen_app.ui.chat.view import chat_messages, run_of, turn_of
from qwen_app.ui.shared.render import typed_text
from qwen_app.ui.shared.stream import Progress, follow
from qwen_app.ui.shared.strings import Language, Texts

log = logging.getLogger(__name__)

View = tuple[Any, Any, Any, Any]  # updates for conversation, meter, notice, composer
Views = AsyncGenerator[View, None]
Change = Callable[[Conversation], Conversation | None]
KEEP: Any = gr.skip()


@dataclass(slots=True)
class ChatSession:
    """One browser tab's chat: the truth, of which the page shows pictures. ``running`` stops the current answer."""

    conversation: Conversation = field(default_factory=Conversation)
    language: Language = "en"
    running: asyncio.Event | None = None

    @property
    def texts(self) -> Texts:
        return Texts(self.language)

    def stop(self) -> None:
        """End the answer in progress; what was written is kept."""
        if self.running is not None:
            self.running.set()

    def abandon(self) -> None:
        """End the answer in progress and let nothing more of it be written."""
        self.stop()
        self.running = None


class ChatActions:
    """Handlers of the chat tab. Each leaves the session true and yields pictures of it."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def send(self, session: ChatSession, text: str, choices: Choices, user: str) -> Views:
        def asked(conversation: Conversation) -> Conversation | None:
            return ask(conversation, text.strip("\n"), json_mode=choices.json_mode) if text.strip() else None

        return self._answer(session, asked, choices, user, cleared=True)

    def regenerate(self, session: ChatSession, choices: Choices, user: str) -> Views:
        def asked(conversation: Conversation) -> Conversation | None:
            rest, question = undo(conversation)
            return ask(rest, question, json_mode=choices.json_mode) if conversation.turns else None

        return self._answer(session, asked, choices, user)

    def edit(self, session: ChatSession, message_index: int, shown: str, choices: Choices, user: str) -> Views:
        turn, question = turn_of(message_index), typed_text(shown)

        def asked(conversation: Conversation) -> Conversation | None:
            there = turn < len(conversation.turns) and question.strip()
            return edit(conversation, turn, question, json_mode=choices.json_mode) if there else None

        return self._answer(session, asked, choices, user)

    async def undo(self, session: ChatSession, choices: Choices) -> View:
        session.abandon()
        session.conversation, question = undo(session.conversation)
        return self.picture(session), await self.measure(session, question, choices), "", composer(value=question)

    async def clear(self, session: ChatSession, choices: Choices) -> View:
        session.abandon()
        session.conversation = Conversation()
        return [], await self.measure(session, "", choices), "", composer()

    async def measure(self, session: ChatSession, draft: str, choices: Choices) -> str:
        """The meter for the next request, were ``draft`` sent; empty where the engine cannot count."""
        try:
            _, planned = await plan(self._service, ask(session.conversation, draft), choices)
            draft_tokens = planned.needed_tokens - await prompt_tokens(self._service, choices.system_messages())
        except AppError:
            return ""
        used = planned.window.tokens - draft_tokens
        exact = self._service.info().exact_counts
        meter = Meter(used, choices.context_tokens, draft_tokens, choices.reserve_tokens(), exact)
        return meter_html(meter, session.texts)

    async def body(self, session: ChatSession, draft: str, choices: Choices) -> RequestBody:
        """The API's body for ``draft``, or for the last question where nothing is typed. Raises AppError."""
        if choices.problem:
            raise RequestError(session.texts(choices.problem))
        conversation = session.conversation
        if draft.strip() or not conversation.turns:
            conversation = ask(conversation, draft.strip() or session.texts("example_capital"))
        _, planned = await plan(self._service, conversation, choices)
        sampling = choices.sampling(self._service, choices.max_tokens)
        return openai_body(self._service.info().model, planned.messages, sampling, grammar=choices.grammar())

    def picture(self, session: ChatSession, progress: Progress | None = None) -> list[dict[str, Any]]:
        return chat_messages(session.conversation, session.texts, progress)

    async def _answer(
        self, session: ChatSession, change: Change, choices: Choices, user: str, *, cleared: bool = False
    ) -> Views:
        """Answer the last turn of the conversation as ``change`` makes it.

        Nothing happens when there is nothing to change, or while another answer is being written. ``cleared``: the
        composer held the question, and gets it back when it cannot be asked.
        """
        before = session.conversation
        asked = None if session.running is not None else change(before)
        if asked is None:
            yield self.picture(session), KEEP, KEEP, KEEP
            return
        session.conversation = asked
        stop = session.running = asyncio.Event()
        try:
            yield self.picture(session), KEEP, "", composer(value="" if cleared else None, running=True)
            planned = await self._plan(session, stop, choices)
            request = await self._request(session.conversation, planned, choices, user)
            async with aclosing(self._stream(session, stop, request, choices)) as views:
                async for view in views:
                    yield view
        except Exception as error:
            if session.running is stop:
                session.conversation = before
                notice = f'<div class="notice" role="alert">{escape(_refusal(error, session.texts))}</div>'
                yield self.picture(session), KEEP, notice, composer(value=asked.last.question if cleared else None)
        finally:
            if session.running is stop:
                session.running = None
                session.conversation = _closed(session.conversation)

    async def _plan(self, session: ChatSession, stop: asyncio.Event, choices: Choices) -> Plan:
        if choices.problem:
            raise RequestError(session.texts(choices.problem))
        conversation, planned = await plan(self._service, session.conversation, choices)
        if not planned.window.fits:
            raise ContextLengthExceeded(planned.needed_tokens, choices.reserve_tokens(), choices.context_tokens)
        if session.running is stop:
            session.conversation = conversation
        return planned

    async def _request(
        self, conversation: Conversation, planned: Plan, choices: Choices, user: str
    ) -> GenerationRequest:
        room = choices.context_tokens - await self._service.count_tokens(planned.messages)
        return GenerationRequest(
            request_id=self._service.new_request_id(),
            messages=planned.messages,
            sampling=choices.sampling(self._service, max(1, min(choices.max_tokens, room))),
            user=user,
            conversation_id=conversation.id,
            grammar=choices.grammar(),
            context_tokens=choices.context_tokens,
        )

    async def _stream(
        self, session: ChatSession, stop: asyncio.Event, request: GenerationRequest, choices: Choices
    ) -> Views:
        async with (
            aclosing(self._service.generate(request)) as events,
            aclosing(follow(events, stop)) as snapshots,
        ):
            async for progress in snapshots:
                if session.running is not stop:
                    yield self.picture(session), KEEP, KEEP, KEEP  # the last picture is shown again at the end
                    return
                run = run_of(progress) if progress.over else None
                session.conversation = answer(session.conversation, progress.text, run)
                if run is None:
                    yield self.picture(session, progress), _live_meter(progress, choices, session.texts), KEEP, KEEP
        meter = await self.measure(session, "", choices)
        yield self.picture(session), meter, KEEP, composer()


def composer(*, value: str | None = None, running: bool = False) -> Any:
    """Update of the composer: its text where given, and whether its button sends or stops."""
    update = gr.update(submit_btn=not running, stop_btn=running)
    return update if value is None else {**update, "value": value}


def _live_meter(progress: Progress, choices: Choices, texts: Texts) -> Any:
    if not progress.prompt_tokens:
        return KEEP
    used = progress.prompt_tokens + progress.completion_tokens
    left = max(0, choices.reserve_tokens() - progress.completion_tokens)
    return meter_html(Meter(used, choices.context_tokens, 0, left), texts)


def _closed(conversation: Conversation) -> Conversation:
    """With its last turn ended, where the answer was broken off."""
    if not conversation.turns or conversation.last.run is not None:
        return conversation
    return answer(conversation, conversation.last.answer, Run("cancelled"))


def _refusal(error: Exception, texts: Texts) -> str:
    if isinstance(error, ContextLengthExceeded):
        room = error.limit_tokens - error.answer_tokens
        return texts("too_long", needed=f"{error.prompt_tokens:,}", room=f"{room:,}", context=f"{error.limit_tokens:,}")
    if not isinstance(error, AppError):
        log.error("an answer failed", exc_info=error)
        error = EngineError("Something went wrong on the server. Try again.")
    return texts.error(error.code, error.message)
