"""What is written is what can be read: questions as typed, tables, formulas, Chinese; and it is in sight."""

from __future__ import annotations

import json

import httpx
import pytest
from playwright.async_api import ViewportSize, expect

from qwen_app.ui.shared.render import WORD_JOINER
from tests.browser.axe import faults
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio
DESK, HAND = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)
PHONE = {"viewport": HAND, "has_touch": True}
TYPED = [
    'find . \\( -name "*.py" \\) -print',
    "echo $$ and then $$",
    "def __init__(self):\n    return 1\n\n\tif x:",
    "\\d+\\.\\d+ and C:\\_temp\\[x]",
    "# x\n\n1986. x\n- y\n> z\n***",
    "a    b &lt;b&gt; <b>H</b> H~2~O `code` ~~~\n```\nx",
    "**步骤：**打开 &#42; | a | b |",
]
TABLE = """say: | Algorithm | Best | Average | Worst | Space | Stability | Remarks |
|---|---|---|---|---|---|---|
| Mergesort | O(n log n) | O(n log n) | O(n log n) | O(n) | stable | divide and conquer |
| Quicksort | O(n log n) | O(n log n) | O(n^2) | O(log n) | unstable | in place |

| 名称 | 说明 | 数值 | 备注 | 其他 |
|---|---|---|---|---|
| 归并排序 | 稳定的排序算法 | 一百 | 需要额外空间 | 无 |
"""


async def test_a_question_is_shown_and_edited_and_copied_as_typed(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted, permissions=["clipboard-read", "clipboard-write"])
    text = "\n".join(TYPED)
    await chat.ask(text)
    question = chat.questions.first.locator(".typed")
    assert await question.evaluate("typed => typed.textContent") == text
    await expect(chat.questions.first.locator("strong, em, code, h1, ol, .katex")).to_have_count(0)
    await chat.page.get_by_role("button", name="Copy").first.click()
    assert await chat.page.evaluate("navigator.clipboard.readText()") == text
    await chat.open_edit(0)
    await expect(chat.page.locator("#conversation .edit-textarea")).to_have_value(text)


