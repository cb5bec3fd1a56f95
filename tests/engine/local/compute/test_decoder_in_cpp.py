"""Decode steps of 4 and 8-bit weights on a CPU are one call of all layers, and compute what transformers computes."""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, PreTrainedModel, Qwen2Config, Qwen3Config

from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.compute.decoder import Decoder
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.engine.local.compute.parts import build_compute_parts
from qwen_app.kernels.cpu.layers import CppLayers
from qwen_app.linear.int4_linear import Int4Linear
from qwen_app.linear.int4_weight import Int4Weight
from qwen_app.linear.int8_linear import Int8Linear, Int8Weight
from qwen_app.linear.own_kernels import multiplies_4_bits_on_a_cpu
from tests.engine.local.compute.random_model import random_model

pytestmark = pytest.mark.skipif(not multiplies_4_bits_on_a_cpu(), reason="needs g++, AVX2 and FMA")

CPU = torch.device("cpu")
LENGTH, SLOTS = 600, 3
CLOSE = 5e-2  # where a number lies between two of 8 bits, either is right
SIZES: dict[str, Any] = {
    "vocab_size": 160,
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "bos_token_id": None,
    "eos_token_id": None,
}
FAMILY = {
    "llama": LlamaConfig(**SIZES),
    "llama-biased": LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES, head_dim=32),
}


@pytest.fixture(scope="module", params=FAMILY)
def exact(request: pytest.FixtureRequest) -> PreTrainedModel:
    """A float32 model whose layers' weights have 4 bits, and whose inputs are rounded as our products round them."""
    model = random_model(FAMILY[request.param])
    for module in model.get_decoder().layers.modules():
        if isinstance(module, nn.Linear):
            module.weight.data = four_bits_of(module).dequantised()
            module.register_forward_pre_hook(with_inputs_of_8_bits)
    return model


