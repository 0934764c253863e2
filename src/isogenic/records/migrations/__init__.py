"""The layout of ledgers in PostgreSQL, and how an older one becomes today's.

Guarantees: `migrate` brings a database to the layout that this program knows, step by step,
each step whole or not at all, one process at a time; facts, checkpoints and receipts are
never rewritten. A database of a newer program, or of another one, is refused as it stands.
Leaves to others: derived tables, which are built anew when their layout changes (derived).

Alembic and SQLAlchemy are imported when they are needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isogenic.errors import NotAllowed, NotReachable, NotValid
from isogenic.records.database import INSTALL, Database

__all__ = ["VERSIONS_TABLE", "layout", "migrate"]

VERSIONS_TABLE = "isogenic_layout"
MIGRATING = 7_301_466  # the lock of whoever changes the layout; any number nobody else uses


def _config(connection: Any = None) -> Any:
    try:
        from alembic.config import Config
    except ImportError as missing:
        raise NotValid("cannot bring a database up to date", why=f"{missing.name} is not installed", possible=INSTALL) from missing
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def _known() -> list[str]:
    """Every step this program knows, oldest first."""
    from alembic.script import ScriptDirectory

    return [each.revision for each in reversed(list(ScriptDirectory.from_config(_config()).walk_revisions()))]


def layout(database: Database) -> str | None:
    """Which layout the database has; None where it has none yet."""
    if not database.rows("SELECT to_regclass(%s) IS NOT NULL", (VERSIONS_TABLE,))[0][0]:
        return None
    rows = database.rows(f"SELECT version_num FROM {VERSIONS_TABLE}")  # noqa: S608 - a constant
    return str(rows[0][0]) if rows else None


def migrate(database: Database, *, to: str = "head") -> list[str]:
    """Bring the database up to date; gives the steps that were taken, none where it was. One process at a time; the others wait."""
    config, steps = _config(), _known()
    found = layout(database)
    if found is not None and found not in steps:
        raise NotAllowed(
            f"cannot use {database.name}",
            why=f"its layout {found} is of a newer program; this one knows {steps[-1]}",
            possible="run the newer program",
        )
    wanted = steps[-1] if to == "head" else to
    if found == wanted:
        return []
    return _steps(database, config, found, wanted, steps)


def _steps(database: Database, config: Any, found: str | None, wanted: str, steps: list[str]) -> list[str]:
    from alembic import command
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    engine = create_engine("postgresql+psycopg://", creator=lambda: database.psycopg.connect(database.url), poolclass=NullPool)
    what = f"cannot bring {database.name} up to date"
    try:
        with engine.begin() as connection:  # the lock and every step in one transaction
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": MIGRATING})
            config.attributes["connection"] = connection
            found = layout(database)  # another process may have done it while this one waited
            command.upgrade(config, wanted)
    except (SQLAlchemyError, database.psycopg.Error) as trouble:
        raise NotReachable(what, why=" ".join(str(trouble).split())[:300], possible="check the database; nothing was changed") from trouble
    return steps[steps.index(found) + 1 if found in steps else 0 : steps.index(wanted) + 1]
