from __future__ import annotations

import asyncio
import copy
import inspect
import itertools
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

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


@dataclass
class Browser:
    """What a tab gets of several events: numbers, and which event sent each. As Gradio does, a view is converted, then
    sent, and then the next is asked for."""

    conversion_s: Iterator[float] = field(default_factory=lambda: itertools.repeat(0.0))
    reached: list[int] = field(default_factory=list)
    senders: list[int] = field(default_factory=list)

    async def follow(self, views: AsyncGenerator[int, None]) -> None:
        async for view in views:
            await asyncio.sleep(next(self.conversion_s))
            self.reached.append(view)
            self.senders.append(id(views))


async def numbers(*these: int) -> AsyncGenerator[int, None]:
    for one in these:
        yield one


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.booleans(), st.lists(st.sampled_from([0, 0.001]), min_size=1, max_size=4)), min_size=2, max_size=5
    ),
    st.lists(st.sampled_from([0, 0, 0.001, 0.003]), min_size=1, max_size=20),
)
def test_views_are_sent_in_the_order_in_which_they_were_made(
    events: list[tuple[bool, list[float]]], conversions_s: list[float]
) -> None:
    made: list[int] = []

    async def views(waits_s: list[float]) -> AsyncGenerator[int, None]:
        for wait_s in waits_s:
            await asyncio.sleep(wait_s)
            made.append(len(made))
            yield made[-1]

    browser = Browser(itertools.cycle(conversions_s))

    async def run() -> None:
        in_order = InOrder[int]()
        first, *others = events
        streams = [in_order.of(views(first[1]))]
        streams += [in_order.of(views(waits_s), carries=carries) for carries, waits_s in others]
        await asyncio.gather(*(browser.follow(stream) for stream in streams))

    asyncio.run(run())
    assert sorted(browser.reached) == made == list(range(sum(len(waits_s) for _, waits_s in events)))
    if all(carries for carries, _ in events[1:]):
        assert browser.reached == made
        assert len(set(browser.senders)) == 1  # a page draws what two send in any order


@pytest.mark.anyio
async def test_one_that_carries_goes_on_until_the_others_are_over() -> None:
    in_order, browser, go = InOrder[int](), Browser(), asyncio.Event()

    async def late() -> AsyncGenerator[int, None]:
        yield 2
        await go.wait()
        yield 3

    following = asyncio.create_task(browser.follow(in_order.of(numbers(1))))
    other = asyncio.create_task(browser.follow(in_order.of(late())))
    await asyncio.sleep(0.01)
    assert browser.reached == [1, 2]
    assert not following.done()
    go.set()
    await asyncio.gather(following, other)
    assert browser.reached == [1, 2, 3]
    assert len(set(browser.senders)) == 1


@pytest.mark.anyio
async def test_what_a_narrow_event_makes_is_sent_by_itself_where_nobody_carries_it() -> None:
    in_order, browser = InOrder[int](), Browser()
    await browser.follow(in_order.of(numbers(1, 2), carries=False))
    await asyncio.gather(*(browser.follow(in_order.of(numbers(n), carries=False)) for n in (3, 4)))
    assert browser.reached == [1, 2, 3, 4]


@pytest.mark.anyio
async def test_what_is_made_while_a_narrow_event_sends_comes_after_it_and_by_one_event() -> None:
    in_order, browser = InOrder[int](), Browser(itertools.chain([0.01], itertools.repeat(0.0)))
    narrow = browser.follow(in_order.of(numbers(1), carries=False))
    await asyncio.gather(narrow, *(browser.follow(in_order.of(numbers(n))) for n in (2, 3)))
    assert browser.reached == [1, 2, 3]
    assert len(set(browser.senders)) == 2


@pytest.mark.anyio
async def test_an_event_that_fails_fails_alone() -> None:
    in_order, browser, failed = InOrder[int](), Browser(), asyncio.Event()

    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        await asyncio.sleep(0)
        raise LookupError("of the one that carries")

    async def other() -> AsyncGenerator[int, None]:
        yield 2
        await failed.wait()
        yield 3

    carrying = asyncio.create_task(browser.follow(in_order.of(failing())))
    carried = asyncio.create_task(browser.follow(in_order.of(other())))
    with pytest.raises(LookupError, match="of the one that carries"):
        await carrying
    failed.set()
    await carried
    assert browser.reached == [1, 2, 3]


@pytest.mark.anyio
async def test_what_waits_for_an_event_that_is_closed_is_sent_by_its_own() -> None:
    in_order, browser, ended = InOrder[int](limit_s=60), Browser(), asyncio.Event()

    async def closing() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.sleep(60)
        finally:
            ended.set()

    left = in_order.of(closing())
    assert await anext(left) == 1
    other = asyncio.create_task(browser.follow(in_order.of(numbers(2, 3))))
    await asyncio.sleep(0.01)
    await left.aclose()
    assert ended.is_set()
    await other
    assert browser.reached == [2, 3]


@pytest.mark.anyio
async def test_one_that_is_asked_for_no_more_holds_the_rest_up_for_a_while_only() -> None:
    in_order, browser = copy.deepcopy(InOrder[int](limit_s=0.05)), Browser()
    left = in_order.of(numbers(1, 2))
    assert await anext(left) == 1
    await asyncio.gather(*(browser.follow(in_order.of(numbers(n, n))) for n in (3, 4, 5)))
    assert sorted(browser.reached) == [3, 3, 4, 4, 5, 5]
    assert len(set(browser.senders)) == 1
    await left.aclose()
    await browser.follow(in_order.of(numbers(6)))
    assert browser.reached[-1] == 6


@given(st.integers(1, 20), st.permutations(range(20)))
def test_in_whatever_order_looks_end_the_newest_alone_is_shown(count: int, order: list[int]) -> None:
    looks = Newest()
    begun = [looks.begin() for _ in range(count)]
    ended = [begun[place] for place in order if place < count]
    assert [number for number in ended if not looks.is_overtaken(number)] == [begun[-1]]
