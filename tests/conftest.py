"""What many tests share: the built-in model, a tiny random Qwen2 and the asyncio backend."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qwen_app.models.builtin import prepare_builtin
from tests.tiny_qwen import save_tiny_qwen

ROOT = Path(__file__).resolve().parent.parent

# Nothing in the tests may reach a hub, and no QWEN_ variable of the person running them may change them.
os.environ["HF_HUB_OFFLINE"] = "1"
for _name in [name for name in os.environ if name.upper().startswith("QWEN_")]:
    del os.environ[_name]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def builtin_dir() -> Path:
    """The built-in model's folder, prepared once in the repository's models/."""
    return prepare_builtin(ROOT / "models")


@pytest.fixture(scope="session")
def tiny_qwen_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved two-layer Qwen2 of random weights, with a byte-level tokenizer and Qwen's special tokens."""
    return save_tiny_qwen(tmp_path_factory.mktemp("tiny-qwen"))
