"""What the model can run on: the CUDA cards of this machine, its CPU, or a card that is only imagined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import psutil

# What CUDA itself takes on a card before the first tensor: driver context and kernels.
CUDA_CONTEXT_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class Device:
    """Memory to plan for, in bytes; of several cards, all together. ``free_bytes`` may still be used."""

    kind: Literal["cuda", "cpu"]
    name: str
    total_bytes: int
    free_bytes: int
    cards: int = 1


def find_device() -> Device:
    """The CUDA cards where there are any, else the CPU with its main memory."""
    import torch

    if not torch.cuda.is_available():
        memory = psutil.virtual_memory()
        return Device("cpu", "CPU", memory.total, memory.available)
    indexes = range(torch.cuda.device_count())
    free, total = (sum(part) for part in zip(*(torch.cuda.mem_get_info(i) for i in indexes), strict=True))
    name = torch.cuda.get_device_name(0)
    return Device("cuda", name if len(indexes) == 1 else f"{len(indexes)} x {name}", total, free, len(indexes))


def imagined_card(gpu_gb: float) -> Device:
    """A card of ``gpu_gb`` GB (10^9 bytes) that is otherwise unused."""
    total_bytes = int(gpu_gb * 1e9)
    return Device("cuda", f"a card of {gpu_gb:g} GB", total_bytes, max(0, total_bytes - CUDA_CONTEXT_BYTES))
