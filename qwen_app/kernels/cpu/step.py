"""The step kernels in C++, one call each: see StepKernels. All tensors are float32 and on a CPU.

A product may be the transposed of what was computed (see linear.few_rows), so what comes of one is made contiguous.
"""

from __future__ import annotations

from ctypes import c_float, c_int64, c_void_p

import torch

from qwen_app.kernels.cpu.compile import library
from qwen_app.kernels.step_kernels import Heads


class CppKernels:
    """Raises NotCompiled or OSError where ``library`` does."""

    def __init__(self) -> None:
        functions = library()
        self._add_rms_norm = functions.qwen_add_rms_norm
        self._add_rms_norm.argtypes = (*[c_void_p] * 5, *[c_int64] * 2, c_float)
        self._rotate_and_store = functions.qwen_rotate_and_store
        self._rotate_and_store.argtypes = (*[c_void_p] * 8, *[c_int64] * 4, c_float)
        self._gate = functions.qwen_gate
        self._gate.argtypes = (*[c_void_p] * 2, *[c_int64] * 2)
        for function in (self._add_rms_norm, self._rotate_and_store, self._gate):
            function.restype = None

    def rms_norm(self, hidden: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        tokens, size = hidden.shape
        normed = torch.empty_like(hidden)
        self._add_rms_norm(hidden.data_ptr(), None, weight.data_ptr(), None, normed.data_ptr(), tokens, size, eps)
        return normed

    def add_rms_norm(
        self, hidden: torch.Tensor, added: torch.Tensor, weight: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        tokens, size = hidden.shape
        added = added.contiguous()
        total, normed = torch.empty_like(hidden), torch.empty_like(hidden)
        self._add_rms_norm(
            *(hidden.data_ptr(), added.data_ptr(), weight.data_ptr(), total.data_ptr(), normed.data_ptr()),
            *(tokens, size, eps),
        )
        return total, normed

    def rotate_and_store(
        self,
        qkv: torch.Tensor,
        heads: Heads,
        rotation: tuple[torch.Tensor, torch.Tensor],
        cells: torch.Tensor,
        cache: tuple[torch.Tensor, torch.Tensor],
    ) -> torch.Tensor:
        qkv = qkv.contiguous()
        tokens = qkv.shape[0]
        query = qkv.new_empty(tokens, heads.query, heads.dim)
        cos, sin = rotation
        keys, values = cache
        norms = heads.norms.data_ptr() if heads.norms is not None else None
        self._rotate_and_store(
            *(qkv.data_ptr(), norms, cos.data_ptr(), sin.data_ptr(), cells.data_ptr()),
            *(keys.data_ptr(), values.data_ptr(), query.data_ptr()),
            *(tokens, heads.query, heads.kv, heads.dim, heads.eps),
        )
        return query

    def gate(self, gate_up: torch.Tensor) -> torch.Tensor:
        gate_up = gate_up.contiguous()
        tokens, both = gate_up.shape
        gated = gate_up.new_empty(tokens, both // 2)
        self._gate(gate_up.data_ptr(), gated.data_ptr(), tokens, both // 2)
        return gated
