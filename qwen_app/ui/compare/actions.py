"""What the compare tab does: ask twice at once, vote, keep one answer as a chat."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from contextlib import aclosing

from qwen_app.errors import RequestError
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.service import Service
from qwen_app.ui.compare.asking import CompareTask, Pair, both_answers, comparison_of
from qwen_app.ui.compare.session import CompareSession
from qwen_app.ui.compare.view import CompareView, answers_of, difference_box, no_prompt, states_of, table_html
from qwen_app.ui.conversations.conversation import Conversation, answer, ask
from qwen_app.ui.conversations.saved_form import saved_turns
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.shared.word_difference import difference_html

Views = AsyncGenerator[CompareView, None]


class CompareActions:
    """Handlers of the compare tab, without its components."""

    def __init__(self, service: Service, saved: SavedChats) -> None:
        self._service = service
        self._saved = saved

    async def run(self, session: CompareSession, task: CompareTask, user: str, texts: Texts) -> Views:
        """Ask both sides at once. Nothing while another comparison runs."""
        if not task.prompt.strip():
            yield no_prompt(texts)
            return
        running = session.slot.take()
        if running is None:
            yield CompareView()
            return
        try:
            yield CompareView(("", ""), ("", ""), notice="", difference="", running=True)
            pair: Pair | None = None
            async with aclosing(both_answers(self._service, task, user, running.stop)) as pairs:
                async for pair in pairs:
                    json_modes = [side.json_mode for side in task.sides]
                    yield CompareView(answers_of(pair, json_modes), states_of(pair, texts))
            if pair is not None:
                session.add(comparison_of(task, pair))
            yield await self._ended(session, texts)
        finally:
            running.release()

    async def _ended(self, session: CompareSession, texts: Texts) -> CompareView:
        if not session.done:
            return CompareView(running=False)
        left, right = session.done[-1].left.text, session.done[-1].right.text
        difference = await asyncio.to_thread(difference_html, left, right)
        box = difference_box(difference, left == right, texts)
        return CompareView(difference=box, table=table_html(session.done, texts), running=False)

    async def keep(self, session: CompareSession, *, left: bool, owner: str, texts: Texts) -> str:
        """Save one answer of the comparison that is shown as a chat of ``owner``; its id. Raises AppError."""
        if not session.done or not owner:
            raise RequestError(texts("compare_nothing_kept"))
        one = session.done[-1]
        side = one.left if left else one.right
        with_question = ask(Conversation(), one.prompt, json_mode=side.settings.json_mode)
        written = answer(with_question, side.text, side.run, with_question.last.id)
        settings = {name: value for name, value in dataclasses.asdict(side.settings).items() if name != "json_mode"}
        turn = dataclasses.replace(written.last, settings=settings)
        form = saved_turns(dataclasses.replace(written, turns=(turn,)), turn)
        if not await self._saved.run(self._saved.chats.save, owner, form, new=True):
            raise RequestError(texts("compare_nothing_kept"))
        return form.summary.id
