"""Allowed tokens: a grammar's masks, a bit a token, as the booleans that PyTorch computes with."""

from __future__ import annotations

import numpy as np
import torch

from qwen_app.engine.local.attention.transfer import pinned


def allowed_tokens(masks: np.ndarray, vocab_size: int, device: torch.device) -> torch.Tensor:
    """bool ``[rows, vocab_size]``: bit ``i`` of each row of ``masks``, int32 ``[rows, words]``."""
    return _by_numpy(masks, vocab_size) if device.type == "cpu" else unpacked_by_torch(masks, vocab_size, device)


def _by_numpy(masks: np.ndarray, vocab_size: int) -> torch.Tensor:
    bits = np.unpackbits(masks.view(np.uint8), axis=1, count=vocab_size, bitorder="little")
    return torch.from_numpy(bits.view(np.bool_))


def unpacked_by_torch(masks: np.ndarray, vocab_size: int, device: torch.device) -> torch.Tensor:
    """As ``allowed_tokens``, unpacked on ``device``: more passes, but what goes to a card is an eighth."""
    packed = pinned(torch.from_numpy(masks.view(np.uint8)), device).to(device, non_blocking=True)
    bits = torch.arange(8, dtype=torch.uint8, device=device)
    return ((packed.unsqueeze(-1) >> bits) & 1).flatten(1)[:, :vocab_size].bool()
