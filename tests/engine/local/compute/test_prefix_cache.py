"""Which slot a prompt takes, and how much of it is there already."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.local.compute.prefix_cache import WORTH_A_COPY_TOKENS, PrefixCache, common_prefix

SYSTEM = list(range(1000, 1100))


def chat(name: int, length: int = 300) -> list[int]:
    """A conversation that begins with the system prompt all share."""
    return [*SYSTEM, *(name * 10_000 + n for n in range(length))]


def run(cache: PrefixCache, ids: list[int]) -> int:
    """A request from start to end; tells the slot it had."""
    slot = cache.place(ids).slot
    cache.release(slot, ids)
    return slot


@given(st.lists(st.integers(0, 2), max_size=20), st.lists(st.integers(0, 2), max_size=20))
def test_common_prefix(a: list[int], b: list[int]) -> None:
    size = common_prefix(np.array(a, np.int32), np.array(b, np.int32))
    assert a[:size] == b[:size]
    assert size in (len(a), len(b)) or a[size] != b[size]


def test_turn_two_takes_the_slot_of_turn_one() -> None:
    cache = PrefixCache(3)
    slot = run(cache, chat(1))
    run(cache, chat(2))
    placement = cache.place([*chat(1), 7, 8, 9])
    assert (placement.slot, placement.num_cached_tokens, placement.source) == (slot, len(chat(1)), None)
    assert not len(placement.evicted)


@pytest.mark.parametrize("kept", [250, 399], ids=["edit", "regenerate"])
@pytest.mark.parametrize("others", [0, 1], ids=["room", "full"])
def test_edit_and_regenerate_keep_what_is_shared(kept: int, others: int) -> None:
    cache = PrefixCache(2)
    for n in range(others):
        run(cache, chat(n + 2))
    slot = run(cache, chat(1))
    placement = cache.place([*chat(1)[:kept], 7, 8, 9])
    assert placement.num_cached_tokens == kept
    if others:  # nobody else's conversation goes for it
        assert placement.slot == slot


def test_undo_leaves_the_last_token_to_compute() -> None:
    cache = PrefixCache(2)
    run(cache, chat(1))
    assert cache.place(chat(1)[:350]).num_cached_tokens == 349


def test_little_lost_is_not_told() -> None:
    cache = PrefixCache(1)
    run(cache, chat(1))
    assert not len(cache.place(chat(1)[:350]).evicted)


def test_a_system_prompt_is_copied_from_a_busy_slot() -> None:
    cache = PrefixCache(2)
    busy = cache.place(chat(1)).slot
    cache.mark_cached(busy, chat(1)[:150])
    placement = cache.place(chat(2))
    assert placement.slot != busy
    assert (placement.source, placement.num_cached_tokens) == (busy, len(SYSTEM))


@pytest.mark.parametrize("length", [30, 300])
def test_another_conversation_is_not_destroyed_for_its_system_prompt(length: int) -> None:
    cache = PrefixCache(3)
    first = run(cache, chat(1, length))
    placement = cache.place(chat(2))
    assert placement.slot != first
    assert (placement.source, placement.num_cached_tokens) == (first, len(SYSTEM))
    assert cache.place([*chat(1, length), 7]).slot == first


def test_too_little_in_common_is_not_copied() -> None:
    cache = PrefixCache(2)
    run(cache, chat(1))
    placement = cache.place([*chat(1)[: WORTH_A_COPY_TOKENS - 1], *range(5000, 5100)])
    assert (placement.source, placement.num_cached_tokens) == (None, 0)


def test_the_longest_unused_is_evicted_and_told_whole() -> None:
    cache = PrefixCache(2)
    oldest = run(cache, chat(1))
    run(cache, chat(2))
    placement = cache.place(chat(3))
    assert placement.slot == oldest
    assert placement.evicted.tolist() == chat(1)


def test_a_copied_beginning_is_right_even_onto_the_slot_it_evicts() -> None:
    cache = PrefixCache(2)
    other = run(cache, chat(1))
    run(cache, list(range(9000, 9400)))
    cache.place(chat(1))  # keeps `other` busy
    placement = cache.place(chat(2))
    assert placement.slot != other
    assert (placement.source, placement.num_cached_tokens) == (other, len(SYSTEM))


def test_nothing_is_trusted_after_a_failure() -> None:
    cache = PrefixCache(2)
    run(cache, chat(1))
    cache.invalidate()
    assert cache.place(chat(1)).num_cached_tokens == 0


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.booleans()), max_size=40),
    st.integers(1, 4),
)
def test_what_is_reused_is_always_what_the_slot_holds(steps: list[tuple[list[int], bool]], slots: int) -> None:
    """Against a ledger of real contents: a slot's first ``reused`` tokens are the prompt's, copies included."""
    cache = PrefixCache(slots)
    contents: dict[int, list[int]] = {index: [] for index in range(slots)}
    busy: list[int] = []
    for prompt, leave in steps:
        if len(busy) == slots:
            slot = busy.pop(0)
            cache.release(slot, contents[slot])
        placement = cache.place(prompt)
        assert placement.slot not in busy
        assert placement.num_cached_tokens < len(prompt)
        origin = contents[placement.slot if placement.source is None else placement.source]
        assert origin[: placement.num_cached_tokens] == prompt[: placement.num_cached_tokens]
        evicted = placement.evicted.tolist()
        assert evicted in ([], contents[placement.slot])
        contents[placement.slot] = prompt
        busy.append(placement.slot)
        if leave:
            busy.remove(placement.slot)
            cache.release(placement.slot, prompt)
        else:
            cache.mark_cached(placement.slot, prompt)


def test_nothing_is_reused_of_another_owner() -> None:
    cache = PrefixCache(3)
    slot = cache.place(chat(1), "alice").slot
    cache.release(slot, chat(1))
    foreign = cache.place([*chat(1), 7], "mallory")
    assert (foreign.num_cached_tokens, foreign.source) == (0, None)
    own = cache.place([*chat(1), 7], "alice")
    assert (own.slot, own.num_cached_tokens) == (slot, len(chat(1)))


def test_a_slot_that_changes_owners_tells_whose_it_was_and_nothing_to_the_next() -> None:
    cache = PrefixCache(1)
    cache.release(cache.place(chat(1), "alice").slot, chat(1))
    placement = cache.place(chat(1), "mallory")
    assert (placement.num_cached_tokens, placement.evicted_owner) == (0, "alice")
    assert placement.evicted.tolist() == chat(1)
    cache.release(0, chat(1))
    assert cache.place(chat(1), "alice").num_cached_tokens == 0
