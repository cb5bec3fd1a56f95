from __future__ import annotations

import asyncio
import copy
import inspect
import itertools
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import gradio as gr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.ui.shared.answer_slot import AnswerSlot
from qwen_app.ui.shared.handlers import (
    InOrder,
    Newest,
    Updates,
    changed,
    language_of,
    number,
    session_of,
    streaming,
    text,
)


@pytest.mark.parametrize(
    ("value", "read"), [(0.5, 0.5), (-3, 0), (9, 2), (None, 1), ("hot", 1), ([], 1), (math.inf, 2), (math.nan, 2)]
)
def test_numbers_are_brought_within_range(value: object, read: float) -> None:
    assert number(value, 0, 2, 1) == read


def test_a_default_out_of_range_is_brought_within_it() -> None:
    assert number(None, 1, 256, 512) == 256


def test_an_empty_field_is_empty_text() -> None:
    assert (text(None), text(""), text("a")) == ("", "", "a")


@pytest.mark.parametrize(("value", "language"), [("zh", "zh"), ("en", "en"), (None, "en"), ("fr", "en")])
def test_languages(value: object, language: str) -> None:
    assert language_of(value) == language


def test_a_session_is_what_it_should_be() -> None:
    slot = AnswerSlot()
    assert session_of(slot, AnswerSlot) is slot
    with pytest.raises(TypeError, match="is a str, not a AnswerSlot"):
        session_of("slot", AnswerSlot)


def test_none_leaves_a_component_as_it_is() -> None:
    kept, emptied = gr.HTML(), gr.HTML()
    assert changed({kept: None, emptied: ""}) == {kept: gr.skip(), emptied: ""}


@pytest.mark.anyio
async def test_a_streaming_handler_closes_what_it_started() -> None:
    part, ended = gr.HTML(), []

    async def views(values: str, request: gr.Request) -> AsyncGenerator[str, None]:
        try:
            yield values
            yield "more"
        finally:
            ended.append(values)

    def updates(view: str) -> Updates:
        return {part: view}

    handler = streaming(views, updates)
    assert inspect.isasyncgenfunction(handler)
    assert list(inspect.signature(handler).parameters) == ["values", "request"]
    async with aclosing(handler("a", gr.Request())) as shown:
        assert await anext(shown) == {part: "a"}
    assert ended == ["a"]


@pytest.mark.anyio
async def test_a_streaming_handler_without_a_view_leaves_all_outputs_as_they_are() -> None:
    nothing: tuple[str, ...] = ()

    async def views() -> AsyncGenerator[str, None]:
        for view in nothing:
            yield view

    with gr.Blocks() as page:
        outputs = [gr.Textbox("a draft"), gr.Textbox("another")]
        gr.Button().click(streaming(views, lambda view: dict.fromkeys(outputs, view)), None, outputs)
    response = await page.process_api(0, [], session_hash="tab", event_id="a")
    iterator = response["iterator"]
    while response["is_generating"]:
        assert response["data"] == [gr.skip(), gr.skip()]
        response = await page.process_api(0, [], session_hash="tab", event_id="a", iterator=iterator)
    assert response["data"] == [gr.skip(), gr.skip()]


@pytest.mark.anyio
async def test_the_last_view_is_not_drawn_again_when_a_handler_ends() -> None:
    """By then a view of another event may have been drawn over it."""

    async def views() -> AsyncGenerator[str, None]:
        yield "one"
        yield "another"

    with gr.Blocks() as page:
        output = gr.Textbox()
        gr.Button().click(streaming(views, lambda view: {output: view}), None, output)
    response = await page.process_api(0, [], session_hash="tab", event_id="a")
    drawn, iterator = [], response["iterator"]
    while response["is_generating"]:
        drawn.append(response["data"])
        response = await page.process_api(0, [], session_hash="tab", event_id="a", iterator=iterator)
    assert len(drawn) == 3
    assert response["data"] == [gr.skip()]


async def sent(views: AsyncGenerator[int, None], conversion_s: Iterator[float], to: list[int]) -> None:
    """As Gradio does: a view is converted, then sent, and then the next is asked for."""
    async for view in views:
        await asyncio.sleep(next(conversion_s))
        to.append(view)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.sampled_from([0, 0.001]), min_size=1, max_size=4), min_size=2, max_size=5),
    st.lists(st.sampled_from([0, 0, 0.001, 0.003]), min_size=1, max_size=20),
)
def test_views_are_sent_in_the_order_in_which_they_were_made(
    events: list[list[float]], conversions_s: list[float]
) -> None:
    made: list[int] = []
    reached: list[int] = []

    async def views(waits_s: list[float]) -> AsyncGenerator[int, None]:
        for wait_s in waits_s:
            await asyncio.sleep(wait_s)
            made.append(len(made))
            yield made[-1]

    async def run() -> None:
        in_order, conversion_s = InOrder(), itertools.cycle(conversions_s)
        await asyncio.gather(*(sent(in_order.of(views(waits_s)), conversion_s, reached) for waits_s in events))

    asyncio.run(run())
    assert reached == made == list(range(sum(map(len, events))))


@pytest.mark.anyio
async def test_one_that_is_asked_for_no_more_holds_the_rest_up_for_a_while_only() -> None:
    async def views(*numbers: int) -> AsyncGenerator[int, None]:
        for one in numbers:
            yield one

    in_order, reached = copy.deepcopy(InOrder(limit_s=0.05)), list[int]()
    left = in_order.of(views(1, 2))
    assert await anext(left) == 1
    at_once = itertools.repeat(0.0)
    await asyncio.gather(*(sent(in_order.of(views(n, n)), at_once, reached) for n in (3, 4, 5)))
    assert sorted(reached) == [3, 3, 4, 4, 5, 5]
    await left.aclose()
    await sent(in_order.of(views(6)), at_once, reached)
    assert reached[-1] == 6


@given(st.integers(1, 20), st.permutations(range(20)))
def test_in_whatever_order_looks_end_the_newest_alone_is_shown(count: int, order: list[int]) -> None:
    looks = Newest()
    numbers = [looks.begin() for _ in range(count)]
    ended = [numbers[place] for place in order if place < count]
    assert [number for number in ended if not looks.is_overtaken(number)] == [numbers[-1]]
