"""The page in a real browser: how much of the engine's speed is seen, how soon, and what it costs the browser.

    python -m bench.ui [--quick] [--json FILE]

The engine is scripted to write 40 tokens a second, so that every figure is the page's. A token counts once it stands in
the document. ``--quick`` asks for fewer turns and browsers.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import overload

from playwright.async_api import Browser, CDPSession, Page, async_playwright, expect

from bench.browser import browser_path
from bench.long_chat import SHORT, long_chat
from bench.report import Report, benchmark_parser
from qwen_app.messages import Delta, GenerationRequest, Message, SamplingParams
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.chat.view import first_recent
from tests.browser.serving import running_page

TOKEN_S = 0.025
TOKENS = 200
SETTLED_MS = 2000  # after which a page that was opened does nothing any more
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
PATIENCE_MS = 120_000
# Notes when the number of tokens in the document grows, in milliseconds since 1970, and when the own question is there.
WATCH = """() => {
  const tokens = () => (document.getElementById("log").textContent.match(/\\bt\\d+-/g) ?? []).length;
  window.asked = [];
  window.begin = () => {
    window.seen = [];
    window.before = tokens();
  };
  window.begin();
  addEventListener("keydown", (event) => event.key === "Enter" && (window.entered = performance.now()), true);
  new MutationObserver(() => {
    const count = tokens() - window.before;
    if (count !== window.seen.at(-1)?.[0]) window.seen.push([count, performance.timeOrigin + performance.now()]);
    if (window.entered && document.querySelector(".pending, .user-row")) {
      window.asked.push(performance.now() - window.entered);
      window.entered = 0;
    }
  }).observe(document.getElementById("log"), {childList: true, subtree: true, characterData: true});
}"""
WEIGHT = """() => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
  .reduce((bytes, entry) => bytes + entry.encodedBodySize, 0)"""
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"


class Stamped(Sequence[str]):
    """The tokens of an answer, which note when they were taken."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    def __len__(self) -> int:
        return TOKENS

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice) or index >= TOKENS:
            raise IndexError(index)
        self.taken.append(time.time())
        return f"t{index}- "


ANSWERS: list[Stamped] = []  # those asked for, the newest last


def answer(request: GenerationRequest) -> Script:
    if request.messages[-1].content != "long":
        return Script((SHORT,))
    ANSWERS.append(Stamped())
    return Script(ANSWERS[-1], token_s=TOKEN_S)


async def engine_alone(report: Report) -> float:
    """Tokens a second of the engine without a page."""
    request = GenerationRequest("r", (Message("user", "long"),), sampling=SamplingParams(max_tokens=TOKENS))
    stamps = []
    async with aclosing(ScriptedEngine(answer).generate(request)) as events:
        async for event in events:
            if isinstance(event, Delta):
                stamps.append(time.monotonic())
    return report.add("tokens/s", "engine alone", (TOKENS - 1) / (stamps[-1] - stamps[0]), "1/s")


async def wait_for_answers(page: Page, turns: int) -> None:
    """Wait until all turns of the chat that the page draws are answered."""
    drawn = turns - first_recent(turns)
    await expect(page.locator("#conversation .run-card")).to_have_count(drawn, timeout=PATIENCE_MS)


async def ask(page: Page, text: str, turns: int) -> None:
    """Ask, and wait until the chat has so many answers."""
    composer = page.locator("#composer textarea")
    await composer.fill(text)
    await composer.press("Enter")
    await wait_for_answers(page, turns)


async def open_page(browser: Browser, url: str) -> Page:
    page = await (await browser.new_context(viewport={"width": 1280, "height": 900})).new_page()
    await page.goto(url)
    await page.locator("#meter .meter-text").wait_for(timeout=PATIENCE_MS)
    await page.evaluate(WATCH)
    return page


