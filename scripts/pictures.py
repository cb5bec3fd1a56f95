"""Takes the README's pictures anew: the real page, on loopback, in a real browser.

The answers are written here and come from a stand-in for the model, for no picture should need a GPU or luck.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, FilePayload, Locator, Page, async_playwright, expect

from bench.browser import browser_path
from qwen_app.ui.conversations.titles import WISH
from scripts.stand_in import Answer, StandIn
from tests.browser.serving import running_page
from tests.documents.files import pdf

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "images"
RECORD = PICTURES / "pictures.json"
SHARPNESS = 2  # pixels of the picture for one of the page
COLOURS = 256
PATIENCE_MS = 60_000

CODE = """\
Walk through both lists with one index each, and always take the smaller head:

```python
def merge(left: list[int], right: list[int]) -> list[int]:
    merged, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]
```

Each item is moved one time: **O(n + m)** steps."""

TEA = """\
About **three minutes at 80 °C** for most green teas. Cooler water takes longer and tastes sweeter; boiling water \
makes it bitter.

| Tea | Water | Time |
|---|---|---|
| Sencha | 75 °C | 2 min |
| Longjing | 80 °C | 3 min |
| Gunpowder | 85 °C | 3 min |"""

PERSON = {
    "姓名": "林知夏",
    "年龄": 34,
    "职业": "古籍修复师",
    "城市": "苏州",
    "爱好": ["评弹", "骑行", "种薄荷"],
}

MINUTES = {
    "title": "Launch schedule",
    "date": "2026-03-03",
    "attendees": ["Anna", "Bo"],
    "decisions": ["The launch moves to May."],
    "actions": [
        {"owner": "Bo", "task": "Order the servers", "due": "2026-03-10"},
        {"owner": "Anna", "task": "Inform the customers", "due": None},
    ],
}

LEASE = """\
# Lease of the workshop in Quay Street

## Rent

The rent is 1,240 EUR a month, due on the third working day. A payment that is late costs two per cent a month from \
the tenth day on.

## Notice

Either side may end the lease with a notice of six months to the end of a quarter. In the first two years the tenant \
may end it with a notice of three months.

## Deposit

The deposit is three months' rent. It is paid back within eight weeks of the keys, less what repairs have cost.
"""

LATE = "A late payment costs **two per cent a month**, but only from the tenth day on [1]. The rent is due on the \
third working day of each month [1]."

REPORT_PAGES = 120
REPORT_TITLES = ("Piers", "Bearings", "Deck", "Railings", "Drainage", "Lighting")
FINDINGS = (
    "Piers 1 to 4 are sound; pier 3 has hairline cracks above the water line [page 9].",
    "The bearings of span 2 no longer move and were greased without effect [page 44].",
    "The deck's asphalt is worn to the membrane in the northern lane [page 88].",
    "The drains of span 5 end above a girder, where its paint has gone [page 112].",
)

SUMMARY = """\
Three findings need work this year:

1. **Bearings of span 2**: they no longer move, and grease did not help [page 44].
2. **Drains of span 5**: they end above a girder whose paint has gone [page 112].
3. **Northern lane**: the asphalt is worn to the membrane [page 88].

The cracks of pier 3 are to be looked at again in two years [page 9]."""

ANSWERS: Mapping[str, Answer] = {
    WISH: Answer(""),  # no title of the model's: the chat keeps its first question's
    **{f'<part number="{number}"': Answer(found) for number, found in enumerate(FINDINGS, 1)},
    "needs work this year": Answer(SUMMARY),
    "late payment cost": Answer(LATE),
    "in one sentence": Answer(
        "Merge sort splits a list in half until each part has one item, then merges the sorted parts back together."
    ),
    "merge step": Answer(CODE),
    "green tea": Answer(TEA),
    "虚构": Answer(json.dumps(PERSON, ensure_ascii=False, indent=2)),
    "Write minutes": Answer(json.dumps(MINUTES)),
    "A train": Answer(
        "The train runs at about **93 miles per hour**: 412 km in 2.75 hours are 149.8 km/h.",
        calls=(
            ("calculate", {"expression": "412 / (2 + 45 / 60)"}),
            ("convert_units", {"value": 149.818, "from_unit": "km/h", "to_unit": "mph"}),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its file's name, what is done on the page before, and the visitor's browser (sizes in pixels)."""

    name: str
    act: Callable[[Page], Awaitable[None]]
    width: int = 1280
    height: int = 800
    locale: str = "en-US"
    dark: bool = False


