"""The soak in small: users are kept apart, and what must not be is found when it is there."""

from __future__ import annotations

import pytest

from bench import soak as bench_soak
from qwen_app.messages import GenerationRequest
from qwen_app.testing.scripted_engine import Script


@pytest.mark.slow
def test_users_are_answered_and_kept_apart() -> None:
    found = bench_soak.soak(users=12, seconds=2.0)
    assert found.problems() == []
    assert found.requests > 50
    statuses = found.seen["statuses"]
    assert isinstance(statuses, dict)
    assert {"streamed 200", "whole 200", "wrong 400"} <= statuses.keys()
    assert len(found.lags_s) > 10
    assert found.memory_bytes


def test_a_mixed_up_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def mixed_up(request: GenerationRequest) -> Script:
        return Script(text=("canary-99999-1 ",))

    monkeypatch.setattr(bench_soak, "echo", mixed_up)
    problems = " ".join(bench_soak.soak(users=3, seconds=0.5).problems())
    assert "strangers" in problems
    assert "lost" in problems
