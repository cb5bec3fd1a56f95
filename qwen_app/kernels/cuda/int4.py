"""Weights of 4 bits on a card, multiplied and written out, in CUDA C++."""

from __future__ import annotations

from pathlib import Path

import torch

from qwen_app.kernels.cuda.launch import compiled, multiprocessors, on_card_of

SOURCE = Path(__file__).with_name("int4.cu")
FEW, MORE = 8, 16  # rows that a block takes at once, compiled for either
OUTPUTS_AT_ONCE, COLUMNS_AT_ONCE, SMALLEST_GROUP = 16, 128, 32
LANES, FLOAT_BYTES = 32, 4
# Measured on an H200: few warps where there are blocks for all of the card, else as many as have two pieces each.
WARPS_OF_MANY_BLOCKS, WARPS_OF_FEW_BLOCKS = 4, 14
MANY_BLOCKS = 8  # for each multiprocessor
WARPS_UNPACKING = 8


def int4_product(
    rows: torch.Tensor, packed: torch.Tensor, scales_and_zeros: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """``rows @ weight.T + bias``, bfloat16 ``[rows, out]``, of bfloat16 ``rows`` ``[rows, in]``, summed in float32.

    ``packed``: int32 ``[out / 8, in / 128, 32, 4]`` as ``linear.tile_layout.tiles_of_cuda`` gives it, ``out`` a
    multiple of 16; ``scales_and_zeros``: bfloat16 ``[groups, out, 2]``, the value of a step and that of code 8;
    ``bias``: bfloat16 ``[out]``. The card's compute capability must be 8.0 or more. Raises RuntimeError where the
    kernel is not compiled or launched.
    """
    rows = rows.contiguous()
    count, columns = rows.shape
    groups, outputs, _ = scales_and_zeros.shape
    at_once = FEW if count <= FEW else MORE
    output = torch.empty(count, outputs, dtype=torch.bfloat16, device=rows.device)
    added = rows.new_empty(0) if bias is None else bias  # whose address is null
    warps = _warps(rows.device, outputs // OUTPUTS_AT_ONCE, columns // COLUMNS_AT_ONCE)
    with on_card_of(rows):
        compiled(SOURCE, "int4_product", rows.device, "BF16", f"ROWS {at_once}")(
            grid=(-(-count // at_once), outputs // OUTPUTS_AT_ONCE, 1),
            block=(warps * LANES, 1, 1),
            args=[rows, packed, scales_and_zeros, added, output, count, outputs, columns, _shift(columns // groups)],
            shared_mem=warps * at_once * OUTPUTS_AT_ONCE * FLOAT_BYTES,
        )
    return output


def int4_unpacked(packed: torch.Tensor, scales_and_zeros: torch.Tensor) -> torch.Tensor:
    """The weight, bfloat16 ``[out, in]``, of ``packed`` and ``scales_and_zeros`` as ``int4_product`` takes them."""
    groups, outputs, _ = scales_and_zeros.shape
    tiles, columns = packed.shape[0] * packed.shape[1], packed.shape[1] * COLUMNS_AT_ONCE
    weight = torch.empty(outputs, columns, dtype=torch.bfloat16, device=packed.device)
    with on_card_of(packed):
        compiled(SOURCE, "int4_unpacked", packed.device, "BF16", f"ROWS {FEW}")(
            grid=(-(-tiles // WARPS_UNPACKING), 1, 1),
            block=(WARPS_UNPACKING * LANES, 1, 1),
            args=[packed, scales_and_zeros, weight, outputs, columns, _shift(columns // groups)],
        )
    return weight


def _shift(group: int) -> int:
    """By how many bits a number of 32 columns is shifted for its group."""
    return (group // SMALLEST_GROUP).bit_length() - 1


def _warps(card: torch.device, blocks: int, pieces: int) -> int:
    if blocks >= MANY_BLOCKS * multiprocessors(card):
        return WARPS_OF_MANY_BLOCKS
    return min(WARPS_OF_FEW_BLOCKS, -(-pieces // 2))
