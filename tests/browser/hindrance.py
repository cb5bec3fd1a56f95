"""A page on a slow machine, far away: how the tests of the page are searched for races that a quick machine hides.

    HINDERED_PAGE=cpu=4,latency_ms=300 scripts/test -m browser
    HINDERED_PAGE=hands_ms=400 scripts/test -m browser    # the test is slow instead, and the page quick
    HINDERED_PAGE=events_ms=700 scripts/test -m browser   # Gradio's events come after our own requests
    HINDERED_PAGE=routes_ms=700 scripts/test -m browser   # and the other way round
    HINDERED_PAGE=answers_ms=700 scripts/test -m browser  # what is not queued comes after what was queued later

A test that fails so, and passes otherwise, leans on who is first: the page or the test has a race."""

from __future__ import annotations

import os
import re
from contextlib import suppress

import anyio
from playwright.async_api import Error, Page, Route

_EVENTS = re.compile(r"/gradio_api/(queue/join|run/predict)\b")
_UNQUEUED = re.compile(r"/gradio_api/run/predict\b")
_ROUTES = re.compile(r"^[^?]*/(chats|uploads|share-link|guest|ready|presenter)\b")


def _hindrance() -> dict[str, float]:
    parts = filter(None, os.environ.get("HINDERED_PAGE", "").split(","))
    return {name: float(value) for name, _, value in (part.partition("=") for part in parts)}


def hands_ms() -> float:
    """How long the test waits before each thing that it does on a page."""
    return _hindrance().get("hands_ms", 0)


async def hinder(page: Page) -> None:
    """Make a page's processor so many times slower, and each request's way so much longer, if that is asked for."""
    wished = _hindrance()
    if "cpu" in wished:
        session = await page.context.new_cdp_session(page)
        await session.send("Emulation.setCPUThrottlingRate", {"rate": wished["cpu"]})
    if "latency_ms" in wished:
        await move_away(page, wished["latency_ms"])
    for name, address in (("events_ms", _EVENTS), ("routes_ms", _ROUTES)):
        if name in wished:
            await _delay(page, address, wished[name] / 1000)
    if "answers_ms" in wished:
        await _delay_answers(page, _UNQUEUED, wished["answers_ms"] / 1000)


async def move_away(page: Page, latency_ms: float) -> None:
    """Whatever comes to the page takes so much longer, and comes in bundles."""
    session = await page.context.new_cdp_session(page)
    network = {"offline": False, "latency": latency_ms, "downloadThroughput": -1, "uploadThroughput": -1}
    await session.send("Network.emulateNetworkConditions", network)


async def _delay(page: Page, address: re.Pattern[str], delay_s: float) -> None:
    """Requests to ``address`` set out so much later."""

    async def late(route: Route) -> None:
        await anyio.sleep(delay_s)
        await route.fallback()

    await page.route(address, late)


async def _delay_answers(page: Page, address: re.Pattern[str], delay_s: float) -> None:
    """What ``address`` answers comes so much later."""

    async def late(route: Route) -> None:
        with suppress(Error):  # the page is closed meanwhile
            answer = await route.fetch()
            await anyio.sleep(delay_s)
            await route.fulfill(response=answer)

    await page.route(address, late)
