"""Reads documents part by part: a request a part, one after the other, until their notes fit into one prompt.

Each request is an ordinary one, in the queue behind and before those of others. What was noted is handed on at once,
so that reading that was broken off goes on where it was.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from qwen_app.documents.document import Document, Section
from qwen_app.errors import AppError, RequestError
from qwen_app.messages import Delta, Event, Failed, Finished, GenerationRequest, Message, PromptPolicy
from qwen_app.service import Service
from qwen_app.summaries.parts import FEWEST_TOKENS, DocumentPart, grouped, split
from qwen_app.summaries.prompts import joining_prompt, note_text, part_prompt, with_notes
from qwen_app.summaries.values import DocumentSummary, PartNote, ReadingStep

NOTE_TOKENS = 400  # of one note, at most
NOTE_SHARE = 8  # of a small context, at most this part
SPARE_TOKENS = 32  # pieces that are counted apart may take a few more together
MOST_PARTS = 400
TOO_SHORT = "The context is too short to read documents in parts. Raise the context length, or shorten the question."

Keep = Callable[[DocumentSummary], None]
Steps = AsyncGenerator[Event | ReadingStep, None]


@dataclass(frozen=True, slots=True)
class ReadingTask:
    """What is read, and for which question. ``answer_tokens`` are kept free for the answer that is made in the end."""

    documents: tuple[Document, ...]
    question: str
    system: tuple[Message, ...]
    user: str
    context_tokens: int
    answer_tokens: int

    @property
    def note_tokens(self) -> int:
        return min(NOTE_TOKENS, self.context_tokens // NOTE_SHARE)


@dataclass(frozen=True, slots=True)
class _Job:
    """One request: its ``prompt``, and the note that it fills."""

    step: ReadingStep
    prompt: str
    note: PartNote


class DocumentReader:
    """Reads with the model behind ``service``. ``count`` is called with the user before each request, and may refuse by
    an AppError."""

    def __init__(self, service: Service, count: Callable[[str], None] = lambda user: None) -> None:
        self._service = service
        self._count_request = count

    async def read(self, task: ReadingTask, summary: DocumentSummary, keep: Keep) -> Steps:
        """Read on from ``summary`` until it is ready, and ``keep`` it after each request.

        Yields the steps, and the requests' events but for their texts and ends. Ends early with ``Failed``.
        """
        try:
            parts = await self._parts(task)
            if summary.parts != len(parts) or not _continues(summary.notes, parts):
                summary = DocumentSummary(parts=len(parts))
                keep(summary)
            notes = _Notes(summary, keep)
            async with aclosing(self._all_steps(task, parts, notes)) as events:
                async for event in events:
                    yield event
                    if isinstance(event, Failed):
                        return
        except AppError as refused:
            yield Failed(refused)

    async def _parts(self, task: ReadingTask) -> tuple[DocumentPart, ...]:
        """Raises RequestError where nothing useful fits, or where there are too many of them."""
        longest_name = max((document.name for document in task.documents), key=len, default="")
        around = await self._size(
            task, part_prompt(DocumentPart(longest_name, (), 0), MOST_PARTS, MOST_PARTS, task.question)
        )
        room = task.context_tokens - task.note_tokens - around - SPARE_TOKENS
        if room < FEWEST_TOKENS:
            raise RequestError(TOO_SHORT)
        parts = await split(task.documents, room, self._count)
        if len(parts) > MOST_PARTS:
            raise RequestError(
                f"The documents take {len(parts)} parts at this context, and {MOST_PARTS} can be read. Raise the "
                "context length, or choose pages."
            )
        return parts

    async def _all_steps(self, task: ReadingTask, parts: Sequence[DocumentPart], notes: _Notes) -> Steps:
        done = len(notes.summary.notes)
        for number, part in enumerate(parts[done:], done + 1):
            note, prompt = _empty_note(part), part_prompt(part, number, len(parts), task.question)
            async with aclosing(
                self._ask(task, _Job(ReadingStep("part", number, len(parts), note.place), prompt, note), notes)
            ) as events:
                async for event in events:
                    yield event
            notes.take_newest()
        async with aclosing(self._join(task, notes)) as events:
            async for event in events:
                yield event

    async def _join(self, task: ReadingTask, notes: _Notes) -> Steps:
        """Make fewer of the notes until they fit beside the question and its answer."""
        around = await self._size(task, with_notes(task.question, _blank(notes.summary.notes)))
        room = task.context_tokens - task.answer_tokens - around - SPARE_TOKENS
        around = await self._size(task, joining_prompt((), task.question))
        room_of_join = task.context_tokens - task.note_tokens - around - SPARE_TOKENS
        joined = notes.summary.notes
        while sum(sizes := [await self._count(note_text(note)) for note in joined]) > room:
            groups = [joined[group.start : group.stop] for group in grouped(sizes, room_of_join)]
            if len(groups) == len(joined):
                raise RequestError(TOO_SHORT)
            fewer: list[PartNote] = []
            for number, group in enumerate(groups, 1):
                if len(group) > 1:
                    job = _joining(group, number, len(groups), task.question)
                    async with aclosing(self._ask(task, job, notes)) as events:
                        async for event in events:
                            yield event
                fewer.append(notes.newest if len(group) > 1 else group[0])
            joined = tuple(fewer)
        notes.keep(dataclasses.replace(notes.summary, joined=joined))

    async def _ask(self, task: ReadingTask, job: _Job, notes: _Notes) -> Steps:
        """One request. What it says is the newest note."""
        yield job.step
        self._count_request(task.user)
        request = GenerationRequest(
            self._service.new_request_id(),
            (*task.system, Message("user", job.prompt)),
            sampling=self._service.sampling(temperature=0.0, max_tokens=task.note_tokens),
            user=task.user,
            context_tokens=task.context_tokens,
            policy=PromptPolicy(cap_answer=True),
        )
        text, started = "", time.monotonic()
        async with aclosing(self._service.generate(request)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    text += event.text
                elif isinstance(event, Finished):
                    note = dataclasses.replace(job.note, text=text.strip())
                    notes.note(note, event.usage.prompt_tokens, time.monotonic() - started)
                else:
                    yield event

    async def _size(self, task: ReadingTask, prompt: str) -> int:
        return await self._service.count_tokens((*task.system, Message("user", prompt)))

    async def _count(self, text: str) -> int:
        return await self._service.count_text(text)


class _Notes:
    """The summary as it grows. ``newest`` is what the last request noted."""

    def __init__(self, summary: DocumentSummary, keep: Keep) -> None:
        self.summary = summary
        self._keep = keep
        self.newest = _NOTHING

    def keep(self, summary: DocumentSummary) -> None:
        self.summary = summary
        self._keep(summary)

    def note(self, note: PartNote, tokens: int, seconds: float) -> None:
        self.newest, before = note, self.summary
        self.summary = dataclasses.replace(before, tokens=before.tokens + tokens, seconds=before.seconds + seconds)

    def take_newest(self) -> None:
        """It is the note on the next part."""
        self.keep(dataclasses.replace(self.summary, notes=(*self.summary.notes, self.newest)))


_NOTHING = PartNote("", Section("section", 0, 0, ""), Section("section", 0, 0, ""), "")


def _joining(group: Sequence[PartNote], number: int, count: int, question: str) -> _Job:
    one = dataclasses.replace(group[0], last=group[-1].last, text="")
    return _Job(ReadingStep("join", number, count, one.place), joining_prompt(group, question), one)


def _empty_note(part: DocumentPart) -> PartNote:
    return PartNote(part.document, _end(part.sections[0]), _end(part.sections[-1]), "")


def _end(section: Section) -> Section:
    return dataclasses.replace(section, text="")


def _continues(notes: Sequence[PartNote], parts: Sequence[DocumentPart]) -> bool:
    """Whether the notes are those of the first parts: with another context length the parts are others."""
    return all(
        dataclasses.replace(note, text="") == _empty_note(part) for note, part in zip(notes, parts, strict=False)
    )


def _blank(notes: Sequence[PartNote]) -> tuple[PartNote, ...]:
    """One note without a word, so that what stands around notes is counted."""
    return tuple(dataclasses.replace(note, text="") for note in notes[:1])
