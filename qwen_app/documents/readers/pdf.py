"""PDF files, by PDFium: the text of every page and of what was filled in, and whether there is any."""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from qwen_app.documents.document import Note, NoteCode, Section
from qwen_app.documents.refusal import LIMIT_CHARACTERS, LIMIT_PAGES, DocumentRefused

FEW_CHARACTERS = 20  # on a page with a picture: a stamp or a page number over a scan
LOOKED_AT = 200  # objects of a page, among which a scan's picture comes first
# How PDFium gives a hyphen within a word that its line breaks, whichever it was; browsers print one of their own.
_HYPHENATED = re.compile("(?:[\x02\ufffe]|\u2010(?=\r?\n))\r?\n?")
_SOFT_HYPHEN = re.compile("\u00ad\r?\n?")

_TYPED = (pdfium_c.FPDF_FORMFIELD_TEXTFIELD, pdfium_c.FPDF_FORMFIELD_COMBOBOX, pdfium_c.FPDF_FORMFIELD_LISTBOX)
_TICKED = (pdfium_c.FPDF_FORMFIELD_CHECKBOX, pdfium_c.FPDF_FORMFIELD_RADIOBUTTON)
_PASSWORD_FLAG = 1 << 13
TICK = "☑"


@dataclass(frozen=True, slots=True)
class _Page:
    text: str = ""
    scanned: bool = False
    broken: bool = False


def read_pdf(name: str, data: bytes) -> tuple[list[Section], list[Note]]:
    """A section a page. Raises DocumentRefused for passwords, damage, too many pages and scans."""
    pdf = _opened(name, data)
    try:
        if len(pdf) > LIMIT_PAGES:
            raise DocumentRefused("too_many_pages", name=name, pages=f"{len(pdf):,}", limit=f"{LIMIT_PAGES:,}")
        with contextlib.suppress(pdfium.PdfiumError):  # a form that is broken has nothing filled in
            pdf.init_forms()
        pages = _pages(pdf, name)
    finally:
        pdf.close()
    scanned = [number for number, page in enumerate(pages, 1) if page.scanned]
    broken = [number for number, page in enumerate(pages, 1) if page.broken]
    if scanned and not any(page.text.strip() and not page.scanned for page in pages):
        raise DocumentRefused("scanned", name=name, pages=f"{len(pages):,}")
    sections = [Section("page", number, number, page.text) for number, page in enumerate(pages, 1)]
    unread: dict[NoteCode, list[int]] = {"scanned_pages": scanned, "damaged_pages": broken}
    return sections, [Note(code, {"pages": _in_short(numbers)}) for code, numbers in unread.items() if numbers]


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
        except pdfium.PdfiumError:
            read = _Page(broken=True)
        room -= len(read.text)
        if room < 0:
            raise DocumentRefused("too_much_text", name=name, limit=f"{LIMIT_CHARACTERS:,}")
        pages.append(read)
    if all(page.broken for page in pages):
        raise DocumentRefused("broken", name=name, kind="PDF")
    return pages


def _read(page: pdfium.PdfPage) -> _Page:
    textpage = page.get_textpage()
    text = _HYPHENATED.sub(_hyphen, _SOFT_HYPHEN.sub("", str(textpage.get_text_range())))
    textpage.close()
    text = "\n".join(filter(None, (text, *_filled_in(page))))
    return _Page(text, len(text.strip()) < FEW_CHARACTERS and _has_picture(page))


def _hyphen(found: re.Match[str]) -> str:
    """None where it only parted a word: ``Aus-fuhr``. Before a number, a capital within small letters and after a
    single letter it is the word's own: ``COVID-19``, ``Meyer-Schmidt``, ``x-ray``."""
    before, after = found.string[max(0, found.start() - 2) : found.start()], found.string[found.end() : found.end() + 1]
    is_parted = before.isalpha() and len(before) > 1 and after.isalpha() and before[-1].isupper() == after.isupper()
    return "" if is_parted else "-"


def _filled_in(page: pdfium.PdfPage) -> list[str]:
    """A line for each field that has a value, ``name: value``, and for each text typed over the page."""
    return list(dict.fromkeys(line for line in (_line(page, note) for note in _annotations(page)) if line))


def _annotations(page: pdfium.PdfPage) -> Iterator[Any]:
    for number in range(pdfium_c.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium_c.FPDFPage_GetAnnot(page, number)
        if annotation:
            yield annotation
            pdfium_c.FPDFPage_CloseAnnot(annotation)


def _line(page: pdfium.PdfPage, annotation: Any) -> str:
    kind = pdfium_c.FPDFAnnot_GetSubtype(annotation)
    if kind == pdfium_c.FPDF_ANNOT_FREETEXT:
        return _text(lambda *room: pdfium_c.FPDFAnnot_GetStringValue(annotation, b"Contents", *room))
    is_hidden = pdfium_c.FPDFAnnot_GetFlags(annotation) & pdfium_c.FPDF_ANNOT_FLAG_HIDDEN
    if kind != pdfium_c.FPDF_ANNOT_WIDGET or page.formenv is None or is_hidden:
        return ""
    value = _value(page.formenv, annotation)
    return f"{_name(page.formenv, annotation)}: {value}" if value else ""


def _value(form: pdfium.PdfFormEnv, annotation: Any) -> str:
    kind = pdfium_c.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in _TICKED:
        return _ticked(form, annotation) if pdfium_c.FPDFAnnot_IsChecked(form, annotation) else ""
    is_secret = pdfium_c.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD_FLAG
    if kind not in _TYPED or (kind == pdfium_c.FPDF_FORMFIELD_TEXTFIELD and is_secret):
        return ""
    return _text(lambda *room: pdfium_c.FPDFAnnot_GetFormFieldValue(form, annotation, *room))


def _ticked(form: pdfium.PdfFormEnv, annotation: Any) -> str:
    """A tick, and which of several boxes has it where the file names them."""
    choice = _text(lambda *room: pdfium_c.FPDFAnnot_GetFormFieldExportValue(form, annotation, *room))
    return TICK if choice in ("", "Yes", "On") else f"{TICK} {choice}"


def _name(form: pdfium.PdfFormEnv, annotation: Any) -> str:
    """As the form shows it to who fills it in, else as its program calls it."""
    shown = _text(lambda *room: pdfium_c.FPDFAnnot_GetFormFieldAlternateName(form, annotation, *room))
    return shown or _text(lambda *room: pdfium_c.FPDFAnnot_GetFormFieldName(form, annotation, *room))


def _text(read: Callable[[Any, int], int]) -> str:
    """What PDFium writes, in UTF-16 with a NUL at its end, into room whose size it names when it has none."""
    size_bytes = read(None, 0)
    room = ctypes.create_string_buffer(size_bytes)
    read(ctypes.cast(room, ctypes.POINTER(pdfium_c.FPDF_WCHAR)), size_bytes)
    return room.raw[: max(0, size_bytes - 2)].decode("utf-16-le", "replace").strip()


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
