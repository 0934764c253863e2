"""Tables of batches that people name: which rows are which batch's, how far it is, and in which phase.

Guarantees: what is missing is refused by its name; the batches come in the order of their first rows.
Leaves to others: reading files (tables), what the batches are for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pyarrow as pa

    from isogenic.monitoring import BatchTable

__all__ = ["BatchColumn", "Files", "MaturityColumn", "PhaseColumn", "batches_of"]

Files = Annotated[list[Path], typer.Argument(help="Tables of whole batches, as Parquet or CSV.", show_default=False)]
BatchColumn = Annotated[str, typer.Option("--batch", help="The column that names the batch. Default: each file is one.", show_default=False)]
MaturityColumn = Annotated[str, typer.Option("--maturity", help="The column that rises while a batch ripens.")]
PhaseColumn = Annotated[str, typer.Option("--phase", help="The column that names the phase, for --align phase.", show_default=False)]


def batches_of(
    path: Path, table: pa.Table, signals: list[str], *, batch: str, maturity: str, phase: str = "", absent: bool = False
) -> list[BatchTable]:
    """The batches of a table, in the order of their first rows; `absent`: a variable that is no column is missing in every row."""
    import numpy as np

    from isogenic.cli.tables import numbers
    from isogenic.errors import NotValid
    from isogenic.monitoring import BatchTable

    needed = [*([batch] if batch else []), *([phase] if phase else []), maturity, *(() if absent else signals)]
    missing = [each for each in needed if each not in table.column_names]
    there = [each for each in signals if each in table.column_names]
    if missing or 2 * len(there) < len(signals):
        why = f"it has no column {missing[0][:60]!r}" if missing else f"it has {len(there)} of the {len(signals)} variables"
        raise NotValid(f"cannot use {path}", why=why, possible=", ".join(table.column_names)[:300])
    reached = numbers(table, maturity, path=path)
    nothing = np.full(table.num_rows, np.nan)
    values = np.stack([numbers(table, each, path=path) if each in there else nothing for each in signals], axis=1)
    labels = [str(each) for each in table[batch].to_pylist()] if batch else [path.stem] * table.num_rows
    phases = ["" if each is None else str(each) for each in table[phase].to_pylist()] if phase else None
    rows: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(label, []).append(row)
    return [
        BatchTable(label, reached[each], values[each], None if phases is None else tuple(phases[row] for row in each)) for label, each in rows.items()
    ]
