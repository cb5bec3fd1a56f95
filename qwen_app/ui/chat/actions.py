"""What the chat tab does: send, regenerate, edit, stop, undo, show another chat or branch, measure."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

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
    edit,
    fork,
    hold,
    switch,
    undo,
)
from qwen_app.ui.conversations.open_chat import MOST_WAITING, OpenChat, OpenChats, WaitingMessage
from qwen_app.ui.documents.attaching import MOST_ATTACHED, Attaching

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
        self.composed = Composed(service, answering, attaching)
        self.prompt, self.body = self.composed.prompt, self.composed.body

    async def send(
        self,
        session: ChatSession,
        text: str,
        choices: Choices,
        user: str,
        taken: WaitingMessage | None = None,
        *,
        in_parts: bool = False,
    ) -> Views:
        """Ask ``text`` with the documents in the composer, or let it wait while an answer is being written.

        A message ``taken`` out of its queue has its own documents. Documents are read ``in_parts`` where they exceed
        the context.
        """
        chat, question = session.chat, text.strip("\n")
        if not text.strip() and session.attached:
            question = session.texts("documents_question")
        try:
            documents = taken.documents if taken else self.composed.hand_over(session)
        except AppError as gone:
            yield ChatView(notice=self.composed.refusal(session, gone), running=session.busy, documents="")
            return
        if chat.live is not None and question.strip():
            yield self._wait(session, WaitingMessage(question, choices, user, documents, in_parts))
            return

        def with_question(conversation: Conversation) -> Conversation | None:
            wanted = ask(conversation, question, json_mode=choices.json_mode, documents=documents, in_parts=in_parts)
            return wanted if question.strip() else None

        async with aclosing(self.answer(session, with_question, choices, user, cleared=True)) as views:
            async for view in views:
                yield view

    def regenerate(self, session: ChatSession, choices: Choices, user: str) -> Views:
        def with_question(conversation: Conversation) -> Conversation | None:
            return ask_again(conversation, json_mode=choices.json_mode) if conversation.turns else None

        return self.answer(session, with_question, choices, user)

    def edit(self, session: ChatSession, message_index: int, shown: str, choices: Choices, user: str) -> Views:
        turn, question = turn_of(message_index, session.first_turn), typed_question(shown)

        def with_question(conversation: Conversation) -> Conversation | None:
            there = 0 <= turn < len(conversation.turns) and question.strip()
            return edit(conversation, turn, question, json_mode=choices.json_mode) if there else None

        return self.answer(session, with_question, choices, user)

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

    async def clear(self, session: ChatSession, choices: Choices) -> ChatView:
        """Show an empty chat. An answer that is being written in the one before goes on."""
        session.wishes.begin()
        session.chat = OpenChat()
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
            chat = OpenChat(fork(session.conversation, turn), "" if session.temporary else session.owner)
            await self._answering.store(chat)
            self.chats.register(chat)
            if session.wishes.is_overtaken(wish):
                return self.overtaken(session)
            session.chat = chat
        return await self.show(session, choices)

    async def take_back(self, session: ChatSession, message_id: str, choices: Choices, *, send: bool) -> Views:
        """Take a waiting message out of its queue; ``send`` ends the answer being written and asks it now."""
        chat = session.chat
        taken = next((message for message in chat.waiting if message.id == message_id), None)
        chat.waiting = tuple(message for message in chat.waiting if message is not taken)
        yield ChatView(shown=shown_chat(session))
        if taken is None or not send:
            return
        if chat.live is not None:
            chat.live.stop()
            await chat.live.ended()
        if session.chat is not chat:  # it waits where it was written
            chat.waiting = (taken, *chat.waiting)
            yield self.overtaken(session)
            return
        again = self.send(session, taken.text, taken.choices, taken.user, taken, in_parts=taken.in_parts)
        async with aclosing(again) as views:
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
        async with aclosing(self._follow(session, choices, cleared=False)) as views:
            async for view in views:
                yield view

    async def hold(self, session: ChatSession, turn: int, wanted: Hold) -> ChatView:
        """Pin a turn, leave it out of what is sent, or neither. Whoever has the draft measures the lens anew."""
        chat = session.chat
        if 0 <= turn < len(chat.conversation.turns):
            chat.conversation = hold(chat.conversation, turn, wanted)
            if not session.busy:  # else the end of the answer saves it
                await self._answering.store(chat, chat.conversation.turns[turn])
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

    def _wait(self, session: ChatSession, message: WaitingMessage) -> ChatView:
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

    async def answer(
        self, session: ChatSession, change: Change, choices: Choices, user: str, *, cleared: bool = False
    ) -> Views:
        """Answer the last turn of the conversation as ``change`` makes it, and draw it.

        Nothing happens when there is nothing to change, or while another answer is being written. ``cleared``: the
        composer held the question, and gets it back when it cannot be asked.
        """
        chat = session.chat
        with_question = change(chat.conversation)
        if with_question is None or session.busy:
            yield ChatView(self.picture(session))
            return
        try:
            check_choices(choices, session)
            if not chat.stored:
                chat.owner = "" if session.temporary else session.owner
            self._answering.start(chat, with_question, choices, user)
        except AppError as error:
            question = with_question.last.question if cleared else None
            notice = refusal_html(error, session.texts)
            yield ChatView(self.picture(session), notice=notice, running=False, draft=question)
            return
        self.chats.register(chat)
        draft, chips = ("", "") if cleared else (None, None)
        if cleared:
            session.sending, session.attached = session.attached, ()
        shown = shown_chat(session)
        yield ChatView(self.picture(session), notice="", running=True, draft=draft, shown=shown, documents=chips)
        async with aclosing(self._follow(session, choices, cleared=cleared)) as views:
            async for view in views:
                yield view

    async def _follow(self, session: ChatSession, choices: Choices, *, cleared: bool) -> Views:
        """Pictures of the chat's answers, one after the other, until none is being written or another chat is shown.

        One that begins while the end of the one before is drawn is followed too, here or by who began it.
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
                ended = await self._ended(session, choices, cleared=cleared)
                if chat.live is None:
                    yield ended if session.chat is chat else self.overtaken(session)
                if chat.live is None:  # nor did one begin while that was drawn
                    return
                yield ChatView(running=True)  # the end may have been drawn already
                cleared = False  # it was another question
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

    async def _ended(self, session: ChatSession, choices: Choices, *, cleared: bool) -> ChatView:
        chat = session.chat
        notice = not_saved_html(chat.not_saved, session.texts)
        if chat.refusal is not None:
            notice = refusal_html(chat.refusal.error, session.texts)
            draft = chat.refusal.question if cleared else None
            if cleared:  # beside what was attached meanwhile
                session.attached = (*session.sending, *session.attached)[:MOST_ATTACHED]
            chips = await self.composed.documents(session, choices)
            if session.attached and isinstance(chat.refusal.error, ContextLengthExceeded):
                notice = ""  # said below the chips, with what can be done
            shown = shown_chat(session)
            picture = self.picture(session)
            return ChatView(picture, meter="", notice=notice, running=False, draft=draft, shown=shown, documents=chips)
        meter = await self.measure(session, "", choices)
        return ChatView(self.picture(session), meter=meter, notice=notice, running=False, shown=shown_chat(session))
