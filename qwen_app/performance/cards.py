"""What a card's memory can do: its maker's figure, and what a copy on this machine reaches."""

from __future__ import annotations

import re
import time
from statistics import median

GB = 1e9
# GB/s of the memory, from the makers' data sheets; names as PyTorch tells them, the narrower before the wider.
CARDS = (
    ("H200", 4800),
    (r"H100.*PCIe", 2000),
    (r"H100 NVL", 3900),
    ("H100", 3350),
    (r"A100.*PCIe.*80|A100 80GB PCIe", 1935),
    (r"A100.*80", 2039),
    ("A100", 1555),
    ("RTX 5090", 1792),
    ("RTX 5080", 960),
    ("RTX 5070 Ti", 896),
    ("RTX 5070", 672),
    ("RTX 4090", 1008),
    ("RTX 4080 SUPER", 736),
    ("RTX 4080", 717),
    ("RTX 4070 Ti SUPER", 672),
    ("RTX 4070 (Ti|SUPER)", 504),
    ("RTX 4070", 504),
    ("RTX 3090 Ti", 1008),
    ("RTX 3090", 936),
    ("RTX 3080 Ti", 912),
    ("RTX 3080", 760),
    ("RTX 3060 Ti", 448),
    ("RTX 3060", 360),
    ("RTX 6000 Ada", 960),
    ("RTX A6000", 768),
    ("RTX A5000", 768),
    ("RTX A4000", 448),
    ("L40S", 864),
    (r"L40\b", 864),
    (r"L4\b", 300),
    (r"A10G?\b", 600),
    (r"A40\b", 696),
    (r"A30\b", 933),
    (r"T4\b", 320),
    ("V100", 900),
)
OTHER_MODEL = r"(?! (Ti|SUPER|D|Laptop|with Max-Q)\b)"  # a name that goes on so is another card's
COPIED_BYTES = {"cuda": 2**28, "cpu": 2**26}
COPIES = 8


def stated_bandwidth(name: str) -> float:
    """Bytes a second of the memory of the card called ``name``; 0.0 of one that is not known here."""
    return next((speed * GB for pattern, speed in CARDS if re.search(rf"\b{pattern}{OTHER_MODEL}", name)), 0.0)


def copy_bandwidth(kind: str) -> float:
    """Bytes a second that a large copy reads and writes, the median of several; 0.0 where there is no room for it."""
    import torch

    try:
        source, target = (torch.ones(COPIED_BYTES[kind], dtype=torch.uint8, device=kind) for _ in range(2))
    except RuntimeError:  # out of memory, in torch's words for either device
        return 0.0
    times_s = []
    for _ in range(COPIES):
        started = time.perf_counter()
        target.copy_(source)
        if kind == "cuda":
            torch.cuda.synchronize()
        times_s.append(time.perf_counter() - started)
    return 2 * COPIED_BYTES[kind] / median(times_s)
