"""The README's pictures: each is there, shows today's looks, and its words come from the stand-in."""

from __future__ import annotations

import json
import re

import pytest

from qwen_app.messages import Delta, Event, Finished, GenerationRequest, Message, Prefill, Tool, ToolCallDelta
from scripts.import_graph import ROOT
from scripts.pictures import ANSWERS, PICTURES, PICTURES_TAKEN, RECORD, looks_digest
from scripts.stand_in import Answer, StandIn

pytestmark = pytest.mark.anyio


async def events_of(engine: StandIn, *messages: Message, tools: tuple[Tool, ...] = ()) -> list[Event]:
    return [event async for event in engine.generate(GenerationRequest("r", messages, tools=tools))]


def test_every_picture_of_the_readme_is_taken() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\]\(docs/images/([\w-]+\.png)\)", readme))
    assert shown == {picture.name for picture in PICTURES_TAKEN} == {path.name for path in PICTURES.glob("*.png")}


def test_no_picture_is_older_than_the_looks() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert record["pictures"] == [picture.name for picture in PICTURES_TAKEN]
    assert record["looks"] == looks_digest(), "the page's looks have changed: run scripts/pictures"


async def test_the_stand_in_says_what_is_written_in_tokens() -> None:
    engine = StandIn({"tea": Answer("Three minutes 三分钟.")})
    *events, end = await events_of(engine, Message("user", "How long for tea?"))
    pieces = [event.text for event in events if isinstance(event, Delta)]
    assert "".join(pieces) == "Three minutes 三分钟."
    assert isinstance(end, Finished)
    assert end.usage.completion_tokens == len(pieces) < len("Three minutes 三分钟.")
    assert end.usage.reused_tokens == 0
    assert (end.seed or 0) < 2**31


async def test_the_turns_before_count_as_reused() -> None:
    engine = StandIn({"more": Answer("Yes.")})
    turns = (Message("user", "tea?"), Message("assistant", "Three minutes."), Message("user", "more"))
    read = [event for event in await events_of(engine, *turns) if isinstance(event, Prefill)]
    assert 0 < read[0].reused < read[0].total


async def test_the_stand_in_calls_before_it_answers() -> None:
    tool = Tool("calculate")
    engine = StandIn({"sum": Answer("It is 2.", calls=(("calculate", {"expression": "1 + 1"}),))})
    question = Message("user", "the sum?")
    events = await events_of(engine, question, tools=(tool,))
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("calculate", {"expression": "1 + 1"})]
    answered = await events_of(engine, question, Message("tool", "2", tool_call_id="call_0"), tools=(tool,))
    assert "".join(event.text for event in answered if isinstance(event, Delta)) == "It is 2."


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_the_answers_are_no_markup_of_the_models(answer: Answer) -> None:
    assert "<" not in answer.text.replace("<=", "").replace(" < ", "")
