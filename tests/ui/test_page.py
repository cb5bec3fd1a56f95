"""The page as a whole: what it costs while nobody uses it, and in which order things are drawn."""

from __future__ import annotations

import asyncio
from collections import Counter

import gradio as gr
import pytest
from gradio.block_function import BlockFunction

from qwen_app.documents.document_store import DocumentStore
from qwen_app.knowledge.knowledge_base import knowledge_in_memory
from qwen_app.saved_chats.saved_chats import chats_in_memory
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.testing.scripted_engine import ScriptedEngine
from qwen_app.ui.markdown.maths import DELIMITERS
from qwen_app.ui.page import build_page, set_queue
from qwen_app.ui.shared.context import Stores
from qwen_app.uploads.table_store import TableStore


@pytest.mark.anyio
@pytest.mark.parametrize(("loop", "seldom_s"), [("start_processing", 0.01), ("start_progress_updates", 0.05)])
async def test_an_idle_queue_looks_for_events_seldom(
    loop: str, seldom_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself Gradio looks a thousand times a second: several per cent of a core for nothing."""
    blocks, slept_s, sleep, its_task = gr.Blocks(), [], asyncio.sleep, asyncio.current_task()
    set_queue(blocks)

    async def noted(delay_s: float) -> None:
        if asyncio.current_task() is not its_task:  # servers of other tests sleep too
            await sleep(delay_s)
            return
        slept_s.append(delay_s)
        blocks._queue.stopped = len(slept_s) > 2
        await sleep(0)

    monkeypatch.setattr("gradio.queueing.asyncio.sleep", noted)
    blocks._queue.stopped = False
    await getattr(blocks._queue, loop)()
    assert min(slept_s) >= seldom_s


def whole_page() -> gr.Blocks:
    stores = Stores(TableStore(), chats_in_memory(), DocumentStore(), knowledge_in_memory())
    return build_page(Service(ScriptedEngine()), Settings(), stores)


def page_handlers() -> list[BlockFunction]:
    return [function for function in whole_page().fns.values() if function.fn is not None]


@pytest.mark.anyio
async def test_answers_look_alike_and_have_formulas_on_every_tab() -> None:
    answers = [block for block in whole_page().blocks.values() if isinstance(block, gr.Markdown)]
    assert {answer.elem_id for answer in answers} >= {"live", "compare-left-answer", "files-answer", "tools-answer"}
    for answer in answers:
        assert (answer.latex_delimiters, answer.elem_classes) == (DELIMITERS, ["drawn-answer"])


@pytest.mark.anyio
async def test_what_an_event_draws_comes_by_the_one_stream_that_keeps_their_order() -> None:
    """What is not queued answers on a way of its own, and may come after what was sent later."""
    handlers = page_handlers()
    drawn_in_order = {output for handler in handlers if handler.queue for output in handler.outputs}
    others = [handler for handler in handlers if not handler.queue and drawn_in_order.intersection(handler.outputs)]
    assert drawn_in_order
    assert {event for handler in others for _, event in handler.targets} == {"load"}


@pytest.mark.anyio
async def test_an_event_that_draws_answers_may_come_again_while_it_still_carries_others() -> None:
    """It goes on as long as they do, and Gradio would drop a click that comes meanwhile."""
    drawing = [handler for handler in page_handlers() if handler.name in ("send", "command", "regenerate", "edit")]
    assert {handler.trigger_mode for handler in drawing} == {"multiple"}


@pytest.mark.anyio
async def test_no_event_that_is_kept_for_later_has_two_handlers() -> None:
    """When one is done, Gradio's browser side would send the event to both, and keep it for the other, for ever."""
    kept = [handler for handler in page_handlers() if handler.trigger_mode == "always_last"]
    listening = Counter(target for handler in kept for target in handler.targets)
    assert listening.pop((None, "then")) > 1  # each is called by itself
    assert set(listening.values()) == {1}
