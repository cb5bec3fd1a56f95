"""YaRN is switched on by the context alone, computes what transformers computes, and its cost is told first."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, PreTrainedModel, Qwen2Config

from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.compute.decoder import reads
from qwen_app.engine.local.compute.model_runner import ScheduledChunk
from qwen_app.engine.local.compute.parts import build_compute_parts
from qwen_app.errors import DoesNotFit
from qwen_app.models.adapted.long_context import FACTOR, MOST_TOKENS, longest_tokens, use_yarn
from qwen_app.models.device import Device
from qwen_app.models.memory_plan import plan_memory
from qwen_app.models.plan_table import plan_table
from qwen_app.models.registry import DEFAULT, known_model

OWN, LONG = 32, 128
SIZES: dict[str, Any] = {
    "vocab_size": 160,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": OWN,
    "bos_token_id": None,
    "eos_token_id": None,
}
YARN = {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": OWN}
CARD = Device("cuda", "a card", free_bytes=24_000_000_000, total_bytes=24_000_000_000, ampere=True)


def random_model(config: PretrainedConfig) -> PreTrainedModel:
    torch.manual_seed(7)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    return model


def plain() -> PreTrainedModel:
    return random_model(Qwen2Config(**SIZES, rope_parameters={"rope_type": "default", "rope_theta": 1e6}))


@torch.inference_mode()
def test_stretched_it_computes_what_transformers_has_for_that_config() -> None:
    stretched = plain()
    assert use_yarn(stretched, LONG)
    configured = random_model(Qwen2Config(**SIZES, rope_parameters=YARN))
    configured.load_state_dict(plain().state_dict())
    ids = torch.randint(0, 160, (LONG,), generator=torch.Generator().manual_seed(1))
    expected = configured(ids[None]).logits[0, -1]
    torch.testing.assert_close(stretched(ids[None]).logits[0, -1], expected, atol=1e-5, rtol=0)
    cpu = torch.device("cpu")
    size = {"slots": 1, "context_tokens": LONG, "text_vocab_size": 160, "offload_bytes": 0}
    runner = build_compute_parts(copy.deepcopy(stretched), cpu, **size).runner
    assert reads(stretched.config, LONG)
    ours = runner.forward([ScheduledChunk(QuerySpan(0, 0, LONG), ids.tolist(), wants_logits=True)])
    torch.testing.assert_close(ours[0], expected, atol=1e-4, rtol=0)


def test_within_its_own_context_nothing_changes() -> None:
    model = plain()
    before = model.get_decoder().rotary_emb
    assert not use_yarn(model, OWN)
    assert model.get_decoder().rotary_emb is before


@pytest.mark.parametrize(
    ("config", "own", "most"),
    [
        ({"model_type": "qwen2"}, 32_768, MOST_TOKENS),
        ({"model_type": "qwen2"}, MOST_TOKENS, MOST_TOKENS),
        ({"model_type": "qwen2"}, 1_010_000, 1_010_000),
        ({"model_type": "qwen2", "rope_scaling": {"type": "yarn", "factor": 4.0}}, 32_768, 32_768),
        ({"model_type": "llama"}, 8192, 8192),
    ],
)
def test_who_is_offered_how_much(config: dict[str, object], own: int, most: int) -> None:
    assert longest_tokens(config, own) == most


def test_the_plan_keeps_to_the_models_own_context_unless_asked_and_tells_what_more_costs() -> None:
    known = known_model(DEFAULT)
    assert known is not None
    assert plan_memory(known.dims, "4bit", CARD).context_tokens <= 32_768
    assert plan_memory(known.dims, "4bit", CARD, users=1, context=MOST_TOKENS).context_tokens == MOST_TOKENS
    with pytest.raises(DoesNotFit, match="131,072"):
        plan_memory(known.dims, "4bit", CARD, context=MOST_TOKENS + 1)
    off, on = (plan_table(DEFAULT, known.dims, ["4bit"], CARD, users=1, context=size) for size in (0, MOST_TOKENS))
    assert "YaRN is off" in off
    assert "YaRN is on" in on
    assert "131,072 tokens take 7.5 GB" in on
    assert FACTOR == 4.0


def test_a_model_without_it_says_nothing() -> None:
    llama = LlamaConfig(**SIZES)
    assert longest_tokens(llama.to_dict(), OWN) == OWN
