"""DOCX files, by python-docx: headings, paragraphs, lists and tables in order, cut where Word last broke a page."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

import docx.document
from docx.enum.style import WD_STYLE_TYPE
from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.oxml.ns import qn
from docx.oxml.parser import parse_xml
from docx.oxml.table import CT_Row, CT_Tbl, CT_Tc
from docx.oxml.text.paragraph import CT_P
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.package import Package
from docx.parts.document import DocumentPart

from qwen_app.documents.document import Note, Section
from qwen_app.documents.readers.drawings import DRAWINGS, drawing_text
from qwen_app.documents.readers.equations import EQUATION, SPELLINGS, equation_text
from qwen_app.documents.readers.numbering import Numbering, numbering_of
from qwen_app.documents.readers.tables import markdown_table

# Around paragraphs, tables, rows or cells: of a form, or of somebody's own marks.
_CONTROLS = frozenset(map(qn, ("w:sdt", "w:sdtContent", "w:customXml")))
# What was deleted or moved elsewhere, and how something looks.
_UNSHOWN = frozenset(map(qn, ("w:moveFrom", "w:del", "w:pPr", "w:rPr", "w:sdtPr")))
_NUMBER = "number"  # what numbering.py makes of a paragraph, put on it
_TEXT_BOX = qn("w:txbxContent")
_LISTED = "boolean(./w:pPr/w:numPr[not(w:numId/@w:val='0')])"
_CONTINUED = "./w:tcPr/w:vMerge[not(@w:val='restart')]"
_SIGNS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_DRAWN_BREAK = qn("w:lastRenderedPageBreak")
_PAGED = "boolean(.//w:lastRenderedPageBreak or .//w:br[@w:type='page'])"
_NOTES = {
    "Footnotes": (RELATIONSHIP_TYPE.FOOTNOTES, qn("w:footnote")),
    "Endnotes": (RELATIONSHIP_TYPE.ENDNOTES, qn("w:endnote")),
}
WIDEST_SPAN = 63  # columns of a table, as many as Word makes

StyleNames = Mapping[str | None, str]  # by the styles' ids; None is that of paragraphs that name none


class _Break(Enum):
    """Where a page begins: as somebody wanted it, or as Word last drew it, which it also does after the former."""

    WANTED = 1
    DRAWN = 2


@dataclass(frozen=True, slots=True)
class _Line:
    """``level`` is 1 to 6 for a heading, else 0."""

    text: str
    level: int = 0

    @property
    def markdown(self) -> str:
        return f"{'#' * self.level} {self.text}" if self.level and self.text.strip() else self.text


@dataclass(slots=True)
class _Part:
    """A page or a heading's part while it is read."""

    title: str = ""
    lines: list[str] = field(default_factory=list)


def read_docx(data: bytes) -> tuple[list[Section], list[Note]]:
    """A section a page where the file has page breaks, else a section a heading; footnotes, endnotes and what stands at
    the head and foot of pages come last.

    Raises ValueError, or what python-docx raises, for what is no Word document.
    """
    part = Package.open(io.BytesIO(data)).main_document_part
    if part.content_type != CONTENT_TYPE.WML_DOCUMENT_MAIN:
        raise ValueError("the main part is no Word document")
    document = part.document
    for drawing in document.element.body.iter(*DRAWINGS):
        drawing.text = drawing_text(drawing, lambda link: part.related_parts[link].blob)
    blocks = [block for block in _children(document.element.body) if isinstance(block, CT_P | CT_Tbl)]
    paged = any(block.xpath(_PAGED) for block in blocks)
    definitions = next(_roots(part, RELATIONSHIP_TYPE.NUMBERING), None)
    _number(document.element.body, numbering_of(definitions, document.styles.element))
    flow = _flow(blocks, _style_names(document), _section_starts(document.element.body))
    parts = _pages(flow) if paged else _headed(flow)
    sections = [
        Section("page" if paged else "section", number, number, "\n".join(one.lines), one.title)
        for number, one in enumerate(parts, 1)
    ]
    apart = {title: _notes(part, kind, tag) for title, (kind, tag) in _NOTES.items()}
    for title, text in (apart | {"Headers and footers": _around_pages(part)}).items():
        if text:
            sections.append(Section("section", len(sections) + 1, len(sections) + 1, text, title))
    return sections, [Note("old_page_breaks", {})] if paged else []


