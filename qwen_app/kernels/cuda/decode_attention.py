"""Attention of one new token a row on a card, in CUDA C++."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from qwen_app.kernels.cuda.launch import compiled, multiprocessors, on_card_of

SOURCE = Path(__file__).with_name("decode_attention.cu")
HEAD_DIMS = (64, 128)
MOST_SHARING = 8  # query heads of a KV head: one tile of the tensor cores
THREADS = 256
DTYPES = {torch.float16: "FP16", torch.bfloat16: "BF16"}


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where blocks leave what they have for the last of their row: ``parts`` float32 ``[blocks, 8, head_dim]``,
    ``stats`` float32 ``[blocks, 8, 2]``, ``arrived`` int32 ``[rows * kv_heads]``. One step at a time may use it."""

    parts: torch.Tensor
    stats: torch.Tensor
    arrived: torch.Tensor

    @classmethod
    def on(cls, card: torch.device, rows: int, kv_heads: int, head_dim: int) -> Workspace:
        """For at most so many ``rows``."""
        blocks = max(multiprocessors(card), rows * kv_heads)
        return cls(
            torch.empty(blocks, MOST_SHARING, head_dim, device=card),
            torch.empty(blocks, MOST_SHARING, 2, device=card),
            torch.zeros(rows * kv_heads, dtype=torch.int32, device=card),
        )


def serves(dtype: torch.dtype, query_heads: int, kv_heads: int, head_dim: int) -> bool:
    """Whether there is a kernel for such heads."""
    return dtype in DTYPES and head_dim in HEAD_DIMS and query_heads <= MOST_SHARING * kv_heads


def decode_attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    first_cells: torch.Tensor,
    used: torch.Tensor,
    scaling: float,
    workspace: Workspace,
) -> torch.Tensor:
    """``softmax(query @ keys.T * scaling) @ values`` of every row and query head: ``[rows, query heads, head_dim]``.

    ``query`` is of that size too; ``keys`` and ``values`` are ``[cells, kv_heads, head_dim]``, all of one dtype that
    ``serves``. Row ``r`` sees the ``used[r]`` cells from ``first_cells[r]`` on, at least one; both int32. The card's
    compute capability must be 8.0 or more. Raises RuntimeError where the kernel is not compiled or launched.
    """
    rows, query_heads, head_dim = query.shape
    kv_heads = keys.shape[1]
    query = query.contiguous()
    output = torch.empty_like(query)
    with on_card_of(query):
        compiled(SOURCE, "decode_attention", query.device, DTYPES[query.dtype], f"DIM {head_dim}")(
            grid=(_splits(query.device, rows * kv_heads), kv_heads, rows),
            block=(THREADS, 1, 1),
            args=[
                *(query, keys, values, first_cells, used),
                *(workspace.parts, workspace.stats, workspace.arrived, output),
                *(query_heads, kv_heads, scaling),
            ],
        )
    return output


def _splits(card: torch.device, heads_of_rows: int) -> int:
    """Into how many parts keys are cut, the longest as the shortest: the card is to be busy whatever their lengths. A
    multiprocessor has registers for one block at a time, and a second round takes as long as the first."""
    return max(1, multiprocessors(card) // heads_of_rows)
