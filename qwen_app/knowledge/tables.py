"""The tables, as SQLAlchemy describes them. ``migrations`` makes them, and beside them the index ``words``."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

collections = Table(
    "collections",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("collections_of_owner", "owner", "name", unique=True),
)

files = Table(
    "files",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("collection_id", String(64), ForeignKey("collections.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("characters", Integer, nullable=False),
    Column("added_at", Float, nullable=False),
    Index("files_of_collection", "collection_id", "name", unique=True),
)

passages = Table(
    "passages",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),  # the row of the index of words
    Column("file_id", String(64), ForeignKey("files.id", ondelete="CASCADE"), nullable=False),
    Column("place", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index("passages_of_file", "file_id"),
)

searched = Table(  # filled by a trigger of the migrations
    "searched",
    metadata,
    Column("passage", Integer, ForeignKey("passages.number", ondelete="CASCADE"), primary_key=True),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),  # as compounds.py has it
)

vectors = Table(
    "vectors",
    metadata,
    Column("passage", Integer, ForeignKey("passages.number", ondelete="CASCADE"), primary_key=True),
    Column("model", Text, nullable=False),
    Column("numbers", LargeBinary, nullable=False),  # float32, of length 1; none where the model takes no part of it
)
