"""What the scenarios tab does: ask one or all, stop, and write the report."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from qwen_app.scenarios.report import ScenarioReport
from qwen_app.scenarios.running import STOPPED, run_scenarios
from qwen_app.scenarios.tasks import scenarios
from qwen_app.scenarios.values import ScenarioResult, ScenarioRun, TaskAnswer
from qwen_app.service import Service
from qwen_app.ui.scenarios.session import ScenarioSession
from qwen_app.ui.scenarios.view import ScenariosView, cards_html, over_html, state_html
from qwen_app.ui.shared.notices import failure_html
from qwen_app.ui.shared.strings import Language, Texts
from qwen_app.ui.shared.throttle import latest

ALL = ""  # in place of a scenario's key
Views = AsyncGenerator[ScenariosView, None]
ReportForm = Literal["markdown", "html"]


class ScenarioActions:
    """Handlers of the scenarios tab, without its components."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.known = scenarios()

    async def run(self, session: ScenarioSession, key: str, user: str, language: Language) -> Views:
        """The scenario called ``key``, or all, between the right buttons. Nothing while one's own runs."""
        answer = session.slot.take()
        if answer is None:
            yield ScenariosView()
            return
        texts, run = session.slot.speak(language), ScenarioRun()
        chosen = [scenario for scenario in self.known if key in (ALL, scenario.key)]
        for scenario in chosen:
            session.results.pop(scenario.key, None)
        try:
            yield ScenariosView(state_html(run, texts), self._cards(session, texts), running=True)
            async with (
                aclosing(run_scenarios(self._service, chosen, user)) as runs,
                aclosing(latest(runs, answer.stop)) as snapshots,
            ):
                async for run in snapshots:
                    fresh = self._keep(session, run)
                    yield ScenariosView(state_html(run, texts), self._cards(session, texts) if fresh else None)
            if run.now is not None:
                stopped = ScenarioResult(run.now, "stopped", STOPPED, TaskAnswer(run.text))
                session.results[run.now.key] = stopped
            yield ScenariosView(over_html(session.results, texts), self._cards(session, texts), running=False)
        except Exception as error:
            yield ScenariosView(failure_html(error, texts), running=False)
        finally:
            answer.release()

    def picture(self, session: ScenarioSession, texts: Texts) -> ScenariosView:
        """The cards anew; while something is being answered, its state draws itself."""
        state = None if session.slot.busy else over_html(session.results, texts)
        return ScenariosView(state, self._cards(session, texts))

    def report(self, session: ScenarioSession, form: ReportForm, language: Language) -> str:
        """The report of what was run, in the order of the scenarios; empty where nothing was."""
        results = tuple(session.results[one.key] for one in self.known if one.key in session.results)
        if not results:
            return ""
        report = ScenarioReport(self._service.info(), results)
        return report.html(language) if form == "html" else report.markdown(language)

    def _keep(self, session: ScenarioSession, run: ScenarioRun) -> bool:
        """Whether ``run`` has a result that is new."""
        fresh = [result for result in run.results if session.results.get(result.scenario.key) is not result]
        session.results.update({result.scenario.key: result for result in fresh})
        return bool(fresh)

    def _cards(self, session: ScenarioSession, texts: Texts) -> str:
        return cards_html(self.known, session.results, texts)
