"""Qwen2.5-7B's real speed and memory on an NVIDIA GPU, with random weights, beside transformers' ``generate``.

    python -m bench.gpu [--precision fp16,nf4] [--users 1,2,4,8] [--context 1024,8192,32768] [--quick] [--tiny]

Needs torch 2.11 or newer and transformers; NF4 needs bitsandbytes. Writes JSON and Markdown to ``bench/results/``.
Speed is also given as a fraction of what the card's memory bandwidth allows; the bandwidth is measured first.
``--tiny`` runs a small model on whatever is there, to try the benchmark itself.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, Qwen2Config

from bench.report import Report, machine
from qwen_app.engine.local.compute import attention
from qwen_app.engine.local.compute.attention import QuerySpan
from qwen_app.engine.local.compute.cuda_graphs import DecodeGraphs
from qwen_app.engine.local.compute.flash_attention import FlashAttention, choose_attention
from qwen_app.engine.local.compute.kv_cache import KVCache, KVShape
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.engine.local.compute.numerics import keep_precision
from qwen_app.engine.local.compute.sampler import Sampler, SamplingRow
from qwen_app.messages import SamplingParams

OURS, THEIRS = "this engine", "transformers generate"
CARD_BYTES = 24_000_000_000
CHUNK_TOKENS = 1024
DECODE_RUNS = 3  # of which the first does not count
TEXT_VOCABULARY = 151_665
RESULTS = Path(__file__).parent / "results"
QWEN = SamplingParams(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05)

QWEN_7B: dict[str, Any] = {
    "vocab_size": 152_064,
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32_768,
    "rope_theta": 1_000_000.0,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}
TINY: dict[str, Any] = QWEN_7B | {
    "vocab_size": 152_064,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@dataclass(frozen=True, slots=True)
class Size:
    users: int
    context_tokens: int


def main() -> None:
    options = _options()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not options.tiny:
        sys.exit("No CUDA device. Run this on a GPU machine, or with --tiny to try the benchmark itself.")
    report = Report("Qwen2.5-7B on a GPU" if not options.tiny else "A tiny model, to try the benchmark")
    keep_precision()
    bandwidth = measured_bandwidth(device)
    report.add("bandwidth, bytes read and written", "copy", bandwidth / 1e9, "GB/s")
    for precision in options.precision:
        measure(report, precision, options, device, bandwidth)
    stem = f"gpu-{machine()['date']}-{str(machine()['gpu'] or 'cpu').replace(' ', '-').lower()}"
    folder = RESULTS if not options.tiny else options.out
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.md").write_text(report.markdown())
    report.finish(folder / f"{stem}.json")


def _options() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description="Real speed and memory of Qwen2.5-7B, with random weights.")
    parser.add_argument("--precision", type=lambda text: text.split(","), default=["fp16", "nf4"])
    parser.add_argument("--users", type=numbers, default=[1, 2, 4, 8])
    parser.add_argument("--context", type=numbers, default=[1024, 8192, 32_768])
    parser.add_argument("--decode-tokens", type=int, default=128)
    parser.add_argument("--quick", action="store_true", help="one user and eight, 1k context")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("/tmp"), help="where --tiny writes")
    options = parser.parse_args()
    if options.quick:
        options.users, options.context, options.decode_tokens = [1, 8], [1024], 32
    return options


def measured_bandwidth(device: torch.device) -> float:
    """Bytes a second that a large copy reads and writes."""
    size = 2**30 if device.type == "cuda" else 2**26
    source, target = (torch.ones(size, dtype=torch.uint8, device=device) for _ in range(2))
    seconds = timed(lambda: target.copy_(source), repeats=10, device=device)
    return 2 * size / seconds


def timed(work: Callable[[], object], *, repeats: int, device: torch.device) -> float:
    """Seconds of one call, the best of ``repeats`` after a first that does not count."""
    work()
    best = float("inf")
    for _ in range(repeats):
        _wait(device)
        started = time.perf_counter()
        work()
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def random_model(precision: str, tiny: bool, device: torch.device) -> PreTrainedModel:
    """Qwen2.5-7B's shape with random weights: speed and memory do not depend on what they say."""
    config = Qwen2Config(**(TINY if tiny else QWEN_7B))
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    torch.manual_seed(0)
    with torch.device(device):
        torch.set_default_dtype(dtype)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
        torch.set_default_dtype(torch.float32)
    if precision == "nf4":
        _quantise(model, device)
    model.eval()
    return model


