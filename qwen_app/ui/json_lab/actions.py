"""What the JSON lab does: check a schema, run once, run several times with and without the constraint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from qwen_app.messages import Failed, GenerationRequest, JsonSchema, Message, PromptPolicy
from qwen_app.openai_format import RequestBody, openai_body
from qwen_app.service import Service
from qwen_app.ui.json_lab.progress import JsonProgress
from qwen_app.ui.json_lab.result import LabRun, tree_text, validate_answer
from qwen_app.ui.json_lab.session import JsonLabSession
from qwen_app.ui.json_lab.task import JsonTask, schema_problem
from qwen_app.ui.json_lab.view import JsonLabView, place_html, runs_html
from qwen_app.ui.shared.notices import check_html, failure_html
from qwen_app.ui.shared.stream import Progress, follow
from qwen_app.ui.shared.strings import Language, Texts

RUNS = 5
Views = AsyncGenerator[JsonLabView, None]


@dataclass(frozen=True, slots=True)
class _Work:
    """An answer or several, being written for a visitor."""

    session: JsonLabSession
    stop: asyncio.Event
    user: str
    texts: Texts


class JsonLabActions:
    """Handlers of the JSON lab, without its components."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def check(self, schema: str, strict: bool, user: str, language: Language) -> str:
        """The line under the editor."""
        return check_html(await schema_problem(schema, strict, user), Texts(language), strict=strict)

    def run(self, session: JsonLabSession, task: JsonTask, user: str, language: Language) -> Views:
        """Answer once."""
        return self._guarded(session, user, session.slot.speak(language), lambda work: self._once(work, task))

    def repeat(self, session: JsonLabSession, task: JsonTask, user: str, language: Language) -> Views:
        """Answer several times with the constraint and as often without it."""
        return self._guarded(session, user, session.slot.speak(language), lambda work: self._runs(work, task))

    async def body(self, task: JsonTask, texts: Texts) -> RequestBody:
        """The API's body for ``task``. Raises AppError for what cannot be asked."""
        request = self._request(task, task.checked(texts), user="")
        if not task.constrained:  # with a response_format the API puts the schema into the prompt by itself
            request = (await self._service.plan(request)).request
        return openai_body(self._service.info().model, request.messages, request.sampling, grammar=request.grammar)

    async def _guarded(
        self, session: JsonLabSession, user: str, texts: Texts, start: Callable[[_Work], Views]
    ) -> Views:
        """What ``start`` gives, between the right buttons; what goes wrong is a sentence. Nothing while one runs."""
        answer = session.slot.take()
        if answer is None:
            yield JsonLabView()
            return
        try:
            yield JsonLabView(running=True)
            async with aclosing(start(_Work(session, answer.stop, user, texts))) as views:
                async for view in views:
                    yield view
            yield JsonLabView(running=False)
        except Exception as error:
            yield JsonLabView(outcome=failure_html(error, texts), running=False)
        finally:
            answer.release()

    async def _once(self, work: _Work, task: JsonTask) -> Views:
        schema = task.checked(work.texts)
        async with aclosing(self._answer(work, task, schema)) as views:
            async for view in views:
                yield view
        _raise_failure(work.session.progress)

    async def _runs(self, work: _Work, task: JsonTask) -> Views:
        schema = task.checked(work.texts)
        session = work.session
        session.runs.clear()
        tasks = [replace(task, constrained=mode) for mode in (True, False) for _ in range(RUNS)]
        for number, one in enumerate(tasks, 1):
            now = work.texts("runs_running", number=number, total=len(tasks))
            yield JsonLabView(runs=runs_html(session.runs, now, work.texts))
            async with aclosing(self._answer(work, one, schema)) as views:
                async for view in views:
                    yield view
            progress, result = session.progress, session.result
            if progress is None or result is None or work.stop.is_set() or isinstance(progress.end, Failed):
                break
            session.runs.append(LabRun(one.constrained, progress.text, result))
        yield JsonLabView(runs=runs_html(session.runs, "", work.texts))
        _raise_failure(session.progress)

    async def _answer(self, work: _Work, task: JsonTask, schema: JsonSchema) -> Views:
        request = self._request(task, schema, work.user)
        reader, read = JsonProgress(), 0
        async with (
            aclosing(self._service.generate(request)) as events,
            aclosing(follow(events, work.stop)) as snapshots,
        ):
            async for progress in snapshots:
                reader.feed(progress.text[read:])
                read = len(progress.text)
                outcome = place_html(progress, reader.place, work.texts)
                if progress.over:
                    result = await validate_answer(progress.text, schema.schema, progress.end, work.user)
                    work.session.progress, work.session.result = progress, result
                    outcome = work.session.outcome(work.texts)
                yield JsonLabView(outcome=outcome, tree=tree_text(reader.document), raw=progress.text)

    def _request(self, task: JsonTask, schema: JsonSchema, user: str) -> GenerationRequest:
        """The schema is asked for in words, the same with and without the constraint."""
        return GenerationRequest(
            request_id=self._service.new_request_id(),
            messages=(Message("user", task.prompt),),
            sampling=self._service.sampling(temperature=task.temperature, max_tokens=task.max_tokens),
            user=user,
            grammar=schema if task.constrained else None,
            policy=PromptPolicy(cap_answer=True, hint=schema),
        )


def _raise_failure(progress: Progress | None) -> None:
    if progress is not None and isinstance(progress.end, Failed):
        raise progress.end.error
