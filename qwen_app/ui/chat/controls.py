"""The settings beside the chat: the components, and the values read from them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from qwen_app.engine.base import EngineInfo
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.presets.kept_settings import keep_settings
from qwen_app.ui.presets.panel import PresetControls, PresetMenu
from qwen_app.ui.shared.context import PageContext
from qwen_app.ui.shared.generation_controls import (
    SEED_MAX,
    max_tokens_of,
    max_tokens_slider,
    temperature_of,
    temperature_slider,
)
from qwen_app.ui.shared.handlers import Updates, Values, number, text

LEAST_CONTEXT = 256


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
    start: gr.Textbox
    scores: gr.Checkbox

    def defaults(self, info: EngineInfo) -> Updates:
        """What they held when the page came."""
        return {
            self.system: "",
            self.temperature: info.sampling.temperature,
            self.top_p: info.sampling.top_p,
            self.max_tokens: max_tokens_of(None, info.context_tokens),
            self.context: info.context_tokens,
            self.seed: "",
            self.json_mode: False,
            self.start: "",
            self.scores: False,
        }

    def components(self) -> list[Component]:
        numbers: list[Component] = [self.temperature, self.top_p, self.max_tokens, self.context]
        return [self.system, *numbers, self.seed, self.json_mode, self.start, self.scores]

    def read(self, values: Values, info: EngineInfo) -> Choices:
        """What is set. Numbers are brought within range; an empty field means its default."""
        seed = text(values[self.seed]).strip()
        seed_fits = seed.isascii() and seed.isdigit() and int(seed[:20]) <= SEED_MAX
        context_tokens = int(number(values[self.context], LEAST_CONTEXT, info.context_tokens, info.context_tokens))
        start, json_mode = text(values[self.start]).lstrip(), bool(values[self.json_mode])
        choices = Choices(
            system=text(values[self.system]),
            temperature=temperature_of(values[self.temperature], info.sampling.temperature),
            top_p=number(values[self.top_p], 0.01, 1.0, info.sampling.top_p),
            max_tokens=max_tokens_of(values[self.max_tokens], context_tokens),
            context_tokens=context_tokens,
            seed=int(seed) if seed_fits else None,
            json_mode=json_mode,
            start=start,
            scores=bool(values[self.scores]) and info.logprobs,
            problem="" if seed_fits or not seed else "bad_seed",
        )
        if start and not choices.problem and (json_mode or not info.continues):
            return dataclasses.replace(choices, problem="start_in_json" if json_mode else "no_start")
        return choices


def build_controls(page: PageContext, composer: gr.Textbox) -> Controls:
    """Add the settings' components to the Blocks being built. ``composer`` gets the question of a preset of ours."""
    info = page.service.info()
    presets = PresetMenu(page)
    system = gr.Textbox(lines=3, max_lines=8, elem_id="system-prompt")
    json_mode = gr.Checkbox(False, elem_id="json-mode")
    temperature = temperature_slider(page, "temperature", info.sampling.temperature, info="temperature_info")
    top_p = gr.Slider(0.01, 1, info.sampling.top_p, step=0.01, buttons=[], elem_id="top-p")
    max_tokens = max_tokens_slider(page, "max-tokens", info="tokens_info")
    least = min(LEAST_CONTEXT, info.context_tokens)
    context = gr.Slider(least, info.context_tokens, info.context_tokens, step=1, buttons=[], elem_id="context-tokens")
    seed = gr.Textbox(max_lines=1, elem_id="seed")
    start = gr.Textbox(lines=1, max_lines=4, elem_id="start-with")
    scores = gr.Checkbox(False, elem_id="token-scores")
    page.localize(scores, label="scores_switch", info="scores_info" if info.logprobs else "no_logprobs")
    page.localize(start, label="start_with", placeholder="start_hint")
    page.localize(system, label="system_prompt", placeholder="system_hint")
    page.localize(top_p, label="top_p", info="top_p_info")
    page.localize(context, label="context", info="tokens_info")
    page.localize(seed, label="seed", placeholder="seed_hint")
    page.localize(json_mode, label="json_mode", info="json_info")
    controls = Controls(system, temperature, top_p, max_tokens, context, seed, json_mode, start, scores)
    keep_settings(page, controls.components())
    presets.wire(PresetControls(system, temperature, top_p, max_tokens, json_mode, composer))
    return controls
