"""All that a reader of a Word file sees is in its text, once, in its columns and on its page."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import docx
import pytest
from docx.oxml.ns import nsmap

from qwen_app.documents.document import Section
from qwen_app.documents.readers.tasks import read_document
from tests.documents import files

BODY = b"<w:body>"
HEAD = "<w:tr>" + "".join(f"<w:tc><w:p><w:r><w:t>{name}</w:t></w:r></w:p></w:tc>" for name in "ABC") + "</w:tr>"


MATH = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WML = "application/vnd.openxmlformats-officedocument.wordprocessingml"
DRAWN = "<w:lastRenderedPageBreak/>"
WANTED = '<w:br w:type="page"/>'


def sections_of(content: str) -> Sequence[Section]:
    """What a file has that begins with ``content``."""
    main = files.part_of(files.word(paged=False), "word/document.xml")
    changed = main.replace(BODY, BODY + content.encode(), 1)
    return read_document("a.docx", files.with_part(files.word(paged=False), "word/document.xml", changed)).sections


def text_of(content: str) -> str:
    """The text of a file that begins with ``content``, to its first heading or end of a page."""
    return sections_of(content)[0].text


def pages_of(content: str) -> list[str]:
    """The pages of a file with ``content`` alone."""
    return [section.text.strip() for section in sections_of(f"{content}<w:p><w:r>{WANTED}</w:r></w:p>")][:-1]


def control(content: str) -> str:
    return f"<w:sdt><w:sdtPr/><w:sdtContent>{content}</w:sdtContent></w:sdt>"


def marked(content: str) -> str:
    return f'<w:customXml w:uri="u" w:element="e"><w:customXmlPr/>{content}</w:customXml>'


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def cell(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{paragraph(text)}</w:tc>"


def table(*rows: str) -> str:
    grid = "<w:gridCol/>" * 3
    return f"<w:tbl><w:tblPr/><w:tblGrid>{grid}</w:tblGrid>{HEAD}{''.join(rows)}</w:tbl>"


@pytest.mark.parametrize(
    "row",
    [
        f"<w:tr>{cell('Name')}{control(cell('Jane'))}{cell('c')}</w:tr>",
        f"<w:tr>{cell('Name')}<w:tc>{control(paragraph('Jane'))}</w:tc>{cell('c')}</w:tr>",
        control(f"<w:tr>{cell('Name')}{control(control(cell('Jane')))}{cell('c')}</w:tr>"),
    ],
)
def test_what_was_filled_in_in_a_form_within_a_table_is_read(row: str) -> None:
    assert "| Name | Jane | c |" in text_of(table(row))


def test_a_form_within_a_table_within_a_form_is_read_once() -> None:
    row = f"<w:tr><w:tc>{control(paragraph('Jane'))}</w:tc></w:tr>"
    assert text_of(control(table(row))).count("Jane") == 1


@pytest.mark.parametrize("content", [paragraph("Jane"), table(f"<w:tr>{marked(cell('Jane'))}</w:tr>")])
def test_what_somebody_marked_with_a_name_of_his_own_is_read(content: str) -> None:
    assert text_of(marked(content)).count("Jane") == 1


def test_moved_text_stands_where_it_went_alone() -> None:
    run = "<w:r><w:t>moved</w:t></w:r>"
    text = text_of(
        f'<w:p><w:moveFrom w:id="1" w:author="a">{run}</w:moveFrom></w:p>'
        f'{paragraph("between")}<w:p><w:moveTo w:id="2" w:author="a">{run}</w:moveTo></w:p>'
    )
    assert text.split() == ["between", "moved"]


def test_cells_stand_in_their_columns_whatever_is_merged() -> None:
    wide, tall = '<w:gridSpan w:val="2"/>', '<w:vMerge w:val="restart"/>'
    text = text_of(
        table(
            f"<w:tr>{cell('Total', wide)}{cell('5')}</w:tr>",
            f'<w:tr><w:trPr><w:gridBefore w:val="2"/></w:trPr>{cell("tall", tall)}</w:tr>',
            f"<w:tr>{cell('x')}{cell('y')}{cell('', '<w:vMerge/>')}</w:tr>",
        )
    )
    assert "| Total |  | 5 |\n|  |  | tall |\n| x | y | tall |" in text


def test_a_span_that_no_table_has_costs_no_more_than_the_widest() -> None:
    endless = '<w:gridSpan w:val="999999999"/>'
    assert "| Total |  |  | 5 |" in text_of(table(f"<w:tr>{cell('Total', endless)}{cell('5')}</w:tr>"))


@pytest.mark.parametrize(
    ("content", "pages"),
    [
        (f"<w:p><w:r><w:t>one</w:t>{WANTED}</w:r></w:p><w:p><w:r>{DRAWN}<w:t>two</w:t></w:r></w:p>", ["one", "two"]),
        (f"<w:p><w:r><w:t>one</w:t>{WANTED}</w:r><w:r>{DRAWN}<w:t>two</w:t></w:r></w:p>", ["one", "two"]),
        (
            f"<w:p><w:r><w:t>one</w:t>{DRAWN}<w:t>two</w:t>{WANTED}{DRAWN}<w:t>three</w:t></w:r></w:p>",
            ["one", "two", "three"],
        ),
        (f"<w:p><w:r><w:t>one</w:t>{WANTED}{WANTED}{DRAWN}{DRAWN}<w:t>three</w:t></w:r></w:p>", ["one", "", "three"]),
        (
            f"<w:p><w:r><w:t>one</w:t>{WANTED}<w:t>two</w:t></w:r></w:p><w:p><w:r>{DRAWN}<w:t>three</w:t></w:r></w:p>",
            ["one", "two", "three"],
        ),
        (
            f"<w:p><w:r><w:t>one</w:t></w:r></w:p><w:p><w:pPr><w:pageBreakBefore/></w:pPr><w:r>{DRAWN}<w:t>two</w:t></w:r></w:p>",
            ["one", "two"],
        ),
        (
            "<w:p><w:pPr><w:sectPr/></w:pPr><w:r><w:t>one</w:t></w:r></w:p><w:p><w:r><w:t>two</w:t></w:r></w:p>",
            ["one", "two"],
        ),
        (
            f"<w:p><w:pPr><w:sectPr/></w:pPr><w:r><w:t>one</w:t></w:r></w:p><w:p><w:r>{DRAWN}<w:t>two</w:t></w:r></w:p>",
            ["one", "two"],
        ),
        (
            "<w:p><w:pPr><w:sectPr/></w:pPr><w:r><w:t>one</w:t></w:r></w:p>"
            '<w:p><w:pPr><w:sectPr><w:type w:val="continuous"/></w:sectPr></w:pPr><w:r><w:t>more</w:t></w:r></w:p>'
            "<w:p><w:r><w:t>two</w:t></w:r></w:p>",
            ["one\nmore", "two"],
        ),
    ],
)
def test_a_page_that_begins_is_counted_once(content: str, pages: list[str]) -> None:
    assert pages_of(content) == pages


def test_a_table_that_runs_over_pages_is_told_on_each_with_its_head() -> None:
    second = f"<w:tr><w:tc><w:p><w:r>{DRAWN}<w:t>second</w:t></w:r></w:p></w:tc></w:tr>"
    first, next_page = sections_of(table(f"<w:tr>{cell('first')}</w:tr>", second))
    assert "| first |  |  |" in first.text
    assert "second" not in first.text
    assert "| A | B | C |\n| --- | --- | --- |\n| second |  |  |" in next_page.text


def box(content: str) -> str:
    return f"<w:txbxContent>{content}</w:txbxContent>"


def spelled(*spellings: str) -> str:
    """A drawing in several spellings: one in a newer one, the last in that of before 2010."""
    *choices, fallback = (f"<w:pict>{one}</w:pict>" for one in spellings)
    newer = "".join(f'<mc:Choice Requires="w">{one}</mc:Choice>' for one in choices)
    return f"<mc:AlternateContent {MC}>{newer}<mc:Fallback>{fallback}</mc:Fallback></mc:AlternateContent>"


BOXED = box(paragraph("boxed") + paragraph("twice"))


@pytest.mark.parametrize(
    "drawing",
    [
        BOXED,
        spelled(BOXED, BOXED),
        spelled(BOXED),
        spelled("", BOXED),
        spelled('<a:t xmlns:a="a">drawn</a:t>', BOXED),
        spelled(BOXED, ""),
    ],
)
def test_a_text_box_is_read_once_below_its_line(drawing: str) -> None:
    text = text_of(f"<w:p><w:r><w:t>before</w:t></w:r><w:r>{drawing}</w:r><w:r><w:t> after</w:t></w:r></w:p>")
    assert text == "before after\nboxed\ntwice"


def test_a_box_in_a_cell_and_a_table_in_a_box_are_read() -> None:
    within = box(f"<w:p><w:r>{spelled(BOXED, BOXED)}</w:r></w:p>{table()}")
    text = text_of(table(f"<w:tr><w:tc><w:p><w:r><w:t>cell</w:t>{spelled(within, within)}</w:r></w:p></w:tc></w:tr>"))
    assert "| cell<br>boxed<br>twice<br>A; B; C |" in text


def element(name: str, *parts: str) -> str:
    return f"<m:{name}>{''.join(parts)}</m:{name}>"


def sign(text: str) -> str:
    return element("r", element("t", text))


@pytest.mark.parametrize(
    ("equation", "text"),
    [
        (sign("E=m") + element("sSup", element("e", sign("c")), element("sup", sign("2"))), "E=mc^2"),
        (element("f", element("num", sign("a+b")), element("den", sign("2"))), "(a+b)/2"),
        (element("rad", element("deg"), element("e", sign("x+1"))), "√(x+1)"),
        (element("rad", element("deg", sign("3")), element("e", sign("x"))), "3√x"),
        (element("sSubSup", *(element(name, sign(name)) for name in ("e", "sub", "sup"))), "e_sub^sup"),
        (element("sPre", element("sub", sign("6")), element("sup", sign("12")), element("e", sign("C"))), "_6^12C"),
        (
            element(
                "nary",
                '<m:naryPr><m:chr m:val="∑"/></m:naryPr>',
                element("sub", sign("i=1")),
                element("sup", sign("n")),
                element("e", sign("i")),
            ),
            "∑_(i=1)^n i",
        ),
        (element("d", element("e", sign("a")), element("e", sign("b"))), "(a|b)"),
        (element("d", '<m:dPr><m:begChr m:val="{"/><m:endChr m:val=""/></m:dPr>', element("e", sign("a"))), "{a"),
        (element("func", element("fName", sign("sin")), element("e", sign("x"))), "sin x"),
        (element("limLow", element("e", sign("lim")), element("lim", sign("x→0"))), "lim_(x→0)"),
        (
            element("m", *(element("mr", element("e", sign(a)), element("e", sign(b))) for a, b in ("12", "34"))),
            "[1, 2; 3, 4]",
        ),
        (element("eqArr", element("e", sign("x=1")), element("e", sign("y=2"))), "x=1; y=2"),
        (element("acc", '<m:accPr><m:chr m:val="̂"/></m:accPr>', element("e", sign("x"))), "x"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "<m:oMathPara>{}</m:oMathPara>"])
def test_an_equation_stands_in_its_sentence_as_it_is_typed(equation: str, text: str, around: str) -> None:
    equation = around.replace("{}", f"<m:oMath>{equation}</m:oMath>")
    run = "<w:r><w:t>{}</w:t></w:r>"
    content = f"<w:p {MATH}>{run.format('with ')}{equation}{run.format(' shown')}</w:p>"
    assert text_of(content) == f"with {text} shown"


def with_notes(kind: str) -> bytes:
    """A file with two notes at the foot or the end, and the line that Word draws above them."""
    note = f'<w:{kind} w:id="{{}}">{{}}</w:{kind}>'
    line = f'<w:{kind} w:type="separator" w:id="0"><w:p><w:r><w:separator/></w:r></w:p></w:{kind}>'
    space = f'xmlns:w="{nsmap["w"]}"'
    notes = (
        line + note.format(1, paragraph("See the annex.") + paragraph("All of it.")) + note.format(2, paragraph("Net."))
    )
    package = files.with_part(files.word(), f"word/{kind}s.xml", f"<w:{kind}s {space}>{notes}</w:{kind}s>".encode())
    relation = f'<Relationship Id="note" Type="{RELATIONSHIPS}/{kind}s" Target="{kind}s.xml"/></Relationships>'
    named = f'<Override PartName="/word/{kind}s.xml" ContentType="{WML}.{kind}s+xml"/></Types>'
    for part, end, more in (
        ("word/_rels/document.xml.rels", "</Relationships>", relation),
        ("[Content_Types].xml", "</Types>", named),
    ):
        package = files.with_part(package, part, files.part_of(package, part).replace(end.encode(), more.encode()))
    return package


@pytest.mark.parametrize(("kind", "title"), [("footnote", "Footnotes"), ("endnote", "Endnotes")])
def test_notes_at_the_foot_and_at_the_end_come_last(kind: str, title: str) -> None:
    last = read_document("a.docx", with_notes(kind)).sections[-1]
    assert (last.title, last.text) == (title, "[1] See the annex.\nAll of it.\n[2] Net.")


def test_what_stands_at_the_head_and_foot_of_pages_is_read_once() -> None:
    document = docx.Document()
    document.add_paragraph("Dear Sir")
    for section in (document.sections[0], document.add_section()):
        section.header.is_linked_to_previous = section.footer.is_linked_to_previous = False
        section.header.paragraphs[0].text, section.footer.paragraphs[0].text = "Miller & Sons, Leeds", "Page 1"
    saved = BytesIO()
    document.save(saved)
    last = read_document("a.docx", saved.getvalue()).sections[-1]
    assert (last.title, last.text) == ("Headers and footers", "Miller & Sons, Leeds\nPage 1")
