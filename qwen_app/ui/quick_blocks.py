"""Gradio's Blocks, but what stays as it is costs nothing: answers are drawn twenty times a second on the event loop."""

from __future__ import annotations

import copy
import importlib.util
import sys
from types import ModuleType
from typing import Any, cast

import gradio as gr
import gradio.blocks
from gradio.block_function import BlockFunction
from gradio.blocks import Block, BlocksConfig, convert_component_dict_to_list
from gradio.renderable import Renderable
from gradio.routes import App
from gradio.state_holder import SessionState

SKIPPED = gr.skip()
SENT_AS_THEY_ARE = (gr.HTML, gr.Markdown)

if importlib.util.find_spec("matplotlib") is None:  # Gradio searches all folders for it before and after each snapshot
    cast(dict[str, ModuleType | None], sys.modules).setdefault("matplotlib", None)


class QuickBlocks(gr.Blocks):
    """For a component that is skipped, Gradio makes the component anew, and its description with a JSON schema twice:
    two milliseconds each, at every snapshot of every answer. Here Gradio sees what changes alone, and of that no text:
    it would wait for a thread to hand it back, and Markdown's indents would be moved.

    Gradio tells every output of an event how far it is, each time it hears of it, and for that copies all that the
    component holds, the whole Chatbot too. This page says in its own words what goes on, so no component is told.

    For each new visitor Gradio describes all components again, for deep links: tens of milliseconds, and memory for as
    long as the visitor is remembered. This page has no such links.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.default_config = _Described(self)

    def __exit__(self, *args: Any, **kwargs: Any) -> None:
        for function in self.fns.values():
            function.show_progress_on = []
        super().__exit__(*args, **kwargs)

    async def postprocess_data(
        self, block_fn: BlockFunction, predictions: list[Any] | dict[Any, Any], state: SessionState | None
    ) -> list[Any]:
        """What the browser gets, for each of the handler's outputs in turn. Raises what Gradio raises."""
        outputs = list(block_fn.outputs)
        if predictions == SKIPPED:
            return [SKIPPED.copy() for _ in outputs]
        if isinstance(predictions, dict) and predictions:
            predictions = convert_component_dict_to_list(outputs, predictions)
        if not isinstance(predictions, list | tuple) or len(predictions) != len(outputs) or len(outputs) == 1:
            return await super().postprocess_data(block_fn, predictions, state)
        drawn: list[Any] = [SKIPPED.copy() for _ in outputs]
        changed = [number for number, value in enumerate(predictions) if value != SKIPPED]
        for number in changed:
            if isinstance(predictions[number], str) and type(outputs[number]) in SENT_AS_THEY_ARE:
                drawn[number] = predictions[number]
                continue
            one = copy.copy(block_fn)
            one.outputs = [outputs[number]]
            drawn[number] = (await super().postprocess_data(one, predictions[number], state))[0]
        return drawn

    def handle_streaming_diffs(
        self,
        block_fn: BlockFunction,
        data: list[Any],
        session_hash: str | None,
        run: str | None,
        final: bool,
        simple_format: bool = False,
    ) -> list[Any]:
        """``data`` as it differs from what the browser got before, for each output in turn.

        Gradio's browser side edits what came before in place, drawn or not: of an update that another follows at once
        it would draw what both have. So where properties change, they are sent whole.
        """
        whole = data.copy()
        sent: list[Any] = super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)
        if final:
            return sent
        return [
            [["replace", [], new]] if _is_update(new) and isinstance(edits, list) else edits
            for new, edits in zip(whole, sent, strict=True)
        ]


def _is_update(value: object) -> bool:
    """Whether ``value`` changes a component's properties, rather than being its value."""
    return isinstance(value, dict) and value.get("__type__") == "update"


class _AppsWhereMounted:
    """Gradio makes an app of its Blocks when they begin, when they end and when their queue is set, each with a hundred
    routes: most of the time that a page takes to build. None of them is used where the Blocks are mounted.
    """

    @staticmethod
    def create_app(blocks: gr.Blocks, *args: Any, **kwargs: Any) -> App | None:
        return None if isinstance(blocks, QuickBlocks) else App.create_app(blocks, *args, **kwargs)


cast(Any, gradio.blocks).App = _AppsWhereMounted


class _Described(BlocksConfig):
    """All components, of which each visitor gets a copy."""

    def __copy__(self) -> BlocksConfig:
        mine = _OfVisitor(self.root_block)
        mine.blocks, mine.fns, mine.renderables = self.blocks.copy(), self.fns.copy(), self.renderables.copy()
        mine.fn_id = self.fn_id
        return mine


class _OfVisitor(BlocksConfig):
    @staticmethod
    def config_for_block(
        _id: int, rendered_ids: list[int], block: Block, renderable: Renderable | None = None
    ) -> dict[str, Any]:
        """Nothing, which Gradio passes over."""
        return {}
