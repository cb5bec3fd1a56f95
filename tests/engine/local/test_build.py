"""What is told at the start: a model that would answer wrong is refused, a card that is not used fully is named."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM, Phi3Config, Phi3ForCausalLM

from qwen_app.engine.local.build import build_local_engine, local_compute_parts
from qwen_app.engine.local.compute.start_up import refuse_a_lost_card
from qwen_app.errors import DoesNotFit, ModelFilesError
from tests.engine.local.tiny import load_talkative


def test_a_model_with_a_sliding_window_is_refused(tiny_qwen_dir: Path) -> None:
    loaded = load_talkative(tiny_qwen_dir)
    config = MistralConfig(
        vocab_size=320, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=64,
    )  # fmt: skip
    sliding = dataclasses.replace(loaded, model=MistralForCausalLM(config).eval(), name="some/mistral")
    assert local_compute_parts(sliding, slots=1, context_tokens=64).impairment == ""
    with pytest.raises(ModelFilesError, match=r"layers of sliding_attention.*--engine remote"):
        local_compute_parts(sliding, slots=1, context_tokens=128)


def test_a_context_in_which_one_long_text_would_change_all_others_is_refused(tiny_qwen_dir: Path) -> None:
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 8, "long_factor": [4.0] * 8}
    config = Phi3Config(
        vocab_size=320, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=256, original_max_position_embeddings=32, pad_token_id=0,
        rope_parameters=rope | {"original_max_position_embeddings": 32},
    )  # fmt: skip
    loaded = load_talkative(tiny_qwen_dir)
    turning = dataclasses.replace(loaded, model=Phi3ForCausalLM(config).eval(), name="some/phi")
    local_compute_parts(turning, slots=1, context_tokens=32)
    with pytest.raises(ModelFilesError, match="--context 32"):
        local_compute_parts(turning, slots=1, context_tokens=64)


@pytest.mark.parametrize(
    "refusal",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.50 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        MemoryError(),
    ],
)
def test_a_device_that_has_filled_since_the_plan_is_told_in_a_sentence(
    tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    def full(*sizes: object, **more: object) -> None:
        raise refusal

    monkeypatch.setattr("qwen_app.engine.local.compute.parts.KVCache", full)
    with pytest.raises(DoesNotFit, match=r"1 x 64 tokens.*another process.*--users"):
        local_compute_parts(load_talkative(tiny_qwen_dir), slots=1, context_tokens=64)


def test_a_card_that_a_check_has_cost_is_not_served_from(monkeypatch: pytest.MonkeyPatch) -> None:
    card = torch.device("cpu")
    refuse_a_lost_card(card, "Flash attention is wrong.", "flash-attention")
    monkeypatch.setattr("qwen_app.engine.local.compute.start_up.answers", lambda device: False)
    refuse_a_lost_card(card, "", "flash-attention")
    with pytest.raises(DoesNotFit, match=r"does not answer.*Flash attention is wrong\. Start with --without flash-att"):
        refuse_a_lost_card(card, "Flash attention is wrong.", "flash-attention")


def test_what_makes_it_slow_is_told_beside_ready(tiny_qwen_dir: Path) -> None:
    loaded = load_talkative(tiny_qwen_dir)
    parts = local_compute_parts(loaded, slots=1, context_tokens=64)
    engine = build_local_engine(
        loaded, slots=1, context_tokens=64, parts=dataclasses.replace(parts, impairment="Flash attention is wrong.")
    )
    health = engine.health()
    asyncio.run(engine.drain(0.0))
    assert (health.ready, health.reason) == (True, "Flash attention is wrong.")


def test_a_step_reads_as_much_of_a_prompt_as_was_planned_for(tiny_qwen_dir: Path) -> None:
    parts = local_compute_parts(load_talkative(tiny_qwen_dir), slots=1, context_tokens=64, chunk_tokens=24)
    assert parts.prefill_budget.tokens(0) == 24
