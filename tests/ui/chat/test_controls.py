from __future__ import annotations

from typing import Any

import pytest

from qwen_app.chat.json_hint import JSON_HINT
from qwen_app.messages import Message
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import ScriptedEngine
from qwen_app.ui.chat.controls import Choices, read_choices

INFO = ScriptedEngine(context_tokens=1000).info()


def read(**given: Any) -> Choices:
    usual = {
        "system": "",
        "temperature": 0.7,
        "top_p": 0.8,
        "max_tokens": 100,
        "context": 1000,
        "seed": "",
        "json": False,
    }
    return read_choices(INFO, *(usual | given).values())


def test_what_was_set() -> None:
    choices = read(system="be brief", temperature=0, top_p=0.5, max_tokens=50, context=500, seed=" 42 ", json=True)
    assert choices == Choices("be brief", 0, 0.5, 50, 500, 42, True)


@pytest.mark.parametrize("system", ["", "be brief"])
def test_json_mode_asks_for_json_too(system: str) -> None:
    (message,) = read(system=system, json=True).system_messages()
    assert message.role == "system"
    assert message.content.startswith(system)
    assert JSON_HINT in message.content


def test_a_system_prompt_that_speaks_of_json_is_left_alone() -> None:
    assert read(system="reply in JSON", json=True).system_messages() == [Message("system", "reply in JSON")]


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
    sampling = read(temperature=0.1).sampling(Service(ScriptedEngine()), 12)
    assert (sampling.temperature, sampling.max_tokens, sampling.top_k, sampling.repetition_penalty) == (
        0.1,
        12,
        20,
        1.05,
    )