def _number(body: BaseOxmlElement, numbering: Numbering) -> None:
    """Each paragraph is given its number, those in tables too, which are counted with the others."""
    for paragraph in body.xpath(".//w:p[not(ancestor::w:txbxContent)]"):
        if label := numbering.label(paragraph):
            paragraph.set(_NUMBER, label)


def _style_names(document: docx.document.Document) -> StyleNames:
    """All at once: python-docx looks through all styles for each one it is asked for."""
    styles = [style for style in document.styles if style.type == WD_STYLE_TYPE.PARAGRAPH]
    default = document.styles.default(WD_STYLE_TYPE.PARAGRAPH)
    named: dict[str | None, str] = {style.style_id: style.name or "" for style in styles}
    return {None: (default.name or "") if default is not None else ""} | named


def _pages(flow: Iterable[_Line | _Break]) -> list[_Part]:
    parts, wanted = [_Part()], 0
    for one in flow:
        if isinstance(one, _Line):
            parts[-1].lines.append(one.markdown)
            wanted = 0 if one.text.strip() else wanted
        elif one is _Break.DRAWN and wanted:
            wanted -= 1
        else:
            parts.append(_Part())
            wanted += one is _Break.WANTED
    return parts


def _headed(flow: Iterable[_Line | _Break]) -> list[_Part]:
    parts = [_Part()]
    for one in flow:
        if isinstance(one, _Line):
            if one.level and one.text.strip():
                parts.append(_Part(one.text))
            parts[-1].lines.append(one.markdown)
    return [part for part in parts if any(map(str.strip, part.lines))]


def _flow(
    blocks: Iterable[CT_P | CT_Tbl], styles: StyleNames, section_starts: Iterator[bool]
) -> Iterator[_Line | _Break]:
    for block in blocks:
        if isinstance(block, CT_Tbl):
            yield from _table(block)
            continue
        yield from _paragraph(block, styles.get(block.style, styles[None]))
        if block.xpath("./w:pPr/w:sectPr") and next(section_starts, False):
            yield _Break.WANTED


def _section_starts(body: BaseOxmlElement) -> Iterator[bool]:
    """Of each section after the first, whether it begins a page. What is said of a section stands at its end."""
    for section in body.xpath(".//w:p/w:pPr/w:sectPr | ./w:sectPr")[1:]:
        yield not section.xpath("./w:type[@w:val='continuous' or @w:val='nextColumn']")


def _children(element: BaseOxmlElement) -> Iterator[BaseOxmlElement]:
    """What stands in it, content controls opened."""
    for child in element:
        if child.tag in _CONTROLS:
            yield from _children(child)
        else:
            yield child


def _heading_level(style: str) -> int:
    """1 to 6 for headings, 0 for other paragraphs."""
    number = "1" if style == "Title" else style.removeprefix("Heading ")
    return min(6, int(number)) if style != number and number.isdigit() else 0


def _paragraph(paragraph: CT_P, style: str) -> Iterator[_Line | _Break]:
    """Its lines behind its number and the breaks in it, its text boxes below the line that they stand at."""
    level, listed = _heading_level(style), style.startswith("List") or paragraph.xpath(_LISTED)
    if paragraph.xpath("./w:pPr/w:pageBreakBefore[not(@w:val='0' or @w:val='false' or @w:val='off')]"):
        yield _Break.WANTED
    text, boxes, begun = "", list[str](), False
    for piece in [*_pieces(paragraph), None]:
        if isinstance(piece, str):
            text += piece
        elif isinstance(piece, _Box):
            boxes.append(piece.text)
        else:
            text = text.rstrip("\n")
            if text or not (piece or begun):
                sign = paragraph.get(_NUMBER) or ("-" if listed and not level else "")
                before = f"{sign} " if sign and not begun and text.strip() else ""
                yield _Line(f"{before}{text}", level)
            yield from map(_Line, boxes)
            if piece is not None:
                yield piece
            text, boxes, begun = "", [], True


@dataclass(frozen=True, slots=True)
class _Box:
    """The text of a text box."""

    text: str


