"""The needle test as a picture: a square for each length and depth, the darker the more of its facts were found."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

CELL_WIDTH, CELL_HEIGHT, LEFT, TOP = 92, 34, 70, 64


def needle_svg(title: str, shares: Mapping[tuple[int, int], float]) -> str:
    """``shares`` are those of facts found, from 0 to 1, by length in tokens and depth in percent. Numbers stand in
    every square, so that nobody has to tell colours apart."""
    lengths, depths = (sorted({place[index] for place in shares}) for index in (0, 1))
    squares = []
    for (length, depth), share in shares.items():
        x, y = LEFT + lengths.index(length) * CELL_WIDTH, TOP + depths.index(depth) * CELL_HEIGHT
        ink = "#ffffff" if share > 0.5 else "#18181b"
        squares.append(
            f'<rect x="{x}" y="{y}" width="{CELL_WIDTH - 3}" height="{CELL_HEIGHT - 3}" rx="5" '
            f'fill="#4f46e5" fill-opacity="{0.08 + 0.92 * share:.2f}"/>'
            f'<text x="{x + CELL_WIDTH / 2 - 1.5}" y="{y + 20}" text-anchor="middle" fill="{ink}">'
            f"{100 * share:.0f} %</text>"
        )
    heads = [
        f'<text x="{LEFT + (place + 0.5) * CELL_WIDTH}" y="{TOP - 10}" text-anchor="middle">{length:,}</text>'
        for place, length in enumerate(lengths)
    ]
    sides = [
        f'<text x="{LEFT - 10}" y="{TOP + place * CELL_HEIGHT + 20}" text-anchor="end">{depth} %</text>'
        for place, depth in enumerate(depths)
    ]
    width, height = LEFT + max(4, len(lengths)) * CELL_WIDTH + 20, TOP + len(depths) * CELL_HEIGHT + 34
    below = f'<text x="{LEFT}" y="{height - 12}">across: tokens of the text; down: how deep the fact stands</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="13" fill="#18181b"><rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="16" y="26" font-size="15" font-weight="600">{escape(title)}</text>'
        f"{''.join(heads + sides + squares)}{below}</svg>\n"
    )
