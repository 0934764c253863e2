"""One connection to PostgreSQL, as this node needs it: durable, bounded, and honest about what was lost.

Guarantees: a database that would not keep what it acknowledged (fsync off, full_page_writes
off, synchronous_commit off, a standby) is refused at every connection; every wait has a limit;
every failure of the line or the server is `NotReachable`; after one, the next call connects
anew. `alone` holds a lock that all processes on this database share: it belongs to this
connection, so if the connection is lost while it is held, whatever is then written under it is
refused. A password is never in a message.
Leaves to others: what is in the tables (postgres, derived_postgres), their layout (migrations).

psycopg is imported when the first database is opened: a node that keeps files needs none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from isogenic.errors import NotReachable, NotValid

if TYPE_CHECKING:
    import psycopg

__all__ = ["SCHEMES", "Database", "driver", "public_name"]

SCHEMES = ("postgresql", "postgres")
CONNECT_S = 5  # a database that does not answer in this time is told as not there; callers try again
# What no process may hold up for longer: a lock somebody waits for, a transaction nobody goes on with. No limit for a statement:
# one that runs out while a commit waits for its standby ends the wait, and the commit is acknowledged without the standby.
LIMITS = {"lock_timeout": "5s", "statement_timeout": "0", "idle_in_transaction_session_timeout": "30s"}
NEEDED = {"fsync": ("on",), "full_page_writes": ("on",), "synchronous_commit": ("on", "remote_apply"), "transaction_read_only": ("off",)}
SERVER_MIN = 140_000  # the oldest that its makers still mend
INSTALL = "install isogenic with its extra: isogenic[scale]"


def driver() -> Any:
    """The psycopg module, or a refusal that says how to get it."""
    try:
        return import_module("psycopg")
    except ImportError as missing:
        raise NotValid("cannot keep ledgers in PostgreSQL", why=f"{missing.name or 'psycopg'} is not installed", possible=INSTALL) from missing


def public_name(url: str) -> str:
    """Which database a URL names, without who signs in and with what: for messages and logs."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return "the database"


