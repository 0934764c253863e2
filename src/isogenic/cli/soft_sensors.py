"""Verbs on soft sensors: fit one on a table of spectra, move it to another instrument, ask it, watch it.

Tables are as `cli.spectra` reads them: those that a study writes, or one column for each wave number.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isogenic.cli.verbs import app, not_over, read_bytes

if TYPE_CHECKING:
    from isogenic.monitoring.soft_sensors import SoftSensor

soft_sensor_app = typer.Typer(help="Soft sensors: a concentration from a spectrum, with how far it can be believed.", no_args_is_help=True)
app.add_typer(soft_sensor_app, name="soft-sensor")

Table = Annotated[Path, typer.Argument(help="Spectra, as Parquet.", show_default=False)]
Sensor = Annotated[Path, typer.Argument(help="The soft sensor's file.", show_default=False)]
Batch = Annotated[str, typer.Option(help="The column that names the batch.")]
Reference = Annotated[str, typer.Option(help="The column of reference values.", show_default=False)]
Out = Annotated[Path, typer.Option(help="The file to write.", show_default=False)]
Site = Annotated[str, typer.Option(help="Only rows of this site. Default: all.", show_default=False)]
Skip = Annotated[int, typer.Option(min=0, help="Batches to leave out, in the table's order.")]
Batches = Annotated[int, typer.Option(min=0, help="At most so many batches after those. Default: all.", show_default=False)]
Unit = Annotated[str, typer.Option(help="The unit of the reference values, where the table does not say it.", show_default=False)]


@soft_sensor_app.command("fit")
def fit(
    table: Table,
    out: Out,
    reference: Reference,
    unit: Unit = "",
    quantity: Annotated[str, typer.Option(help="What is measured. Default: the reference column's name.", show_default=False)] = "",
    batch: Batch = "batch",
    site: Site = "",
    skip: Skip = 0,
    batches: Batches = 0,
    low: Annotated[float, typer.Option(help="The least wave number that is used.")] = 0.0,
    high: Annotated[float, typer.Option(help="The greatest.")] = 1e9,
) -> None:
    """Calibrate a soft sensor; batches that are left out choose it and say how good it is."""
    from isogenic.cli.spectra import Rows, read_spectra, unit_of
    from isogenic.monitoring.soft_sensors import fit_soft_sensor

    not_over([out], table)
    rows, said = read_spectra(table, Rows(batch, site, skip, batches), reference=reference, low=low, high=high)
    unit = unit_of(table, said=said, asked=unit, reference=reference)
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
    unit: Unit = "",
    batch: Batch = "batch",
    of_site: Annotated[
        str, typer.Option("--from", help="The site of the first instrument, where a table has rows of several.", show_default=False)
    ] = "",
    skip: Skip = 0,
    batches: Batches = 0,
) -> None:
    """Move a soft sensor to another site's instrument: by standards on both, by a few samples there, or by both."""
    from isogenic.cli.spectra import Rows, read_spectra
    from isogenic.errors import NotValid
    from isogenic.monitoring.soft_sensors import corrected, standardise

    not_over([out], *(each for each in (sensor, first, second, samples) if each is not None))
    moved, there = _read(sensor), site if of_site else ""
    if (first is None) != (second is None) or (first is None and samples is None):
        raise NotValid(
            f"cannot transfer {sensor}", why="it takes standards on both instruments, samples, or both", possible="--first with --second, --samples"
        )
    if first is not None and second is not None:
        one, _ = read_spectra(first, Rows(batch, of_site), channels=moved.channels)
        two, _ = read_spectra(second, Rows(batch, there), channels=moved.channels)
        if one.batches != two.batches:
            raise NotValid(f"cannot transfer {sensor}", why="the standards on both instruments are not the same, row by row")
        moved = standardise(moved, one.values, two.values, site=site)
    if samples is not None:
        known, said = read_spectra(samples, Rows(batch, there, skip, batches), reference=reference, channels=moved.channels)
        _same_unit(samples, moved, said=said, asked=unit, reference=reference)
        moved = corrected(moved, known, site=site)
    _write(moved, out)
    if moved.transfer is not None:
        print(f"{moved.name} for {site}: slope {moved.transfer.slope:.3g}, bias {moved.transfer.bias:.3g} {moved.unit}")


@soft_sensor_app.command("predict")
def predict(
    sensor: Sensor,
    table: Table,
    out: Out,
    batch: Batch = "batch",
    site: Site = "",
    skip: Skip = 0,
    batches: Batches = 0,
    coverage: Annotated[float, typer.Option(help="How often the interval shall hold the truth.")] = 0.95,
) -> None:
    """What the soft sensor says of every row: value, interval, and whether it knows such spectra."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from isogenic.cli.spectra import Rows, read_spectra

    not_over([out], sensor, table)
    known = _read(sensor)
    rows, _ = read_spectra(table, Rows(batch, site, skip, batches), channels=known.channels)
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
    unit: Unit = "",
    batch: Batch = "batch",
    site: Site = "",
    skip: Skip = 0,
    batches: Batches = 0,
    every: Annotated[float, typer.Option(help="Batches between two false alarms of a sound sensor, on average.")] = 200.0,
) -> None:
    """Whether the soft sensor still says what samples say, batch by batch; exit code 3 when it has drifted.

    A sensor that was carried to another instrument is held against its own first batches there: what a few samples left
    of a constant difference is not drift.
    """
    import numpy as np

    from isogenic.cli.spectra import Rows, read_spectra
    from isogenic.errors import NotAllowed
    from isogenic.monitoring.soft_sensors import DriftWatch

    known = _read(sensor)
    found, said = read_spectra(table, Rows(batch, site, skip, batches), reference=reference, channels=known.channels)
    _same_unit(table, known, said=said, asked=unit, reference=reference)
    rows = found.sampled()
    off = known.predict(rows.values).value - rows.reference
    watch, names = DriftWatch.of(known, every=every, centre=None if known.transfer is not None else 0.0), np.array(rows.batches)
    for name in dict.fromkeys(rows.batches):
        mean = float(np.mean(off[names == name]))
        watch = watch.after(mean)
        print(f"{name}: {mean:+.3g} {known.unit}{'  ' + watch.alarm if watch.alarm else ''}")
    if watch.alarm:
        raise NotAllowed(f"{known.name} has drifted", why=f"it {watch.alarm}", possible="look at the instrument; correct or calibrate again")
    print(f"no drift in {watch.seen} batches")


def _same_unit(path: Path, sensor: SoftSensor, *, said: str, asked: str, reference: str) -> None:
    from isogenic.cli.spectra import unit_of
    from isogenic.errors import NotValid

    unit = unit_of(path, said=said, asked=asked or ("" if said else sensor.unit), reference=reference)
    if unit != sensor.unit:
        raise NotValid(f"cannot use {path}", why=f"{reference} is in {unit}, and {sensor.name} says {sensor.unit}")


def _read(path: Path) -> SoftSensor:
    from isogenic.monitoring.soft_sensors import SoftSensor

    return SoftSensor.from_bytes(read_bytes(path))


def _write(sensor: SoftSensor, out: Path) -> None:
    out.write_bytes(sensor.to_bytes())
    print(f"{out}: {sensor.digest}")
