"""Our attention of decoding rows in C++ is the softmax over what each row sees, written out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.kernels.cpu.decode_attention import decode_attention
from tests.examples import examples
from tests.kernels.compiler import needs_a_compiler

pytestmark = needs_a_compiler


def written_out(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, cells: list[int], ends: list[int], scaling: float
) -> torch.Tensor:
    share = query.shape[1] // keys.shape[1]
    rows = []
    for own, first, end in zip(query.double(), cells, ends, strict=True):
        seen, weighed = (part[first : first + end].double().repeat_interleave(share, 1) for part in (keys, values))
        weights = torch.einsum("hd,khd->hk", own, seen).mul(scaling).softmax(-1)
        rows.append(torch.einsum("hk,khd->hd", weights, weighed))
    return torch.stack(rows).float()


@settings(max_examples=examples(30), deadline=None)
@given(
    dim=st.sampled_from([16, 32, 64, 80, 96, 128, 256]),
    kv=st.integers(1, 3),
    share=st.integers(1, 8),
    ends=st.lists(st.sampled_from([1, 2, 255, 256, 257, 600]), min_size=1, max_size=4),
)
def test_rows_see_their_own_cells(dim: int, kv: int, share: int, ends: list[int]) -> None:
    length = 600
    keys, values = torch.randn(2, len(ends) * length, kv, dim)
    query = torch.randn(len(ends), kv * share, dim)
    cells = [row * length for row in reversed(range(len(ends)))]
    got = decode_attention(query, keys, values, torch.tensor(cells), torch.tensor(ends), dim**-0.5)
    torch.testing.assert_close(got, written_out(query, keys, values, cells, ends, dim**-0.5), atol=1e-5, rtol=1e-4)


@settings(max_examples=examples(30), deadline=None)
@given(
    dim=st.sampled_from([16, 32, 64, 80, 96, 128, 256]),
    kv=st.integers(1, 3),
    share=st.integers(1, 8),
    spans=st.lists(st.tuples(st.integers(0, 250), st.integers(1, 40)), min_size=1, max_size=3),
)
def test_rows_of_one_conversation_are_each_as_it_is_alone(
    dim: int, kv: int, share: int, spans: list[tuple[int, int]]
) -> None:
    length = 300
    keys, values = torch.randn(2, len(spans) * length, kv, dim)
    seen = [range(start + 1, start + count + 1) for start, count in spans]
    rows = [(place * length, end) for place, ends in enumerate(seen) for end in ends]
    cells, ends = (torch.tensor(part) for part in zip(*rows, strict=True))
    query = torch.randn(len(rows), kv * share, dim)
    got = decode_attention(query, keys, values, cells, ends, dim**-0.5)
    want = written_out(query, keys, values, cells.tolist(), ends.tolist(), dim**-0.5)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-4)
    for place in range(len(rows)):
        one = slice(place, place + 1)
        alone = decode_attention(query[one], keys, values, cells[one], ends[one], dim**-0.5)
        assert torch.equal(alone, got[one])


def test_scores_of_every_size_are_weighed() -> None:
    keys = torch.cat((torch.full((300, 1, 16), -50.0), torch.full((300, 1, 16), 50.0)))
    values = torch.cat((torch.zeros(300, 1, 16), torch.ones(300, 1, 16)))
    got = decode_attention(torch.ones(1, 1, 16), keys, values, torch.tensor([0]), torch.tensor([600]), 1.0)
    torch.testing.assert_close(got, torch.ones(1, 1, 16))


def test_what_is_no_number_stays_none_and_is_nobody_elses() -> None:
    keys, values = torch.randn(2, 20, 1, 16)
    keys[3] = torch.nan
    got = decode_attention(torch.randn(2, 1, 16), keys, values, torch.tensor([0, 10]), torch.tensor([10, 10]), 0.25)
    assert got[0].isnan().all()
    assert got[1].isfinite().all()


def test_heads_that_it_does_not_know_are_refused() -> None:
    keys = torch.zeros(4, 1, 24)
    with pytest.raises(ValueError, match="no heads of 24"):
        decode_attention(torch.zeros(1, 1, 24), keys, keys, torch.tensor([0]), torch.tensor([4]), 1.0)
