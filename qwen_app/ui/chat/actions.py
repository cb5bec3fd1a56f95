"""What the chat tab does: send, regenerate, edit, stop, undo, show another chat or branch, measure."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from functools import partial

from qwen_app.errors import AppError, ContextLengthExceeded, TextTooLong
from qwen_app.service import Service
from qwen_app.ui.chat.composed import Composed, check_choices
from qwen_app.ui.chat.lens import lens_html, lens_of, unread_html
from qwen_app.ui.chat.live_answer import LiveDrawing
from qwen_app.ui.chat.session import ChatSession, Follower, shown_chat
from qwen_app.ui.chat.view import (
    ChatView,
    DrawnMessage,
    Views,
    chat_messages,
    not_saved_html,
    refusal_html,
    turn_of,
    typed_question,
    without_chat,
)
from qwen_app.ui.conversations.answering import Answering
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import (
    Conversation,
    Hold,
    ask,
    ask_again,
    begun,
    fork,
    hold,
    switch,
    undo,
)
from qwen_app.ui.conversations.open_chat import MOST_WAITING, OpenChat, OpenChats, RefusedQuestion, TypedMessage
from qwen_app.ui.documents.attaching import Attaching, all_attached

Change = Callable[[Conversation], Conversation | None]
DOUBLE_CLICK_S = 1.0


class ChatActions:
    """Handlers of the chat tab, without its components. Each leaves the session true and yields pictures of it."""

    def __init__(
        self, service: Service, answering: Answering, chats: OpenChats, attaching: Attaching | None = None
    ) -> None:
        self._service = service
        self._answering = answering
        self.chats = chats
        self.composed = Composed(service, answering, attaching or Attaching(service))

    async def send(
        self,
        session: ChatSession,
        text: str,
        choices: Choices,
        user: str,
        *,
        in_parts: bool = False,
    ) -> Views:
        """Ask what the composer holds, ``text`` and documents, or let it wait while an answer is being written.

        Documents are read ``in_parts`` where they exceed the context.
        """
        question = text.strip("\n")
        if not text.strip() and session.attached:
            question = session.texts("documents_question")
        try:
            documents = self.composed.hand_over(session)
        except AppError as gone:
            yield ChatView(notice=self.composed.refusal(session, gone), running=session.busy, documents="")
            return
        message = TypedMessage(question, choices, user, documents, in_parts)
        if not question.strip():
            yield ChatView(self.picture(session))
            return
        if session.chat.live is not None:
            yield self._wait(session, message)
            return
        async with aclosing(self._ask(session, message, composed=True)) as views:
            async for view in views:
                yield view

    def ask(self, session: ChatSession, question: str, choices: Choices, user: str) -> Views:
        """Ask what nobody typed; what the composer holds stays there."""

        def with_question(conversation: Conversation) -> Conversation | None:
            return ask(conversation, question, json_mode=choices.json_mode) if question.strip() else None

        return self.answer(session, with_question, choices, user)

    def regenerate(self, session: ChatSession, choices: Choices, user: str) -> Views:
        def with_question(conversation: Conversation) -> Conversation | None:
            return ask_again(conversation, json_mode=choices.json_mode) if conversation.turns else None

        return self.answer(session, with_question, choices, user)

    async def edit(self, session: ChatSession, message_index: int, shown: str, choices: Choices, user: str) -> Views:
        """Ask a question in other words; while an answer is being written, that waits."""
        number, question = turn_of(message_index, session.first_turn), typed_question(shown)
        turns = session.conversation.turns
        if not (0 <= number < len(turns) and question.strip()):
            yield ChatView(self.picture(session))
            return
        turn = turns[number]
        message = TypedMessage(question, choices, user, turn.documents, turn.summary is not None, edits=turn.id)
        async with aclosing(self._ask(session, message)) as views:
            async for view in views:
                yield view

    async def undo(self, session: ChatSession, choices: Choices, draft: str = "") -> ChatView:
        """Take the last question back, to stand in the composer before its ``draft``."""
        chat = session.chat
        if chat.live is not None:
            chat.live.stop()
            await chat.live.ended()
        documents = chat.conversation.last.documents if chat.conversation.turns else ()
        chat.conversation, question = undo(chat.conversation)
        await self._answering.store(chat)
        question = "\n".join(filter(None, (question, draft)))
        chips = await self.composed.take_back(session, documents, choices)
        meter = await self.measure(session, question, choices)
        if session.chat is not chat:
            return self.overtaken(session)
        return ChatView(
            self.picture(session), meter=meter, notice="", running=False, draft=question, live="", documents=chips
        )

    async def clear(self, session: ChatSession, choices: Choices, *, temporary: bool = False) -> ChatView:
        """Show an empty chat. An answer that is being written in the one before goes on."""
        session.wishes.begin()
        self.chats.keep()
        session.chat = OpenChat(temporary=temporary)
        return await self.show(session, choices)

    async def open(self, session: ChatSession, chat_id: str, choices: Choices) -> Views:
        """Show the owner's chat with this id, and its answer as it comes; else an empty one that says so."""
        wish = session.wishes.begin()
        found = await self.chats.find(session.owner, chat_id)
        if session.wishes.is_overtaken(wish):
            yield self.overtaken(session)
            return
        session.chat = found or OpenChat()
        view = await self.show(session, choices)
        if found is None:
            yield without_chat(view, chat_id, session.texts)
            return
        yield view
        async with aclosing(self.follow(session, choices)) as views:
            async for view in views:
                yield view

    async def switch(self, session: ChatSession, turn: int, step: int, choices: Choices) -> ChatView:
        """Show another variant of a turn."""
        chat = session.chat
        if 0 <= turn < len(chat.conversation.turns):
            chat.conversation = switch(chat.conversation, turn, step)
            await self._answering.store(chat)
        return await self.show(session, choices)

    async def fork(self, session: ChatSession, turn: int, choices: Choices) -> ChatView:
        """Show a new chat that begins with this one up to ``turn``."""
        if 0 <= turn < len(session.conversation.turns):
            wish = session.wishes.begin()
            temporary = session.chat.temporary
            copied = fork(session.conversation, turn)
            chat = OpenChat(copied, "" if temporary else session.owner, temporary=temporary)
            await self._answering.store(chat)
            self.chats.register(chat)
            if session.wishes.is_overtaken(wish):
                return self.overtaken(session)
            session.chat = chat
        return await self.show(session, choices)

    async def take_back(self, session: ChatSession, message_id: str, choices: Choices, what: str) -> Views:
        """Take a waiting message out of its queue: to "edit" it, in the composer, where the page has put its text; or
        "now", which ends the answer being written and asks it; or for good."""
        if what == "now":
            async with aclosing(self._ask_now(session, message_id)) as views:
                async for view in views:
                    yield view
            return
        taken = session.chat.take(message_id)
        yield ChatView(shown=shown_chat(session))
        if taken is not None and what == "edit" and taken.documents:
            yield ChatView(documents=await self.composed.take_back(session, taken.documents, choices))

    async def _ask_now(self, session: ChatSession, message_id: str) -> Views:
        """End the answer being written, and ask the message. It waits until then, whatever becomes of this tab."""
        chat = session.chat
        if chat.live is not None and chat.waits(message_id):
            chat.live.stop()
            await chat.live.ended()
        if session.chat is not chat:  # it waits where it was written
            yield self.overtaken(session)
            return
        taken = chat.take(message_id)
        if taken is None:
            yield ChatView(shown=shown_chat(session))
            return
        async with aclosing(self._ask(session, taken)) as views:
            async for view in views:
                yield view

    async def follow(self, session: ChatSession, choices: Choices) -> Views:
        """Draw what is being written in the chat that is shown, unless that is being done already."""
        chat = session.chat
        if session.follower is not None and session.follower.chat is chat:
            return
        if chat.live is None:
            yield ChatView(self.picture(session), running=False, shown=shown_chat(session))
            return
        yield ChatView(running=True)  # another tab began it, and this one can stop it too
        async with aclosing(self._follow(session, choices)) as views:
            async for view in views:
                yield view

    async def hold(self, session: ChatSession, turn: int, wanted: Hold) -> ChatView:
        """Pin a turn, leave it out of what is sent, or neither. Whoever has the draft measures the lens anew."""
        chat = session.chat
        if 0 <= turn < len(chat.conversation.turns):
            chat.conversation = hold(chat.conversation, turn, wanted)
            await self._answering.store_hold(chat, chat.conversation.turns[turn])
        return ChatView(self.picture(session))

    async def look(self, session: ChatSession, draft: str, choices: Choices) -> ChatView:
        """What would be sent with ``draft``: the lens, and the documents' chips. An answer that comes draws its own
        lens, and documents that were sent meanwhile are not shown again."""
        chat, attached = session.chat, session.attached
        if session.busy:
            return ChatView()
        chips = await self.composed.documents(session, choices) if attached else None
        meter = await self.measure(session, draft, choices)
        if session.busy or session.chat is not chat:
            return ChatView()
        return ChatView(meter=meter, documents=chips if session.attached == attached else None)

    async def measure(self, session: ChatSession, draft: str, choices: Choices) -> str | None:
        """The lens for the next request, were ``draft`` sent, also where it is too long to be counted; empty where the
        engine cannot count, None where a newer look has overtaken this one."""
        number = session.measurings.begin()
        try:
            with_question = begun(ask(session.conversation, draft), choices.start)
            plan = await self.composed.plan(session, with_question, choices)
        except AppError as refused:
            said = unread_html(refused, draft, session.texts) if isinstance(refused, TextTooLong) else ""
            return None if session.measurings.is_overtaken(number) else said
        if session.measurings.is_overtaken(number):
            return None
        exact, attached = self._service.info().exact_counts, session.attached_tokens
        lens = lens_of(plan, with_question, choices.context_tokens, exact=exact, attached_tokens=attached)
        return lens_html(lens, session.texts)

    def picture(self, session: ChatSession) -> list[DrawnMessage]:
        continues = self._service.info().continues
        return chat_messages(
            session.conversation,
            session.texts,
            continues=continues,
            compared=session.compared,
            first=session.first_turn,
        )

    def unfold(self, session: ChatSession) -> ChatView:
        """Show the earlier turns of this chat too."""
        session.unfolded = session.chat
        return ChatView(self.picture(session), shown=shown_chat(session))

    def drawing(self) -> LiveDrawing:
        """What draws an answer while it is written."""
        return LiveDrawing(continues=self._service.info().continues)

    def _wait(self, session: ChatSession, message: TypedMessage) -> ChatView:
        chat = session.chat
        last_question = chat.conversation.last.question if chat.conversation.turns else ""
        twice = last_question == message.text and chat.live is not None and chat.live.age_s() < DOUBLE_CLICK_S
        if twice or len(chat.waiting) >= MOST_WAITING:
            return ChatView()
        chat.waiting = (*chat.waiting, message)
        session.attached = ()
        return ChatView(shown=shown_chat(session), running=True, draft="", documents="")

    async def show(self, session: ChatSession, choices: Choices) -> ChatView:
        """All of the chat that the session shows."""
        chat = session.chat
        meter = await self.measure(session, "", choices)
        if session.chat is not chat:
            return self.overtaken(session)
        return ChatView(
            self.picture(session), meter=meter, notice="", running=session.busy, live="", shown=shown_chat(session)
        )

    def overtaken(self, session: ChatSession) -> ChatView:
        """For an event that looked at a chat which is shown no more: what is shown by now."""
        return ChatView(self.picture(session), running=session.busy)

    async def answer(self, session: ChatSession, change: Change, choices: Choices, user: str) -> Views:
        """Answer the last turn of the conversation as ``change`` makes it, and draw it.

        Nothing happens when there is nothing to change, or while another answer is being written.
        """
        with_question = change(session.conversation)
        if with_question is None or session.busy:
            yield ChatView(self.picture(session))
            return
        start = partial(self._answering.start, session.chat, with_question, choices, user)
        async with aclosing(self._begin(session, start, choices)) as views:
            async for view in views:
                yield view

    async def _ask(self, session: ChatSession, message: TypedMessage, *, composed: bool = False) -> Views:
        """Answer ``message``, and draw it. One that cannot be asked waits, or is in the composer still or again where
        that held it (``composed``)."""
        if session.busy:
            if not composed:
                session.chat.wait_first(message)
            yield ChatView(self.picture(session), shown=shown_chat(session))
            return
        start = partial(self._answering.ask, session.chat, message)
        async with aclosing(self._begin(session, start, message.choices, message, composed=composed)) as views:
            async for view in views:
                yield view

    async def _begin(
        self,
        session: ChatSession,
        start: Callable[[], None],
        choices: Choices,
        message: TypedMessage | None = None,
        *,
        composed: bool = False,
    ) -> Views:
        """Pictures of the answer that ``start`` begins, or of why there is none; see ``_ask``."""
        chat = session.chat
        try:
            check_choices(choices, session)
            if not chat.stored:
                chat.owner = "" if chat.temporary else session.owner
            start()
        except AppError as error:
            if message is not None and not composed:
                chat.wait_first(message)
            notice, draft = refusal_html(error, session.texts), message.text if message and composed else None
            shown = shown_chat(session)
            yield ChatView(self.picture(session), notice=notice, running=False, draft=draft, shown=shown)
            return
        self.chats.register(chat)
        draft, chips = ("", "") if composed else (None, None)
        if composed:
            session.sending, session.attached = session.attached, ()
        shown = shown_chat(session)
        yield ChatView(self.picture(session), notice="", running=True, draft=draft, shown=shown, documents=chips)
        async with aclosing(self._follow(session, choices, message if composed else None)) as views:
            async for view in views:
                yield view

    async def _follow(self, session: ChatSession, choices: Choices, composed: TypedMessage | None = None) -> Views:
        """Pictures of the chat's answers, one after the other, until none is being written or another chat is shown.

        One that begins while the end of the one before is drawn is followed too, here or by who began it. What was
        ``composed`` in this tab comes back into its composer where it cannot be asked.
        """
        chat = session.chat
        follower = session.follower = Follower(chat)
        try:
            while session.follower is follower and session.chat is chat:
                async with aclosing(self._live_views(session, choices)) as views:
                    async for view in views:
                        yield view
                if session.chat is not chat:
                    return
                ended = await self._ended(session, choices, composed)
                if chat.live is None:
                    yield ended if session.chat is chat else self.overtaken(session)
                if chat.live is None:  # nor did one begin while that was drawn
                    return
                yield ChatView(running=True)  # the end may have been drawn already
        finally:
            if session.follower is follower:
                session.follower = None

    async def _live_views(self, session: ChatSession, choices: Choices) -> Views:
        chat, drawing = session.chat, self.drawing()
        while (live := chat.live) is not None:
            async with aclosing(live.attach()) as snapshots:
                async for _, progress in snapshots:
                    if session.chat is not chat:
                        yield self.overtaken(session)  # the last picture is shown again at the end
                        return
                    if not progress.over:
                        yield drawing.view(session, progress, choices)
            await live.ended()

    async def _ended(self, session: ChatSession, choices: Choices, composed: TypedMessage | None) -> ChatView:
        chat = session.chat
        if chat.refusal is not None:
            return await self._refused(session, chat.refusal, choices, composed)
        notice = not_saved_html(chat.not_saved, session.texts)
        meter = await self.measure(session, "", choices)
        return ChatView(self.picture(session), meter=meter, notice=notice, running=False, shown=shown_chat(session))

    async def _refused(
        self, session: ChatSession, refusal: RefusedQuestion, choices: Choices, composed: TypedMessage | None
    ) -> ChatView:
        """What was ``composed`` here waits no more: it is in the composer again, beside what was attached meanwhile."""
        notice, draft = refusal_html(refusal.error, session.texts), None
        if composed is not None and refusal.message is composed and session.chat.take(composed.id):
            draft, session.attached = composed.text, all_attached(session.sending, session.attached)
            if session.attached and isinstance(refusal.error, ContextLengthExceeded):
                notice = ""  # said below the chips, with what can be done
        chips = await self.composed.documents(session, choices)
        picture, shown = self.picture(session), shown_chat(session)
        return ChatView(picture, meter="", notice=notice, running=False, draft=draft, shown=shown, documents=chips)
