"""Captured decode steps are the steps they stand for, for any number of rows; what cannot be captured does no harm."""

from __future__ import annotations

import random
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from transformers import PreTrainedModel

from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.attention.flash import FlashAttention, OwnDecodeAttention
from qwen_app.engine.local.attention.sdpa import SdpaAttention
from qwen_app.engine.local.compute import cuda_graphs
from qwen_app.engine.local.compute.cuda_graphs import CudaRecorder, DecodeGraphs, Replayable, Step, row_counts
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.engine.local.compute.step_check import check_graphs
from tests.engine.local.cuda_without_card import (
    CPU,
    FlashKernelCall,
    RecorderOnCpu,
    cache_for,
    flash_kernel_on_cpu,
    graph_runner,
    own_kernel_on_cpu,
    small_qwen,
)

LENGTH = 48
OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB"


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return small_qwen()


@pytest.fixture
def kernel() -> Iterator[list[FlashKernelCall]]:
    with flash_kernel_on_cpu() as calls:
        yield calls


def capture_all(graphs: DecodeGraphs) -> None:
    while graphs.capture_next():
        pass


def random_steps(slots: int, count: int) -> Iterator[list[ScheduledChunk]]:
    """Decoding rows first, then pieces of prompts, as the engine schedules them; a slot is read before it decodes."""
    dice, positions = random.Random(slots), [0] * slots
    for _ in range(count):
        chunks = []
        for slot in sorted(dice.sample(range(slots), dice.randint(1, slots))):
            length = 1 if positions[slot] and dice.random() < 0.8 else dice.randint(2, 7)
            if positions[slot] + length > LENGTH:
                positions[slot], length = 0, 5
            span = QuerySpan(slot, positions[slot], length)
            positions[slot] += length
            chunks.append(ScheduledChunk(span, [dice.randrange(300) for _ in range(length)], wants_logits=True))
        yield sorted(chunks, key=lambda chunk: chunk.span.length > 1)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("slots", [1, 3, 8, 10])
def test_any_step_is_what_plain_attention_makes_of_it(model: PreTrainedModel, slots: int) -> None:
    runner, graphs = graph_runner(model, slots=slots, length=LENGTH)
    plain = ModelRunner(model, SdpaAttention(cache_for(model, slots=slots, length=LENGTH), 4), CPU)
    capture_all(graphs)
    for chunks in random_steps(slots, 25):
        torch.testing.assert_close(runner.forward(chunks), plain.forward(chunks), atol=1e-4, rtol=1e-4)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("slots", [1, 3, 6, 8, 13, 32])
def test_every_count_of_rows_up_to_the_slots_has_a_graph(model: PreTrainedModel, slots: int) -> None:
    _, graphs = graph_runner(model, slots=slots, length=LENGTH)
    capture_all(graphs)
    fitting = [graphs.fitting(rows, LENGTH) for rows in range(1, slots + 1)]
    assert all(step is not None and step.batch_size <= max(rows, rows + 3) for rows, step in enumerate(fitting, 1))
    assert [step and step.batch_size for step in fitting[:8]] == list(range(1, min(slots, 8) + 1))


@pytest.mark.usefixtures("kernel")
def test_all_steps_leave_their_logits_in_one_place(model: PreTrainedModel) -> None:
    _, graphs = graph_runner(model, slots=10, length=LENGTH)
    capture_all(graphs)
    assert len({step.logits.data_ptr() for step in graphs.captured}) == 1
    assert [len(step.logits) for step in graphs.captured] == [step.batch_size for step in graphs.captured]


@pytest.mark.parametrize("slots", range(1, 70))
def test_spare_rows_have_scratch_cells_of_their_own(model: PreTrainedModel, slots: int) -> None:
    cache = cache_for(model, slots=slots, length=2)
    assert max(row_counts(slots)) <= cache.scratch_rows
    assert cache.scratch(cache.scratch_rows).stop == len(cache.keys[0])


