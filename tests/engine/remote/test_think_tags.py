"""Thoughts between tags are told from the answer behind them, however the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.remote.think_tags import ThinkTags

PARTS = ("<think>", "</think>", "[THINK]", "[/THINK]", "<", "</", "think", ">", " ", "\n\n", "Hm.", "42", "好")


def told(pieces: list[str]) -> tuple[str, str]:
    """The thoughts and the answer that come of ``pieces``."""
    tags = ThinkTags()
    found = [*map(tags.feed, pieces), tags.finish()]
    return "".join(thoughts for thoughts, _ in found), "".join(answer for _, answer in found)


@pytest.mark.parametrize(
    ("text", "thoughts", "answer"),
    [
        ("<think>Hm.</think>\n\n42", "Hm.", "42"),
        ("\n[THINK]Hm.[/THINK]42", "Hm.", "42"),
        ("<think></think>42", "", "42"),
        ("<think>Hm.</think>42<think>x</think>", "Hm.", "42<think>x</think>"),
        ("<think>a</thin", "a</thin", ""),
        ("<thin", "", "<thin"),
        ("  42", "", "  42"),
        ("42 <think>x</think>", "", "42 <think>x</think>"),
    ],
)
def test_thoughts_stand_before_the_answer_alone(text: str, thoughts: str, answer: str) -> None:
    assert told([text]) == (thoughts, answer)


@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join), st.data())
def test_how_a_text_is_cut_makes_no_difference(text: str, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=8).map(sorted))
    pieces = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    assert told(pieces) == told([text])
