"""Values as a browser sends them, read as what they should be: it may send anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from gradio.blocks import Block

from qwen_app.ui.shared.strings import Language

Values = Mapping[Block, object]  # what components hold when an event comes, as Gradio hands it to a handler

S = TypeVar("S")


def text(value: object) -> str:
    return str(value or "")


def number(value: object, low: float, high: float, default: float) -> float:
    """``value`` within range; ``default`` (within range too) where there is none."""
    given = value if isinstance(value, int | float) else default
    return max(min(low, high), min(high, given))


def language_of(value: object) -> Language:
    return "zh" if value == "zh" else "en"


def session_of(value: object, kind: type[S]) -> S:
    """The value of a ``gr.State``, which never leaves the server. Raises TypeError where the wiring is wrong."""
    if not isinstance(value, kind):
        raise TypeError(f"The session is a {type(value).__name__}, not a {kind.__name__}.")
    return value
