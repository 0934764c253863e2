"""Ledgers: facts, checkpoints and receipts, which are never changed."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

_NEVER = """
CREATE FUNCTION never_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% are never changed or deleted', TG_ARGV[0] USING ERRCODE = 'restrict_violation'; END $$
"""


def upgrade() -> None:
    """Three tables and what guards them."""
    op.execute('CREATE TABLE ledger (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, origin text COLLATE "C" NOT NULL UNIQUE)')
    # No foreign key here: it would be looked up for every fact of a page, and costs more than the page.
    op.execute("CREATE TABLE log (ledger int NOT NULL, pos bigint NOT NULL, body bytea NOT NULL, PRIMARY KEY (ledger, pos))")
    op.execute(
        "CREATE TABLE checkpoint (ledger int NOT NULL REFERENCES ledger, size bigint NOT NULL, note bytea NOT NULL, frontier bytea NOT NULL, "
        "PRIMARY KEY (ledger, size))"
    )
    op.execute("CREATE TABLE receipt (ledger int NOT NULL REFERENCES ledger, size bigint NOT NULL, note bytea NOT NULL, PRIMARY KEY (ledger, size))")
    op.execute(_NEVER)
    for table, words in (("log", "facts"), ("checkpoint", "checkpoints"), ("ledger", "origins")):
        op.execute(
            f"CREATE TRIGGER {table}_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION never_changed('{words}')"
        )
