"""How far a start has come: its stage, the bytes of it, and how long it is likely to take by the start before.

Written by the thread that loads, read by whoever asks meanwhile; each write is one assignment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Stage = Literal["prepare", "download", "load", "engine", "page"]
STAGES: tuple[Stage, ...] = get_args(Stage)  # in their order


@dataclass(frozen=True, slots=True)
class StartState:
    """Bytes are those of the stage, 0 where unknown. ``percent`` and ``expected_s``, the seconds that are left, are
    None where nothing says how long it will take."""

    stage: Stage
    done_bytes: int
    total_bytes: int
    elapsed_s: float
    percent: int | None
    expected_s: float | None


class StartProgress:
    """``clock`` gives seconds. ``before_s`` is how long each stage took last time."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, before_s: Mapping[Stage, float] | None = None
    ) -> None:
        self._clock = clock
        self._began_s = self._entered_s = clock()
        self._stage: Stage = STAGES[0]
        self._done_bytes = self._total_bytes = 0
        self._took_s: dict[Stage, float] = {}
        self._before_s = before_s or {}

    def enter(self, stage: Stage, total_bytes: int = 0) -> None:
        """``stage`` begins, and the one before is over."""
        now_s = self._clock()
        if stage != self._stage:
            self._took_s[self._stage] = now_s - self._entered_s
            self._entered_s = now_s
        self._stage, self._done_bytes, self._total_bytes = stage, 0, total_bytes

    def advance(self, arrived_bytes: int) -> None:
        """So many more bytes are there. Called from several threads; a count lost now and then shows nothing."""
        self._done_bytes += arrived_bytes

    def state(self) -> StartState:
        now_s = self._clock()
        left_s = self._left_s(now_s - self._entered_s)
        elapsed_s = now_s - self._began_s
        percent = None if left_s is None else min(99, int(100 * elapsed_s / max(elapsed_s + left_s, 1e-9)))
        return StartState(self._stage, self._done_bytes, self._total_bytes, elapsed_s, percent, left_s)

    def took_s(self) -> dict[Stage, float]:
        """How long each stage took, once all are over."""
        return {**self._took_s, self._stage: self._clock() - self._entered_s}

    def _left_s(self, in_stage_s: float) -> float | None:
        """What is left of this stage, by its bytes or by the start before, and what the later ones took then."""
        later_s = sum(self._before_s.get(stage, 0.0) for stage in STAGES[STAGES.index(self._stage) + 1 :])
        if self._total_bytes and self._done_bytes > 0 and in_stage_s > 0:
            return in_stage_s * max(0, self._total_bytes - self._done_bytes) / self._done_bytes + later_s
        own_s = self._before_s.get(self._stage)
        return None if own_s is None else max(0.0, own_s - in_stage_s) + later_s
