"""A stand-in for pynvml, NVIDIA's library in Python, with the cards that a test says."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest


class StandInError(Exception):
    """What the driver answers where it has no figure."""


@dataclass
class NvmlStandIn:
    """``cards``: of each UUID its load in percent, bytes used, bytes in all, and degrees; None: not told."""

    cards: dict[str, tuple[int | None, int | None, int, int | None]] = field(default_factory=dict)
    driver: bool = True
    calls: int = 0
    NVMLError: type[Exception] = StandInError

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.driver:
            raise StandInError("Driver Not Loaded")

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self.calls += 1
        if uuid not in self.cards:
            raise StandInError("Not Found")
        return uuid

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> object:  # noqa: N802
        return SimpleNamespace(gpu=_told(self.cards[handle][0]))

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> object:  # noqa: N802
        return SimpleNamespace(used=_told(self.cards[handle][1]), total=self.cards[handle][2])

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:  # noqa: N802
        assert sensor == 0
        return _told(self.cards[handle][3])


def stand_in(patch: pytest.MonkeyPatch, **cards: tuple[int | None, int | None, int, int | None]) -> NvmlStandIn:
    """Put a stand-in with ``cards`` in the library's place."""
    nvml = NvmlStandIn({name.replace("_", "-"): told for name, told in cards.items()})
    patch.setitem(sys.modules, "pynvml", nvml)  # type: ignore[arg-type] # what import_module gives is what is here
    return nvml


def _told(value: int | None) -> int:
    if value is None:
        raise StandInError("Not Supported")
    return value
