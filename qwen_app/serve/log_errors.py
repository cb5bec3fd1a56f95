"""Exceptions and the words of other packages in the log: their places alone, for they may hold what a visitor wrote."""

from __future__ import annotations

import logging
import re
import time
import traceback
from collections.abc import Callable
from pathlib import Path

PERIOD_S = 1.0
_FRAMES = 6  # from where it was raised outwards
_PARTS = 3  # of a file's path
_OURS = "qwen_app"
_WARNED_AT = re.compile(r".+?:\d+: \w+")  # as ``warnings`` writes them: file, line and category, then the text
_CHAIN = 4  # exceptions that led to one another


def type_and_place(error: BaseException) -> str:
    """``KeyError at shared/strings.py:7 < chat/tab.py:9``, and what it came from after `` from ``."""
    told: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(told) < _CHAIN:
        frames = traceback.extract_tb(seen.__traceback__)[-_FRAMES:]
        places = [f"{'/'.join(Path(frame.filename).parts[-_PARTS:])}:{frame.lineno}" for frame in reversed(frames)]
        told.append(f"{type(seen).__name__} at {' < '.join(places) or 'no place'}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return " from ".join(told)


def _place_of_others(record: logging.LogRecord) -> str:
    """Who of others says it, and where; empty where it is ours."""
    if record.name.partition(".")[0] == _OURS:
        return ""
    warned = _WARNED_AT.match(record.getMessage()) if record.name == "py.warnings" else None
    place = f"{'/'.join(Path(record.pathname).parts[-_PARTS:])}:{record.lineno}"
    return warned[0] if warned else f"{record.name} at {place}"


class PlacesOfOthers(logging.Filter):
    """Of what packages of others say, tells who says it and where, and not what."""

    def filter(self, record: logging.LogRecord) -> bool:
        if place := _place_of_others(record):
            record.msg, record.args = place, None
        return True


class OneASecond(logging.Filter):
    """Of records with an exception of the same type and place lets one a second through, for each handler it is on; so,
    too, of what a package of others says at one place, which a stranger may make it say as often as he likes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        place = type_and_place(error) if error else _place_of_others(record)
        if not place:
            return True
        now, kind = self._clock(), (record.name, place)
        if now - self._last.get(kind, -PERIOD_S) < PERIOD_S:
            return False
        self._last = {other: at for other, at in self._last.items() if now - at < PERIOD_S}
        self._last[kind] = now
        return True
