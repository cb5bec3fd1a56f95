"""The quality benchmark's figures are what their names say."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from bench.quality import quality_of
from bench.rotated import rotate


def test_the_same_model_diverges_from_itself_by_nothing() -> None:
    exact = torch.randn(5, 11).log_softmax(-1)
    found = quality_of(exact, exact, [1, 2, 3, 4, 5])
    assert (found.divergence, found.agreement) == (0, 1)


def test_another_distribution_is_measured_in_nats() -> None:
    exact = torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log()
    tried = torch.tensor([[0.25, 0.75], [0.9, 0.1]]).log()
    found = quality_of(exact, tried, [0, 1])
    assert found.divergence == pytest.approx((0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)) / 2)
    assert found.agreement == 0.5
    assert found.perplexity == pytest.approx(1 / 0.75)


@torch.inference_mode()
def test_a_rotated_model_says_the_same_with_other_weights() -> None:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    for name, weight in model.named_parameters():
        if "norm" in name:
            weight.uniform_(0.5, 2)
    ids, before = torch.arange(9)[None], model.model.layers[1].mlp.down_proj.weight.clone()
    said = model(ids).logits
    rotate(model)
    torch.testing.assert_close(model(ids).logits, said, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(model.model.layers[1].mlp.down_proj.weight, before, atol=1e-2)
