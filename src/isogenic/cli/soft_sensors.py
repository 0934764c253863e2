"""Verbs on soft sensors: fit one on a table of spectra, move it to another instrument, ask it, watch it.

A table is Parquet: a column that names the batch, one column for each wave number (its name is the number), and where
there are samples a column of reference values.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isogenic.cli.verbs import app, read_bytes

if TYPE_CHECKING:
    from isogenic.monitoring.soft_sensors import SoftSensor, Spectra

soft_sensor_app = typer.Typer(help="Soft sensors: a concentration from a spectrum, with how far it can be believed.", no_args_is_help=True)
app.add_typer(soft_sensor_app, name="soft-sensor")

Table = Annotated[Path, typer.Argument(help="Spectra, as Parquet.", show_default=False)]
Sensor = Annotated[Path, typer.Argument(help="The soft sensor's file.", show_default=False)]
Batch = Annotated[str, typer.Option(help="The column that names the batch.")]
Reference = Annotated[str, typer.Option(help="The column of reference values.", show_default=False)]
Out = Annotated[Path, typer.Option(help="The file to write.", show_default=False)]
TABLE_BYTES_MAX = 2_000_000_000  # what one process can hold in memory


@soft_sensor_app.command("fit")
def fit(
    table: Table,
    out: Out,
    reference: Reference,
    unit: Annotated[str, typer.Option(help="The unit of the reference values.")] = "g/L",
    quantity: Annotated[str, typer.Option(help="What is measured. Default: the reference column's name.", show_default=False)] = "",
    batch: Batch = "batch",
    low: Annotated[float, typer.Option(help="The least wave number that is used.")] = 0.0,
    high: Annotated[float, typer.Option(help="The greatest.")] = 1e9,
) -> None:
    """Calibrate a soft sensor; batches that are left out choose it and say how good it is."""
    from isogenic.monitoring.soft_sensors import fit_soft_sensor

    rows = _spectra(table, batch=batch, reference=reference, low=low, high=high)
    sensor = fit_soft_sensor(rows, name=out.stem, quantity=quantity or reference, unit=unit)
    _write(sensor, out)
    print(f"{sensor.quantity}: {sensor.regression.latent} latent variables from {len(sensor.validation.batches)} batches")
    print(f"error on batches left out: {sensor.error:.3g} {unit} (values {sensor.low:.3g} to {sensor.high:.3g})")


@soft_sensor_app.command("transfer")
def transfer(
    sensor: Sensor,
    out: Out,
    site: Annotated[str, typer.Option(help="The site that it is for.", show_default=False)],
    first: Annotated[Path | None, typer.Option(help="Standards on the first instrument.", show_default=False)] = None,
    second: Annotated[Path | None, typer.Option(help="The same standards, row by row, on the second.", show_default=False)] = None,
    samples: Annotated[Path | None, typer.Option(help="Samples with reference values on the second.", show_default=False)] = None,
    reference: Annotated[str, typer.Option(help="The column of reference values.")] = "reference",
    batch: Batch = "batch",
) -> None:
    """Move a soft sensor to another site's instrument: by standards on both, by a few samples there, or by both."""
    from isogenic.errors import NotValid
    from isogenic.monitoring.soft_sensors import corrected, standardise

    moved = _read(sensor)
    if (first is None) != (second is None) or (first is None and samples is None):
        raise NotValid(
            f"cannot transfer {sensor}", why="it takes standards on both instruments, samples, or both", possible="--first with --second, --samples"
        )
    if first is not None and second is not None:
        one, two = (_spectra(each, batch=batch, channels=moved.channels).values for each in (first, second))
        moved = standardise(moved, one, two, site=site)
    if samples is not None:
        moved = corrected(moved, _spectra(samples, batch=batch, reference=reference, channels=moved.channels), site=site)
    _write(moved, out)
    if moved.transfer is not None:
        print(f"{moved.name} for {site}: slope {moved.transfer.slope:.3g}, bias {moved.transfer.bias:.3g} {moved.unit}")


