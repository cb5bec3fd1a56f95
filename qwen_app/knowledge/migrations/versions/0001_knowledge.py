"""Collections, their files, passages of these with an index of their words, and vectors of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import OperationalError

revision = "0001"
down_revision = None

_INDEX = (
    "CREATE VIRTUAL TABLE words USING fts5(title, text, content='passages', content_rowid='number', tokenize='trigram')"
)
_ADDED = """CREATE TRIGGER passage_added AFTER INSERT ON passages BEGIN
  INSERT INTO words(rowid, title, text) VALUES (new.number, new.title, new.text); END"""
_REMOVED = """CREATE TRIGGER passage_removed AFTER DELETE ON passages BEGIN
  INSERT INTO words(words, rowid, title, text) VALUES ('delete', old.number, old.title, old.text); END"""


def upgrade() -> None:
    op.create_table(
        "collections",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_index("collections_of_owner", "collections", ["owner", "name"], unique=True)
    op.create_table(
        "files",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("collection_id", sa.String(64), sa.ForeignKey("collections.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("characters", sa.Integer, nullable=False),
        sa.Column("added_at", sa.Float, nullable=False),
    )
    op.create_index("files_of_collection", "files", ["collection_id", "name"], unique=True)
    op.create_table(
        "passages",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("file_id", sa.String(64), sa.ForeignKey("files.id", ondelete="CASCADE"), nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("passages_of_file", "passages", ["file_id"])
    op.create_table(
        "vectors",
        sa.Column("passage", sa.Integer, sa.ForeignKey("passages.number", ondelete="CASCADE"), primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("numbers", sa.LargeBinary, nullable=False),
    )
    _index_words()


def _index_words() -> None:
    """The index, where this SQLite has FTS5 with trigrams; without it words are looked for one by one."""
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            connection.execute(sa.text(_INDEX))
    except OperationalError:
        return
    connection.execute(sa.text(_ADDED))
    connection.execute(sa.text(_REMOVED))


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS words")
    for table in ("vectors", "passages", "files", "collections"):
        op.drop_table(table)
