"""The sentences of all kinds that are found by their English; those of schemas last, for some begin as any other."""

from __future__ import annotations

from qwen_app.ui.words.found.faults import FAULTS
from qwen_app.ui.words.found.schemas import SCHEMAS

FOUND_AREAS = (FAULTS, SCHEMAS)
