"""One API on a scripted engine for the tests that need no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qwen_app.engine.scripted import ScriptedEngine
from tests.api.serving import Api, running_api


@pytest.fixture(scope="session")
def scripted_api() -> Iterator[Api]:
    """Says "Hello, world." to everything."""
    with running_api(ScriptedEngine()) as api:
        yield api
