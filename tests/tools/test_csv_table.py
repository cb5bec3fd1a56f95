"""An uploaded table is read with the columns that it has in a spreadsheet, however the file writes them."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.text_files.delimited import DELIMITERS, delimited, parted_by
from qwen_app.tools.csv_table import read_csv


@pytest.mark.parametrize(
    ("text", "columns", "row"),
    [
        ('"price, net, EUR";name\n1,5;Ada\n', ("price, net, EUR", "name"), ["1,5", "Ada"]),
        ('name;"a|b|c|d"\nAda;1\n', ("name", "a|b|c|d"), ["Ada", "1"]),
        ('"price,\nnet";name;city\n1,5;Ada;Rome\n', ("price,\nnet", "name", "city"), ["1,5", "Ada", "Rome"]),
        ('"says ""x,y,z""";name\n1;Ada\n', ('says "x,y,z"', "name"), ["1", "Ada"]),
        ('5" pipe;2" pipe\n1,5;2,5\n', ('5" pipe', '2" pipe'), ["1,5", "2,5"]),
        ("\r\n\r\nname;age\r\nAda;3,5\r\n", ("name", "age"), ["Ada", "3,5"]),
        ("name;age\rAda,Bo;3\r", ("name", "age"), ["Ada,Bo", "3"]),
    ],
)
def test_a_delimiter_in_a_quoted_name_parts_no_columns(text: str, columns: tuple[str, ...], row: list[str]) -> None:
    table = read_csv(text.encode())
    assert (table.columns, next(table.rows())) == (columns, row)


@pytest.mark.parametrize(
    ("text", "columns", "row"),
    [
        ('a, "b, c", d\n1, "2, 3", 4\n', ("a", "b, c", "d"), ["1", "2, 3", "4"]),
        ('a; "b; c, d, e"\n1; "2 ""x"""\n', ("a", "b; c, d, e"), ["1", '2 "x"']),
        ('sep=;\na; "b; c"\n1;2\n', ("a", "b; c"), ["1", "2"]),
        ('a\t "b\tc"\n1\t2\n', ("a", "b\tc"), ["1", "2"]),
        ('sep= \na "b c"\n1 2\n', ("a", "b c"), ["1", "2"]),
        ('a,b\n"say \\"hi\\", ok",2\n', ("a", "b"), ['say "hi", ok', "2"]),
        ('"a \\"b, c, d\\"";e\n"\\\\";2\n', ('a "b, c, d"', "e"), ["\\", "2"]),
        ('a,b\n"C:\\",2\n', ("a", "b"), ["C:\\", "2"]),
        ('a,b\n5\\" pipe,2\n', ("a", "b"), ['5\\" pipe', "2"]),
        ("a,b\n x, y\n", ("a", "b"), [" x", " y"]),
    ],
)
def test_blanks_before_quotes_and_backslashes_in_them_part_no_fields(
    text: str, columns: tuple[str, ...], row: list[str]
) -> None:
    table = read_csv(text.encode())
    assert (table.columns, next(table.rows())) == (columns, row)


@given(
    st.lists(st.lists(st.text('ab ,;"\n\\', max_size=6), min_size=2, max_size=3), min_size=1, max_size=4),
    st.sampled_from(DELIMITERS),
)
def test_what_a_program_quotes_is_read_as_it_was(rows: list[list[str]], delimiter: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    assert list(parted_by(delimiter, written.getvalue()).rows()) == rows


@pytest.mark.parametrize("text", [', "' * 300_000, ', ""' * 300_000, ',"\\' * 300_000, ", " + " " * 900_000 + "x"])
def test_odd_quotes_cost_no_more_than_their_length(text: str) -> None:
    assert delimited(text).delimiter == ","


@pytest.mark.parametrize(("named", "sign"), [("sep=;", ";"), ("SEP=|", "|"), ("sep=\t", "\t"), ("sep=:", ":")])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_first_line_that_names_the_delimiter_is_obeyed_and_is_no_header(named: str, sign: str, end: str) -> None:
    table = read_csv(end.join((named, f"a,b{sign}c", f"1,5{sign}2", "")).encode())
    assert (table.columns, list(table.rows())) == (("a,b", "c"), [["1,5", "2"]])


@pytest.mark.parametrize(
    ("encoding", "name", "city"),
    [
        ("utf-8-sig", "姓名", "北京"),
        ("utf-16", "姓名", "北京"),
        ("utf-16-le", "Имя клиента", "Москва"),
        ("gb18030", "姓名和联系地址", "北京市朝阳区"),
        ("big5", "姓名與聯絡地址", "臺北市信義區"),
        ("cp932", "お名前とご住所", "東京都千代田区です"),
        ("cp949", "이름과 주소", "서울특별시 종로구"),
        ("cp1252", "Größe", "Köln"),
        ("cp1251", "Имя клиента", "Санкт-Петербург, Россия"),
        ("cp1254", "Müşteri adı", "İstanbul'da, Beşiktaş"),
        ("cp1253", "Όνομα πελάτη", "Αθήνα, Ελλάδα"),
    ],
)
def test_a_table_is_read_in_every_encoding_that_documents_are(encoding: str, name: str, city: str) -> None:
    table = read_csv(f"{name};n\n{city};1\n".encode(encoding))
    assert (table.columns, next(table.rows())) == ((name, "n"), [city, "1"])


def test_a_damaged_byte_costs_a_table_no_more_than_itself() -> None:
    table = read_csv("姓名,城市\n李雷,上海\n".encode() + b"\xff,x\n")
    assert list(table.rows()) == [["李雷", "上海"], ["\ufffd", "x"]]
