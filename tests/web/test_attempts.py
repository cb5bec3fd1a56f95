from __future__ import annotations

from qwen_app.web.attempts import CLIENTS_KEPT, DELAY_S, FAILURES_PER_CLIENT, Attempts


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_five_failures_a_minute() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(FAILURES_PER_CLIENT):
        assert attempts.wait_s("a") == 0
        attempts.note_failure("a")
        clock.now += 1
    assert attempts.wait_s("a") == 55
    assert attempts.wait_s("b") == 0
    clock.now += 55
    assert attempts.wait_s("a") == 0


def test_a_thousand_guesses_take_hours() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(1000):
        clock.now += attempts.wait_s("a")
        attempts.note_failure("a")
    assert clock.now - 100 >= 3 * 3600


def test_many_guessers_slow_everybody_and_refuse_nobody() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for client in range(20):
        attempts.note_failure(str(client))
    assert attempts.delay_s() == 0
    attempts.note_failure("20")
    assert attempts.delay_s() == DELAY_S
    assert attempts.wait_s("owner") == 0
    clock.now += 61
    assert attempts.delay_s() == 0


def test_it_does_not_grow_for_ever() -> None:
    attempts = Attempts(Clock())
    for client in range(CLIENTS_KEPT + 50):
        attempts.note_failure(str(client))
    assert len(attempts._by_client) == CLIENTS_KEPT
