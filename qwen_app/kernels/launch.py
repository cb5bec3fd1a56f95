"""Where a kernel of ours is launched: Triton launches on the current card, whatever card its tensors lie on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def on_card_of(tensor: torch.Tensor) -> AbstractContextManager[object]:
    """The card of ``tensor`` is the current one within: on another, its addresses mean nothing or something else."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()
