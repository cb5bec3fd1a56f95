from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator
from contextlib import aclosing

import gradio as gr
import pytest

from qwen_app.ui.shared.updates import Updates, changed, streaming

pytestmark = pytest.mark.anyio


def test_none_leaves_a_component_as_it_is() -> None:
    kept, emptied = gr.HTML(), gr.HTML()
    assert changed({kept: None, emptied: ""}) == {kept: gr.skip(), emptied: ""}


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
