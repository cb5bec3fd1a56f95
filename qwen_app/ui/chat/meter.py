"""The bar that shows how much of the context is used."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_app.ui.shared.strings import Texts

TIGHT = 0.85  # share of the context from which the bar warns


@dataclass(frozen=True, slots=True)
class Meter:
    """Tokens: ``used`` by what is sent, ``draft`` in the composer, ``reserve`` kept free for the answer."""

    used: int
    context: int
    draft: int = 0
    reserve: int = 0
    exact: bool = True


def meter_html(meter: Meter, texts: Texts) -> str:
    """The bar as HTML; it holds numbers only, so nothing needs escaping."""
    share = (meter.used + meter.draft) / max(1, meter.context)
    level = "tight" if share >= TIGHT else "easy"
    label = texts("meter_label")
    return (
        f'<div class="meter {level}" role="meter" aria-label="{label}" aria-valuemin="0" '
        f'aria-valuemax="{meter.context}" aria-valuenow="{meter.used}">'
        f'<div class="meter-bar"><i class="used" style="width:{_percent(meter.used, meter)}"></i>'
        f'<i class="draft" style="width:{_percent(meter.draft, meter)}"></i>'
        f'<i class="reserve" style="width:{_percent(meter.reserve, meter)}"></i></div>'
        f'<span class="meter-text">{_sentence(meter, texts)}</span></div>'
    )


def _sentence(meter: Meter, texts: Texts) -> str:
    key = "meter" if meter.exact else "meter_about"
    used = texts(key, used=f"{meter.used:,}", context=f"{meter.context:,}")
    draft = " · " + texts("meter_draft", draft=f"{meter.draft:,}") if meter.draft else ""
    reserve = " · " + texts("meter_reserve", reserve=f"{meter.reserve:,}") if meter.reserve else ""
    return f'{used}{draft}<span class="meter-extra">{reserve}</span>'


def _percent(tokens: int, meter: Meter) -> str:
    return f"{min(100.0, 100 * tokens / max(1, meter.context)):.2f}%"
