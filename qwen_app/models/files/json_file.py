"""A file of JSON that somebody else made."""

from __future__ import annotations

import json
from pathlib import Path

from qwen_app.errors import ModelFilesError
from qwen_app.models.files.disk import reading
from qwen_app.models.files.refetch import refetch

# What a file that somebody else made may raise while it is read as JSON of some shape.
MISSHAPEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)
_JSON_LIMIT_BYTES = 100_000_000


def read_json(path: Path) -> dict[str, object]:
    """The JSON object in ``path``. Raises ModelFilesError, naming the file, when there is none."""
    try:
        with reading(path):
            if not path.is_file() or path.stat().st_size > _JSON_LIMIT_BYTES:  # a pipe or a device never ends
                raise ValueError("no file of JSON")
            data = json.loads(path.read_text(encoding="utf-8"))
    except MISSHAPEN as broken:
        raise ModelFilesError(f"{path} is missing or not JSON. {refetch(path.parent)}") from broken
    if not isinstance(data, dict):
        raise ModelFilesError(f"{path} does not hold a JSON object. {refetch(path.parent)}")
    return data
