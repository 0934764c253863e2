"""One chunk of a study: what happens to some batches of one process, from dice to tables.

Guarantees: a chunk is a function of the scenario and its part of the plan, whoever works it out; nothing that stops a
batch is silent: it is an event with its reason.
Leaves to others: the order and the files (run, files).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from isogenic.sim.faults.catalogue import Place
from isogenic.sim.instruments import INSTRUMENTS, SensorFault, measured
from isogenic.sim.processes import Process, process_of
from isogenic.sim.processes.process import Floats, Outcome
from isogenic.sim.routes import FILLED_BY
from isogenic.sim.scenarios.model import Scenario
from isogenic.sim.studies.events import EXPIRED, events_of, surges_of
from isogenic.sim.studies.material import weakened
from isogenic.sim.studies.part import Part
from isogenic.sim.studies.reports import reported
from isogenic.sim.studies.spectra import STANDARDS, samples_of, spectra_of, standards_at
from isogenic.sim.studies.strikes import Struck, process_faults, strikes
from isogenic.sim.studies.tables import columns_of, schemas_of, varied_constants
from isogenic.sim.studies.work import Work, work_of
from isogenic.sim.variation import draws, held

__all__ = ["run_chunk", "standards_table", "surges_table"]

Flags = NDArray[np.bool_]


def run_chunk(scenario: Scenario, part: Part) -> dict[str, pa.Table]:
    """The tables of one chunk."""
    part_names = part.names
    model, product = process_of(part.process), scenario.product(part.process)
    sites = {each.name: each for each in scenario.sites}
    struck = strikes(scenario, part)
    constants = draws(model, seed=scenario.seed, sites=part.sites, lots=part.lots, batches=part_names)
    for name, value in product.constants.items():
        nominal = model.constants[name].value
        constants[name] = constants[name] * (value / nominal) if name in constants and nominal else np.full(len(part), value)
    for name in {constant for site in scenario.sites for process, constant in site.offsets if process == model.name}:
        factors = np.array([sites[each].offsets.get((model.name, name), 1.0) for each in part.sites])
        constants[name] = constants.get(name, np.full(len(part), model.constants[name].value)) * factors
    constants = held(model, constants)
    settings = {name: np.full(len(part), value) for name, value in product.settings.items()}
    for name in {setting for site in scenario.sites for process, setting in site.settings if process == model.name}:
        usual = product.settings.get(name, model.settings[name].value)
        settings[name] = np.array([sites[each].settings.get((model.name, name), usual) for each in part.sites])
    faults = process_faults(struck, part, model)
    faults += weakened(model, part)
    outcome = _whole(model.run(len(part), constants=constants, settings=settings, faults=faults, every_h=product.every_h), part)
    stopped = {at: float(part.culture_h[at]) + stop.age_h for at, stop in outcome.stopped.items()}
    work = work_of(scenario, part).without(stopped) if scenario.operations else None
    struck = _filled(struck, work)
    made = _Tables(scenario, part, part_names, model, outcome, struck, work)
    out = {
        "trajectories": made.trajectories(),
        "batches": made.batches(constants),
        "results": made.results(),
        "events": made.events(),
    }
    if work is not None:
        out["operations"] = made.operations(work)
    if scenario.spectra:
        out["spectra"] = made.spectra()
    return out


def _filled(struck: Sequence[Struck], work: Work | None) -> list[Struck]:
    """A fault of filling strikes only what came to be filled."""
    return [
        replace(each, batches=each.batches & np.isfinite(work.begun_h(FILLED_BY[each.fault.name])))
        if work is not None and each.entry.place is Place.FILLING
        else each
        for each in struck
    ]


def _whole(outcome: Outcome, part: Part) -> Outcome:
    """Nothing of a batch whose starting material expired, or that was lost before its culture: it never grew."""
    if part.grown.all():
        return outcome
    gone = np.where(part.grown, 0.0, np.nan)
    return replace(
        outcome,
        values={name: each + gone for name, each in outcome.values.items()},
        quality={name: each + gone for name, each in outcome.quality.items()},
        stopped={at: stop for at, stop in outcome.stopped.items() if part.grown[at]},
    )


# --- tables ---------------------------------------------------------------------------------------


class _Tables:
    """The tables of one chunk."""

    def __init__(
        self, scenario: Scenario, part: Part, names: list[str], model: Process, outcome: Outcome, struck: Sequence[Struck], work: Work | None
    ) -> None:
        self.scenario, self.part, self.names, self.model, self.outcome, self.struck, self.work = scenario, part, names, model, outcome, struck, work
        self.schemas = schemas_of(scenario, batches=0)
        self.columns = columns_of(scenario)

    def trajectories(self) -> pa.Table:
        """Batch after batch, each from its first age to its last."""
        age, n = self.outcome.age_h, len(self.part)
        out = self._key(len(age)) | {"age_h": np.tile(age, n)}
        shown = self._readings() if self.scenario.instruments else {}
        if self.columns.by_calendar:
            out |= self._stamps(shown)
        for (process, name), column in self.columns.truth.items():
            if process == self.model.name:
                out[column] = self.outcome.values[name].T.ravel()
        for (process, name), column in self.columns.read.items():
            if process == self.model.name:
                out[column] = shown[name].T.ravel().astype(np.float32)
        return self._table("trajectories", out, len(age) * n, keep=np.repeat(self.part.grown, len(age)))

    def _readings(self) -> dict[str, Floats]:
        part, instruments = self.part, INSTRUMENTS.get(self.model.name, {})
        if not instruments:
            return {}
        truth = {name: self.outcome.values[name] for name in instruments if name in self.outcome.values}
        wrong = [each for each in self.struck if each.entry.place in (Place.SENSOR, Place.SITE)]
        faults = [
            SensorFault(
                "sensor_biased" if each.fault.name == "calibration_offset" else each.fault.name,
                each.fault.sensor,
                each.fault.size,
                each.fault.start_h,
                each.fault.duration_h,
                each.batches,
            )
            for each in wrong
            if each.fault.sensor in truth
        ]
        shown = measured(
            truth,
            instruments=instruments,
            seed=self.scenario.seed,
            site=part.sites,
            batches=self.names,
            lots=part.lots,
            age_h=self.outcome.age_h,
            faults=faults,
        )
        hours = self.outcome.age_h[:, None] + part.culture_h[None, :]
        for each in self.struck:
            if each.fault.name == "power_fails":
                dark = each.batches[None, :] & (hours >= each.fault.start_h) & (hours < each.fault.start_h + each.fault.duration_h)
                shown = {name: np.where(dark, np.nan, values) for name, values in shown.items()}
        return shown

    def _stamps(self, shown: Mapping[str, Floats]) -> dict[str, Floats]:
        hours = self.outcome.age_h[:, None] + self.part.culture_h[None, :]
        stamp, arrived = hours.copy(), hours.copy()
        for each in self.struck:
            end = each.fault.start_h + each.fault.duration_h
            there = each.batches[None, :] & (hours >= each.fault.start_h) & (hours < end)
            if each.fault.name == "clock_steps":
                stamp = np.where(there, hours + each.fault.size, stamp)
            elif each.fault.name == "link_is_cut":
                arrived = np.where(there, np.maximum(arrived, min(end, self.scenario.period_h)), arrived)
        return {"stamp_h": stamp.T.ravel(), "arrived_h": arrived.T.ravel()}

    def batches(self, constants: Mapping[str, Floats]) -> pa.Table:
        """One row each."""
        part, work, n = self.part, self.work, len(self.part)
        stopped, why = np.full(n, np.nan), [""] * n
        for at, stop in self.outcome.stopped.items():
            stopped[at], why[at] = stop.age_h, stop.why
        whole = np.isnan(stopped) & part.grown
        kept, ready, tested = whole.astype(np.float64), np.where(whole, part.harvest_h, np.nan), np.full(n, np.nan)
        if work is not None:
            kept, tested = np.where(whole, work.kept, 0.0), work.tested_h
            ready = np.where(whole, work.done_h, np.nan) if work.counts[2] else ready
            why = [said or (f"lost in {lost}" if (lost := work.lost_in(at)) else "") for at, said in enumerate(why)]
        for at in np.flatnonzero(part.expired).tolist():
            why[at] = EXPIRED
        hit = [";".join(each.fault.name for each in self.struck if each.batches[at]) for at in range(n)]
        out = self._key(1) | {
            "number": part.numbers,
            "lot": _words(part.lots),
            "ordered_h": part.ordered_h,
            "left_h": part.left_h,
            "received_h": part.arrived_h,
            "start_h": part.start_h,
            "culture_h": pa.array(np.where(part.grown, part.culture_h, np.nan), from_pandas=True),
            "waited_h": part.start_h - part.arrived_h,
            "material_h": part.start_h - part.ordered_h,
            "excursion_h": part.excursion_h,
            "surge": part.surge,
            "faults": _words(hit),
            "stopped_h": pa.array(stopped, from_pandas=True),
            "why": _words(why),
            "kept": kept,
            "ready_h": pa.array(ready, from_pandas=True),
            "tested_h": pa.array(tested, from_pandas=True),
        }
        for name in varied_constants(self.model.name):
            out[f"constant_{name}"] = constants[name]
        return self._table("batches", out, n)

    def results(self) -> pa.Table:
        """One row for each batch that has a quality, and each attribute."""
        part, names = self.part, list(self.outcome.quality)
        truth = np.array([self.outcome.quality[name] for name in names]).reshape(len(names), len(part))
        there = np.isfinite(truth).any(axis=0)
        out: dict[str, object] = self._key(len(names)) | {
            "attribute": _words(names * len(part)),
            "unit": _words([self.model.qualities[name].unit for name in names] * len(part)),
            "mark": _words([str(self.model.qualities[name].mark) for name in names] * len(part)),
            "truth": truth.T.ravel(),
        }
        if self.scenario.laboratory:
            shifts = [self._laboratory_shift(name) for name in names]
            out["reported"] = reported(self.model, names, truth, shifts, seed=self.scenario.seed, sites=part.sites, batches=self.names).T.ravel()
        return self._table("results", out, len(names) * len(part), keep=np.repeat(there, len(names)))

    def _laboratory_shift(self, attribute: str) -> Floats:
        """What the scenario adds to the laboratories' results, batch by batch."""
        sites = {each.name: each for each in self.scenario.sites}
        out = np.zeros(len(self.part))
        for key in (attribute, f"{self.model.name}.{attribute}"):
            out += np.array([sites[site].laboratory.get(key, 0.0) for site in self.part.sites])
        for each in self.struck:
            if each.fault.name == "assay_shifts" and each.fault.attribute == attribute:
                out += np.where(each.batches, each.fault.size, 0.0)
        return out

    def operations(self, work: Work) -> pa.Table:
        """One row for each batch and each operation that it reached."""
        k, n = work.start_h.shape
        out = self._key(k) | {"operation": _words(list(work.names) * n), "stage": _words(work.stages * n)}
        out |= {name: getattr(work, name).T.ravel() for name in ("start_h", "end_h", "waited_h", "stopped_h", "recovery", "failed")}
        return self._table("operations", out, k * n, keep=np.isfinite(work.start_h).T.ravel())

    def events(self) -> pa.Table:
        """What happened to the batches."""
        part, found = self.part, events_of(self.part, self.struck, self.outcome.stopped, self.work)
        at = np.array([each[0] for each in found], dtype=np.int64)
        age = np.array([each[1] for each in found], dtype=np.float64)
        out = {
            "process": _words([self.model.name] * len(found)),
            "site": _words(part.sites[each] for each in at),
            "batch": _words(self.names[each] for each in at),
            "age_h": age,
            "study_h": age + part.culture_h[at],
            "event": _words(each[2] for each in found),
            "what": _words(each[3] for each in found),
        }
        return self._table("events", out, len(found))

    def spectra(self) -> pa.Table:
        """Spectra of every batch and age, with the results of the samples that were taken then."""
        age, n = self.outcome.age_h, len(self.part)
        rows = spectra_of(self.outcome, self.part, seed=self.scenario.seed)
        shift = {name: self._laboratory_shift(name) for name in self.model.qualities} if self.scenario.laboratory else None
        found = samples_of(self.outcome, self.part, seed=self.scenario.seed, shift=shift)
        samples = {name: pa.array(each, from_pandas=True) for name, each in found.items()}
        out = self._key(len(age)) | {"lot": _words(np.repeat(self.part.lots, len(age))), "age_h": np.tile(age, n)} | samples
        return self._table("spectra", out | {"spectrum": _lists(rows)}, len(age) * n, keep=np.isfinite(rows[:, 0]))

    def _key(self, each: int) -> dict[str, object]:
        """Process, site and batch, `each` rows for every batch."""
        n = len(self.part)
        at = np.repeat(np.arange(n, dtype=np.int32), each)
        sites, index = np.unique(self.part.sites, return_inverse=True)
        return {
            "process": pa.DictionaryArray.from_arrays(np.zeros(n * each, dtype=np.int32), [self.model.name]),
            "site": pa.DictionaryArray.from_arrays(index.astype(np.int32)[at], [str(one) for one in sites]),
            "batch": pa.DictionaryArray.from_arrays(at, self.names),
        }

    def _table(self, name: str, columns: Mapping[str, object], rows: int, *, keep: Flags | None = None) -> pa.Table:
        schema = self.schemas[name]
        arrays = [_array(columns[field.name], field) if field.name in columns else pa.nulls(rows, field.type) for field in schema]
        table = pa.Table.from_arrays(arrays, schema=schema.remove_metadata())
        return table if keep is None or keep.all() else table.filter(pa.array(keep))