async def test_a_long_question_is_folded(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    await chat.ask("a line\n" * 60)
    typed = chat.questions.first.locator(".typed")
    assert await typed.evaluate("typed => typed.clientHeight < 300")
    await chat.page.get_by_role("button", name="Show all").click()
    assert await typed.evaluate("typed => typed.clientHeight > 1000")


async def test_no_table_is_cut_inside_a_word(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    answer = await chat.ask(TABLE)
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
    for size in (DESK, HAND):
        await chat.page.set_viewport_size(size)
        assert await answer.locator("table").evaluate_all(cut) == []
        assert await answer.locator("table").evaluate_all(narrow) == 0
        assert await chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await answer.locator("table").first.evaluate(inside)


async def test_chinese_bold_formulas_and_dollars(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    answer = await chat.ask(
        "say: **步骤一：**打开，这是**重要（注）**内容，是**“重点”**这个。\n\n"
        "It costs $$5 and he paid $$6. Run `echo $$` then `kill $$`.\n\n"
        "For $a_1*b_1*c$ and $x$ he paid $5 or $6.\n\n"
        "So \\(a<b\\), and\n\n$$\nE = mc^2\n$$\n\n```\n$$x$$ \\(y\\)\n```"
    )
    await expect(answer.locator("strong")).to_have_count(3)
    bold = [text.replace(WORD_JOINER, "") for text in await answer.locator("strong").all_inner_texts()]
    assert bold == ["步骤一：", "重要（注）", "“重点”"]
    await expect(answer.locator("code").nth(1)).to_have_text("kill $$")
    await expect(answer.locator("pre code")).to_have_text("$$x$$ \\(y\\)\n")
    await expect(answer).to_contain_text("It costs $$5 and he paid $$6.")
    await expect(answer).to_contain_text("he paid $5 or $6.")
    await expect(answer.locator(".katex-html")).to_have_count(4)
    await expect(answer.locator(".katex-error, em")).to_have_count(0)


async def test_what_stands_in_a_list_is_as_large_as_elsewhere_and_a_paragraph_a_line(
    scripted: str, open_chat: OpenChat
) -> None:
    chat = await open_chat(scripted)
    answer = await chat.ask(
        "say: Text with $x_1$ and `code`.\n\n1. **First**\n\n   What it is: $x_1$, `code`.\n\n   - within\n\n2. Second"
    )
    tops = await answer.locator("p").evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
    assert tops == sorted(set(tops))
    for kind in ("code", ".katex .mtight", "p, li li"):
        sizes = await answer.locator(kind).evaluate_all("all => all.map(one => getComputedStyle(one).fontSize)")
        assert len(sizes) > 1, kind
        assert len(set(sizes)) == 1, kind
    size = "one => parseFloat(getComputedStyle(one).fontSize)"
    formula, index = answer.locator(".katex").first, answer.locator(".katex .mtight").first
    assert await index.evaluate(size) < await formula.evaluate(size)


async def test_columns_of_a_table_are_aligned_as_they_were_meant(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    answer = await chat.ask("say: | a | b | c | d |\n|---|:--|:-:|--:|\n| 1 | 2 | 3 | 4 |")
    for kind in ("th", "td"):
        aligned = await answer.locator(kind).evaluate_all("all => all.map(one => getComputedStyle(one).textAlign)")
        assert aligned == ["start", "left", "center", "right"], kind


async def test_answers_are_drawn_at_full_strength(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    answer = await chat.ask("hello")
    assert await answer.locator(".prose").first.evaluate("text => getComputedStyle(text).opacity") == "1"


async def test_what_is_sent_is_shown_wherever_one_reads(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted, viewport={"width": 1000, "height": 600})
    for number in range(3):
        await chat.ask(f"say: {number}\n\n" + "words\n\n" * 20)
    log = chat.page.locator("#conversation .bubble-wrap")
    await log.hover()
    await chat.page.mouse.wheel(0, -5000)
    await expect(chat.questions.first).to_be_in_viewport()
    await chat.send("please break")
    await expect(chat.questions.last).to_be_in_viewport()
    await expect(chat.answers.last.locator(".run-error")).to_be_in_viewport()
    await chat.answered(4)
    await log.hover()
    await chat.page.mouse.wheel(0, -5000)
    await expect(chat.questions.first).to_be_in_viewport()
    await chat.button("Retry")
    await expect(chat.questions.last).to_be_in_viewport()


async def test_a_reader_who_scrolled_up_is_left_alone(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted, viewport={"width": 1000, "height": 500})
    await chat.ask("say: first\n\n" + "words\n\n" * 30)
    await chat.send("talk slowly")
    await expect(chat.answers.last).to_contain_text("word word word")
    await chat.page.locator("#conversation .bubble-wrap").hover()
    await chat.page.mouse.wheel(0, -5000)
    await expect(chat.questions.first).to_be_in_viewport()
    await expect(chat.answers.last).to_contain_text("word " * 60)
    await expect(chat.questions.first).to_be_in_viewport()
    await chat.page.keyboard.press("Escape")


def long_chat(turns: int) -> str:
    messages: list[dict[str, object]] = []
    for number in range(turns):
        for name, role in ((f"q{number}", "user"), (f"a{number}", "assistant")):
            before = messages[-1]["id"] if messages else None
            messages.append({"id": name, "parent_id": before, "role": role, "content": f"text {name}"})
    return json.dumps({"format": "qwen-chat", "version": 1, "title": "Long", "messages": messages})


async def open_long_chat(chat: ChatPage, url: str, turns: int) -> str:
    """Its address."""
    made = await (await chat.page.request.post(f"{url}/chats/import", data=long_chat(turns))).json()
    address = f"{url}/?chat={made['id']}"
    await chat.page.goto(address)
    return address


async def test_earlier_turns_come_when_they_are_asked_for(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    page, address = chat.page, await open_long_chat(chat, scripted, 45)
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
    await page.locator(".chats-new").click()
    await expect(chat.questions).to_have_count(0)
    await page.goto(address)
    await expect(chat.questions).to_have_count(26)
    await expect(page.get_by_role("button", name="Show 20 earlier turns")).to_be_visible()


async def test_a_question_that_folds_older_turns_takes_its_place(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    page = chat.page
    await open_long_chat(chat, scripted, 29)
    await expect(chat.questions).to_have_count(29)
    await chat.send("the thirtieth")
    await expect(chat.answers.last).to_contain_text("You said: the thirtieth")
    await expect(chat.questions).to_have_count(20)
    await expect(page.locator(".pending")).to_have_count(0)
    await expect(chat.questions.last).to_be_in_viewport()
    await expect(page.get_by_role("button", name="Show 10 earlier turns")).to_have_count(1)


async def open_answer(open_chat: OpenChat, url: str, text: str, **looks: object) -> ChatPage:
    """A chat with one answer, which no model has to write."""
    question = {"id": "q", "role": "user", "content": "Well?"}
    answer = {"id": "a", "parent_id": "q", "role": "assistant", "content": text}
    saved = {"format": "qwen-chat", "version": 1, "title": "Answer", "head_id": "a", "messages": [question, answer]}
    async with httpx.AsyncClient(trust_env=False) as visitor:
        await visitor.get(url)  # whoever gets the page gets the cookie that owns chats
        made = (await visitor.post(f"{url}/chats/import", json=saved)).raise_for_status().json()
        cookies = [{"name": name, "value": value, "url": url} for name, value in visitor.cookies.items()]
    chat = await open_chat(f"{url}/?chat={made['id']}", storage_state={"cookies": cookies, "origins": []}, **looks)
    await expect(chat.answers).to_have_count(1)
    return chat


def numbered(first: int, items: int) -> str:
    return "\n".join(f"{number}. item" for number in range(first, first + items)) + "\n\ntext\n\n"


# How much of the last item's number is left of the box that the answer is drawn in, in pixels.
CUT_PX = """lists => lists.map(list => {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = getComputedStyle(list).font;
  const number = `${list.start + list.children.length - 1}. `;
  const room = list.firstElementChild.getBoundingClientRect().left - list.closest(".md").getBoundingClientRect().left;
  return Math.max(0, pen.measureText(number).width - room);
})"""


async def test_the_number_of_every_item_is_drawn_whole(scripted: str, open_chat: OpenChat) -> None:
    lists = [(1, 3), (1, 12), (1, 120), (1, 1999), (98, 5), (1986, 3), (99_998, 4), (123_456_789, 2)]
    chat = await open_answer(open_chat, scripted, "".join(numbered(*one) for one in lists))
    await expect(chat.answers.locator("ol")).to_have_count(len(lists))
    for size in (DESK, HAND):
        await chat.page.set_viewport_size(size)
        assert await chat.answers.locator("ol").evaluate_all(CUT_PX) == [0] * len(lists)


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


async def test_what_is_too_wide_for_a_phone_can_be_scrolled_to_its_end(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_answer(open_chat, scripted, WIDE, **PHONE)
    await expect(chat.answers.locator(".katex")).to_have_count(5)
    assert await chat.answers.locator(".katex").evaluate_all(OUT_OF_REACH) == 0
    assert await chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await faults(chat.page) == []  # by key, too


async def test_a_long_cell_is_not_squeezed_to_a_few_characters(scripted: str, open_chat: OpenChat) -> None:
    long = "这是一种稳定的排序算法，需要额外的空间，时间复杂度较为稳定，适合外部排序"
    table = f"| 名称 | 说明 | 数值 | 备注 |\n|---|---|---|---|\n| 归并排序 | {long} | 100 | 需要额外空间 |"
    chat = await open_answer(open_chat, scripted, table, **PHONE)
    cell = chat.answers.locator("td", has_text="这是")
    lines = """cell => {
      const whole = document.createRange();
      whole.selectNodeContents(cell);
      return whole.getClientRects().length;
    }"""
    assert await cell.evaluate(lines) <= len(long) / 6 + 1


async def test_a_ticked_task_looks_and_is_called_otherwise_than_an_open_one(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_answer(open_chat, scripted, "- [x] one\n- [ ] other", color_scheme="light")
    done = chat.answers.get_by_role("checkbox", name="Done", exact=True)
    todo = chat.answers.get_by_role("checkbox", name="To do", exact=True)
    ground = "box => getComputedStyle(box).backgroundColor"
    light = await done.evaluate(ground)
    assert light != await todo.evaluate(ground)
    await chat.page.evaluate("document.body.classList.add('dark')")
    assert await done.evaluate(ground) != await todo.evaluate(ground)


async def test_the_button_that_copies_code_hides_none_of_it(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_answer(open_chat, scripted, "```python\nprint('" + "long " * 40 + "')\n```")
    for size in (DESK, HAND):
        await chat.page.set_viewport_size(size)
        await expect(chat.answers.locator(".copy_code_button")).to_be_attached()
        hidden = """answer => answer.querySelector(".copy_code_button").getBoundingClientRect().bottom
          - answer.querySelector("pre").getBoundingClientRect().top"""  # at one moment: a page that scrolls moves both
        assert await chat.answers.first.evaluate(hidden) <= 1
