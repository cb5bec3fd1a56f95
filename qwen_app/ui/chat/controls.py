"""The settings beside the chat: the components, and the values read from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from qwen_app.chat.json_hint import asking_for_json
from qwen_app.engine.base import EngineInfo
from qwen_app.messages import JsonObject, Message, SamplingParams
from qwen_app.service import Service
from qwen_app.ui.shared.context import PageContext

LEAST_CONTEXT = 256
DEFAULT_ANSWER_TOKENS = 512
SEED_MAX = 2**31 - 1
HOTTEST = 2.0  # the highest temperature


@dataclass(frozen=True, slots=True)
class Choices:
    """What the visitor set. ``max_tokens`` bounds the answer, ``context_tokens`` prompt and answer together.

    ``problem`` names the text that says what is wrong with the settings, if anything is.
    """

    system: str
    temperature: float
    top_p: float
    max_tokens: int
    context_tokens: int
    seed: int | None
    json_mode: bool
    problem: str = ""

    def system_messages(self) -> list[Message]:
        """The system prompt, if any. In JSON mode it asks for JSON too, as the API's does."""
        written = (Message("system", self.system),) if self.system.strip() else ()
        return list(asking_for_json(written, self.grammar()))

    def reserve_tokens(self) -> int:
        """Context kept free for the answer; never so much that no question fits."""
        return min(self.max_tokens, self.context_tokens // 4)

    def sampling(self, service: Service, max_tokens: int) -> SamplingParams:
        return service.sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=max_tokens, seed=self.seed)

    def grammar(self) -> JsonObject | None:
        return JsonObject() if self.json_mode else None


def read_choices(info: EngineInfo, *values: Any) -> Choices:
    """Choices from the components' values, in the order of ``build_controls``.

    Numbers are brought within range, for a browser may send anything; an empty field means its default.
    """
    system, temperature, top_p, max_tokens, context_tokens, seed, json_mode = values
    seed_text = str(seed or "").strip()
    seed_fits = seed_text.isascii() and seed_text.isdigit() and int(seed_text[:20]) <= SEED_MAX
    context = _within(context_tokens, LEAST_CONTEXT, info.context_tokens, info.context_tokens)
    return Choices(
        system=str(system or ""),
        temperature=_within(temperature, 0.0, HOTTEST, info.sampling.temperature),
        top_p=_within(top_p, 0.01, 1.0, info.sampling.top_p),
        max_tokens=int(_within(max_tokens, 1, context, DEFAULT_ANSWER_TOKENS)),
        context_tokens=int(context),
        seed=int(seed_text) if seed_fits else None,
        json_mode=bool(json_mode),
        problem="" if seed_fits or not seed_text else "bad_seed",
    )


def _within(value: float | None, low: float, high: float, default: float) -> float:
    return max(min(low, high), min(high, default if value is None else value))


def build_controls(page: PageContext) -> list[gr.components.Component]:
    """The settings' components, in the order ``read_choices`` takes their values."""
    info = page.service.info()
    system = gr.Textbox(lines=3, max_lines=8, elem_id="system-prompt")
    json_mode = gr.Checkbox(False, elem_id="json-mode")
    temperature = gr.Slider(0, HOTTEST, info.sampling.temperature, step=0.05, buttons=[], elem_id="temperature")
    top_p = gr.Slider(0.01, 1, info.sampling.top_p, step=0.01, buttons=[], elem_id="top-p")
    longest = min(DEFAULT_ANSWER_TOKENS, info.context_tokens)
    max_tokens = gr.Slider(1, info.context_tokens, longest, step=1, buttons=[], elem_id="max-tokens")
    least = min(LEAST_CONTEXT, info.context_tokens)
    context = gr.Slider(least, info.context_tokens, info.context_tokens, step=1, buttons=[], elem_id="context-tokens")
    seed = gr.Textbox(max_lines=1, elem_id="seed")
    page.localize(system, label="system_prompt", placeholder="system_hint")
    page.localize(temperature, label="temperature", info="temperature_info")
    page.localize(top_p, label="top_p", info="top_p_info")
    page.localize(max_tokens, label="max_tokens", info="tokens_info")
    page.localize(context, label="context", info="tokens_info")
    page.localize(seed, label="seed", placeholder="seed_hint")
    page.localize(json_mode, label="json_mode", info="json_info")
    return [system, temperature, top_p, max_tokens, context, seed, json_mode]
