"""4-bit codes in the order in which our product on a card reads them, made without a card."""

from __future__ import annotations

import torch


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
