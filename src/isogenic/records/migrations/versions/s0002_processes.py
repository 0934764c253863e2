"""What several processes of a control site share beside the ledgers: when a site was heard, and wrong passwords in a row."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Two small tables, neither of them evidence."""
    op.execute('CREATE TABLE heard (site text COLLATE "C" PRIMARY KEY, at text COLLATE "C" NOT NULL, silent boolean NOT NULL)')
    op.execute('CREATE TABLE attempts (name text COLLATE "C" PRIMARY KEY, failures int NOT NULL, locked_until text COLLATE "C", tried text NOT NULL)')
