"""The tables of a study: which columns they have, in which unit, and where their numbers are from.

Guarantees: every column has a description in its field's metadata (`what`), every column of numbers its unit and its mark,
too (`unit`, `mark`); where a row has a unit of its own, the row says it. The columns follow from the scenario alone.

    FILE.parquet             trajectories: one row for each batch and age; the truth, and what instruments `_read`
    FILE.batches.parquet     one row for each batch: site, lot, times, what scattered, why it stopped
    FILE.results.parquet     one row for each batch and attribute: the truth and what the laboratory reported
    FILE.operations.parquet  one row for each batch and timed operation, before, during and after its culture, and in the laboratory
    FILE.events.parquet      one row for each thing that happened: faults, stops, failures; a surge is the site's, of no batch
    FILE.spectra.parquet     one row for each batch and age, where spectra are on; with the results of daily samples
    FILE.standards.parquet   one row for each site and standard, where spectra are on
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from isogenic.sim.faults.catalogue import Place, catalogue
from isogenic.sim.instruments import INSTRUMENTS
from isogenic.sim.processes import process_of
from isogenic.sim.processes.process import Mark, Variable
from isogenic.sim.samples import ANALYSERS
from isogenic.sim.scenarios.model import Scenario

__all__ = ["MAIN", "READ", "STUDY", "TABLES", "Columns", "columns_of", "schemas_of", "varied_constants"]

STUDY = "study/1"  # what the files are, in their metadata
MAIN = "trajectories"
TABLES = (MAIN, "batches", "results", "operations", "events", "spectra", "standards")
READ = "_read"
SINCE = "hours since the study began"
_KEY = (("process", "the process model"), ("site", "where"), ("batch", "its name, once in a study"))


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of the trajectories holds which variable of which process."""

    truth: Mapping[tuple[str, str], str]  # (process, variable) -> column
    read: Mapping[tuple[str, str], str]
    by_calendar: bool  # stamps and arrivals of readings are written


def columns_of(scenario: Scenario) -> Columns:
    """A variable's name is its column; where processes give it in different units, the later ones add the process's name."""
    units: dict[str, str] = {}
    truth, read = {}, {}
    for product in scenario.products:
        model = process_of(product.process)
        instruments = INSTRUMENTS.get(model.name, {}) if scenario.instruments else {}
        for name, variable in model.variables.items():
            column = name if units.setdefault(name, variable.unit) == variable.unit else f"{name}_{model.name}"
            truth[model.name, name] = column
            if name in instruments:
                read[model.name, name] = column + READ
    known = catalogue()
    return Columns(truth, read, scenario.instruments and any(known[each.name].place is Place.NODE for each in scenario.faults))


def varied_constants(process: str) -> list[str]:
    """The constants of a process that scatter."""
    return [name for name, each in process_of(process).constants.items() if any((each.spread.site, each.spread.lot, each.spread.batch))]


def schemas_of(scenario: Scenario, *, batches: int) -> dict[str, pa.Schema]:
    """The schema of each table that the study writes."""
    about = {
        "isogenic": STUDY,
        "illustrative": "true",
        "title": scenario.title,
        "scenario": scenario.digest,
        "seed": str(scenario.seed),
        "batches": str(batches),
        "processes": ", ".join(each.process for each in scenario.products),
        "model": _model_version(),
    }
    fields = {
        "trajectories": _trajectories(scenario),
        "batches": _batches(scenario),
        "results": [
            *_key(),
            _word("attribute", "what was assayed"),
            _word("unit", "of the numbers in this row"),
            _word("mark", "where the true number of this row is from"),
            _by_row("truth", "as it is, before any assay"),
            *([_by_row("reported", "as the site's laboratory reports it")] if scenario.laboratory else []),
        ],
        "events": [
            *_key(),
            _number("age_h", "h", "the batch's age; negative before its culture, nothing where it is the site's"),
            _number("study_h", "h", "hours since the study began"),
            _word("event", "fault begins, fault ends, stopped, failed, lost, expired"),
            _word("what", "which fault or operation, and the reason"),
        ],
    }
    if scenario.operations:
        fields["operations"] = [
            *_key(),
            _word("operation", "its name"),
            _word("stage", "before, during or after the culture, or laboratory"),
            _number("start_h", "h", "hours since the study began"),
            _number("end_h", "h", "hours since the study began"),
            _number("waited_h", "h", "for a crew, a shift or a place in the laboratory, before it began"),
            _number("stopped_h", "h", "stood still"),
            _number("recovery", "1", "share that was kept"),
            pa.field("failed", pa.bool_(), metadata={"what": "whether it failed"}),
        ]
    if scenario.spectra:
        model = process_of("antibody")
        by = "as the site's analyser reports it" if scenario.laboratory else "as it is"
        fields["spectra"] = [
            *_key(),
            _word("lot", "lot of medium"),
            _number("age_h", "h", "the batch's age"),
            *(_number(name, model.variables[name].unit, f"{name} of the daily sample, {by}") for name in ANALYSERS),
            _spectrum(),
        ]
        fields["standards"] = [_word("site", "where"), _word("batch", "the standard's name, the same at every site"), _spectrum()]
    return {name: pa.schema(each, metadata={**about, "table": name}) for name, each in fields.items()}


