from __future__ import annotations

import pytest

from qwen_app.ui.answers.rerun import choices_again
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import Turn
from qwen_app.ui.shared.run_line import Run

SETTINGS = {"system": "s", "temperature": 0.5, "top_p": 0.9, "max_tokens": 5, "context_tokens": 300, "seed": None}


def test_settings_with_the_seed_that_was_drawn() -> None:
    turn = Turn("q", "a", run=Run("stop", seed=42, left_out=(0, 2)), settings={**SETTINGS, "start": "A", "top_k": 20})
    expected = Choices("s", 0.5, 0.9, 5, 300, 42, json_mode=False, start="A", left_out=frozenset({0, 2}))
    assert choices_again(turn) == expected


@pytest.mark.parametrize("settings", [{}, {**SETTINGS, "temperature": "warm"}, {**SETTINGS, "max_tokens": []}])
def test_what_an_import_does_not_tell_cannot_be_asked_again(settings: dict[str, object]) -> None:
    assert choices_again(Turn("q", "a", run=Run("stop"), settings=settings)) is None


def test_an_open_answer_cannot_be_asked_again() -> None:
    assert choices_again(Turn("q", settings=SETTINGS)) is None
