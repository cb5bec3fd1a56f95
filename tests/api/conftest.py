"""APIs for the tests that need no other: on a scripted engine, on a scripted clever model, on the built-in one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from qwen_app.engine.local.build import build_local_engine
from qwen_app.engine.local.engine import LocalEngine
from qwen_app.models.loading.loader import load
from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.api.clever import clever
from tests.api.serving import Api, running_api


@pytest.fixture(scope="session")
def scripted_api() -> Iterator[Api]:
    """Says "Hello, world." to everything."""
    with running_api(ScriptedEngine()) as api:
        yield api


@pytest.fixture(scope="session")
def clever_api() -> Iterator[Api]:
    """Calls tools and fills schemas as a clever model would."""
    with running_api(ScriptedEngine(clever)) as api:
        yield api


@pytest.fixture(scope="session")
def builtin_engine(builtin_dir: Path) -> Iterator[LocalEngine]:
    engine = build_local_engine(load(builtin_dir, precision="fp32", name="builtin"), slots=4, context_tokens=2048)
    yield engine
    asyncio.run(engine.drain(0))


@pytest.fixture(scope="session")
def builtin_api(builtin_engine: LocalEngine) -> Iterator[Api]:
    """Answers with the built-in model, which is small and not clever, but real."""
    with running_api(builtin_engine) as api:
        yield api
