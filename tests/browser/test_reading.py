"""What is written is what can be read: questions as typed, tables, formulas, Chinese; and it is in sight.

One page draws all the answers that are looked at: opening it takes longer than all the looks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest
from playwright.async_api import Locator, ViewportSize, expect

from qwen_app.ui.shared.render import WORD_JOINER
from tests.browser.axe import faults
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio
DESK, HAND = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)
Look = Callable[[Locator], Awaitable[None]]
TYPED = [
    'find . \\( -name "*.py" \\) -print',
    "echo $$ and then $$",
    "def __init__(self):\n    return 1\n\n\tif x:",
    "\\d+\\.\\d+ and C:\\_temp\\[x]",
    "# x\n\n1986. x\n- y\n> z\n***",
    "a    b &lt;b&gt; <b>H</b> H~2~O `code` ~~~\n```\nx",
    "**步骤：**打开 &#42; | a | b |",
]
TABLE = """| Algorithm | Best | Average | Worst | Space | Stability | Remarks |
|---|---|---|---|---|---|---|
| Mergesort | O(n log n) | O(n log n) | O(n log n) | O(n) | stable | divide and conquer |
| Quicksort | O(n log n) | O(n log n) | O(n^2) | O(log n) | unstable | in place |

| 名称 | 说明 | 数值 | 备注 | 其他 |
|---|---|---|---|---|
| 归并排序 | 稳定的排序算法 | 一百 | 需要额外空间 | 无 |
"""


async def test_a_question_is_shown_folded_edited_and_copied_as_typed(scripted: str, open_chat: OpenChat) -> None:
    """Its answer is copied as written, too."""
    chat = await open_chat(scripted, permissions=["clipboard-read", "clipboard-write"])
    copied = "navigator.clipboard.readText()"
    text = "\n".join(TYPED)
    await chat.ask(text)
    question = chat.questions.first.locator(".typed")
    assert await question.evaluate("typed => typed.textContent") == text
    await expect(chat.questions.first.locator("strong, em, code, h1, ol, .katex")).to_have_count(0)
    await chat.page.get_by_role("button", name="Copy").first.click()
    assert await chat.page.evaluate(copied) == text
    await chat.open_edit(0)
    await expect(chat.page.locator("#conversation .edit-textarea")).to_have_value(text)
    await chat.page.keyboard.press("Escape")
    await expect(await chat.ask("say: Use <b> for bold.")).to_contain_text("for bold")
    await chat.button("Copy message")
    assert await chat.page.evaluate(copied) == "Use <b> for bold."
    await chat.ask("a line\n" * 60)
    folded = chat.questions.last.locator(".typed")
    assert await folded.evaluate("typed => typed.clientHeight < 300")
    await chat.button("Show all")
    assert await folded.evaluate("typed => typed.clientHeight > 1000")


async def open_saved(open_chat: OpenChat, url: str, turns: list[tuple[str, str]]) -> ChatPage:
    """A chat of these questions and answers, which no model has to write."""
    messages: list[dict[str, str | None]] = []
    for turn in turns:
        for role, content in zip(("user", "assistant"), turn, strict=True):
            before = messages[-1]["id"] if messages else None
            messages.append({"id": f"m{len(messages)}", "parent_id": before, "role": role, "content": content})
    saved = {"format": "qwen-chat", "version": 1, "title": "Saved", "messages": messages}
    async with httpx.AsyncClient(trust_env=False) as visitor:
        await visitor.get(url)  # whoever gets the page gets the cookie that owns chats
        made = (await visitor.post(f"{url}/chats/import", json=saved)).raise_for_status().json()
        cookies = [{"name": name, "value": value, "url": url} for name, value in visitor.cookies.items()]
    return await open_chat(f"{url}/?chat={made['id']}", storage_state={"cookies": cookies, "origins": []})


async def every_word_of_a_table_is_whole(answer: Locator) -> None:
    cut = """tables => tables.flatMap(table => [...table.querySelectorAll('td, th')]).filter(cell => {
      const words = [...cell.textContent.matchAll(/[\\w()^]+/g)];
      return words.some(({0: word, index}) => {
        const range = document.createRange();
        range.setStart(cell.firstChild, index);
        range.setEnd(cell.firstChild, index + word.length);
        return range.getClientRects().length > 1;
      });
    }).map(cell => cell.textContent)"""
    narrow = "tables => [...tables[1].querySelectorAll('td, th')].filter(cell => cell.clientWidth < 60).length"
    inside = "table => table.getBoundingClientRect().right <= innerWidth"
    assert await answer.locator("table").evaluate_all(cut) == []
    assert await answer.locator("table").evaluate_all(narrow) == 0
    assert await answer.locator("table").first.evaluate(inside)


LONG = "这是一种稳定的排序算法，需要额外的空间，时间复杂度较为稳定，适合外部排序"


async def a_long_cell_is_not_squeezed_to_a_few_characters(answer: Locator) -> None:
    lines = """cell => {
      const whole = document.createRange();
      whole.selectNodeContents(cell);
      return whole.getClientRects().length;
    }"""
    assert await answer.locator("td", has_text="这是").evaluate(lines) <= len(LONG) / 6 + 1


async def columns_are_aligned_as_they_were_meant(answer: Locator) -> None:
    for kind in ("th", "td"):
        aligned = await answer.locator(kind).evaluate_all("all => all.map(one => getComputedStyle(one).textAlign)")
        assert aligned == ["start", "left", "center", "right"], kind


async def chinese_bold_formulas_and_dollars_are_what_they_are(answer: Locator) -> None:
    await expect(answer.locator("strong")).to_have_count(3)
    bold = [text.replace(WORD_JOINER, "") for text in await answer.locator("strong").all_inner_texts()]
    assert bold == ["步骤一：", "重要（注）", "“重点”"]
    await expect(answer.locator("code").nth(1)).to_have_text("kill $$")
    await expect(answer.locator("pre code")).to_have_text("$$x$$ \\(y\\)\n")
    await expect(answer).to_contain_text("It costs $$5 and he paid $$6.")
    await expect(answer).to_contain_text("he paid $5 or $6.")
    await expect(answer.locator(".katex-html")).to_have_count(4)
    await expect(answer.locator(".katex-error, em")).to_have_count(0)


async def markdown_and_code_are_drawn_at_full_strength(answer: Locator) -> None:
    await expect(answer.locator("strong")).to_have_text("bold")
    await expect(answer.locator("pre code")).to_have_text("print('<b>')\n")
    await expect(answer.locator("ol ul li")).to_have_text("nested")
    assert await answer.locator(".prose").first.evaluate("text => getComputedStyle(text).opacity") == "1"


async def what_stands_in_a_list_is_as_large_as_elsewhere_and_a_paragraph_a_line(answer: Locator) -> None:
    tops = await answer.locator("p").evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
    assert tops == sorted(set(tops))
    for kind in ("code", ".katex .mtight", "p, li li"):
        sizes = await answer.locator(kind).evaluate_all("all => all.map(one => getComputedStyle(one).fontSize)")
        assert len(sizes) > 1, kind
        assert len(set(sizes)) == 1, kind
    size = "one => parseFloat(getComputedStyle(one).fontSize)"
    formula, index = answer.locator(".katex").first, answer.locator(".katex .mtight").first
    assert await index.evaluate(size) < await formula.evaluate(size)


LISTS = [(1, 3), (1, 12), (1, 120), (1, 1999), (98, 5), (1986, 3), (99_998, 4), (123_456_789, 2)]
# How much of the last item's number is left of the box that the answer is drawn in, in pixels.
CUT_PX = """lists => lists.map(list => {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = getComputedStyle(list).font;
  const number = `${list.start + list.children.length - 1}. `;
  const room = list.firstElementChild.getBoundingClientRect().left - list.closest(".md").getBoundingClientRect().left;
  return Math.max(0, pen.measureText(number).width - room);
})"""


def numbered(first: int, items: int) -> str:
    return "\n".join(f"{number}. item" for number in range(first, first + items)) + "\n\ntext\n\n"


async def the_number_of_every_item_is_drawn_whole(answer: Locator) -> None:
    await expect(answer.locator("ol")).to_have_count(len(LISTS))
    assert await answer.locator("ol").evaluate_all(CUT_PX) == [0] * len(LISTS)


WIDE_MATRIX = "\\begin{pmatrix}" + "&".join(map(str, range(30))) + "\\end{pmatrix}"
WIDE = f"""Wide ones:

