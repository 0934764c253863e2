"""Verbs on monitors of batches: fit one on good batches, let it judge others. No network is needed.

Tables are Parquet or CSV with a column for each variable and a row for each reading; a column names
the batch, or each file is a batch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isogenic.cli.batch_tables import BatchColumn, Files, MaturityColumn, PhaseColumn, batches_of
from isogenic.cli.monitor import DIAGNOSED, SENTENCES_MAX, Out, diagnosed, monitor_app
from isogenic.cli.verbs import not_over, read_bytes

if TYPE_CHECKING:
    from isogenic.monitoring import BatchTable, Model
    from isogenic.monitoring.diagnosis import Library

COLUMNS = ("batch", "maturity", "placed", "alarm", "score", "limit", "leading", "statistic", "judged", "missing", "why_not", *DIAGNOSED)


@monitor_app.command("fit-batches")
def fit_batches(
    tables: Files,
    out: Out,
    batch: BatchColumn = "",
    maturity: MaturityColumn = "maturity",
    phase: PhaseColumn = "",
    align: Annotated[
        str, typer.Option(help="indicator, phase, warping or evolution: how the model places batches. Default: by --maturity.", show_default=False)
    ] = "",
    indicator: Annotated[str, typer.Option(help="The variable that rises or falls while a batch ripens.", show_default=False)] = "",
    false_alarms: Annotated[float, typer.Option(help="The share of good batches that may have any alarm.")] = 0.05,
    columns: Annotated[str, typer.Option(help="The variables, with commas. Default: all columns of numbers.", show_default=False)] = "",
    unit: Annotated[str, typer.Option(help="The unit of maturity.")] = "h",
    name: Annotated[str, typer.Option(help="What the model is called. Default: the file's name.", show_default=False)] = "",
    product: Annotated[str, typer.Option(help="What it is released for.", show_default=False)] = "",
) -> None:
    """Fit a monitor on good batches; batches that are left out in turn set its limits."""
    from isogenic.cli.tables import read_table, signals_of
    from isogenic.monitoring import Variable
    from isogenic.monitoring import fit as fit_model

    not_over([out], *tables)
    read = [read_table(path) for path in tables]
    wanted = [each.strip() for each in columns.split(",") if each.strip()]
    signals, left_out = (wanted, dict[str, str]()) if wanted else signals_of(read, tables)
    # an indicator rises with every row, as a clock does
    signals = [*(each for each in signals if each not in (maturity, batch, phase, indicator)), *([indicator] if indicator else [])]
    batches = [
        each
        for path, table in zip(tables, read, strict=True)
        for each in batches_of(path, table, signals, batch=batch, maturity=maturity, phase=phase)
    ]
    model = fit_model(
        batches,
        variables=[Variable(each, "1") for each in signals],
        name=name or out.stem,
        product=product,
        false_alarms=false_alarms,
        maturity_unit=unit,
        align=align or None,
        indicator=indicator,
    )
    out.write_bytes(model.to_bytes())
    for each, why in left_out.items():
        if each not in (batch, maturity, phase, indicator):
            print(f"not a variable: {each} ({why})")
    grid = model.structure.grid
    print(f"{model.name}: {len(signals)} variables, {len(batches)} batches, digest {model.digest[:16]}")
    print(f"placed by {align or maturity}, from {grid.first:g} to {grid.last:g} {unit}".strip())
    print(f"false alarms: {false_alarms:.2%} of batches stated, {model.calibration.share:.2%} of those that were left out in turn")


@monitor_app.command("score-batches")
def score_batches(
    model: Annotated[Path, typer.Argument(help="The monitor's file.", show_default=False)],
    table: Annotated[Path, typer.Argument(help="One batch or several, as Parquet or CSV.", show_default=False)],
    out: Out,
    batch: BatchColumn = "",
    maturity: MaturityColumn = "maturity",
    phase: PhaseColumn = "",
    product: Annotated[str | None, typer.Option(help="What is made: a monitor of another product is refused.", show_default=False)] = None,
    faults: Annotated[Path | None, typer.Option(help="A library of known faults, from `monitor learn`.", show_default=False)] = None,
) -> None:
    """Judge every row of batches as it would have been on line: alarm, score, limit, the variable that leads, a probe or the process."""
    from isogenic.cli.tables import read_table, write_table
    from isogenic.errors import NotValid
    from isogenic.monitoring import Model
    from isogenic.monitoring.diagnosis import Library

    not_over([out], model, table, *([faults] if faults else []))
    known = Model.from_bytes(read_bytes(model))
    library = Library.from_bytes(read_bytes(faults)) if faults else None
    if known.continuous:
        raise NotValid(f"cannot score batches by {known.name}", why="it is of a continuous process", possible="isogenic monitor score")
    known.watch(product=product)
    names = [variable.name for variable in known.variables]
    read = read_table(table)
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}
    batches = batches_of(table, read, names, batch=batch, maturity=maturity, phase=phase, absent=True)
    told = [_judged(known, library, each, columns) for each in batches]
    write_table(columns, out, said={"model": known.digest, "name": known.name})
    for each in names:
        if each not in read.column_names:
            print(f"isogenic: {table} has no column {each!r}; judged without it", file=sys.stderr)
    not_judged = sum(not each for each in columns["judged"])
    if not_judged:
        print(f"isogenic: {not_judged} rows could not be judged; the column why_not says why", file=sys.stderr)
    sentences = [sentence for each in told for sentence in each]
    alarmed = sum(map(bool, told))
    print(f"{len(columns['batch'])} rows, {len(told)} batches, {alarmed} with an alarm, {not_judged} rows not judged")
    for sentence in sentences[:SENTENCES_MAX]:
        print(sentence)
    if len(sentences) > SENTENCES_MAX:
        print(f"and {len(sentences) - SENTENCES_MAX} more")


def _judged(model: Model, library: Library | None, table: BatchTable, columns: dict[str, list[object]]) -> list[str]:
    """The rows of a batch added to the columns, and the sentences of its alarms."""
    from isogenic.monitoring.diagnosis import attended

    sentences = []
    for reached, told in zip(table.maturity.tolist(), attended(model, table, library=library), strict=True):
        found = told.findings
        judged = bool(found.judged[0])
        leads = model.variables[int(found.contributions().argmax())].name if judged else ""
        row = (table.batch, reached, float(found.maturity[0]), bool(found.alarm[0]), float(found.score[0]), found.limit)
        more = (leads, found.statistic() if judged else "", judged, ", ".join(found.missing()), found.why_not())
        for name, value in zip(columns, (*row, *more, *diagnosed(told)), strict=True):
            columns[name].append(value)
        if (finding := found.finding()) is not None:
            sentences.append(f"{table.batch}: {finding.sentence}")
    return sentences
