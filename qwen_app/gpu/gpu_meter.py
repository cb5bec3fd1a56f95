"""How busy, full and warm the cards under the model are: read through NVIDIA's management library (NVML).

``pynvml`` is its binding in Python (package nvidia-ml-py). Where that, the driver or a card is missing, nothing is read
and nothing is shown. A call into the driver may take long when a card is in trouble, so each is made in a thread that
nobody waits for.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

log = logging.getLogger(__name__)
Told = TypeVar("Told")

PERIOD_S = 1.0  # between two readings, however many ask
STALE_S = 5.0  # older readings are not told: the driver no longer answers
CELSIUS_OF_THE_CHIP = 0  # NVML_TEMPERATURE_GPU


@dataclass(frozen=True, slots=True)
class GpuReading:
    """``busy_share`` is the share of the last moments in which something ran on the card, 0 to 1; memory is all that is
    taken on it, by whomever. What the driver does not tell is None."""

    busy_share: float | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    temperature_celsius: float | None


UNKNOWN = GpuReading(None, None, None, None)


class _Utilisation(Protocol):
    gpu: int  # percent


class _Memory(Protocol):
    used: int  # bytes, as is total
    total: int


class Nvml(Protocol):
    """What is asked of ``pynvml``, by its names."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...  # noqa: N802

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> object: ...  # noqa: N802

    def nvmlDeviceGetUtilizationRates(self, handle: object) -> _Utilisation: ...  # noqa: N802

    def nvmlDeviceGetMemoryInfo(self, handle: object) -> _Memory: ...  # noqa: N802

    def nvmlDeviceGetTemperature(self, handle: object, sensor: int) -> int: ...  # noqa: N802


class GpuMeter:
    """Reads the cards with ``uuids``, as NVML writes them. ``clock`` gives seconds."""

    def __init__(self, uuids: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._uuids = tuple(uuids)
        self._clock = clock
        self._nvml: Nvml | None = None
        self._reading = threading.Lock()
        self._asked_at = self._read_at = float("-inf")
        self._newest: tuple[GpuReading, ...] = ()

    def readings(self) -> tuple[GpuReading, ...]:
        """The newest of each card; empty where there is none. Returns at once, and has newer ones read beside it."""
        now = self._clock()
        if self._uuids and now - self._asked_at >= PERIOD_S and self._reading.acquire(blocking=False):
            self._asked_at = now
            self._begin_to_read()
        return self._newest if now - self._read_at <= STALE_S else ()

    def _begin_to_read(self) -> None:
        try:
            threading.Thread(target=self._read, name="gpu-meter", daemon=True).start()
        except RuntimeError as crowded:  # the system has no thread to give, just now
            log.info("The GPU's load and temperature are not read: %s", crowded)
            self._reading.release()

    def _read(self) -> None:
        try:
            nvml = self._nvml = self._nvml or _open_nvml()
            self._newest = tuple(_reading_of(nvml, uuid) for uuid in self._uuids)
            self._read_at = self._clock()
        except Exception as missing:  # no binding, no driver, or one that refuses: nothing of ours depends on it
            log.info("The GPU's load and temperature are not shown: %s", missing)
            self._uuids = ()
        finally:
            self._reading.release()


def all_together(readings: Sequence[GpuReading]) -> GpuReading:
    """Several cards as one: the mean of their load, the sum of their memory, the warmest."""
    busy = [reading.busy_share for reading in readings if reading.busy_share is not None]
    used = [reading.memory_used_bytes for reading in readings if reading.memory_used_bytes is not None]
    total = [reading.memory_total_bytes for reading in readings if reading.memory_total_bytes is not None]
    warmth = [reading.temperature_celsius for reading in readings if reading.temperature_celsius is not None]
    return GpuReading(
        busy_share=sum(busy) / len(busy) if busy else None,
        memory_used_bytes=sum(used) if used else None,
        memory_total_bytes=sum(total) if total else None,
        temperature_celsius=max(warmth, default=None),
    )


def _open_nvml() -> Nvml:
    nvml = cast(Nvml, importlib.import_module("pynvml"))
    nvml.nvmlInit()
    return nvml


def _reading_of(nvml: Nvml, uuid: str) -> GpuReading:
    """The card with this UUID; a slice of one (MIG), for one, has no load of its own."""

    def told(ask: Callable[[], Told]) -> Told | None:
        try:
            return ask()
        except nvml.NVMLError:
            return None

    handle = told(lambda: nvml.nvmlDeviceGetHandleByUUID(uuid))
    if handle is None:
        return UNKNOWN
    load = told(lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
    memory = told(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    celsius = told(lambda: nvml.nvmlDeviceGetTemperature(handle, CELSIUS_OF_THE_CHIP))
    return GpuReading(
        busy_share=load.gpu / 100 if load else None,
        memory_used_bytes=memory.used if memory else None,
        memory_total_bytes=memory.total if memory else None,
        temperature_celsius=celsius,
    )
