"""A page on a slow machine, far away: how the tests of the page are searched for races that a quick machine hides.

    HINDERED_PAGE=cpu=4,latency_ms=300 scripts/test -m browser
    HINDERED_PAGE=hands_ms=400 scripts/test -m browser    # the test is slow instead, and the page quick

A test that fails so, and passes otherwise, leans on who is first: the page or the test has a race."""

from __future__ import annotations

import os

from playwright.async_api import Page


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


async def move_away(page: Page, latency_ms: float) -> None:
    """Whatever comes to the page takes so much longer, and comes in bundles."""
    session = await page.context.new_cdp_session(page)
    network = {"offline": False, "latency": latency_ms, "downloadThroughput": -1, "uploadThroughput": -1}
    await session.send("Network.emulateNetworkConditions", network)
