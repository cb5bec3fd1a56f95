from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from qwen_app.knowledge.knowledge_base import FILE, MIGRATIONS
from qwen_app.saved_chats.database import migrated, sqlite_file


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database in a folder of its own."""
    made = migrated(sqlite_file(tmp_path, FILE), MIGRATIONS)
    yield made
    made.dispose()
