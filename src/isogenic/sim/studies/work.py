"""What is done to every batch of a study, and when: operations before, during and after the culture, and the laboratory.

Guarantees: the work of a batch is a function of the scenario and of its times in the plan, whichever batches are worked
out with it. What was not reached is NaN.
Leaves to others: when a suite is free (`calendar`), who stands in line for a crew or the laboratory (`lines`), what
stops a culture (`chunk`: such a batch keeps its place in the line).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.faults.catalogue import Place
from isogenic.sim.operations import Drawn, Operation, drawn
from isogenic.sim.processes.process import Floats
from isogenic.sim.routes import FILLED_BY, Route, hurried, route_of
from isogenic.sim.scenarios.model import Scenario, ScenarioFault
from isogenic.sim.studies.part import Part
from isogenic.sim.studies.shifts import Shifts, shifts_of
from isogenic.sim.studies.strikes import strikes

__all__ = ["STAGES", "Times", "Work", "faulted", "work_of"]

STAGES = ("before", "during", "after", "laboratory")
USUAL_STOPS_PER_H, USUAL_STOP_H = 0.1, 4.0 / 60.0  # of an operation that says none


@dataclass(frozen=True, slots=True)
class Work:
    """k operations on n batches, (k, n): those before the culture, then during, after, and the laboratory's."""

    names: tuple[str, ...]
    counts: tuple[int, ...]  # of those four
    start_h: Floats
    end_h: Floats
    waited_h: Floats  # for a crew, a shift or the laboratory, before it began
    stopped_h: Floats
    recovery: Floats
    failed: NDArray[np.bool_]
    ends: NDArray[np.bool_]  # the batch was lost in it

    def without(self, stopped: dict[int, float]) -> Work:
        """That of batches whose cultures stopped, at these hours: nothing is begun afterwards."""
        if not stopped:
            return self
        gone = np.zeros(self.start_h.shape, dtype=bool)
        for at, hour in stopped.items():
            gone[:, at] = ~(self.start_h[:, at] < hour)
            gone[self.after.start :, at] = True
        return self._each(lambda array: np.where(gone, False if array.dtype == bool else np.nan, array))

    def _each(self, by: Callable[[Any], Any]) -> Work:
        arrays = ("start_h", "end_h", "waited_h", "stopped_h", "recovery", "failed", "ends")
        return replace(self, **{name: by(getattr(self, name)) for name in arrays})

    @property
    def stages(self) -> list[str]:
        """Of each operation."""
        return [stage for stage, count in zip(STAGES, self.counts, strict=True) for _ in range(count)]

    @property
    def after(self) -> slice:
        """The rows after the culture, without the laboratory's."""
        return _rows(self.counts)[2]

    @property
    def kept(self) -> Floats:
        """The share of the harvest that is left; nothing of a batch that did not come to its end."""
        left = np.prod(self.recovery[self.after], axis=0)
        return np.where(self.ends.any(axis=0) | np.isnan(left), 0.0, left)

    @property
    def done_h(self) -> Floats:
        """When the last operation after the culture was done; NaN where it was not reached, or where there is none."""
        if not self.counts[2]:
            return np.full(self.start_h.shape[1], np.nan)
        return np.where(self.ends.any(axis=0), np.nan, self.end_h[self.after][-1])

    @property
    def tested_h(self) -> Floats:
        """When the last result was there; NaN where one is missing, or where nothing is tested."""
        results = self.end_h[_rows(self.counts)[3]]
        return np.max(results, axis=0) if len(results) else np.full(self.start_h.shape[1], np.nan)

    def begun_h(self, names: Sequence[str]) -> Floats:
        """When the first of these operations began; NaN where none did."""
        rows = [row for row, each in enumerate(self.names) if each in names]
        return np.asarray(np.fmin.reduce(self.start_h[rows], axis=0, initial=np.nan))

    def lost_in(self, at: int) -> str:
        """The operation in which a batch was lost; empty: in none."""
        rows = np.flatnonzero(self.ends[:, at])
        return self.names[rows[0]] if len(rows) else ""


def work_of(scenario: Scenario, part: Part) -> Work:
    """The work of these batches, at the times that the plan gives."""
    times = Times(scenario, part)
    times.finish()
    times.test()
    return times.work()


