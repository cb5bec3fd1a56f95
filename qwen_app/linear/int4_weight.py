"""A weight matrix in 4 bits, as numbers: what every file format becomes, and every kernel's packing is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from qwen_app.linear.row_slices import row_slices

LARGEST_CODE = 15
GROUP_SIZES = (32, 64, 128, 256)  # what torch's kernels take
CARD_COLUMNS = 128  # of a tile of the CUDA kernel's
SHRINKS = (1.0, 0.9, 0.8)  # of a group's range: cutting an outlier may serve the other weights better
REFITS = 3
TINY = torch.finfo(torch.float32).tiny
EXACT = 1e-8  # of a group's range, squared: less is what float32 itself rounds


@dataclass(frozen=True, slots=True)
class Int4Weight:
    """``weight = codes * scales + minimums``, with one scale and minimum for every ``group`` weights of a row.

    ``codes`` are uint8 ``[out, in]``, 0 to 15; ``scales`` and ``minimums`` float32 ``[out, in / group]``.
    """

    codes: torch.Tensor
    scales: torch.Tensor
    minimums: torch.Tensor

    @property
    def group(self) -> int:
        return self.codes.shape[1] // self.scales.shape[1]

    @classmethod
    def stacked(cls, parts: Sequence[Int4Weight]) -> Int4Weight:
        """One weight with the rows of all ``parts``."""
        return cls(
            torch.cat([part.codes for part in parts]),
            torch.cat([part.scales for part in parts]),
            torch.cat([part.minimums for part in parts]),
        )

    def dequantised(self) -> torch.Tensor:
        """float32 ``[out, in]``."""
        groups = self.codes.unflatten(1, (-1, self.group)).float()
        return torch.addcmul(self.minimums[..., None], groups, self.scales[..., None]).flatten(1)


def quantised(weight: torch.Tensor, group: int) -> Int4Weight:
    """``weight`` ``[out, in]`` rounded to 16 steps a group. A weight that was 4-bit in such groups is found exactly.

    Each group takes that part of its range, of a few tried, whose rounding errs least in the mean square, after its
    steps were fitted to the codes by least squares, and codes to steps, in turn.
    """
    return Int4Weight.stacked([_quantised(rows, group) for rows in row_slices(weight)])


def _quantised(weight: torch.Tensor, group: int) -> Int4Weight:
    groups = weight.float().unflatten(1, (-1, group))
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    best = _rounded(groups, low, (high - low) / LARGEST_CODE)
    least = _error(groups, *best)
    if bool((least <= EXACT * (high - low).square()).all()):
        return _weight_of(*best)
    for shrink in SHRINKS:
        middle, reach = (low + high) / 2, (high - low) / 2 * shrink
        tried = _rounded(groups, middle - reach, 2 * reach / LARGEST_CODE)
        for _ in range(REFITS):
            tried = _rounded(groups, *_refitted(groups, tried))
        error = _error(groups, *tried)
        better = error < least
        least = torch.where(better, error, least)
        codes, scales, minimums = (torch.where(better, new, old) for new, old in zip(tried, best, strict=True))
        best = codes, scales, minimums
    return _weight_of(*best)


Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # codes, scales and minimums, all float32 ``[out, groups, ..]``


def _rounded(groups: torch.Tensor, minimums: torch.Tensor, scales: torch.Tensor) -> Parts:
    codes = ((groups - minimums) / scales.clamp(min=TINY)).round().clamp(0, LARGEST_CODE)
    return codes, scales, minimums


def _refitted(groups: torch.Tensor, parts: Parts) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimums and scales that err least for these codes: the line through (code, weight)."""
    codes, scales, _ = parts
    middle, mean = codes.mean(-1, keepdim=True), groups.mean(-1, keepdim=True)
    spread = (codes - middle).square().sum(-1, keepdim=True)
    slope = ((codes - middle) * (groups - mean)).sum(-1, keepdim=True) / spread.clamp(min=TINY)
    scales = torch.where(spread > 0, slope, scales)
    return mean - scales * middle, scales


def _error(groups: torch.Tensor, codes: torch.Tensor, scales: torch.Tensor, minimums: torch.Tensor) -> torch.Tensor:
    return (torch.addcmul(minimums, codes, scales) - groups).square().sum(-1, keepdim=True)


def _weight_of(codes: torch.Tensor, scales: torch.Tensor, minimums: torch.Tensor) -> Int4Weight:
    return Int4Weight(codes.to(torch.uint8).flatten(1), scales.squeeze(-1), minimums.squeeze(-1))


def fits_int4(out_features: int, in_features: int, group: int, *, on_a_card: bool = False) -> bool:
    """Whether torch's 4-bit kernels take a layer of this size. Those of a card read whole tiles of columns."""
    whole = in_features % (CARD_COLUMNS if on_a_card else group) == 0
    return out_features % 16 == 0 and in_features % group == 0 and group in GROUP_SIZES and whole
