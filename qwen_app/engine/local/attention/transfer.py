"""Small tensors from Python's numbers to the device, without waiting for it."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def to_device(
    values: Sequence[float] | Sequence[Sequence[float]], dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """``values`` on ``device``. The copy to a GPU goes from pinned memory: the host does not wait for it."""
    return pinned(torch.tensor(values, dtype=dtype), device).to(device, non_blocking=True)


def pinned(host: torch.Tensor, device: torch.device) -> torch.Tensor:
    """``host`` in memory that ``device`` copies from by itself, where it is a GPU."""
    return host.pin_memory() if device.type == "cuda" else host
