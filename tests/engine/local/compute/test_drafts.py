"""What is guessed, and whether it pays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.local.compute.drafts import (
    FIRST_REST_STEPS,
    LONGEST_ROWS,
    MATCHED_TOKENS,
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


@given(before=st.integers(1, 40), accepted=st.lists(st.integers(0, 15), max_size=4))
def test_a_draft_and_what_comes_before_it_fill_whole_tiles(before: int, accepted: list[int]) -> None:
    lookup, text = PromptLookup(), list(range(40)) * 2
    for tokens in accepted:
        lookup.checked(len(lookup.draft(text[:43], 100)), tokens)
    drafted = len(lookup.draft(text[:43], 100, before=before))
    assert not drafted or ((before + drafted) % TILE_ROWS == 0 and before + drafted <= LONGEST_ROWS)


def test_nothing_is_drafted_before_a_plain_step_was_measured() -> None:
    budget = DraftBudget()
    assert not budget.allows(1)
    budget.measured(1.0, rows=1, drafted=False, tokens=1)
    assert budget.allows(1)
    assert not budget.allows(2)


def test_drafts_that_cost_more_than_they_bring_rest_ever_longer() -> None:
    budget = DraftBudget()
    budget.measured(1.0, rows=1, drafted=False, tokens=1)
    rests = []
    for _ in range(3):
        assert budget.allows(1)
        budget.measured(2.0, rows=1, drafted=True, tokens=1)
        steps = 1
        while not budget.allows(1):
            steps += 1
        rests.append(steps)
    assert rests == [FIRST_REST_STEPS, 2 * FIRST_REST_STEPS, 4 * FIRST_REST_STEPS]
    budget.measured(2.0, rows=1, drafted=True, tokens=5)
    assert budget.allows(1)


def test_off_is_off() -> None:
    budget = DraftBudget(enabled=False)
    budget.measured(1.0, rows=1, drafted=False, tokens=1)
    assert not budget.allows(1)
