"""KV offload: keys and values of conversations that had to leave their slot, in host memory for when they go on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qwen_app.engine.local.attention.host_arena import HostArena, Region
from qwen_app.engine.local.attention.kv_cache import KVCache
from qwen_app.engine.local.compute.prefix_cache import common_prefix
from qwen_app.models.container import main_memory

SMALLEST_TOKENS = 256  # less is as soon computed
LARGEST_BYTES = 4 * 1024**3  # of all conversations, whatever is free
SHARE = 1 / 4  # of the memory that is free at the start


@dataclass(frozen=True, slots=True)
class OffloadedPrefix:
    """``token_ids`` int32, and the region of the arena with all layers' keys and values of them. Only ``owner`` gets
    them back."""

    owner: str
    token_ids: np.ndarray
    region: Region


class HostKVCache:
    """``limit_bytes`` at most, None for ``SHARE`` of what is free, up to ``LARGEST_BYTES``; 0 keeps nothing.

    The longest unused leave first.
    """

    def __init__(self, cache: KVCache, *, limit_bytes: int | None) -> None:
        if limit_bytes is None:
            limit_bytes = min(LARGEST_BYTES, int(SHARE * main_memory().free_bytes))
        self._cache = cache
        self._arena = HostArena(limit_bytes, pinned=cache.on_card)
        self._entries: list[OffloadedPrefix] = []  # least recently used first
        self._copy_s_per_token = self._measured()

    def _measured(self) -> float:
        """Seconds that a token takes to be copied. Of the second copy: the first is also the memory's first use."""
        tokens = min(SMALLEST_TOKENS, self._cache.length)
        region = self._arena.take(tokens * self._cache.shape.token_bytes)
        if region is None:
            return 0.0
        took_s = 0.0
        for _ in range(2):
            started_s = time.perf_counter()
            self._cache.read(0, tokens, self._arena.memory(region))
            self._cache.wait()
            took_s = time.perf_counter() - started_s
        self._arena.give_back(region)
        return took_s / tokens

    @property
    def size_bytes(self) -> int:
        return sum(entry.region.size for entry in self._entries)

    def offload(self, slot: int, token_ids: np.ndarray, owner: str = "") -> None:
        """Keep what ``slot`` holds of ``token_ids`` for ``owner``, if it is worth it and fits."""
        needed_bytes = len(token_ids) * self._cache.shape.token_bytes
        too_large = needed_bytes > self._arena.size_bytes
        if len(token_ids) < SMALLEST_TOKENS or too_large or self._holds(token_ids, owner):
            return
        for entry in [*self._entries]:
            if entry.owner == owner and common_prefix(entry.token_ids, token_ids) == len(entry.token_ids):
                self._drop(entry)
        while (region := self._arena.take(needed_bytes)) is None:
            self._drop(self._entries[0])
        self._cache.read(slot, len(token_ids), self._arena.memory(region))
        self._entries.append(OffloadedPrefix(owner, token_ids, region))

    def _drop(self, entry: OffloadedPrefix) -> None:
        self._entries = [other for other in self._entries if other is not entry]
        self._arena.give_back(entry.region)

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

        Those the slot holds already. Returns how many it holds now.
        """
        best, match = self._best(prompt_ids, owner)
        gained = match - num_cached_tokens
        if gained < SMALLEST_TOKENS or gained * compute_s_per_token < match * self._copy_s_per_token:
            return num_cached_tokens
        self._touch(best)
        self._cache.write(slot, match, self._arena.memory(self._entries[-1].region))
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
