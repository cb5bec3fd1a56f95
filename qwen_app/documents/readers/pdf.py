"""PDF files, by PDFium: the text of every page, and whether there is any."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from qwen_app.documents.document import Note, Section
from qwen_app.documents.refusal import LIMIT_CHARACTERS, LIMIT_PAGES, DocumentRefused

FEW_CHARACTERS = 20  # on a page with a picture: a stamp or a page number over a scan
LOOKED_AT = 200  # objects of a page, among which a scan's picture comes first
_HYPHENATED = re.compile("[\x02\ufffe\u00ad]\r?\n?")  # how PDFium gives a word that its line breaks


@dataclass(frozen=True, slots=True)
class _Page:
    text: str
    scanned: bool


def read_pdf(name: str, data: bytes) -> tuple[list[Section], list[Note]]:
    """A section a page. Raises DocumentRefused for passwords, damage, too many pages and scans."""
    pdf = _opened(name, data)
    try:
        if len(pdf) > LIMIT_PAGES:
            raise DocumentRefused("too_many_pages", name=name, pages=f"{len(pdf):,}", limit=f"{LIMIT_PAGES:,}")
        pages = _pages(pdf, name)
    finally:
        pdf.close()
    scanned = [number for number, page in enumerate(pages, 1) if page.scanned]
    if scanned and not any(page.text.strip() and not page.scanned for page in pages):
        raise DocumentRefused("scanned", name=name, pages=f"{len(pages):,}")
    sections = [Section("page", number, number, page.text) for number, page in enumerate(pages, 1)]
    return sections, [Note("scanned_pages", {"pages": _in_short(scanned)})] if scanned else []


def _opened(name: str, data: bytes) -> pdfium.PdfDocument:
    try:
        pdf = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as refused:
        locked = getattr(refused, "err_code", None) in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY)
        raise DocumentRefused("encrypted" if locked else "broken", name=name, kind="PDF") from refused
    if len(pdf) == 0:
        raise DocumentRefused("broken", name=name, kind="PDF")
    return pdf


def _pages(pdf: pdfium.PdfDocument, name: str) -> list[_Page]:
    pages: list[_Page] = []
    room = LIMIT_CHARACTERS
    for number in range(len(pdf)):
        try:
            page = pdf[number]
            read = _read(page)
            page.close()
        except pdfium.PdfiumError as broken:
            raise DocumentRefused("broken", name=name, kind="PDF") from broken
        room -= len(read.text)
        if room < 0:
            raise DocumentRefused("too_much_text", name=name, limit=f"{LIMIT_CHARACTERS:,}")
        pages.append(read)
    return pages


def _read(page: pdfium.PdfPage) -> _Page:
    textpage = page.get_textpage()
    text = _HYPHENATED.sub("", str(textpage.get_text_range()))
    textpage.close()
    return _Page(text, len(text.strip()) < FEW_CHARACTERS and _has_picture(page))


def _has_picture(page: pdfium.PdfPage) -> bool:
    objects = page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE], max_depth=4)
    return any(True for _, _ in zip(objects, range(LOOKED_AT), strict=False))


def _in_short(numbers: list[int]) -> str:
    """``1-3, 7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