class Times:
    """The work of some batches of one process, stage after stage; who stands in line does not know yet when he is served."""

    def __init__(self, scenario: Scenario, part: Part) -> None:
        product = scenario.product(part.process)
        self.part, self.route = part, route_of(part.process, finish=product.finish, rapid=product.rapid)
        route = self.route
        self.counts = tuple(map(len, (route.before, route.during, route.after, route.laboratory)))
        self.before, self.during, self.after, self.laboratory = _rows(self.counts)
        self.dice = _thrown(scenario, part, route)
        shape = self.dice.hours.shape
        self.start, self.waited = np.full(shape, np.nan), np.zeros(shape)
        self._at = {site: np.flatnonzero(np.array(part.sites, dtype=object) == site) for site in dict.fromkeys(part.sites)}
        self._shifts = {each.name: shifts_of(scenario, each) for each in scenario.sites if each.name in self._at}
        self.harvest = np.where(part.grown, part.harvest_h, np.nan)
        self._follow(self.before, np.where(part.expired, np.nan, part.start_h))
        culture = np.where(part.grown, part.culture_h, np.nan)
        for row, (age, _) in zip(range(self.during.start, self.during.stop), route.during, strict=True):
            due = np.where(culture + age < part.harvest_h, culture + age, np.nan)
            self.start[row] = self._opened(due)
            self.waited[row] = self.start[row] - due

    # --- one stage after another ------------------------------------------------------------------

    def finish(self) -> None:
        """What follows the culture: when a crew takes it, or at once where nobody stands in line."""
        self._follow(self.after, np.where(np.isnan(self.part.finish_h), self.harvest, self.part.finish_h), since=self.harvest)

    def samples(self) -> tuple[Floats, Floats]:
        """When there is something to test, and how long each assay takes: (assays, n)."""
        names = [each.name for each in self.route.after]
        rows = [self.after.start + names.index(each.after) for each in self.route.laboratory]
        done = np.where(self.dice.ends, np.nan, self.start + self.dice.hours)
        return done[rows], self.dice.hours[self.laboratory]

    def test(self) -> None:
        """The assays: when the laboratory has a place, or at once where nothing stands in line."""
        comes, _ = self.samples()
        given = self.part.tests_h
        begins = np.where(np.isnan(given), np.reshape([self._opened(each) for each in comes], comes.shape), given)
        self.start[self.laboratory] = np.where(np.isnan(comes), np.nan, begins)
        self.waited[self.laboratory] = begins - comes

    def shifts(self, site: str) -> Shifts:
        """The hours of one of the sites."""
        return self._shifts[site]

    def work(self) -> Work:
        """All of it."""
        dice, there = self.dice, np.isfinite(self.start)
        ends = dice.ends & there
        ends[self.laboratory] = False  # an assay that is not valid twice is told; the batch is still there
        nothing = np.where(there, 0.0, np.nan)
        return Work(
            tuple(each.name for each in self.route.operations),
            self.counts,
            self.start,
            self.start + dice.hours,
            self.waited + nothing,
            dice.stopped_h + nothing,
            dice.recovery + nothing,
            dice.failed & there,
            ends,
        )

    def _follow(self, rows: slice, begins: Floats, *, since: Floats | None = None) -> None:
        """One operation after another, until the batch is lost."""
        if rows.start == rows.stop:
            return
        for site, at in self._at.items():
            hours, ends = self.dice.hours[rows, at], self.dice.ends[rows, at]
            starts, _ = self._shifts[site].one_after_another(begins[at], hours, ends)
            came = np.vstack([(begins if since is None else since)[at], (starts + hours)[:-1]])
            self.start[rows, at], self.waited[rows, at] = starts, starts - came

    def _opened(self, hour: Floats) -> Floats:
        out = np.array(hour, dtype=np.float64)
        for site, at in self._at.items():
            out[at] = self._shifts[site].opens(out[at])
        return out


def _rows(counts: Sequence[int]) -> tuple[slice, slice, slice, slice]:
    first, second, third, fourth = np.cumsum(counts).tolist()
    return slice(0, first), slice(first, second), slice(second, third), slice(third, fourth)


def _thrown(scenario: Scenario, part: Part, route: Route) -> Drawn:
    """The dice of all batches, each with the operations as its faults and its surge leave them."""
    filling = [each for each in strikes(scenario, part) if each.entry.place is Place.FILLING]
    kinds: dict[tuple[tuple[ScenarioFault, ...], float], list[int]] = {}
    for at, surge in enumerate(part.surge.tolist()):
        kinds.setdefault((tuple(each.fault for each in filling if each.batches[at]), surge), []).append(at)
    names = part.names
    pieces = [
        drawn(
            faulted(hurried(route.operations, surge), faults),
            seed=scenario.seed,
            sites=[part.sites[place] for place in at],
            batches=[names[place] for place in at],
        )
        for (faults, surge), at in kinds.items()
    ]
    order = np.argsort(np.concatenate(list(kinds.values())), kind="stable")
    return Drawn.beside(pieces).cut(slice(None), order)


def faulted(chain: Sequence[Operation], faults: Sequence[ScenarioFault]) -> list[Operation]:
    """The operations as faults of filling leave them."""
    out = []
    for each in chain:
        for fault in (fault for fault in faults if each.name in FILLED_BY[fault.name]):
            if fault.name == "needle_drifts":  # the mean over the run is half of what it is at its end
                each = replace(each, recovery=each.recovery * (1.0 - 0.5 * fault.size))
            elif fault.name == "stopper_jams":
                each = replace(each, stops_per_h=(each.stops_per_h or USUAL_STOPS_PER_H) * fault.size, stop_h=each.stop_h or USUAL_STOP_H)
            elif fault.name == "particles_rise":
                each = replace(each, failure=max(each.failure, fault.size))
        out.append(each)
    return out
