"""Exports list the documents that were sent with a question, whatever their names are."""

from __future__ import annotations

import re
from html import escape

import pytest

from qwen_app.documents.attachment import Attachment, attachments_json
from qwen_app.documents.document import Document, Section
from qwen_app.saved_chats.export_facts import sent_documents
from qwen_app.saved_chats.export_html import DRAWN_CHARS, chat_html
from qwen_app.saved_chats.export_markdown import chat_markdown
from qwen_app.saved_chats.values import SavedMessage

PAGES = tuple(Section("page", number, number, f"Page {number}.") for number in (1, 2))
BOOK = Document("<b>book</b>_1.pdf", "pdf", PAGES)


def question(*attachments: Attachment) -> SavedMessage:
    return SavedMessage("q", None, "user", "What is said?", settings={"documents": attachments_json(attachments)})


def test_name_pages_tokens_and_hash_stand_in_both_exports() -> None:
    asked = question(Attachment(BOOK, 1234), Attachment(BOOK, 7, "1-2"))
    whole, part = sent_documents(asked)
    assert (whole.pages, whole.chosen, part.chosen, whole.sha256) == (2, "", "1-2", part.sha256)
    markdown, page = chat_markdown("t", [asked]), chat_html("t", [asked])
    assert "- \\<b\\>book\\</b\\>\\_1.pdf · 2 pages · 1,234 tokens · sha256 " in markdown
    assert "<li>&lt;b&gt;book&lt;/b&gt;_1.pdf · pages 1-2 · 7 tokens · sha256 " in page
    assert "Page 1." not in markdown + page
    other = sent_documents(question(Attachment(Document("a.txt", "txt", (Section("lines", 1, 1, "x"),)), 1)))
    assert other[0].pages == 0
    assert other[0].sha256 != whole.sha256


@pytest.mark.parametrize("nonsense", [3, [3], [{}], [{"document": 1}], [{"document": {"name": 2}}], {"document": {}}])
def test_nonsense_of_an_import_is_left_out(nonsense: object) -> None:
    assert sent_documents(SavedMessage("q", None, "user", "x", settings={"documents": nonsense})) == []


WRITTEN = """# Plan

| a | b |
|---|---|
| 1 | **two** |

- one
  - nested

```python
if 1 < 2:
    pass
```

**步骤一：**打开，\\( x^2 \\)，<b>no tag</b>，[no link](https://a.example)，![no picture](https://a.example/p.png)
"""


def answer(text: str) -> SavedMessage:
    return SavedMessage("a", "q", "assistant", text)


def test_an_answer_is_drawn_and_leads_nowhere() -> None:
    page = chat_html("t", [answer(WRITTEN)])
    for part in (
        "<h1>Plan</h1>",
        "<td><strong>two</strong></td>",
        "<li>nested</li>",
        '<pre><code class="language-python">if 1 &lt; 2:\n    pass\n</code></pre>',
        "<strong>步骤一：</strong>打开",
        "\\( x^2 \\)",
        "&lt;b&gt;no tag&lt;/b&gt;",
        "[no link](https://a.example)",
    ):
        assert part in page
    assert not {"<a ", "<img", "<b>"} & set(re.findall(r"<\w+[ >]", page))


def test_of_a_chat_that_is_too_long_to_draw_the_newest_is_drawn() -> None:
    page = chat_html("t", [answer("**old** " * (DRAWN_CHARS // 8)), answer("**new**")])
    assert "<strong>new</strong>" in page
    assert "<strong>old</strong>" not in page
    assert "**old**" in page


COSTLY = {
    "cells": "a|b\n-|-\n" + "|a|\n" * 70_000,
    "cells that are not even written": "|a" * 100 + "\n" + "|-" * 100 + "\n" + "a\n" * 650,
    "emphasis": "*a*" * 99_000,
    "entries": "- a\n" * 70_000,
    "quotations": "> a\n\n" * 50_000,
    "headings": "#\n" * 140_000,
    "lines": "a\n" * 140_000,
    "lines of code": "```\n" + "a\n" * 140_000,
}


@pytest.mark.parametrize("text", COSTLY.values(), ids=COSTLY)
def test_what_costs_much_to_draw_stands_as_it_was_written(text: str) -> None:
    page = chat_html("t", [answer("**old**"), answer(text), answer("**new**")])
    assert escape(text) in page
    assert "<strong>new</strong>" in page
    assert "<strong>old</strong>" not in page


def test_a_table_of_a_thousand_rows_is_drawn() -> None:
    page = chat_html("t", [answer("a|b|c\n-|-|-\n" + "**x**|y|z\n" * 1000)])
    assert page.count("<td><strong>x</strong></td>") == 1000


def test_a_page_of_a_bounded_length_ends_with_the_newest_and_says_so() -> None:
    said = [answer(f"<{number:03}>" * 10) for number in range(100)]
    page = chat_html("t", said, limit_chars=2000)
    assert "Only the end" in page
    assert 1000 < sum(len(part) for part in re.findall("(?s)<article.*?</article>", page)) <= 2000
    assert "&lt;099&gt;" in page
    assert "&lt;000&gt;" not in page
    assert "Only the end" not in chat_html("t", said)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Yes.", "1.2 s · 1 token · seed 0 · cut off at its longest length"),
        ("是的。", "1.2 秒 · 1 个词元 · 种子 0 · 达到最长回答后截断"),
    ],
)
def test_facts_of_answers_alone_are_told_in_their_language(text: str, facts: str) -> None:
    run = {"total_s": 1.23, "completion_tokens": 1, "seed": 0, "reason": "length"}
    told = SavedMessage("a", "q", "assistant", text, run=run)
    assert f"<footer>{facts}</footer>" in chat_html("t", [told])
    assert f"*{facts}*" in chat_markdown("t", [told])
    assert "2 tokens" in chat_html(
        "t", [SavedMessage("a", "q", "assistant", "Yes.", run=run | {"completion_tokens": 2})]
    )


@pytest.mark.parametrize("asked", ["用 Python 写一个 function", "把 report.pdf 概括成 JSON", "总结"])
def test_an_export_of_a_chinese_chat_is_chinese_whatever_was_answered(asked: str) -> None:
    documents = attachments_json((Attachment(BOOK, 1), Attachment(BOOK, 1234, "1-2")))
    said = [
        SavedMessage("q", None, "user", asked, settings={"documents": documents}),
        SavedMessage("a", "q", "assistant", '{"name": "x"}', run={"completion_tokens": 2, "reason": "tool_calls"}),
        SavedMessage("b", "a", "assistant", "", run={"reason": "failed"}),
    ]
    for export in (chat_html("t", said), chat_markdown("t", said)):
        for part in (" · 2 页 · 1 个词元 · ", " · 第 1-2 页 · 1,234 个词元 · ", "2 个词元 · 工具调用", "失败"):
            assert part in export
    assert "## 用户\n" in chat_markdown("t", said)
    assert "## 助手\n" in chat_markdown("t", said)


def test_an_english_chat_with_a_word_of_chinese_is_told_in_english() -> None:
    said = [
        SavedMessage("q", None, "user", "What does 你好 mean, and how is it written?"),
        SavedMessage("a", "q", "assistant", "你好", run={"completion_tokens": 1}),
    ]
    assert "*1 token*" in chat_markdown("t", said)
    assert "## User\n" in chat_markdown("t", said)
