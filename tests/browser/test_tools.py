"""The tools tab in a real browser: on a scripted engine, and once with the built-in model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from qwen_app.messages import GenerationRequest, ToolCallDelta
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.browser.chat_page import ANSWER_S, until, until_async
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_page

pytestmark = pytest.mark.anyio

OWN_TOOL = {"type": "function", "function": {"name": "book_flight", "parameters": {"type": "object"}}}


def act(request: GenerationRequest) -> Script:
    """The question names the tool and its arguments; once there is a result, it is the answer."""
    last = request.messages[-1]
    if last.role == "tool":
        return Script(("The result is **", last.content, "**."))
    if last.content == "slowly":
        return Script(("word ",) * 2000, token_s=0.25)
    name, _, arguments = last.content.partition(" ")
    if arguments:
        return Script(
            tool_calls=(ToolCallDelta(0, "call_1", name, arguments[:5]), ToolCallDelta(0, arguments=arguments[5:]))
        )
    return Script(("No ", "call."))


@pytest.fixture(scope="module")
def acting() -> ScriptedEngine:
    return ScriptedEngine(act)


@pytest.fixture(scope="module")
def address(acting: ScriptedEngine) -> Iterator[str]:
    with running_page(acting) as url:
        yield url


async def tools_page(open_chat: OpenChat, url: str, tab: str = "Tools", **options: object) -> Page:
    page = (await open_chat(url, **options)).page
    await page.get_by_role("tab", name=tab).click()
    return page


async def ask(page: Page, prompt: str) -> None:
    await page.locator("#tools-prompt textarea").fill(prompt)
    await page.locator("#run-tools").click()


async def define(page: Page, text: str) -> None:
    editor = page.locator("#definitions .cm-content")
    await editor.fill(text)


async def test_a_call_its_result_and_the_answer(address: str, open_chat: OpenChat) -> None:
    page = await tools_page(open_chat, address)
    await ask(page, 'calculate {"expression": "37 * 41 + 5"}')
    step = page.locator("#steps details")
    await expect(step.locator("summary")).to_contain_text("calculate")
    await expect(step).to_contain_text('{"expression": "37 * 41 + 5"}')
    await expect(step).to_contain_text('{"result": 1522}')
    await expect(page.locator("#tools-answer strong")).to_have_text('{"result": 1522}')
    await expect(page.locator("#tools-state")).to_contain_text("2 rounds")
    await step.locator("summary").click()
    await expect(step.locator("dl")).to_be_hidden()

    evil = json.dumps({"city": "<img src=x onerror=\"document.title='caught'\"> ${1+1} {{value}}"})
    await ask(page, f"example_weather {evil}")  # what a call holds is text and never markup
    await expect(step.locator("dd").first).to_contain_text("${1+1} {{value}}")
    await expect(step.locator("dd").last).to_contain_text("There is no example weather")
    await expect(page.locator("#tools-state .run-line")).to_be_visible()
    await expect(page.locator("#steps img, #tools-answer img")).to_have_count(0)
    assert await page.title() != "caught"


async def test_a_tool_of_ones_own_is_shown_and_not_run(
    address: str, acting: ScriptedEngine, open_chat: OpenChat
) -> None:
    page = await tools_page(open_chat, address)
    check = page.locator("#definitions-check")
    await define(page, '[{"type": "function"')
    await expect(check).to_contain_text("not valid JSON")
    await define(page, json.dumps([OWN_TOOL]))
    await expect(check).to_contain_text("book_flight: no implementation")
    await expect(page.locator("#ready-tools input:checked")).to_have_count(0)
    await page.locator("#tool-choice input").click()
    await page.get_by_role("option", name="Call book_flight").click()
    await ask(page, 'book_flight {"to": "Rome"}')
    await expect(page.locator("#steps details")).to_contain_text("the call is shown")
    await expect(page.locator("#tools-state")).to_contain_text("The loop ends here")
    choice = acting.requests[-1].tool_choice
    assert (choice.mode, choice.name) == ("named", "book_flight")
    await page.locator("#tools-use-code").click()
    code = page.locator("#tools-code .cm-content")
    await expect(code).to_contain_text('tool_choice={"type": "function", "function": {"name": "book_flight"}}')


async def test_boxes_and_definitions_follow_each_other(
    address: str, acting: ScriptedEngine, open_chat: OpenChat
) -> None:
    page = await tools_page(open_chat, address)
    await until_async(partial(switched_off, page, "Example weather"))
    await expect(page.locator("#definitions-check")).to_contain_text("Tools offered: 3")
    await ask(page, "hello")
    await expect(page.locator("#tools-answer")).to_contain_text("No call.")
    assert [tool.name for tool in acting.requests[-1].tools] == ["calculate", "current_time", "convert_units"]


async def pick_table(page: Page, table: Path) -> None:
    async with page.expect_file_chooser() as choosing:
        await page.locator("#upload-table").click()
    await (await choosing.value).set_files(table)


async def test_a_file_that_is_no_table_is_told_and_one_that_is_can_be_looked_up(
    address: str, open_chat: OpenChat, tmp_path: Path
) -> None:
    page = await tools_page(open_chat, address)
    check = page.locator("#table-check")
    wrong, large, good = tmp_path / "twice.csv", tmp_path / "large.csv", tmp_path / "people.csv"
    wrong.write_text("a,a\n1,2\n", encoding="utf-8")
    large.write_bytes(b"x" * (2 * 2**20 + 1))
    good.write_text("name,city\nAda,London\nLi Wei,Beijing\n", encoding="utf-8")
    for file, said in ((wrong, "needs a name of its own"), (large, "limit of 2 MiB")):
        await pick_table(page, file)
        await expect(check).to_contain_text(said)
    await pick_table(page, good)
    await expect(check).to_contain_text("people.csv: 2 rows · name, city")
    await expect(page.get_by_label("Table lookup")).to_be_checked()
    await ask(page, 'lookup_table {"column": "city", "contains": "beijing"}')
    await expect(page.locator("#steps details")).to_contain_text("Li Wei")


async def test_stop_ends_the_loop(address: str, acting: ScriptedEngine, open_chat: OpenChat) -> None:
    page = await tools_page(open_chat, address)
    before = acting.cancelled
    await ask(page, "slowly")
    await expect(page.locator("#tools-answer")).to_contain_text("word")
    await page.locator("#stop-tools").click()
    await expect(page.locator("#tools-state")).to_contain_text("Stopped")
    await expect(page.locator("#run-tools")).to_be_enabled()
    await until(lambda: acting.cancelled == before + 1)


async def test_in_chinese(address: str, open_chat: OpenChat) -> None:
    page = await tools_page(open_chat, address, tab="工具", locale="zh-CN")
    await expect(page.get_by_label("计算器")).to_be_checked()
    await expect(page.locator("#definitions-check")).to_contain_text("可提供 4 个工具")
    await ask(page, 'calculate {"expression": "2+2"}')
    await expect(page.locator("#steps details")).to_contain_text("参数")


async def switched_off(page: Page, tool: str) -> bool:
    """Whether a click took the tool out. A page that is still being filled draws its boxes once more, as they were."""
    box = page.get_by_label(tool)
    if await box.is_checked():
        await box.click()
    await page.wait_for_timeout(300)
    return not await box.is_checked()


async def test_the_first_run_succeeds_on_the_builtin_model(real: str, open_chat: OpenChat) -> None:
    page = await tools_page(open_chat, real)
    for left, other in ((3, "Current time"), (2, "Unit conversion"), (1, "Calculator")):  # the test's context is small
        await until_async(partial(switched_off, page, other))
        await expect(page.locator("#definitions-check")).to_contain_text(f"Tools offered: {left}")
    await page.locator("#tools-max-tokens input[type=number]").fill("48")
    await page.locator("#tools-max-tokens input[type=number]").press("Enter")
    await page.locator("#run-tools").click()
    await expect(page.locator("#tools-state .run-line")).to_be_visible(timeout=ANSWER_S * 1000)
    step = page.locator("#steps details").first
    await expect(step.locator("summary")).to_contain_text("example_weather")
    await expect(step.locator("dd").first).to_contain_text("Paris")
    await expect(step.locator("dt").last).to_have_text("Result")
