"""What was folded while Latin letters kept their accents is folded again, and the index of words with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_FOLDED = """UPDATE searched SET title = folded(CAST(title AS BLOB)), text = folded(CAST(text AS BLOB))"""
_HAS_INDEX = "SELECT 1 FROM sqlite_master WHERE name = 'words'"
_REBUILT = "INSERT INTO words(words) VALUES ('rebuild')"


def upgrade() -> None:
    op.execute(_FOLDED)
    if op.get_bind().execute(sa.text(_HAS_INDEX)).first() is not None:
        op.execute(_REBUILT)


def downgrade() -> None:
    raise NotImplementedError("The database of an older version is one of its own: put a copy of it back.")
