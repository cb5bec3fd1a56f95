"""Flash attention serves only where every kind of step is right, and who runs without it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from qwen_app.engine.local.attention.batch import Batch
from qwen_app.engine.local.attention.choice import cases, choose_attention, problem_of, quickest_right
from qwen_app.engine.local.attention.cpu_decode import CpuDecodeAttention
from qwen_app.engine.local.attention.flash import FlashAttention, FlashPlan, OwnDecodeAttention
from qwen_app.engine.local.attention.kv_cache import KVCache, KVShape
from qwen_app.engine.local.attention.sdpa import SdpaAttention
from qwen_app.kernels.cpu.compile import NotCompiled
from tests.engine.local.cuda_without_card import CPU, flash_kernel_on_cpu, own_kernel_on_cpu
from tests.kernels.compiler import needs_a_compiler

HEADS, KV_HEADS = 4, 2

Fault = Callable[[torch.Tensor, FlashPlan], torch.Tensor]


@pytest.fixture(autouse=True)
def kernel() -> Iterator[None]:
    with flash_kernel_on_cpu():
        yield


def cache_of(slots: int, length: int, dtype: torch.dtype = torch.float32) -> KVCache:
    return KVCache(KVShape(1, KV_HEADS, 16, dtype), slots=slots, length=length, devices=[CPU])


class Faulty(FlashAttention):
    """A kernel whose results ``spoil`` changes."""

    def __init__(self, cache: KVCache, spoil: Fault) -> None:
        super().__init__(cache)
        self._spoil = spoil

    def attend(self, query: torch.Tensor, layer: int, batch: Batch, scaling: float) -> torch.Tensor:
        assert isinstance(batch.plan, FlashPlan)
        return self._spoil(super().attend(query, layer, batch, scaling), batch.plan)


def only_rows_alone(out: torch.Tensor, plan: FlashPlan) -> torch.Tensor:
    return out * 1.05 if plan.calls[-1].max_seqlen_q == 1 else out


def only_long_keys(out: torch.Tensor, plan: FlashPlan) -> torch.Tensor:
    return out * 1.05 if plan.calls[0].max_seqlen_k > 4096 else out


def only_a_chunk_alone(out: torch.Tensor, plan: FlashPlan) -> torch.Tensor:
    return out * 1.05 if plan.calls[0].max_seqlen_q > 1 else out


def only_beside_a_chunk(out: torch.Tensor, plan: FlashPlan) -> torch.Tensor:
    return out * 1.05 if len(plan.calls) == 2 else out


def all_but_one_unwritten(out: torch.Tensor, plan: FlashPlan) -> torch.Tensor:
    rows = plan.calls[0].tokens if plan.calls[0].max_seqlen_q == 1 else 0
    out[1:rows] = 0.0
    return out


def no_numbers(out: torch.Tensor, plan: FlashPlan) -> torch.Tensor:
    return out * float("nan")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("slots", "length"), [(8, 6000), (1, 6000), (2, 300), (1, 1)])
def test_a_right_kernel_passes_and_leaves_an_empty_cache(slots: int, length: int, dtype: torch.dtype) -> None:
    cache = cache_of(slots, length, dtype)
    assert problem_of(FlashAttention(cache), SdpaAttention(cache, HEADS), HEADS) == ""
    assert not cache.keys[0].any()
    assert not cache.values[0].any()


FAULTS = (only_rows_alone, only_long_keys, only_a_chunk_alone, only_beside_a_chunk, all_but_one_unwritten, no_numbers)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("spoil", FAULTS)
def test_a_fault_in_any_one_kind_of_step_is_seen(spoil: Fault, dtype: torch.dtype) -> None:
    cache = cache_of(4, 6000, dtype)
    assert "is wrong for" in problem_of(Faulty(cache, spoil), SdpaAttention(cache, HEADS), HEADS)


def test_a_kernel_that_is_not_there_is_a_problem_in_words() -> None:
    def refuses(out: torch.Tensor, plan: FlashPlan) -> torch.Tensor:
        raise RuntimeError("FlashAttention only supports Ampere GPUs or newer.\nmore")

    cache = cache_of(4, 64)
    problem = problem_of(Faulty(cache, refuses), SdpaAttention(cache, HEADS), HEADS)
    assert problem == "does not work here (FlashAttention only supports Ampere GPUs or newer.)"


def test_decoding_rows_alone_are_compared_at_short_and_long_lengths() -> None:
    spans = cases(cache_of(8, 32_768))
    alone = {found[0].end for found in spans.values() if [span.length for span in found] == [1]}
    assert alone == {1, 700, 5000}
    assert any([span.length for span in found] == [200] for found in spans.values())
    assert any(sorted({span.length for span in found}) == [1, 200] for found in spans.values())


def chosen(cache: KVCache, *, own_decode: bool = True) -> type:
    attention, problem = choose_attention(cache, HEADS, own_decode=own_decode)
    assert problem == ""  # whatever serves on a CPU
    return type(attention)


@needs_a_compiler
def test_on_a_cpu_our_own_kernel_serves_decoding_rows() -> None:
    assert chosen(cache_of(1, 8)) is CpuDecodeAttention
    assert chosen(cache_of(1, 8), own_decode=False) is SdpaAttention
    assert chosen(cache_of(1, 8, torch.bfloat16)) is SdpaAttention


@needs_a_compiler
def test_on_a_cpu_every_kind_of_step_is_as_plain_attention_has_it() -> None:
    cache = cache_of(3, 5000)
    assert problem_of(CpuDecodeAttention(cache, HEADS), SdpaAttention(cache, HEADS), HEADS) == ""


def refuse_to_compile(*given: object) -> torch.Tensor:
    raise NotCompiled("g++ is not installed")


@pytest.mark.parametrize(
    ("kernel_in_cpp", "said"),
    [
        (lambda query, *given: query * 1.1, "is wrong for a row of 1 keys"),
        (refuse_to_compile, "does not work here (g++ is not installed)"),
    ],
)
def test_on_a_cpu_plain_attention_serves_where_ours_is_wrong_or_not_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kernel_in_cpp: Callable[..., object], said: str
) -> None:
    monkeypatch.setattr("qwen_app.engine.local.attention.cpu_decode.decode_attention", kernel_in_cpp)
    assert chosen(cache_of(1, 8)) is SdpaAttention
    assert said in caplog.text


KERNEL = "qwen_app.engine.local.attention.flash.decode_attention"


def half_cache() -> KVCache:
    return KVCache(KVShape(1, KV_HEADS, 64, torch.bfloat16), slots=3, length=800, devices=[CPU])


def quickest(cache: KVCache, *, own_decode: bool = True) -> tuple[type, str]:
    attention, problem = quickest_right(cache, SdpaAttention(cache, HEADS), HEADS, own_decode=own_decode)
    return type(attention), problem


def test_our_own_kernel_serves_decoding_rows_where_it_is_right() -> None:
    with own_kernel_on_cpu() as calls:
        assert quickest(half_cache()) == (OwnDecodeAttention, "")
        assert calls
        assert quickest(half_cache(), own_decode=False) == (FlashAttention, "")
        assert quickest(cache_of(3, 800))[0] is FlashAttention  # no kernel for float32


def test_where_it_is_wrong_or_not_there_flash_attention_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with own_kernel_on_cpu():
        monkeypatch.setattr(KERNEL, lambda query, *given: query * 1.1)
        assert quickest(half_cache()) == (FlashAttention, "")

        def refuse(*given: object) -> torch.Tensor:
            raise RuntimeError("CUDA error: NVRTC_ERROR_COMPILATION")

        monkeypatch.setattr(KERNEL, refuse)
        assert quickest(half_cache()) == (FlashAttention, "")
    said = [record.getMessage() for record in caplog.records]
    assert "Our own attention of decode steps is wrong for" in said[0]
    assert "does not work here (CUDA error: NVRTC_ERROR_COMPILATION)" in said[1]
