"""What an answer was asked for with, read back from what is saved of it, so that it can be asked for again exactly."""

from __future__ import annotations

import dataclasses

from pydantic import TypeAdapter, ValidationError

from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import Turn

_CHOICES = TypeAdapter(Choices)
_NAMES = {field.name for field in dataclasses.fields(Choices)}


def choices_again(turn: Turn) -> Choices | None:
    """The same settings, seed and sent turns. None where too little is known, as of a chat that was imported."""
    if turn.run is None:
        return None
    saved = {name: value for name, value in turn.settings.items() if name in _NAMES}
    seed = turn.run.seed if turn.run.seed is not None else saved.get("seed")
    exactly = {"json_mode": turn.json_mode, "seed": seed, "left_out": turn.run.left_out, "problem": ""}
    try:
        return _CHOICES.validate_python(saved | exactly)
    except ValidationError:
        return None
