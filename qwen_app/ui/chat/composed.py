"""What the composer holds before it is sent: its documents as chips, whether they fit, the API's body for it all."""

from __future__ import annotations

import dataclasses

from qwen_app.documents.attachment import Attachment
from qwen_app.errors import AppError, RequestError
from qwen_app.messages import GenerationRequest
from qwen_app.openai_format import RequestBody, openai_body
from qwen_app.prompting import PromptPlan
from qwen_app.service import Service
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.conversations.answering import Answering
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import Conversation, ask, ask_again, begun
from qwen_app.ui.documents.attaching import Attaching, all_attached
from qwen_app.ui.documents.attachment_view import attached_html, document_refusal_html, too_much


class Composed:
    """Looks at a session's composer. ``attaching`` finds the documents that wait there."""

    def __init__(self, service: Service, answering: Answering, attaching: Attaching) -> None:
        self._service = service
        self._answering = answering
        self.attaching = attaching

    def hand_over(self, session: ChatSession) -> tuple[Attachment, ...]:
        """The documents of the next question. Raises DocumentRefused, and lets go of all, where one is lost."""
        try:
            return self.attaching.hand_over(session.attached, session.uploader)
        except AppError:
            session.attached = ()
            raise

    async def take_back(self, session: ChatSession, documents: tuple[Attachment, ...], choices: Choices) -> str:
        """The chips after a question came back into the composer, with its documents."""
        taken = self.attaching.take_back(documents, session.uploader)
        session.attached = all_attached(taken, session.attached)
        return await self.documents(session, choices)

    def refusal(self, session: ChatSession, error: Exception) -> str:
        return document_refusal_html(error, session.texts)

    async def documents(self, session: ChatSession, choices: Choices) -> str:
        """The chips of the documents in the composer, and below them what to do where they do not fit."""
        if not session.attached:
            return ""
        try:
            plan = await self._service.plan(self._answering.request(ask(session.conversation, ""), choices, user=""))
        except AppError:
            return attached_html(session.attached, session.texts)
        room, most = plan.budget_tokens - plan.needed_tokens, self._service.info().context_tokens
        sentence = ""
        if session.attached_tokens > room:
            sentence = too_much(session.attached_tokens, room, choices.context_tokens, most, session.texts)
        return attached_html(session.attached, session.texts, sentence)

    async def plan(self, session: ChatSession, drafted: Conversation, choices: Choices) -> PromptPlan:
        """What would be sent for ``drafted``, whose last turn is the draft, beside room for the documents.

        They are not counted anew with every letter: the room is kept free as that of the answer is. Raises AppError.
        """
        request = self._answering.request(drafted, choices, user="")
        reserve_tokens = choices.reserve_tokens() + session.attached_tokens
        policy = dataclasses.replace(request.policy, reserve_tokens=reserve_tokens)
        return await self._service.plan(dataclasses.replace(request, policy=policy))

    async def prompt(self, session: ChatSession, draft: str, choices: Choices, user: str) -> GenerationRequest:
        """What would be sent for ``draft`` with its documents, or for the last question where nothing is typed.

        Raises AppError.
        """
        check_choices(choices, session)
        conversation = session.conversation
        if draft.strip() or session.attached or not conversation.turns:
            documents = self.attaching.hand_over(session.attached, session.uploader)
            question = draft.strip() or session.texts("documents_question" if documents else "example_capital")
            conversation = ask(conversation, question, documents=documents)
        else:
            conversation = ask_again(conversation)
        request = self._answering.request(begun(conversation, choices.start), choices, user)
        return (await self._service.plan(request)).request

    async def body(self, session: ChatSession, draft: str, choices: Choices) -> RequestBody:
        """The API's body for what ``prompt`` would send. Raises AppError."""
        request = await self.prompt(session, draft, dataclasses.replace(choices, start=""), user="")
        return openai_body(self._service.info().model, request.messages, request.sampling, grammar=request.grammar)


def check_choices(choices: Choices, session: ChatSession) -> None:
    """Raises RequestError where the settings are wrong."""
    if choices.problem:
        raise RequestError(session.texts(choices.problem))
