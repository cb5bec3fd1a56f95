"""Exports list the documents that were sent with a question, whatever their names are."""

from __future__ import annotations

import re

import pytest

from qwen_app.documents.attachment import Attachment, attachments_json
from qwen_app.documents.document import Document, Section
from qwen_app.saved_chats.export_html import DRAWN_CHARS, chat_html
from qwen_app.saved_chats.export_markdown import chat_markdown
from qwen_app.saved_chats.sent_documents import sent_documents
from qwen_app.saved_chats.values import SavedMessage

PAGES = tuple(Section("page", number, number, f"Page {number}.") for number in (1, 2))
BOOK = Document("<b>book</b>_1.pdf", "pdf", PAGES)


def question(*attachments: Attachment) -> SavedMessage:
    return SavedMessage("q", None, "user", "What is said?", settings={"documents": attachments_json(attachments)})


def test_name_pages_tokens_and_hash_stand_in_both_exports() -> None:
    asked = question(Attachment(BOOK, 1234), Attachment(BOOK, 7, "1-2"))
    whole, part = sent_documents(asked)
    assert (whole.pages, part.pages, whole.sha256) == ("2 pages", "pages 1-2", part.sha256)
    markdown, page = chat_markdown("t", [asked]), chat_html("t", [asked])
    assert "- \\<b\\>book\\</b\\>\\_1.pdf · 2 pages · 1,234 tokens · sha256 " in markdown
    assert "<li>&lt;b&gt;book&lt;/b&gt;_1.pdf · pages 1-2 · 7 tokens · sha256 " in page
    assert "Page 1." not in markdown + page
    other = sent_documents(question(Attachment(Document("a.txt", "txt", (Section("lines", 1, 1, "x"),)), 1)))
    assert other[0].pages == ""
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
