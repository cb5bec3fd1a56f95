"""A look at a model before it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwen_app.models.files.checkpoint import open_checkpoint


def test_files_that_nobody_listed_are_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_checkpoint(folder)
    assert caplog.text == ""
    (folder / "added_tokens.json").write_text("{}")
    open_checkpoint(folder)
    assert "they are read: added_tokens.json." in caplog.text
