from __future__ import annotations

from qwen_app.reports.html_page import html_page
from qwen_app.reports.table import ReportTable
from qwen_app.reports.wording import Wording

TABLE = ReportTable("Speed & memory", ("a", "b"), (("1|2", "<b>\nx"),), "A note.")


def test_markdown_keeps_each_text_in_its_cell() -> None:
    assert TABLE.markdown() == "### Speed & memory\n\n| a | b |\n| --- | --- |\n| 1\\|2 | <b> x |\n\nA note."


def test_html_is_text_and_never_markup() -> None:
    assert "<td>&lt;b&gt;\nx</td>" in TABLE.html()
    assert "Speed &amp; memory" in TABLE.html()


def test_the_page_needs_nothing_else() -> None:
    page = html_page("<Report>", TABLE.html(), "zh")
    assert '<html lang="zh">' in page
    assert "<title>&lt;Report&gt;</title>" in page
    assert not any(word in page for word in ("<script", "src=", "http"))


def test_wording_tells_the_same_in_both_languages() -> None:
    wording = Wording("{count} files", "{count} 个文件")
    assert (wording.told("en", count=3), wording.told("zh", count=3)) == ("3 files", "3 个文件")