def _quantise(model: PreTrainedModel, device: torch.device) -> None:
    """NF4 with double quantisation in every linear layer but the head, as the loader does it."""
    layers: Any = importlib.import_module("bitsandbytes").nn

    for parent in list(model.model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear:
                replacement = layers.Linear4bit(
                    child.in_features,
                    child.out_features,
                    bias=child.bias is not None,
                    compute_dtype=child.weight.dtype,
                    compress_statistics=True,
                    quant_type="nf4",
                )
                replacement.weight = layers.Params4bit(
                    child.weight.data.cpu(), requires_grad=False, compress_statistics=True, quant_type="nf4"
                )
                if child.bias is not None:
                    replacement.bias = child.bias
                setattr(parent, name, replacement.to(device))
    gc.collect()


def measure(
    report: Report, precision: str, options: argparse.Namespace, device: torch.device, bandwidth: float
) -> None:
    try:
        model = random_model(precision, options.tiny, device)
    except ImportError as missing:
        report.notes.append(f"{precision} was left out: {missing.name} is not installed.")
        return
    weights_bytes = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    report.add(f"{precision}, weights", OURS, weights_bytes / 1e9, "GB")
    read_bytes = weights_bytes - sum(tensor.nbytes for tensor in model.get_input_embeddings().parameters())
    speeds: dict[Size, float] = {}
    for size in _sizes(options):
        try:
            speeds[size] = _ours(report, precision, model, size, options.decode_tokens, device, read_bytes, bandwidth)
        except torch.OutOfMemoryError:
            report.notes.append(f"{precision}, {size.users} x {size.context_tokens}: does not fit.")
        _reset(device)
    _ratios(report, precision, speeds)
    _theirs(report, precision, model, options, device, speeds)
    if device.type == "cuda":
        _under_a_cap(report, precision, model, options, device)


def _sizes(options: argparse.Namespace) -> list[Size]:
    return [Size(users, context) for context in options.context for users in options.users]


def _reset(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


class Bench:
    """The engine's own parts around ``model``, without the worker's thread: what a step costs."""

    def __init__(self, model: PreTrainedModel, size: Size, decode_tokens: int, device: torch.device) -> None:
        shape = KVShape.of(model.config, model.dtype)
        length = size.context_tokens + decode_tokens + 8
        layers = [device] * model.config.num_hidden_layers
        self.cache = KVCache(shape, slots=size.users, length=length, devices=layers)
        backend = choose_attention(self.cache, model.config.num_attention_heads)
        attention.use(model, self.cache, backend)
        graphs = DecodeGraphs(model, self.cache, device) if isinstance(backend, FlashAttention) else None
        self.attention = type(backend).__name__
        self.runner = ModelRunner(model, self.cache, backend, device, graphs)
        self.sampler = Sampler(
            text_vocab_size=TEXT_VOCABULARY,
            context_tokens=size.context_tokens + DECODE_RUNS * decode_tokens,  # each run counts on from the last
            slots=size.users,
            device=device,
        )
        self._size = size

    def prefill(self, slot: int) -> None:
        ids = torch.randint(0, TEXT_VOCABULARY, (self._size.context_tokens,)).tolist()
        for start in range(0, len(ids), CHUNK_TOKENS):
            chunk = ids[start : start + CHUNK_TOKENS]
            last = start + len(chunk) == len(ids)
            self.runner.forward([ScheduledChunk(QuerySpan(slot, start, len(chunk)), chunk, last)])
        self.sampler.begin(slot, ids, (), QWEN)

    def decode(self, steps: int) -> None:
        """``steps`` tokens for every user, sampled with Qwen's own settings."""
        rows = [SamplingRow(slot, QWEN, random.Random(slot)) for slot in range(self._size.users)]
        token_ids = [1] * self._size.users
        for step in range(steps):
            position = self._size.context_tokens + step
            spans = [QuerySpan(slot, position, 1) for slot in range(self._size.users)]
            chunks = [ScheduledChunk(span, [token_ids[span.slot]], True) for span in spans]
            token_ids = [sampled.token_id for sampled in self.sampler.sample(self.runner.forward(chunks), rows)]


def _ours(
    report: Report,
    precision: str,
    model: PreTrainedModel,
    size: Size,
    decode_tokens: int,
    device: torch.device,
    read_bytes: int,
    bandwidth: float,
) -> float:
    label = f"{precision}, {size.users} users x {size.context_tokens}"
    bench = Bench(model, size, decode_tokens, device)
    prefill_s = timed(lambda: bench.prefill(0), repeats=2, device=device)
    report.add(f"{label}, prefill", OURS, size.context_tokens / prefill_s, "tokens/s")
    for slot in range(1, size.users):
        bench.prefill(slot)
    while bench.runner.prepare():
        pass
    decode_s = timed(lambda: bench.decode(decode_tokens), repeats=DECODE_RUNS - 1, device=device)
    speed = report.add(f"{label}, decode ({bench.attention})", OURS, size.users * decode_tokens / decode_s, "tokens/s")
    kv_bytes = size.users * size.context_tokens * bench.cache.shape.token_bytes
    limit = size.users * bandwidth / (read_bytes + kv_bytes)
    report.add(f"{label}, of the bandwidth limit", OURS, speed / limit, "")
    if device.type == "cuda":
        report.add(f"{label}, peak memory", OURS, torch.cuda.max_memory_allocated(device) / 1e9, "GB")
    if size == Size(1, 1024):
        report.ratio(f"{precision}_one_user_vs_bandwidth_limit", speed, limit)
    return speed


def _ratios(report: Report, precision: str, speeds: dict[Size, float]) -> None:
    one, eight = speeds.get(Size(1, 1024)), speeds.get(Size(8, 1024))
    if one and eight:
        report.ratio(f"{precision}_eight_vs_one", eight, one)
    fp16 = next((row.value for row in report.rows if row.what.startswith("fp16, 1 users x 1024, decode")), None)
    if precision == "nf4" and one and fp16:
        report.ratio("nf4_vs_fp16_one_user", one, fp16)


def _theirs(
    report: Report,
    precision: str,
    model: PreTrainedModel,
    options: argparse.Namespace,
    device: torch.device,
    speeds: dict[Size, float],
) -> None:
    """transformers' ``generate`` on the same model and prompts, one batch, greedy."""
    model.set_attn_implementation("sdpa")
    for size in _sizes(options):
        ids = torch.randint(0, TEXT_VOCABULARY, (size.users, size.context_tokens), device=device)
        try:
            seconds = _generate_s(model, ids, options.decode_tokens, device)
        except torch.OutOfMemoryError:
            report.notes.append(f"{precision}, {size.users} x {size.context_tokens}: generate runs out of memory.")
            _reset(device)
            continue
        label = f"{precision}, {size.users} users x {size.context_tokens}, decode"
        speed = report.add(label, THEIRS, size.users * options.decode_tokens / seconds, "tokens/s")
        if size in speeds:
            report.ratio(f"{precision}_{size.users}x{size.context_tokens}_vs_generate", speeds[size], speed)
        _reset(device)


def _generate_s(model: Any, ids: torch.Tensor, tokens: int, device: torch.device) -> float:
    """Seconds that ``tokens`` more tokens take: a long generation less a short one, so that prefill does not count."""

    def run(count: int) -> float:
        return timed(
            lambda: model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=count,
                min_new_tokens=count,
                pad_token_id=0,
            ),
            repeats=1,
            device=device,
        )

    return max(run(tokens + 1) - run(1), 1e-9)


def _under_a_cap(
    report: Report, precision: str, model: PreTrainedModel, options: argparse.Namespace, device: torch.device
) -> None:
    """The same card pretending to have 24 GB: a whole context read, and decoding at the default number of users."""
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, CARD_BYTES / total), device)
    longest = max(options.context)
    for size in (Size(1, longest), Size(4, min(24_576, longest)) if precision == "fp16" else Size(8, longest)):
        label = f"{precision}, 24 GB cap, {size.users} users x {size.context_tokens}"
        _reset(device)
        try:
            bench = Bench(model, size, options.decode_tokens, device)
            seconds = timed(partial(bench.prefill, 0), repeats=1, device=device)
            report.add(f"{label}, prefill", OURS, size.context_tokens / seconds, "tokens/s")
            decode_s = timed(partial(bench.decode, options.decode_tokens), repeats=1, device=device)
            report.add(f"{label}, decode", OURS, size.users * options.decode_tokens / decode_s, "tokens/s")
            report.add(f"{label}, peak memory", OURS, torch.cuda.max_memory_reserved(device) / 1e9, "GB")
        except torch.OutOfMemoryError:
            report.notes.append(f"{label}: does not fit.")
    torch.cuda.set_per_process_memory_fraction(1.0, device)


if __name__ == "__main__":
    main()
