"""Weights of 4 bits on a card, multiplied and written out, in CUDA C++."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from qwen_app.kernels.cuda.launch import compiled, multiprocessors, on_card_of

SOURCE = Path(__file__).with_name("int4.cu")
FEW, MORE = 8, 16  # rows that a block takes at once, compiled for either
OUTPUTS_AT_ONCE, TILE_ROWS, TILE_COLUMNS = 16, 8, 128
LANES, FLOAT_BYTES = 32, 4
WARPS_ON_EACH = 32  # of a multiprocessor's, on which this and a block's bounds were measured: an H200's
FEWEST_WARPS, MOST_WARPS = 4, 16
WARPS_UNPACKING = 8


def scale_tiles_of(scales_and_zeros: torch.Tensor, group: int) -> torch.Tensor:
    """bfloat16 ``[groups, out, 2]``, the value of a step and that of code 8 of every ``group`` columns, as the kernels
    read them: int32 ``[out / 8, sets, 8, scales]``, both in one number, the scales of 128 columns side by side."""
    groups, outputs, _ = scales_and_zeros.shape
    scales = max(1, TILE_COLUMNS // group)
    both = scales_and_zeros.view(torch.int32).view(groups // scales, scales, outputs // TILE_ROWS, TILE_ROWS)
    return both.permute(2, 0, 3, 1).contiguous()


def int4_product(
    rows: torch.Tensor, packed: torch.Tensor, scale_tiles: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """``rows @ weight.T + bias``, bfloat16 ``[rows, out]``, of bfloat16 ``rows`` ``[rows, in]``, summed in float32.

    ``packed``: int32 ``[out / 8, in / 128, 32, 4]`` as ``linear.tile_layout.tiles_of_cuda`` gives it, ``out`` a
    multiple of 16; ``scale_tiles`` as ``scale_tiles_of`` gives them; ``bias``: bfloat16 ``[out]``. The card's compute
    capability must be 8.0 or more. Raises RuntimeError where the kernel is not compiled or launched.
    """
    rows = rows.contiguous()
    count, columns = rows.shape
    outputs = packed.shape[0] * TILE_ROWS
    at_once = FEW if count <= FEW else MORE
    output = torch.empty(count, outputs, dtype=torch.bfloat16, device=rows.device)
    added = rows.new_empty(0) if bias is None else bias  # whose address is null
    warps = _warps(rows.device, outputs // OUTPUTS_AT_ONCE, columns // TILE_COLUMNS)
    with on_card_of(rows):
        _compiled("int4_product", at_once, packed, scale_tiles)(
            grid=(-(-count // at_once), outputs // OUTPUTS_AT_ONCE, 1),
            block=(warps * LANES, 1, 1),
            args=[rows, packed, scale_tiles, added, output, count, outputs, columns],
            shared_mem=warps * at_once * OUTPUTS_AT_ONCE * FLOAT_BYTES,
        )
    return output


def int4_unpacked(packed: torch.Tensor, scale_tiles: torch.Tensor) -> torch.Tensor:
    """The weight, bfloat16 ``[out, in]``, of ``packed`` and ``scale_tiles`` as ``int4_product`` takes them."""
    tiles = packed.shape[0] * packed.shape[1]
    outputs, columns = packed.shape[0] * TILE_ROWS, packed.shape[1] * TILE_COLUMNS
    weight = torch.empty(outputs, columns, dtype=torch.bfloat16, device=packed.device)
    with on_card_of(packed):
        _compiled("int4_unpacked", FEW, packed, scale_tiles)(
            grid=(-(-tiles // WARPS_UNPACKING), 1, 1),
            block=(WARPS_UNPACKING * LANES, 1, 1),
            args=[packed, scale_tiles, weight, outputs, columns],
        )
    return weight


def _compiled(kernel: str, at_once: int, packed: torch.Tensor, scale_tiles: torch.Tensor) -> Any:
    _, sets, _, scales = scale_tiles.shape
    group = packed.shape[1] * TILE_COLUMNS // (sets * scales)
    return compiled(SOURCE, kernel, packed.device, "BF16", f"ROWS {at_once}", f"GROUP {group}")


def _warps(card: torch.device, blocks: int, pieces: int) -> int:
    """How many warps share a block's columns: so that all blocks run at once, if that leaves them more than a few."""
    blocks_on_each = -(-blocks // multiprocessors(card))
    return min(max(FEWEST_WARPS, WARPS_ON_EACH // blocks_on_each), MOST_WARPS, pieces)
