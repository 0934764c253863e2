"""Batch tables: what a reference model is fitted from and tried on.

A `BatchTable` is one batch: a maturity for each sample (hours of batch age, or an
indicator that rises) and the values of every variable, NaN where there is none. A
`Variable` is a column with its unit. `table_batches` cuts a plain table, as read from
Parquet or CSV by the caller, into batches.

Guarantees: a table that passed `check_tables` has one shape, no infinity, and at least a
few samples; what is wrong is refused with the batch and the column named.
Leaves to others: reading files, choosing the good batches (screening).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid

__all__ = ["SAMPLES_MIN", "VALUE_MAX", "BatchTable", "Floats", "Variable", "check_tables", "present", "table_batches"]

Floats = NDArray[np.float64]
SAMPLES_MIN = 5  # fewer points do not make a trajectory
VALUE_MAX = 1e100  # beyond this no physical quantity lies, and its square would overflow: treated as missing


@dataclass(frozen=True, slots=True)
class Variable:
    """A monitored variable and its unit."""

    name: str
    unit: str


@dataclass(frozen=True, slots=True, eq=False)
class BatchTable:
    """One batch. `maturity`: float64[n]; `values`: float64[n, p] in the order of the variables, NaN where missing.

    `phases`: of each sample the phase it is in, where batches are aligned by phase; empty where that is not known.
    """

    batch: str
    maturity: Floats
    values: Floats
    phases: tuple[str, ...] | None = None


def present(values: Floats) -> NDArray[np.bool_]:
    """Where a value can be used: a number, and not an impossible one such as 1e308."""
    usable: NDArray[np.bool_] = np.abs(values) < VALUE_MAX
    return usable


def check_tables(batches: Sequence[BatchTable], variables: Sequence[Variable]) -> None:
    """Refuse tables that cannot be compared, naming the batch and what is wrong with it."""
    names = [variable.name for variable in variables]
    if len(names) < 2:
        raise NotValid("cannot use one variable alone", why="a multivariate model needs at least two")
    if len(set(names)) != len(names):
        raise NotValid("cannot use the variables", why="one name is there twice", possible=", ".join(sorted(set(names))))
    seen: set[str] = set()
    for table in batches:
        what = f"cannot use batch {table.batch[:40]}"
        if table.batch in seen:
            raise NotValid(what, why="it is there twice")
        seen.add(table.batch)
        if table.maturity.ndim != 1 or table.values.shape != (len(table.maturity), len(names)):
            raise NotValid(what, why=f"its values are {table.values.shape}, not ({len(table.maturity)}, {len(names)})")
        if len(table.maturity) < SAMPLES_MIN:
            raise NotValid(what, why=f"{len(table.maturity)} samples are fewer than {SAMPLES_MIN}")
        if not present(table.maturity).all():
            raise NotValid(what, why="its maturity has gaps", possible="leave out the samples without a maturity")


def table_batches(
    columns: Mapping[str, Any], *, batch_column: str | None, maturity_column: str | None, variables: Sequence[Variable]
) -> list[BatchTable]:
    """Cut a plain table into batches, in the order of their first rows.

    `columns` are arrays of one length. Without a `maturity_column` the row order within the
    batch counts, from 0. Without a `batch_column` the table is one batch.
    """
    wanted = [variable.name for variable in variables]
    needed = [name for name in (batch_column, maturity_column, *wanted) if name is not None]
    missing = [name for name in needed if name not in columns]
    if missing:
        raise NotValid(f"the table has no column {missing[0][:60]!r}", possible=", ".join(sorted(map(str, columns)))[:300])
    lengths = {len(columns[name]) for name in needed}
    if len(lengths) > 1:
        raise NotValid("cannot use the table", why=f"its columns are of unlike lengths: {sorted(lengths)}")
    if not wanted or lengths == {0}:
        raise NotValid("cannot use the table", why="it has no rows" if wanted else "no variable was named")
    values = np.stack([_numbers(columns[name], name=name) for name in wanted], axis=1)
    maturity = None if maturity_column is None else _numbers(columns[maturity_column], name=maturity_column)
    return [
        BatchTable(label, np.arange(len(rows), dtype=np.float64) if maturity is None else maturity[rows], values[rows])
        for label, rows in _rows_of(columns[batch_column] if batch_column is not None else [""] * len(values)).items()
    ]


def _rows_of(labels: Any) -> dict[str, NDArray[np.intp]]:
    rows: dict[str, list[int]] = {}
    for row, label in enumerate(labels.tolist() if isinstance(labels, np.ndarray) else labels):
        if label is None or label != label:
            raise NotValid("cannot use the table", why=f"row {row} names no batch")
        rows.setdefault(str(label), []).append(row)
    return {label: np.array(each, dtype=np.intp) for label, each in rows.items()}


def _numbers(column: Any, *, name: str) -> Floats:
    given = np.asarray(column)
    if given.ndim != 1 or given.dtype.kind not in "fiuO":
        raise NotValid(f"cannot use column {name[:60]!r}", why="it does not hold plain numbers")
    if given.dtype.kind == "O" and not all(each is None or (isinstance(each, (int, float)) and not isinstance(each, bool)) for each in given):
        raise NotValid(f"cannot use column {name[:60]!r}", why="it mixes numbers with something else")
    try:
        numbers = np.array([np.nan if each is None else each for each in given] if given.dtype.kind == "O" else given, dtype=np.float64)
    except OverflowError:
        raise NotValid(f"cannot use column {name[:60]!r}", why="a number in it is too large") from None
    return np.where(present(numbers), numbers, np.nan)