def with_inputs_of_8_bits(module: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    blocks = inputs[0].unflatten(-1, (-1, 32))
    lowest, highest = blocks.amin(-1, keepdim=True), blocks.amax(-1, keepdim=True)
    half, largest = (highest - lowest) / 2, blocks.abs().amax(-1, keepdim=True)
    middles = torch.where(half < 0.7 * largest, lowest + half, 0)
    steps = torch.where(half < 0.7 * largest, half, largest) / 127
    return (((blocks - middles) / steps).round().mul(steps).add(middles).flatten(-2),)


def four_bits_of(module: nn.Linear) -> Int4Weight:
    """In steps that bfloat16 has, so that making it of what it was made of gives the same."""
    largest = module.weight.detach().unflatten(1, (-1, 32)).abs().amax(-1)
    scales = 2.0 ** (largest / 7).log2().ceil()
    codes = (module.weight.detach().unflatten(1, (-1, 32)) / scales[..., None]).round().flatten(1) + 8
    return Int4Weight(codes.to(torch.uint8), scales, -8 * scales)


def in_bits(exact: PreTrainedModel, bits: Callable[[str], int]) -> PreTrainedModel:
    """A copy with a layer of 4 or 8 ``bits`` for each of that name; those of 0 stay as they are."""
    model = copy.deepcopy(exact)
    for name, module in list(model.get_decoder().layers.named_modules()):
        if isinstance(module, nn.Linear) and bits(name):
            bias = module.bias.detach() if module.bias is not None else None
            four = bits(name) == 4
            packed = (
                Int4Linear.of(four_bits_of(module), bias, CPU)
                if four
                else Int8Linear(Int8Weight.of(module.weight), bias)
            )
            parent, _, own = name.rpartition(".")
            setattr(model.get_decoder().layers.get_submodule(parent), own, packed)
    return model


def in_4_bits(exact: PreTrainedModel, keep: Callable[[str], bool] = lambda name: False) -> PreTrainedModel:
    return in_bits(exact, lambda name: 0 if keep(name) else 4)


def runner_of(model: PreTrainedModel, *without: str) -> ModelRunner:
    size = {"slots": SLOTS, "context_tokens": LENGTH, "text_vocab_size": 160, "offload_bytes": 0}
    runner = build_compute_parts(model, CPU, **size, without=without).runner
    assert isinstance(runner, ModelRunner)
    return runner


def chunk(ids: list[int], start: int = 0, slot: int = 0) -> ScheduledChunk:
    return ScheduledChunk(QuerySpan(slot, start, len(ids)), ids, wants_logits=True)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each call of the layers in C++ had."""
    rows: list[int] = []
    through = CppLayers.__call__

    def counted(self: CppLayers, hidden: torch.Tensor, *given: Any) -> tuple[torch.Tensor, torch.Tensor]:
        rows.append(len(hidden))
        return through(self, hidden, *given)

    monkeypatch.setattr(CppLayers, "__call__", counted)
    return rows


def far(got: torch.Tensor, want: torch.Tensor) -> float:
    return float((got - want).norm() / want.norm())


@torch.inference_mode()
def test_logits_are_those_of_transformers(exact: PreTrainedModel, calls: list[int]) -> None:
    runner = runner_of(in_4_bits(exact))
    calls.clear()
    ids = torch.randint(0, 160, (560,), generator=torch.Generator().manual_seed(1)).tolist()
    expected = exact(torch.tensor([ids])).logits[0]
    for slot, length in ((0, 550), (1, 15), (2, 300)):
        runner.forward([chunk(ids[:length], slot=slot)])
    assert calls == [15]  # long prompts go layer by layer
    calls.clear()
    alone = runner.forward([chunk(ids[550:551], 550)])
    assert far(alone[0], expected[550]) < CLOSE
    together = runner.forward([chunk(ids[300:301], 300, 2), chunk(ids[551:552], 551), chunk(ids[15:16], 15, 1)])
    for got, place in zip(together, (300, 551, 15), strict=True):
        assert far(got, expected[place]) < CLOSE
    assert calls == [1, 3]
    beside = runner.forward([chunk(ids[552:553], 552), chunk(ids[301:360], 301, 2)])
    for got, place in zip(beside, (552, 359), strict=True):
        assert far(got, expected[place]) < CLOSE
    assert calls == [1, 3]
    few = ScheduledChunk(QuerySpan(0, 553, 4), ids[553:557], wants_logits=True, drafted=3)
    for got, place in zip(runner.forward([few, chunk(ids[360:362], 360, 2)]), (553, 554, 555, 556, 361), strict=True):
        assert far(got, expected[place]) < CLOSE
    assert calls == [1, 3, 6]


@torch.inference_mode()
def test_they_are_those_of_one_layer_after_the_other(
    exact: PreTrainedModel, monkeypatch: pytest.MonkeyPatch, calls: list[int]
) -> None:
    answers = []
    for in_cpp in (True, False):
        if not in_cpp:
            monkeypatch.setattr(Decoder, "_layers_in_cpp", lambda self, batch: None)
        runner = runner_of(in_4_bits(exact))
        runner.forward([chunk(list(range(20)))])
        answers.append([runner.forward([chunk([token], 20 + token)]) for token in range(4)])
    assert calls[1:] == [20, 1, 1, 1, 1]  # the first is the start's
    for got, want in zip(*answers, strict=True):
        assert far(got, want) < 1e-3


@torch.inference_mode()
@pytest.mark.parametrize(
    ("without", "tolerance"),
    [
        ("fused-kernels", 1e-2),
        ("decode-attention", 1e-2),
        ("few-rows", 0.2),  # torch's kernel rounds inputs in another way, to bfloat16
        ("own-decoder", 1e-2),
    ],
)
def test_each_part_can_be_done_without(
    exact: PreTrainedModel, calls: list[int], without: str, tolerance: float
) -> None:
    runner = runner_of(in_4_bits(exact), without)
    runner.forward([chunk([1, 2, 3])])
    got = runner.forward([chunk([4], 3)])
    assert far(got[0], exact(torch.tensor([[1, 2, 3, 4]])).logits[0, -1]) < tolerance
    assert calls == []


@torch.inference_mode()
def test_a_model_with_other_layers_goes_layer_by_layer(exact: PreTrainedModel, calls: list[int]) -> None:
    runner = runner_of(in_4_bits(exact, lambda name: name.startswith("1.") and name.endswith("down_proj")))
    runner.forward([chunk([1, 2, 3])])
    got = runner.forward([chunk([4], 3)])
    assert far(got[0], exact(torch.tensor([[1, 2, 3, 4]])).logits[0, -1]) < CLOSE
    assert calls == []


# Which layers of a model are finer: as llama.cpp mixes them in its *_K_M files, in a form of its own, all.
FINER: dict[str, Callable[[str], bool]] = {
    "values and some outputs": lambda name: name.endswith("v_proj") or name in ("0.mlp.down_proj", "2.mlp.gate_proj"),
    "queries and keys": lambda name: name.endswith(("q_proj", "k_proj")),
    "all": lambda name: True,
}


@torch.inference_mode()
@pytest.mark.parametrize("finer", FINER)
def test_layers_of_4_and_8_bits_go_through_one_call_together(
    exact: PreTrainedModel, calls: list[int], finer: str
) -> None:
    is_finer = FINER[finer]
    runner = runner_of(in_bits(exact, lambda name: 8 if is_finer(name) else 4))
    rounded = copy.deepcopy(exact)
    for name, module in rounded.get_decoder().layers.named_modules():
        if isinstance(module, nn.Linear) and is_finer(name):
            module.weight.data = Int8Weight.of(module.weight).dequantised()
            module._forward_pre_hooks.clear()  # their inputs have 16 bits
    calls.clear()
    ids = torch.randint(0, 160, (24,), generator=torch.Generator().manual_seed(2)).tolist()
    expected = rounded(torch.tensor([ids])).logits[0]
    got = [runner.forward([chunk(ids[:20])])[0], *(runner.forward([chunk([ids[n]], n)])[0] for n in range(20, 24))]
    for one, want in zip(got, expected[19:], strict=True):
        assert far(one, want) < CLOSE
    assert calls == [20, 1, 1, 1, 1]


@torch.inference_mode()
def test_weights_are_held_once_and_serve_another_engine(exact: PreTrainedModel, calls: list[int]) -> None:
    model = in_4_bits(exact)
    first = runner_of(model)
    layer = model.get_decoder().layers[0].self_attn
    assert layer.q_proj.whole is layer.v_proj.whole
    again = runner_of(model)
    calls.clear()
    want = exact(torch.tensor([[1, 2, 3]])).logits[0, -1]
    for runner in (first, again):
        assert far(runner.forward([chunk([1, 2, 3])])[0], want) < CLOSE
    assert calls == [3, 3]
    plain = runner_of(model, "own-decoder")  # transformers' forward, of the parts
    assert far(plain.forward([chunk([1, 2, 3])])[0], want) < CLOSE


@torch.inference_mode()
def test_a_step_changes_its_own_cells_alone(exact: PreTrainedModel) -> None:
    runner = runner_of(in_4_bits(exact))
    cache = runner.attention.cache
    for cells in (*cache.keys, *cache.values):
        cells.fill_(7.0)
    runner.forward([chunk([4], 3, 1)])
    own = cache.cell(1, 3)
    for cells in (*cache.keys, *cache.values):
        changed = cells.ne(7.0).flatten(1).any(1).nonzero().flatten().tolist()
        assert changed == [own]


def test_heads_of_a_size_that_the_attention_does_not_know_go_layer_by_layer(calls: list[int]) -> None:
    model = random_model(Qwen3Config(**SIZES, head_dim=160))
    runner = runner_of(in_4_bits(model))
    runner.forward([chunk([1], 0)])
    assert calls == []


def test_a_steps_thread_takes_as_many_threads_as_torch_has(exact: PreTrainedModel) -> None:
    openmp = ctypes.CDLL(None)
    if not hasattr(openmp, "omp_get_max_threads"):
        pytest.skip("torch computes without OpenMP")
    runner = runner_of(in_4_bits(exact))
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        with ThreadPoolExecutor(1) as fresh:  # where OpenMP would take one for each core
            fresh.submit(runner.forward, [chunk([1])]).result()
            assert fresh.submit(openmp.omp_get_max_threads).result() == before + 1
    finally:
        torch.set_num_threads(before)
