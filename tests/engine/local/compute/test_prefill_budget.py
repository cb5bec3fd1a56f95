"""How much of a prompt is read at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.local.compute.prefill_budget import CHUNKS_BEFORE_REGAIN, LONGEST_STEP_FACTOR, PrefillBudget

DECODE_S = 0.01


def learn(budget: PrefillBudget, token_s: float, *, rows: int = 2, steps: int = 60) -> int:
    """Steps on a machine that takes ``token_s`` for each prompt token beside a decode step."""
    budget.measured(DECODE_S, decoding_rows=rows, chunk_tokens=0)
    for _ in range(steps):
        size = budget.tokens(rows)
        budget.measured(DECODE_S + size * token_s, decoding_rows=rows, chunk_tokens=size)
    return budget.tokens(rows)


def test_alone_the_most_is_read() -> None:
    assert PrefillBudget(max_tokens=512).tokens(0) == 512


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