def looks_digest() -> str:
    """A digest of all that the page looks like: its style sheets and scripts, wherever in ``qwen_app/ui`` they lie."""
    files = [path for kind in ("css", "js") for path in (ROOT / "qwen_app" / "ui").rglob(f"*.{kind}")]
    digests = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


async def chat(page: Page) -> None:
    await _ask(page, "How does merge sort work, in one sentence?")
    await _ask(page, "Show me the merge step in Python.")


async def chat_on_a_phone(page: Page) -> None:
    await _ask(page, "How long should green tea steep?")


async def chat_in_chinese(page: Page) -> None:
    await page.locator("#json-mode input").check()
    await _ask(page, "请虚构一个人物：姓名、年龄、职业、城市和爱好。")


async def json_lab(page: Page) -> None:
    await page.get_by_role("tab", name="JSON", exact=True).click()
    await page.locator("#library input").click()
    await page.get_by_role("option", name="Meeting minutes").click()
    await expect(page.locator("#json-lab-prompt textarea")).to_have_value(re.compile("Write minutes"))
    await expect(page.locator("#schema-check .check")).to_contain_text("can be enforced")
    await page.locator("#run-json").click()
    await expect(page.locator("#outcome .result")).to_be_visible()
    await expect(page.locator("#run-json")).to_be_enabled()


async def tools(page: Page) -> None:
    await page.get_by_role("tab", name="Tools").click()
    question = "A train covers 412 km in 2 hours and 45 minutes. How fast is that in miles per hour?"
    await page.locator("#tools-prompt textarea").fill(question)
    await page.locator("#run-tools").click()
    await expect(page.locator("#tools-state")).to_contain_text("Finished")
    for step in await page.locator("#steps details:not([open]) summary").all():
        await step.click()


async def files(page: Page) -> None:
    await page.get_by_role("tab", name="Files", exact=True).click()
    await _give(page, page.locator("#files-add"), "lease.md", "text/markdown", LEASE.encode())
    await expect(page.locator("#files-told")).to_contain_text("lease.md can be asked now.")
    await page.locator("#files-question textarea").fill("What does a late payment cost?")
    await page.locator("#files-ask").click()
    await expect(page.locator("#files-state .run-line")).to_be_visible()
    await page.locator("#files-answer sup").first.click()
    await expect(page.locator("#files-sources pre").first).to_be_visible()


async def reading_in_parts(page: Page) -> None:
    await _give(page, page.get_by_role("button", name="Add a document"), "bridge.pdf", "application/pdf", _report())
    await page.locator("#composer textarea").fill("What needs work this year?")
    await page.get_by_role("button", name="Read in parts").click()
    await page.locator("#conversation .notes summary").click()
    await expect(page.locator("#composer .stop-button")).to_have_count(0)
    await page.locator("#conversation .notes").scroll_into_view_if_needed()


async def present(page: Page) -> None:
    await page.locator("#presenting-tab-button").click()
    for name, turns in (("Product team", "50"), ("Anna Lindqvist", "20"), ("周敏", "20")):
        await page.locator(".present-invite [name=name]").fill(name)
        await page.locator(".present-invite [name=turns]").fill(turns)
        await page.locator(".present-invite .primary").click()
        await expect(page.get_by_role("dialog", name=name).locator("svg")).to_be_visible()
        await page.keyboard.press("Escape")
    await expect(page.locator(".present-guests li")).to_have_count(3)


