"""A model attends over slots or is refused: nothing it asks of attention is swallowed, and no engine is kept alive."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.models.diffllama import DiffLlamaConfig
from transformers.models.gemma2 import Gemma2Config
from transformers.models.gpt_oss import GptOssConfig
from transformers.models.llama import LlamaConfig
from transformers.models.mistral import MistralConfig
from transformers.models.qwen2 import Qwen2Config

from qwen_app.engine.local.attention.batch import QuerySpan, refuse_partial_attention, use_slots
from qwen_app.engine.local.attention.sdpa import SdpaAttention
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.errors import ModelFilesError
from tests.engine.local.cuda_without_card import CPU, cache_for, small_qwen

CONTEXT = 64
SMALL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 128,
}


def answered(config: PretrainedConfig) -> torch.Tensor:
    """Logits of a first token over slots."""
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    refuse_partial_attention(config, CONTEXT)
    use_slots(model)
    attention = SdpaAttention(cache_for(model, slots=1, length=CONTEXT), config.num_attention_heads)
    return ModelRunner(model, attention, CPU).forward([ScheduledChunk(QuerySpan(0, 0, 1), [1], wants_logits=True)])


@pytest.mark.parametrize(
    "config",
    [
        Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=16, max_window_layers=1),
        MistralConfig(**SMALL, sliding_window=16),
        Gemma2Config(**SMALL, sliding_window=4096, attn_logit_softcapping=50.0),
        GptOssConfig(**SMALL, num_local_experts=2, num_experts_per_tok=1, sliding_window=4096),
    ],
    ids=lambda config: config.model_type,
)
def test_windows_caps_and_sinks_are_refused(config: PretrainedConfig) -> None:
    with pytest.raises(ModelFilesError):
        answered(config)


@pytest.mark.parametrize(
    "config",
    [
        Qwen2Config(**SMALL),
        Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=CONTEXT, max_window_layers=1),
        MistralConfig(**SMALL, sliding_window=4096),
        LlamaConfig(**SMALL),
    ],
    ids=lambda config: f"{config.model_type}-{getattr(config, 'sliding_window', None)}",
)
def test_a_window_that_never_slides_here_is_none(config: PretrainedConfig) -> None:
    assert answered(config).isfinite().all()


@pytest.mark.parametrize(
    ("config", "advice"),
    [
        (MistralConfig(**SMALL, sliding_window=2047), "--context 2047 at most"),
        (Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=16, max_window_layers=1), "another model"),
        (Gemma2Config(**SMALL, sliding_window=2047, attn_logit_softcapping=50.0), "another model"),
    ],
    ids=["useful", "too-short", "capped-too"],
)
def test_a_context_within_a_useful_window_is_advised_where_nothing_else_is_wrong(
    config: PretrainedConfig, advice: str
) -> None:
    with pytest.raises(ModelFilesError, match=advice):
        refuse_partial_attention(config, 2048)
    if advice.startswith("--context"):
        refuse_partial_attention(config, 2047)


@pytest.mark.slow
def test_a_cache_goes_with_its_engine() -> None:
    """The model outlives it, and gets another."""
    model = small_qwen()
    caches = []
    for slots in (1, 2, 4):
        use_slots(model)
        attention = SdpaAttention(cache_for(model, slots=slots, length=32), 4)
        runner = ModelRunner(model, attention, CPU)
        runner.forward([ScheduledChunk(QuerySpan(0, 0, 1), [1], wants_logits=True)])
        caches.append(weakref.ref(attention.cache))
        del attention, runner
    gc.collect()
    assert [cache() for cache in caches] == [None, None, None]


def test_a_layer_that_attends_twice_is_refused() -> None:
    with pytest.raises(ModelFilesError, match="more than once in a layer"):
        answered(DiffLlamaConfig(**SMALL | {"num_key_value_heads": 2}))


def test_two_engines_may_share_one_model() -> None:
    model = small_qwen()
    runners = [ModelRunner(model, SdpaAttention(cache_for(model, slots=1, length=32), 4), CPU) for _ in range(2)]
    prompts = [[3, 1, 4, 1, 5], [2, 7, 1, 8, 2]]
    for runner, prompt in zip(runners, prompts, strict=True):
        runner.forward([ScheduledChunk(QuerySpan(0, 0, 5), prompt, wants_logits=True)])
    more = [runner.forward([ScheduledChunk(QuerySpan(0, 5, 1), [9], wants_logits=True)]).clone() for runner in runners]
    for prompt, got in zip(prompts, more, strict=True):
        fresh = ModelRunner(model, SdpaAttention(cache_for(model, slots=1, length=32), 4), CPU)
        want = fresh.forward([ScheduledChunk(QuerySpan(0, 0, 6), [*prompt, 9], wants_logits=True)])
        torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)
