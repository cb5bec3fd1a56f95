"""Few rows times weights of 4 bits on a card: CUDA C++, compiled by the compiler that comes with torch (NVRTC)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch

from qwen_app.kernels.launch import on_card_of

SOURCE = Path(__file__).with_name("int4_product.cu")
FEW, MORE = 8, 16  # rows that a block takes at once, compiled for either
OUTPUTS_AT_ONCE, COLUMNS_AT_ONCE, SMALLEST_GROUP = 16, 128, 32
LANES, FLOAT_BYTES = 32, 4
# Measured on an H200: few warps where there are blocks for all of the card, else as many as have two pieces each.
WARPS_OF_MANY_BLOCKS, WARPS_OF_FEW_BLOCKS = 4, 14
MANY_BLOCKS = 8  # for each multiprocessor


def int4_product(rows: torch.Tensor, packed: torch.Tensor, scales_and_zeros: torch.Tensor) -> torch.Tensor:
    """``rows @ weight.T``, bfloat16 ``[rows, out]``, of bfloat16 ``rows`` ``[rows, in]``, summed in float32.

    ``packed``: int32 ``[out / 8, in / 128, 32, 4]`` as ``linear.tile_layout.tiles_of_cuda`` gives it, ``out`` a
    multiple of 16; ``scales_and_zeros``: bfloat16 ``[groups, out, 2]``, the value of a step and that of code 8. The
    card's compute capability must be 8.0 or more. Raises RuntimeError where the kernel is not compiled or launched.
    """
    rows = rows.contiguous()
    count, columns = rows.shape
    groups, outputs, _ = scales_and_zeros.shape
    at_once = FEW if count <= FEW else MORE
    output = torch.empty(count, outputs, dtype=torch.bfloat16, device=rows.device)
    warps = _warps(rows.device, outputs // OUTPUTS_AT_ONCE, columns // COLUMNS_AT_ONCE)
    group_shift = (columns // groups // SMALLEST_GROUP).bit_length() - 1
    with on_card_of(rows):
        _kernel(rows.device, at_once)(
            grid=(-(-count // at_once), outputs // OUTPUTS_AT_ONCE, 1),
            block=(warps * LANES, 1, 1),
            args=[rows, packed, scales_and_zeros, output, count, outputs, columns, group_shift],
            shared_mem=warps * at_once * OUTPUTS_AT_ONCE * FLOAT_BYTES,
        )
    return output


@cache
def _kernel(card: torch.device, at_once: int) -> Any:  # torch has no name for the type
    """Compiled for ``card``, which must be the current one."""
    return torch.cuda._compile_kernel(f"#define ROWS {at_once}\n{SOURCE.read_text('utf-8')}", "int4_product")


@cache
def _warps(card: torch.device, blocks: int, pieces: int) -> int:
    if blocks >= MANY_BLOCKS * torch.cuda.get_device_properties(card).multi_processor_count:
        return WARPS_OF_MANY_BLOCKS
    return min(WARPS_OF_FEW_BLOCKS, -(-pieces // 2))
