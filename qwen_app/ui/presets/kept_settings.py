"""The chat's settings survive: the browser keeps them, and hands them back when the page is opened again."""

from __future__ import annotations

import json
from collections.abc import Sequence

import gradio as gr
from gradio.components import Component

from qwen_app.ui.shared.context import QUICK, PageContext
from qwen_app.ui.shared.handlers import Update, Updates, entry, number, text

KEY = "chat-settings"  # in the browser's store
LIMIT_CHARS = 200_000
_READ = f"() => [localStorage.getItem('{KEY}')]"


def keep_settings(page: PageContext, components: Sequence[Component]) -> None:
    """Keep the values of ``components``, which are known by their ``elem_id``."""
    names = json.dumps([component.elem_id for component in components])
    write = (
        f"(...values) => localStorage.setItem('{KEY}', "
        f"JSON.stringify(Object.fromEntries({names}.map((name, place) => [name, values[place]]))))"
    )
    (holder, *_) = [component for component in components if isinstance(component, gr.Textbox)]

    def restore(stored: object) -> Updates:
        kept = _read(text(stored))
        return {component: _value(component, entry(kept, str(component.elem_id))) for component in components}

    page.blocks.load(restore, [holder], list(components), js=_READ, **QUICK)
    changes = [component.change for component in components if hasattr(component, "change")]
    gr.on(changes, None, list(components), js=write, api_visibility="private")


def _read(stored: str) -> object:
    try:
        return json.loads(stored) if len(stored) <= LIMIT_CHARS else None
    except (ValueError, RecursionError):
        return None


def _value(component: Component, kept: object) -> Update:
    """What the component gets back: nothing where what was kept is none of its values."""
    if isinstance(component, gr.Slider) and isinstance(kept, int | float) and not isinstance(kept, bool):
        return number(kept, component.minimum, component.maximum, component.minimum)
    if isinstance(component, gr.Textbox) and isinstance(kept, str):
        return kept
    if isinstance(component, gr.Checkbox) and isinstance(kept, bool):
        return kept
    return gr.skip()