def _pieces(element: Iterable[BaseOxmlElement]) -> Iterator[str | _Box | _Break]:
    """All that shows of a paragraph, in order: text, inserted text, links, equations, text boxes, breaks of pages."""
    for child in element:
        if child.tag == qn("w:t"):
            yield child.text or ""
        elif child.tag == _DRAWN_BREAK:
            yield _Break.DRAWN
        elif child.tag == qn("w:br") and child.get(qn("w:type")) == "page":
            yield _Break.WANTED
        elif child.tag in _SIGNS:
            yield _SIGNS[child.tag]
        elif child.tag == EQUATION:
            yield equation_text(child)
        elif child.tag == _TEXT_BOX:
            yield _Box(_inner(child))
        elif child.tag in DRAWINGS and child.text:
            yield _Box(child.text)
        elif child.tag == SPELLINGS:
            yield from next(filter(None, (list(_pieces(spelling)) for spelling in child)), [])
        elif child.tag not in _UNSHOWN:
            yield from _pieces(child)


def _shown(element: BaseOxmlElement) -> str:
    """All its text behind its number; text boxes below it."""
    pieces = list(_pieces(element))
    text = "".join(piece for piece in pieces if isinstance(piece, str)).rstrip("\n")
    numbered = " ".join(filter(None, (element.get(_NUMBER), text)))
    return "\n".join([numbered, *(piece.text for piece in pieces if isinstance(piece, _Box))])


def _table(table: CT_Tbl) -> Iterator[_Line | _Break]:
    """A table a page; those after the first repeat its head."""
    rows = _rows(table)
    elements = [row for row in _children(table) if isinstance(row, CT_Row)]
    start = 0
    for place, row in enumerate(elements):
        drawn = max((sum(1 for _ in cell.iter(_DRAWN_BREAK)) for cell in _children(row)), default=0)
        if drawn:
            yield from _table_lines(rows, start, place)
            yield from [_Break.DRAWN] * drawn
            start = place
    yield from _table_lines(rows, start, len(rows))


def _table_lines(rows: list[list[str]], start: int, end: int) -> Iterator[_Line]:
    shown = rows[start:end] if start == 0 else [rows[0], *rows[start:end]]
    if start < end:
        yield _Line("\n" + markdown_table(shown) + "\n")


def _rows(table: CT_Tbl) -> list[list[str]]:
    """Its cells in their columns: one that spans several is followed by empty ones, one that spans rows is in each."""
    rows: list[list[str]] = []
    for row in _children(table):
        if not isinstance(row, CT_Row):
            continue
        above = rows[-1] if rows else []
        cells = [""] * min(row.grid_before, WIDEST_SPAN)
        for cell in _children(row):
            if isinstance(cell, CT_Tc):
                continued = len(cells) < len(above) and cell.xpath(_CONTINUED)
                cells.append(above[len(cells)] if continued else _inner(cell))
                cells += [""] * (min(cell.grid_span, WIDEST_SPAN) - 1)
        rows.append(cells)
    return rows


def _inner(container: CT_Tc | BaseOxmlElement) -> str:
    """The text of a cell or a text box; a table in it is told row by row."""
    lines = []
    for block in _children(container):
        if isinstance(block, CT_Tbl):
            lines += ["; ".join(filter(None, row)) for row in _rows(block)]
        elif isinstance(block, CT_P):
            lines.append(_shown(block))
    return "\n".join(lines).strip()


def _notes(part: DocumentPart, kind: str, tag: str) -> str:
    notes = [_inner(note) for root in _roots(part, kind) for note in root.findall(tag)]
    return "\n".join(f"[{number}] {note}" for number, note in enumerate(filter(None, notes), 1))


def _around_pages(part: DocumentPart) -> str:
    """What stands at the head and the foot of pages, such as who wrote a letter; once, whatever pages it is on."""
    kinds = (RELATIONSHIP_TYPE.HEADER, RELATIONSHIP_TYPE.FOOTER)
    return "\n".join(dict.fromkeys(filter(None, (_inner(root) for kind in kinds for root in _roots(part, kind)))))


def _roots(part: DocumentPart, kind: str) -> Iterator[BaseOxmlElement]:
    """Of the parts of a ``kind`` that the document has."""
    for relationship in part.rels.values():
        if relationship.reltype == kind and not relationship.is_external:
            yield parse_xml(relationship.target_part.blob)
