"""The files of a study: Parquet, written as it goes, complete or not there.

Guarantees: memory holds one chunk; each chunk is one row group of each table, in the order of the plan; the same tables
give the same bytes. Until the last chunk is written, the tables are in a folder of this run alone (its name ends in
`.part`); then they come under their names together, and the tables of an older study of that name go with them. A study
that failed or was interrupted leaves nothing and changes nothing. Where the process itself is ended with force, the
`.part` folder may stay, and may be deleted.
Leaves to others: what is in the tables.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from isogenic.errors import NotReachable, NotValid
from isogenic.sim.studies.tables import MAIN, STUDY, TABLES

__all__ = ["Files", "check_out", "path_of", "paths_of"]

SUFFIX = ".parquet"


def path_of(out: Path, table: str) -> Path:
    """Where a table of the study at `out` is."""
    return out if table == MAIN else out.with_name(f"{out.name.removesuffix(SUFFIX)}.{table}{SUFFIX}")


def paths_of(out: Path) -> list[Path]:
    """Where tables of the study at `out` may be."""
    return [path_of(out, table) for table in TABLES]


def check_out(out: Path) -> None:
    """Refuse, before anything runs, where no study can be written."""
    if out.suffix != SUFFIX:
        raise NotValid(f"cannot write {out.name[:80]}", why="a study is written as Parquet", possible=f"{out.stem[:80]}{SUFFIX}")
    if not out.parent.is_dir():
        raise NotReachable(f"cannot write {out}", why=f"there is no folder {out.parent}", possible="make it first")
    for path in paths_of(out):
        if path.is_dir():
            raise NotValid(f"cannot write {path}", why="there is a folder of this name", possible="another name")


class Files:
    """The tables of one study on their way to disk."""

    def __init__(self, out: Path, schemas: Mapping[str, pa.Schema]) -> None:
        check_out(out)
        self.out, self.schemas = out, schemas
        self._writers: dict[str, Any] = {}
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        try:
            with self._reached():
                self._folder = Path(tempfile.mkdtemp(prefix=f"{self.out.stem}.", suffix=".part", dir=self.out.parent))
                for table, schema in self.schemas.items():
                    self._writers[table] = pq.ParquetWriter(self._folder / table, schema, compression="zstd", version="2.6")
        except BaseException:
            self._leave_none()
            raise
        return self

    def write(self, tables: Mapping[str, pa.Table]) -> None:
        """One chunk."""
        with self._reached():
            for name, table in tables.items():
                if table.num_rows:
                    self._writers[name].write_table(table.replace_schema_metadata(self.schemas[name].metadata), row_group_size=table.num_rows)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                with self._reached():
                    for writer in self._writers.values():
                        writer.close()
                    self._publish()
        finally:
            self._leave_none()

    def _publish(self) -> None:
        """All tables under their names; where one cannot be, everything is put back as it was."""
        assert self._folder is not None
        old = self._folder / "old"
        old.mkdir()
        aside: list[Path] = []
        placed: list[Path] = []
        with _alone_in(self.out.parent):
            try:
                # The main file goes first and comes last: whoever finds it finds the others, of the same study.
                for table in sorted(TABLES, key=lambda name: name != MAIN):
                    path = path_of(self.out, table)
                    if path.is_file() and (table in self.schemas or _is_study(path)):
                        path.replace(old / path.name)
                        aside.append(path)
                for table in sorted(self.schemas, key=lambda name: name == MAIN):
                    path = path_of(self.out, table)
                    (self._folder / table).replace(path)
                    placed.append(path)
            except BaseException:
                for path in placed:
                    path.unlink(missing_ok=True)
                for path in reversed(aside):
                    (old / path.name).replace(path)
                raise

    def _leave_none(self) -> None:
        for writer in self._writers.values():
            with contextlib.suppress(OSError, pa.ArrowException):
                writer.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except OSError as trouble:
            raise NotReachable(
                f"cannot write {self.out}", why=str(trouble.strerror or trouble), possible="a folder that you may write to, with room"
            ) from trouble


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two studies of one name that end at the same time take turns; a file system without locks goes on without."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_study(path: Path) -> bool:
    """Whether the file is a table of a study."""
    try:
        return (pq.read_schema(path).metadata or {}).get(b"isogenic") == STUDY.encode()
    except (OSError, pa.ArrowException):
        return False
