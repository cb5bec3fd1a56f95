"""Nobody's uploads cost another his; everybody keeps what he used last, within his share."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.errors import ServerFull
from qwen_app.uploads.upload_store import UploadLimits, UploadStore
from tests.examples import examples

LIMITS = UploadLimits(uploads_per_user=3, size_per_user=10, size_in_all=60, unused_s=60.0)


def store(now: list[float]) -> UploadStore[str]:
    return UploadStore(LIMITS, len, refusal="full", refusal_to_guests="guests", clock=lambda: now[0])


@settings(max_examples=examples(100))
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 10)), max_size=25))
def test_shares_hold_and_the_newest_stays(sent: list[tuple[str, int]]) -> None:
    uploads = store([0.0])
    ids: dict[str, list[str]] = {"a": [], "b": []}
    for user, size in sent:
        others = [one for one in ids if one != user]
        before = {
            one: [upload_id for upload_id in ids[one] if uploads.peek(one, upload_id) is not None] for one in others
        }
        ids[user].append(uploads.keep(user, "x" * size).id)
        assert uploads.peek(user, ids[user][-1]) is not None
        assert {one: [i for i in ids[one] if uploads.peek(one, i) is not None] for one in others} == before
        own = [content for i in ids[user] if (content := uploads.peek(user, i)) is not None]
        assert len(own) <= LIMITS.uploads_per_user
        assert sum(map(len, own)) <= LIMITS.size_per_user


def test_what_was_used_last_stays_longest() -> None:
    now = [0.0]
    uploads = store(now)
    first, second, _ = (uploads.keep("a", "x").id for _ in range(3))
    assert uploads.use("a", first) == "x"
    uploads.keep("a", "x")
    assert (uploads.peek("a", first), uploads.peek("a", second)) == ("x", None)
    now[0] = LIMITS.unused_s + 1
    assert uploads.peek("a", first) is None


def test_an_id_alone_is_no_right() -> None:
    uploads = store([0.0])
    kept = uploads.keep("a", "x")
    uploads.drop("b", kept.id)
    assert (uploads.peek("b", kept.id), uploads.use("b", kept.id), uploads.peek("a", kept.id)) == (None, None, "x")


def test_a_full_store_refuses_and_forgets_nobody() -> None:
    uploads = store([0.0])
    kept = {user: uploads.keep(user, "x" * 10).id for user in "abcd"}
    with pytest.raises(ServerFull, match="full"):
        uploads.keep("e", "x" * 11)
    with pytest.raises(ServerFull, match="full"):
        uploads.keep("d", "x" * 16)  # his own are not enough to make room, so they stay
    assert all(uploads.peek(user, upload_id) for user, upload_id in kept.items())


def test_guests_together_leave_room_for_all_others() -> None:
    uploads = store([0.0])
    kept = {f"guest {number}": uploads.keep(f"guest {number}", "x" * 10).id for number in range(3)}
    with pytest.raises(ServerFull, match="guests"):
        uploads.keep("guest of one link more", "x" * 10)
    assert uploads.keep("ada", "x" * 10)
    assert all(uploads.peek(user, upload_id) for user, upload_id in kept.items())
    uploads.keep("guest 0", "x" * 10)  # in the place of his own
    assert uploads.peek("guest 0", kept["guest 0"]) is None


def test_what_is_kept_elsewhere_goes_first() -> None:
    uploads = store([0.0])
    first, second, third = (uploads.keep("a", "x").id for _ in range(3))
    uploads.spare("a", second)
    uploads.spare("b", third)
    fourth = uploads.keep("a", "x").id
    assert [uploads.peek("a", one) for one in (first, second, third, fourth)] == ["x", None, "x", "x"]


def test_who_wants_to_lose_nothing_is_refused_until_something_is_kept_elsewhere() -> None:
    uploads = store([0.0])
    ids = [uploads.keep("a", "x", share_refusal="yours").id for _ in range(3)]
    with pytest.raises(ServerFull, match="yours"):
        uploads.keep("a", "x", share_refusal="yours")
    assert [uploads.peek("a", one) for one in ids] == ["x"] * 3
    uploads.spare("a", ids[2])
    uploads.keep("a", "x", share_refusal="yours")
    assert [uploads.peek("a", one) for one in ids] == ["x", "x", None]
