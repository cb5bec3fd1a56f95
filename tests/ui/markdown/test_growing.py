"""A growing answer is drawn as the whole text would be, wherever it is looked at."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.ui.markdown.answer import answer_markdown
from qwen_app.ui.markdown.growing import GrowingAnswer
from tests.examples import examples

WORDS = ["word ", "x", "步骤", "：", "  ", "\t", "- item\n", "<b>", "\\", "![a](b)"]
LINES = ["\n", "\n\n", "  \n", "\r\n", "\x0c", "```\n", "```py\n", "~~~\n", "> ```\n", "    ```\n", "```mermaid\n"]
PIECES = st.sampled_from([*WORDS, *LINES, "`", "``", "$$", "\\(", "\\)", "\\[", "\\]", "**"])


@settings(max_examples=examples(400))
@given(pieces=st.lists(PIECES, max_size=40))
def test_every_beginning_is_drawn_as_if_it_were_all(pieces: list[str]) -> None:
    growing, text = GrowingAnswer(), ""
    for piece in pieces:
        text += piece
        assert growing.drawn(text) == answer_markdown(text)


def test_another_text_begins_anew() -> None:
    growing = GrowingAnswer()
    growing.drawn("one **word**\n\ntwo")
    assert growing.drawn("**other**\n\nwords") == answer_markdown("**other**\n\nwords")
