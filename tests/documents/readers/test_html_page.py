"""A page of HTML comes out as its reader sees it: code as it is typed, tables in their columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ("<tr><td rowspan=2>both<td>1<tr><td>2", ["both|1", "both|2"]),
        ("<tr><td>1<td rowspan=2>both<tr><td>2", ["1|both", "2|both"]),
        ("<tr><td>1<td rowspan=2>both<td>a<tr><td>2<td>b", ["1|both|a", "2|both|b"]),
        ("<tr><td rowspan=3>x<td rowspan=2>y<td>1<tr><td>2<tr><td>3<td>4", ["x|y|1", "x|y|2", "x|3|4"]),
        ("<tr><td rowspan=2 colspan=2>wide<td>1<tr><td>2", ["wide||1", "wide||2"]),
        ("<tr><td rowspan=9>tall<td>1<tr><td>2", ["tall|1", "tall|2"]),
        ("<tr><td rowspan=0>rest<td>1<tr><td>2<tr><td>3", ["rest|1", "rest|2", "rest|3"]),
        ("<tr><td rowspan=x>one<td>1<tr><td>2<td>3", ["one|1", "2|3"]),
        ("<thead><tr><td rowspan=2>head<td>1<tbody><tr><td>2<td>3", ["head|1", "2|3"]),
        ("<tr><td rowspan=2>early <b>and</b> late<td>1<tr><td>2", ["early and late|1", "early and late|2"]),
        ("<tr><td rowspan=3>x<td>1<tr><tr><td>3", ["x|1", "x|3"]),
    ],
)
def test_a_cell_that_spans_rows_is_in_each_of_them(rows: str, shown: list[str]) -> None:
    lines = text_of(f"<table><tr><th>A<th>B<th>C{rows}</table>").split("\n")[2:]
    assert ["|".join(cell.strip() for cell in line[1:-1].split("|")).rstrip("|") for line in lines] == shown


SPANS = st.lists(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), min_size=1, max_size=4), min_size=1, max_size=5
)


@given(SPANS)
def test_whatever_cells_span_each_is_told_in_its_row(table: list[list[tuple[int, int]]]) -> None:
    def cell(row: int, place: int) -> str:
        columns, rows = table[row][place]
        return f"<td colspan={columns} rowspan={rows}>{row}.{place}"

    page = "".join("<tr>" + "".join(cell(row, place) for place in range(len(table[row]))) for row in range(len(table)))
    head, _, *others = text_of(f"<table>{page}</table>").split("\n")
    for row, line in enumerate([head, *others]):
        cells = [one.strip() for one in line[1:-1].split("|")]
        own = [f"{row}.{place}" for place in range(len(table[row]))]
        assert [one for one in cells if one in own] == own


def test_a_span_of_rows_ends_with_its_table() -> None:
    assert text_of("<table><tr><td rowspan=5>a</table><table><tr><td>b<tr><td>c</table>").endswith(
        "| b |\n| --- |\n| c |"
    )


def test_text_before_the_first_cell_of_a_row_stays_outside() -> None:
    assert text_of("<table><caption>Prices</caption><tr><td>1</table>").startswith("Prices")


@pytest.mark.parametrize("section", ["<![ if !IE]>", "<![foo]>", "<![[x]]>", "<![if !mso]>", "<![0]>"])
def test_a_marked_section_of_whatever_name_is_skipped(section: str) -> None:
    assert text_of(f"<p>before</p>{section}<p>after</p><![endif]>") == "before\n\nafter"
