"""One chunk of a study: what happens to some batches of one process, from dice to tables.

Guarantees: a chunk is a function of the scenario and its part of the plan, whoever works it out; nothing that stops a
batch is silent: it is an event with its reason.
Leaves to others: the order and the files (run, files).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from isogenic.sim.faults.catalogue import Place
from isogenic.sim.instruments import INSTRUMENTS, SensorFault, measured
from isogenic.sim.operations import Operation, Operations, operate
from isogenic.sim.processes import Process, process_of
from isogenic.sim.processes.process import Floats, Outcome
from isogenic.sim.scenarios.model import Scenario, ScenarioFault
from isogenic.sim.studies.material import weakened
from isogenic.sim.studies.plan import Part
from isogenic.sim.studies.reports import reported
from isogenic.sim.studies.spectra import STANDARDS, samples_of, spectra_of, standards_at
from isogenic.sim.studies.strikes import Struck, process_faults, strikes
from isogenic.sim.studies.tables import columns_of, schemas_of, varied_constants
from isogenic.sim.variation import draws

__all__ = ["run_chunk", "standards_table"]

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
    settings = {name: np.full(len(part), value) for name, value in product.settings.items()}
    for name in {setting for site in scenario.sites for process, setting in site.settings if process == model.name}:
        usual = product.settings.get(name, model.settings[name].value)
        settings[name] = np.array([sites[each].settings.get((model.name, name), usual) for each in part.sites])
    faults = process_faults(struck, part, model)
    faults += weakened(model, part, product, [(each.fault, each.batches) for each in struck])
    outcome = _whole(model.run(len(part), constants=constants, settings=settings, faults=faults, every_h=product.every_h), part)
    operations = _operations(scenario, part, model, outcome, struck) if scenario.operations else None
    made = _Tables(scenario, part, part_names, model, outcome, struck)
    out = {
        "trajectories": made.trajectories(),
        "batches": made.batches(constants, operations),
        "results": made.results(),
        "events": made.events(operations),
    }
    if operations is not None:
        out["operations"] = made.operations(operations)
    if scenario.spectra:
        out["spectra"] = made.spectra()
    return out


def _whole(outcome: Outcome, part: Part) -> Outcome:
    """Nothing of a batch whose starting material expired: it was never begun."""
    if not part.expired.any():
        return outcome
    gone = np.where(part.expired, np.nan, 0.0)
    return replace(
        outcome,
        values={name: each + gone for name, each in outcome.values.items()},
        quality={name: each + gone for name, each in outcome.quality.items()},
        stopped={at: stop for at, stop in outcome.stopped.items() if not part.expired[at]},
    )


# --- operations -----------------------------------------------------------------------------------


def _operations(scenario: Scenario, part: Part, model: Process, outcome: Outcome, struck: Sequence[Struck]) -> Operations | None:
    chain: Sequence[Operation] = tuple(getattr(model, "operations", ()))
    if not chain:
        return None
    went = ~part.expired
    went[list(outcome.stopped)] = False
    ready = part.start_h + np.where(went, model.duration_h, np.nan)
    kinds: dict[tuple[tuple[ScenarioFault, ...], float], list[int]] = {}
    filling = [each for each in struck if each.entry.place is Place.FILLING]
    for at in range(len(part)):
        kinds.setdefault((tuple(each.fault for each in filling if each.batches[at]), float(part.surge[at])), []).append(at)
    done: Operations | None = None
    for (faults, surge), batches in kinds.items():
        some = _chain(chain, faults, surge)
        for site in dict.fromkeys(part.sites[at] for at in batches):
            mine = [at for at in batches if part.sites[at] == site]
            found = operate(some, seed=scenario.seed, site=site, batches=[part.names[at] for at in mine], ready_h=ready[mine])
            done = _put(done, found, mine, len(part))
    if done is None:
        return None
    return replace(done, lost=done.lost | ~went)


def _chain(chain: Sequence[Operation], faults: Sequence[ScenarioFault], surge: float) -> list[Operation]:
    """The operations as faults leave them; in a surge people are in a hurry, and failures come as many times as often (illustrative)."""
    out = []
    for each in chain:
        changed = replace(each, failure=min(1.0, each.failure * surge)) if surge > 1.0 else each
        if "fill" in each.name:
            for fault in faults:
                if fault.name == "needle_drifts":  # the mean over the run is half of what it is at its end
                    changed = replace(changed, recovery=changed.recovery * (1.0 - 0.5 * fault.size))
                elif fault.name == "stopper_jams":
                    usual = changed.stops_per_h or 0.1
                    changed = replace(changed, stops_per_h=usual * fault.size, stop_h=changed.stop_h or 4.0 / 60.0)
                elif fault.name == "particles_rise":
                    changed = replace(changed, failure=max(changed.failure, fault.size))
        out.append(changed)
    return out


def _put(done: Operations | None, some: Operations, at: Sequence[int], n: int) -> Operations:
    if done is None:
        shape = (len(some.names), n)
        start, end, recovery, stopped = (np.full(shape, np.nan) for _ in range(4))
        done = Operations(some.names, start, end, recovery, stopped, np.zeros(shape, dtype=bool), np.zeros(n, dtype=bool))
    for whole, piece in zip(
        (done.start_h, done.end_h, done.recovery, done.stopped_h, done.failed),
        (some.start_h, some.end_h, some.recovery, some.stopped_h, some.failed),
        strict=True,
    ):
        whole[:, at] = piece
    done.lost[at] = some.lost
    return done


# --- tables ---------------------------------------------------------------------------------------


class _Tables:
    """The tables of one chunk."""

    def __init__(self, scenario: Scenario, part: Part, names: list[str], model: Process, outcome: Outcome, struck: Sequence[Struck]) -> None:
        self.scenario, self.part, self.names, self.model, self.outcome, self.struck = scenario, part, names, model, outcome, struck
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
        return self._table("trajectories", out, len(age) * n, keep=None if not self.part.expired.any() else np.repeat(~self.part.expired, len(age)))

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
            age_h=self.outcome.age_h,
            faults=faults,
        )
        hours = self.outcome.age_h[:, None] + part.start_h[None, :]
        for each in self.struck:
            if each.fault.name == "power_fails":
                dark = each.batches[None, :] & (hours >= each.fault.start_h) & (hours < each.fault.start_h + each.fault.duration_h)
                shown = {name: np.where(dark, np.nan, values) for name, values in shown.items()}
        return shown

    def _stamps(self, shown: Mapping[str, Floats]) -> dict[str, Floats]:
        hours = self.outcome.age_h[:, None] + self.part.start_h[None, :]
        stamp, arrived = hours.copy(), hours.copy()
        for each in self.struck:
            end = each.fault.start_h + each.fault.duration_h
            there = each.batches[None, :] & (hours >= each.fault.start_h) & (hours < end)
            if each.fault.name == "clock_steps":
                stamp = np.where(there, hours + each.fault.size, stamp)
            elif each.fault.name == "link_is_cut":
                arrived = np.where(there, np.maximum(arrived, min(end, self.scenario.period_h)), arrived)
        return {"stamp_h": stamp.T.ravel(), "arrived_h": arrived.T.ravel()}

    def batches(self, constants: Mapping[str, Floats], operations: Operations | None) -> pa.Table:
        """One row each."""
        part, n = self.part, len(self.part)
        stopped = np.full(n, np.nan)
        why = [""] * n
        for at, stop in self.outcome.stopped.items():
            stopped[at], why[at] = stop.age_h, stop.why
        kept = np.where(np.isnan(stopped) & ~part.expired, 1.0, 0.0)
        ready = np.where(kept > 0, part.start_h + self.model.duration_h, np.nan)
        if operations is not None:
            kept = np.where(kept > 0, operations.kept, 0.0)
            ready = np.where(kept > 0, operations.end_h[-1], np.nan)
            for at in np.flatnonzero(operations.lost & (ready != ready)).tolist():
                reached = np.flatnonzero(np.isfinite(operations.end_h[:, at]))
                why[at] = why[at] or (f"lost in {operations.names[reached[-1]]}" if len(reached) else "")
        for at in np.flatnonzero(part.expired).tolist():
            why[at] = EXPIRED
        hit = [";".join(each.fault.name for each in self.struck if each.batches[at]) for at in range(n)]
        out = self._key(1) | {
            "number": part.numbers,
            "lot": _words(part.lots),
            "ordered_h": part.ordered_h,
            "received_h": part.arrived_h,
            "start_h": part.start_h,
            "waited_h": part.start_h - part.arrived_h,
            "material_h": part.material_h,
            "surge": part.surge,
            "faults": _words(hit),
            "stopped_h": pa.array(stopped, from_pandas=True),
            "why": _words(why),
            "kept": kept,
            "ready_h": pa.array(ready, from_pandas=True),
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
            "true": truth.T.ravel(),
        }
        if self.scenario.laboratory:
            bias = np.array([self._laboratory_shift(name) for name in names]).reshape(truth.shape)
            out["reported"] = (reported(self.model, names, truth, seed=self.scenario.seed, sites=part.sites, batches=self.names) + bias).T.ravel()
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

    def operations(self, done: Operations) -> pa.Table:
        """One row for each batch and each operation that it reached."""
        k, n = done.start_h.shape
        out = self._key(k) | {"operation": _words(list(done.names) * n)}
        out |= {name: getattr(done, name).T.ravel() for name in ("start_h", "end_h", "recovery", "stopped_h", "failed")}
        return self._table("operations", out, k * n, keep=np.isfinite(done.start_h).T.ravel())

    def events(self, operations: Operations | None) -> pa.Table:
        """What happened, batch by batch and in the order of age."""
        part, found = self.part, []
        for each in self.struck:
            fault = each.fault
            for at in np.flatnonzero(each.batches).tolist():
                begins, ends = self._window(each, at)
                said = (
                    fault.name
                    + (f" {fault.size:g}" if fault.size else "")
                    + (f" of {fault.sensor or fault.attribute}" if fault.sensor or fault.attribute else "")
                )
                found.append((at, begins, "fault begins", said))
                if ends < self.model.duration_h:
                    found.append((at, ends, "fault ends", said))
        found += [(at, stop.age_h, "stopped", stop.why) for at, stop in self.outcome.stopped.items()]
        found += [(at, 0.0, "expired", EXPIRED) for at in np.flatnonzero(part.expired).tolist()]
        if operations is not None:
            for row, column in np.argwhere(operations.failed).tolist():
                end = float(operations.end_h[row, column] - part.start_h[column])
                last = operations.lost[column] and not np.isfinite(operations.start_h[row + 1 :, column]).any()
                found.append((column, end, "lost" if last else "failed", operations.names[row]))
        found.sort()
        batches = [each[0] for each in found]
        out = {
            "process": _words([self.model.name] * len(found)),
            "site": _words([part.sites[at] for at in batches]),
            "batch": _words([self.names[at] for at in batches]),
            "age_h": np.array([each[1] for each in found]),
            "study_h": np.array([each[1] + part.start_h[each[0]] for each in found]),
            "event": _words([each[2] for each in found]),
            "what": _words([each[3] for each in found]),
        }
        return self._table("events", out, len(found))

    def _window(self, each: Struck, at: int) -> tuple[float, float]:
        fault = each.fault
        if each.entry.place is Place.NODE:
            start = fault.start_h - float(self.part.start_h[at])
            return max(0.0, start), start + fault.duration_h
        if each.entry.place.by_calendar:
            return 0.0, math.inf
        return fault.start_h, fault.start_h + fault.duration_h

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


def standards_table(scenario: Scenario, schema: pa.Schema) -> pa.Table:
    """The network's standards on each site's spectrometer."""
    sites = [each.name for each in scenario.sites]
    rows = standards_at(sites, seed=scenario.seed)
    columns = {"site": _words(np.repeat(sites, len(STANDARDS))), "batch": _words(STANDARDS * len(sites)), "spectrum": _lists(rows)}
    return pa.Table.from_arrays([_array(columns[field.name], field) for field in schema], schema=schema.remove_metadata())


def _lists(rows: NDArray[np.float32]) -> pa.Array:
    offsets = pa.array(np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(rows.ravel()))


EXPIRED = "the starting material waited beyond its life"


def _array(values: object, field: pa.Field) -> pa.Array:
    array = values if isinstance(values, pa.Array) else pa.array(np.ascontiguousarray(values))
    return array if array.type == field.type else array.cast(field.type)


def _words(texts: Iterable[str]) -> pa.Array:
    return pa.array(list(texts), type=pa.string()).dictionary_encode()
