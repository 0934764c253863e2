"""Verbs on monitors of continuous signals: fit one on good runs, let it judge a table. No network is needed.

Tables are Parquet or CSV with a column for each signal and a row for each reading, at equal
intervals. Each file is a run of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isogenic.cli.batch_tables import BatchColumn, MaturityColumn, PhaseColumn, batches_of
from isogenic.cli.verbs import app, not_over, read_bytes

if TYPE_CHECKING:
    from isogenic.monitoring import BatchTable, Model
    from isogenic.monitoring.diagnosis import Told
    from isogenic.monitoring.tables import Floats

monitor_app = typer.Typer(
    help="Monitors of continuous signals: fitted on good runs, with the share of false alarms that you state.", no_args_is_help=True
)
app.add_typer(monitor_app, name="monitor")

SENTENCES_MAX = 20  # of findings on the screen; the file has every row
DIAGNOSED = ("verdict", "why", "probes", "alarm_without", "resembles", "confidence")
COLUMNS = ("alarm", "score", "limit", "leading", "statistic", "judged", "missing", "why_not", *DIAGNOSED)
Out = Annotated[Path, typer.Option(help="The file to write.", show_default=False)]


@monitor_app.command("fit")
def fit(
    runs: Annotated[list[Path], typer.Argument(help="Good runs, each a file, as Parquet or CSV.", show_default=False)],
    out: Out,
    false_alarms: Annotated[float, typer.Option(help="The share of good rows that may be alarms.")] = 0.01,
    columns: Annotated[str, typer.Option(help="The signals, with commas. Default: all columns of numbers.", show_default=False)] = "",
    name: Annotated[str, typer.Option(help="What the model is called. Default: the file's name.", show_default=False)] = "",
    product: Annotated[str, typer.Option(help="What it is released for.", show_default=False)] = "",
) -> None:
    """Fit a monitor on good runs; rows that are left out in turn set its limit."""
    import numpy as np

    from isogenic.cli.tables import numbers, read_table, signals_of
    from isogenic.errors import NotValid
    from isogenic.monitoring import BatchTable, Variable
    from isogenic.monitoring import fit as fit_model

    not_over([out], *runs)
    tables = [read_table(path) for path in runs]
    wanted = [each.strip() for each in columns.split(",") if each.strip()]
    signals, left_out = (wanted, dict[str, str]()) if wanted else signals_of(tables, runs)
    for table, path in zip(tables, runs, strict=True):
        missing = [each for each in signals if each not in table.column_names]
        if missing:
            raise NotValid(f"cannot use {path}", why=f"it has no column {missing[0][:60]!r}", possible=", ".join(table.column_names)[:300])
    labels = [path.stem if [other.stem for other in runs].count(path.stem) == 1 else str(path) for path in runs]
    batches = [
        BatchTable(label, np.arange(table.num_rows, dtype=np.float64), np.stack([numbers(table, each, path=path) for each in signals], axis=1))
        for label, table, path in zip(labels, tables, runs, strict=True)
        if signals
    ]
    variables = [Variable(each, "1") for each in signals]
    model = fit_model(batches, variables=variables, name=name or out.stem, product=product, continuous=True, false_alarms=false_alarms)
    out.write_bytes(model.to_bytes())
    for each, why in left_out.items():
        print(f"not a signal: {each} ({why})")
    rows = sum(table.num_rows for table in tables)
    print(f"{model.name}: {len(signals)} signals, {len(runs)} runs of {rows} rows together, digest {model.digest[:16]}")
    print(f"false alarms: {false_alarms:.2%} stated, {model.calibration.share:.2%} of the rows that were left out in turn")
    if model.bank is not None:
        silent = [each for each, decides in zip(model.statistics, model.bank.decides.tolist(), strict=True) if not decides]
        if silent:
            print(f"too few good rows for {', '.join(silent)} to decide")


@monitor_app.command("score")
def score(
    model: Annotated[Path, typer.Argument(help="The monitor's file.", show_default=False)],
    table: Annotated[Path, typer.Argument(help="A run, as Parquet or CSV.", show_default=False)],
    out: Out,
    product: Annotated[str | None, typer.Option(help="What is made: a monitor of another product is refused.", show_default=False)] = None,
    faults: Annotated[Path | None, typer.Option(help="A library of known faults, from `monitor learn`.", show_default=False)] = None,
) -> None:
    """Judge every row of a table: alarm, score, limit, the variable that leads, whether it is a probe or the process."""
    from isogenic.cli.tables import write_table
    from isogenic.errors import NotValid
    from isogenic.monitoring import Model
    from isogenic.monitoring.diagnosis import Library, Verdict, attend, attendant

    not_over([out], model, table, *([faults] if faults else []))
    known = Model.from_bytes(read_bytes(model))
    if not known.continuous:
        raise NotValid(f"cannot score {table} by {known.name}", why="it is of a batch process")
    library = Library.from_bytes(read_bytes(faults)) if faults else None
    values, absent = _values(known, table)
    aide, sentences = attendant(known, library=library, product=product), list[str]()
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}
    before = Verdict.NONE
    for number, row in enumerate(values):
        aide, told = attend(aide, row)
        found = told.findings
        judged = bool(found.judged[0])
        leads = known.variables[int(found.contributions().argmax())].name if judged else ""
        verdict, why = told.verdict()
        said = (bool(found.alarm[0]), float(found.score[0]), found.limit, leads, found.statistic() if judged else "", judged)
        whole = (*said, ", ".join(found.missing()), found.why_not())
        for name, value in zip(columns, (*whole, *diagnosed(told)), strict=True):
            columns[name].append(value)
        if (finding := found.finding()) is not None:
            sentences.append(finding.sentence)
        if verdict != before and verdict in (Verdict.PROBE, Verdict.PROCESS):
            sentences.append(f"reading {number + 1}: {verdict}: {why}")
        before = verdict
    write_table(columns, out, said={"model": known.digest, "name": known.name})
    for each in absent:
        print(f"isogenic: {table} has no column {each!r}; judged without it", file=sys.stderr)
    not_judged = int(aide.watch.not_judged[0])
    if not_judged:
        print(f"isogenic: {not_judged} rows could not be judged; the column why_not says why", file=sys.stderr)
    print(f"{len(values)} rows, {sum(map(bool, columns['alarm']))} alarms, {not_judged} not judged")
    for sentence in sentences[:SENTENCES_MAX]:
        print(sentence)
    if len(sentences) > SENTENCES_MAX:
        print(f"and {len(sentences) - SENTENCES_MAX} more")


@monitor_app.command("learn")
def learn(
    model: Annotated[Path, typer.Argument(help="The monitor's file.", show_default=False)],
    fault: Annotated[list[str], typer.Option(help="NAME=FILE: a run with that fault, or batches with it; several of each.", show_default=False)],
    out: Out,
    batch: BatchColumn = "",
    maturity: MaturityColumn = "maturity",
    phase: PhaseColumn = "",
) -> None:
    """Learn what known faults look like to a monitor, from runs or batches in which they happened."""
    from isogenic.errors import NotValid
    from isogenic.monitoring import Model
    from isogenic.monitoring.diagnosis import learn as learn_faults
    from isogenic.monitoring.diagnosis import signature_of

    known = Model.from_bytes(read_bytes(model))
    examples: dict[str, list[Floats]] = {}
    not_over([out], model, *(Path(each.partition("=")[2]) for each in fault))
    for each in fault:
        name, given, file = each.partition("=")
        if not (name and given and file):
            raise NotValid(f"cannot use --fault {each[:60]}", why="it says which fault, and in which file", possible="--fault pump=run7.parquet")
        for run in _runs_of(known, Path(file), batch=batch, maturity=maturity, phase=phase):
            signature = signature_of(known, run)
            if signature is None:
                print(f"isogenic: no alarm in {run.batch}: it is no example of {name}", file=sys.stderr)
            else:
                examples.setdefault(name, []).append(signature)
    library = learn_faults(known.digest, examples)
    out.write_bytes(library.to_bytes())
    runs, right = sum(library.examples), f"{library.correct:.0%}"
    print(f"{len(library.names)} faults of {known.name} from {runs} runs; left out in turn, {right} were named rightly")


def _runs_of(model: Model, path: Path, *, batch: str, maturity: str, phase: str) -> list[BatchTable]:
    """A table as one run of a continuous process, or as its batches."""
    import numpy as np

    from isogenic.cli.tables import read_table
    from isogenic.monitoring import BatchTable

    if model.continuous:
        values, _ = _values(model, path)
        return [BatchTable(str(path), np.arange(len(values), dtype=np.float64), values)]
    names = [variable.name for variable in model.variables]
    return list(batches_of(path, read_table(path), names, batch=batch, maturity=maturity, phase=phase, absent=True))


def diagnosed(told: Told) -> tuple[object, ...]:
    """The columns that say of what an alarm is."""
    verdict, why = told.verdict()
    known_as = told.resembles()
    probes = "; ".join(each.sentence for each in told.troubles())
    said = (known_as.name, known_as.confidence) if known_as else ("", float("nan"))
    return str(verdict), why, probes, told.judges().alarm, *said


def _values(model: Model, path: Path) -> tuple[Floats, list[str]]:
    """The model's variables in a table, NaN where it has no such column, and which those are."""
    import numpy as np

    from isogenic.cli.tables import numbers, read_table
    from isogenic.errors import NotValid

    table = read_table(path)
    names = [variable.name for variable in model.variables]
    absent = [each for each in names if each not in table.column_names]
    if 2 * len(absent) > len(names):
        raise NotValid(
            f"cannot score {path} by {model.name}",
            why=f"it has {len(names) - len(absent)} of the {len(names)} columns; missing: {', '.join(absent)[:200]}",
            possible=f"the columns {', '.join(names)[:300]}",
        )
    nothing = np.full(table.num_rows, np.nan)
    return np.stack([nothing if each in absent else numbers(table, each, path=path) for each in names], axis=1), absent
