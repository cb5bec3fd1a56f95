"""Few rows times weights of 8 bits in Triton: torch has no quick kernel for them on a card."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from qwen_app.kernels.cuda.launch import on_card_of

MOST_ROWS = 16  # of a product: one tile of the tensor cores
COLUMNS_AT_ONCE, OUTPUTS_AT_ONCE = 128, 64


def int8_product(rows: torch.Tensor, codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """``rows @ weight.T`` in float32 of at most ``MOST_ROWS`` bfloat16 ``rows`` ``[rows, in]``.

    The weight's block ``b`` of columns is ``codes[b] * scales[b][:, None]``: int8 ``[blocks, out, in / blocks]`` and
    bfloat16 ``[blocks, out]``. A product of two bfloat16 numbers is exact in float32, where they are summed.
    """
    count, columns = rows.shape
    blocks, outputs, _ = codes.shape
    output = torch.empty(count, outputs, dtype=torch.float32, device=rows.device)
    with on_card_of(rows):
        _int8_product[(triton.cdiv(outputs, OUTPUTS_AT_ONCE),)](
            rows,
            codes,
            scales,
            output,
            count,
            outputs,
            BLOCKS=blocks,
            BLOCK_COLUMNS=columns // blocks,
            ROWS=MOST_ROWS,
            OUTPUTS=OUTPUTS_AT_ONCE,
            COLUMNS=COLUMNS_AT_ONCE,
        )
    return output


@triton.jit
def _int8_product(
    rows,
    codes,
    scales,
    output,
    count,
    outputs,
    BLOCKS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
    ROWS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """``OUTPUTS`` outputs of all rows."""
    row, out = tl.arange(0, ROWS), tl.program_id(0).to(tl.int64) * OUTPUTS + tl.arange(0, OUTPUTS)
    has_row, has_out = row < count, out < outputs
    total = tl.zeros((ROWS, OUTPUTS), tl.float32)
    for block in tl.static_range(BLOCKS):
        of_block = tl.zeros((ROWS, OUTPUTS), tl.float32)
        for first in range(0, BLOCK_COLUMNS, COLUMNS):
            column = first + tl.arange(0, COLUMNS)
            has_column = column < BLOCK_COLUMNS
            x = tl.load(
                rows + row[:, None] * (BLOCKS * BLOCK_COLUMNS) + block * BLOCK_COLUMNS + column[None, :],
                has_row[:, None] & has_column[None, :],
                0.0,
            )
            w = tl.load(
                codes + (block * outputs + out)[None, :] * BLOCK_COLUMNS + column[:, None],
                has_column[:, None] & has_out[None, :],
                0,
            )
            of_block = tl.dot(x, w.to(x.dtype), of_block)
        scale = tl.load(scales + block * outputs + out, has_out, 0.0).to(tl.float32)
        total += of_block * scale[None, :]
    tl.store(output + row[:, None] * outputs + out[None, :], total, has_row[:, None] & has_out[None, :])
