"""Linear layers of 4-bit weights, by the kernels that come with torch: few rows as they are packed, many unpacked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import nn

from qwen_app.kernels.comparison import relative_error
from qwen_app.kernels.failure import short_reason
from qwen_app.linear.bias import joined_bias
from qwen_app.linear.fastest import best_s
from qwen_app.linear.int4_weight import GROUP_SIZES, LARGEST_CODE, Int4Weight
from qwen_app.linear.packed_linear import PackedLinear
from qwen_app.linear.row_slices import row_slices
from qwen_app.linear.tile_layout import (
    padded_rows,
    pairs_turned,
    tile_of,
    tiles_of_cuda,
    unpacked_cuda,
    unpacked_transposed,
    unpacks_on,
)

MEASURED_ROWS = (4, 8, 12, 16, 24, 32, 48, 64)
MEASURED_WEIGHTS = (2048, 1024)  # out and in features of the layer that is timed
CHECKED_ROWS, CHECKED_WEIGHTS = 3, (64, 256)
TOLERANCE = 1e-2  # of ||difference|| / ||reference||: the result is rounded to bfloat16
EVERY_NUMBER_OF_ROWS = 1 << 62
MOST_ROWS_ON_A_CARD = 16  # torch's kernel reads the weights once for so many rows; beyond, unpacking once is cheaper


class Int4Linear(PackedLinear):
    """``input @ weight.T + bias`` of bfloat16 inputs, summed in float32. The result has the input's dtype.

    ``packed`` is what the kernel of its device reads; ``scales_and_zeros``, bfloat16 ``[in / group, out, 2]``, has the
    value of a step and that of code 8. Rows are padded to a multiple of 64, whole tiles of every kernel.
    """

    packed: torch.Tensor
    scales_and_zeros: torch.Tensor
    bias: torch.Tensor | None

    def __init__(
        self, packed: torch.Tensor, scales_and_zeros: torch.Tensor, bias: torch.Tensor | None, out_features: int
    ) -> None:
        super().__init__()
        groups, rows, _ = scales_and_zeros.shape
        self.in_features = packed.numel() * packed.element_size() * 2 // rows
        self.out_features = out_features
        self.group = self.in_features // groups
        self.register_buffer("packed", packed)
        self.register_buffer("scales_and_zeros", scales_and_zeros)
        self.register_buffer("bias", bias)

    @classmethod
    def of(cls, weight: Int4Weight, bias: torch.Tensor | None, device: torch.device) -> Int4Linear:
        """Packed for ``device``. ``weight.group`` must be one that the kernels take."""
        out_features = weight.codes.shape[0]
        spare = padded_rows(out_features) - out_features
        codes, scales, minimums = (
            nn.functional.pad(part, (0, 0, 0, spare)).to(device)
            for part in (weight.codes, weight.scales, weight.minimums)
        )
        zeros = minimums + 8 * scales
        scales_and_zeros = torch.stack((scales.t(), zeros.t()), -1).bfloat16().contiguous()
        return cls(_packed(codes), scales_and_zeros, bias, out_features)

    def _few(self, rows: torch.Tensor) -> torch.Tensor:
        if not rows.is_cuda:
            return torch._weight_int4pack_mm_for_cpu(rows, self.packed, self.group, self.scales_and_zeros)
        return torch._weight_int4pack_mm(pairs_turned(rows), self.packed, self.group, self.scales_and_zeros)

    def _many(self, rows: torch.Tensor) -> torch.Tensor:
        """In float32 on a CPU, whose bfloat16 products are slow; from and to the same bfloat16 numbers as few rows."""
        if rows.is_cuda:
            return rows @ self.dequantised_transposed(torch.bfloat16)
        return (rows.float() @ self.dequantised_transposed(torch.float32)).bfloat16()

    def dequantised_transposed(self, dtype: torch.dtype) -> torch.Tensor:
        """The weights ``[in, padded out]``. What is made on the way is made of some rows at a time."""
        rows = self.scales_and_zeros.shape[1]
        weights = torch.empty(rows, self.in_features, dtype=dtype, device=self.packed.device)
        end = 0
        for packed in row_slices(self.packed):
            start, end = end, end + len(packed) * rows // len(self.packed)
            weights[start:end] = self._some_dequantised(packed, self.scales_and_zeros[:, start:end], dtype).t()
        return weights.t()

    def _some_dequantised(
        self, packed: torch.Tensor, scales_and_zeros: torch.Tensor, dtype: torch.dtype
    ) -> torch.Tensor:
        """``[in, some out]``."""
        scales, zeros = scales_and_zeros.to(dtype).unbind(-1)
        if packed.is_cuda:
            codes = unpacked_cuda(packed, self.in_features).to(dtype).t()
        else:
            codes = unpacked_transposed(packed, self.in_features, dtype)
        steps = codes.unflatten(0, (-1, self.group)).sub_(8)
        # Rounded once, as the kernel for few rows rounds: both multiply by the same numbers.
        weights: torch.Tensor = torch.addcmul(zeros[:, None], steps, scales[:, None]).flatten(0, 1)
        return weights

    def _most_few_rows(self) -> int:
        if not self.packed.is_cuda:
            return most_rows_packed()
        return MOST_ROWS_ON_A_CARD if unpacks_on(self.packed.device) else EVERY_NUMBER_OF_ROWS


@torch.inference_mode()
def problem_on(device: torch.device) -> str:
    """What is wrong with 4-bit products on ``device``, to go on with their name; empty where nothing is."""
    numbers = torch.Generator().manual_seed(0)
    codes = torch.randint(0, LARGEST_CODE + 1, CHECKED_WEIGHTS, generator=numbers, dtype=torch.uint8)
    scales = torch.rand(CHECKED_WEIGHTS[0], CHECKED_WEIGHTS[1] // GROUP_SIZES[0], generator=numbers).bfloat16().float()
    weight = Int4Weight(codes, scales, -8 * scales)
    rows = torch.randn(CHECKED_ROWS, CHECKED_WEIGHTS[1], generator=numbers).bfloat16()
    want = rows.float() @ weight.dequantised().t()
    try:
        got = Int4Linear.of(weight, None, device)._few(rows.to(device)).float().cpu()
    except Exception as unusable:  # a card or a build of torch that the kernel is not for
        return f"do not work ({short_reason(unusable)})"
    error = float(relative_error(got, want))
    return "" if error <= TOLERANCE else f"are wrong (relative error {error:.1e})"


def join_int4(layers: Sequence[Int4Linear]) -> Int4Linear | None:
    """One layer for ``layers``; None where their tiles do not lie side by side."""
    first = layers[0]
    whole = all(layer.out_features % padded_rows(1) == 0 and layer.group == first.group for layer in layers)
    if not whole:
        return None
    return Int4Linear(
        torch.cat([layer.packed for layer in layers]),
        torch.cat([layer.scales_and_zeros for layer in layers], 1),
        joined_bias(layers),
        sum(layer.out_features for layer in layers),
    )


def most_rows_packed() -> int:
    """Up to how many rows this CPU, with the threads torch now has, multiplies faster without unpacking the weights."""
    return _most_rows_packed(torch.get_num_threads())


@cache
@torch.inference_mode()
def _most_rows_packed(threads: int) -> int:
    out_features, in_features = MEASURED_WEIGHTS
    if tile_of() is None:
        return EVERY_NUMBER_OF_ROWS
    codes = torch.zeros(out_features, in_features, dtype=torch.uint8)
    scales = torch.ones(out_features, in_features // 32)
    layer = Int4Linear.of(Int4Weight(codes, scales, scales), None, torch.device("cpu"))
    for rows in MEASURED_ROWS:
        input = torch.ones(rows, in_features, dtype=torch.bfloat16)
        many_s, few_s = best_s(lambda: layer._many(input), lambda: layer._few(input))  # noqa: B023
        if many_s < few_s:
            return rows - 1
    return MEASURED_ROWS[-1]


def _packed(codes: torch.Tensor) -> torch.Tensor:
    if codes.is_cuda:
        return tiles_of_cuda(codes)
    return torch.cat([torch.ops.aten._convert_weight_to_int4pack_for_cpu(rows.int(), 1) for rows in row_slices(codes)])
