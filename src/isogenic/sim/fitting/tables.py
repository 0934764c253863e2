"""Batches from a study table: what readings there are of a site's batches, in the units of the process.

Guarantees: every column of numbers that is taken has a unit that converts to the process's; a missing one is refused by
name. Where a study has both, `X_read` (what an instrument showed) is taken and `X` (the truth, which nobody has in a real
plant) is not. Rows of each batch rise in time. Same file, same batches.
Leaves to others: other people's layouts (`importing`), settings (`documents`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from isogenic.errors import NotFound, NotValid
from isogenic.sim.fitting.problem import BATCHES_MAX, Batch
from isogenic.sim.processes.process import Floats, Process
from isogenic.units import converter

__all__ = ["READ", "read_batches"]

READ = "_read"
ROWS_MAX = 5_000_000
_KEYS = ("site", "batch", "age_h")


def read_batches(
    path: Path,
    process: Process,
    *,
    site: str = "",
    settings: Mapping[str, float] | None = None,
    of_batch: Mapping[str, Mapping[str, float]] | None = None,
    lots: Mapping[str, str] | None = None,
) -> list[Batch]:
    """The batches of one site; `settings` are those of all of them, `of_batch` those of each, `lots` what each was made of."""
    columns, units = _read(path, process)
    sites = np.array(columns["site"])
    there = list(dict.fromkeys(columns["site"]))
    if site and site not in there:
        raise NotFound(f"no batch of {site[:60]}", why="the table has none", possible=", ".join(there)[:300])
    if not site and len(there) > 1:
        raise NotValid("cannot fit", why=f"the table has batches of {len(there)} sites", possible="one of " + ", ".join(there)[:300])
    mine = np.flatnonzero(sites == (site or there[0]))
    names = np.array(columns["batch"])[mine]
    order = list(dict.fromkeys(names.tolist()))
    if len(order) > BATCHES_MAX:
        raise NotValid("cannot fit", why=f"{len(order)} batches are more than {BATCHES_MAX}", possible="a part of them")
    beside = _lots_beside(path)
    for name in [*(of_batch or {}), *(lots or {})]:
        if name not in order:
            raise NotFound(f"no batch {name[:60]}", why="settings name it, and the table has none", possible=", ".join(order)[:300])
    numbers = {name: _converted(columns[name], units[name], path=path)[mine] for name in units}
    age = numbers.pop("age_h")
    if np.isnan(age).any():
        raise NotValid(f"cannot read {path.name}", why=f"row {int(mine[np.isnan(age)][0]) + 1} has no age")
    out = []
    for name in order:
        rows = np.flatnonzero(names == name)
        # A study goes on writing rows of a batch that stopped: nothing was read there.
        read = {variable.removesuffix(READ): values[rows] for variable, values in numbers.items()}
        read = {each: values for each, values in read.items() if np.isfinite(values).any() or np.isinf(values).any()}
        run_with = {**(settings or {}), **(of_batch or {}).get(name, {})}
        out.append(Batch(name, site or there[0], age[rows], read, run_with, (lots or {}).get(name) or beside.get(name, "")))
    return out


def _read(path: Path, process: Process) -> tuple[dict[str, list[str] | pa.ChunkedArray], dict[str, tuple[str, str]]]:
    """The columns, and of each column of numbers its unit here and the process's."""
    if not path.is_file():
        raise NotFound(f"cannot read {path}", why="there is no such file")
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        _check_keys(path, schema, file.metadata.num_rows)
        wanted = _wanted(path, schema, process)
        mine = _of_process(file, schema, process, [*_KEYS, *wanted])
    except (pa.ArrowException, OSError) as trouble:
        why = str(trouble).splitlines()[0][:200] if str(trouble) else type(trouble).__name__
        raise NotValid(f"cannot read {path.name}", why=why, possible="a study table in Parquet") from trouble
    if not mine.num_rows:
        raise NotValid(f"cannot read {path.name}", why=f"it has no rows of the process {process.name}")
    out: dict[str, list[str] | pa.ChunkedArray] = {name: [str(each) for each in mine[name].to_pylist()] for name in ("site", "batch")}
    return out | {name: mine[name] for name in ("age_h", *wanted)}, {"age_h": ("h", "h")} | wanted


