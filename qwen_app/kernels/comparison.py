"""How far a kernel's numbers are from a reference's."""

from __future__ import annotations

import torch


def relative_error(got: torch.Tensor, want: torch.Tensor, dim: int | tuple[int, ...] | None = None) -> torch.Tensor:
    """||difference|| / ||reference||, in float32: of all numbers, or of those along ``dim``."""
    want = want.float()
    error: torch.Tensor = (got.float() - want).norm(dim=dim) / want.norm(dim=dim)
    return error
