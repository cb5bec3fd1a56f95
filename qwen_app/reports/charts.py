"""Charts as SVG of our own: lines over a few places, with their legend. Needs no script, no font and no style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#6366f1", "#d97706", "#059669", "#0891b2", "#db2777", "#737380")  # seen on white and in the dark
WIDTH, HEIGHT = 400.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 84.0, 34.0, 42.0
ROWS = 4  # lines across, about
LEGEND_PX = 15.0


@dataclass(frozen=True, slots=True)
class Series:
    """A line: a value for each place along the axis, None where there is none."""

    name: str
    values: tuple[float | None, ...]


def line_chart(title: str, axis: str, places: Sequence[str], series: Sequence[Series]) -> str:
    """An SVG of ``series`` over ``places``, from zero up. ``axis`` says what the places are.

    Its words are in the colour of the text around it. Whoever cannot see it is told the highest value of each line.
    """
    drawn = [one for one in series if _known(one)]
    top = _round_up(max((value for one in drawn for value in _known(one)), default=1.0))
    told = "; ".join(f"{one.name}: {shown(max(_known(one)))}" for one in drawn)
    parts = [
        f'<svg class="chart" role="img" aria-label="{escape(f"{title}. {told}", quote=True)}" '
        f'viewBox="0 0 {WIDTH:g} {HEIGHT:g}" xmlns="http://www.w3.org/2000/svg" font-size="12" fill="currentColor">',
        f'<text x="{LEFT:g}" y="16" font-weight="600">{escape(title)}</text>',
        *_grid(top),
        *(_place(index, name, len(places)) for index, name in enumerate(places)),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, axis, "middle"),
        *(_line(one, COLOURS[index % len(COLOURS)], len(places), top) for index, one in enumerate(drawn)),
        *_legend(drawn, top),
        "</svg>",
    ]
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its name, and the colour of its kind: an index of ``COLOURS``."""

    name: str
    value: float
    colour: int = 0


BAR_PX, NAMES_PX, VALUES_PX = 22.0, 190.0, 60.0


def bar_chart(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """An SVG of lying bars from zero on, each with its value in ``unit`` at its end."""
    height = TOP + BAR_PX * len(bars) + 6
    top = max([bar.value for bar in bars] + [1e-9])
    told = "; ".join(f"{bar.name}: {shown(bar.value)} {unit}" for bar in bars)
    rows = []
    for index, bar in enumerate(bars):
        y, length = TOP + BAR_PX * index, (WIDTH - NAMES_PX - VALUES_PX) * bar.value / top
        rows.append(_text(NAMES_PX - 8, y + 11, bar.name, "end"))
        rows.append(
            f'<rect x="{NAMES_PX:g}" y="{y:g}" width="{max(length, 1):.1f}" height="14" rx="3" '
            f'fill="{COLOURS[bar.colour % len(COLOURS)]}"/>'
        )
        rows.append(_text(NAMES_PX + length + 6, y + 11, f"{shown(bar.value)} {unit}", "start"))
    return (
        f'<svg class="chart" role="img" aria-label="{escape(f"{title}. {told}", quote=True)}" '
        f'viewBox="0 0 {WIDTH:g} {height:g}" xmlns="http://www.w3.org/2000/svg" font-size="12" fill="currentColor">'
        f'<text x="8" y="16" font-weight="600">{escape(title)}</text>{"".join(rows)}</svg>'
    )


def shown(value: float) -> str:
    """A number as a person reads it: three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _known(series: Series) -> list[float]:
    return [value for value in series.values if value is not None]


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 and their tens, for an axis that ends in a round number."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    ten: float = 10.0 ** math.floor(math.log10(value))
    return next((step * ten for step in (1, 2, 2.5, 5, 10) if step * ten >= value), value)  # of the tiniest, itself


def _x(index: int, places: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (0.5 if places < 2 else index / (places - 1))


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


def _grid(top: float) -> list[str]:
    lines = []
    for row in range(ROWS + 1):
        y = _y(top * row / ROWS, top)
        lines.append(
            f'<line x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}" '
            'stroke="currentColor" stroke-opacity="0.15"/>'
        )
        lines.append(_text(LEFT - 8, y + 4, shown(top * row / ROWS), "end"))
    return lines


def _place(index: int, name: str, places: int) -> str:
    return _text(_x(index, places), HEIGHT - BOTTOM + 17, name, "middle")


def _line(series: Series, colour: str, places: int, top: float) -> str:
    points = [(_x(i, places), _y(value, top)) for i, value in enumerate(series.values) if value is not None]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'


def _legend(series: Sequence[Series], top: float) -> list[str]:
    """Names at the ends of their lines, moved apart where they would lie on each other."""
    ends = sorted((_y(_known(one)[-1], top) + 4, index) for index, one in enumerate(series))
    lines, lowest = [], TOP
    for wanted, index in ends:
        lowest = max(wanted, lowest)
        colour, name = COLOURS[index % len(COLOURS)], escape(series[index].name)
        x = WIDTH - RIGHT + 10
        lines.append(f'<rect x="{x:g}" y="{lowest - 6:.1f}" width="10" height="3" rx="1.5" fill="{colour}"/>')
        lines.append(f'<text x="{x + 15:g}" y="{lowest:.1f}">{name}</text>')
        lowest += LEGEND_PX
    return lines
