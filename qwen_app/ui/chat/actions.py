"""What the chat tab does: send, regenerate, edit, stop, undo, start anew, measure."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from qwen_app.errors import AppError, RequestError
from qwen_app.messages import Failed, GenerationRequest, PromptPolicy
from qwen_app.openai_format import RequestBody, openai_body
from qwen_app.service import Service
from qwen_app.ui.chat.controls import Choices
from qwen_app.ui.chat.conversation import Conversation, ask, closed, edit, undo, written
from qwen_app.ui.chat.meter import Meter, meter_html
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.chat.view import ChatView, DrawnMessage, chat_messages, refusal_html, turn_of
from qwen_app.ui.shared.answer_slot import RunningAnswer
from qwen_app.ui.shared.render import typed_text
from qwen_app.ui.shared.stream import Progress, follow

Views = AsyncGenerator[ChatView, None]
Change = Callable[[Conversation], Conversation | None]


class ChatActions:
    """Handlers of the chat tab, without its components. Each leaves the session true and yields pictures of it."""

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
            there = 0 <= turn < len(conversation.turns) and question.strip()
            return edit(conversation, turn, question, json_mode=choices.json_mode) if there else None

        return self._answer(session, asked, choices, user)

    async def undo(self, session: ChatSession, choices: Choices) -> ChatView:
        session.abandon()
        session.conversation, question = undo(session.conversation)
        meter = await self.measure(session, question, choices)
        return ChatView(self.picture(session), meter, notice="", running=False, draft=question)

    async def clear(self, session: ChatSession, choices: Choices) -> ChatView:
        session.abandon()
        session.conversation = Conversation()
        return ChatView([], await self.measure(session, "", choices), notice="", running=False)

    async def measure(self, session: ChatSession, draft: str, choices: Choices) -> str:
        """The meter for the next request, were ``draft`` sent; empty where the engine cannot count."""
        try:
            plan = await self._service.plan(self._request(ask(session.conversation, draft), choices, user=""))
        except AppError:
            return ""
        draft_tokens = plan.turn_tokens[-1]
        used = (plan.planned.prompt_tokens or 0) - draft_tokens
        exact = self._service.info().exact_counts
        meter = Meter(used, choices.context_tokens, draft_tokens, choices.reserve_tokens(), exact)
        return meter_html(meter, session.texts)

    async def body(self, session: ChatSession, draft: str, choices: Choices) -> RequestBody:
        """The API's body for ``draft``, or for the last question where nothing is typed. Raises AppError."""
        _check(choices, session)
        conversation = session.conversation
        if draft.strip() or not conversation.turns:
            conversation = ask(conversation, draft.strip() or session.texts("example_capital"))
        request = (await self._service.plan(self._request(conversation, choices, user=""))).request
        return openai_body(self._service.info().model, request.messages, request.sampling, grammar=request.grammar)

    def picture(self, session: ChatSession, progress: Progress | None = None) -> list[DrawnMessage]:
        return chat_messages(session.conversation, session.texts, progress)

    async def _answer(
        self, session: ChatSession, change: Change, choices: Choices, user: str, *, cleared: bool = False
    ) -> Views:
        """Answer the last turn of the conversation as ``change`` makes it.

        Nothing happens when there is nothing to change, or while another answer is being written. ``cleared``: the
        composer held the question, and gets it back when it cannot be asked.
        """
        before = session.conversation
        asked = change(before)
        running = None if asked is None else session.slot.take()
        if asked is None or running is None:
            yield ChatView(self.picture(session))
            return
        session.conversation = asked
        try:
            yield ChatView(self.picture(session), notice="", running=True, draft="" if cleared else None)
            _check(choices, session)
            async with aclosing(self._stream(session, running, choices, user)) as views:
                async for view in views:
                    yield view
        except Exception as error:
            if running.current:
                session.conversation = before
                notice = refusal_html(error, session.texts)
                question = asked.last.question if cleared else None
                yield ChatView(self.picture(session), notice=notice, running=False, draft=question)
        finally:
            if running.current:
                session.conversation = closed(session.conversation)
            running.release()

    async def _stream(self, session: ChatSession, running: RunningAnswer, choices: Choices, user: str) -> Views:
        """Pictures of the last turn being answered. Raises AppError where there could be no prompt."""
        request = self._request(session.conversation, choices, user)
        async with (
            aclosing(self._service.generate(request)) as events,
            aclosing(follow(events, running.stop)) as snapshots,
        ):
            async for progress in snapshots:
                if not running.current:
                    yield ChatView(self.picture(session))  # the last picture is shown again at the end
                    return
                if progress.planned is None and isinstance(progress.end, Failed):
                    raise progress.end.error
                session.conversation = written(session.conversation, progress)
                if not progress.over:
                    meter = _live_meter(session, progress, choices)
                    yield ChatView(self.picture(session, progress), meter)
        meter = await self.measure(session, "", choices)
        yield ChatView(self.picture(session), meter, running=False)

    def _request(self, conversation: Conversation, choices: Choices, user: str) -> GenerationRequest:
        return GenerationRequest(
            request_id=self._service.new_request_id(),
            messages=(*choices.system_messages(), *conversation.messages()),
            sampling=choices.sampling(self._service),
            user=user,
            conversation_id=conversation.id,
            grammar=choices.grammar(),
            context_tokens=choices.context_tokens,
            policy=PromptPolicy(overflow="trim", reserve_tokens=choices.reserve_tokens(), cap_answer=True),
        )


def _check(choices: Choices, session: ChatSession) -> None:
    """Raises RequestError where the settings are wrong."""
    if choices.problem:
        raise RequestError(session.texts(choices.problem))


def _live_meter(session: ChatSession, progress: Progress, choices: Choices) -> str | None:
    if not progress.prompt_tokens:
        return None
    used = progress.prompt_tokens + progress.completion_tokens
    left = max(0, choices.reserve_tokens() - progress.completion_tokens)
    return meter_html(Meter(used, choices.context_tokens, 0, left), session.texts)
