"""YaRN is switched on by the context alone, computes what transformers computes, and its cost is told first."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, PretrainedConfig, PreTrainedModel, Qwen2Config
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.compute.decoder import reads
from qwen_app.engine.local.compute.model_runner import ScheduledChunk
from qwen_app.engine.local.compute.parts import build_compute_parts
from qwen_app.errors import DoesNotFit
from qwen_app.models.adapted.long_context import FACTOR, MOST_TOKENS, longest_tokens, readable_tokens, use_yarn
from qwen_app.models.device import Device
from qwen_app.models.dims import dims_of
from qwen_app.models.loading.loader import load
from qwen_app.models.memory_plan import plan_memory
from qwen_app.models.plan_table import plan_table
from qwen_app.models.registry import DEFAULT, known_model
from tests.tiny_qwen import save_tiny_qwen

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


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        ({"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768}}, 131_072),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16_384}}, 65_536),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, 65_536),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}, "original_max_position_embeddings": 9_000}, 36_000),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4_096}}, 32_768),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, 32_768),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 32.0}}, 32_768),
        ({"rope_parameters": {"rope_type": "yarn", "factor": None}}, 32_768),
        ({"rope_parameters": {"rope_type": "yarn", "factor": "4"}}, 32_768),
        ({"rope_parameters": {"rope_type": "yarn", "factor": float("inf")}}, 32_768),
        ({"rope_scaling": None, "rope_parameters": {"rope_type": "default"}}, 32_768),
        ({"rope_scaling": [], "rope_parameters": "yarn"}, 32_768),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 8.0}}}, 32_768),
    ],
)
def test_how_far_a_configuration_reaches(config: dict[str, object], tokens: int) -> None:
    assert readable_tokens(config | {"max_position_embeddings": 32_768}) == tokens


@pytest.mark.parametrize("precision", ["fp32", "int4"])
@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
def test_a_folder_prepared_for_long_texts_reads_them_as_it_says(tmp_path: Path, key: str, precision: str) -> None:
    folder = save_tiny_qwen(tmp_path)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    own = config["max_position_embeddings"]
    config.pop("rope_parameters")
    kind = {"type" if key == "rope_scaling" else "rope_type": "yarn"}
    config |= {"rope_theta": 1e6} if key == "rope_scaling" else {}
    config[key] = kind | {"rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": own}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    dims = dims_of(folder)
    assert (dims.context_tokens, dims.longest_tokens) == (4 * own, 4 * own)
    assert plan_memory(dims, "4bit", CARD, context=3 * own).context_tokens == 3 * own
    rotary = load(folder, precision=precision, context_tokens=3 * own).model.get_decoder().rotary_emb
    expected = Qwen2RotaryEmbedding(AutoConfig.from_pretrained(folder))
    torch.testing.assert_close(rotary.inv_freq, expected.inv_freq)
    assert rotary.attention_scaling == expected.attention_scaling


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
