from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from qwen_app.ui.markdown.answer import answer_markdown
from qwen_app.ui.markdown.emphasis import mend_emphasis
from qwen_app.ui.shared.render import WORD_JOINER

RENDER = MarkdownIt("commonmark").enable("strikethrough")
words = st.text("重点步骤abc", min_size=1, max_size=4)
opening, closing = st.sampled_from("“（《「【"), st.sampled_from("：。，”）》」】！？、；…")


def drawn(text: str) -> str:
    return str(RENDER.render(answer_markdown(text))).replace(WORD_JOINER, "").strip()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**步骤一：**打开设置", "<p><strong>步骤一：</strong>打开设置</p>"),
        ("这是**重要（注）**内容", "<p>这是<strong>重要（注）</strong>内容</p>"),
        ("**“重点”**是这个", "<p><strong>“重点”</strong>是这个</p>"),
        ("是**“重点”**这个", "<p>是<strong>“重点”</strong>这个</p>"),
        ("使用**`print()`**函数", "<p>使用<strong><code>print()</code></strong>函数</p>"),
        ("**甲：**乙，**丙：**丁", "<p><strong>甲：</strong>乙，<strong>丙：</strong>丁</p>"),
        ("*注意：*小心", "<p><em>注意：</em>小心</p>"),
        ("***注意！***小心", "<p><em><strong>注意！</strong></em>小心</p>"),
        ("~~旧的。~~新的", "<p><s>旧的。</s>新的</p>"),
        ('**"重点"**是', "<p><strong>&quot;重点&quot;</strong>是</p>"),
        ("**Note:** open it", "<p><strong>Note:</strong> open it</p>"),
        ("`**步骤：**打开`", "<p><code>**步骤：**打开</code></p>"),
    ],
)
def test_bold_beside_punctuation(text: str, html: str) -> None:
    assert drawn(text) == html


@given(words, opening, words, closing, words)
def test_any_cjk_punctuation_inside_the_stars(before: str, left: str, inner: str, right: str, after: str) -> None:
    assert drawn(f"重{before}**{left}{inner}{right}**重{after}") == (
        f"<p>重{before}<strong>{left}{inner}{right}</strong>重{after}</p>"
    )


@given(st.text("ab *~.,:()\"'`\n"))
def test_western_text_stays(text: str) -> None:
    assert mend_emphasis(text) == text
