"""What the menu of presets offers: ours by their keys, the visitor's own by their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from qwen_app.errors import RequestError
from qwen_app.ui.presets.preset import Preset, checked_preset, joined
from qwen_app.ui.presets.starters import STARTERS, starter_named
from qwen_app.ui.shared.strings import LANGUAGES, Language, Texts

OURS = "starter:"  # before the key of one of ours
OWN = "own:"  # before the name of one of the visitor's


@dataclass(frozen=True, slots=True)
class Chosen:
    """A preset, with a question to try it with; empty where it is the visitor's own."""

    preset: Preset
    question: str = ""


def menu(own: Sequence[Preset], language: Language) -> list[tuple[str, str]]:
    """Titles and values, the visitor's own first."""
    mine = [(preset.name, OWN + preset.name) for preset in own]
    return mine + [(starter.title_in(language), OURS + starter.key) for starter in STARTERS]


def chosen(value: str, own: Sequence[Preset], language: Language) -> Chosen | None:
    """What a value of the menu stands for; None where it is something that was typed."""
    starter = starter_named(value.removeprefix(OURS)) if value.startswith(OURS) else None
    if starter is not None:
        return Chosen(starter.preset_in(language), starter.question_in(language))
    preset = _own(value, own)
    return Chosen(preset) if preset else None


def is_visitors(system: str, own: Sequence[Preset]) -> bool:
    """Whether the visitor wrote this system prompt, and no preset keeps it."""
    ours = {system.strip() for starter in STARTERS for system in starter.system}
    return system.strip() not in {"", *ours, *(preset.system.strip() for preset in own)}


def with_saved(own: Sequence[Preset], value: str, settings: Preset, texts: Texts) -> tuple[tuple[Preset, ...], str]:
    """``own`` with ``settings`` under the name that the menu shows, and that name; one of that name is replaced.

    Raises RequestError for a name that cannot be.
    """
    name = value.removeprefix(OWN).strip()
    if not name:
        raise RequestError(texts("preset_no_name"))
    ours = {starter.title_in(language) for starter in STARTERS for language in LANGUAGES}
    starter = starter_named(value.removeprefix(OURS)) if value.startswith(OURS) else None
    if starter or name in ours:
        title = starter.title_in(texts.language) if starter else name
        raise RequestError(texts("preset_is_ours", name=title))
    settings = checked_preset(dataclasses.replace(settings, name=name), texts)
    if any(preset.name == name for preset in own):
        return tuple(settings if preset.name == name else preset for preset in own), name
    return joined(own, [settings], texts), name


def without(own: Sequence[Preset], value: str, texts: Texts) -> tuple[tuple[Preset, ...], str]:
    """``own`` without the chosen one, and its name. Raises RequestError where none of them is chosen."""
    gone = _own(value, own)
    if gone is None:
        raise RequestError(texts("preset_none_chosen"))
    return tuple(preset for preset in own if preset is not gone), gone.name


def _own(value: str, own: Sequence[Preset]) -> Preset | None:
    return next((preset for preset in own if OWN + preset.name == value), None)
