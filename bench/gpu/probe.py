"""What the machine is: packages, card, bandwidth, and what the smallest things cost there."""

from __future__ import annotations

import importlib
import platform
import time

import torch
import transformers

from bench.gpu.options import Options
from bench.gpu.rows import Rows
from bench.gpu.timing import captured, median_ms, wait

PACKAGES = ("bitsandbytes", "llguidance", "fastapi", "uvicorn", "triton")
COPIED_BYTES, COPIED_BYTES_TINY = 2**30, 2**24
SMALL_KERNELS = 1000


def probe(rows: Rows, options: Options) -> None:
    rows.add("torch", torch.__version__)
    rows.add("transformers", transformers.__version__)
    rows.add("python", platform.python_version())
    for name in PACKAGES:
        rows.add(name, _version(name))
    with rows.part("bandwidth"):
        rows.add("bandwidth of a copy", copy_bandwidth(options), "bytes/s")
    if options.on_card:
        with rows.part("card"):
            _card(rows)
        with rows.part("small kernels"):
            _small_kernels(rows, options.device)


def copy_bandwidth(options: Options) -> float:
    """Bytes a second that a large copy reads and writes."""
    size = COPIED_BYTES if options.on_card else COPIED_BYTES_TINY
    source, target = (torch.ones(size, dtype=torch.uint8, device=options.device) for _ in range(2))
    return 2 * size / (median_ms(lambda: target.copy_(source), 10) / 1e3)


def _version(package: str) -> str:
    try:
        return str(getattr(importlib.import_module(package), "__version__", "there"))
    except Exception as missing:  # a package that breaks when it is imported is as good as missing
        return f"missing: {missing}"


def _card(rows: Rows) -> None:
    card = torch.cuda.get_device_properties(0)
    free_bytes, total_bytes = torch.cuda.mem_get_info()
    rows.add("card", card.name, multiprocessors=card.multi_processor_count, capability=f"{card.major}.{card.minor}")
    rows.add("memory", total_bytes / 1e9, "GB", free_gb=free_bytes / 1e9)


def _small_kernels(rows: Rows, device: torch.device) -> None:
    small = torch.ones(3584, device=device, dtype=torch.float16)

    def many() -> None:
        value = small
        for _ in range(SMALL_KERNELS):
            value = value.mul(1.0)

    rows.add("a small kernel within a graph", median_ms(captured(many), 10) * 1e3 / SMALL_KERNELS, "us")
    wait()
    started_s = time.perf_counter()
    many()
    rows.add("launching a small kernel from Python", (time.perf_counter() - started_s) * 1e6 / SMALL_KERNELS, "us")
    wait()
    rows.add("a wait for the device", median_ms(lambda: small[:1].tolist(), 50) * 1e3, "us")