@pytest.mark.usefixtures("kernel")
def test_rows_of_a_step_leave_what_others_hold(model: PreTrainedModel) -> None:
    runner, graphs = graph_runner(model, slots=10, length=LENGTH)
    capture_all(graphs)
    cache = runner.attention.cache
    before = [tensor.clone() for tensor in cache.keys]
    runner.forward([ScheduledChunk(QuerySpan(slot, 3, 1), [slot], wants_logits=True) for slot in range(9)])
    written = [cache.cell(slot, 3) for slot in range(9)]
    for tensor, old in zip(cache.keys, before, strict=True):
        changed = (tensor != old).any(-1).any(-1).nonzero().flatten().tolist()
        assert [cell for cell in changed if cell < 10 * LENGTH] == written


def test_decoding_rows_see_all_keys_without_a_window_and_chunks_are_causal(
    model: PreTrainedModel, kernel: list[FlashKernelCall]
) -> None:
    """Only without a window does the kernel split long keys over the card."""
    runner, _ = graph_runner(model, slots=3, length=LENGTH)
    rows = [ScheduledChunk(QuerySpan(slot, 9 + slot, 1), [1], wants_logits=True) for slot in range(2)]
    runner.forward([*rows, ScheduledChunk(QuerySpan(2, 4, 6), [1] * 6, wants_logits=False)])
    assert kernel[:2] == [FlashKernelCall(2, 1, 11, False, (-1, -1)), FlashKernelCall(1, 6, 10, True, (-1, 0))]


def test_a_captured_step_is_of_the_slots_full_length(model: PreTrainedModel, kernel: list[FlashKernelCall]) -> None:
    """How the kernel splits keys is fixed when it is captured, and must fit the longest."""
    _, graphs = graph_runner(model, slots=2, length=LENGTH)
    capture_all(graphs)
    assert {(call.max_seqlen_q, call.max_seqlen_k, call.window) for call in kernel} == {(1, LENGTH, (-1, -1))}


