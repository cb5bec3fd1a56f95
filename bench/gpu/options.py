"""What a section was asked for, and where it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

PRECISIONS = ("fp16", "bf16", "nf4", "int4")


@dataclass(frozen=True, slots=True)
class Options:
    """``tiny``: a small model, to try the proof itself. Sizes that only a real run can hold come in pairs with it."""

    section: str
    precisions: tuple[str, ...]
    budget_s: float
    out: Path
    tiny: bool

    @property
    def device(self) -> torch.device:
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")

    @property
    def on_card(self) -> bool:
        return self.device.type == "cuda"
