"""Step kernels: norms, rotary positions, the cache's cells and the MLP's gate, as the decoder needs them.

A decode step is bound by what it reads of the weights, so everything between two products should be one launch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
from torch.nn.functional import rms_norm, silu


@dataclass(frozen=True, slots=True)
class Heads:
    """How a joined q, k, v row is cut: ``query`` heads, then ``kv`` key heads and as many value heads, of ``dim``.

    ``norms``, of Qwen3 alone, weighs each query and key head after its RMS norm: ``[query + kv, dim]``.
    """

    query: int
    kv: int
    dim: int
    norms: torch.Tensor | None = None
    eps: float = 1e-6


class StepKernels(Protocol):
    """Tensors are contiguous, tokens first, all of one floating dtype but ``cells``."""

    def rms_norm(self, hidden: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        """``hidden`` ``[tokens, size]`` over its root mean square, times ``weight`` ``[size]``."""
        ...

    def add_rms_norm(
        self, hidden: torch.Tensor, added: torch.Tensor, weight: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The sum, and its RMS norm."""
        ...

    def rotate_and_store(
        self,
        qkv: torch.Tensor,
        heads: Heads,
        rotation: tuple[torch.Tensor, torch.Tensor],
        cells: torch.Tensor,
        cache: tuple[torch.Tensor, torch.Tensor],
    ) -> torch.Tensor:
        """Turned queries ``[tokens, query heads, dim]``; turned keys and values go to ``cache`` ``[cells, kv, dim]``.

        ``rotation``: cosines and sines ``[tokens, 1, dim]``, the sines of the first half negated, so that turning is
        ``x * cos + roll(x, dim / 2) * sin``. ``cells``: int64 ``[tokens]``.
        """
        ...

    def gate(self, gate_up: torch.Tensor) -> torch.Tensor:
        """``silu(gate) * up`` of ``[tokens, 2 * size]``: ``[tokens, size]``."""
        ...


class PlainKernels:
    """By torch's own operators, on every device."""

    def rms_norm(self, hidden: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        if hidden.is_cpu and hidden.dtype == torch.float32:
            return _rms_norm_on_cpu(hidden, weight, eps)
        normed: torch.Tensor = rms_norm(hidden, hidden.shape[-1:], weight, eps)
        return normed

    def add_rms_norm(
        self, hidden: torch.Tensor, added: torch.Tensor, weight: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        total = hidden + added
        return total, self.rms_norm(total, weight, eps)

    def rotate_and_store(
        self,
        qkv: torch.Tensor,
        heads: Heads,
        rotation: tuple[torch.Tensor, torch.Tensor],
        cells: torch.Tensor,
        cache: tuple[torch.Tensor, torch.Tensor],
    ) -> torch.Tensor:
        rows = qkv.view(qkv.shape[0], -1, heads.dim)
        turning, value = rows.split((heads.query + heads.kv, heads.kv), 1)
        if heads.norms is not None:
            turning = rms_norm(turning, turning.shape[-1:], None, heads.eps) * heads.norms
        turning = rotated(turning, *rotation)
        query: torch.Tensor = turning[:, : heads.query]
        key = turning[:, heads.query :]
        for cached, new in zip(cache, (key, value), strict=True):
            cached.index_copy_(0, cells, new)
        return query

    def gate(self, gate_up: torch.Tensor) -> torch.Tensor:
        gate, up = gate_up.chunk(2, -1)
        gated: torch.Tensor = silu(gate) * up
        return gated


def _rms_norm_on_cpu(hidden: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """As torch's, which is eight operators there; a decode step has sixty norms of ten microseconds."""
    length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True)
    scale = torch.addcmul(_on_cpu(eps), length, length, value=1 / hidden.shape[-1]).rsqrt_()
    return (hidden * scale).mul_(weight)


@cache
def _on_cpu(number: float) -> torch.Tensor:
    return torch.tensor(number)


def rotated(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """``heads`` ``[tokens, heads, head_dim]`` turned by their tokens' angles."""
    return torch.addcmul(heads * cos, heads.roll(heads.shape[-1] // 2, -1), sin)