class Database:
    """A connection that is made when it is needed and made again when it was lost. For one thread."""

    def __init__(self, url: str, *, beside: str = "", durable: bool = True) -> None:
        """`beside`: work in the schema of that ending beside the one that the URL names (`public`, if it names none).

        `durable`: False for tables that can be built anew; their commits do not wait for the disk.
        """
        if urlsplit(url).scheme not in SCHEMES:
            raise NotValid(f"cannot use {public_name(url)} as a store", why="the form is postgresql://user@host:port/database")
        self.psycopg = driver()
        self.url, self.name, self.beside, self.durable = url, public_name(url), beside, durable
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._alone: set[int] = set()  # the locks held by `alone`
        self._lost: set[int] = set()  # those that went with a connection while they were thought held
        self.connection()

    def connection(self) -> psycopg.Connection[tuple[Any, ...]]:
        """The connection, made anew if it was lost. Refused while something is done alone that is not alone any more."""
        if self._lost:
            raise NotReachable(
                f"nothing more is done in {self.name} now",
                why="the connection was lost while this process was to be alone with it",
                possible="look at what was noted, then try again",
            )
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            connection = self.psycopg.connect(
                self.url, autocommit=True, connect_timeout=CONNECT_S, application_name="isogenic", keepalives_idle=5, keepalives_interval=2
            )
        except self.psycopg.Error as trouble:
            raise NotReachable(f"cannot reach {self.name}", why=_words(trouble), possible="check the database and its address") from trouble
        try:
            self._prepare(connection)
        except self.psycopg.Error as trouble:
            connection.close()
            raise NotReachable(f"cannot use {self.name}", why=_words(trouble), possible="check the database") from trouble
        except NotValid:
            connection.close()
            raise
        return connection  # type: ignore[no-any-return]

    def _prepare(self, connection: Any) -> None:
        settings = dict(LIMITS)
        if self.beside:
            settings["search_path"] = f'"{connection.execute("SELECT current_schema()").fetchone()[0]}{self.beside}"'
        if not self.durable:
            settings["synchronous_commit"] = "off"
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        if connection.info.server_version < SERVER_MIN:
            raise NotValid(
                f"cannot use {self.name}", why=f"PostgreSQL {connection.info.server_version // 10_000} is older than {SERVER_MIN // 10_000}"
            )
        for name, good in NEEDED.items():
            found = connection.execute(f"SHOW {name}").fetchone()[0]
            if found not in good and (self.durable or name != "synchronous_commit"):
                why = f"{name} is {found}: what it acknowledges may be lost" if name != "transaction_read_only" else "it is a standby, or read-only"
                raise NotValid(f"cannot use {self.name}", why=why, possible=f"set {name} to {good[0]}")
        if connection.execute("SHOW server_encoding").fetchone()[0] != "UTF8":
            raise NotValid(f"cannot use {self.name}", why="its encoding is not UTF8", possible="create the database with ENCODING 'UTF8'")

    # ---- doing ----

    def rows(self, sql: str, values: Sequence[Any] = (), *, what: str = "cannot read the database") -> list[tuple[Any, ...]]:
        """The rows of one statement."""
        with self.told(what):
            return self.connection().cursor(binary=True).execute(sql, tuple(values)).fetchall()

    def do(self, sql: str, values: Sequence[Any] = (), *, what: str = "nothing was written") -> int:
        """One statement that writes; gives how many rows it wrote."""
        with self.told(what):
            return self.connection().execute(sql, tuple(values)).rowcount

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """Turn what the driver says into a refusal; a connection that broke is let go of."""
        try:
            yield
        except self.psycopg.Error as trouble:
            self._drop_if_broken()
            raise NotReachable(what, why=_words(trouble), possible="check the database, and try again") from trouble

    def _drop_if_broken(self) -> None:
        if self._connection is not None and (self._connection.closed or self._connection.broken):
            self._lost |= self._alone
            self.close()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, or has failed and waits to be rolled back."""
        connection = self._connection
        return connection is not None and not connection.closed and connection.info.transaction_status != self.psycopg.pq.TransactionStatus.IDLE

    @contextmanager
    def transaction(self, what: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Everything in it or nothing; it is committed when this ends, unless it was before."""
        connection = self.connection()
        with self.told(what):
            connection.execute("BEGIN")
        try:
            with self.told(what):
                yield connection
                if self.in_transaction:
                    connection.execute("COMMIT")
        finally:
            if self.in_transaction:
                with suppress(self.psycopg.Error):
                    connection.execute("ROLLBACK")

    def commit(self) -> str:
        """Commit, and give what the database warns of in doing so. Raises what the driver raises: then nobody knows."""
        connection = self.connection()
        said: list[str] = []

        def hear(notice: Any) -> None:
            said.append(str(notice.message_primary or notice.sqlstate))

        connection.add_notice_handler(hear)
        try:
            connection.execute("COMMIT")
        finally:
            connection.remove_notice_handler(hear)
        return "; ".join(said)

    @contextmanager
    def alone(self, number: int, *, what: str, wait_s: int = 0) -> Iterator[None]:
        """Be the only one on this database who does thing `number`; may be entered again while it is held.

        `wait_s`: how long to wait for whoever does it now, where that may be longer than for any other lock.
        """
        if number in self._alone:
            yield
            return
        with self.told(what):
            connection, key = self.connection(), self.key
            if wait_s:
                connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{wait_s}s",))
            try:
                connection.execute("SELECT pg_advisory_lock(%s, %s)", (key, number))
            finally:
                if wait_s and not connection.broken:
                    connection.execute("SELECT set_config('lock_timeout', %s, false)", (LIMITS["lock_timeout"],))
        self._alone.add(number)
        try:
            yield
        finally:
            self._alone.discard(number)
            if number in self._lost:
                self._lost.discard(number)
            elif self._connection is not None:
                try:
                    self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", (self.key, number))
                except self.psycopg.Error:
                    self.close()  # the lock goes with the connection

    @property
    def key(self) -> int:
        """What tells this network's locks from another's in the same database: the number of its table of ledgers."""
        found = self.rows("SELECT 'ledger'::regclass::oid::bigint")[0][0]
        return int(found) - (1 << 32) if found >= 1 << 31 else int(found)

    def close(self) -> None:
        """Let go of the connection, and with it of every lock."""
        if self._connection is not None:
            with suppress(self.psycopg.Error):
                self._connection.close()
        self._connection = None


def _words(trouble: Exception) -> str:
    """What the driver says, on one line."""
    return " ".join(str(trouble).split())[:300] or type(trouble).__name__
