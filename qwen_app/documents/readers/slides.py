"""PPTX files, by python-pptx: the text, tables, charts, diagrams and speaker's notes of every slide."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from pptx import Presentation
from pptx.oxml.text import CT_TextParagraph
from pptx.oxml.xmlchemy import BaseOxmlElement
from pptx.shapes.base import BaseShape
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape
from pptx.slide import Slide
from pptx.table import Table

from qwen_app.documents.document import Section
from qwen_app.documents.readers.drawings import DRAWINGS, drawing_text
from qwen_app.documents.readers.equations import SPELLINGS, equation_text
from qwen_app.documents.readers.tables import markdown_table
from qwen_app.documents.refusal import LIMIT_PAGES, DocumentRefused

_EQUATION = "{http://schemas.microsoft.com/office/drawing/2010/main}m"


def read_pptx(name: str, data: bytes) -> list[Section]:
    """A section a slide."""
    slides = Presentation(io.BytesIO(data)).slides
    if len(slides) > LIMIT_PAGES:
        raise DocumentRefused("too_many_pages", name=name, pages=f"{len(slides):,}", limit=f"{LIMIT_PAGES:,}")
    return [_section(number, slide) for number, slide in enumerate(slides, 1)]


def _section(number: int, slide: Slide) -> Section:
    _made_plain(slide._element)
    title = slide.shapes.title
    lines = [line for shape in _shapes(slide.shapes) for line in _lines(shape)]
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        spoken = slide.notes_slide.notes_text_frame.text.strip()
        lines += [f"(notes) {spoken}"] if spoken else []
    shown = title.text_frame.text.strip() if title else ""
    hidden = " (hidden)" if slide._element.get("show") in ("0", "false") else ""
    return Section("slide", number, number, "\n".join(lines), f"{shown}{hidden}".strip())


def _made_plain(slide: BaseOxmlElement) -> None:
    """What python-pptx passes over is put as it knows it: shapes that are spelled in two ways, as PowerPoint does with
    all that hold an equation, the newest alone; equations as text."""
    for spellings in list(slide.iter(SPELLINGS)):
        for shape in list(next(filter(len, spellings), ())):
            spellings.addprevious(shape)
    for equation in list(slide.iter(_EQUATION)):
        paragraph = equation.getparent()
        if isinstance(paragraph, CT_TextParagraph):
            equation.addprevious(paragraph.add_r(equation_text(equation)))


def _shapes(shapes: Iterable[BaseShape]) -> Iterator[BaseShape]:
    """All of them, groups opened."""
    for shape in shapes:
        if isinstance(shape, GroupShape):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _lines(shape: BaseShape) -> Iterator[str]:
    if isinstance(shape, GraphicFrame) and shape.has_table:
        yield "\n" + markdown_table(_rows(shape.table)) + "\n"
    elif isinstance(shape, GraphicFrame):
        for drawing in shape._element.iter(*DRAWINGS):
            yield drawing_text(drawing, lambda link: shape.part.related_part(link).blob)
    elif shape.has_text_frame:
        text = str(getattr(shape, "text_frame").text).replace("\v", "\n").strip()  # noqa: B009 # not on every shape
        if text:
            yield text


def _rows(table: Table) -> list[list[str]]:
    """One cell after the other: asked for a row, python-pptx looks through all of them."""
    cells = table.iter_cells()
    return [[next(cells).text for _ in row.tc_lst] for row in table._tbl.tr_lst]
