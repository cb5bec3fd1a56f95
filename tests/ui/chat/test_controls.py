from __future__ import annotations

import gradio as gr
import pytest

from qwen_app.service import Service
from qwen_app.testing.scripted_engine import ScriptedEngine
from qwen_app.ui.chat.controls import Controls
from qwen_app.ui.conversations.choices import Choices

INFO = ScriptedEngine(context_tokens=1000).info()
CONTROLS = Controls(
    system=gr.Textbox(),
    temperature=gr.Slider(),
    top_p=gr.Slider(),
    max_tokens=gr.Slider(),
    context=gr.Slider(),
    seed=gr.Textbox(),
    json_mode=gr.Checkbox(),
    start=gr.Textbox(),
    scores=gr.Checkbox(),
)
USUAL: dict[str, object] = {
    "system": "",
    "temperature": 0.7,
    "top_p": 0.8,
    "max_tokens": 100,
    "context": 1000,
    "seed": "",
    "json_mode": False,
    "start": "",
    "scores": False,
}


def read(**values: object) -> Choices:
    return CONTROLS.read({getattr(CONTROLS, name): value for name, value in (USUAL | values).items()}, INFO)


def test_what_was_set() -> None:
    choices = read(system="be brief", temperature=0, top_p=0.5, max_tokens=50, context=500, seed=" 42 ", json_mode=True)
    assert choices == Choices("be brief", 0, 0.5, 50, 500, 42, True)


def test_empty_fields_mean_the_models_defaults() -> None:
    choices = read(system=None, temperature=None, top_p=None, max_tokens=None, context=None, seed=None)
    assert choices == Choices("", 0.7, 0.8, 512, 1000, None, False)


def test_numbers_are_brought_within_range() -> None:
    choices = read(temperature=-3, top_p=9, max_tokens=10**9, context=10**9)
    assert (choices.temperature, choices.top_p, choices.max_tokens, choices.context_tokens) == (0, 1, 1000, 1000)


@pytest.mark.parametrize("seed", ["lucky", "-1", "1.5", "2147483648", "9" * 500, "²"])
def test_a_bad_seed_is_named(seed: str) -> None:
    assert (read(seed=seed).problem, read(seed=seed).seed) == ("bad_seed", None)


@pytest.mark.parametrize("seed", ["0", "2147483647"])
def test_seeds_at_the_edges(seed: str) -> None:
    assert (read(seed=seed).problem, read(seed=seed).seed) == ("", int(seed))


def test_some_context_is_always_left_for_the_question() -> None:
    assert read(max_tokens=100).reserve_tokens() == 100
    assert read(max_tokens=1000).reserve_tokens() == 250


def test_the_models_own_sampling_stays() -> None:
    sampling = read(temperature=0.1, max_tokens=12).sampling(Service(ScriptedEngine()))
    assert (sampling.temperature, sampling.max_tokens, sampling.top_k, sampling.repetition_penalty) == (
        0.1,
        12,
        20,
        1.05,
    )