def surges_table(scenario: Scenario, schema: pa.Schema) -> pa.Table:
    """What happened to the sites: events of no batch."""
    found = surges_of(scenario)
    columns: dict[str, object] = {
        name: _words(str(each[at]) for each in found) for at, name in enumerate(("process", "site", "", "event", "what")) if name
    }
    columns["study_h"] = np.array([each[2] for each in found], dtype=np.float64)
    arrays = [_array(columns[each.name], each) if each.name in columns else pa.nulls(len(found), each.type) for each in schema]
    return pa.Table.from_arrays(arrays, schema=schema.remove_metadata())


def standards_table(scenario: Scenario, schema: pa.Schema) -> pa.Table:
    """The network's standards on each site's spectrometer."""
    sites = [each.name for each in scenario.sites]
    rows = standards_at(sites, seed=scenario.seed)
    columns = {"site": _words(np.repeat(sites, len(STANDARDS))), "batch": _words(STANDARDS * len(sites)), "spectrum": _lists(rows)}
    return pa.Table.from_arrays([_array(columns[field.name], field) for field in schema], schema=schema.remove_metadata())


def _lists(rows: NDArray[np.float32]) -> pa.Array:
    offsets = pa.array(np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(rows.ravel()))


def _array(values: object, field: pa.Field) -> pa.Array:
    array = values if isinstance(values, pa.Array) else pa.array(np.ascontiguousarray(values))
    return array if array.type == field.type else array.cast(field.type)


def _words(texts: Iterable[str]) -> pa.Array:
    return pa.array(list(texts), type=pa.string())
