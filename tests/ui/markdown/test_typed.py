from __future__ import annotations

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from qwen_app.ui.markdown.typed import LONG_CHARACTERS, LONG_LINES, typed_html

typed = st.lists(st.sampled_from([*"ab`*_~$#<>&;\\()[]!|.-1 \n\t", "\n\n", "def __init__", "&lt;", "</div>", "中文：",
                                  "$$x$$", "<b>", "    x"]), max_size=80).map("".join)  # fmt: skip


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> str:
    parser = _Text()
    parser.feed(html)
    parser.close()
    return parser.text


@given(typed)
def test_a_question_is_drawn_as_typed(text: str) -> None:
    drawn = MarkdownIt("commonmark").render(typed_html(text, ""))
    assert read(drawn) == text


@given(typed)
def test_nothing_in_it_means_anything(text: str) -> None:
    inner = typed_html(text, "").split(">", 1)[1].rsplit("</div>", 1)[0]
    assert re.fullmatch(r"(?:[\w ]|&#\d+;)*", inner)


def test_long_questions_start_folded() -> None:
    for text in ("line\n" * LONG_LINES, "x" * LONG_CHARACTERS):
        assert 'class="typed folded"' in typed_html(text, "Show all")
        assert ">Show all</button>" in typed_html(text, "Show all")
    assert "folded" not in typed_html("short", "Show all")
