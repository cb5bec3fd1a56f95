from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.ui.shared.render import WORD_JOINER, safe_markdown, typed_text

pieces = [*"ab`~![]()<>/m\n -\\$", "```", "mermaid", "![x](", "<img "]
markdown = st.lists(st.sampled_from(pieces), max_size=60).map("".join)


def shown(text: str) -> str:
    """What is drawn, with the invisible character made visible."""
    return safe_markdown(text).replace(WORD_JOINER, "|")


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("a < b and <b>", "a < b and <|b>"),
        ("</script><!-- --><?x", "<|/script><|!-- --><|?x"),
        ("![cat](http://x/cat.png)", "!|[cat](http://x/cat.png)"),
        ("`<b>` and <b>", "`<b>` and <|b>"),
        ("\\`<b>\\`", "\\`<|b>\\`"),
        ("``a`<b>`` <i>", "``a`<b>`` <|i>"),
        ("```html\n<b>\n```\n<b>", "```html\n<b>\n```\n<|b>"),
        ("~~~\n<b>\n```\n<b>\n~~~\n<b>", "~~~\n<b>\n```\n<b>\n~~~\n<|b>"),
        ("```Mermaid\ngraph TD\n```", "```M|ermaid\ngraph TD\n```"),
        ("~~~ {.mermaid}\nx", "~~~ {.m|ermaid}\nx"),
        ("> ```mermaid\n> x", "> ```m|ermaid\n> x"),
        ("    ```\n![x](y)", "    ```\n!|[x](y)"),
        ("plain", "plain"),
    ],
)
def test_what_is_drawn(text: str, drawn: str) -> None:
    assert shown(text) == drawn


@given(markdown)
def test_nothing_is_lost(text: str) -> None:
    assert typed_text(safe_markdown(text)) == text


@given(markdown)
def test_no_fence_is_called_mermaid(text: str) -> None:
    for line in safe_markdown(text).split("\n"):
        assert not re.match(r"[ >]*(`{3,}|~{3,})\s*mermaid", line, re.IGNORECASE)


@given(markdown)
def test_no_tag_and_no_image_outside_code(text: str) -> None:
    without_code = text.replace("`", "").replace("~", "")
    drawn = safe_markdown(without_code)
    assert "![" not in drawn
    assert "<i" not in drawn
    assert "</" not in drawn
