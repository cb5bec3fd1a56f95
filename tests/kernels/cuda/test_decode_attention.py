"""Attention of decoding rows equals attention written out, for any lengths: on a CPU by the kernel's own source."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.kernels.cuda import decode_attention
from qwen_app.kernels.cuda.decode_attention import MOST_SHARING, Workspace, serves
from tests.kernels.compiler import needs_a_compiler
from tests.kernels.cuda.cuda_on_cpu import KernelOnCpu

LENGTH, ROWS = 3000, 8
TOLERANCE = {torch.float16: 3e-3, torch.bfloat16: 2e-2}
HEADS = [(28, 4, 128), (14, 2, 64), (16, 2, 128), (4, 4, 64)]  # query, kv, dimensions
SPLITS = 3


def test_what_it_serves() -> None:
    assert serves(torch.bfloat16, 28, 4, 128)  # Qwen2.5-7B
    assert serves(torch.float16, 14, 2, 64)  # Qwen2.5-0.5B
    assert not serves(torch.float32, 28, 4, 128)
    assert not serves(torch.bfloat16, 32, 2, 128)  # more heads share a KV head than a tile has
    assert not serves(torch.bfloat16, 32, 32, 96)


@needs_a_compiler
@pytest.mark.slow  # a thread for every lane
@pytest.mark.parametrize("lengths", [[1], [17, 128], [129], [900, 5, 257]])
@pytest.mark.parametrize(("dtype", "heads"), [(torch.float16, (7, 1, 128)), (torch.bfloat16, (8, 2, 64))])
def test_its_source_attends_right(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dtype: torch.dtype,
    heads: tuple[int, int, int],
    lengths: Sequence[int],
) -> None:
    _, kv_heads, dim = heads

    @cache
    def compiled(source: Path, name: str, card: torch.device, *defined: str) -> KernelOnCpu:
        return KernelOnCpu(tmp_path, source, name, defined)

    monkeypatch.setattr(decode_attention, "compiled", compiled)
    monkeypatch.setattr(decode_attention, "_splits", lambda card, heads_of_rows: SPLITS)
    blocks = len(lengths) * kv_heads * SPLITS
    workspace = Workspace(
        torch.full((blocks, MOST_SHARING, dim), torch.nan),
        torch.full((blocks, MOST_SHARING, 2), torch.nan),
        torch.zeros(blocks, dtype=torch.int32),
    )
    attends_right(torch.device("cpu"), dtype, heads, lengths, workspace)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("heads", HEADS)
@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, LENGTH), min_size=1, max_size=ROWS))
def test_on_a_card_it_attends_right(dtype: torch.dtype, heads: tuple[int, int, int], lengths: list[int]) -> None:
    card = torch.device("cuda", 0)
    attends_right(card, dtype, heads, lengths, Workspace.on(card, ROWS, *heads[1:]))


def attends_right(
    device: torch.device,
    dtype: torch.dtype,
    heads: tuple[int, int, int],
    lengths: Sequence[int],
    workspace: Workspace,
) -> None:
    """Twice, for the second run finds what the first left."""
    torch.manual_seed(sum(lengths))
    query_heads, kv_heads, dim = heads
    apart = max(lengths)
    keys, values = (torch.randn(len(lengths) * apart, kv_heads, dim, device=device).to(dtype) for _ in range(2))
    query = torch.randn(len(lengths), query_heads, dim, device=device).to(dtype)
    first = torch.arange(len(lengths), dtype=torch.int32, device=device) * apart
    used = torch.tensor(lengths, dtype=torch.int32, device=device)
    for _ in range(2):
        got = decode_attention.decode_attention(query, keys, values, first, used, dim**-0.5, workspace).float()
        for row, length in enumerate(lengths):
            seen = slice(row * apart, row * apart + length)
            own = [part[seen].float().repeat_interleave(query_heads // kv_heads, 1) for part in (keys, values)]
            shares = (torch.einsum("hd,khd->hk", query[row].float(), own[0]) * dim**-0.5).softmax(-1)
            want = torch.einsum("hk,khd->hd", shares, own[1])
            assert (got[row] - want).norm() < TOLERANCE[dtype] * want.norm()
        assert not workspace.arrived.any()
