"""What the page's own scripts ask about documents: one was uploaded, taken away, cut to pages, or refused."""

from __future__ import annotations

from qwen_app.errors import AppError
from qwen_app.ui.chat.actions import ChatActions
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.chat.view import ChatView, Views
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.documents.attaching import with_document, with_part
from qwen_app.ui.documents.attachment_view import document_refusal_html, no_range_html, refused_html
from qwen_app.ui.shared.handlers import entry, text

LIMIT_VALUES = 8  # of what a browser repeats of a refusal
LIMIT_VALUE_CHARS = 200


class DocumentCommands:
    """Each takes what a command of ``ChatCommands`` takes."""

    def __init__(self, actions: ChatActions) -> None:
        self._actions = actions

    async def attach(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        document_id, asked = text(entry(command, "id")), text(entry(command, "asked"))[:LIMIT_VALUE_CHARS]
        try:
            counted = await self._actions.composed.attaching.attached(document_id, session.uploader)
            session.attached = with_document(session.attached, counted)  # others may have come meanwhile
        except AppError as refused:
            yield ChatView(notice=document_refusal_html(refused, session.texts, asked))
            return
        yield await self._with_documents(session, choices)

    async def detach(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        document_id = text(entry(command, "id"))
        session.attached = tuple(one for one in session.attached if one.id != document_id)
        session.sending = tuple(one for one in session.sending if one.id != document_id)  # nor back when it is refused
        yield await self._with_documents(session, choices)

    async def choose_pages(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        document_id, pages = text(entry(command, "id")), text(entry(command, "pages"))[:LIMIT_VALUE_CHARS]
        asked = text(entry(command, "asked"))[:LIMIT_VALUE_CHARS]
        try:
            async with session.choosing:  # one after the other: an earlier choice may take longer to count
                part = await self._actions.composed.attaching.attached(document_id, session.uploader, pages)
                session.attached = with_part(session.attached, part)
        except ValueError:
            yield ChatView(notice=no_range_html(pages, session.texts, asked))
            return
        except AppError as refused:
            yield ChatView(notice=document_refusal_html(refused, session.texts, asked))
            return
        yield await self._with_documents(session, choices)

    def in_parts(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        """Send the question with the documents in the composer, which are read part by part."""
        return self._actions.send(session, text(entry(command, "question")), choices, user, in_parts=True)

    async def refused(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        """The server's own refusal of an upload, as the browser hands it on: only sentences of ours are said."""
        reason, values = text(entry(command, "reason")), entry(command, "values")
        pairs = list(values.items())[:LIMIT_VALUES] if isinstance(values, dict) else []
        values = {text(name): text(value)[:LIMIT_VALUE_CHARS] for name, value in pairs}
        detail = text(entry(command, "detail"))[:LIMIT_VALUE_CHARS]
        yield ChatView(notice=refused_html(reason, values, detail, session.texts))

    async def _with_documents(self, session: ChatSession, choices: Choices) -> ChatView:
        meter = await self._actions.measure(session, "", choices)
        return ChatView(notice="", meter=meter, documents=await self._actions.composed.documents(session, choices))
