"""DOCX files, by python-docx: headings, paragraphs, lists and tables in order, cut where Word last broke a page."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import docx.document
from docx.enum.style import WD_STYLE_TYPE
from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.opc.part import PartFactory
from docx.oxml.parser import parse_xml
from docx.oxml.table import CT_Tbl
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.package import Package
from docx.parts.document import DocumentPart
from docx.table import Table, _Cell
from docx.text.paragraph import Paragraph

from qwen_app.documents.document import Note, Section
from qwen_app.documents.readers.tables import markdown_table

_WITH_MACROS = "application/vnd.ms-word.document.macroEnabled.main+xml"
PartFactory.part_type_for[_WITH_MACROS] = DocumentPart  # read as any other; what is in it never runs
_BLOCKS = "./w:p | ./w:tbl | ./w:sdt//w:sdtContent/w:p | ./w:sdt//w:sdtContent/w:tbl"
# All that shows: inserted text, links and text boxes (once, not in their older spelling too), not what was deleted.
_SHOWN = ".//*[self::w:t or self::w:tab[parent::w:r] or self::w:br or self::w:cr or self::w:noBreakHyphen]"
_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
FOOTNOTES = "Footnotes"

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
    blocks = list(_blocks(document))
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


def _parts(blocks: list[Paragraph | Table], styles: StyleNames, *, paged: bool) -> list[_Part]:
    parts = [_Part()]
    for block in blocks:
        if isinstance(block, Table):
            parts[-1].lines.append(_table(block))
            continue
        style = styles.get(block._p.style, styles[None])
        level, text = _heading_level(style), _text(block, style)
        if paged:
            parts += [_Part() for _ in range(_pages_begun(block))]
        elif level and text.strip():
            parts.append(_Part(text))
        parts[-1].lines.append(f"{'#' * level} {text}" if level and text.strip() else text)
    return parts if paged else [one for one in parts if any(map(str.strip, one.lines))]


def _blocks(document: docx.document.Document) -> Iterator[Paragraph | Table]:
    body = document._body
    for element in document.element.body.xpath(_BLOCKS):
        yield Table(element, body) if isinstance(element, CT_Tbl) else Paragraph(element, body)


def _pages_begun(block: Paragraph | Table) -> int:
    """How many pages begin in the paragraph: breaks as Word last drew them, else those that were typed."""
    if isinstance(block, Table):
        return 0
    return len(block._p.xpath(".//w:lastRenderedPageBreak")) or len(block._p.xpath('.//w:br[@w:type="page"]'))


def _heading_level(style: str) -> int:
    """1 to 6 for headings, 0 for other paragraphs."""
    number = "1" if style == "Title" else style.removeprefix("Heading ")
    return min(6, int(number)) if style != number and number.isdigit() else 0


def _text(paragraph: Paragraph, style: str) -> str:
    listed = style.startswith("List") or paragraph._p.xpath("./w:pPr/w:numPr")
    text = _shown(paragraph._p)
    return f"- {text}" if listed and text.strip() else text


def _shown(element: BaseOxmlElement) -> str:
    pieces = []
    for sign in element.xpath(f"{_SHOWN}[not(ancestor::*[local-name()='Fallback'])]"):
        pieces.append(_SIGNS.get(sign.tag.rpartition("}")[2], sign.text or ""))
    return "".join(pieces).rstrip("\n")


def _table(table: Table) -> str:
    rows = [[_cell(cell) for cell in _once(row.cells)] for row in table.rows]
    return "\n" + markdown_table(rows) + "\n" if rows else ""


def _once(cells: tuple[_Cell, ...]) -> list[_Cell]:
    """A cell that spans columns comes once for each of them."""
    return list({cell._tc: cell for cell in cells}.values())


def _cell(cell: _Cell) -> str:
    """Its text; a table in it is told row by row."""
    lines = []
    for block in cell.iter_inner_content():
        if isinstance(block, Table):
            lines += ["; ".join(_cell(inner) for inner in _once(row.cells)) for row in block.rows]
        else:
            lines.append(_shown(block._p))
    return "\n".join(lines).strip()


def _footnotes(part: DocumentPart) -> str:
    for relationship in part.rels.values():
        if relationship.reltype == RELATIONSHIP_TYPE.FOOTNOTES and not relationship.is_external:
            root = parse_xml(relationship.target_part.blob)
            notes = [_shown(note).strip() for note in root.xpath("./w:footnote")]
            return "\n".join(f"[{number}] {note}" for number, note in enumerate(filter(None, notes), 1))
    return ""
