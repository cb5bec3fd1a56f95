"""An answer from documents that exceed the context: they are read in parts, and the answer is made of the notes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

from qwen_app.messages import Failed, GenerationRequest
from qwen_app.service import Service
from qwen_app.summaries.reading import DocumentReader, ReadingTask
from qwen_app.summaries.values import DocumentSummary, ReadingStep
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import Conversation, with_summary
from qwen_app.ui.conversations.open_chat import OpenChat
from qwen_app.ui.shared.context import TurnCounter
from qwen_app.ui.shared.stream import Happenings


class ReadingInParts:
    """What happens on the way to such an answer, as one stream of events. A guest's ``turns`` count each part too."""

    def __init__(self, service: Service, turns: TurnCounter | None) -> None:
        self._service = service
        self._reader = DocumentReader(service, turns.take) if turns is not None else DocumentReader(service)

    async def events(
        self,
        chat: OpenChat,
        choices: Choices,
        user: str,
        final: Callable[[Conversation], GenerationRequest],
        saved: Callable[[], None],
    ) -> Happenings:
        """Read the documents of the chat's last turn, and ask what ``final`` makes of it once it has its notes.

        ``saved`` is called when there is something to save: reading that is broken off goes on from there.
        """
        with_question = chat.conversation
        turn = with_question.last

        def keep(summary: DocumentSummary) -> None:
            nonlocal with_question
            with_question = with_summary(with_question, summary, turn.id)
            chat.conversation = with_summary(chat.conversation, summary, turn.id)  # where another branch may be shown
            if summary.notes:  # else it may still turn out that nothing of it can be asked
                saved()

        task = ReadingTask(
            documents=tuple(attachment.document for attachment in turn.documents),
            question=turn.question,
            system=tuple(choices.system_messages()),
            user=user,
            context_tokens=min(choices.context_tokens, self._service.info().context_tokens),
            answer_tokens=choices.reserve_tokens(),
        )
        async with aclosing(self._reader.read(task, turn.summary or DocumentSummary(), keep)) as steps:
            async for event in steps:
                yield event
                if isinstance(event, Failed):
                    return
        yield ReadingStep("answer")
        async with aclosing(self._service.generate(final(with_question))) as events:
            async for event in events:
                yield event
