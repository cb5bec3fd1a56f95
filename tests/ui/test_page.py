"""The page as a whole: what it costs while nobody uses it."""

from __future__ import annotations

import asyncio

import gradio as gr
import pytest

from qwen_app.ui.page import set_queue


@pytest.mark.anyio
@pytest.mark.parametrize(("loop", "seldom_s"), [("start_processing", 0.01), ("start_progress_updates", 0.05)])
async def test_an_idle_queue_looks_for_events_seldom(
    loop: str, seldom_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself Gradio looks a thousand times a second: several per cent of a core for nothing."""
    blocks, slept_s, sleep = gr.Blocks(), [], asyncio.sleep
    set_queue(blocks)

    async def noted(delay_s: float) -> None:
        slept_s.append(delay_s)
        blocks._queue.stopped = len(slept_s) > 2
        await sleep(0)

    monkeypatch.setattr("gradio.queueing.asyncio.sleep", noted)
    blocks._queue.stopped = False
    await getattr(blocks._queue, loop)()
    assert min(slept_s) >= seldom_s
