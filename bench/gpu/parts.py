"""Attention and linear layers alone, captured as a step would have them: what a change can bring before it is made."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import linear

from bench.gpu.options import Options
from bench.gpu.rows import Rows
from bench.gpu.timing import captured, median_ms
from qwen_app.engine.local.attention.batch import Batch, QuerySpan
from qwen_app.engine.local.attention.choice import choose_attention
from qwen_app.engine.local.attention.kv_cache import KVCache, KVShape
from qwen_app.linear.cuda_linear import use_cuda
from qwen_app.linear.int4_linear import Int4Linear
from qwen_app.linear.int4_weight import LARGEST_CODE, Int4Weight

ROWS = (1, 2, 4, 8, 16, 64, 1024)
HEADS, KV_HEADS, HEAD_DIM, LAYERS = 28, 4, 128, 28
HIDDEN, INTERMEDIATE, VOCABULARY = 3584, 18_944, 152_064
SHAPES = {  # outputs x inputs
    "q, k, v": (HIDDEN + 2 * KV_HEADS * HEAD_DIM, HIDDEN),
    "o": (HIDDEN, HIDDEN),
    "gate, up": (2 * INTERMEDIATE, HIDDEN),
    "down": (HIDDEN, INTERMEDIATE),
    "head": (VOCABULARY, HIDDEN),
}
INT4_GROUP = 32
BEYOND_CACHE_BYTES = 2.5e8  # so much of weights is read in turn that no card keeps it in its cache

Multiply = Callable[[torch.Tensor, int], torch.Tensor]


def parts(rows: Rows, options: Options) -> None:
    for count in (1, 4, 8):
        for keys in (64,) if options.tiny else (1024, 8192, 32_768):
            name = f"attention of {LAYERS} layers, {count} rows x {keys}"
            if rows.may_begin(name):
                with rows.part(name):
                    _attention(rows, name, count, keys, options)
    for shape, (outputs, inputs) in SHAPES.items():
        if rows.may_begin(f"linear {shape}"):
            with rows.part(f"linear {shape}"):
                scale = 16 if options.tiny else 1  # groups stay whole
                _linear(rows, f"linear {shape}", outputs // scale, inputs // scale, options)


def _timed_ms(work: Callable[[], object], options: Options) -> float:
    return median_ms(captured(work) if options.on_card else work, 5)


@torch.inference_mode()
def _attention(rows: Rows, name: str, count: int, keys: int, options: Options) -> None:
    dtype = torch.float16 if options.on_card else torch.float32
    shape = KVShape(1, KV_HEADS, HEAD_DIM, dtype)
    cache = KVCache(shape, slots=count, length=keys, devices=[options.device])
    attention, _ = choose_attention(cache, HEADS)
    query = torch.randn(HEADS, count, HEAD_DIM, device=options.device, dtype=dtype)
    nowhere = torch.zeros(count, dtype=torch.int64, device=options.device)
    batch = Batch.planned([QuerySpan(slot, keys - 1, 1) for slot in range(count)], nowhere, attention)

    def all_layers() -> None:
        for _ in range(LAYERS):
            attention.attend(query, 0, batch, HEAD_DIM**-0.5)

    ms = _timed_ms(all_layers, options)
    read_bytes = LAYERS * count * keys * shape.token_bytes
    rows.add(name, ms, "ms", bytes_per_s=read_bytes / ms * 1e3, by=type(attention).__name__)


def _linear(rows: Rows, name: str, outputs: int, inputs: int, options: Options) -> None:
    for kind, make in KINDS.items():
        try:
            weight_bytes, dtype, copies, multiply = make(outputs, inputs, options)
        except Exception as missing:  # a package, or a kernel for this device
            rows.add(f"{name}, {kind}", f"{type(missing).__name__}: {str(missing)[:120]}")
            continue
        for count in ROWS:
            given = torch.randn(count, inputs, device=options.device, dtype=dtype)
            us = _product_us(multiply, given, copies, options)
            rows.add(f"{name}, {kind}, {count} rows", us, "us", bytes_per_s=weight_bytes / us * 1e6)


@torch.inference_mode()
def _product_us(multiply: Multiply, given: torch.Tensor, copies: int, options: Options) -> float:
    """Microseconds of one product, over copies of the weight in turn."""

    def each() -> None:
        for copy in range(copies):
            multiply(given, copy)

    return _timed_ms(each, options) * 1e3 / copies


def _copies(outputs: int, inputs: int, number_bytes: float, options: Options) -> int:
    return max(2, min(8, int(BEYOND_CACHE_BYTES / (outputs * inputs * number_bytes)))) if options.on_card else 1


def _weights(outputs: int, inputs: int, number_bytes: float, options: Options) -> list[torch.Tensor]:
    dtype = torch.float16 if options.on_card else torch.float32
    return [
        torch.randn(outputs, inputs, device=options.device, dtype=dtype) * 0.02
        for _ in range(_copies(outputs, inputs, number_bytes, options))
    ]


def _dense(outputs: int, inputs: int, options: Options) -> tuple[float, torch.dtype, int, Multiply]:
    weights = _weights(outputs, inputs, 2.0, options)
    return weights[0].nbytes, weights[0].dtype, len(weights), lambda given, copy: linear(given, weights[copy])


def _nf4(outputs: int, inputs: int, options: Options) -> tuple[float, torch.dtype, int, Multiply]:
    package: Any = importlib.import_module("bitsandbytes")
    weights = [
        package.nn.Params4bit(weight.cpu(), requires_grad=False, compress_statistics=True, quant_type="nf4").to(
            options.device
        )
        for weight in _weights(outputs, inputs, 0.5, options)
    ]
    dtype = torch.float16 if options.on_card else torch.float32

    def multiply(given: torch.Tensor, copy: int) -> torch.Tensor:
        product: torch.Tensor = package.matmul_4bit(given, weights[copy].t(), quant_state=weights[copy].quant_state)
        return product

    return outputs * inputs * 0.516, dtype, len(weights), multiply


def _int4(outputs: int, inputs: int, options: Options, ours: bool = True) -> tuple[float, torch.dtype, int, Multiply]:
    """Groups of 32 with a scale and a zero in BF16, by our kernel or by torch's."""
    layers = []
    for _ in range(_copies(outputs, inputs, 0.5, options)):
        codes = torch.randint(0, LARGEST_CODE + 1, (outputs, inputs), dtype=torch.uint8, device=options.device)
        scales = torch.rand(outputs, inputs // INT4_GROUP, device=options.device)
        layers.append(Int4Linear.of(Int4Weight(codes, scales, -8 * scales), None, options.device))
        if ours:
            use_cuda(layers[-1])

    def multiply(given: torch.Tensor, copy: int) -> torch.Tensor:
        product: torch.Tensor = layers[copy](given)
        return product

    return outputs * inputs * (0.5 + 4 / INT4_GROUP), torch.bfloat16, len(layers), multiply


def _torchs_int4(outputs: int, inputs: int, options: Options) -> tuple[float, torch.dtype, int, Multiply]:
    return _int4(outputs, inputs, options, ours=False)


KINDS = {"fp16": _dense, "nf4": _nf4, "int4": _int4, "torch's int4": _torchs_int4}
