"""What was found, as tables and charts for the page, and as Markdown to paste, in English or Chinese."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from qwen_app.engine.base import EngineInfo
from qwen_app.performance import words
from qwen_app.performance.machine import Machine
from qwen_app.performance.published import INPUT_TOKENS, SOURCE, SOURCE_BANDWIDTH, SOURCE_URL, published_for
from qwen_app.performance.values import BenchRun, Figure, Size
from qwen_app.reports.charts import Series, line_chart, shown
from qwen_app.reports.table import ReportTable

Language = Literal["en", "zh"]
NONE = "–"


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """A run, the model and what it runs on; ``machine`` is None where that is another server's affair."""

    info: EngineInfo
    run: BenchRun
    machine: Machine | None = None

    def tables(self, language: Language) -> tuple[ReportTable, ...]:
        """The tables that have something to say."""
        made = (self._speed(language), self._memory(language), self._published(language))
        return tuple(table for table in made if table.rows)

    def charts(self, language: Language) -> tuple[str, ...]:
        """SVG charts: speed, and the time to the first token, over the length of the conversation."""
        if not self.run.figures:
            return ()
        axis = words.CONTEXT_AXIS.told(language)
        contexts = sorted({figure.size.context_tokens for figure in self.run.figures})
        places = [short(context) for context in contexts]
        speed = self._series(contexts, language, lambda figure: figure.total_tokens_per_s or None)
        first = self._series(contexts, language, lambda figure: figure.first_token_s)
        return (
            line_chart(words.SPEED_CHART.told(language), axis, places, speed),
            line_chart(words.FIRST_CHART.told(language), axis, places, first),
        )

    def markdown(self, language: Language) -> str:
        """The tables, to paste."""
        parts = [f"## {words.TITLE.told(language, model=self.info.model)}", self._about(language)]
        parts += [table.markdown() for table in self.tables(language)]
        return "\n\n".join(parts) + "\n"

    def _about(self, language: Language) -> str:
        info = self.info
        return words.ABOUT.told(
            language,
            precision=info.precision,
            device=info.device,
            slots=info.slots,
            context=f"{info.context_tokens:,}",
        )

    def _series(
        self, contexts: Sequence[int], language: Language, value: Callable[[Figure], float | None]
    ) -> list[Series]:
        found = {figure.size: value(figure) for figure in self.run.figures}
        return [
            Series(
                words.USERS.told(language, users=users) if users != 1 else words.ONE_USER.told(language),
                tuple(found.get(Size(context, users)) for context in contexts),
            )
            for users in sorted({figure.size.users for figure in self.run.figures})
        ]

    def _speed(self, language: Language) -> ReportTable:
        known = self.machine is not None and self.machine.bandwidth > 0
        heads = [
            words.HEAD_CONTEXT,
            words.HEAD_USERS,
            words.HEAD_FIRST,
            words.HEAD_SLOWEST,
            words.HEAD_EACH,
            words.HEAD_ALL,
        ]
        heads += [words.HEAD_LIMIT, words.HEAD_SHARE] if known else []
        rows = tuple((*_cells(figure), *self._share(figure)) for figure in self.run.figures)
        note = self._limit_note(language) if known and rows else ""
        return ReportTable(words.SPEED.told(language), tuple(head.told(language) for head in heads), rows, note)

    def _share(self, figure: Figure) -> tuple[str, ...]:
        if self.machine is None or not self.machine.bandwidth:
            return ()
        limit = self.machine.limit_tokens_per_s(figure.size)
        if not limit or not figure.total_tokens_per_s:
            return (NONE, NONE)
        return (shown(limit), f"{figure.total_tokens_per_s / limit:.0%}")

    def _limit_note(self, language: Language) -> str:
        machine = self.machine
        if machine is None:
            return ""
        told = ((words.STATED, machine.stated_bandwidth), (words.COPIED, machine.copy_bandwidth))
        known = [wording.told(language, speed=f"{speed / 1e9:,.0f} GB/s") for wording, speed in told if speed]
        note = words.LIMIT_NOTE.told(language, device=machine.device, bandwidths=", ".join(known))
        return note + (words.CARD_NOTE.told(language) if machine.stated_bandwidth else "")

    def _memory(self, language: Language) -> ReportTable:
        machine = self.machine
        heads = (words.HEAD_PRECISION, words.HEAD_WEIGHTS, words.HEAD_CACHE, words.HEAD_NEED, words.HEAD_FROM)
        rows: list[tuple[str, ...]] = []
        if machine is not None:
            held = max([machine.held_bytes, *(figure.held_bytes for figure in self.run.figures)])
            loaded = (machine.weights_bytes, machine.cache_bytes, held)
            rows.append((self.info.precision, *map(_gb, loaded), words.MEASURED.told(language)))
            for plan in machine.planned:
                told = (words.PLANNED if plan.fits else words.TOO_LARGE).told(language)
                rows.append((plan.precision, *map(_gb, (plan.weights_bytes, plan.cache_bytes, plan.need_bytes)), told))
        return ReportTable(words.MEMORY.told(language), tuple(head.told(language) for head in heads), tuple(rows))

    def _published(self, language: Language) -> ReportTable:
        found = published_for(self.info.model)
        heads = (words.HEAD_RUNTIME.told(language), words.HEAD_PRECISION.told(language))
        lengths = tuple(words.HEAD_INPUT.told(language, tokens=f"{tokens:,}") for tokens in INPUT_TOKENS)
        rows = [(one.runtime, one.precision, *map(shown, one.tokens_per_s)) for one in found]
        rows += [self._own(language)] if found and self.run.figures else []
        source = words.SOURCE_NOTE.told(language, source=SOURCE, url=SOURCE_URL, share=self._of_source(language))
        return ReportTable(words.PUBLISHED.told(language), (*heads, *lengths), tuple(rows), source if found else "")

    def _own(self, language: Language) -> tuple[str, ...]:
        """What was measured here with one user, at the longest context that is no longer than each published one."""
        alone = sorted(
            (figure.prompt_tokens, figure.total_tokens_per_s) for figure in self.run.figures if figure.size.users == 1
        )
        cells = [
            next((shown(speed) for tokens, speed in reversed(alone) if tokens <= max(limit, 1024) and speed), NONE)
            for limit in INPUT_TOKENS
        ]
        return (words.THIS_SERVER.told(language), self.info.precision, *cells)

    def _of_source(self, language: Language) -> str:
        if self.machine is None or not self.machine.bandwidth:
            return ""
        return words.OF_SOURCE.told(language, share=f"{self.machine.bandwidth / SOURCE_BANDWIDTH:.0%}")


def _cells(figure: Figure) -> tuple[str, ...]:
    speeds = (figure.user_tokens_per_s, figure.total_tokens_per_s)
    return (
        f"{figure.size.context_tokens:,}",
        str(figure.size.users),
        f"{figure.first_token_s:.2f} s",
        f"{figure.slowest_s:.2f} s",
        *(shown(speed) if speed else NONE for speed in speeds),
    )


def short(tokens: int) -> str:
    """4096 as 4k."""
    return f"{tokens // 1024}k" if tokens % 1024 == 0 else f"{tokens:,}"


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes else NONE
