"""Real files of every kind, made in memory, by packages that take long to import and so are imported when asked for."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from functools import cache
from typing import Protocol

PIXEL = bytes.fromhex("ffffff")


def pdf(pages: Sequence[str], *, scanned: Sequence[int] = (), encrypted: bool = False) -> bytes:
    """A PDF file with a page for each text, of Latin letters; pages numbered in ``scanned`` are a picture alone."""
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        _stream(b"/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceRGB /BitsPerComponent 8", PIXEL),
    ]
    for number, text in enumerate(pages, 1):
        drawn = b"q 500 0 0 700 50 50 cm /Im Do Q" if number in scanned else _lines(text)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects) + 2} 0 R "
            "/Resources << /Font << /F 3 0 R >> /XObject << /Im 4 0 R >> >> >>".encode()
        )
        objects.append(_stream(b"", drawn))
    if encrypted:
        key = "<" + "ab" * 32 + ">"
        objects.append(f"<< /Filter /Standard /V 1 /R 2 /O {key} /U {key} /P -4 >>".encode())
    return _assembled(objects, encrypted=encrypted)


def form(annotations: Sequence[str]) -> bytes:
    """A PDF file of a page with the word ``Form``, and on it ``annotations``: widgets are its form's fields."""
    own = [f"<< /Type /Annot /Rect [50 50 200 70] /P 5 0 R {entries} >>".encode() for entries in annotations]
    places = " ".join(f"{7 + number} 0 R" for number in range(len(own)))
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [{places}] /DR << /Font << /F 3 0 R >> >> >> >>".encode(),
        b"<< /Type /Pages /Kids [5 0 R] /Count 1 >>",
        font,
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 0 >>\nstream\n\nendstream",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 6 0 R "
        + f"/Resources << /Font << /F 3 0 R >> >> /Annots [{places}] >>".encode(),
        _stream(b"", _lines("Form")),
    ]
    return _assembled([*objects, *own], encrypted=False)


@cache
def word(*, paged: bool = True) -> bytes:
    """Headings, a list, a table, inserted text and a page break."""
    import docx
    from docx.enum.text import WD_BREAK

    document = docx.Document()
    document.add_heading("The offer", 1)
    document.add_paragraph("We offer 40 chairs.")
    document.add_paragraph("delivery in May", style="List Bullet")
    table = document.add_table(2, 2)
    for cell, text in zip(
        (cell for row in table.rows for cell in row.cells), ("Item", "Price", "Chair", "59|60"), strict=True
    ):
        cell.text = text
    if paged:
        document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
    document.add_heading("The terms", 2)
    document.add_paragraph("Payment within 30 days.")
    return _saved(document)


@cache
def sheet(*, rows: int = 250, formula: bool = False) -> bytes:
    """A sheet of names and numbers, and an empty second one."""
    import openpyxl

    book = openpyxl.Workbook()
    sales = book.active
    sales.title = "Sales"
    sales.append(["name", "sum"])
    for number in range(2, rows + 1):
        sales.append([f"row {number}", "=1+1" if formula and number == 2 else number / 2])
    book.create_sheet("Empty")
    return _saved(book)


@cache
def slides() -> bytes:
    """Two slides: one with speaker's notes, one with a table."""
    import pptx

    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "Plans"
    first.placeholders[1].text = "Grow"
    first.notes_slide.notes_text_frame.text = "Smile here"
    second = deck.slides.add_slide(deck.slide_layouts[5])
    second.shapes.title.text = "Figures"
    table = second.shapes.add_table(1, 2, 0, 0, 1000, 1000).table
    table.cell(0, 0).text, table.cell(0, 1).text = "2026", "12 %"
    return _saved(deck)


def with_part(package: bytes, name: str, content: bytes) -> bytes:
    """``package``, an Office file, with one part added or replaced."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename != name:
                new.writestr(entry, old.read(entry))
        new.writestr(name, content)
    return made.getvalue()


def strict(package: bytes) -> bytes:
    """``package``, an Office file, as Office saves it as "Strict Open XML"."""
    made, usual = io.BytesIO(), re.compile(rb"http://schemas\.openxmlformats\.org/(?!package)(\w+)/2006/")
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry, usual.sub(rb"http://purl.oclc.org/ooxml/\1/", old.read(entry)))
    return made.getvalue()


def part_of(package: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(package)) as opened:
        return opened.read(name)


class _Savable(Protocol):
    def save(self, stream: io.BytesIO) -> object: ...


def _saved(made: _Savable) -> bytes:
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def _lines(text: str) -> bytes:
    escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    shown = " ".join(f"({line}) Tj T*" for line in escaped.split("\n"))
    return f"BT /F 11 Tf 14 TL 50 740 Td {shown} ET".encode("cp1252")


def _stream(head: bytes, data: bytes) -> bytes:
    return b"<< " + head + b" /Length %d >>\nstream\n" % len(data) + data + b"\nendstream"


def _assembled(objects: Sequence[bytes], *, encrypted: bool) -> bytes:
    made, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % place for place in places)
    locked = b" /Encrypt %d 0 R /ID [<00> <00>]" % len(objects) if encrypted else b""
    made += b"trailer\n<< /Size %d /Root 1 0 R%s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, locked, start)
    return bytes(made)
