"""What the browser gets is what Gradio's own Blocks would send, without the work for what stays as it is."""

from __future__ import annotations

import copy
import json
from typing import Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from gradio.block_function import BlockFunction
from gradio.blocks import Block
from gradio.routes import App
from gradio.state_holder import SessionState
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.ui.quick_blocks import QuickBlocks
from tests.examples import examples

pytestmark = pytest.mark.anyio


class CountedText(gr.Textbox):
    """A text box that counts how often one was made."""

    made = 0

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        CountedText.made += 1


class Page:
    """Three text boxes, and a handler of all of them and one of the first."""

    def __init__(self, kind: type[gr.Blocks]) -> None:
        with kind() as self.blocks:
            self.texts: list[Block] = [CountedText() for _ in range(3)]
            self.blocks.load(lambda: None, None, self.texts)
            self.blocks.load(lambda: None, None, self.texts[:1])
        self.every, self.first = self.blocks.default_config.fns.values()

    async def draw(self, handler: BlockFunction, predictions: object) -> list[object]:
        state = SessionState(self.blocks)
        CountedText.made = 0
        return await self.blocks.postprocess_data(handler, predictions, state)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
async def gradios(anyio_backend: str) -> Page:
    return Page(gr.Blocks)


@pytest.fixture(scope="module")
async def ours(anyio_backend: str) -> Page:  # Gradio makes loops of its own where none runs, and never closes them
    return Page(QuickBlocks)


VALUES = st.one_of(st.text(max_size=5), st.none(), st.just(gr.skip()), st.builds(gr.update, visible=st.booleans()))


def sent(drawn: list[object]) -> list[object]:
    """Without what Gradio adds to a skipped one, which changes nothing in the browser."""
    return [gr.skip() if isinstance(one, dict) and not set(one) - {"__type__", "props"} else one for one in drawn]


@settings(max_examples=examples(40))
@given(values=st.lists(VALUES, min_size=3, max_size=3), by_component=st.booleans())
async def test_a_list_or_a_mapping_draws_what_gradio_draws(
    gradios: Page, ours: Page, values: list[object], by_component: bool
) -> None:
    drawn = []
    for page in (gradios, ours):
        given = copy.deepcopy(values)  # Gradio takes parts out of updates
        drawn.append(
            sent(await page.draw(page.every, dict(zip(page.texts, given, strict=True)) if by_component else given))
        )
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("prediction", ["words", None, gr.skip(), gr.update(value="words", lines=3)], ids=str)
async def test_one_output_draws_what_gradio_draws(gradios: Page, ours: Page, prediction: object) -> None:
    theirs = await gradios.draw(gradios.first, copy.copy(prediction))
    assert await ours.draw(ours.first, copy.copy(prediction)) == theirs


async def test_one_skip_stands_for_all(ours: Page) -> None:
    assert await ours.draw(ours.every, gr.skip()) == [gr.skip()] * 3
    assert CountedText.made == 0


async def test_what_is_skipped_is_not_made_anew(ours: Page) -> None:
    assert await ours.draw(ours.every, {ours.texts[1]: "words"}) == [gr.skip(), "words", gr.skip()]
    assert CountedText.made == 0


async def test_a_component_that_is_no_output_is_refused(ours: Page) -> None:
    with pytest.raises(ValueError, match="not specified as output"):
        await ours.draw(ours.first, {ours.texts[2]: "words"})
    with pytest.raises(ValueError, match="enough output values"):
        await ours.draw(ours.every, ["words"])


async def test_a_text_is_sent_as_it_is(ours: Page) -> None:
    nested = "1. a\n   - b\n   - c"
    with QuickBlocks() as blocks:
        shown: list[Block] = [gr.Markdown(), gr.HTML()]
        blocks.load(lambda: None, None, shown)
    (handler,) = blocks.default_config.fns.values()
    assert await blocks.postprocess_data(handler, [nested, "<b>"], SessionState(blocks)) == [nested, "<b>"]


def edited(before: Any, edits: list[tuple[str, list[str | int], Any]]) -> Any:
    """``before``, changed in place as Gradio's browser side does it."""
    for action, path, value in edits:
        if not path:
            before = before + value if action == "append" else value
            continue
        part = before
        for step in path[:-1]:
            part = part[step]
        match action:
            case "delete":
                del part[path[-1]]
            case "append":
                part[path[-1]] += value
            case "add" if isinstance(part, list):
                part.insert(path[-1], value)
            case _:
                part[path[-1]] = value
    return before


UPDATES = st.one_of(
    st.just(gr.skip()),
    st.text(max_size=3),
    st.fixed_dictionaries(
        {"__type__": st.just("update")},
        optional={"value": st.text(max_size=3), "submit_btn": st.booleans(), "choices": st.lists(st.text(max_size=2))},
    ),
)


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(UPDATES, UPDATES, UPDATES), min_size=1, max_size=6))
async def test_no_update_is_lost_however_late_a_browser_draws_it(ours: Page, views: list[tuple[object, ...]]) -> None:
    """All messages are taken in before the first is drawn, as where they come together."""
    held: list[Any] = []
    queued: list[list[Any]] = []
    for number, view in enumerate(copy.deepcopy(views)):
        data = ours.blocks.handle_streaming_diffs(ours.every, list(view), "tab", "run", final=False)
        message = json.loads(json.dumps(data))
        held = message if number == 0 else [edited(*both) for both in zip(held, message, strict=True)]
        queued.append(list(held))
    last = ours.blocks.handle_streaming_diffs(ours.every, [None] * 3, "tab", "run", final=True)
    assert queued == [list(view) for view in views]
    assert last == list(views[-1])


async def test_nothing_is_described_for_each_visitor(ours: Page) -> None:
    state = SessionState(ours.blocks)
    assert list(state.components) == []
    assert state[ours.texts[0]._id] is ours.texts[0]


async def test_an_app_is_made_where_a_page_is_mounted_and_not_before(ours: Page, gradios: Page) -> None:
    ours.blocks.queue()
    assert ours.blocks.app is None
    assert isinstance(gradios.blocks.app, App)
    site = gr.mount_gradio_app(FastAPI(), ours.blocks, "/", ssr_mode=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://localhost") as browser:
        described = (await browser.get("/config")).json()
    assert len(described["dependencies"]) == 2
