from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.web.sessions import LIFETIME_S, Sessions

LOGINS = [("ada", "secret"), ("李雷", "密码:1")]


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_passwords() -> None:
    sessions = Sessions(LOGINS)
    assert sessions.knows("ada", "secret")
    assert sessions.knows("李雷", "密码:1")
    assert not sessions.knows("ada", "密码:1")
    assert not sessions.knows("eve", "")
    assert not sessions.knows("", "")


def test_tokens_name_their_user_until_they_are_over() -> None:
    clock = Clock()
    sessions = Sessions(LOGINS, clock)
    token = sessions.token("李雷")
    assert sessions.user(token) == "李雷"
    clock.now += LIFETIME_S - 1
    assert sessions.user(token) == "李雷"
    clock.now += 2
    assert sessions.user(token) is None


def test_another_start_knows_no_old_token() -> None:
    assert Sessions(LOGINS).user(Sessions(LOGINS).token("ada")) is None


@given(st.text(max_size=80))
def test_made_up_tokens(token: str) -> None:
    assert Sessions(LOGINS).user(token) is None


@given(st.integers(0, 200), st.characters())
def test_changed_tokens(place: int, character: str) -> None:
    sessions = Sessions(LOGINS)
    token = sessions.token("ada")
    changed = token[: place % len(token)] + character + token[place % len(token) + 1 :]
    assert sessions.user(changed) == ("ada" if changed == token else None)
