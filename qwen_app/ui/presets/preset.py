"""A preset, and the JSON file in which presets travel. What comes in is somebody's text: it is checked, field by field.

The file: ``{"format": "qwen-chat-presets", "version": 1, "presets": [{"name": ..., "system": ..., ...}]}``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qwen_app.errors import RequestError
from qwen_app.ui.shared.generation_controls import DEFAULT_ANSWER_TOKENS, HOTTEST
from qwen_app.ui.shared.strings import Texts

FORMAT = "qwen-chat-presets"
VERSION = 1
LIMIT_PRESETS = 50
LIMIT_NAME_CHARS = 60
LIMIT_SYSTEM_CHARS = 20_000
LIMIT_FILE_CHARS = 1_500_000
LONGEST_ANSWER_TOKENS = 1_000_000  # any model's; the settings bring it within the running one's


@dataclasses.dataclass(frozen=True, slots=True)
class Preset:
    """What the chat's settings become when it is chosen; ``max_tokens`` bounds the answer."""

    name: str
    system: str
    temperature: float
    top_p: float
    max_tokens: int
    json_mode: bool


class _PresetEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)

    name: str = Field(min_length=1, max_length=LIMIT_NAME_CHARS)
    system: Annotated[str, Field(max_length=LIMIT_SYSTEM_CHARS)] = ""
    temperature: Annotated[float, Field(ge=0, le=HOTTEST)] = 0.7
    top_p: Annotated[float, Field(ge=0.01, le=1)] = 1.0
    max_tokens: Annotated[int, Field(ge=1, le=LONGEST_ANSWER_TOKENS)] = DEFAULT_ANSWER_TOKENS
    json_mode: bool = False


class _PresetFile(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    format: Literal["qwen-chat-presets"]
    version: int = Field(ge=1, le=VERSION)
    presets: list[_PresetEntry] = Field(min_length=1, max_length=LIMIT_PRESETS)


def presets_json(presets: Sequence[Preset]) -> str:
    """The file of these presets."""
    entries = [dataclasses.asdict(preset) for preset in presets]
    return json.dumps({"format": FORMAT, "version": VERSION, "presets": entries}, ensure_ascii=False, indent=2)


def read_presets(text: str, texts: Texts) -> tuple[Preset, ...]:
    """The presets of a file. Raises RequestError with a sentence that names the place and what may stand there."""
    if len(text) > LIMIT_FILE_CHARS:
        raise RequestError(texts("preset_file_large", limit=f"{LIMIT_FILE_CHARS:,}"))
    try:
        found = _PresetFile.model_validate_json(text.removeprefix("\ufeff").encode(errors="replace"))
    except ValidationError as wrong:
        raise RequestError(_sentence(wrong, texts)) from None
    presets = tuple(Preset(**entry.model_dump()) for entry in found.presets)
    names = [preset.name for preset in presets]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RequestError(texts("preset_twice", name=twice))
    return presets


def checked_preset(preset: Preset, texts: Texts) -> Preset:
    """``preset`` as a file of it would be read. Raises RequestError that names the field as the page does."""
    try:
        return Preset(**_PresetEntry.model_validate(dataclasses.asdict(preset)).model_dump())
    except ValidationError as wrong:
        field = str(wrong.errors()[0]["loc"][0])
        raise RequestError(texts("preset_wrong", place=texts(_LABELS[field]), rule=texts(_RULES[field]))) from None


def joined(own: Sequence[Preset], added: Sequence[Preset], texts: Texts) -> tuple[Preset, ...]:
    """``own`` with ``added`` behind; what has the name of another gets a number. Raises RequestError for too many."""
    presets = list(own)
    for preset in added:
        names = {known.name for known in presets}
        if preset not in presets:
            presets.append(dataclasses.replace(preset, name=_free_name(preset.name, names)))
    if len(presets) > LIMIT_PRESETS:
        raise RequestError(texts("preset_too_many", limit=LIMIT_PRESETS))
    return tuple(presets)


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        ending = f" {number}"
        free = name[: LIMIT_NAME_CHARS - len(ending)] + ending
    return free


_RULES = {
    "name": "preset_rule_name",
    "system": "preset_rule_system",
    "temperature": "preset_rule_temperature",
    "top_p": "preset_rule_top_p",
    "max_tokens": "preset_rule_max_tokens",
    "json_mode": "preset_rule_json_mode",
}
_LABELS = {
    "name": "preset_label_name",
    "system": "system_prompt",
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "json_mode": "json_mode",
}


def _sentence(wrong: ValidationError, texts: Texts) -> str:
    """What is wrong first, in words of ours."""
    (first, *_) = wrong.errors(include_url=False, include_context=False, include_input=False)
    where = first["loc"]
    if first["type"] == "json_invalid":
        return texts("preset_no_json")
    if len(where) == 3:
        place, field = f"presets[{where[1]}].{where[2]}", str(where[2])
        rule = texts(_RULES[field]) if field in _RULES else texts("preset_rule_none")
        return texts("preset_wrong", place=place[:100], rule=rule)
    if where and where[0] == "presets" and len(where) == 1:
        return texts("preset_wrong", place="presets", rule=texts("preset_rule_presets"))
    return texts("preset_no_file")
