"""What the files tab does with a question: search the files, and answer from what was found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from qwen_app.errors import RequestError
from qwen_app.knowledge.citing import messages_for
from qwen_app.knowledge.knowledge_base import KnowledgeBase
from qwen_app.knowledge.search import FoundPassage
from qwen_app.messages import GenerationRequest, PromptPolicy
from qwen_app.service import Service
from qwen_app.ui.files.session import FilesSession
from qwen_app.ui.files.view import FilesView, answer_text, sources_html
from qwen_app.ui.shared.notices import failure_html, notice_html
from qwen_app.ui.shared.run_line import run_line, run_of, waiting_line
from qwen_app.ui.shared.stream import follow
from qwen_app.ui.shared.strings import Language, Texts

ANSWER_TOKENS = 512
ANSWER_SHARE = 4  # of a small context, at most this part
Views = AsyncGenerator[FilesView, None]


class AskingActions:
    """Handlers without their components. ``owner`` is whose files they are, empty: nobody's."""

    def __init__(self, service: Service, knowledge: KnowledgeBase) -> None:
        self._service = service
        self._knowledge = knowledge

    async def ask(
        self, session: FilesSession, owner: str, user: str, collection: str, question: str, language: Language
    ) -> Views:
        """An answer from the passages that the question finds; "not in your files" where it finds none."""
        answer = session.slot.take()
        if answer is None:
            yield FilesView()
            return
        texts = session.slot.speak(language)
        session.passages, session.progress = (), None
        try:
            yield FilesView("", f'<div class="waiting">{texts("files_searching")}</div>', "", running=True)
            if not question.strip():
                raise RequestError(texts("prompt_missing"))
            found = await self._found(owner, collection, question)
            if not found:
                yield FilesView(state=notice_html(texts("files_nothing")), running=False)
                return
            session.passages = await self._that_fit(question, found)
            yield FilesView(sources=sources_html(session.passages, "", texts))
            async with aclosing(self._answer(session, answer.stop, user, question, texts)) as views:
                async for view in views:
                    yield view
            yield FilesView(running=False)
        except Exception as error:
            yield FilesView(state=failure_html(error, texts), running=False)
        finally:
            answer.release()

    async def _found(self, owner: str, collection: str, question: str) -> tuple[FoundPassage, ...]:
        """The passages of the collection that is called so now; none where there is none."""
        named = await self._knowledge.named(owner, collection)
        return (await self._knowledge.find(owner, named.id, question)).passages if named is not None else ()

    async def _that_fit(self, question: str, passages: tuple[FoundPassage, ...]) -> tuple[FoundPassage, ...]:
        """The best of them that leave room for the answer. Raises RequestError where not even one does."""
        context = self._service.info().context_tokens
        room = context - min(ANSWER_TOKENS, context // ANSWER_SHARE)
        for count in range(len(passages), 0, -1):
            if await self._service.count_tokens(messages_for(question, passages[:count])) <= room:
                return passages[:count]
        raise RequestError("The context is too short for a passage and an answer. Start with a longer --context.")

    async def _answer(
        self, session: FilesSession, stop: asyncio.Event, user: str, question: str, texts: Texts
    ) -> Views:
        request = GenerationRequest(
            self._service.new_request_id(),
            messages_for(question, session.passages),
            sampling=self._service.sampling(temperature=0.0, max_tokens=ANSWER_TOKENS),
            user=user,
            policy=PromptPolicy(cap_answer=True),
        )
        async with aclosing(self._service.generate(request)) as events, aclosing(follow(events, stop)) as snapshots:
            async for progress in snapshots:
                session.progress = progress
                yield self._view(session, texts)

    def picture(self, session: FilesSession, texts: Texts) -> FilesView:
        """The last answer anew."""
        return self._view(session, texts) if session.progress is not None else FilesView()

    def _view(self, session: FilesSession, texts: Texts) -> FilesView:
        progress, count = session.progress, len(session.passages)
        if progress is None:
            return FilesView()
        if not progress.over:
            return FilesView(
                answer_text(progress.text, count), f'<div class="waiting">{waiting_line(progress, texts)}</div>'
            )
        line = run_line(run_of(progress), texts)
        state = f'<div class="run-line" role="status">{line}</div>'
        return FilesView(answer_text(progress.text, count), state, sources_html(session.passages, progress.text, texts))
