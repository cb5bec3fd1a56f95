"""Numerics: how torch computes, set once before anything runs."""

from __future__ import annotations

import torch


def keep_precision() -> None:
    """Full precision where torch would trade some for speed without being asked.

    FP16 and BF16 products add up in float32: with Qwen2.5's large activations, sums in half precision drift and can
    overflow. Float32 products stay float32, not TF32.
    """
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.set_float32_matmul_precision("highest")
