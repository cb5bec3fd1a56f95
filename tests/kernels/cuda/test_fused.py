"""The fused kernels give what torch's operators give, whatever the sizes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.attention.sdpa import SdpaAttention
from qwen_app.engine.local.compute import decoder
from qwen_app.engine.local.compute.kernel_choice import problem_of
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.kernels.cuda.fused import FusedKernels
from qwen_app.kernels.step_kernels import Heads, PlainKernels
from tests.engine.local.cuda_without_card import CPU, cache_for, small_qwen


@settings(max_examples=6)
@given(
    hidden_size=st.sampled_from([64, 96, 896, 1000]),
    query=st.sampled_from([2, 3, 7]),
    kv=st.integers(1, 2),
    dim=st.sampled_from([16, 64, 80, 128]),
    normed=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
)
def test_fused_equals_plain(hidden_size: int, query: int, kv: int, dim: int, normed: bool, dtype: torch.dtype) -> None:
    norms = torch.randn(query + kv, dim).to(dtype) if normed else None
    heads = Heads(query, kv, dim, norms)
    assert problem_of(FusedKernels(), PlainKernels(), CPU, dtype, hidden_size, heads) == ""


def test_a_cell_that_is_nobodys_stays_as_it_was() -> None:
    keys, values = torch.ones(8, 1, 4), torch.ones(8, 1, 4)
    rotation = torch.ones(2, 1, 4), torch.zeros(2, 1, 4)
    FusedKernels().rotate_and_store(torch.zeros(2, 12), Heads(1, 1, 4), rotation, torch.tensor([6, 3]), (keys, values))
    for cells in (keys, values):
        assert cells.flatten(1).sum(1).tolist() == [4, 4, 4, 0, 4, 4, 0, 4]


@torch.inference_mode()
def test_a_decoder_with_fused_kernels_computes_what_transformers_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "choose_kernels", lambda *sizes, fused: (FusedKernels(), ""))
    model = small_qwen()
    fused, plain = (
        ModelRunner(
            computed, SdpaAttention(cache_for(model, slots=1, length=16), model.config.num_attention_heads), CPU
        )
        for computed in (decoder.Decoder(model, 16), small_qwen())
    )
    chunks = [
        ScheduledChunk(QuerySpan(0, 0, 6), list(range(6)), wants_logits=True),
        ScheduledChunk(QuerySpan(0, 6, 1), [6], wants_logits=True),
    ]
    for chunk in chunks:
        torch.testing.assert_close(fused.forward([chunk]), plain.forward([chunk]), atol=1e-4, rtol=1e-4)
