from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.web.passwords import AT_ONCE, COST, Passwords
from qwen_app.web.sessions import INVITATION_S, INVITATIONS, LIFETIME_S, SESSIONS_PER_USER, Sessions

LOGINS = [("ada", "secret"), ("李雷", "密码:1")]


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_hash_is_slow() -> None:
    assert COST >= 2**14


@pytest.mark.anyio
async def test_passwords() -> None:
    passwords = Passwords(LOGINS)
    assert await passwords.knows("ada", "secret")
    assert await passwords.knows("李雷", "密码:1")
    assert not await passwords.knows("ada", "密码:1")
    assert not await passwords.knows("eve", "")
    assert not await passwords.knows("", "")
    assert not await passwords.knows("ada", "\ud800")


@pytest.mark.anyio
async def test_passwords_are_compared_aside_and_few_at_once() -> None:
    passwords = Passwords(LOGINS)
    await asyncio.gather(*(passwords.knows("ada", str(number)) for number in range(8)))
    threads = [thread.name for thread in threading.enumerate() if thread in passwords._threads._threads]
    assert 1 <= len(threads) <= AT_ONCE
    assert "secret" not in repr(vars(passwords))


def test_tokens_name_their_user_until_they_are_over() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    token = sessions.token("李雷")
    assert sessions.user(token) == "李雷"
    clock.now += LIFETIME_S - 1
    assert sessions.user(token) == "李雷"
    clock.now += 2
    assert sessions.user(token) is None


def test_an_ended_session_is_nobodys() -> None:
    sessions = Sessions()
    ended, other = sessions.token("ada"), sessions.token("ada")
    sessions.end(ended)
    sessions.end("never was")
    assert sessions.user(ended) is None
    assert sessions.user(other) == "ada"


def test_one_users_sessions_end_nobody_elses() -> None:
    sessions = Sessions()
    others = sessions.token("bob")
    tokens = [sessions.token("ada") for _ in range(SESSIONS_PER_USER + 1)]
    assert sessions.user(tokens[0]) is None
    assert sessions.user(tokens[1]) == "ada"
    assert sessions.user(others) == "bob"
    assert not any(token.encode() in repr(sessions._open).encode() for token in tokens)


def test_another_start_knows_no_old_token() -> None:
    assert Sessions().user(Sessions().token("ada")) is None


def test_the_owner_sees_who_is_there_and_ends_it_by_id_by_user_or_all() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    users = ("ada", "bob", "ada", "eve")
    tokens = {sessions.token(user, f"203.0.113.{number}"): user for number, user in enumerate(users)}
    clock.now += 90
    lines = sessions.lines()
    assert [(line.user, line.address, line.age_s) for line in lines[:2]] == [
        ("ada", "203.0.113.0", 90),
        ("bob", "203.0.113.1", 90),
    ]
    assert len({line.id for line in lines}) == 4
    assert sessions.end_named(lines[1].id) == 1
    assert sessions.end_named("ada") == 2
    assert sessions.end_named("nobody") == 0
    assert [user for token, user in tokens.items() if sessions.user(token)] == ["eve"]
    assert sessions.end_named("all") == 1
    assert sessions.lines() == []


@pytest.mark.anyio
async def test_the_end_of_a_session_ends_its_open_requests_and_no_others() -> None:
    sessions = Sessions()
    mine, others = sessions.token("ada"), sessions.token("bob")

    async def request(token: str) -> None:
        with sessions.request(token):
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(request(token)) for token in (mine, others)]
    await asyncio.sleep(0)
    assert [line.requests for line in sessions.lines()] == [1, 1]
    sessions.end(mine)
    await asyncio.wait(tasks[:1])
    assert tasks[0].cancelled()
    assert not tasks[1].done()
    tasks[1].cancel()


def test_an_invitation_is_good_once_and_for_an_hour() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    first, second = sessions.invite("owner"), sessions.invite("owner")
    assert sessions.redeem(first) == "owner"
    assert sessions.redeem(first) is None
    assert sessions.user(second) is None  # it is no session's token
    clock.now += INVITATION_S
    assert sessions.redeem(second) is None
    assert sessions.redeem("made up") is None


def test_invitations_are_few() -> None:
    sessions = Sessions()
    keys = [sessions.invite("owner") for _ in range(INVITATIONS + 1)]
    assert sessions.redeem(keys[0]) is None
    assert sessions.redeem(keys[-1]) == "owner"


@given(st.text(max_size=80))
def test_made_up_tokens(token: str) -> None:
    sessions = Sessions()
    sessions.token("ada")
    assert sessions.user(token) is None


@given(st.integers(0, 200), st.characters())
def test_changed_tokens(place: int, character: str) -> None:
    sessions = Sessions()
    token = sessions.token("ada")
    changed = token[: place % len(token)] + character + token[place % len(token) + 1 :]
    assert sessions.user(changed) == ("ada" if changed == token else None)
