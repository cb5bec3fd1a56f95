"""Names of files lead nowhere else."""

from __future__ import annotations

import pytest

from qwen_app.models.files.names import is_plain_name


@pytest.mark.parametrize("name", ["../x.json", "/x.json", "a/b.json", "x\0.json", ".x.json", "", "x" * 300, "x\n.json"])
def test_names_that_lead_elsewhere(name: str) -> None:
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", ["config.json", "model-00001-of-00004.safetensors", "tokenizer v2.json", "a+b.txt"])
def test_names_of_files(name: str) -> None:
    assert is_plain_name(name)
