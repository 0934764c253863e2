"""Verbs on forecasts: fit one on batches of which the end is known, and let it say what a running one will come to. No network is needed.

Tables are Parquet or CSV with a column for each variable and a row for each reading; a column names
the batch, or each file is a batch. The qualities stand in a table of their own, a row for each batch.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isogenic.cli.batch_tables import BatchColumn, Files, MaturityColumn, batches_of
from isogenic.cli.monitor import Out, monitor_app
from isogenic.cli.verbs import not_over, read_bytes

if TYPE_CHECKING:
    import pyarrow as pa

    from isogenic.monitoring.forecasting import Forecaster

BATCHES_ON_SCREEN = 20
LIMIT = re.compile(r"\s*(?P<name>[^<>=]+?)\s*(?P<side><=|>=|<|>)\s*(?P<number>[-+.\deE]+)\s*")


@monitor_app.command("fit-forecast")
def fit_forecast(
    tables: Files,
    out: Out,
    quality: Annotated[
        Path | None, typer.Option(help="A table with a row for each batch: its name and its qualities at the end.", show_default=False)
    ] = None,
    batch: BatchColumn = "",
    maturity: MaturityColumn = "maturity",
    coverage: Annotated[float, typer.Option(help="The share of batches that are to end within their interval.")] = 0.9,
    columns: Annotated[str, typer.Option(help="The variables, with commas. Default: all columns of numbers.", show_default=False)] = "",
    unit: Annotated[str, typer.Option(help="The unit of maturity.")] = "h",
    name: Annotated[str, typer.Option(help="What the model is called. Default: the file's name.", show_default=False)] = "",
    product: Annotated[str, typer.Option(help="What it is released for.", show_default=False)] = "",
) -> None:
    """Fit a forecast on batches of which the end is known; batches that are left out in turn set its intervals."""
    from isogenic.cli.tables import read_table, signals_of
    from isogenic.errors import NotValid
    from isogenic.monitoring import Variable
    from isogenic.monitoring.forecasting import fit_forecast as fit

    not_over([out], *tables, quality)
    read = [read_table(path) for path in tables]
    wanted = [each.strip() for each in columns.split(",") if each.strip()]
    signals, left_out = (wanted, dict[str, str]()) if wanted else signals_of(read, tables)
    signals = [each for each in signals if each not in (maturity, batch)]
    batches = [each for path, table in zip(tables, read, strict=True) for each in batches_of(path, table, signals, batch=batch, maturity=maturity)]
    ends, qualities = ({}, []) if quality is None else _ends(quality, [each.batch for each in batches])
    unknown = [each.batch for each in batches if quality is not None and each.batch not in ends]
    if unknown and len(unknown) == len(batches):
        raise NotValid(f"cannot use {quality}", why="it names none of the batches", possible=", ".join(unknown[:5]))
    model = fit(
        [each for each in batches if each.batch not in unknown],
        variables=[Variable(each, "1") for each in signals],
        quality=ends,
        qualities=[Variable(each, "1") for each in qualities],
        name=name or out.stem,
        product=product,
        coverage=coverage,
        maturity_unit=unit,
    )
    out.write_bytes(model.to_bytes())
    for each, why in left_out.items():
        if each not in (batch, maturity):
            print(f"not a variable: {each} ({why})")
    for each in unknown[:BATCHES_ON_SCREEN]:
        print(f"left out: {each} (its quality is not known)")
    found = model.validation
    print(f"{model.name}: {len(signals)} variables, {len(found.batches)} batches, {model.bins} bins, digest {model.digest[:16]}")
    print(f"unlike the others: {found.unlike:.0%} of such batches stated, {found.share:.0%} of those left out in turn")
    for each, covered, first, last in zip(qualities, found.covered, found.error_first, found.error_last, strict=True):
        print(
            f"{each}: {coverage:.0%} stated, {covered:.0%} of the batches left out in turn; error {first:.3g} before a batch, {last:.3g} at its end"
        )


@monitor_app.command("forecast")
def forecast(
    model: Annotated[Path, typer.Argument(help="The forecast's file.", show_default=False)],
    table: Annotated[Path, typer.Argument(help="One batch or several, as Parquet or CSV.", show_default=False)],
    out: Out,
    batch: BatchColumn = "",
    maturity: MaturityColumn = "maturity",
    limit: Annotated[list[str] | None, typer.Option(help="A limit, such as 'lactate<30': when it would be reached. Repeat it at will.")] = None,
    product: Annotated[str | None, typer.Option(help="What is made: a forecast of another product is refused.", show_default=False)] = None,
) -> None:
    """Say for every row of a table what its batch will come to, within which interval, and when a limit would be reached."""
    from isogenic.cli.tables import read_table, write_table
    from isogenic.monitoring.forecasting import Forecaster, begin, follow
    from isogenic.monitoring.forecasting import forecast as said

    not_over([out], model, table)
    known = Forecaster.from_bytes(read_bytes(model))
    known.check_product(product)
    limits = [_limit(known, each) for each in limit or []]
    columns: dict[str, list[object]] = {"batch": [], "maturity": [], "complete": []}
    columns |= {each.name + end: [] for each in known.qualities for end in ("", "_low", "_high")}
    columns |= {f"{text} {end}": [] for text, *_ in limits for end in ("now", "expected", "earliest", "latest")}
    columns["doubts"] = []
    sentences = []
    for each in batches_of(table, read_table(table), [variable.name for variable in known.variables], batch=batch, maturity=maturity, absent=True):
        state, complete, row = begin(known), -1, tuple[object, ...]()
        for reached, values in zip(each.maturity.tolist(), each.values, strict=True):
            state = follow(state, values, maturity=reached)
            if int(state.complete[0]) != complete or state.maturity[0] > known.grid.last:
                complete, found = int(state.complete[0]), said(state)
                quality = [float(each) for three in zip(found.quality[0], found.low[0], found.high[0], strict=True) for each in three]
                reaches = [found.reaches(variable, above=above, below=below) for _, variable, above, below in limits]
                when = [value for one in reaches for value in (one.now, one.expected, one.earliest, one.latest)]
                row = (complete / known.bins, *quality, *when, "; ".join(found.doubts()))
            for name, value in zip(columns, (each.batch, reached, *row), strict=True):
                columns[name].append(value)
        sentences.append(_sentence(known, each.batch, dict(zip(list(columns)[2:], row, strict=True)), [text for text, *_ in limits]))
    write_table(columns, out, said={"model": known.digest, "name": known.name})
    print(f"{len(columns['batch'])} rows, {len(sentences)} batches")
    for sentence in sentences[:BATCHES_ON_SCREEN]:
        print(sentence)
    if len(sentences) > BATCHES_ON_SCREEN:
        print(f"and {len(sentences) - BATCHES_ON_SCREEN} more")


def _sentence(model: Forecaster, batch: str, row: dict[str, object], limits: list[str]) -> str:
    parts = [f"{each.name} {row[each.name]:.4g} ({row[each.name + '_low']:.4g} to {row[each.name + '_high']:.4g})" for each in model.qualities]
    for text in limits:
        expected, earliest = row[f"{text} expected"], row[f"{text} earliest"]
        if row[f"{text} now"]:
            parts.append(f"{text} is broken")
        elif earliest is not None:
            parts.append(
                f"{text} broken at {expected:.4g}, {earliest:.4g} at the earliest"
                if expected is not None
                else f"{text} perhaps broken from {earliest:.4g} on"
            )
    told = f"{batch}: {', '.join(parts) or 'nothing of it is limited'}"
    return f"{told}; {row['doubts']}" if row["doubts"] else told


def _limit(model: Forecaster, text: str) -> tuple[str, str, float | None, float | None]:
    """A limit that is to hold, as written; the variable, and above or below what it is broken."""
    from isogenic.errors import NotValid

    found = LIMIT.fullmatch(text)
    try:
        number = float(found["number"]) if found else float("nan")
    except ValueError:
        number = float("nan")
    if found is None or number != number:
        raise NotValid(f"cannot use the limit {text[:60]!r}", possible="a variable, < or >, and a number, such as 'lactate<30'")
    model.column(found["name"])
    above, below = (number, None) if found["side"].startswith("<") else (None, number)
    return f"{found['name']}{found['side']}{number:g}", found["name"], above, below


def _ends(path: Path, batches: list[str]) -> tuple[dict[str, list[float]], list[str]]:
    """The qualities of the batches that a table names: its first column that holds their names, and its columns of numbers."""
    from isogenic.cli.tables import numbers, read_table
    from isogenic.errors import NotValid

    table = read_table(path)
    names = set(batches)
    label = next((each for each in table.column_names if names & {str(value) for value in table[each].to_pylist()}), None)
    if label is None:
        raise NotValid(f"cannot use {path}", why="no column of it names the batches", possible=f"a column with {', '.join(batches[:3])}")
    held = [each for each in table.column_names if each != label and _is_number(table.schema.field(each).type)]
    if not held:
        raise NotValid(f"cannot use {path}", why="it has no column of numbers beside the batch")
    ends: dict[str, list[float]] = {}
    values = [numbers(table, each, path=path).tolist() for each in held]
    for row, value in enumerate(table[label].to_pylist()):
        numbers_of = [column[row] for column in values]
        if str(value) in ends:
            raise NotValid(f"cannot use {path}", why=f"batch {str(value)[:40]} is there twice")
        if all(each == each for each in numbers_of):
            ends[str(value)] = numbers_of
    return ends, held


def _is_number(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))
