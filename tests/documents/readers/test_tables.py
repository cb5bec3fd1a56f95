"""Tables come out with the columns and rows that they have in the file."""

from __future__ import annotations

import pytest

from qwen_app.documents.readers.tables import markdown_table
from qwen_app.documents.readers.tasks import read_document


@pytest.mark.parametrize(
    ("name", "text", "last"),
    [
        ("a.csv", "Zeit;T1;T2\n0,1;20,5;21,3\n0,2;20,6;21,4\n", "| 0,2 | 20,6 | 21,4 |"),
        ("a.csv", 'id;comment\n1;"one, two, three"\n', "| 1 | one, two, three |"),
        ("a.csv", '"a;b;c;d",x\n1,2\n', "| 1 | 2 |"),
        ("a.csv", '"price,\nnet, EUR";name\n1,5;Ada\n', "| 1,5 | Ada |"),
        ("a.csv", 'a, "b, c", d\n1, "2, 3", 4\n', "| 1 | 2, 3 | 4 |"),
        ("a.csv", 'a,b\n"say \\"hi\\", ok",2\n', '| say "hi", ok | 2 |'),
        ("a.tsv", 'a\t "b\tc"\n1\t "2\t3"\n', "| 1 | 2\t3 |"),
        ("a.csv", '5" pipe;2" pipe\n1,5;2,5\n', "| 1,5 | 2,5 |"),
        ("a.csv", "Report\n\na;b\n1,5;2,5\n", "| 1,5 | 2,5 |"),
        ("a.csv", "Report, 2024\n\na;b;c\n1,5;2,5;3\n", "| 1,5 | 2,5 | 3 |"),
        ("a.tsv", "comma, comma, comma\ttext\n1\tHello, you\n", "| 1 | Hello, you |"),
    ],
)
def test_fields_are_parted_as_the_header_is(name: str, text: str, last: str) -> None:
    assert read_document(name, text.encode()).sections[0].text.split("\n")[-1] == last


def test_a_first_line_that_names_the_delimiter_is_obeyed_and_not_shown() -> None:
    (section,) = read_document("a.csv", b"sep=;\r\na,b;c\r\n1,5;2\r\n").sections
    assert section.text == "| a,b | c |\n| --- | --- |\n| 1,5 | 2 |"
    assert section.first == 1


@pytest.mark.parametrize("sign", ["\n", "\r", "\r\n", "\v", "\f", "\x85", "\u2028"])
def test_a_line_break_in_a_cell_breaks_no_row(sign: str) -> None:
    assert markdown_table([[f"one{sign}two", "b"]]) == "| one<br>two | b |\n| --- | --- |"


def test_a_break_that_ends_no_row_stays_in_its_cell() -> None:
    (section,) = read_document("a.csv", "a,b\rone\u2028two,x\r".encode()).sections
    assert section.text == "| a | b |\n| --- | --- |\n| one<br>two | x |"
