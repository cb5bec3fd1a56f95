"""How long the device takes for something."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Milliseconds of one call, the median of ``repeats`` after a first that does not count."""
    work()
    wait()
    taken_s = []
    for _ in range(repeats):
        started_s = time.perf_counter()
        work()
        wait()
        taken_s.append(time.perf_counter() - started_s)
    return statistics.median(taken_s) * 1e3


def captured(work: Callable[[], object]) -> Callable[[], None]:
    """``work`` as a CUDA graph: what the device takes, without what launching takes."""
    for _ in range(3):
        work()
    wait()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay
