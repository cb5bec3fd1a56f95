"""Each optimisation can be switched off, and answers are the same without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qwen_app.engine.local.build import build_local_engine
from qwen_app.errors import SettingsError
from qwen_app.messages import JsonSchema
from qwen_app.settings import load_settings
from qwen_app.switches import Switches
from tests.engine.contract import ask, collect
from tests.engine.local.tiny import ids_of, load_talkative

GRAMMAR = JsonSchema({"type": "object", "properties": {"colour": {"enum": ["green"]}}, "required": ["colour"]})


def test_names_are_those_of_the_fields() -> None:
    assert Switches.without(["drafts", "cuda-graphs"]) == Switches(drafts=False, cuda_graphs=False)
    assert load_settings(["--without", "drafts, few-rows"], {}).optimisations_off() == ("drafts", "few-rows")
    assert load_settings([], {}).optimisations_off() == ()


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(SettingsError, match=r"--without.*no draft: there are cuda-graphs, .*drafts"):
        load_settings(["--without", "draft"], {})


@pytest.mark.anyio
async def test_answers_are_the_same_without(tiny_qwen_dir: Path) -> None:
    answers = []
    for off in ([], *([name] for name in Switches.names())):
        engine = build_local_engine(load_talkative(tiny_qwen_dir), slots=2, context_tokens=512, without=off)
        requests = [ask("Count to ten.", max_tokens=20), ask("A colour.", max_tokens=40, grammar=GRAMMAR)] * 2
        events = [await collect(engine, replace(one, request_id=f"{n}")) for n, one in enumerate(requests)]
        answers.append([ids_of(one) for one in events])
        await engine.drain(0)
    assert answers[1:] == answers[:1] * len(Switches.names())