def _lots_beside(path: Path) -> dict[str, str]:
    """Which lot each batch is of, where a study wrote its table of batches beside that of trajectories."""
    other = path.with_name(f"{path.stem}.batches.parquet")
    if not other.is_file():
        return {}
    try:
        if not {"batch", "lot"} <= set(pq.read_schema(other).names):
            return {}
        found = pq.read_table(other, columns=["batch", "lot"])
    except (pa.ArrowException, OSError) as trouble:
        raise NotValid(
            f"cannot read {other.name}", why=str(trouble).splitlines()[0][:200], possible="the table of batches that the study wrote"
        ) from trouble
    return {str(name): str(lot) for name, lot in zip(found["batch"].to_pylist(), found["lot"].to_pylist(), strict=True) if lot}


def _of_process(file: pq.ParquetFile, schema: pa.Schema, process: Process, names: list[str]) -> pa.Table:
    if "process" not in schema.names:
        return file.read(columns=names)
    table = file.read(columns=["process", *names])
    return table.filter(pa.array([each == process.name for each in table["process"].to_pylist()]))


def _check_keys(path: Path, schema: pa.Schema, rows: int) -> None:
    lacking = [name for name in _KEYS if name not in schema.names]
    if lacking or len(set(schema.names)) != len(schema.names):
        why = f"it has no column {', '.join(lacking)}" if lacking else "two columns have the same name"
        raise NotValid(f"cannot read {path.name}", why=why, possible="a study table, as `isogenic sim import` and `isogenic sim run` write them")
    if rows > ROWS_MAX:
        raise NotValid(f"cannot read {path.name}", why=f"{rows} rows are more than {ROWS_MAX}", possible="a part of them")


def _wanted(path: Path, schema: pa.Schema, process: Process) -> dict[str, tuple[str, str]]:
    """Which columns are readings of the process's variables."""
    readings = any(name.endswith(READ) and name.removesuffix(READ) in process.variables for name in schema.names)
    out = {}
    for field in schema:
        variable = field.name.removesuffix(READ) if readings else field.name
        if variable not in process.variables or (readings and not field.name.endswith(READ)):
            continue
        if not (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
            raise NotValid(f"cannot read {path.name}", why=f"column {field.name[:60]} holds {field.type}, which is no number")
        unit = (field.metadata or {}).get(b"unit", b"").decode("utf-8", "replace")
        wanted = process.variables[variable].unit
        if not unit:
            why = f"column {field.name[:60]} has no unit"
            raise NotValid(f"cannot read {path.name}", why=why, possible=f"{wanted}, in the field's metadata: isogenic sim import")
        try:
            converter(unit, wanted)
        except NotValid as refused:
            raise NotValid(f"cannot read {path.name}", why=f"column {field.name[:60]}: {refused}") from refused
        out[field.name] = (unit, wanted)
    if not out:
        raise NotValid(f"cannot read {path.name}", why=f"no column is a variable of {process.name}", possible=", ".join(process.variables)[:300])
    return out


def _converted(column: list[str] | pa.ChunkedArray, units: tuple[str, str], *, path: Path) -> Floats:
    if isinstance(column, list):
        raise TypeError("a column of words is no number")
    try:
        values = np.asarray(column.to_numpy(), dtype=np.float64)
    except (pa.ArrowException, TypeError, ValueError) as trouble:
        raise NotValid(f"cannot read {path.name}", why=str(trouble)[:200]) from trouble
    return np.asarray(converter(*units)(values))  # type: ignore[arg-type]  # works on arrays as it stands
