"""What Alembic runs to bring a database up to date: on the connection it is handed, in one transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

LOCK = 7860  # PostgreSQL's advisory lock: of several servers that start together, one migrates

connection = context.config.attributes["connection"]
context.configure(connection=connection)
with context.begin_transaction():
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    context.run_migrations()
