"""An embedding that is held in fewer bits than it gives."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import embedding


class CastEmbedding(nn.Module):
    """Rows of ``weight`` in ``dtype``. A buffer, so that a model's own dtype is that of its other parameters."""

    weight: torch.Tensor

    def __init__(self, weight: torch.Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.register_buffer("weight", weight)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return embedding(ids, self.weight).to(self.dtype)
