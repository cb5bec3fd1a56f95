"""Reading part by part on a scripted engine: every request fits, notes are kept at once, reading goes on from them."""

from __future__ import annotations

import dataclasses
import re

import pytest

from qwen_app.documents.document import Document, Section
from qwen_app.errors import EngineError, RequestError, TurnsUsedUp
from qwen_app.messages import Delta, Event, Failed, Finished, GenerationRequest, Message, Prefill
from qwen_app.service import Service
from qwen_app.summaries.prompts import with_notes
from qwen_app.summaries.reading import DocumentReader, ReadingTask
from qwen_app.summaries.values import DocumentSummary, PartNote, ReadingStep, read_summary_json, summary_json
from qwen_app.testing.scripted_engine import Script, ScriptedEngine

pytestmark = pytest.mark.anyio
CONTEXT = 2048  # bytes, which are this engine's tokens
BOOK = Document("book.pdf", "pdf", tuple(Section("page", n, n, f"Page {n} says {n * 11}. " * 8) for n in range(1, 41)))
TASK = ReadingTask((BOOK,), "What is said?", (Message("system", "Be brief."),), "ada", CONTEXT, 256)


def noting(request: GenerationRequest) -> Script:
    """Says how many pages it was given, at the length of a note."""
    pages = re.findall(r"^\[page (\d+)\]$", request.messages[-1].content, re.M)
    return Script((f"{len(pages)} pages from {pages[0]}. " if pages else "joined. ", "and so on " * 40))


class Read:
    """What one run yields and keeps."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self.engine = engine
        self.kept: list[DocumentSummary] = []

    async def __call__(
        self,
        task: ReadingTask = TASK,
        summary: DocumentSummary = DocumentSummary(),  # noqa: B008 (frozen)
    ) -> list[Event | ReadingStep]:
        reader = DocumentReader(Service(self.engine))
        return [event async for event in reader.read(task, summary, self.kept.append)]


async def test_each_part_is_one_request_that_fits_and_its_note_has_its_pages() -> None:
    read = Read(ScriptedEngine(noting, context_tokens=CONTEXT))
    events = await read()
    summary = read.kept[-1]
    steps = [event for event in events if isinstance(event, ReadingStep) and event.kind == "part"]
    assert summary.ready
    assert len(summary.notes) == summary.parts == len(steps) > 3
    assert [(step.number, step.count, step.place) for step in steps] == [
        (number, summary.parts, note.place) for number, note in enumerate(summary.notes, 1)
    ]
    assert (summary.notes[0].first.first, summary.notes[-1].last.last) == (1, 40)
    assert {request.user for request in read.engine.requests} == {"ada"}
    assert not any(isinstance(event, Failed | Delta | Finished) for event in events)
    assert summary.tokens > 0


async def test_each_request_is_counted_and_a_refusal_keeps_what_was_noted() -> None:
    """A guest's link has a number of answers: a book of a hundred parts is a hundred."""
    left, kept = 3, list[DocumentSummary]()

    def count(user: str) -> None:
        nonlocal left
        if not left:
            raise TurnsUsedUp
        left -= 1

    engine = ScriptedEngine(noting, context_tokens=CONTEXT)
    reader = DocumentReader(Service(engine), count)
    events = [event async for event in reader.read(TASK, DocumentSummary(), kept.append)]
    end = events[-1]
    assert isinstance(end, Failed)
    assert isinstance(end.error, TurnsUsedUp)
    assert len(engine.requests) == len(kept[-1].notes) == 3


async def test_notes_that_do_not_fit_are_joined_until_they_do() -> None:
    read = Read(ScriptedEngine(noting, context_tokens=CONTEXT))
    events = await read()
    summary = read.kept[-1]
    assert any(isinstance(event, ReadingStep) and event.kind == "join" for event in events)
    assert len(summary.joined) < len(summary.notes)
    assert (summary.joined[0].first.first, summary.joined[-1].last.last) == (1, 40)
    final = (*TASK.system, Message("user", with_notes(TASK.question, summary.joined)))
    assert await Service(read.engine).count_tokens(final) + TASK.answer_tokens <= CONTEXT


async def test_reading_goes_on_from_what_was_noted() -> None:
    engine = ScriptedEngine(noting, context_tokens=CONTEXT)
    whole = Read(engine)
    await whole()
    begun = next(summary for summary in whole.kept if len(summary.notes) == 2)
    asked = len(engine.requests)
    rest = Read(engine)
    await rest(summary=begun)
    assert rest.kept[-1].notes == whole.kept[-1].notes
    assert len(engine.requests) - asked == asked - 2
    anew = Read(engine)
    await anew(dataclasses.replace(TASK, context_tokens=CONTEXT - 512), begun)  # other parts: nothing can be kept
    assert anew.kept[0] == DocumentSummary(parts=anew.kept[0].parts)


async def test_a_failure_ends_it_and_keeps_the_notes() -> None:
    def third_fails(request: GenerationRequest) -> Script:
        return Script(error=EngineError("no")) if 'number="3"' in request.messages[-1].content else noting(request)

    read = Read(ScriptedEngine(third_fails, context_tokens=CONTEXT))
    events = await read()
    assert isinstance(events[-1], Failed)
    assert len(read.kept[-1].notes) == 2
    assert not read.kept[-1].ready


async def test_what_a_context_is_too_short_for_is_refused_in_words() -> None:
    read = Read(ScriptedEngine(noting, context_tokens=CONTEXT))
    (refused,) = await read(dataclasses.replace(TASK, context_tokens=300))
    assert isinstance(refused, Failed)
    assert isinstance(refused.error, RequestError)
    assert "too short" in refused.error.message
    assert read.engine.requests == []


async def test_how_far_a_request_is_read_can_be_seen() -> None:
    events = await Read(ScriptedEngine(noting, context_tokens=CONTEXT))()
    assert any(isinstance(event, Prefill) for event in events)


def test_a_summary_comes_back_from_json_and_nonsense_does_not() -> None:
    first = BOOK.sections[0]
    summary = DocumentSummary((PartNote("a", first, first, "x"),), 3, (), 12, 0.5)
    assert read_summary_json(summary_json(summary)) == summary
    assert read_summary_json({"notes": 3}) is None
