"""DOCX files, by python-docx: headings, paragraphs, lists and tables in order, cut where Word last broke a page."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import docx.document
from docx.enum.style import WD_STYLE_TYPE
from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.opc.part import PartFactory
from docx.oxml.ns import qn
from docx.oxml.parser import parse_xml
from docx.oxml.table import CT_Row, CT_Tbl, CT_Tc
from docx.oxml.text.paragraph import CT_P
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.package import Package
from docx.parts.document import DocumentPart

from qwen_app.documents.document import Note, Section
from qwen_app.documents.readers.tables import markdown_table

_WITH_MACROS = "application/vnd.ms-word.document.macroEnabled.main+xml"
PartFactory.part_type_for[_WITH_MACROS] = DocumentPart  # read as any other; what is in it never runs
_CONTROLS = frozenset({qn("w:sdt"), qn("w:sdtContent")})  # around paragraphs, tables, rows or cells of a form
# All that shows: inserted text, links and text boxes (once, not in their older spelling too), not what was deleted or
# moved elsewhere.
_SHOWN = ".//*[self::w:t or self::w:tab[parent::w:r] or self::w:br or self::w:cr or self::w:noBreakHyphen]"
_UNSHOWN = "ancestor::w:moveFrom or ancestor::*[local-name()='Fallback']"
_CONTINUED = "./w:tcPr/w:vMerge[not(@w:val='restart')]"
_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
FOOTNOTES = "Footnotes"
WIDEST_SPAN = 63  # columns of a table, as many as Word makes

StyleNames = Mapping[str | None, str]  # by the styles' ids; None is that of paragraphs that name none


@dataclass(slots=True)
class _Part:
    """A page or a heading's part while it is read."""

    title: str = ""
    lines: list[str] = field(default_factory=list)


def read_docx(data: bytes) -> tuple[list[Section], list[Note]]:
    """A section a page where the file has page breaks, else a section a heading; footnotes come last.

    Raises ValueError, or what python-docx raises, for what is no Word document.
    """
    part = Package.open(io.BytesIO(data)).main_document_part
    if part.content_type not in (CONTENT_TYPE.WML_DOCUMENT_MAIN, _WITH_MACROS):
        raise ValueError("the main part is no Word document")
    document = part.document
    blocks = [block for block in _children(document.element.body) if isinstance(block, CT_P | CT_Tbl)]
    paged = any(_pages_begun(block) for block in blocks)
    parts = _parts(blocks, _style_names(document), paged=paged)
    sections = [
        Section("page" if paged else "section", number, number, "\n".join(one.lines), one.title)
        for number, one in enumerate(parts, 1)
    ]
    notes_text = _footnotes(part)
    if notes_text:
        sections.append(Section("section", len(sections) + 1, len(sections) + 1, notes_text, FOOTNOTES))
    return sections, [Note("old_page_breaks", {})] if paged else []


def _style_names(document: docx.document.Document) -> StyleNames:
    """All at once: python-docx looks through all styles for each one it is asked for."""
    styles = [style for style in document.styles if style.type == WD_STYLE_TYPE.PARAGRAPH]
    default = document.styles.default(WD_STYLE_TYPE.PARAGRAPH)
    named: dict[str | None, str] = {style.style_id: style.name or "" for style in styles}
    return {None: (default.name or "") if default is not None else ""} | named


def _parts(blocks: list[CT_P | CT_Tbl], styles: StyleNames, *, paged: bool) -> list[_Part]:
    parts = [_Part()]
    for block in blocks:
        if isinstance(block, CT_Tbl):
            parts[-1].lines.append(_table(block))
            continue
        style = styles.get(block.style, styles[None])
        level, text = _heading_level(style), _text(block, style)
        if paged:
            parts += [_Part() for _ in range(_pages_begun(block))]
        elif level and text.strip():
            parts.append(_Part(text))
        parts[-1].lines.append(f"{'#' * level} {text}" if level and text.strip() else text)
    return parts if paged else [one for one in parts if any(map(str.strip, one.lines))]


def _children(element: BaseOxmlElement) -> Iterator[BaseOxmlElement]:
    """What stands in it, content controls opened."""
    for child in element:
        if child.tag in _CONTROLS:
            yield from _children(child)
        else:
            yield child


def _pages_begun(block: CT_P | CT_Tbl) -> int:
    """How many pages begin in the paragraph: breaks as Word last drew them, else those that were typed."""
    if isinstance(block, CT_Tbl):
        return 0
    return len(block.xpath(".//w:lastRenderedPageBreak")) or len(block.xpath('.//w:br[@w:type="page"]'))


def _heading_level(style: str) -> int:
    """1 to 6 for headings, 0 for other paragraphs."""
    number = "1" if style == "Title" else style.removeprefix("Heading ")
    return min(6, int(number)) if style != number and number.isdigit() else 0


def _text(paragraph: CT_P, style: str) -> str:
    listed = style.startswith("List") or paragraph.xpath("./w:pPr/w:numPr")
    text = _shown(paragraph)
    return f"- {text}" if listed and text.strip() else text


def _shown(element: BaseOxmlElement) -> str:
    pieces = []
    for sign in element.xpath(f"{_SHOWN}[not({_UNSHOWN})]"):
        pieces.append(_SIGNS.get(sign.tag.rpartition("}")[2], sign.text or ""))
    return "".join(pieces).rstrip("\n")


def _table(table: CT_Tbl) -> str:
    rows = _rows(table)
    return "\n" + markdown_table(rows) + "\n" if rows else ""


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
                cells.append(above[len(cells)] if continued else _cell(cell))
                cells += [""] * (min(cell.grid_span, WIDEST_SPAN) - 1)
        rows.append(cells)
    return rows


def _cell(cell: CT_Tc) -> str:
    """Its text; a table in it is told row by row."""
    lines = []
    for block in _children(cell):
        if isinstance(block, CT_Tbl):
            lines += ["; ".join(filter(None, row)) for row in _rows(block)]
        elif isinstance(block, CT_P):
            lines.append(_shown(block))
    return "\n".join(lines).strip()


def _footnotes(part: DocumentPart) -> str:
    for relationship in part.rels.values():
        if relationship.reltype == RELATIONSHIP_TYPE.FOOTNOTES and not relationship.is_external:
            root = parse_xml(relationship.target_part.blob)
            notes = [_shown(note).strip() for note in root.xpath("./w:footnote")]
            return "\n".join(f"[{number}] {note}" for number, note in enumerate(filter(None, notes), 1))
    return ""
