"""The files of a study: Parquet, written as it goes, complete or not there.

Guarantees: memory holds one chunk; each chunk is one row group of each table, in the order of the plan; the same tables
give the same bytes. Until the last chunk is written, files carry `.part` behind their names; a study that failed leaves
none. Leaves to others: what is in the tables.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from isogenic.errors import NotReachable, NotValid

__all__ = ["Files", "path_of"]

SUFFIX = ".parquet"
MAIN = "trajectories"


def path_of(out: Path, table: str) -> Path:
    """Where a table of the study at `out` is."""
    return out if table == MAIN else out.with_name(f"{out.name.removesuffix(SUFFIX)}.{table}{SUFFIX}")


class Files:
    """The tables of one study on their way to disk."""

    def __init__(self, out: Path, schemas: Mapping[str, pa.Schema]) -> None:
        if out.suffix != SUFFIX:
            raise NotValid(f"cannot write {out.name[:80]}", why="a study is written as Parquet", possible=f"{out.stem[:80]}{SUFFIX}")
        self.out, self.schemas = out, schemas
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            for table, schema in self.schemas.items():
                self._writers[table] = pq.ParquetWriter(self._part(table), schema, compression="zstd", version="2.6")
        except OSError as trouble:
            self._leave_none()
            raise NotReachable(f"cannot write {self.out}", why=str(trouble.strerror or trouble)) from trouble
        return self

    def write(self, tables: Mapping[str, pa.Table]) -> None:
        """One chunk."""
        for name, table in tables.items():
            if table.num_rows:
                self._writers[name].write_table(table.replace_schema_metadata(self.schemas[name].metadata), row_group_size=table.num_rows)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._leave_none()
            return
        for writer in self._writers.values():
            writer.close()
        # Whoever finds the main file finds the others, too.
        for table in sorted(self.schemas, key=lambda name: name == MAIN):
            self._part(table).replace(path_of(self.out, table))

    def _leave_none(self) -> None:
        for writer in self._writers.values():
            with contextlib.suppress(OSError, pa.ArrowException):
                writer.close()
        for table in self.schemas:
            self._part(table).unlink(missing_ok=True)

    def _part(self, table: str) -> Path:
        path = path_of(self.out, table)
        return path.with_name(path.name + ".part")
