"""Keys and values of conversations that had to leave their slot, kept in host memory for when they go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from qwen_app.engine.local.compute.kv_cache import KVCache
from qwen_app.engine.local.compute.prefix_cache import common_prefix
from qwen_app.engine.local.compute.recovery import Failure, failure_of

log = logging.getLogger(__name__)

SMALLEST_TOKENS = 256  # less is as soon computed


@dataclass(frozen=True, slots=True)
class Parked:
    """``ids`` int32 and, for each, all layers' keys and values in ``parts``."""

    ids: np.ndarray
    parts: list[torch.Tensor]

    @property
    def size_bytes(self) -> int:
        return sum(part.nbytes for part in self.parts)


class Parking:
    """At most ``limit_bytes``; the longest unused leave first. ``limit_bytes`` 0 parks nothing."""

    def __init__(self, cache: KVCache, *, limit_bytes: int) -> None:
        self._cache = cache
        self._limit_bytes = limit_bytes
        self._parked: list[Parked] = []  # longest unused first
        self._copy_s_per_token = 0.0

    @property
    def size_bytes(self) -> int:
        return sum(parked.size_bytes for parked in self._parked)

    @property
    def conversations(self) -> int:
        return len(self._parked)

    def park(self, slot: int, ids: np.ndarray) -> None:
        """Keep what ``slot`` holds of ``ids``, if it is worth it and fits."""
        needed_bytes = len(ids) * self._cache.shape.token_bytes
        if len(ids) < SMALLEST_TOKENS or needed_bytes > self._limit_bytes or self._held(ids):
            return
        self._parked = [parked for parked in self._parked if common_prefix(parked.ids, ids) < len(parked.ids)]
        while self._parked and self.size_bytes + needed_bytes > self._limit_bytes:
            self._parked.pop(0)
        started_s = time.perf_counter()
        try:
            parts = self._cache.read(slot, len(ids))
        except (RuntimeError, MemoryError) as refused:  # the host has no room, or none it can pin
            if failure_of(refused) is not Failure.OUT_OF_MEMORY:
                raise
            log.warning("a conversation could not be parked: %s", refused)
            return
        self._parked.append(Parked(ids, parts))
        self._copy_s_per_token = (time.perf_counter() - started_s) / len(ids)

    def restore(self, slot: int, prompt_ids: Sequence[int], *, held: int, token_s: float) -> int:
        """Fill ``slot`` from the best match, where that beats computing what is beyond the ``held`` tokens.

        ``token_s`` is what computing a token takes. Returns how many tokens the slot holds now.
        """
        best, match = self._best(prompt_ids)
        gained = match - held
        if gained < SMALLEST_TOKENS or gained * token_s < match * self._copy_s_per_token:
            return held
        self._touch(best)
        self._cache.write(slot, match, self._parked[-1].parts)
        return match

    def expect(self, prompt_ids: Sequence[int]) -> None:
        """``restore`` will be asked for this prompt: what it needs shall not leave before."""
        best, match = self._best(prompt_ids)
        if match >= SMALLEST_TOKENS:
            self._touch(best)

    def _best(self, prompt_ids: Sequence[int]) -> tuple[int, int]:
        """Which parked conversation shares most with the prompt, and how many tokens, one being left to compute."""
        prompt = np.asarray(prompt_ids, np.int32)
        matches = [min(common_prefix(parked.ids, prompt), len(prompt) - 1) for parked in self._parked]
        best = max(range(len(matches)), key=matches.__getitem__, default=0)
        return best, matches[best] if matches else 0

    def _touch(self, index: int) -> None:
        self._parked.append(self._parked.pop(index))

    def _held(self, ids: np.ndarray) -> bool:
        return any(common_prefix(parked.ids, ids) == len(ids) for parked in self._parked)
