from __future__ import annotations

import sys
import threading
import time

import pytest

from qwen_app.gpu.gpu_meter import PERIOD_S, STALE_S, UNKNOWN, GpuMeter, GpuReading, all_together
from tests.nvml_stand_in import NvmlStandIn, stand_in

GB = 10**9
CARD = GpuReading(0.87, 15 * GB, 24 * GB, 71)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def read(meter: GpuMeter) -> tuple[GpuReading, ...]:
    """Ask, and wait until the thread that reads has ended."""
    meter.readings()
    until_nobody_reads()
    return meter.readings()


def until_nobody_reads() -> None:
    for thread in threading.enumerate():
        if thread.name == "gpu-meter":
            thread.join(timeout=30)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> NvmlStandIn:
    return stand_in(monkeypatch, GPU_a=(87, 15 * GB, 24 * GB, 71), GPU_b=(None, 5 * GB, 24 * GB, None))


def test_each_card_of_the_model_is_read_and_what_one_does_not_tell_is_left_open(nvml: NvmlStandIn) -> None:
    assert read(GpuMeter(["GPU-a", "GPU-b", "GPU-gone"])) == (
        CARD,
        GpuReading(None, 5 * GB, 24 * GB, None),
        UNKNOWN,
    )


def test_however_many_ask_the_driver_is_asked_once_a_second(nvml: NvmlStandIn) -> None:
    clock = Clock()
    meter = GpuMeter(["GPU-a"], clock)
    for _ in range(20):
        read(meter)
    assert nvml.calls == 1
    clock.now_s += PERIOD_S
    read(meter)
    assert nvml.calls == 2


def test_a_system_without_threads_is_asked_again(nvml: NvmlStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    clock = Clock()
    meter = GpuMeter(["GPU-a"], clock)
    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", refuse)
        assert meter.readings() == ()
    clock.now_s += PERIOD_S
    assert read(meter) == (CARD,)


def test_a_driver_that_hangs_holds_nobody_up_and_what_it_said_before_is_soon_not_told(
    nvml: NvmlStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, answers = Clock(), threading.Event()
    meter = GpuMeter(["GPU-a"], clock)
    assert read(meter) == (CARD,)
    monkeypatch.setattr(nvml, "nvmlDeviceGetUtilizationRates", lambda _: answers.wait(30))
    clock.now_s += PERIOD_S
    asked_at = time.monotonic()
    assert meter.readings() == (CARD,)
    clock.now_s += STALE_S
    assert meter.readings() == ()
    assert time.monotonic() - asked_at < 20
    assert sum(thread.name == "gpu-meter" for thread in threading.enumerate()) == 1
    answers.set()
    until_nobody_reads()  # what goes wrong in it belongs to this test


@pytest.mark.parametrize("missing", ["binding", "driver"])
def test_without_binding_or_driver_there_is_nothing_and_no_noise(
    nvml: NvmlStandIn, monkeypatch: pytest.MonkeyPatch, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    nvml.driver = missing != "driver"
    if missing == "binding":
        monkeypatch.setitem(sys.modules, "pynvml", None)
    clock = Clock()
    meter = GpuMeter(["GPU-a"], clock)
    with caplog.at_level("INFO"):
        for _ in range(3):
            clock.now_s += PERIOD_S
            assert read(meter) == ()
    assert len(caplog.records) == 1


def test_a_model_on_the_cpu_asks_no_driver(nvml: NvmlStandIn) -> None:
    assert read(GpuMeter([])) == ()
    assert nvml.calls == 0


def test_cards_count_together() -> None:
    other = GpuReading(0.13, 5 * GB, 24 * GB, 50)
    both = all_together((CARD, other))
    assert both.busy_share == pytest.approx(0.5)
    assert (both.memory_used_bytes, both.temperature_celsius) == (20 * GB, 71)
    assert all_together((CARD, UNKNOWN)) == CARD
    assert all_together(()) == UNKNOWN
