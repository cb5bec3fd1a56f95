"""What to do about a model that is not whole: in sentences."""

from __future__ import annotations

from pathlib import Path

from qwen_app.errors import PYTHON

FETCH = f"A model is fetched with: {PYTHON} download_model.py --model NAME"


def refetch(folder: Path) -> str:
    """How ``folder`` comes to be fetched again."""
    return f"Delete {folder} to have it fetched again. {FETCH}"
