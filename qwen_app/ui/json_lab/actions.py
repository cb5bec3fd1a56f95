"""What the JSON workbench does: check a schema, run once, run several times with and without the constraint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from qwen_app.errors import RequestError, SchemaError
from qwen_app.messages import Failed, GenerationRequest, JsonSchema, Message, PromptPolicy
from qwen_app.service import Service
from qwen_app.structured.grammars.byte_grammar import byte_compiler
from qwen_app.structured.schema_check import Schema, parse_schema
from qwen_app.ui.json_lab.progress import JsonProgress
from qwen_app.ui.json_lab.result import Trial, Verdict, judge, tree_text
from qwen_app.ui.json_lab.view import check_html, place_html, trials_html, verdict_html
from qwen_app.ui.shared.failure import failure_html
from qwen_app.ui.shared.stream import Progress, follow
from qwen_app.ui.shared.strings import Language, Texts

RUNS = 5
KEEP: Any = gr.skip()
View = tuple[Any, ...]  # updates for outcome, tree, raw, trials, run, repeat, stop
Views = AsyncGenerator[View, None]


@dataclass(frozen=True, slots=True)
class Task:
    """What the visitor asks for. ``constrained`` False asks in words alone, to compare with."""

    prompt: str
    schema: str
    strict: bool
    constrained: bool
    temperature: float
    max_tokens: int

    def spec(self) -> JsonSchema:
        """Raises SchemaError."""
        return parse_schema(self.schema, strict=self.strict)

    def messages(self) -> tuple[Message, ...]:
        return (Message("user", self.prompt),)

    def policy(self) -> PromptPolicy:
        """The schema is asked for in words, the same with and without the constraint."""
        return PromptPolicy(cap_answer=True, hint=self.spec())


@dataclass(slots=True)
class WorkbenchSession:
    """One browser tab's workbench. ``running`` stops what runs; the last answer and trials are kept for a new look."""

    running: asyncio.Event | None = None
    progress: Progress | None = None
    verdict: Verdict | None = None
    trials: list[Trial] = field(default_factory=list)

    def stop(self) -> None:
        if self.running is not None:
            self.running.set()

    def outcome(self, texts: Texts) -> str:
        if self.progress is None or self.verdict is None:
            return ""
        return verdict_html(self.verdict, self.progress, texts)


class WorkbenchActions:
    """Handlers of the workbench, without its components."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._compiler = byte_compiler()

    async def check(self, schema: str, strict: bool, language: Language) -> str:
        """The line under the editor."""
        return check_html(await self.problem(schema, strict), Texts(language))

    async def problem(self, schema: str, strict: bool) -> SchemaError | None:
        """Why ``schema`` cannot be used, found without the model."""
        try:
            spec = parse_schema(schema, strict=strict)
            await asyncio.to_thread(self._compiler.compile, spec)
        except SchemaError as error:
            return error
        return None

    async def run(self, session: WorkbenchSession, task: Task, user: str, language: Language) -> Views:
        """Answer once."""
        texts = Texts(language)
        async for view in self._guarded(session, texts, self._once(session, task, user, texts)):
            yield view

    async def repeat(self, session: WorkbenchSession, task: Task, user: str, language: Language) -> Views:
        """Answer several times with the constraint and as often without it."""
        texts = Texts(language)
        async for view in self._guarded(session, texts, self._trials(session, task, user, texts)):
            yield view

    async def _guarded(self, session: WorkbenchSession, texts: Texts, work: Views) -> Views:
        """``work`` between the right buttons; what goes wrong is a sentence. Nothing while something else runs."""
        if session.running is not None:
            await work.aclose()
            yield (KEEP,) * 7
            return
        stop = session.running = asyncio.Event()
        try:
            yield (KEEP, KEEP, KEEP, KEEP, *buttons(running=True))
            async with aclosing(work) as views:
                async for view in views:
                    yield view
            yield (KEEP, KEEP, KEEP, KEEP, *buttons(running=False))
        except Exception as error:
            yield (failure_html(error, texts), KEEP, KEEP, KEEP, *buttons(running=False))
        finally:
            if session.running is stop:
                session.running = None

    async def _once(self, session: WorkbenchSession, task: Task, user: str, texts: Texts) -> Views:
        schema = checked_task(task, texts)
        async for view in self._answer(session, task, schema, user, texts):
            yield view
        if session.progress is not None and isinstance(session.progress.end, Failed):
            raise session.progress.end.error

    async def _trials(self, session: WorkbenchSession, task: Task, user: str, texts: Texts) -> Views:
        schema = checked_task(task, texts)
        session.trials.clear()
        plan = [replace(task, constrained=mode) for mode in (True, False) for _ in range(RUNS)]
        for number, one in enumerate(plan, 1):
            now = texts("trials_running", number=number, total=len(plan))
            yield (KEEP, KEEP, KEEP, trials_html(session.trials, now, texts), KEEP, KEEP, KEEP)
            async for view in self._answer(session, one, schema, user, texts):
                yield view
            progress, verdict = session.progress, session.verdict
            if progress is None or verdict is None or session.running is None or session.running.is_set():
                break
            if isinstance(progress.end, Failed):
                yield (KEEP, KEEP, KEEP, trials_html(session.trials, "", texts), KEEP, KEEP, KEEP)
                raise progress.end.error
            trial = Trial(one.constrained, progress.text, verdict, progress.completion_tokens, progress.elapsed_s)
            session.trials.append(trial)
        yield (KEEP, KEEP, KEEP, trials_html(session.trials, "", texts), KEEP, KEEP, KEEP)

    async def _answer(self, session: WorkbenchSession, task: Task, schema: Schema, user: str, texts: Texts) -> Views:
        request = self.request(task, user)
        reader, read = JsonProgress(), 0
        stop = session.running or asyncio.Event()
        async with (
            aclosing(self._service.generate(request)) as events,
            aclosing(follow(events, stop)) as snapshots,
        ):
            async for progress in snapshots:
                reader.feed(progress.text[read:])
                read = len(progress.text)
                outcome = place_html(progress, reader.place, texts)
                if progress.over:
                    session.progress = progress
                    session.verdict = await asyncio.to_thread(judge, progress.text, schema, progress.end)
                    outcome = session.outcome(texts)
                yield (outcome, tree_text(reader.document), progress.text, KEEP, KEEP, KEEP, KEEP)

    def request(self, task: Task, user: str) -> GenerationRequest:
        """What a run of ``task`` asks the service for."""
        return GenerationRequest(
            request_id=self._service.new_request_id(),
            messages=task.messages(),
            sampling=self._service.sampling(temperature=task.temperature, max_tokens=task.max_tokens),
            user=user,
            grammar=task.spec() if task.constrained else None,
            policy=task.policy(),
        )


def checked_task(task: Task, texts: Texts) -> Schema:
    """The task's schema. Raises RequestError for what cannot be asked."""
    if not task.prompt.strip():
        raise RequestError(texts("prompt_missing"))
    return parse_schema(task.schema).schema


def buttons(*, running: bool) -> View:
    """Updates for run, repeat and stop."""
    idle = gr.update(interactive=not running)
    return idle, idle, gr.update(interactive=running)
