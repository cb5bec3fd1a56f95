"""The JSON lab in a real browser: on a scripted engine, and with the built-in model."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from jsonschema_rs import Draft202012Validator
from playwright.async_api import Locator, Page, expect

from qwen_app.messages import GenerationRequest
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.json_lab.schema_library import CONTACT, SQL
from tests.browser.chat_page import ANSWER_S
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_page

pytestmark = pytest.mark.anyio

DOCUMENT = '{"name": "Maria Lopez", "company": null, "email": null, "phone": "+34 600"}'


def write(request: GenerationRequest) -> Script:
    """The prompt says how; without a grammar the answer chats."""
    prompt = request.messages[-1].content
    if "slowly" in prompt:
        return Script(('{"name": "', *("Maria " for _ in range(2000))), token_s=0.25)
    if request.grammar is None:
        return Script(("Sure: ", DOCUMENT))
    if "badly" in prompt:
        return Script(('{"name": 3}',))
    return Script([DOCUMENT[i : i + 4] for i in range(0, len(DOCUMENT), 4)])


@pytest.fixture(scope="module")
def writing() -> ScriptedEngine:
    return ScriptedEngine(write)


@pytest.fixture(scope="module")
def address(writing: ScriptedEngine) -> Iterator[str]:
    with running_page(writing) as url:
        yield url


async def json_lab(open_chat: OpenChat, url: str, **options: object) -> Page:
    page = (await open_chat(url, **options)).page
    await page.get_by_role("tab", name="JSON", exact=True).click()
    await expect(page.locator("#schema-check .check")).to_be_visible()
    return page


async def run(page: Page, prompt: str) -> Locator:
    """Run and wait for the end; the outcome."""
    await page.locator("#json-lab-prompt textarea").fill(prompt)
    await page.locator("#run-json").click()
    outcome = page.locator("#outcome")
    await expect(outcome.locator(".result, [role=alert]")).to_be_visible(timeout=ANSWER_S * 1000)
    await expect(page.locator("#run-json")).to_be_enabled()
    return outcome


async def type_schema(page: Page, text: str) -> None:
    await page.locator("#schema .cm-content").click()
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text(text)


async def raw_text(page: Page) -> str:
    await page.get_by_role("tab", name="Raw").click()
    return await page.locator("#raw .cm-content").inner_text()


async def test_an_answer_is_valid_wrong_or_stopped_and_shown_as_far_as_it_is_written(
    address: str, open_chat: OpenChat, writing: ScriptedEngine
) -> None:
    page = await json_lab(open_chat, address)
    outcome = await run(page, "Who is it?")
    await expect(outcome).to_contain_text("Form valid")
    await expect(page.locator("#tree")).to_contain_text("Maria Lopez")
    assert json.loads(await raw_text(page)) == json.loads(DOCUMENT)
    async with page.expect_download() as download:
        await page.locator("#raw").get_by_role("link").or_(page.locator("#raw a[download]")).first.click()
    assert json.loads((await (await download.value).path()).read_text(encoding="utf-8")) == json.loads(DOCUMENT)
    outcome = await run(page, "badly")
    await expect(outcome.locator(".result")).to_have_text("Not valid")
    await expect(outcome).to_contain_text("At $")

    cancelled = writing.cancelled
    await page.get_by_role("tab", name="Tree").click()
    await page.locator("#json-lab-prompt textarea").fill("slowly")
    await page.locator("#run-json").click()
    place = page.locator("#outcome .json-place")
    await expect(place.locator(".json-path")).to_have_text("$.name")
    await expect(place).to_contain_text("depth 1")
    await expect(page.locator("#tree")).to_contain_text("Maria Maria")
    await page.locator("#stop-json").click()
    await expect(page.locator("#outcome .result")).to_have_text("Stopped before its end")
    assert writing.cancelled == cancelled + 1


async def test_the_schema_is_checked_while_it_is_typed(address: str, open_chat: OpenChat) -> None:
    page = await json_lab(open_chat, address)
    check = page.locator("#schema-check")
    await type_schema(page, '{"type": "object", "properties": {"a": {"type": "strin"}}}')
    await expect(check.locator(".bad")).to_contain_text("/properties/a")
    await type_schema(page, '{"type": "array", "contains": {"const": 1}}')
    await expect(check.locator(".bad")).to_contain_text("/contains")
    await page.locator("#strict input").uncheck()
    await expect(check.locator(".good")).to_be_visible()
    await type_schema(page, '{"type": ')
    await expect(check.locator(".bad")).to_contain_text("not valid JSON")
    await expect(await run(page, "hello")).to_contain_text("not valid JSON")


async def test_runs_with_and_without_the_constraint(address: str, open_chat: OpenChat) -> None:
    page = await json_lab(open_chat, address)
    await page.locator("#repeat-json").click()
    runs = page.locator("#runs tbody tr")
    await expect(runs.nth(1)).to_contain_text("0 / 5 · 0%")
    await expect(runs.nth(0)).to_contain_text("5 / 5 · 100%")
    await expect(runs.nth(0).locator("td").last).to_have_text("100%")
    await expect(page.locator("#runs .dot")).to_have_count(10)


async def test_the_library_and_chinese(address: str, open_chat: OpenChat) -> None:
    page = await json_lab(open_chat, address, locale="zh-CN")
    await expect(page.locator("#run-json")).to_have_text("运行")
    await expect(page.locator("#library input")).to_have_value("提取联系人")
    await expect(page.locator("#json-lab-prompt textarea")).to_have_value(CONTACT.prompt[1])
    await page.locator("#library input").click()
    await page.get_by_role("option", name="SQL 查询").click()
    await expect(page.locator("#schema .cm-content")).to_contain_text("explanation")
    await expect(page.locator("#json-lab-prompt textarea")).to_have_value(SQL.prompt[1])
    await page.locator("#json-lab-prompt textarea").fill("我自己的问题")
    await page.locator("#library input").focus()  # whoever passes by chooses nothing
    await page.locator("#library input").blur()
    await page.locator("#language").get_by_text("EN").click()
    await expect(page.locator("#library input")).to_have_value("SQL query")
    await expect(page.locator("#json-lab-prompt textarea")).to_have_value("我自己的问题")


async def test_the_chat_and_the_lab_as_code_with_the_real_parameters(address: str, open_chat: OpenChat) -> None:
    chat = await open_chat(address)
    page = chat.page
    await chat.ask("first question")
    await chat.set("temperature", 0.2)
    await page.locator("#chat-use-code").click()
    code = page.locator("#chat-code .cm-content")
    await expect(code).to_contain_text("first question")
    await expect(code).to_contain_text("temperature=0.2")
    await page.keyboard.press("Escape")

    await page.get_by_role("tab", name="JSON", exact=True).click()
    await page.locator("#json-lab-prompt textarea").fill("Who's this?")
    await page.locator("#json-use-code").click()
    code = page.locator("#json-lab-code .cm-content")
    await expect(code).to_contain_text(f"{address}/v1")
    await expect(code).to_contain_text('"Who\'s this?"')
    await expect(code).to_contain_text('"strict": True')
    layer = "(element) => Number(getComputedStyle(element).zIndex)"
    dialog, sidebar = page.locator("#json-lab-code"), page.locator("#chats-sidebar")
    assert await dialog.evaluate(layer) > await sidebar.evaluate(layer)  # on a laptop the one reaches over the other
    await page.locator("#json-lab-code").get_by_text("curl").click()
    await expect(code).to_contain_text(f"curl {address}/v1/chat/completions")
    await page.locator("#json-lab-code").get_by_role("button", name="Close").click()
    await expect(code).to_have_count(0)


async def test_narrow_screens_scroll_one_way_only(address: str, open_chat: OpenChat) -> None:
    page = await json_lab(open_chat, address, viewport={"width": 390, "height": 844}, has_touch=True)
    await run(page, "Who is it?")
    await page.locator("#json-use-code").click()
    await expect(page.locator("#json-lab-code .cm-content")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_contact_from_the_built_in_model(real: str, open_chat: OpenChat) -> None:
    page = await json_lab(open_chat, real)
    field = page.locator("#json-max-tokens input[type=number]")
    await field.fill("48")
    await field.press("Enter")
    outcome = await run(page, "Extract the contact: Maria Lopez, Acme Tools")
    await expect(outcome.locator(".result")).to_contain_text("Form valid")
    document = json.loads(await raw_text(page))
    Draft202012Validator(CONTACT.schema).validate(document)
