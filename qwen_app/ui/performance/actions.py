"""What the performance tab does: measure, one visitor at a time, and only who may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from qwen_app.errors import PermissionDenied, RequestError
from qwen_app.performance.machine import held_bytes, machine_of
from qwen_app.performance.measuring import Measurement, is_busy
from qwen_app.performance.report import PerformanceReport
from qwen_app.performance.values import BenchRun, sizes_that_fit
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.ui.performance.session import PerformanceSession
from qwen_app.ui.performance.view import PerformanceView, paste_text, results_html, state_html
from qwen_app.ui.shared.notices import failure_html
from qwen_app.ui.shared.strings import Language, Texts
from qwen_app.ui.shared.throttle import latest

Views = AsyncGenerator[PerformanceView, None]


@dataclass(frozen=True, slots=True)
class PerformanceTask:
    """What to measure; ``busy_too`` also while others chat."""

    contexts: Sequence[int]
    users: Sequence[int]
    busy_too: bool = False


class PerformanceActions:
    """Handlers of the performance tab, without its components."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._settings = settings
        self._measuring = False

    async def run(self, session: PerformanceSession, task: PerformanceTask, user: str, language: Language) -> Views:
        """The measurement between the right buttons; what goes wrong is a sentence. Nothing while one's own runs."""
        answer = session.slot.take()
        if answer is None:
            yield PerformanceView()
            return
        texts = session.slot.speak(language)
        try:
            self._check(task, user, texts)
            self._measuring = True
            try:
                async with aclosing(self._measure(session, answer.stop, task, user, texts)) as views:
                    async for view in views:
                        yield view
            finally:
                self._measuring = False
        except Exception as error:
            yield PerformanceView(state=failure_html(error, texts), running=False)
        finally:
            answer.release()

    def _check(self, task: PerformanceTask, user: str, texts: Texts) -> None:
        """Raises AppError for whoever may not measure, or not now."""
        if not self._settings.is_owner(user):
            raise PermissionDenied(texts("perf_owner_only"))
        if self._measuring:
            raise RequestError(texts("perf_already"))
        if not task.busy_too and is_busy(self._service):
            raise RequestError(texts("perf_busy"))

    async def _measure(
        self, session: PerformanceSession, stop: asyncio.Event, task: PerformanceTask, user: str, texts: Texts
    ) -> Views:
        info = self._service.info()
        sizes = sizes_that_fit(task.contexts, task.users, info.context_tokens, info.slots)
        if not sizes:
            raise RequestError(texts("perf_nothing"))
        run = BenchRun(sizes, now=sizes[0])
        session.report = None
        yield PerformanceView(state_html(run, texts), results_html(None, texts), "", running=True)
        machine = await asyncio.to_thread(machine_of, info, self._settings)
        measurement = Measurement(
            self._service, user=user, alone=not task.busy_too, held_bytes=held_bytes if machine else lambda: 0
        )
        shown = 0
        async with aclosing(measurement.run(sizes)) as runs, aclosing(latest(runs, stop)) as snapshots:
            async for run in snapshots:
                session.report, found = PerformanceReport(info, run, machine), len(run.figures)
                results = results_html(session.report, texts) if found > shown else None
                yield PerformanceView(state_html(run, texts), results)
                shown = found
        if run.end is None:  # it was stopped
            run = BenchRun(run.sizes, run.figures)
            session.report = PerformanceReport(info, run, machine)
        results = results_html(session.report, texts)
        yield PerformanceView(state_html(run, texts), results, paste_text(session.report, texts), running=False)

    def picture(self, session: PerformanceSession, texts: Texts) -> PerformanceView:
        """The last run anew; while one goes on, it draws itself."""
        if session.slot.busy:
            return PerformanceView()
        report = session.report
        state = state_html(report.run, texts) if report is not None else ""
        return PerformanceView(state, results_html(report, texts), paste_text(report, texts))
