"""The tables, as SQLAlchemy describes them. ``migrations`` makes them; a test holds the two equal."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

chats = Table(
    "chats",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("title", Text, nullable=False),
    Column("titled_by", String(16), nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("head_id", String(64)),
    Column("bytes", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("deleted_at", Float),
    Index("chats_of_owner", "owner", "updated_at"),
)

messages = Table(
    "messages",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),  # the order of writing
    Column("id", String(64), nullable=False, unique=True),
    Column("chat_id", String(64), ForeignKey("chats.id", ondelete="CASCADE"), nullable=False),
    Column("parent_id", String(64)),
    Column("role", String(16), nullable=False),
    Column("content", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("settings", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("messages_of_chat", "chat_id", "number"),
)

guests = Table(
    "guests",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("turns", Integer, nullable=False),
    Column("turns_used", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("revoked", Boolean, nullable=False),
)

shares = Table(
    "shares",
    metadata,
    Column("id", String(64), primary_key=True),  # the hash of the link's token
    Column("chat_id", String(64), ForeignKey("chats.id", ondelete="CASCADE"), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("head_id", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Index("shares_of_chat", "chat_id"),
)
