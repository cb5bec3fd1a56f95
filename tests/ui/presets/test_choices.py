from __future__ import annotations

import dataclasses

import pytest

from qwen_app.errors import RequestError
from qwen_app.ui.presets.choices import chosen, is_visitors, menu, with_saved, without
from qwen_app.ui.presets.preset import Preset, checked_preset
from qwen_app.ui.presets.starters import STARTERS, is_starters_question
from qwen_app.ui.presets.tasks import TABS, tasks_html
from qwen_app.ui.shared.strings import LANGUAGES, Language, Texts

ENGLISH = Texts("en")
BRIEF = Preset("brief", "Be brief.", 0.2, 0.9, 128, json_mode=False)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_preset_of_ours_can_be_chosen_and_is_a_preset(language: Language) -> None:
    for title, value in menu((), language):
        found = chosen(value, (), language)
        assert found is not None
        assert found.preset.name == title
        assert found.question
        assert checked_preset(found.preset, Texts(language)) == found.preset


def test_ones_own_come_first_and_what_is_typed_is_none() -> None:
    assert menu([BRIEF], "en")[0] == ("brief", "own:brief")
    assert chosen("own:brief", [BRIEF], "en") is not None
    assert chosen("brief", [BRIEF], "en") is None
    assert chosen("starter:nothing", [BRIEF], "en") is None


def test_a_preset_is_saved_under_what_was_typed_and_replaced_by_its_name() -> None:
    own, name = with_saved((), " brief ", BRIEF, ENGLISH)
    assert (own, name) == ((BRIEF,), "brief")
    hotter = dataclasses.replace(BRIEF, temperature=1.0)
    assert with_saved(own, "own:brief", hotter, ENGLISH) == ((hotter,), "brief")


@pytest.mark.parametrize("value", ["", "  ", "starter:maths", "Maths tutor", "数学老师", "x" * 61])
def test_names_that_cannot_be(value: str) -> None:
    with pytest.raises(RequestError):
        with_saved((), value, BRIEF, ENGLISH)


def test_what_cannot_be_saved_is_named_as_on_the_page() -> None:
    with pytest.raises(RequestError, match=r"^The name of a preset must be a text of 1 to 60 characters\.$"):
        with_saved((), "x" * 61, BRIEF, ENGLISH)
    with pytest.raises(RequestError, match=r"^System prompt must be a text of at most 20,000 characters\.$"):
        with_saved((), "long", dataclasses.replace(BRIEF, system="x" * 20_001), ENGLISH)
    with pytest.raises(RequestError, match=r"^预设的名称 必须是1 到 60 个字符的文本。$"):
        with_saved((), "x" * 61, BRIEF, Texts("zh"))


def test_ones_own_alone_can_be_deleted() -> None:
    assert without([BRIEF], "own:brief", ENGLISH) == ((), "brief")
    with pytest.raises(RequestError, match="of your own"):
        without([BRIEF], "starter:maths", ENGLISH)


def test_every_task_is_offered() -> None:
    html = tasks_html(ENGLISH)
    for part in [
        *(f'data-preset="starter:{starter.key}"' for starter in STARTERS),
        *(f'href="#{tab}"' for tab in TABS),
    ]:
        assert part in html


def test_a_prompt_is_the_visitors_where_no_preset_keeps_it() -> None:
    ours = [system for starter in STARTERS for system in starter.system]
    assert not any(is_visitors(system, [BRIEF]) for system in ("", " \n", BRIEF.system, f" {ours[0]}\n", *ours))
    assert is_visitors("Be brief.", [])
    assert is_visitors(ours[0] + " Please.", [BRIEF])


def test_questions_of_ours_are_known_in_every_language() -> None:
    assert all(is_starters_question(f"{question}\n") for starter in STARTERS for question in starter.question)
    assert not is_starters_question("")
    assert not is_starters_question(STARTERS[0].question[0][:-1])
