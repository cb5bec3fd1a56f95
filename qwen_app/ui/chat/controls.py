"""The settings beside the chat: the components, and the values read from them."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from qwen_app.engine.base import EngineInfo
from qwen_app.messages import JsonObject, Message, SamplingParams
from qwen_app.service import Service
from qwen_app.ui.shared.context import PageContext
from qwen_app.ui.shared.generation_controls import (
    SEED_MAX,
    max_tokens_of,
    max_tokens_slider,
    temperature_of,
    temperature_slider,
)
from qwen_app.ui.shared.handlers import Values, number, text

LEAST_CONTEXT = 256


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
        return [Message("system", self.system)] if self.system.strip() else []

    def reserve_tokens(self) -> int:
        """Context kept free for the answer; never so much that no question fits."""
        return min(self.max_tokens, self.context_tokens // 4)

    def sampling(self, service: Service) -> SamplingParams:
        return service.sampling(
            temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens, seed=self.seed
        )

    def grammar(self) -> JsonObject | None:
        return JsonObject() if self.json_mode else None


@dataclass(frozen=True, slots=True)
class Controls:
    """The settings' components."""

    system: gr.Textbox
    temperature: gr.Slider
    top_p: gr.Slider
    max_tokens: gr.Slider
    context: gr.Slider
    seed: gr.Textbox
    json_mode: gr.Checkbox

    def components(self) -> set[Block]:
        numbers: set[Block] = {self.temperature, self.top_p, self.max_tokens, self.context}
        return numbers | {self.system, self.seed, self.json_mode}

    def read(self, values: Values, info: EngineInfo) -> Choices:
        """What is set. Numbers are brought within range; an empty field means its default."""
        seed = text(values[self.seed]).strip()
        seed_fits = seed.isascii() and seed.isdigit() and int(seed[:20]) <= SEED_MAX
        context_tokens = int(number(values[self.context], LEAST_CONTEXT, info.context_tokens, info.context_tokens))
        return Choices(
            system=text(values[self.system]),
            temperature=temperature_of(values[self.temperature], info.sampling.temperature),
            top_p=number(values[self.top_p], 0.01, 1.0, info.sampling.top_p),
            max_tokens=max_tokens_of(values[self.max_tokens], context_tokens),
            context_tokens=context_tokens,
            seed=int(seed) if seed_fits else None,
            json_mode=bool(values[self.json_mode]),
            problem="" if seed_fits or not seed else "bad_seed",
        )


def build_controls(page: PageContext) -> Controls:
    """Add the settings' components to the Blocks being built."""
    info = page.service.info()
    system = gr.Textbox(lines=3, max_lines=8, elem_id="system-prompt")
    json_mode = gr.Checkbox(False, elem_id="json-mode")
    temperature = temperature_slider(page, "temperature", info.sampling.temperature, info="temperature_info")
    top_p = gr.Slider(0.01, 1, info.sampling.top_p, step=0.01, buttons=[], elem_id="top-p")
    max_tokens = max_tokens_slider(page, "max-tokens", info="tokens_info")
    least = min(LEAST_CONTEXT, info.context_tokens)
    context = gr.Slider(least, info.context_tokens, info.context_tokens, step=1, buttons=[], elem_id="context-tokens")
    seed = gr.Textbox(max_lines=1, elem_id="seed")
    page.localize(system, label="system_prompt", placeholder="system_hint")
    page.localize(top_p, label="top_p", info="top_p_info")
    page.localize(context, label="context", info="tokens_info")
    page.localize(seed, label="seed", placeholder="seed_hint")
    page.localize(json_mode, label="json_mode", info="json_info")
    return Controls(system, temperature, top_p, max_tokens, context, seed, json_mode)