async def open_long_chat(page: Page, url: str, turns: int) -> None:
    """Open a chat that has so many answers already: it is brought in as a file, as anybody's may be."""
    made = await (await page.request.post(f"{url}/chats/import", data=json.dumps(long_chat(turns)))).json()
    await page.goto(f"{url}/?chat={made['id']}")
    await wait_for_answers(page, turns)
    await page.wait_for_timeout(SETTLED_MS)
    await page.evaluate(WATCH)


async def one_browser(report: Report, url: str, browser: Browser, long_chats: Sequence[int]) -> float:
    """Tokens a second in the document; adds what it costs as the chat grows."""
    page = await open_page(browser, url)
    report.add("first paint", "page", await page.evaluate(PAINT), "ms")
    report.add("weight, compressed", "page", await page.evaluate(WEIGHT) / 1000, "kB")
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")
    speeds, processor_s, asked_ms = [], [], []
    for turns in long_chats:
        await open_long_chat(page, url, turns - 1)
        before = await task_s(devtools)
        await ask(page, "long", turns)
        processor_s.append(await task_s(devtools) - before)
        speeds.append(add_stream(report, f"page, {turns} turns", await page.evaluate("window.seen"), ANSWERS[-1]))
        report.add("renderer CPU of an answer", f"page, {turns} turns", processor_s[-1], "s")
        asked_ms += await page.evaluate("window.asked")
        report.add("Enter to own question", f"page, {turns} turns", asked_ms[-1], "ms")
    for turns, used_s in list(zip(long_chats, processor_s, strict=True))[1:]:
        report.ratio(f"renderer CPU, {turns} turns / {long_chats[0]}", used_s, processor_s[0])
    return speeds[0]


async def task_s(devtools: CDPSession) -> float:
    """Seconds the renderer's main thread has worked."""
    metrics = await devtools.send("Performance.getMetrics")
    return float(next(metric["value"] for metric in metrics["metrics"] if metric["name"] == "TaskDuration"))


def add_stream(report: Report, who: str, seen: list[tuple[int, float]], made: Stamped) -> float:
    """Add speed, gaps and delays of one answer; its tokens a second."""
    times = [(count, at_ms / 1000) for count, at_ms in seen if 0 < count <= TOKENS]
    gaps_ms = [1000 * (later - earlier) for (_, earlier), (_, later) in pairwise(times)]
    delays_ms, shown = [], 0
    for count, at in times:
        delays_ms += [1000 * (at - made.taken[token] - TOKEN_S) for token in range(shown, count)]
        shown = max(shown, count)
    report.add("gap in the document, p95", who, statistics.quantiles(gaps_ms, n=20)[-1], "ms")
    report.add("token to document, p95", who, statistics.quantiles(delays_ms, n=20)[-1], "ms")
    return report.add("tokens/s", who, (times[-1][0] - times[0][0]) / (times[-1][1] - times[0][1]), "1/s")


async def several_browsers(report: Report, url: str, browser: Browser, number: int) -> None:
    pages = [await open_page(browser, url) for _ in range(number)]
    await asyncio.gather(*(ask(page, "long", 1) for page in pages))
    speeds = []
    for page in pages:
        times = [(count, at_ms / 1000) for count, at_ms in await page.evaluate("window.seen") if 0 < count <= TOKENS]
        speeds.append((times[-1][0] - times[0][0]) / (times[-1][1] - times[0][1]))
    report.add("tokens/s, slowest", f"page, {number} browsers", min(speeds), "1/s")


async def measure(quick: bool) -> Report:
    report = Report("The page in a browser")
    alone = await engine_alone(report)
    engine = ScriptedEngine(answer, slots=16, context_tokens=32768)
    with running_page(engine, chat_titles=False) as url:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
            seen = await one_browser(report, url, browser, (2, 20) if quick else (2, 60, 200))
            report.ratio("tokens/s, page / engine alone", seen, alone)
            await several_browsers(report, url, browser, 2 if quick else 8)
            await browser.close()
    return report


def main() -> None:
    arguments = benchmark_parser(__doc__, quick="fewer turns and browsers").parse_args()
    asyncio.run(measure(arguments.quick)).finish(arguments.json)


if __name__ == "__main__":
    main()