def _trajectories(scenario: Scenario) -> list[pa.Field]:
    columns = columns_of(scenario)
    fields: dict[str, pa.Field] = {}
    for (process, name), column in columns.truth.items():
        variable = process_of(process).variables[name]
        if column not in fields:
            fields[column] = _field(column, variable)
    for (process, name), column in columns.read.items():
        variable = process_of(process).variables[name]
        said = _meta(variable.unit, f"{variable.what}, as its instrument read it")
        fields[column] = pa.field(column, pa.float32(), metadata=said)
    by_calendar = [
        _number("stamp_h", "h", "time of the reading by the site's own clock, hours since the study began"),
        _number("arrived_h", "h", "when the network had the reading, hours since the study began"),
    ]
    return [*_key(), _number("age_h", "h", "the batch's age"), *(by_calendar if columns.by_calendar else []), *fields.values()]


def _batches(scenario: Scenario) -> list[pa.Field]:
    varied: dict[str, pa.Field] = {}
    for product in scenario.products:
        constants = process_of(product.process).constants
        for name in varied_constants(product.process):
            each = constants[name]
            said = _meta(each.unit, "constant of this batch", each.mark)
            varied.setdefault(f"constant_{name}", pa.field(f"constant_{name}", pa.float64(), metadata=said))
    return [
        *_key(),
        pa.field("number", pa.int64(), metadata={"what": "at its site, from 1"}),
        _word("lot", "lot of medium or of starting material"),
        _number("ordered_h", "h", f"{SINCE}, when it was ordered"),
        _number("left_h", "h", f"{SINCE}, when a courier took what it is made of"),
        _number("received_h", "h", f"{SINCE}, when that was there"),
        _number("start_h", "h", f"{SINCE}, when a suite took it and its first operation began"),
        _number("culture_h", "h", f"{SINCE}, at age 0 of its culture; nothing where it had none"),
        _number("waited_h", "h", "from receipt to start, for a suite or a shift"),
        _number("material_h", "h", "age of the starting material at the start"),
        _number("excursion_h", "h", "the starting material was warmer on its way than its box allows"),
        _number("surge", "1", "orders at that time, in multiples of the usual"),
        _word("faults", "what struck it"),
        _number("stopped_h", "h", "age at which it stopped; nothing where it ran to its end"),
        _word("why", "why it stopped, expired or was lost"),
        _number("kept", "1", "share of the harvest left after all operations; 0 where there is none"),
        _number("ready_h", "h", f"{SINCE}, when the last operation after its culture was done"),
        _number("tested_h", "h", f"{SINCE}, when the last result was there"),
        *varied.values(),
    ]


def _spectrum() -> pa.Field:
    said = _meta("counts", "a Raman-like spectrum, 400 to 2199 1/cm in steps of 1") | {"wave_numbers": "400:2199:1"}
    return pa.field("spectrum", pa.list_(pa.float32()), metadata=said)


def _key() -> list[pa.Field]:
    return [_word(name, what) for name, what in _KEY]


def _word(name: str, what: str) -> pa.Field:
    return pa.field(name, pa.string(), metadata={"what": what})


def _by_row(name: str, what: str) -> pa.Field:
    return pa.field(name, pa.float64(), metadata={"what": what, "unit_is_in": "unit", "mark_is_in": "mark"})


def _number(name: str, unit: str, what: str) -> pa.Field:
    return pa.field(name, pa.float64(), metadata=_meta(unit, what))


def _field(name: str, variable: Variable) -> pa.Field:
    return pa.field(name, pa.float64(), metadata=_meta(variable.unit, f"{variable.what}: the truth", variable.mark))


def _meta(unit: str, what: str, mark: Mark = Mark.ILLUSTRATIVE) -> dict[str, str]:
    return {"unit": unit, "mark": str(mark), "what": what}


def _model_version() -> str:
    from isogenic import __version__

    return f"isogenic {__version__}"
