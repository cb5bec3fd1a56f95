"""Our decoder computes what transformers computes, for every architecture it says it reads."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import (
    GemmaConfig,
    GenerationConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.compute.decoder import reads
from qwen_app.engine.local.compute.model_runner import Runner, ScheduledChunk
from qwen_app.engine.local.compute.parts import build_compute_parts
from tests.engine.local.compute.random_model import random_model

SIZES: dict[str, Any] = {
    "vocab_size": 160,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": None,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN = {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 64}
FAMILY = {
    "llama": LlamaConfig(**SIZES),
    "llama-biased-tied": LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    "llama3": LlamaConfig(**SIZES, rope_parameters=LLAMA3),
    "mistral": MistralConfig(**SIZES, sliding_window=None),
    "mistral-wide-window": MistralConfig(**SIZES, sliding_window=4096),
    "qwen2": Qwen2Config(**SIZES),
    "qwen2-yarn": Qwen2Config(**SIZES, rope_parameters=YARN),
    "qwen3": Qwen3Config(**SIZES, head_dim=16),
}
OTHERS = {
    "gemma": GemmaConfig(**SIZES, head_dim=8),
    "mistral-sliding": MistralConfig(**SIZES, sliding_window=16),
    "qwen2-sliding": Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=16, max_window_layers=1),
    "llama-gelu": LlamaConfig(**SIZES, hidden_act="gelu"),
    "llama-dynamic": LlamaConfig(
        **SIZES, rope_parameters={"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 2.0}
    ),
}
LENGTH = 64


def runner_of(model: PreTrainedModel) -> Runner:
    cpu = torch.device("cpu")
    size = {"slots": 2, "context_tokens": LENGTH, "text_vocab_size": 160, "offload_bytes": 0}
    return build_compute_parts(copy.deepcopy(model), cpu, **size).runner


def chunk(ids: list[int], start: int = 0, slot: int = 0) -> ScheduledChunk:
    return ScheduledChunk(QuerySpan(slot, start, len(ids)), ids, wants_logits=True)


@pytest.fixture(scope="module", params=FAMILY)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    config = FAMILY[request.param]
    assert reads(config, LENGTH)
    return random_model(config)


@torch.inference_mode()
def test_logits_are_those_of_transformers(model: PreTrainedModel) -> None:
    runner = runner_of(model)
    ids = torch.randint(0, 160, (30,), generator=torch.Generator().manual_seed(1)).tolist()
    expected = model(torch.tensor([ids])).logits[0]
    in_pieces = [runner.forward([chunk(ids[start:end], start)]) for start, end in ((0, 11), (11, 12), (12, 30))]
    torch.testing.assert_close(torch.cat(in_pieces), expected[[10, 11, 29]], atol=1e-4, rtol=0)
    beside = runner.forward([chunk([ids[29]], 29), chunk(ids[:7], slot=1)])
    torch.testing.assert_close(beside, expected[[29, 6]], atol=1e-4, rtol=0)


@torch.inference_mode()
def test_greedy_tokens_are_those_of_transformers(model: PreTrainedModel) -> None:
    config = GenerationConfig(do_sample=False, max_new_tokens=24, pad_token_id=0)
    prompt = [3, 14, 15, 92, 65]
    expected = model.generate(torch.tensor([prompt]), generation_config=config)[0].tolist()
    runner, ids = runner_of(model), list(prompt)
    logits = runner.forward([chunk(ids)])
    for _ in range(24):
        ids.append(int(logits.argmax()))
        logits = runner.forward([chunk(ids[-1:], len(ids) - 1)])
    assert ids == expected


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_computed_otherwise_is_left_to_transformers(name: str) -> None:
    assert not reads(OTHERS[name], LENGTH)


@torch.inference_mode()
def test_another_architecture_runs_as_transformers_has_it() -> None:
    model = random_model(OTHERS["gemma"])
    expected = model(torch.tensor([[1, 2, 3]])).logits[0, -1:]
    torch.testing.assert_close(runner_of(model).forward([chunk([1, 2, 3])]), expected, atol=1e-4, rtol=0)


def test_joined_weights_are_held_once() -> None:
    model = random_model(FAMILY["qwen2"])
    cpu = torch.device("cpu")
    build_compute_parts(model, cpu, slots=1, context_tokens=LENGTH, text_vocab_size=160, offload_bytes=0)
    attention = model.get_decoder().layers[0].self_attn
    query, key = attention.q_proj.weight, attention.k_proj.weight
    assert query.untyped_storage().data_ptr() == key.untyped_storage().data_ptr()
