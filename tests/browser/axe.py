"""axe-core, put into the page under test."""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python
from playwright.async_api import Page

# Colours on their way from one to another are those of no state.
SETTLED = """Promise.allSettled(document.getAnimations()
  .filter((animation) => Number.isFinite(animation.effect.getComputedTiming().endTime))
  .map((animation) => animation.finished))"""
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


async def faults(page: Page, *impacts: str) -> list[str]:
    """What axe finds that is critical, serious or of the ``impacts``."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE)
    await page.evaluate(f"{SETTLED}.then(() => null)")
    found = await page.evaluate("axe.run({resultTypes: ['violations']})")
    grave = [rule for rule in found["violations"] if rule["impact"] in ("critical", "serious", *impacts)]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in grave for node in rule["nodes"]]
