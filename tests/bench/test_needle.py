"""The needle test finds what a reader finds, and draws it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from bench.needle import Find, measure, shares, table
from bench.needle_plot import needle_svg


def reader(question: str) -> tuple[str, int]:
    """Reads the first half of a text only; a token a word."""
    words = question.split()
    read = " ".join(words[: len(words) // 2])
    found = re.search(r"The secret number of \w+ is (\d+)", read)
    return (f"It is {found[1]}." if found else "I do not know."), len(words)


def test_what_is_read_is_found_and_what_is_not_is_not() -> None:
    finds = measure(reader, [400, 2000], [0, 25, 75, 100], repeats=2)
    assert shares(finds) == {(length, depth): float(depth < 50) for length in (400, 2000) for depth in (0, 25, 75, 100)}
    assert all(find.length - 80 <= find.tokens <= find.length for find in finds)  # 60 are kept for the question


def test_table_and_picture_name_every_length_and_depth() -> None:
    finds = [Find(1000, 0, 990, True, "7"), Find(1000, 100, 990, False, ""), Find(4000, 0, 3990, True, "7")]
    assert table(finds).splitlines()[2:] == ["| 0 % | 100 % | 100 % |", "| 100 % | 0 % |  |"]
    picture = needle_svg("<Model>", shares(finds))
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert "1,000" in picture
    assert "&lt;Model&gt;" in picture
