"""Where Alembic begins: the connection is the one that `migrate` opened, and everything is one transaction of it."""

from __future__ import annotations

from alembic import context

from isogenic.records.migrations import VERSIONS_TABLE

if getattr(context, "config", None) is not None:  # None where this module is only imported
    context.configure(connection=context.config.attributes["connection"], version_table=VERSIONS_TABLE)
    context.run_migrations()
