"""Charts and diagrams (SmartArt) of Office files: their numbers and words, which stand in parts of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from docx.oxml.parser import parse_xml
from openpyxl.styles.numbers import is_date_format
from openpyxl.utils.datetime import from_excel

from qwen_app.documents.readers.tables import markdown_table

_OFFICE = "http://schemas.openxmlformats.org"
_CHART, _DIAGRAM = f"{{{_OFFICE}/drawingml/2006/chart}}", f"{{{_OFFICE}/drawingml/2006/diagram}}"
_LINK = f"{{{_OFFICE}/officeDocument/2006/relationships}}"
_PARAGRAPH, _TEXT = (f"{{{_OFFICE}/drawingml/2006/main}}{name}" for name in "pt")
# An element that stands where the drawing is, and which of its links leads to the part that holds what it says.
_LINKS = {f"{_CHART}chart": f"{_LINK}id", f"{_DIAGRAM}relIds": f"{_LINK}dm"}
DRAWINGS = frozenset(_LINKS)


def drawing_text(drawing: Any, part_of: Callable[[str], bytes]) -> str:
    """What one of DRAWINGS says; ``part_of`` gives what a link leads to, or raises KeyError. Nothing of a damaged one:
    the document is more than its drawings."""
    try:
        root: Any = parse_xml(part_of(drawing.get(_LINKS[drawing.tag], "")))
    except (KeyError, SyntaxError):
        return ""
    return "\n".join(filter(None, _chart(root) if root.tag.startswith(_CHART) else _paragraphs(root)))


def _chart(chart: Any) -> Iterator[str]:
    """Its titles, and its numbers as a table: a column a series, a row a category."""
    for title in chart.iter(f"{_CHART}title"):
        yield " ".join(_paragraphs(title))
    series = list(chart.iter(f"{_CHART}ser"))
    columns = [_points(one, "val", "yVal") for one in series]
    categories: dict[int, str] = {}
    for one in series:
        categories = _points(one, "cat", "xVal") | categories
    rows = [[categories.get(place, ""), *(column.get(place, "") for column in columns)] for place in _places(columns)]
    names = [" ".join(value.text or "" for value in one.iterfind(f"{_CHART}tx//{_CHART}v")) for one in series]
    if rows:
        yield "\n" + markdown_table([["", *names], *rows]) + "\n"


def _places(columns: Iterable[dict[int, str]]) -> list[int]:
    return sorted({place for column in columns for place in column})


def _points(series: Any, *names: str) -> dict[int, str]:
    """The values that were saved of the first of ``names`` that is there, by their places; of several levels of
    categories the innermost."""
    held = next((one for one in (series.find(_CHART + name) for name in names) if one is not None), None)
    if held is None:
        return {}
    level, code = held.find(f".//{_CHART}lvl"), held.findtext(f".//{_CHART}formatCode")  # which numbers alone have
    points = (held if level is None else level).iter(f"{_CHART}pt")
    found = ((point.get("idx", ""), point.findtext(f"{_CHART}v") or "") for point in points)
    return {int(place): value if code is None else _number(value, code) for place, value in found if place.isdecimal()}


def _number(value: str, code: str) -> str:
    try:
        return str(from_excel(float(value)).date()) if is_date_format(code) else f"{float(value):.15g}"
    except (ValueError, OverflowError, AttributeError):  # no number; one that is no day
        return value


def _paragraphs(element: Any) -> Iterator[str]:
    for paragraph in element.iter(_PARAGRAPH):
        yield "".join(text.text or "" for text in paragraph.iter(_TEXT)).strip()
