from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.ui.markdown.answer import answer_markdown
from qwen_app.ui.markdown.maths import DELIMITERS, mark_formulas
from qwen_app.ui.shared.render import WORD_JOINER, typed_text

pieces = [*"ab$\n \\()[]`1^", "$$", "\\(", "\\)", "\\[", "\\]", "```\n"]
markdown = st.lists(st.sampled_from(pieces), max_size=60).map("".join)


@pytest.mark.parametrize(
    "text",
    [
        "|$$x^2$$|",
        "so |$$x^2$$|, and",
        "公式|$$x$$|是",
        "|$$\nE = mc^2\n$$|",
        "|$$ E = mc^2 $$|",
        "1. |$$x$$|\n2. |$$y$$|",
        "|\\[ a + b \\]| and |\\(x\\)|",
        "|\\[\na \\\\[2pt] b\n\\]|",
        "It costs $$5 and he paid $$6.",
        "他花了$$5，又花了$$6。",
        "$$ is the shell's id, $$ again",
        "cost $$5/$$6 or $5 and $6",
        "make's $$(VAR) and $$(FOO)",
        "a $$b\n\nc$$ d",
        "\\\\(x\\\\) and \\\\[y\\\\]",
        "open $$x and open \\(y",
        "if |$x$| and |$y_1$|, then |$x + y_1 = 3$|.",
        "设|$x$|为整数，|$f(x) = \\frac{a}{b}$|。",
        "(|$x$|) |$-1$|: |$\\sin x \\text{ for all } x$|",
        "It costs $5 and he paid $6.",
        "$5/$6, $5-$10, ($AAPL) and ($TSLA), US$5, 5$ and 6$",
        "$HOME/bin:$PATH, $_GET['a'].$_POST['b'], $x, $y",
        "价格是$5，而$是美元的符号",
        "paid $5 (about thirty yuan)$",
        "|$x$| costs $5, and |$y$| costs $6",
        "open $x\nand y$ closed",
    ],
)
def test_what_is_a_formula(text: str) -> None:
    assert mark_formulas(text.replace("|", "")).replace(WORD_JOINER, "|") == text


def test_no_tag_begins_within_a_formula() -> None:
    assert mark_formulas("\\(a<b\\)") == f"{WORD_JOINER}\\(a< b\\){WORD_JOINER}"


@pytest.mark.parametrize("code", ["`echo $$` and `kill $$`", "```\n$$x$$\n\\(x\\)\n```", "`\\(x\\)` and `$$y$$`"])
def test_code_holds_no_formula(code: str) -> None:
    assert answer_markdown(code) == code


@given(markdown)
def test_nothing_is_lost(text: str) -> None:
    assert typed_text(answer_markdown(text)) == text


@given(markdown)
def test_the_renderer_finds_no_delimiter_of_the_texts_own(text: str) -> None:
    assert not any(str(edge[side]) in text for edge in DELIMITERS for side in ("left", "right"))
