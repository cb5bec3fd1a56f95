"""The controls that every tab has beside its prompt, and the range of their values."""

from __future__ import annotations

import gradio as gr

from qwen_app.ui.shared.context import PageContext
from qwen_app.ui.shared.handlers import number

HOTTEST = 2.0  # the highest temperature
DEFAULT_ANSWER_TOKENS = 512
SEED_MAX = 2**31 - 1


def temperature_slider(page: PageContext, elem_id: str, start: float, **texts: str) -> gr.Slider:
    """``texts`` are more keys for ``PageContext.localize``."""
    slider = gr.Slider(0, HOTTEST, start, step=0.05, buttons=[], elem_id=elem_id)
    page.localize(slider, label="temperature", **texts)
    return slider


def max_tokens_slider(page: PageContext, elem_id: str, **texts: str) -> gr.Slider:
    most = page.service.info().context_tokens
    slider = gr.Slider(1, most, min(DEFAULT_ANSWER_TOKENS, most), step=1, buttons=[], elem_id=elem_id)
    page.localize(slider, label="max_tokens", **texts)
    return slider


def temperature_of(value: object, default: float) -> float:
    return number(value, 0.0, HOTTEST, default)


def max_tokens_of(value: object, context_tokens: float) -> int:
    return int(number(value, 1, context_tokens, DEFAULT_ANSWER_TOKENS))
