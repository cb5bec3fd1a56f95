"""4-bit codes in the order in which our product on a card reads them, made without a card."""

from __future__ import annotations

import torch

from qwen_app.linear.int4_weight import Int4Weight

CPU = torch.device("cpu")


def packed_as_on_a_card(codes: torch.Tensor) -> torch.Tensor:
    """What our product reads, lane by lane: 8 columns side by side, of each 32 of a row."""
    rows, columns = codes.shape
    packed = torch.zeros(rows // 8, columns // 128, 32, 4, dtype=torch.int64)
    for tile in range(rows // 8):
        for outer in range(columns // 128):
            for lane in range(32):
                for pair in range(4):
                    first = outer * 128 + pair * 32 + lane % 4 * 8
                    row = codes[tile * 8 + lane // 4].tolist()
                    lower, upper = row[first : first + 8 : 2], row[first + 1 : first + 8 : 2]
                    packed[tile, outer, lane, pair] = sum(code << 4 * at for at, code in enumerate((*lower, *upper)))
    return (packed - (packed >> 31 << 32)).int()  # the same 32 bits, signed


def random_weight(out_features: int, in_features: int, group: int, seed: int = 0) -> Int4Weight:
    numbers = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 16, (out_features, in_features), dtype=torch.uint8, generator=numbers)
    scales = torch.rand(out_features, in_features // group, generator=numbers).bfloat16().float()
    return Int4Weight(codes, scales, -8 * scales)  # all of it exact in bfloat16
