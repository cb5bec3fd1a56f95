"""A layered layout for small graphs: every arrow points down, few arrows cross, boxes stand under what leads to them.

The four steps of Sugiyama's method: rows, stand-ins where an arrow passes a row, order within the rows, places. The
same graph always gives the same places.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Arrows = Mapping[str, frozenset[str]]
SWEEPS = 60  # more change nothing for graphs of this size
STRAIGHT = 12
PASSING = 10.0  # pixels kept free for an arrow that passes a row


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands, in pixels; y is a row's number."""

    x: Mapping[str, float]  # the middle of a box
    row: Mapping[str, int]
    ways: Mapping[tuple[str, str], Sequence[tuple[float, int]]]  # an arrow's points (x, row), both ends included


def lay_out(arrows: Arrows, widths: Mapping[str, float], gap: float) -> Layout:
    """Place boxes of these ``widths`` with ``gap`` between them. ``arrows`` must have no circle."""
    row = _rows(arrows)
    ways = {(a, b): _way(a, b, row) for a in sorted(arrows) for b in sorted(arrows[a])}
    links = [link for way in ways.values() for link in itertools.pairwise(way)]
    levels: list[list[str]] = [[] for _ in range(1 + max(row.values()))]
    placed = set(row)
    for room in sorted(row):
        levels[row[room]].append(room)
    for way in ways.values():
        for offset, stop in enumerate(way):
            if stop not in placed:
                levels[row[way[0]] + offset].append(stop)
                placed.add(stop)
    above, below = _neighbours(links)
    levels = _untangled(levels, above, below)
    x = _places(levels, above, below, widths, gap)
    return Layout(
        x={room: x[room] for room in sorted(row)},
        row=row,
        ways={ends: [(x[stop], row[way[0]] + k) for k, stop in enumerate(way)] for ends, way in ways.items()},
    )


def _rows(arrows: Arrows) -> dict[str, int]:
    """Each box right below the lowest that leads to it; one that nothing leads to, right above what it leads to."""
    into: dict[str, set[str]] = {room: set() for room in arrows}
    for room, targets in arrows.items():
        for to in targets:
            into[to].add(room)
    depth: dict[str, int] = {}

    def stand(room: str) -> int:
        if room not in depth:
            depth[room] = 1 + max((stand(other) for other in sorted(into[room])), default=-1)
        return depth[room]

    rows = {room: stand(room) for room in sorted(arrows)}
    for room in rows:
        if not into[room] and arrows[room]:
            rows[room] = min(rows[to] for to in arrows[room]) - 1
    return rows


def _way(start: str, end: str, row: Mapping[str, int]) -> list[str]:
    """The stops of an arrow, a row each. Arrows to the same box share their stops, so that they run as one."""
    return [start, *(f"|{end}|{between}" for between in range(row[start] + 1, row[end])), end]


def _neighbours(links: Sequence[tuple[str, str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for upper, lower in dict.fromkeys(links):
        below.setdefault(upper, []).append(lower)
        above.setdefault(lower, []).append(upper)
    return above, below


def _untangled(
    levels: list[list[str]], above: Mapping[str, list[str]], below: Mapping[str, list[str]]
) -> list[list[str]]:
    best, fewest = levels, _crossings(levels, below)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        levels = [list(level) for level in levels]
        for level, fixed in _pairs(levels, down):
            place = {name: k for k, name in enumerate(fixed)}
            neighbours = above if down else below
            own = {name: float(k) for k, name in enumerate(level)}
            level.sort(key=lambda name: _mean([place[n] for n in neighbours.get(name, ())], own[name]))
        levels = _swapped(levels, below)
        crossings = _crossings(levels, below)
        if crossings < fewest:
            best, fewest = levels, crossings
    return best


def _pairs(levels: list[list[str]], down: bool) -> Iterator[tuple[list[str], list[str]]]:
    ordered = levels if down else levels[::-1]
    return ((level, fixed) for fixed, level in itertools.pairwise(ordered))


def _swapped(levels: list[list[str]], below: Mapping[str, list[str]]) -> list[list[str]]:
    """Neighbours change places wherever that saves a crossing."""
    for level in levels:
        for k in range(len(level) - 1):
            before = _crossings(levels, below)
            level[k], level[k + 1] = level[k + 1], level[k]
            if _crossings(levels, below) >= before:
                level[k], level[k + 1] = level[k + 1], level[k]
    return levels


def _crossings(levels: list[list[str]], below: Mapping[str, list[str]]) -> int:
    total = 0
    for upper, lower in itertools.pairwise(levels):
        place = {name: k for k, name in enumerate(lower)}
        ends = [(k, place[to]) for k, name in enumerate(upper) for to in below.get(name, ())]
        total += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in itertools.combinations(ends, 2))
    return total


def _places(
    levels: list[list[str]],
    above: Mapping[str, list[str]],
    below: Mapping[str, list[str]],
    widths: Mapping[str, float],
    gap: float,
) -> dict[str, float]:
    half = {name: widths.get(name, PASSING) / 2 for level in levels for name in level}
    x: dict[str, float] = {}
    for level in levels:
        x |= _apart(level, [0.0] * len(level), half, gap)
    for sweep in range(SWEEPS):
        for level in levels if sweep % 2 == 0 else levels[::-1]:
            wished = [_pulled(name, (*above.get(name, ()), *below.get(name, ())), x) for name in level]
            x |= _apart(level, wished, half, gap)
    return _straightened(x, levels, half, gap)


def _straightened(
    x: Mapping[str, float], levels: list[list[str]], half: Mapping[str, float], gap: float
) -> dict[str, float]:
    """Where all stops on the way to one box have room in the same column, they move there."""
    straight = dict(x)
    columns: dict[str, list[str]] = {}
    for stop in sorted(x):
        if stop.startswith("|"):
            columns.setdefault(stop.split("|")[1], []).append(stop)
    for stops in columns.values():
        for column in sorted(
            {x[stop] for stop in stops}, key=lambda place: sum(abs(x[stop] - place) for stop in stops)
        ):
            tried = straight | dict.fromkeys(stops, column)
            if all(
                tried[right] - tried[left] >= half[left] + gap + half[right] - 1
                for level in levels
                for left, right in itertools.pairwise(level)
            ):
                straight = tried
                break
    return straight


def _pulled(name: str, neighbours: Sequence[str], x: Mapping[str, float]) -> float:
    """The mean of the neighbours' places; the next stop of an arrow pulls hard, to make long arrows run straight."""
    pulls = [x[other] for other in neighbours for _ in range(STRAIGHT if "|" in name and "|" in other else 1)]
    return _mean(pulls, x[name])


def _apart(level: list[str], wished: list[float], half: Mapping[str, float], gap: float) -> dict[str, float]:
    """The places nearest to the wished ones (least squares) that keep order and distance."""
    offsets = [0.0]
    for left, right in itertools.pairwise(level):
        offsets.append(offsets[-1] + half[left] + gap + half[right])
    blocks: list[tuple[float, int]] = []  # their mean and size; means must not fall
    for wish, offset in zip(wished, offsets, strict=True):
        mean, size = wish - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, others = blocks.pop()
            mean, size = (mean * size + other * others) / (size + others), size + others
        blocks.append((mean, size))
    means = [mean for mean, size in blocks for _ in range(size)]
    return {name: mean + offset for name, mean, offset in zip(level, means, offsets, strict=True)}


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default
