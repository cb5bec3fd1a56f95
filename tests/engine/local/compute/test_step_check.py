"""A model that transformers' forward runs answers as it does by its own attention, or is refused with a sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, PreTrainedModel

from qwen_app.engine.local.compute.parts import ComputeParts, build_compute_parts
from qwen_app.errors import ModelFilesError
from qwen_app.models.quantised.skeleton import WeightPlacement, shrink_layers
from tests.engine.local.compute.random_model import random_model

CPU = torch.device("cpu")
SIZES: dict[str, Any] = {
    "vocab_size": 160,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MLA = {
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "moe_intermediate_size": 32,
    "num_key_value_heads": 4,
}


def random(architecture: str, **more: Any) -> PreTrainedModel:
    """Query heads share KV heads where they can."""
    config = CONFIG_MAPPING[architecture]
    shared = {"num_key_value_heads": 2} if hasattr(config(), "num_key_value_heads") else {}
    return random_model(config(**{**SIZES, **shared, **more}))


def parts_of(model: PreTrainedModel, context_tokens: int = 64) -> ComputeParts:
    return build_compute_parts(model, CPU, slots=2, context_tokens=context_tokens, text_vocab_size=160, offload_bytes=0)


@pytest.mark.parametrize(
    ("architecture", "more"),
    [
        ("diffllama", {}),
        ("xglm", {"d_model": 64, "ffn_dim": 96, "num_layers": 2, "attention_heads": 4}),
        ("stablelm", {}),
        ("nemotron", {}),
        ("falcon", {}),
        ("gpt2", {}),
        ("bloom", {}),
        ("gptj", {"rotary_dim": 8}),
        ("mpt", {"d_model": 64, "n_heads": 4, "n_layers": 2}),
        ("deepseek_v3", MLA),
        ("glm4_moe_lite", MLA),
    ],
)
def test_what_does_not_run_over_slots_is_refused_each_time_it_is_tried(architecture: str, more: dict[str, Any]) -> None:
    model = random(architecture, **more)
    for _ in range(2):
        with pytest.raises(ModelFilesError, match=r"--engine remote"):
            parts_of(model)


def test_the_refusal_names_the_architecture_and_what_is_wrong() -> None:
    model = random("xglm", d_model=64, ffn_dim=96, num_layers=2, attention_heads=4)
    with pytest.raises(ModelFilesError, match=r"architecture xglm are not run here \(wrong in a second chunk, by .*e"):
        parts_of(model)


@pytest.mark.parametrize("architecture", ["phi", "cohere", "granite", "gpt_neox", "mixtral", "gemma"])
@pytest.mark.parametrize("context_tokens", [8, 64])
def test_what_runs_over_slots_starts_with_an_empty_cache(architecture: str, context_tokens: int) -> None:
    parts = parts_of(random(architecture), context_tokens)
    assert all(not tensor.any() for tensor in (*parts.kv_cache.keys, *parts.kv_cache.values))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_model_may_differ_as_much_as_it_does_from_itself(dtype: torch.dtype) -> None:
    """Experts chosen by little: rounding grows from layer to layer, whoever computes attention."""
    parts_of(random("mixtral", num_hidden_layers=32).to(dtype))


@pytest.mark.parametrize("architecture", ["mixtral", "olmo"])  # norms of the second have no weights
def test_layers_that_round_what_they_are_given_are_no_other_architecture(architecture: str) -> None:
    model = random(architecture, hidden_size=128, intermediate_size=256)
    shrink_layers(model, WeightPlacement(CPU, torch.float32))
    parts_of(model)


def test_a_model_without_numbers_is_no_other_architecture() -> None:
    model = random("gemma")
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(torch.nan)
    parts_of(model)


def test_our_own_decoder_is_not_tried_by_transformers() -> None:
    model = random("qwen2")
    calls: list[object] = []
    model.register_forward_hook(lambda *call: calls.append(call))
    parts_of(model)
    assert calls == []