async def guest_on_a_phone(page: Page) -> None:
    """What the link opens; the browser is a guest's from here on, and is not used again."""
    guest = {"name": "Anna Lindqvist", "hours": 4, "turns": 20}
    address = page.url.partition("?")[0]
    made = await (await page.request.post(f"{address}presenter/guests", data=guest)).json()
    await page.goto(f"{address}{made['path']}")
    await expect(page.locator("#guest-line span")).not_to_be_empty()
    await _ask(page, "How long should green tea steep?")


async def compare(page: Page) -> None:
    await page.locator("#compare-tab-button").click()
    await page.locator("#compare-prompt textarea").fill("How long should green tea steep?")
    await page.locator("#compare-run").click()
    await expect(page.locator("#compare-difference .word-difference, #compare-difference .difference")).to_be_visible()


PICTURES_TAKEN = (
    Picture("chat.png", chat, height=960),
    Picture("chat-narrow.png", chat_on_a_phone, width=390),
    Picture("chat-zh-dark.png", chat_in_chinese, locale="zh-CN", dark=True),
    Picture("json-workbench.png", json_lab, height=930),
    Picture("tools.png", tools, height=840),
    Picture("files.png", files, height=700),
    Picture("long-document.png", reading_in_parts, height=960),
    Picture("compare.png", compare, height=900),
    Picture("present.png", present, height=720),
    Picture("guest-phone.png", guest_on_a_phone, width=390),
)


async def take_all() -> None:
    """Take every picture into docs/images, and record the looks they were taken with."""
    expect.set_options(timeout=PATIENCE_MS)
    async with AsyncExitStack() as stack:
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        stack.push_async_callback(browser.close)
        url = stack.enter_context(running_page(StandIn(ANSWERS)))
        for picture in PICTURES_TAKEN:
            await _take(browser, url, picture)
            sys.stdout.write(f"{picture.name}\n")
    names = [picture.name for picture in PICTURES_TAKEN]
    RECORD.write_text(json.dumps({"looks": looks_digest(), "pictures": names}, indent=2) + "\n", encoding="utf-8")


async def _take(browser: Browser, url: str, picture: Picture) -> None:
    context = await browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        device_scale_factor=SHARPNESS,
        locale=picture.locale,
        color_scheme="dark" if picture.dark else "light",
        reduced_motion="reduce",
    )
    page = await context.new_page()
    await page.goto(url)
    await expect(page.locator("#meter .meter-text")).not_to_be_empty()
    await picture.act(page)
    await page.mouse.move(0, 0)
    await page.evaluate("document.activeElement.blur()")
    await page.wait_for_timeout(400)  # the copy buttons and the scroll bar fade
    (PICTURES / picture.name).write_bytes(_smaller(await page.screenshot(animations="disabled")))
    await context.close()


async def _give(page: Page, button: Locator, name: str, kind: str, data: bytes) -> None:
    async with page.expect_file_chooser() as choosing:
        await button.click()
    await (await choosing.value).set_files(FilePayload(name=name, mimeType=kind, buffer=data))


def _report() -> bytes:
    """A report of many pages, each with a heading and lines of measurements."""
    pages = []
    for number in range(1, REPORT_PAGES + 1):
        title = REPORT_TITLES[number * len(REPORT_TITLES) // (REPORT_PAGES + 1)]
        lines = (f"Point {number}.{row}: {row * number % 17 / 10} mm, last year {row} mm." for row in range(1, 33))
        pages.append("\n".join((f"{title}, sheet {number}", *lines)))
    return pdf(pages)


async def _ask(page: Page, question: str) -> None:
    answered = await page.locator("#conversation .run-line").count()
    composer = page.locator("#composer textarea")
    await composer.fill(question)
    await composer.press("Enter")
    await expect(page.locator("#conversation .run-line")).to_have_count(answered + 1)
    await expect(page.locator("#composer .stop-button")).to_have_count(0)


def _smaller(png: bytes) -> bytes:
    """The same picture in 256 colours: a page has few, and the file is a third."""
    small = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        small, "PNG", optimize=True
    )
    return small.getvalue()


def main() -> None:
    asyncio.run(take_all())
