"""KV offload: keys and values of conversations that had to leave their slot, in host memory for when they go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from qwen_app.engine.local.attention.kv_cache import KVCache
from qwen_app.engine.local.attention.transfer import release_pinned
from qwen_app.engine.local.compute.prefix_cache import common_prefix
from qwen_app.engine.local.compute.recovery import Failure, failure_of

log = logging.getLogger(__name__)

SMALLEST_TOKENS = 256  # less is as soon computed


@dataclass(frozen=True, slots=True)
class OffloadedPrefix:
    """``token_ids`` int32 and, for each, all layers' keys and values in ``parts``. Only ``owner`` gets them back."""

    owner: str
    token_ids: np.ndarray
    parts: list[torch.Tensor]


class HostKVCache:
    """At most ``limit_bytes``; the least recently used leave first. ``limit_bytes`` 0 keeps nothing."""

    def __init__(self, cache: KVCache, *, limit_bytes: int) -> None:
        self._cache = cache
        self._limit_bytes = limit_bytes
        self._entries: list[OffloadedPrefix] = []  # least recently used first
        self._copy_s_per_token = 0.0

    @property
    def size_bytes(self) -> int:
        return sum(self._cache.host_bytes(len(entry.token_ids)) for entry in self._entries)

    def offload(self, slot: int, token_ids: np.ndarray, owner: str = "") -> None:
        """Keep what ``slot`` holds of ``token_ids`` for ``owner``, if it is worth it and fits."""
        needed_bytes = self._cache.host_bytes(len(token_ids))
        if len(token_ids) < SMALLEST_TOKENS or needed_bytes > self._limit_bytes or self._holds(token_ids, owner):
            return
        self._make_room(token_ids, owner, needed_bytes)
        started_s = time.perf_counter()
        try:
            parts = self._cache.read(slot, len(token_ids))
        except (RuntimeError, MemoryError) as refused:  # the host has no room, or none it can pin
            if failure_of(refused) is not Failure.OUT_OF_MEMORY:
                raise
            log.warning("a conversation could not be offloaded: %s", refused)
            return
        self._entries.append(OffloadedPrefix(owner, token_ids, parts))
        self._copy_s_per_token = (time.perf_counter() - started_s) / len(token_ids)

    def _make_room(self, token_ids: np.ndarray, owner: str, needed_bytes: int) -> None:
        """Drop what ``owner`` has of the beginning of ``token_ids``, and the oldest until so many bytes fit."""
        before = len(self._entries)
        self._entries = [
            entry
            for entry in self._entries
            if entry.owner != owner or common_prefix(entry.token_ids, token_ids) < len(entry.token_ids)
        ]
        while self._entries and self.size_bytes + needed_bytes > self._limit_bytes:
            self._entries.pop(0)
        if len(self._entries) < before:
            release_pinned()

    def restore(
        self,
        slot: int,
        prompt_ids: Sequence[int],
        owner: str = "",
        *,
        num_cached_tokens: int,
        compute_s_per_token: float,
    ) -> int:
        """Fill ``slot`` from the best match of ``owner``'s, where that beats computing beyond ``num_cached_tokens``.

        Only where that beats computing what is beyond the slot's own ``num_cached_tokens``. Returns how many tokens the
        slot holds now.
        """
        best, match = self._best(prompt_ids, owner)
        gained = match - num_cached_tokens
        if gained < SMALLEST_TOKENS or gained * compute_s_per_token < match * self._copy_s_per_token:
            return num_cached_tokens
        self._touch(best)
        self._cache.write(slot, match, self._entries[-1].parts)
        return match

    def reserve(self, prompt_ids: Sequence[int], owner: str = "") -> None:
        """``restore`` will come for this prompt: what it needs shall not leave before."""
        best, match = self._best(prompt_ids, owner)
        if match >= SMALLEST_TOKENS:
            self._touch(best)

    def _best(self, prompt_ids: Sequence[int], owner: str) -> tuple[int, int]:
        """Which entry of ``owner``'s shares most with the prompt, and how many tokens, one being left to compute."""
        prompt = np.asarray(prompt_ids, np.int32)
        matches = [
            min(common_prefix(entry.token_ids, prompt), len(prompt) - 1) if entry.owner == owner else 0
            for entry in self._entries
        ]
        best = max(range(len(matches)), key=matches.__getitem__, default=0)
        return best, matches[best] if matches else 0

    def _touch(self, index: int) -> None:
        self._entries.append(self._entries.pop(index))

    def _holds(self, token_ids: np.ndarray, owner: str) -> bool:
        return any(
            entry.owner == owner and common_prefix(entry.token_ids, token_ids) == len(token_ids)
            for entry in self._entries
        )
