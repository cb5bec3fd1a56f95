"""A page of HTML comes out as its reader sees it: code as it is typed, tables in their columns."""

from __future__ import annotations

import pytest

from qwen_app.documents.readers.html_page import read_html


def text_of(page: str) -> str:
    return "\n".join(section.text for section in read_html(page))


def test_code_keeps_its_indentation_and_blank_lines() -> None:
    code = "def f():\n    if x:\n        return 1\n\n\n\n# note"
    page = f"<h1>T</h1><p>before</p><pre><code>\n{code}\n</code></pre>after"
    assert text_of(page) == f"# T\n\nbefore\n\n```\n{code}\n```\n\nafter"


def test_nothing_in_code_is_a_heading() -> None:
    sections = read_html("<h1>T</h1><pre>```\n# one\n```\n# two</pre><pre><h2>three</h2>\n# four")
    assert [section.title for section in sections] == ["T"]
    assert sections[0].text.count("\n````\n") == 2


def test_code_within_code_ends_with_the_outer_one() -> None:
    assert text_of("<pre>a\n<pre>  b</pre>\n  c</pre></pre><p> d") == "```\na\n  b\n\n  c\n```\n\nd"


@pytest.mark.parametrize(("span", "empty"), [("2", 1), ("x", 0), ("0", 0), ("", 0), ("9999999", 49)])
def test_a_cell_that_spans_columns_moves_the_next_ones(span: str, empty: int) -> None:
    names = "".join(f"<th>{number}</th>" for number in range(60))
    page = f'<table><tr>{names}</tr><tr><td colspan="{span}">Total<td>12</tr></table>'
    cells = text_of(page).split("\n")[-1].strip("| ").split(" | ")
    assert cells == ["Total", *[""] * empty, "12"]


def test_a_span_ends_with_its_table() -> None:
    assert text_of("<table><td colspan=3>a</table>and<table><td>b</table>").endswith("| b |\n| --- |")
    assert "| b | c |" in text_of("<table><tr><td colspan=3>a<tr><td>b<td>c</table>")
