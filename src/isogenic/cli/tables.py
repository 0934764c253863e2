"""Plain tables that people name: Parquet or CSV, as columns of numbers.

Guarantees: what is not a table, is too large, or does not hold numbers is refused by its name.
Leaves to others: what the columns mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from isogenic.errors import NotFound, NotValid
from isogenic.monitoring.tables import Floats, present

__all__ = ["CELLS_MAX", "numbers", "read_table", "signals_of", "write_table"]

CELLS_MAX = 200_000_000  # 1.6 GB of numbers; more is not one table but a store
COLUMNS_MAX = 10_000


def read_table(path: Path) -> pa.Table:
    """The table in a file: CSV by its name's ending, else Parquet."""
    try:
        size = path.stat().st_size
        if path.suffix.lower() == ".csv":
            # as one block, so that the kind of a column does not hang on its first rows
            table = csv.read_csv(path, read_options=csv.ReadOptions(block_size=max(size, 1 << 16), use_threads=False))
        else:
            with pq.ParquetFile(path) as file:
                if file.metadata.num_rows * max(file.metadata.num_columns, 1) > CELLS_MAX:
                    raise NotValid(f"cannot read {path}", why=f"it has more than {CELLS_MAX} values")
                table = file.read()
    except OSError as trouble:
        raise NotFound(f"cannot read {path}", why=str(trouble.strerror or trouble)[:200]) from trouble
    except (pa.ArrowException, UnicodeDecodeError) as trouble:
        raise NotValid(f"cannot read {path}", why=str(trouble)[:200], possible="a table, as Parquet or CSV") from trouble
    names = _names(table, path)
    if len(set(names)) != len(names) or table.num_columns > COLUMNS_MAX:
        raise NotValid(f"cannot use {path}", why=f"a column is there twice, or there are more than {COLUMNS_MAX}")
    if table.num_rows == 0:
        raise NotValid(f"cannot use {path}", why="it has no rows")
    return table


def _names(table: pa.Table, path: Path) -> list[str]:
    try:
        return list(table.column_names)
    except UnicodeDecodeError as trouble:
        raise NotValid(f"cannot read {path}", why="its column names are not text in UTF-8") from trouble


def numbers(table: pa.Table, name: str, *, path: Path) -> Floats:
    """A column's numbers, NaN where there is none or an impossible one."""
    kind = table.schema.field(name).type
    if pa.types.is_null(kind):
        return np.full(table.num_rows, np.nan)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise NotValid(f"cannot use column {name[:60]!r} of {path}", why=f"it holds {kind}, not numbers")
    values = table[name].cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.where(present(values), values, np.nan)


def signals_of(tables: Sequence[pa.Table], paths: Sequence[Path]) -> tuple[list[str], dict[str, str]]:
    """The columns that are signals, and why the others are not: what every table must have, numbers that are neither clock nor label."""
    first, left_out = tables[0], dict[str, str]()
    signals = []
    for name in first.column_names:
        kinds = [table.schema.field(name).type if name in table.column_names else None for table in tables]
        if None in kinds:
            raise NotValid(f"cannot use {paths[kinds.index(None)]}", why=f"it has no column {name[:60]!r}, which {paths[0]} has")
        if not all(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) for kind in kinds if kind is not None):
            left_out[name] = "it does not hold numbers"
            continue
        columns = [numbers(table, name, path=path) for table, path in zip(tables, paths, strict=True)]
        if all(_rises(column) for column in columns):
            left_out[name] = "it rises with every row, like a clock"
        elif all(_one_value(column) for column in columns) and (
            all(column[0] % 1 == 0 for column in columns) or len({column[0] for column in columns}) > 1
        ):
            left_out[name] = "it is one number in each file, like a label"
        else:
            signals.append(name)
    return signals, left_out


def _rises(column: Floats) -> bool:
    here: NDArray[np.float64] = column[np.isfinite(column)]
    return len(here) > 1 and bool((np.diff(here) > 0).all())


def _one_value(column: Floats) -> bool:
    return bool((column == column[0]).all())


def write_table(columns: dict[str, Any], out: Path, *, said: dict[str, str]) -> None:
    """Write a table: CSV by its name's ending, else Parquet with what is said about it."""
    table = pa.table(columns)
    try:
        if out.suffix.lower() == ".csv":
            csv.write_csv(table, out)
        else:
            pq.write_table(table.replace_schema_metadata(said), out)
    except OSError as trouble:
        raise NotFound(f"cannot write {out}", why=str(trouble.strerror or trouble)[:200]) from trouble
