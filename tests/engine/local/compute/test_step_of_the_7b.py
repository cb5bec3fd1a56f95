"""A decode step of Qwen2.5-7B, traced without its weights: how often it waits for the card, and how it uses it."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, PreTrainedModel, Qwen2Config

from qwen_app.engine.local.attention.flash import FlashAttention
from qwen_app.engine.local.attention.kv_cache import KVCache, KVShape
from qwen_app.engine.local.compute import decoder
from qwen_app.engine.local.compute.cuda_graphs import DecodeGraphs
from qwen_app.engine.local.compute.decoder import Decoder
from qwen_app.engine.local.sampling.sampler import Sampler, SamplingRow
from qwen_app.kernels.step_kernels import Heads
from qwen_app.messages import SamplingParams
from tests.engine.local.cuda_without_card import RecorderOnCpu

META = torch.device("meta")
SLOTS, CONTEXT, LAYERS, VOCABULARY = 8, 32_768, 28, 151_665
MULTIPROCESSORS = {"4090": 128, "L4": 58, "A10": 72, "H100": 132}
MOST_BLOCKS = 128  # what is asked of a decode call, so that no card of 24 GB has idle multiprocessors
MOST_KERNELS = 580  # a decode step; transformers' forward takes 1,171
MOST_KERNELS_FUSED = 300  # attention, one operator, is two of them
VIEWS = (
    "view",
    "_unsafe_view",
    "reshape",
    "t",
    "transpose",
    "split",
    "slice",
    "select",
    "unsqueeze",
    "expand",
    "detach",
)
MADE = ("empty", "empty_like", "new_empty")
NO_KERNEL = tuple(f"aten::{view}" for view in (*VIEWS, *MADE))
QWEN = SamplingParams(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05)
ASKED = {
    "Qwen's own": QWEN,
    "greedy": SamplingParams(temperature=0.0),
    "top-p alone": SamplingParams(temperature=0.7, top_p=0.9, top_k=0),
    "min-p alone": SamplingParams(temperature=0.7, top_p=1.0, top_k=0, min_p=0.1),
    "nothing cut": SamplingParams(temperature=1.0, top_p=1.0, top_k=0),
    "log-probabilities": SamplingParams(temperature=0.0, logprobs=True, top_logprobs=5),
    "all penalties": SamplingParams(temperature=0.7, top_k=20, presence_penalty=0.5, frequency_penalty=0.5),
}


class Operators(TorchDispatchMode):
    """Counts operators, and keeps the arguments of flash attention's."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: Counter[str] = Counter()
        self.flash: list[tuple[object, ...]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.names[func.name()] += 1
        if "_flash_attention_forward" in func.name():
            self.flash.append((*args, kwargs))
        return func(*args, **(kwargs or {}))


class Launches:
    """The fused kernels' results without their work, which Triton does nowhere but on a card."""

    def __init__(self) -> None:
        self.count = 0

    def rms_norm(self, hidden: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        self.count += 1
        return torch.empty_like(hidden)

    def add_rms_norm(
        self, hidden: torch.Tensor, added: torch.Tensor, weight: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.empty_like(hidden), self.rms_norm(hidden, weight, eps)

    def rotate_and_store(
        self, qkv: torch.Tensor, heads: Heads, rotation: object, cells: torch.Tensor, cache: object
    ) -> torch.Tensor:
        self.count += 1
        return qkv.new_empty(qkv.shape[0], heads.query, heads.dim)

    def gate(self, gate_up: torch.Tensor) -> torch.Tensor:
        self.count += 1
        return gate_up.new_empty(gate_up.shape[0], gate_up.shape[1] // 2)


@pytest.fixture(scope="module")
def model() -> Decoder:
    """Qwen2.5-7B's shape without any memory, in our decoder."""
    return Decoder(transformers_model(), CONTEXT)


def transformers_model() -> PreTrainedModel:
    config = Qwen2Config(
        vocab_size=152_064,
        hidden_size=3584,
        intermediate_size=18_944,
        num_hidden_layers=LAYERS,
        num_attention_heads=28,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
    )
    with META:
        made: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float16).eval()
    return made


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the host asked the device for a value. What is asked any other way raises on ``meta``."""
    counted: Counter[str] = Counter()
    tolist = torch.Tensor.tolist

    def counting(tensor: torch.Tensor) -> object:
        if tensor.device != META:
            return tolist(tensor)
        counted["tolist"] += 1
        return np.ones(tensor.shape, dtype=np.int64).tolist()

    monkeypatch.setattr(torch.Tensor, "tolist", counting)
    return counted


def blocks(rows: int, kv_heads: int, keys: int, multiprocessors: int) -> int:
    """Thread blocks of flash attention's decode call, by the rule of its ``num_splits_heuristic``: the fewest splits of
    the keys, in pieces of 128, that fill the card's waves to 85 % of the best."""
    unsplit, pieces, wide = rows * kv_heads, math.ceil(keys / 128), 2 * multiprocessors
    if unsplit >= 0.8 * wide:
        return unsplit
    filled = []
    for splits in range(1, min(128, wide, pieces) + 1):
        waves = unsplit * splits / wide
        eligible = splits == 1 or math.ceil(pieces / splits) != math.ceil(pieces / (splits - 1))
        filled.append(waves / math.ceil(waves) if eligible else 0.0)
    splits = next(number for number, share in enumerate(filled, 1) if share >= 0.85 * max(filled))
    return unsplit * splits


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_a_decode_call_fills_every_card_and_nothing_waits(model: Decoder, waits: Counter[str], rows: int) -> None:
    shape = KVShape(LAYERS, 4, 128, torch.float16)
    cache = KVCache(shape, slots=SLOTS, length=CONTEXT, devices=[META] * LAYERS)
    graphs = DecodeGraphs(model, FlashAttention(cache), META, RecorderOnCpu())
    with torch.inference_mode(), Operators() as operators:
        logits = graphs.run(torch.zeros(5, rows, dtype=torch.int64, device=META), CONTEXT)
    assert logits.shape == (rows, 152_064)
    assert not waits
    assert kernels_of(operators) <= MOST_KERNELS
    assert len(operators.flash) == LAYERS
    query, keys, _, _, _, max_q, max_k, _, causal, _, options = operators.flash[0]
    assert isinstance(query, torch.Tensor)
    assert isinstance(keys, torch.Tensor)
    assert isinstance(options, dict)
    # Only so does the kernel pack the query heads of a KV head and split the keys.
    assert (max_q, causal, options["window_size_left"], options["window_size_right"]) == (1, False, -1, -1)
    assert (query.shape, keys.shape[1:], max_k) == ((rows, 28, 128), (4, 128), CONTEXT)
    for card, multiprocessors in MULTIPROCESSORS.items():
        assert blocks(rows, keys.shape[1], CONTEXT, multiprocessors) >= min(MOST_BLOCKS, multiprocessors), card


def test_fused_a_step_has_few_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    launches = Launches()
    monkeypatch.setattr(decoder, "choose_kernels", lambda *sizes, fused: (launches, ""))
    model = Decoder(transformers_model(), CONTEXT)
    cache = KVCache(KVShape(LAYERS, 4, 128, torch.float16), slots=SLOTS, length=CONTEXT, devices=[META] * LAYERS)
    graphs = DecodeGraphs(model, FlashAttention(cache), META, RecorderOnCpu())
    with torch.inference_mode(), Operators() as operators:
        graphs.run(torch.zeros(5, 1, dtype=torch.int64, device=META), CONTEXT)
    assert launches.count == 4 * LAYERS + 1
    assert kernels_of(operators) + LAYERS + launches.count <= MOST_KERNELS_FUSED


def kernels_of(operators: Operators) -> int:
    return sum(count for name, count in operators.names.items() if name.partition(".")[0] not in NO_KERNEL)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("params", ASKED.values(), ids=ASKED)
def test_sampling_waits_once_and_sorts_no_vocabulary(waits: Counter[str], params: SamplingParams, masked: bool) -> None:
    sampler = Sampler(text_vocab_size=VOCABULARY, context_tokens=CONTEXT, slots=SLOTS, device=META)
    rows = [SamplingRow(slot, params, random.Random(slot)) for slot in range(SLOTS)]
    for slot in range(SLOTS):
        sampler.begin(slot, [1] * 100, (), params)
    masks = np.full((SLOTS, 152_064 // 32), -1, np.int32) if masked else None
    with torch.inference_mode(), Operators() as operators:
        sampled = sampler.sample(torch.zeros(SLOTS, 152_064, dtype=torch.float16, device=META), rows, masks)
    assert len(sampled) == SLOTS
    assert waits == {"tolist": 1}
    assert not [name for name in operators.names if "sort" in name and "searchsorted" not in name]
