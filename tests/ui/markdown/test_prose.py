from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.ui.markdown.prose import change_prose

pieces = [*"ab`~\n >-$*", "```", "~~~", "\n\n", "    "]
markdown = st.lists(st.sampled_from(pieces), max_size=60).map("".join)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("a", "A"),
        ("a `b` a", "A `b` A"),
        ("``a`a`` a", "``a`a`` A"),
        ("```\na\n```\na", "```\na\n```\nA"),
        ("> ```\n> a\n> ```\na", "> ```\n> a\n> ```\nA"),
        ("~~~\na\n```\na", "~~~\na\n```\na"),
        ("a ` a\n\n` a", "A ` A\n\n` A"),
        ("", ""),
    ],
)
def test_code_stays(text: str, changed: str) -> None:
    assert change_prose(text, str.upper) == changed


@given(markdown)
def test_nothing_is_lost(text: str) -> None:
    assert change_prose(text, lambda prose: prose) == text
    assert change_prose(text, str.upper).lower() == text
