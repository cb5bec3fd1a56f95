"""Attention of decoding rows on a card equals attention written out, for any lengths and any heads it serves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.kernels.decode_attention import Workspace, decode_attention, serves

LENGTH, ROWS = 3000, 8
TOLERANCE = {torch.float16: 3e-3, torch.bfloat16: 2e-2}


def test_what_it_serves() -> None:
    assert serves(torch.bfloat16, 28, 4, 128)  # Qwen2.5-7B
    assert serves(torch.float16, 14, 2, 64)  # Qwen2.5-0.5B
    assert not serves(torch.float32, 28, 4, 128)
    assert not serves(torch.bfloat16, 32, 2, 128)  # more heads share a KV head than a tile has
    assert not serves(torch.bfloat16, 32, 32, 96)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("query_heads", "kv_heads", "dim"), [(28, 4, 128), (14, 2, 64), (16, 2, 128), (4, 4, 64)])
@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, LENGTH), min_size=1, max_size=ROWS))
def test_it_equals_attention_written_out(
    dtype: torch.dtype, query_heads: int, kv_heads: int, dim: int, lengths: list[int]
) -> None:
    card = torch.device("cuda", 0)
    keys, values = (torch.randn(ROWS * LENGTH, kv_heads, dim, device=card).to(dtype) for _ in range(2))
    query = torch.randn(len(lengths), query_heads, dim, device=card).to(dtype)
    first = torch.arange(len(lengths), dtype=torch.int32, device=card) * LENGTH
    used = torch.tensor(lengths, dtype=torch.int32, device=card)
    workspace = Workspace.on(card, ROWS, kv_heads, dim)
    got = decode_attention(query, keys, values, first, used, dim**-0.5, workspace).float()
    for row, length in enumerate(lengths):
        seen = slice(row * LENGTH, row * LENGTH + length)
        own_keys, own_values = (
            part[seen].float().repeat_interleave(query_heads // kv_heads, 1) for part in (keys, values)
        )
        shares = (torch.einsum("hd,khd->hk", query[row].float(), own_keys) * dim**-0.5).softmax(-1)
        want = torch.einsum("hk,khd->hd", shares, own_values)
        assert (got[row] - want).norm() < TOLERANCE[dtype] * want.norm()
    assert not workspace.arrived.any()
