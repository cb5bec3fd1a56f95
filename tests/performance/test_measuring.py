from __future__ import annotations

from contextlib import aclosing

import pytest

from qwen_app.errors import EngineError
from qwen_app.messages import GenerationRequest, Message, Queued
from qwen_app.performance.measuring import Measurement, is_busy
from qwen_app.performance.prompts import PromptMaker
from qwen_app.performance.values import BenchRun, Size, sizes_that_fit
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine

pytestmark = pytest.mark.anyio
WRITING = Script(("word ",) * 400, token_s=0.001)


async def runs(service: Service, *sizes: Size, alone: bool = True) -> list[BenchRun]:
    async with aclosing(Measurement(service, user="ada", alone=alone).run(sizes)) as snapshots:
        return [run async for run in snapshots]


def test_only_what_fits_is_measured() -> None:
    assert sizes_that_fit((4096, 1024, 1024, 99_999), (8, 1), 8192, 4) == (Size(1024, 1), Size(4096, 1))


async def test_every_size_has_its_figure() -> None:
    engine = ScriptedEngine(WRITING)
    run = (await runs(Service(engine), Size(600, 1), Size(600, 3)))[-1]
    assert run.end == "done"
    one, three = run.figures
    assert 300 < one.prompt_tokens <= 450
    assert one.first_token_s <= one.slowest_s
    assert 0 < one.total_tokens_per_s <= 1000
    assert three.total_tokens_per_s > three.user_tokens_per_s > 0
    assert len(engine.requests) == 2 * (1 + 3)
    assert engine.requests[0].sampling.ignore_eos
    questions = {request.messages[0].content for request in engine.requests}
    assert len(questions) == 4


async def test_it_makes_way_for_others() -> None:
    engine = ScriptedEngine(lambda request: Script(("word ",) * 2000, token_s=0.01))
    service = Service(engine)
    ends, joined = [], False
    async with (
        aclosing(service.generate(GenerationRequest("theirs", (Message("user", "hello"),), user="bob"))) as other,
        aclosing(Measurement(service, user="ada").run((Size(600, 1),))) as snapshots,
    ):
        async for run in snapshots:
            ends.append(run.end)
            while run.answered and not joined:
                joined = isinstance(await anext(other), Queued)
    assert ends[-1] == "others"
    assert not is_busy(service)


async def test_what_fails_is_told_and_ends_the_run() -> None:
    service = Service(ScriptedEngine(Script(error=EngineError("The engine broke."))))
    run = (await runs(service, Size(600, 2), Size(600, 1)))[-1]
    assert (run.end, run.problem, run.figures) == ("failed", "The engine broke.", ())


async def test_closing_it_cancels_all_that_runs() -> None:
    engine = ScriptedEngine(Script(("word ",) * 2000, token_s=0.01))
    service = Service(engine)
    async with aclosing(Measurement(service, user="ada").run((Size(600, 4),))) as snapshots:
        async for run in snapshots:
            if run.answered == 4:
                break
    assert not is_busy(service)


@pytest.mark.parametrize("tokens", [120, 1000, 7000])
async def test_questions_have_the_length_that_was_asked_for(tokens: int) -> None:
    service = Service(ScriptedEngine())
    prompts = PromptMaker(service)
    first, second = await prompts.make(tokens), await prompts.make(tokens)
    assert 0.8 * tokens <= await service.count_tokens([first]) <= tokens
    assert first.content[:40] != second.content[:40]


async def test_too_few_tokens_to_measure_with() -> None:
    run = (await runs(Service(ScriptedEngine()), Size(20, 1)))[-1]
    assert run.end == "failed"
    assert "too few" in run.problem
