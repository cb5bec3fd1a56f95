"""What Alembic runs to bring the knowledge base up to date: on the connection it is handed, in one transaction."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
