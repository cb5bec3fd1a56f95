"""When the parts of an answer came: a bounded number of points, the closer the shorter the answer."""

from __future__ import annotations

from collections.abc import Sequence

MOST_POINTS = 200
APART_S = 0.05
_MOST_CHARACTERS = 2**31

Point = tuple[float, int]  # seconds since the answer was asked for, characters that were there then


def with_point(pace: tuple[Point, ...], at_s: float, characters: int) -> tuple[Point, ...]:
    """``pace`` with one more point, where the last is not too near. Of too many, every other goes."""
    if pace and at_s - pace[-1][0] < APART_S:
        return pace
    kept = pace if len(pace) < MOST_POINTS else pace[::2]
    return (*kept, (round(at_s, 3), characters))


def share_at(pace: Sequence[Point], passed_s: float, total_s: float, characters: int) -> float:
    """How much of an answer of so many characters and seconds was there, from 0 to 1. Points are read from a store,
    and may be anything; between two of them text came evenly."""
    if passed_s >= total_s:
        return 1.0
    characters = min(characters, _MOST_CHARACTERS)
    before: Point = (pace[0][0], 0) if pace else (0.0, 0)
    for at_s, there in (*pace[: MOST_POINTS + 1], (total_s, characters)):
        point = (at_s, max(0, min(there, characters)))
        if at_s > passed_s:
            break
        before = point
    if passed_s < before[0] or not characters:
        return 0.0
    written = before[1] + (point[1] - before[1]) * (passed_s - before[0]) / (point[0] - before[0])
    return max(0.0, min(1.0, written / characters))