$${"+".join(f"a_{{{number}}}" for number in range(30))}$$

Within a line \\({WIDE_MATRIX}\\) of text.

- in a list \\({WIDE_MATRIX}\\)

> $${WIDE_MATRIX}$$

$$x^2$$"""
# Formulas whose end cannot be brought into the boxes that they are in.
OUT_OF_REACH = """formulas => formulas.filter(formula => {
  const end = [...formula.querySelectorAll(".base")].at(-1);
  end.scrollIntoView({ block: "center", inline: "end" });
  const right = end.getBoundingClientRect().right - 1;
  for (let box = end.parentElement; box; box = box.parentElement) {
    if (getComputedStyle(box).overflowX !== "visible" && box.getBoundingClientRect().right < right) return true;
  }
  return right > innerWidth;
}).length"""


async def what_is_too_wide_can_be_scrolled_to_its_end(answer: Locator) -> None:
    await expect(answer.locator(".katex")).to_have_count(5)
    assert await answer.locator(".katex").evaluate_all(OUT_OF_REACH) == 0


async def the_button_that_copies_code_hides_none_of_it(answer: Locator) -> None:
    await expect(answer.locator(".copy_code_button")).to_be_attached()
    hidden = """answer => answer.querySelector(".copy_code_button").getBoundingClientRect().bottom
      - answer.querySelector("pre").getBoundingClientRect().top"""  # at one moment: a page that scrolls moves both
    assert await answer.evaluate(hidden) <= 1


async def a_ticked_task_looks_and_is_called_otherwise_than_an_open_one(answer: Locator) -> None:
    done = answer.get_by_role("checkbox", name="Done", exact=True)
    todo = answer.get_by_role("checkbox", name="To do", exact=True)
    ground = "box => getComputedStyle(box).backgroundColor"
    for dark in (False, True):
        await answer.page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
        assert await done.evaluate(ground) != await todo.evaluate(ground)
    await answer.page.evaluate("document.body.classList.remove('dark')")


LOOKS: list[tuple[str, Look]] = [
    (TABLE, every_word_of_a_table_is_whole),
    (
        f"| 名称 | 说明 | 数值 | 备注 |\n|---|---|---|---|\n| 归并排序 | {LONG} | 100 | 需要额外空间 |",
        a_long_cell_is_not_squeezed_to_a_few_characters,
    ),
    ("| a | b | c | d |\n|---|:--|:-:|--:|\n| 1 | 2 | 3 | 4 |", columns_are_aligned_as_they_were_meant),
    (
        "**步骤一：**打开，这是**重要（注）**内容，是**“重点”**这个。\n\n"
        "It costs $$5 and he paid $$6. Run `echo $$` then `kill $$`.\n\n"
        "For $a_1*b_1*c$ and $x$ he paid $5 or $6.\n\n"
        "So \\(a<b\\), and\n\n$$\nE = mc^2\n$$\n\n```\n$$x$$ \\(y\\)\n```",
        chinese_bold_formulas_and_dollars_are_what_they_are,
    ),
    (
        "**bold**\n\n```python\nprint('<b>')\n```\n\n1. one\n   - nested",
        markdown_and_code_are_drawn_at_full_strength,
    ),
    (
        "Text with $x_1$ and `code`.\n\n1. **First**\n\n   What it is: $x_1$, `code`.\n\n   - within\n\n2. Second",
        what_stands_in_a_list_is_as_large_as_elsewhere_and_a_paragraph_a_line,
    ),
    ("".join(numbered(*one) for one in LISTS), the_number_of_every_item_is_drawn_whole),
    (WIDE, what_is_too_wide_can_be_scrolled_to_its_end),
    ("```python\nprint('" + "long " * 40 + "')\n```", the_button_that_copies_code_hides_none_of_it),
    ("- [x] one\n- [ ] other", a_ticked_task_looks_and_is_called_otherwise_than_an_open_one),
]


async def test_an_answer_can_be_read_on_a_desk_and_in_a_hand(
    scripted: str, open_chat: OpenChat, subtests: pytest.Subtests
) -> None:
    chat = await open_saved(open_chat, scripted, [(f"q{number}", text) for number, (text, _) in enumerate(LOOKS)])
    await expect(chat.answers).to_have_count(len(LOOKS))
    for size in (DESK, HAND):
        await chat.page.set_viewport_size(size)
        for number, (_, look) in enumerate(LOOKS):
            answer = chat.answers.nth(number)
            await answer.scroll_into_view_if_needed()  # what is out of sight is not laid out
            with subtests.test(look.__name__, width=size["width"]):
                await look(answer)
        with subtests.test("the page scrolls one way, and what scrolls does so by key", width=size["width"]):
            assert await chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert await faults(chat.page) == []


async def test_the_page_scrolls_for_who_sends_and_never_for_who_reads(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted, viewport={"width": 1000, "height": 600})
    for number in range(3):
        await chat.ask(f"say: {number}\n\n" + "words\n\n" * 20)
    log = chat.page.locator("#conversation .bubble-wrap")

    async def scroll_up() -> None:
        await log.hover()
        await chat.page.mouse.wheel(0, -5000)
        await expect(chat.questions.first).to_be_in_viewport()

    await scroll_up()
    await chat.send("please break")
    await expect(chat.questions.last).to_be_in_viewport()
    await expect(chat.answers.last.locator(".run-error")).to_be_in_viewport()
    await chat.answered(4)
    await scroll_up()
    await chat.button("Retry")
    await expect(chat.questions.last).to_be_in_viewport()
    await chat.answered(4)
    await chat.send("talk slowly")
    await expect(chat.answers.last).to_contain_text("word word word")
    await scroll_up()
    await expect(chat.answers.last).to_contain_text("word " * 60)
    await expect(chat.questions.first).to_be_in_viewport()
    await chat.page.keyboard.press("Escape")


def turns(count: int) -> list[tuple[str, str]]:
    return [(f"text q{number}", f"text a{number}") for number in range(count)]


async def test_earlier_turns_come_when_they_are_asked_for(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_saved(open_chat, scripted, turns(45))
    page = chat.page
    await expect(chat.questions).to_have_count(25)
    await chat.open_edit(0)  # of the first that is drawn
    await expect(page.locator("#conversation .edit-textarea")).to_have_value("text q20")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Show 20 earlier turns").click()
    await expect(chat.questions).to_have_count(45)
    await expect(chat.questions.nth(20)).to_be_in_viewport()  # where the reader was
    await expect(page.locator("#earlier")).to_have_count(0)
    await chat.ask("one more")
    await expect(chat.questions).to_have_count(46)
    await expect(chat.questions.last).to_be_in_viewport()
    await page.reload()
    await expect(chat.questions).to_have_count(26)
    await expect(page.get_by_role("button", name="Show 20 earlier turns")).to_be_visible()


async def test_a_question_that_folds_older_turns_takes_its_place(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_saved(open_chat, scripted, turns(29))
    page = chat.page
    await expect(chat.questions).to_have_count(29)
    await chat.send("the thirtieth")
    await expect(chat.answers.last).to_contain_text("You said: the thirtieth")
    await expect(chat.questions).to_have_count(20)
    await expect(page.locator(".pending")).to_have_count(0)
    await expect(chat.questions.last).to_be_in_viewport()
    await expect(page.get_by_role("button", name="Show 10 earlier turns")).to_have_count(1)
