"""What is searched holds in one, too, what a text writes in parts; the index of words is made anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _searchable(column: str) -> str:
    """The app's own function, for bytes, as text may be damaged. A single character may stand for eighteen."""
    return f"substr(searchable(CAST({column} AS BLOB)), 1, 4 * length({column}))"


_KEPT = f"""CREATE TRIGGER passage_kept AFTER INSERT ON passages BEGIN
  INSERT INTO searched(passage, title, text)
  VALUES (new.number, {_searchable("new.title")}, {_searchable("new.text")}); END"""
_FILLED = """UPDATE searched SET title = searchable(CAST(title AS BLOB)), text = searchable(CAST(text AS BLOB))"""
_HAS_INDEX = "SELECT 1 FROM sqlite_master WHERE name = 'words'"
_REBUILT = "INSERT INTO words(words) VALUES ('rebuild')"


def upgrade() -> None:
    op.execute("DROP TRIGGER passage_kept")
    op.execute(_KEPT)
    op.execute(_FILLED)
    if op.get_bind().execute(sa.text(_HAS_INDEX)).first() is not None:
        op.execute(_REBUILT)


def downgrade() -> None:
    raise NotImplementedError("The database of an older version is one of its own: put a copy of it back.")
