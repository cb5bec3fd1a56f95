"""How long ways to one product take on this machine, with the threads torch now has."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

ROUNDS = 5


def best_s(*products: Callable[[], torch.Tensor]) -> list[float]:
    """Each one's best time of a few rounds, in turn, so that what else the machine does falls on all."""
    best = [float("inf")] * len(products)
    for _ in range(ROUNDS):
        for place, product in enumerate(products):
            started_s = time.perf_counter()
            product()
            best[place] = min(best[place], time.perf_counter() - started_s)
    return best
