"""What came of the scenarios: a report as Markdown or as one HTML file, and the parts of it that the page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from qwen_app.engine.base import EngineInfo
from qwen_app.messages import Message
from qwen_app.reports.charts import Bar, bar_chart
from qwen_app.reports.html_page import html_page
from qwen_app.reports.table import ReportTable
from qwen_app.reports.wording import Wording
from qwen_app.scenarios.values import ResultState, ScenarioResult

Language = Literal["en", "zh"]
SHOWN_CHARACTERS = 1500  # of a question: a white paper is not repeated in a report
STATES: dict[ResultState, Wording] = {
    "passed": Wording("pass", "通过"),
    "failed": Wording("fail", "未通过"),
    "does_not_fit": Wording("does not fit", "放不下"),
    "broke": Wording("error", "出错"),
    "stopped": Wording("stopped", "已停止"),
}
COLOURS: dict[ResultState, int] = {"passed": 2, "failed": 4, "does_not_fit": 5, "broke": 1, "stopped": 5}
TITLE = Wording("What {model} can do here", "{model} 在本机的表现")
ABOUT = Wording(
    "{precision} on {device}; {passed} of {total} pass.", "{device} 上的 {precision}；{total} 项中通过 {passed} 项。"
)
RESULTS = Wording("Verdicts", "结果")
HEADS = (
    Wording("scenario", "场景"),
    Wording("verdict", "结论"),
    Wording("why", "原因"),
    Wording("time", "用时"),
    Wording("tokens", "词元"),
)
TIMES = Wording("Seconds for each scenario", "各场景用时（秒）")
SECONDS = Wording("{seconds} s", "{seconds} 秒")
ASKED = Wording("Asked", "提问")
EXPECTED = Wording("Expected", "期望")
ANSWERED = Wording("Answered", "回答")
NO_ANSWER = Wording("(no text)", "（无文本）")
LEFT_OUT = Wording("[… {count:,} characters left out …]", "[……省略 {count:,} 个字符……]")


@dataclass(frozen=True, slots=True)
class ScenarioReport:
    """``results`` of the model that ``info`` tells of."""

    info: EngineInfo
    results: tuple[ScenarioResult, ...]

    def table(self, language: Language) -> ReportTable:
        return ReportTable(
            RESULTS.told(language),
            tuple(head.told(language) for head in HEADS),
            tuple(_row(result, language) for result in self.results),
        )

    def chart(self, language: Language) -> str:
        """An SVG of how long each took, coloured by its verdict; empty where nothing ran."""
        bars = [
            Bar(result.scenario.title.told(language), result.total_s, COLOURS[result.state])
            for result in self.results
            if result.total_s
        ]
        return bar_chart(TIMES.told(language), "s", bars) if bars else ""

    def markdown(self, language: Language) -> str:
        parts = [f"# {self._title(language)}", self._about(language), self.table(language).markdown()]
        for result in self.results:
            parts.append(f"## {result.scenario.title.told(language)}: {STATES[result.state].told(language)}")
            parts += [
                result.reason.told(language),
                *(f"**{name}**\n\n{_fenced(text)}" for name, text in _parts(result, language)),
            ]
        return "\n\n".join(parts) + "\n"

    def html(self, language: Language) -> str:
        """One file that needs nothing else."""
        cards = "".join(
            f"<h2>{escape(result.scenario.title.told(language))}: {STATES[result.state].told(language)}</h2>"
            f"<p>{escape(result.reason.told(language))}</p>" + details_html(result, language)
            for result in self.results
        )
        body = f"<p>{escape(self._about(language))}</p>{self.table(language).html()}{self.chart(language)}{cards}"
        return html_page(self._title(language), body, "zh-CN" if language == "zh" else "en")

    def _title(self, language: Language) -> str:
        return TITLE.told(language, model=self.info.model)

    def _about(self, language: Language) -> str:
        passed = sum(result.state == "passed" for result in self.results)
        return ABOUT.told(
            language,
            precision=self.info.precision,
            device=self.info.device,
            passed=passed,
            total=len(self.results),
        )


def details_html(result: ScenarioResult, language: Language) -> str:
    """What was asked, expected and answered, each in a box."""
    return "".join(
        f'<h3>{escape(name)}</h3><pre tabindex="0">{escape(text)}</pre>' for name, text in _parts(result, language)
    )


def _question_text(messages: Sequence[Message], language: Language) -> str:
    """What is asked, a long text in it cut in its middle."""
    question = "\n\n".join(message.content for message in messages)
    if len(question) <= SHOWN_CHARACTERS:
        return question
    half = SHOWN_CHARACTERS // 2
    return f"{question[:half]}\n{LEFT_OUT.told(language, count=len(question) - 2 * half)}\n{question[-half:]}"


def seconds(result: ScenarioResult, language: Language) -> str:
    return SECONDS.told(language, seconds=f"{result.total_s:.1f}") if result.total_s else "–"


def _parts(result: ScenarioResult, language: Language) -> list[tuple[str, str]]:
    calls = [f"{call.name}({call.arguments})" for call in result.outcome.calls]
    answered = "\n".join([*([result.outcome.text.strip()] if result.outcome.text.strip() else []), *calls])
    return [
        (ASKED.told(language), _question_text(result.scenario.messages, language)),
        (EXPECTED.told(language), result.scenario.expected.told(language)),
        (ANSWERED.told(language), answered or NO_ANSWER.told(language)),
    ]


def _row(result: ScenarioResult, language: Language) -> tuple[str, ...]:
    tokens = f"{result.prompt_tokens:,} + {result.completion_tokens:,}" if result.prompt_tokens else "–"
    return (
        result.scenario.title.told(language),
        STATES[result.state].told(language),
        result.reason.told(language),
        seconds(result, language),
        tokens,
    )


def _fenced(text: str) -> str:
    """In a fence that nothing in the text closes."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"