def test_short_keys_have_graphs_of_their_own(
    model: PreTrainedModel, kernel: list[FlashKernelCall], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel recorded for long keys splits short ones as finely, and then adds up what it split in vain."""
    monkeypatch.setattr(cuda_graphs, "SHORTEST_KEYS", 8)
    runner, graphs = graph_runner(model, slots=2, length=LENGTH)
    plain = ModelRunner(model, SdpaAttention(cache_for(model, slots=2, length=LENGTH), 4), CPU)
    capture_all(graphs)
    check_graphs(runner, graphs, runner.attention.cache)
    assert {call.max_seqlen_k for call in kernel} >= {8, 16, 32, LENGTH}
    for position in range(LENGTH):
        rows = [ScheduledChunk(QuerySpan(slot, position, 1), [position], wants_logits=True) for slot in range(2)]
        kernel.clear()
        torch.testing.assert_close(runner.forward(rows), plain.forward(rows), atol=1e-4, rtol=1e-4)
        assert kernel[0].max_seqlen_k == next(keys for keys in (8, 16, 32, LENGTH) if keys > position)


def test_an_attention_that_serves_any_length_has_one_graph_a_count(model: PreTrainedModel) -> None:
    cache = cache_for(model, slots=2, length=5000)
    with own_kernel_on_cpu():
        graphs = DecodeGraphs(model, OwnDecodeAttention(cache), CPU, RecorderOnCpu())
        capture_all(graphs)
    assert [(step.batch_size, step.max_keys) for step in graphs.captured] == [(1, 5000), (2, 5000)]


@pytest.mark.usefixtures("kernel")
def test_without_memory_for_a_capture_that_is_told_and_nothing_is_captured_unchecked(model: PreTrainedModel) -> None:
    record = RecorderOnCpu([torch.OutOfMemoryError(OUT_OF_MEMORY)])
    runner, graphs = graph_runner(model, slots=3, length=LENGTH, record=record)
    capture_all(graphs)
    assert "no memory to capture" in graphs.problem
    capture_all(graphs)
    assert not record.captured
    assert runner.forward([ScheduledChunk(QuerySpan(0, 0, 1), [1], wants_logits=True)]).shape == (1, 320)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize(
    "error",
    [
        "CUDA error: operation not permitted when stream is capturing\nCUDA kernel errors might be",
        "CUDA error: CUBLAS_STATUS_NOT_SUPPORTED not permitted here when calling `cublasGemmEx(handle)`",
    ],
)
def test_a_step_that_cannot_be_captured_runs_without(
    model: PreTrainedModel, caplog: pytest.LogCaptureFixture, error: str
) -> None:
    """As long as the device answers, it is only slower."""
    runner, graphs = graph_runner(model, slots=2, length=LENGTH, record=RecorderOnCpu([RuntimeError(error)]))
    capture_all(graphs)
    assert graphs.batch_sizes == []
    assert "not permitted" in graphs.problem
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert runner.forward([ScheduledChunk(QuerySpan(0, 0, 1), [1], wants_logits=True)]).shape == (1, 320)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("spoilt", [0, 1, 2])
def test_a_wrong_graph_is_found_before_it_answers(model: PreTrainedModel, spoilt: int) -> None:
    record = RecorderOnCpu()
    runner, graphs = graph_runner(model, slots=3, length=LENGTH, record=record)
    capture_all(graphs)
    check_graphs(runner, graphs, runner.attention.cache)
    assert graphs.batch_sizes == [1, 2, 3]
    right = record.captured[spoilt].step
    record.captured[spoilt].step = lambda: right() * 1.1
    check_graphs(runner, graphs, runner.attention.cache)
    assert graphs.batch_sizes == []
    assert "is wrong" in graphs.problem
    assert all(not tensor.any() for tensor in runner.attention.cache.keys)


@pytest.mark.usefixtures("kernel")
def test_a_capture_that_costs_the_device_is_not_hushed_up(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_graphs, "answers", lambda device: False)
    record = RecorderOnCpu([RuntimeError("CUDA error: an illegal memory access was encountered")])
    _, graphs = graph_runner(model, slots=2, length=LENGTH, record=record)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        graphs.capture_next()


@pytest.mark.usefixtures("kernel")
def test_what_a_failed_capture_held_is_freed_before_memory_is_given_back(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    seen: list[torch.Tensor | None] = []

    def record(step: Step) -> tuple[Replayable, torch.Tensor]:
        activations = step()
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError(f"{OUT_OF_MEMORY} beside {activations.shape}")

    monkeypatch.setattr(cuda_graphs, "free_memory", lambda: seen.append(held[-1]()))
    graphs = DecodeGraphs(model, FlashAttention(cache_for(model, slots=1, length=LENGTH)), CPU, record)
    assert not graphs.capture_next()
    assert seen == [None]


@pytest.mark.usefixtures("kernel")
def test_steps_that_cannot_be_checked_are_not_replayed(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, graphs = graph_runner(model, slots=2, length=LENGTH)
    capture_all(graphs)

    def no_room(chunks: object) -> torch.Tensor:
        raise torch.OutOfMemoryError(OUT_OF_MEMORY)

    monkeypatch.setattr(runner, "forward_uncaptured", no_room)
    check_graphs(runner, graphs, runner.attention.cache)
    assert graphs.batch_sizes == []
    assert "could not be checked (CUDA out of memory" in graphs.problem
    assert all(not tensor.any() for tensor in runner.attention.cache.keys)


def test_a_capture_that_breaks_off_leaves_the_usual_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch does it: leaving a broken capture raises before the stream is put back."""
    streams = ["usual"]

    class Capture:
        def __init__(self, graph: object, **_: object) -> None: ...

        def __enter__(self) -> None:
            streams.append("capturing")

        def __exit__(self, *_: object) -> None:
            raise RuntimeError("capture was invalidated")

    @contextmanager
    def beside(stream: object) -> Iterator[None]:
        yield

    monkeypatch.setattr("torch.cuda.current_stream", lambda device: SimpleNamespace(wait_stream=lambda other: None))
    monkeypatch.setattr("torch.cuda.Stream", lambda device: SimpleNamespace(wait_stream=lambda other: None))
    monkeypatch.setattr("torch.cuda.set_stream", lambda stream: streams.append("usual"))
    monkeypatch.setattr("torch.cuda.stream", beside)
    monkeypatch.setattr("torch.cuda.graph", Capture)
    monkeypatch.setattr("torch.cuda.CUDAGraph", SimpleNamespace)
    with pytest.raises(RuntimeError, match="invalidated"):
        CudaRecorder(CPU)(lambda: torch.zeros(1))
    assert streams[-1] == "usual"
