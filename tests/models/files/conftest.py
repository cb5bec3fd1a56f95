from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from qwen_app.models.files.manifest import write_manifest


@pytest.fixture
def folder(tiny_qwen_dir: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model"
    shutil.copytree(tiny_qwen_dir, copy)
    write_manifest(copy, "tiny", "r1")
    return copy
