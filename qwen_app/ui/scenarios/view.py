"""What the scenarios tab shows: what is being answered, and the verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from qwen_app.scenarios.report import STATES, details_html, seconds
from qwen_app.scenarios.values import ResultState, Scenario, ScenarioResult, ScenarioRun
from qwen_app.ui.shared.strings import Texts

TONES: dict[ResultState, str] = {"passed": "good", "failed": "bad", "broke": "bad"}
LIVE_CHARACTERS = 600  # of the answer that is being written, its end


@dataclass(frozen=True, slots=True)
class ScenariosView:
    """What changes on the page; None leaves a part as it is. ``running`` sets the buttons."""

    state: str | None = None
    cards: str | None = None
    running: bool | None = None


def state_html(run: ScenarioRun, texts: Texts) -> str:
    """Which scenario is being answered, and the end of its answer so far."""
    if run.now is None:
        return ""
    title = run.now.title.told(texts.language)
    sentence = texts("scen_running", number=run.number, total=run.total, title=title)
    live = f'<pre class="scen-live">{escape(run.text[-LIVE_CHARACTERS:])}</pre>' if run.text.strip() else ""
    return f'<div class="waiting">{escape(sentence)}</div>{live}'


def over_html(results: Mapping[str, ScenarioResult], texts: Texts) -> str:
    """How many passed, of those that were run."""
    if not results:
        return ""
    passed = sum(result.state == "passed" for result in results.values())
    return f'<div class="run-line" role="status">{texts("scen_over", passed=passed, total=len(results))}</div>'


def cards_html(known: tuple[Scenario, ...], results: Mapping[str, ScenarioResult], texts: Texts) -> str:
    """A card a verdict, folded: verdict and time; within, what was asked, expected and answered. The buttons are the
    list of the scenarios, so that it does not stand here again."""
    cards = "".join(_card(scenario, results[scenario.key], texts) for scenario in known if scenario.key in results)
    return cards or f'<p class="hint">{escape(texts("scen_none"))}</p>'


def _card(scenario: Scenario, result: ScenarioResult, texts: Texts) -> str:
    language = texts.language
    title, tone = escape(scenario.title.told(language)), TONES.get(result.state, "")
    badge = f'<span class="result {tone}">{STATES[result.state].told(language)}</span>'
    return (
        f'<details class="scen-card"><summary><span class="scen-title">{title}</span>{badge}'
        f'<span class="scen-time">{seconds(result, language)}</span></summary>'
        f"<p>{escape(result.reason.told(language))}</p>{details_html(result, language)}</details>"
    )
