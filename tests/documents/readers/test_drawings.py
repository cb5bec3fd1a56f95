"""Charts and diagrams are read where they stand, in slides and in Word files."""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence

import docx
import pytest
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml.parser import parse_xml
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from qwen_app.documents.readers.slides import read_pptx
from qwen_app.documents.readers.word import read_docx
from tests.documents.files import part_of

OFFICE = "http://schemas.openxmlformats.org"
DIAGRAM = f"""
<dgm:dataModel xmlns:dgm="{OFFICE}/drawingml/2006/diagram" xmlns:a="{OFFICE}/drawingml/2006/main"><dgm:ptLst>
<dgm:pt type="doc"/><dgm:pt><dgm:t><a:p><a:r><a:t>Plan </a:t></a:r><a:r><a:t>it</a:t></a:r></a:p></dgm:t></dgm:pt>
<dgm:pt><dgm:t><a:p><a:r><a:t>Build it</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:ptLst></dgm:dataModel>"""


def chart_slide(categories: Sequence[object]) -> bytes:
    """A presentation of a slide with a chart of 0.1 + 0.2 and nothing."""
    deck = Presentation()
    data = CategoryChartData()  # type: ignore[no-untyped-call]
    data.categories = categories
    data.add_series("North", (0.1 + 0.2, None))  # type: ignore[no-untyped-call]
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(4), Inches(3), data).chart
    chart.chart_title.text_frame.text = "Sales by quarter"
    stream = io.BytesIO()
    deck.save(stream)
    return stream.getvalue()


def word_with(drawing: str, content: bytes) -> str:
    """The text of a Word file with a paragraph, in which there is a drawing of the part ``content``."""
    document = docx.Document()
    part = Part(PackURI("/word/drawing.xml"), "application/xml", content, document.part.package)
    link = document.part.relate_to(part, "drawing")
    document.add_paragraph("As seen here:").add_run()._r.append(
        parse_xml(
            f'<w:drawing xmlns:w="{OFFICE}/wordprocessingml/2006/main" xmlns:c="{OFFICE}/drawingml/2006/chart"'
            f' xmlns:dgm="{OFFICE}/drawingml/2006/diagram" xmlns:r="{OFFICE}/officeDocument/2006/relationships">'
            f"{drawing.format(link)}</w:drawing>"
        )
    )
    stream = io.BytesIO()
    document.save(stream)
    return read_docx(stream.getvalue())[0][0].text


@pytest.mark.parametrize(
    ("categories", "shown"),
    [
        (("Q1", "007"), ("Q1", "007")),
        ((datetime.date(2026, 1, 5), datetime.date(2026, 2, 5)), ("2026-01-05", "2026-02-05")),
    ],
)
def test_a_chart_of_a_slide_is_a_table(categories: Sequence[object], shown: Sequence[str]) -> None:
    text = read_pptx("deck.pptx", chart_slide(categories))[0].text
    assert text.startswith("Sales by quarter\n")
    assert f"|  | North |\n| --- | --- |\n| {shown[0]} | 0.3 |\n" in text


def test_charts_and_diagrams_of_word_files_are_read() -> None:
    chart = part_of(chart_slide(("Q1", "Q2")), "ppt/charts/chart1.xml")
    text = word_with('<c:chart r:id="{}"/>', chart)
    assert text.startswith("As seen here:\nSales by quarter\n")
    assert "| Q1 | 0.3 |" in text
    assert word_with('<dgm:relIds r:dm="{}"/>', DIAGRAM.encode()) == "As seen here:\nPlan it\nBuild it"


@pytest.mark.parametrize("drawing", ['<c:chart r:id="{}"/>', '<c:chart r:id="nowhere"/>', "<c:chart/>"])
def test_a_damaged_drawing_costs_itself_alone(drawing: str) -> None:
    assert word_with(drawing, b"<c:chartSpace") == "As seen here:"
