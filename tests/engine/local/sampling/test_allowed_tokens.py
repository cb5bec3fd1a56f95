"""A bit of a mask is a token, on a CPU and as a card unpacks it."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.local.sampling.allowed_tokens import allowed_tokens, unpacked_by_torch

CPU = torch.device("cpu")
WORDS = 4


@given(st.lists(st.sets(st.integers(0, 32 * WORDS - 1)), min_size=1, max_size=4), st.integers(1, 32 * WORDS))
def test_each_bit_is_its_token(rows: list[set[int]], vocab_size: int) -> None:
    masks = np.zeros((len(rows), WORDS), np.uint32)
    for index, row in enumerate(rows):
        for token_id in row:
            masks[index, token_id // 32] |= np.uint32(1 << token_id % 32)
    expected = [[token_id in row for token_id in range(vocab_size)] for row in rows]
    assert allowed_tokens(masks.view(np.int32), vocab_size, CPU).tolist() == expected
    assert unpacked_by_torch(masks.view(np.int32), vocab_size, CPU).tolist() == expected
