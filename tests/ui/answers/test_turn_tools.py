from __future__ import annotations

import re

import pytest

from qwen_app.ui.answers.turn_tools import can_go_on, turn_tools
from qwen_app.ui.conversations.conversation import Conversation, Turn, hold
from qwen_app.ui.shared.run_line import EndReason, Run
from qwen_app.ui.shared.strings import Texts

EN = Texts("en")
CUT = Turn("q", "half", run=Run("length"))


def names(conversation: Conversation, number: int) -> list[str]:
    return re.findall(r'<button type="button" name="(\w+)"', turn_tools(conversation, number, EN))


def test_the_last_answer_has_more_than_the_others() -> None:
    conversation = Conversation("c", (CUT, CUT))
    assert names(conversation, 0) == ["fork", "hold", "hold"]
    assert names(conversation, 1) == ["go_on", "fork", "shorter", "as_json", "hold", "hold"]
    assert names(hold(conversation, 0, "pinned"), 0) == ["fork", "hold"]
    assert names(Conversation("c", (Turn("q"),)), 0) == []


@pytest.mark.parametrize(("reason", "cut"), [("stop", False), ("length", True), ("cancelled", True), ("failed", True)])
def test_only_what_was_cut_goes_on(reason: EndReason, cut: bool) -> None:
    assert can_go_on(Turn("q", "half", run=Run(reason))) is cut
    assert not can_go_on(Turn("q", "", run=Run(reason)))
    assert not can_go_on(Turn("q", "{", json_mode=True, run=Run(reason)))
    assert not can_go_on(Turn("q", "half", run=Run(reason, closed=True)))
