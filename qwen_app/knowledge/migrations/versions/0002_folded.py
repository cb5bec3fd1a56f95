"""What is searched is the folded text of the passages, in a table that follows theirs; the index of words is of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import OperationalError

revision = "0002"
down_revision = "0001"


def _folded(column: str) -> str:
    """The app's own function, for bytes, as text may be damaged. A single character may stand for eighteen."""
    return f"substr(folded(CAST({column} AS BLOB)), 1, 4 * length({column}))"


_KEPT = f"""CREATE TRIGGER passage_kept AFTER INSERT ON passages BEGIN
  INSERT INTO searched(passage, title, text)
  VALUES (new.number, {_folded("new.title")}, {_folded("new.text")}); END"""
_FILLED = f"""INSERT INTO searched(passage, title, text)
  SELECT number, {_folded("title")}, {_folded("text")} FROM passages"""
_INDEX = """CREATE VIRTUAL TABLE words
  USING fts5(title, text, content='searched', content_rowid='passage', tokenize='trigram')"""
_ADDED = """CREATE TRIGGER searched_added AFTER INSERT ON searched BEGIN
  INSERT INTO words(rowid, title, text) VALUES (new.passage, new.title, new.text); END"""
_REMOVED = """CREATE TRIGGER searched_removed AFTER DELETE ON searched BEGIN
  INSERT INTO words(words, rowid, title, text) VALUES ('delete', old.passage, old.title, old.text); END"""
_REBUILT = "INSERT INTO words(words) VALUES ('rebuild')"


def upgrade() -> None:
    for trigger in ("passage_added", "passage_removed"):
        op.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    op.execute("DROP TABLE IF EXISTS words")
    op.create_table(
        "searched",
        sa.Column("passage", sa.Integer, sa.ForeignKey("passages.number", ondelete="CASCADE"), primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.execute(_KEPT)
    op.execute(_FILLED)
    _index_words()


def _index_words() -> None:
    """The index, where this SQLite has FTS5 with trigrams; without it words are looked for one by one."""
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            connection.execute(sa.text(_INDEX))
    except OperationalError:
        return
    for statement in (_ADDED, _REMOVED, _REBUILT):
        connection.execute(sa.text(statement))


def downgrade() -> None:
    raise NotImplementedError("The database of an older version is one of its own: put a copy of it back.")