@soft_sensor_app.command("predict")
def predict(
    sensor: Sensor,
    table: Table,
    out: Out,
    batch: Batch = "batch",
    coverage: Annotated[float, typer.Option(help="How often the interval shall hold the truth.")] = 0.95,
) -> None:
    """What the soft sensor says of every row: value, interval, and whether it knows such spectra."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = _read(sensor)
    rows = _spectra(table, batch=batch, channels=known.channels)
    said = known.predict(rows.values, coverage=coverage)
    columns = {"value": said.value, "low": said.low, "high": said.high, "t2": said.t2, "q": said.q, "applicable": said.applicable}
    written = pa.table({batch: list(rows.batches), **columns}).replace_schema_metadata({"sensor": known.digest, "unit": known.unit})
    pq.write_table(written, out)
    print(f"{len(rows.batches)} rows, {int((~said.applicable).sum())} of a kind that {known.name} does not know")


@soft_sensor_app.command("check")
def check(
    sensor: Sensor,
    table: Table,
    reference: Reference,
    batch: Batch = "batch",
    every: Annotated[float, typer.Option(help="Batches between two false alarms of a sound sensor, on average.")] = 200.0,
) -> None:
    """Whether the soft sensor still says what samples say, batch by batch; exit code 3 when it has drifted."""
    import numpy as np

    from isogenic.errors import NotAllowed
    from isogenic.monitoring.soft_sensors import DriftWatch

    known = _read(sensor)
    rows = _spectra(table, batch=batch, reference=reference, channels=known.channels).sampled()
    off = known.predict(rows.values).value - rows.reference
    watch, names = DriftWatch.of(known, every=every), np.array(rows.batches)
    for name in dict.fromkeys(rows.batches):
        mean = float(np.mean(off[names == name]))
        watch = watch.after(mean)
        print(f"{name}: {mean:+.3g} {known.unit}{'  ' + watch.alarm if watch.alarm else ''}")
    if watch.alarm:
        raise NotAllowed(f"{known.name} has drifted", why=f"it {watch.alarm}", possible="look at the instrument; correct or calibrate again")


def _read(path: Path) -> SoftSensor:
    from isogenic.monitoring.soft_sensors import SoftSensor

    return SoftSensor.from_bytes(read_bytes(path))


def _write(sensor: SoftSensor, out: Path) -> None:
    out.write_bytes(sensor.to_bytes())
    print(f"{out}: {sensor.digest}")


def _spectra(
    path: Path, *, batch: str, reference: str = "", low: float = 0.0, high: float = 1e9, channels: tuple[float, ...] | None = None
) -> Spectra:
    """The rows of a table; with `channels`, over exactly those."""
    import math

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from isogenic.errors import NotFound, NotValid
    from isogenic.monitoring.soft_sensors import Spectra

    if not path.is_file():
        raise NotFound(f"cannot read {path}", why="there is no such file")
    if path.stat().st_size > TABLE_BYTES_MAX:
        raise NotValid(f"cannot read {path}", why=f"it has more than {TABLE_BYTES_MAX:,} bytes")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as trouble:
        raise NotValid(f"cannot read {path}", why=str(trouble)[:120], possible="a Parquet table") from trouble
    found: dict[float, str] = {}
    for name in table.column_names:
        try:
            number = float(name)
        except ValueError:
            continue
        if math.isfinite(number) and (low <= number <= high if channels is None else number in set(channels)):
            found[number] = name
    wanted = tuple(sorted(found)) if channels is None else channels
    missing = [name for name in (batch, reference) if name and name not in table.column_names] + [f"{each:g}" for each in wanted if each not in found]
    if missing or not wanted:
        raise NotValid(f"cannot use {path}", why=f"it has no column {missing[0][:60]}" if missing else "no column is named by a wave number")
    try:
        values = np.column_stack([np.asarray(table[found[each]].to_numpy(), dtype=np.float64) for each in wanted])
        answers = np.asarray(table[reference].to_numpy(), dtype=np.float64) if reference else np.full(len(values), np.nan)
    except (TypeError, ValueError, pa.ArrowException) as trouble:
        raise NotValid(f"cannot use {path}", why=f"a column does not hold plain numbers: {str(trouble)[:80]}") from trouble
    return Spectra(tuple(str(each) for each in table[batch].to_pylist()), wanted, values, answers)
