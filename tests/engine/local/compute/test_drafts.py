"""What is guessed, and whether it pays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.local.compute.drafts import (
    FIRST_REST_STEPS,
    LONGEST_ROWS,
    MATCHED_TOKENS,
    REMEMBERED_STEPS,
    TILE_ROWS,
    DraftBudget,
    PromptLookup,
)

few_tokens = st.lists(st.integers(0, 3), max_size=60)


@given(token_ids=few_tokens, steps=st.lists(st.integers(1, 5), max_size=8), limit=st.integers(-1, 20))
def test_a_draft_is_what_followed_the_latest_such_tokens(token_ids: list[int], steps: list[int], limit: int) -> None:
    lookup, known = PromptLookup(), 0
    for step in [*steps, 60]:
        known = min(len(token_ids), known + step)
        so_far = token_ids[:known]
        draft = lookup.draft(so_far, limit)
        ends = [
            end
            for end in range(MATCHED_TOKENS, known)
            if so_far[end - MATCHED_TOKENS : end] == so_far[-MATCHED_TOKENS:]
        ]
        assert len(draft) <= max(0, limit)
        assert bool(draft) == bool(ends and limit > 0)
        if draft:
            assert draft == so_far[ends[-1] :][: len(draft)]


def test_drafts_grow_with_success_and_shrink_without() -> None:
    lookup, text = PromptLookup(), list(range(40)) * 2
    lengths = []
    for accepted in (3, 7, 15, 15, 6, 4, 0):
        lengths.append(len(lookup.draft(text[:43], 100)))
        lookup.checked(lengths[-1], min(accepted, lengths[-1]))
    assert lengths == [3, 7, 15, 15, 15, 7, 7]
    assert len(lookup.draft(text[:43], 100)) == 3


@given(
    before=st.integers(1, 40), accepted=st.lists(st.integers(0, 15), max_size=4), longest=st.sampled_from([4, 8, 16])
)
def test_a_draft_and_what_comes_before_it_fill_whole_tiles(before: int, accepted: list[int], longest: int) -> None:
    lookup, text = PromptLookup(), list(range(40)) * 2
    for tokens in accepted:
        lookup.checked(len(lookup.draft(text[:43], 100)), tokens)
    drafted = len(lookup.draft(text[:43], 100, before=before, longest_rows=longest))
    assert not drafted or ((before + drafted) % TILE_ROWS == 0 and before + drafted <= longest)


def test_nothing_is_drafted_before_a_plain_step_was_measured() -> None:
    budget = DraftBudget()
    assert not budget.rows_each(1)
    budget.measured(1.0, answers=1, tokens=1)
    assert budget.rows_each(1)
    assert not budget.rows_each(2)


def test_drafts_that_cost_more_than_they_bring_rest_ever_longer() -> None:
    budget = DraftBudget()
    budget.measured(1.0, answers=1, tokens=1)
    rests = []
    for _ in range(3):
        assert budget.rows_each(1)
        budget.measured(2.0, answers=1, tokens=1, drafted_rows=4)
        steps = 1
        while not budget.rows_each(1):
            steps += 1
        rests.append(steps)
    assert rests == [FIRST_REST_STEPS, 2 * FIRST_REST_STEPS, 4 * FIRST_REST_STEPS]
    budget.measured(2.0, answers=1, tokens=5, drafted_rows=4)
    assert budget.rows_each(1)


def measure(budget: DraftBudget, costs: dict[int, float], plain_s: float = 1.0, answers: int = 1) -> None:
    """Steps whose drafts all come true, each of ``costs`` plain steps."""
    for _ in range(20):
        budget.measured(plain_s, answers=answers, tokens=answers)
    for rows, cost in costs.items():
        budget.measured(cost * plain_s, answers=answers, tokens=answers * rows, drafted_rows=rows)


def tried(budget: DraftBudget, costs: dict[int, float], *, steps: int, answers: int = 1) -> list[int]:
    """The rows of each of so many steps, in which all drafts come true and are as long as they may be."""
    sizes = []
    for _ in range(steps):
        sizes.append(budget.rows_each(answers))
        measure(budget, {sizes[-1]: costs[sizes[-1]]}, answers=answers)
    return sizes


ON_A_CARD, ON_A_CPU = {4: 1.0, 8: 1.1, 16: 1.2}, {4: 1.6, 8: 2.8, 16: 5.0}


@pytest.mark.parametrize(
    ("costs", "sizes"),
    [(ON_A_CARD, [4, 8, 16, 16, 16]), (ON_A_CPU, [4, 8, 4, 4, 4]), ({4: 1.0, 8: 1.1, 16: 3.0}, [4, 8, 16, 8, 8])],
)
def test_a_longer_draft_is_made_where_more_rows_cost_little(costs: dict[int, float], sizes: list[int]) -> None:
    budget = DraftBudget()
    measure(budget, {})
    assert tried(budget, costs, steps=5) == sizes


def test_a_longer_conversation_makes_all_steps_longer_and_no_draft_worse() -> None:
    budget = DraftBudget()
    measure(budget, {4: 1.5, 8: 2.0})
    measure(budget, {4: 1.5}, plain_s=3.0)
    assert budget.rows_each(1) == LONGEST_ROWS


@pytest.mark.parametrize("answers", [1, 2])
def test_what_took_long_is_tried_again_once_in_a_while(answers: int) -> None:
    budget = DraftBudget()
    measure(budget, ON_A_CPU, answers=answers)
    sizes = tried(budget, ON_A_CPU, steps=REMEMBERED_STEPS, answers=answers)
    assert sizes.count(8) == 1
    assert sizes.count(TILE_ROWS) == REMEMBERED_STEPS - 1


def test_off_is_off() -> None:
    budget = DraftBudget(enabled=False)
    budget.measured(1.0, answers=1, tokens=1)
    assert not budget.rows_each(1)
