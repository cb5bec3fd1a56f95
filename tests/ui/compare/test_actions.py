from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator

import pytest

from qwen_app.errors import RequestError
from qwen_app.messages import GenerationRequest
from qwen_app.saved_chats.saved_chats import SavedChats, chats_in_memory
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.compare.actions import CompareActions
from qwen_app.ui.compare.asking import CompareTask
from qwen_app.ui.compare.comparison import SideSettings, comparisons_csv
from qwen_app.ui.compare.session import CompareSession
from qwen_app.ui.compare.view import CompareView, table_html
from qwen_app.ui.shared.strings import Texts

pytestmark = pytest.mark.anyio
ENGLISH = Texts("en")
STEADY = SideSettings("Be brief.", 0.0, 0.9, json_mode=False)
LIVELY = SideSettings("", 1.5, 0.5, json_mode=False)
TASK = CompareTask("=Name a colour", (STEADY, LIVELY), 64)


def colour(request: GenerationRequest) -> Script:
    return Script(text=("The ", "colour ", "red" if request.sampling.temperature == 0 else "blue"), token_s=0.01)


class Lab:
    def __init__(self) -> None:
        self.engine, self.session, self.saved = ScriptedEngine(colour, slots=2), CompareSession(), chats_in_memory()
        self.actions = CompareActions(Service(self.engine), self.saved)

    def views(self, task: CompareTask = TASK) -> AsyncGenerator[CompareView, None]:
        return self.actions.run(self.session, task, "ada", ENGLISH)

    async def run(self, task: CompareTask = TASK) -> list[CompareView]:
        return [view async for view in self.views(task)]


async def test_both_are_asked_at_once_with_one_seed_and_their_own_settings() -> None:
    lab = Lab()
    views = lab.views()
    await anext(views)
    await anext(views)
    left, right = lab.engine.requests  # both, before either has ended
    assert left.sampling.seed == right.sampling.seed
    assert (left.sampling.temperature, right.sampling.temperature) == (0.0, 1.5)
    assert [message.role for message in left.messages] == ["system", "user"]
    assert [message.role for message in right.messages] == ["user"]
    rest = [view async for view in views]
    assert rest[-2].answers is not None
    assert ["red" in rest[-2].answers[0], "blue" in rest[-2].answers[1]] == [True, True]
    assert "<del>red</del><ins>blue</ins>" in (rest[-1].difference or "")
    assert rest[-1].running is False


async def test_a_vote_is_recorded_and_the_table_can_be_taken_out() -> None:
    lab = Lab()
    await lab.run()
    lab.session.vote("right")
    assert "Right" in table_html(lab.session.done, ENGLISH)
    heads, row = csv.reader(io.StringIO(comparisons_csv(lab.session.done)))
    found = dict(zip(heads, row, strict=True))
    assert found["prompt"] == "'=Name a colour"  # no spreadsheet takes it for a formula
    assert (found["vote"], found["left_answer"], found["right_temperature"]) == ("right", "The colour red", "1.5")


async def test_the_answer_that_is_kept_becomes_a_chat_of_its_owner() -> None:
    lab = Lab()
    await lab.run()
    chat_id = await lab.actions.keep(lab.session, left=False, owner="browser 1", texts=ENGLISH)
    assert await loaded(lab.saved, "browser 1", chat_id) == ["=Name a colour", "The colour blue"]
    assert await loaded(lab.saved, "browser 2", chat_id) == []
    with pytest.raises(RequestError):
        await lab.actions.keep(lab.session, left=True, owner="", texts=ENGLISH)
    with pytest.raises(RequestError):
        await lab.actions.keep(CompareSession(), left=True, owner="browser 1", texts=ENGLISH)


async def loaded(saved: SavedChats, owner: str, chat_id: str) -> list[str]:
    found = await saved.run(saved.chats.load, owner, chat_id)
    return [] if found is None else [message.content for message in found.messages]


async def test_an_empty_prompt_is_told_and_a_second_click_does_nothing() -> None:
    lab = Lab()
    (told,) = await lab.run(CompareTask(" ", (STEADY, LIVELY), 64))
    assert told.notice
    first = lab.views()
    await anext(first)
    assert await lab.run() == [CompareView()]
    await first.aclose()
    assert not lab.session.slot.busy
