"""How much of a prompt is read at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.local.compute.prefill_budget import CHUNKS_BEFORE_REGAIN, LONGEST_STEP_FACTOR, PrefillBudget

DECODE_S = 0.01


def learn(budget: PrefillBudget, token_s: float, *, rows: int = 2) -> int:
    """Steps on a machine that takes ``token_s`` for each prompt token beside a decode step."""
    budget.measured(DECODE_S, decoding_rows=rows, chunk_tokens=0)
    for _ in range(60):
        size = budget.tokens(rows)
        budget.measured(DECODE_S + size * token_s, decoding_rows=rows, chunk_tokens=size)
    return budget.tokens(rows)


def test_alone_the_most_is_read() -> None:
    assert PrefillBudget(max_tokens=512).tokens(0) == 512
    assert PrefillBudget.on("cuda", 2048).tokens(0) == 2048


@given(token_s=st.floats(1e-7, 1e-2), rows=st.integers(1, 8))
def test_beside_answers_a_step_takes_no_longer_than_it_may(token_s: float, rows: int) -> None:
    budget = PrefillBudget(min_tokens=8, max_tokens=256)
    size = learn(budget, token_s, rows=rows)
    fits = (LONGEST_STEP_FACTOR - 1) * DECODE_S / token_s
    assert 8 <= size <= 256
    assert size <= max(8, fits * 1.3)
    assert size >= min(256, fits * 0.7) or size == 8


def test_short_last_pieces_teach_nothing() -> None:
    budget = PrefillBudget(min_tokens=8, max_tokens=256)
    size = learn(budget, 1e-4)
    for _ in range(50):
        budget.measured(DECODE_S + 1e-4, decoding_rows=2, chunk_tokens=1)
    assert budget.tokens(2) == size


def test_a_measured_token_takes_what_it_took() -> None:
    budget = PrefillBudget()
    assert budget.prefill_s_per_token == 0.0
    for _ in range(50):
        budget.measured(0.256, decoding_rows=0, chunk_tokens=256)
    assert abs(budget.prefill_s_per_token - 0.001) < 1e-6


def test_lack_of_memory_halves_down_to_the_least() -> None:
    budget = PrefillBudget(min_tokens=8, max_tokens=64)
    sizes = []
    while budget.halve():
        sizes.append(budget.tokens(0))
        assert budget.tokens(3) <= budget.tokens(0)
    assert sizes == [32, 16, 8]


def test_what_was_halved_comes_back_after_a_calm_while_and_not_before() -> None:
    budget = PrefillBudget(min_tokens=8, max_tokens=64)
    budget.halve()
    budget.halve()
    for _ in range(CHUNKS_BEFORE_REGAIN - 1):
        budget.measured(0.1, decoding_rows=0, chunk_tokens=16)
    assert budget.tokens(0) == 16
    budget.measured(0.1, decoding_rows=0, chunk_tokens=16)
    assert budget.tokens(0) == 32
    for _ in range(5 * CHUNKS_BEFORE_REGAIN):
        budget.measured(0.1, decoding_rows=0, chunk_tokens=32)
    assert budget.tokens(0) == 64


# Seconds of a step that decodes alone, of one that also reads apart from its tokens, and of each token: RTX 4090 and L4
# in FP16 and NF4, H100 in NF4, estimated from their bandwidth and from what unpacking takes; and how many times as long
# as alone a prompt may take. An L4 reads FP16 weights for half of the pause that answers are granted.
CARDS = {
    "4090 fp16": (0.018, 0.020, 0.00012, 1.5),
    "4090 nf4": (0.008, 0.038, 0.00013, 1.5),
    "L4 fp16": (0.056, 0.060, 0.0005, 1.8),
    "H100 nf4": (0.009, 0.030, 0.00003, 1.5),
}


@pytest.mark.parametrize(("step_s", "mixed_s", "token_s", "times"), CARDS.values(), ids=CARDS)
def test_on_a_card_a_long_prompt_beside_an_answer_takes_little_longer_than_alone(
    step_s: float, mixed_s: float, token_s: float, times: float
) -> None:
    def read(rows: int) -> tuple[float, float]:
        """Seconds for 16k tokens, and of the longest step after the first few, which learn."""
        budget, left, took_s, steps = PrefillBudget.on("cuda"), 16_384, 0.0, []
        budget.measured(step_s, decoding_rows=1, chunk_tokens=0)
        while left:
            size = min(left, budget.tokens(rows))
            steps.append(mixed_s + size * token_s)
            budget.measured(steps[-1], decoding_rows=rows, chunk_tokens=size)
            left -= size
            took_s += steps[-1]
            assert size >= 128 or not left
        return took_s, max(steps[5:])

    alone_s, _ = read(0)
    beside_s, longest_s = read(1)
    assert beside_s <= times * alone_s
    assert longest_s <= 1.1 * max(LONGEST_STEP_FACTOR * step_s, 0.12, mixed_s + 128 * token_s)
