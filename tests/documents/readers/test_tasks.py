"""Every kind of file gives its text with marks; every bad one gets its sentence."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from io import BytesIO

import docx
import openpyxl
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.styles.styles import Styles
from openpyxl.worksheet.worksheet import Worksheet

from qwen_app.documents.document import Document, Note, document_json, read_document_json
from qwen_app.documents.marks import marked_text
from qwen_app.documents.readers.tasks import read_document
from qwen_app.documents.refusal import LIMIT_PAGES, LIMIT_TITLE_CHARACTERS, LIMIT_UNPACKED_BYTES, DocumentRefused
from tests.documents import files

LINES = "\n".join(f"line {number}" for number in range(1, 251))
SERVED: dict[str, Callable[[], bytes]] = {
    "notes.txt": lambda: b"one\r\ntwo",
    "app.py": lambda: b"print('hello')\n",
    "LICENSE": lambda: "You may … 你可以".encode(),
    "Makefile": lambda: b"all:\n\techo\n",
    "deep.json": lambda: b"[" * 100_000 + b"]" * 100_000,
    "page.md": lambda: b"# First\ntext\n## Second\n```\n# no heading\n```\n",
    "data.csv": lambda: b"name;age\nAnna;31\n",
    "offer.pdf": lambda: files.pdf(["Hello (page) one", "Page two"]),
    "offer.docx": files.word,
    "offer.xlsx": files.sheet,
    "offer.pptx": files.slides,
}


def text_of(name: str, data: bytes) -> str:
    return marked_text(read_document(name, data).sections)


def notes_of(document: Document) -> list[str]:
    return [note.code for note in document.notes]


def refusal(name: str, data: bytes) -> DocumentRefused:
    with pytest.raises(DocumentRefused) as caught:
        read_document(name, data)
    return caught.value


@pytest.mark.parametrize("name", SERVED)
def test_every_kind_is_read_and_travels_as_json(name: str) -> None:
    document = read_document(name, SERVED[name]())
    assert document.sections
    assert read_document_json(document_json(document)) == document


def test_a_page_that_calls_itself_an_old_sheet_is_read() -> None:
    document = read_document("report.xls", b"<HTML><table><tr><td>sum</td><td>5</td></tr></table>")
    assert "| sum | 5 |" in document.sections[0].text
    assert notes_of(document) == ["other_kind"]


@pytest.mark.parametrize("name", ["offer.docx", "offer.xlsx", "offer.pptx"])
def test_strict_office_files_are_read_as_all_others(name: str) -> None:
    usual = SERVED[name]()
    assert files.strict(usual) != usual
    assert read_document(name, files.strict(usual)) == read_document(name, usual)


def test_pages_of_a_pdf_are_marked() -> None:
    assert text_of("offer.pdf", SERVED["offer.pdf"]()) == "[page 1]\nHello (page) one\n[page 2]\nPage two"


def test_word_keeps_headings_lists_tables_and_typed_page_breaks() -> None:
    document = read_document("offer.docx", files.word())
    assert [section.first for section in document.sections if section.kind == "page"] == [1, 2]
    text = marked_text(document.sections)
    assert "# The offer\nWe offer 40 chairs.\n- delivery in May" in text
    assert "| Item | Price |\n| --- | --- |\n| Chair | 59\\|60 |" in text
    assert notes_of(document) == ["old_page_breaks"]


def test_word_without_pages_is_parted_by_its_headings() -> None:
    titles = [section.title for section in read_document("offer.docx", files.word(paged=False)).sections]
    assert titles == ["The offer", "The terms"]


def test_rows_of_a_sheet_are_numbered_and_each_part_names_its_columns() -> None:
    sections = read_document("offer.xlsx", files.sheet()).sections
    assert [(section.title, section.first, section.last) for section in sections] == [
        ("Sales", 1, 100),
        ("Sales", 101, 200),
        ("Sales", 201, 250),
    ]
    assert sections[1].text.startswith("| name | sum |\n| --- | --- |\n| row 101 | 50.5 |")


def test_a_cell_at_the_far_end_of_a_sheet_is_read_and_nothing_between() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for place, value in {"A1": "name", "B2": 7, "XFD3": "wide", "A1048576": "end"}.items():
        sheet[place] = value
    saved = BytesIO()
    book.save(saved)
    read = read_document("far.xlsx", saved.getvalue())
    assert [(one.first, one.last) for one in read.sections] == [(1, 100), (1_048_501, 1_048_576)]
    assert read.sections[0].text == "| name |  |  |\n| --- | --- | --- |\n|  | 7 |  |\n|  |  | wide |"
    assert read.sections[1].text == "| name |\n| --- |\n| end |"


def test_no_title_is_larger_than_the_text_it_stands_over() -> None:
    book = openpyxl.Workbook()
    with pytest.warns(UserWarning, match="31 characters"):
        book.worksheets[0].title = "n" * 100_000
    for number in range(1_000):
        book.worksheets[0].append([number])
    book.save(file := BytesIO())
    for name, data in (("long.xlsx", file.getvalue()), ("long.md", b"# one\n# " + b"n" * 100_000 + b"\n")):
        document = read_document(name, data)
        assert len(document.sections) > 1
        assert all(len(one.title) <= LIMIT_TITLE_CHARACTERS for one in document.sections)


@pytest.mark.parametrize(
    ("heading", "title"), [("# A #", "A"), ("## A ##  ", "A"), ("# C#", "C#"), ("# A # b", "A # b"), ("# ##", "##")]
)
def test_signs_behind_a_heading_close_it(heading: str, title: str) -> None:
    assert read_document("a.md", f"{heading}\ntext\n# Z\n".encode()).sections[0].title == title


def test_a_word_file_asks_for_its_styles_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    default = Styles.default

    def noted(styles: Styles, kind: WD_STYLE_TYPE) -> object:
        asked.append(kind)
        return default(styles, kind)

    monkeypatch.setattr(Styles, "default", noted)
    document = docx.Document()
    for number in range(100):
        document.add_paragraph(f"paragraph {number}")
    saved = BytesIO()
    document.save(saved)
    asked.clear()
    assert "paragraph 99" in read_document("long.docx", saved.getvalue()).sections[0].text
    assert len(asked) == 1  # it looks through all styles each time


def test_the_colours_of_a_terminal_are_left_out() -> None:
    read = read_document("run.log", b"\x1b[31mred\x1b[0m and \x1b[1;32mgreen\x1b[m\n")
    assert read.sections[0].text == "red and green\n"


def test_a_formula_saved_without_its_value_stands_as_it_was_typed() -> None:
    document = read_document("offer.xlsx", files.sheet(formula=True))
    assert "| row 2 | =1+1 |" in document.sections[0].text
    assert document.notes[0].values == {"cells": "1"}


def test_slides_have_titles_tables_and_notes() -> None:
    text = text_of("offer.pptx", files.slides())
    assert text.startswith("[slide 1: Plans]\nPlans\nGrow\n(notes) Smile here\n[slide 2: Figures]\n")
    assert "| 2026 | 12 % |" in text


def test_lines_of_a_text_are_numbered() -> None:
    text = text_of("log.txt", LINES.encode())
    assert "[lines 101-200]\nline 101\n" in text
    assert text.startswith("[lines 1-100]\nline 1\n")


def test_a_page_of_html_shows_what_its_reader_sees() -> None:
    page = (
        "<html><head><title>no</title><style>x{}</style></head><body><h1>Prices</h1><p>All  of\nthem</p>"
        "<script>alert(1)</script><ul><li>one<li>two</ul><table><tr><th>a<th>b<tr><td>1<td>2</table>end</body></html>"
    )
    text = text_of("page.html", page.encode())
    assert text.startswith("[section 1: Prices]\n# Prices")
    assert "All of them" in text
    assert "- one\n" in text
    assert "| a | b |\n| --- | --- |\n| 1 | 2 |" in text
    assert text.endswith("end")
    assert "alert" not in text
    assert "x{}" not in text


def test_ten_thousand_elements_within_each_other_are_read() -> None:
    assert "inside" in text_of("page.html", b"<div>" * 10_000 + b"inside")


def test_a_wrong_ending_is_told_and_read_as_what_it_is() -> None:
    document = read_document("offer.txt", files.word())
    assert document.kind == "docx"
    assert document.notes[0].values == {"named": "txt", "kind": "DOCX"}


def test_macros_are_named_and_never_run() -> None:
    document = read_document("offer.docm", files.with_part(files.word(), "word/vbaProject.bin", b"\0macro"))
    assert "macros_ignored" in notes_of(document)


OPEN_XML = "vnd.openxmlformats-officedocument."


@pytest.mark.parametrize(
    ("name", "usual", "other"),
    [
        ("offer.docx", f"{OPEN_XML}wordprocessingml.document", "vnd.ms-word.document.macroEnabled"),
        ("offer.docx", f"{OPEN_XML}wordprocessingml.document", f"{OPEN_XML}wordprocessingml.template"),
        ("offer.docx", f"{OPEN_XML}wordprocessingml.document", "vnd.ms-word.template.macroEnabledTemplate"),
        ("offer.xlsx", f"{OPEN_XML}spreadsheetml.sheet", f"{OPEN_XML}spreadsheetml.template"),
        ("offer.pptx", f"{OPEN_XML}presentationml.presentation", f"{OPEN_XML}presentationml.slideshow"),
        ("offer.pptx", f"{OPEN_XML}presentationml.presentation", "vnd.ms-powerpoint.template.macroEnabled"),
    ],
)
def test_templates_shows_and_files_with_macros_are_read_as_documents(name: str, usual: str, other: str) -> None:
    types = files.part_of(SERVED[name](), "[Content_Types].xml").decode()
    assert f"{usual}.main+xml" in types
    made = files.with_part(
        SERVED[name](), "[Content_Types].xml", types.replace(f"{usual}.main", f"{other}.main").encode()
    )
    assert read_document(name, made) == read_document(name, SERVED[name]())


def test_a_main_part_may_have_any_name() -> None:
    made = BytesIO()
    with zipfile.ZipFile(BytesIO(files.word())) as old, zipfile.ZipFile(made, "w") as new:
        for part in old.namelist():
            new.writestr(
                part.replace("document.xml", "document2.xml"),
                old.read(part).replace(b"/document.xml", b"/document2.xml"),
            )
    assert read_document("offer.docx", made.getvalue()) == read_document("offer.docx", files.word())


@pytest.mark.parametrize("name", ["offer.ppsx", "offer.potm", "offer.dotx", "offer.xltx"])
def test_endings_of_templates_and_shows_are_no_wrong_ones(name: str) -> None:
    usual = {"p": files.slides, "d": files.word, "x": files.sheet}[name[6]]
    assert "other_kind" not in notes_of(read_document(name, usual()))


def test_what_was_deleted_is_left_out_and_what_was_inserted_is_not() -> None:
    main = files.part_of(files.word(), "word/document.xml")
    tracked = main.replace(
        b"<w:r><w:t>We offer 40 chairs.</w:t></w:r>",
        b'<w:del w:id="1"><w:r><w:delText>old</w:delText></w:r></w:del>'
        b'<w:ins w:id="2"><w:r><w:t>We offer 50 chairs.</w:t></w:r></w:ins>',
    )
    assert tracked != main
    text = text_of("offer.docx", files.with_part(files.word(), "word/document.xml", tracked))
    assert "We offer 50 chairs." in text
    assert "old" not in text


def test_a_text_with_a_damaged_byte_is_read_and_said_to_have_one() -> None:
    document = read_document("a.txt", "甲方应在三十日内付款。".encode() + b"\xff" + "本合同生效。".encode())
    assert document.sections[0].text == "甲方应在三十日内付款。\ufffd本合同生效。"
    assert document.notes == (Note("bytes_damaged", {"encoding": "UTF-8", "places": "1"}),)


def test_some_scanned_pages_are_named() -> None:
    document = read_document(
        "mixed.pdf", files.pdf(["a text of more than a few letters", "", "", "end"], scanned=[2, 3])
    )
    assert document.notes[0].values == {"pages": "2-3"}
    assert len(document.sections) == 4


def zip_of(entries: dict[str, bytes]) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        for name, content in entries.items():
            package.writestr(name, content)
    return made.getvalue()


def lying_zip() -> bytes:
    """A bomb that declares to be small."""
    size = LIMIT_UNPACKED_BYTES + 2**20
    data = zip_of({"word/document.xml": bytes(size)})
    return data.replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))


LAUGHS = b'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><w>&b;</w>'
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a SYSTEM "file:///etc/passwd">]><w>&a;</w>'
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.txt": (lambda: b"", "empty"),
    "locked.pdf": (lambda: files.pdf(["secret"], encrypted=True), "encrypted"),
    "locked.docx": (lambda: OLE, "encrypted"),
    "locked.bin": (lambda: OLE + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
    "old.doc": (lambda: OLE, "old_office"),
    "rich.doc": (lambda: rb"{\rtf1 Hello}", "old_office"),
    "cut.pdf": (lambda: files.pdf(["one"])[:40], "broken"),
    "cut.docx": (lambda: files.word()[:2000], "broken"),
    "cut.xlsx": (lambda: files.sheet()[:-300], "broken"),
    "no.pdf": (lambda: b"just words", "broken"),
    "scan.pdf": (lambda: files.pdf([""] * 3, scanned=[1, 2, 3]), "scanned"),
    "blank.pdf": (lambda: files.pdf([""]), "no_text"),
    "blank.txt": (lambda: b" \n\t\n", "no_text"),
    "photo.txt": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(100), "not_text"),
    "program.py": (lambda: bytes(range(256)) * 8, "unknown_encoding"),
    "PROGRAM": (lambda: bytes(range(256)) * 8, "unknown_kind"),
    "pack.zip": (lambda: zip_of({"a.txt": b"a"}), "archive"),
    "pack.gz.txt": (lambda: b"\x1f\x8b\x08" + bytes(30), "archive"),
    "song.wav": (lambda: b"whatever", "unknown_kind"),
    "letter.odt": (lambda: zip_of({"mimetype": b"application/vnd.oasis.opendocument.text"}), "unknown_kind"),
    "renamed.docx": (lambda: zip_of({"a.txt": b"a"}), "broken"),
    "bomb.docx": (
        lambda: files.with_part(files.word(), "word/document.xml", bytes(LIMIT_UNPACKED_BYTES + 1)),
        "unpacks_too_large",
    ),
    "laughs.docx": (lambda: files.with_part(files.word(), "word/document.xml", LAUGHS), "xml_entities"),
    "outside.xlsx": (lambda: files.with_part(files.sheet(), "xl/workbook.xml", OUTSIDE), "xml_entities"),
    "wide.pptx": (
        lambda: files.with_part(files.slides(), "ppt/presentation.xml", LAUGHS.decode().encode("utf-16")),
        "xml_entities",
    ),
    "liar.docx": (lying_zip, "broken"),
    "book.pdf": (lambda: files.pdf(["x"] * (LIMIT_PAGES + 1)), "too_many_pages"),
}


@pytest.mark.parametrize("name", BAD)
def test_every_bad_file_has_its_sentence(name: str) -> None:
    made, reason = BAD[name]
    refused = refusal(name, made())
    assert refused.reason == reason
    assert name in refused.message


@pytest.mark.parametrize("opened", ["<!--", "<!-- >", "<![CDATA[", "<![CDATA[>", "<![if", "<!x", "<?x", "<a ", "</a "])
def test_what_is_opened_a_hundred_thousand_times_and_never_closed_is_read_as_text(opened: str) -> None:
    document = read_document("a.html", f"<p>before</p>{opened * 100_000}".encode())
    assert document.sections[0].text.startswith("before")


def test_what_is_closed_stays_a_comment() -> None:
    page = "<p>seen</p><!-- not <b>seen</b> --><![CDATA[ nor this ]]><p>and seen</p><!-- open"
    text = read_document("a.html", page.encode()).sections[0].text
    assert "not" not in text
    assert "nor" not in text
    assert text.startswith("seen")
    assert "and seen" in text


@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-16-be", "utf-7", "cp037"])
def test_entities_in_an_encoding_that_hides_them_neither_grow_nor_read_files(encoding: str) -> None:
    named = {"utf-32-le": "UTF-32", "utf-16-be": "UTF-16", "utf-7": "UTF-7", "cp037": "IBM037"}[encoding]
    hidden = '<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]><w:document xmlns:w="w">&x;</w:document>'
    start = "\ufeff" if encoding.startswith(("utf-32", "utf-16")) else ""
    part = f'{start}<?xml version="1.0" encoding="{named}"?>{hidden}'.encode(encoding)
    with pytest.raises(DocumentRefused) as refused:
        read_document("a.docx", with_part(files.word(), "word/document.xml", part))
    assert refused.value.reason in ("broken", "xml_entities", "no_text")


ENTITIES = '<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
DOCTYPE = '<!DOCTYPE w SYSTEM "w.dtd">'
CELLS = '<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c></row></sheetData>'
SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">' + CELLS + "</worksheet>"
UTF_7 = "+ADwAIQ-"  # <!


def sheet_called(ending: str, sheet: bytes) -> bytes:
    """A file whose first sheet is ``sheet``, in a part with that ending."""
    with zipfile.ZipFile(BytesIO(files.sheet(rows=2))) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    del parts["xl/worksheets/sheet1.xml"]
    named = {
        name: data.replace(b"worksheets/sheet1.xml", b"worksheets/sheet1" + ending.encode())
        for name, data in parts.items()
    }
    return zip_of({**named, f"xl/worksheets/sheet1{ending}": sheet})


WRITTEN: dict[str, Callable[[str], bytes]] = {
    "plainly": lambda text: text.encode(),
    "in UTF-16": lambda text: text.encode("utf-16"),
    "in UTF-16, the other way round": lambda text: f"\ufeff{text}".encode("utf-16-be"),
    "in UTF-16 without a mark": lambda text: f'<?xml version="1.0" encoding="UTF-16"?>{text}'.encode("utf-16-le"),
    "in UTF-32": lambda text: f"\ufeff{text}".encode("utf-32-le"),
    "behind blanks": lambda text: b" " * 2**21 + text.encode(),
    "behind a comment": lambda text: f"<!--{'x' * (2**20 - 12)}-->{text}".encode(),
    "in UTF-7": lambda text: f'<?xml version="1.0" encoding="UTF-7"?>{text.replace("<!", UTF_7)}'.encode(),
    "in UTF-7, said late": lambda text: (
        f'<?xml version="1.0"{" " * 2**21}encoding="UTF-7"?>{text.replace("<!", UTF_7)}'.encode()
    ),
    "in EBCDIC": lambda text: f'<?xml version="1.0" encoding="IBM037"?>{text}'.encode("cp037"),
}


@pytest.mark.parametrize("ending", [".xml", ".bin", ".XML", "", ".png", ".svg"])
@pytest.mark.parametrize("how", WRITTEN)
def test_no_part_holds_entities_whatever_it_is_called_and_however_it_is_written(how: str, ending: str) -> None:
    sheet = WRITTEN[how](ENTITIES + SHEET.format("&b;"))
    refused = refusal("a.xlsx", sheet_called(ending, sheet))
    assert refused.reason == ("broken" if "UTF-7" in how or "EBCDIC" in how else "xml_entities")


@pytest.mark.parametrize("blanks", [0, 2**21], ids=["", "said late"])
def test_no_encoding_hides_what_a_word_file_declares(blanks: int) -> None:
    written = files.part_of(files.word(), "word/document.xml").decode().partition("?>")[2].replace("+", "+-")
    declared = ENTITIES.replace("<!", UTF_7)
    hidden = f'<?xml version="1.0"{" " * blanks} encoding="UTF-7"?>{declared}{written}'
    assert refusal("a.docx", with_part(files.word(), "word/document.xml", hidden.encode())).reason == "broken"


@pytest.mark.parametrize("how", ["plainly", "in UTF-16", "in UTF-16, the other way round"])
@pytest.mark.parametrize("ending", [".xml", ".bin", ".svg"])
def test_a_sheet_without_entities_is_read_whatever_its_part_is_called(how: str, ending: str) -> None:
    document = read_document("a.xlsx", sheet_called(ending, WRITTEN[how](SHEET.format("words"))))
    assert "words" in document.sections[0].text


@pytest.mark.parametrize(
    "declared", ['<!DOCTYPE w [<!ATTLIST c t CDATA "x">]>', '<!DOCTYPE w [<!ENTITY % a "">]>', ENTITIES]
)
def test_pictures_and_pages_of_others_name_their_kind_and_declare_nothing(declared: str) -> None:
    for name in ("word/media/image1.svg", "word/afchunk.htm"):
        plain = files.with_part(files.word(), name, f"{DOCTYPE}<w/>".encode())
        assert read_document("a.docx", plain).sections
        declaring = files.with_part(files.word(), name, f"{declared}<w/>".encode())
        assert refusal("a.docx", declaring).reason == "xml_entities"
    unknown = files.with_part(files.word(), "word/extra.bin", f"{DOCTYPE}<w/>".encode())
    assert refusal("a.docx", unknown).reason == "xml_entities"


def test_what_begins_as_no_xml_may_hold_any_bytes() -> None:
    for start in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", OLE):
        pictured = files.with_part(files.word(), "word/media/image1.png", start + ENTITIES.encode())
        assert read_document("a.docx", pictured).sections


def with_part(package: bytes, name: str, data: bytes) -> bytes:
    """``package`` with another ``data`` in the part called ``name``."""
    made = BytesIO()
    with zipfile.ZipFile(BytesIO(package)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, data if part == name else old.read(part))
    return made.getvalue()
