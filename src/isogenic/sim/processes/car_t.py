"""The CAR-T process: one patient's cells from activation to harvest, for thousands of patients at once.

Guarantees: `CAR_T.run` is a function of its arguments and holds the equations of `t_cells`; `simulate` also gives the
flows, by which every balance closes. A batch that leaves its physical range, or carries another patient's label, stops
with a reason; the others go on. One batch alone goes in plain floats, and is the same to 1e-9 as among many.
Leaves to others: dice (`donors`, `variation`), robots and times (`cell_processing`), instruments.

Steps are half an hour or less. What is switched (exchange, vector, faults) is switched at the step nearest its time.
The vector is added at 24 h; until 60 h it is toxic. Copies of it are negative-binomial over the cells.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isogenic.sim.cell_processing import AFTER_CULTURE
from isogenic.sim.operations import Operation
from isogenic.sim.processes.car_t_tables import CONSTANTS, FAULTS, MOST, MOST_PURE, QUALITIES, SETTINGS, VARIABLES
from isogenic.sim.processes.process import Constant, Fault, Floats, Mechanism, Outcome, Setting, Stop, Variable, check_faults, depth, filled
from isogenic.sim.processes.ranges import judged
from isogenic.sim.processes.t_cells import Bag, Drive, Flows, Theta, car_positive, stepped, vcn_of_positive
from isogenic.sim.processes.trajectories import Track, grid, walk

__all__ = ["CAR_T", "CarT", "simulate"]

STEP_H_MAX = 0.5
VECTOR_H, VECTOR_GONE_H = 24.0, 60.0
MEDIUM_GLUCOSE = 17.0
SWAPPED = "the label is another patient's: the chain of identity is broken"


def simulate(
    n: int,
    *,
    constants: Mapping[str, Floats] | None = None,
    settings: Mapping[str, Floats] | None = None,
    faults: Sequence[Fault] = (),
    every_h: float | None = None,
) -> tuple[Outcome, Flows]:
    """`n` patients' batches, and what flowed, by age."""
    s = filled(SETTINGS, settings, n=n, what="setting")
    end_h = float(s["duration"].max())
    check_faults(faults, FAULTS, n=n, end_h=end_h)
    ages, per, step_h = grid(n, every_h=24.0 if every_h is None else every_h, duration_h=end_h, step_h_max=STEP_H_MAX)
    c = filled(CONSTANTS, constants, n=n, what="constant")
    plain: Any = (lambda x: float(x[0])) if n == 1 else np.asarray
    theta = Theta(**{name: plain(c[name]) for name in Theta._fields})
    bag, flows = _seeded(n, c, s, faults, plain), Flows(*[plain(np.zeros(n)) for _ in Flows._fields])
    track = Track(n, ages, VARIABLES, beside=Flows._fields)
    harvested, now = np.zeros(n, dtype=bool), Now(n, s, faults)
    swapped, edges, stood, drive = _swaps(n, faults), _edges(s, faults), (-1, -1), Drive()
    gradual = any(each.gradual for each in faults)
    with np.errstate(all="ignore"):
        for age_h, hours, row in walk(ages, per, step_h, end_h=end_h, step_h_max=STEP_H_MAX):
            if row >= 0 or not hours:
                for which in np.flatnonzero(track.running & (age_h >= swapped - 1e-9)):
                    track.stopped[int(which)], track.running[which] = Stop(float(swapped[which]), SWAPPED), False
                exchange = now.exchange(age_h + 0.5 * (hours or step_h))
                seen = {name: np.broadcast_to(each, (n,)) for name, each in _seen(bag, exchange).items()}
                if row >= 0:
                    track.note(row, seen, [np.broadcast_to(f, (n,)) for f in flows])
                else:
                    track.check(age_h, seen)
            if not hours:
                break
            harvested |= (np.asarray(bag.viable) >= s["target"]) | (age_h >= s["duration"] - 1e-9)
            done, passed = int(harvested.sum()), bisect_right(edges, age_h + 0.5 * hours)
            if gradual or (done, passed) != stood:  # nothing else changes what is set
                drive, stood = now.drive(age_h + 0.5 * hours, harvested, plain), (done, passed)
            try:
                bag, flows = stepped(age_h, bag, flows, theta, drive, hours)
            except ArithmeticError:  # where arrays have infinity or NaN
                bag = Bag(*[float("nan")] * len(bag))
    with np.errstate(all="ignore"):
        quality = judged(_quality(bag, n, c, s, faults), QUALITIES, track.stopped, age_h=s["duration"])
    outcome = Outcome(ages, track.values, quality, dict(sorted(track.stopped.items())))
    return outcome, Flows(*track.beside)


@dataclass(frozen=True, slots=True)
class Now:
    """What is set, and what is wrong, at an age."""

    n: int
    settings: Mapping[str, Floats]
    faults: Sequence[Fault]

    def exchange(self, age_h: float) -> Floats:
        """mL/h of medium."""
        s, out = self.settings, np.zeros(self.n)
        for each in ("first", "second", "third"):
            out = np.where(age_h >= s[f"exchange_{each}_at"], s[f"exchange_{each}"], out)
        return np.asarray(out * (1.0 - depth(self.faults, "perfusion_is_lost", age_h=age_h, n=self.n)) / 24.0)

    def drive(self, age_h: float, harvested: Any, plain: Any) -> Drive:
        """For one step around this age."""
        toxic = 0.0
        if VECTOR_H <= age_h < VECTOR_GONE_H:
            toxic = plain((self.settings["moi"] > 0.0) * (1.0 + depth(self.faults, "vector_is_toxic", age_h=age_h, n=self.n)))
        cold = depth(self.faults, "incubator_is_cold", age_h=age_h, n=self.n)
        return Drive(
            plain(self.exchange(age_h)),
            plain(self.settings["volume"]),
            MEDIUM_GLUCOSE,
            plain(self.settings["temperature"] - cold),
            toxic,
            plain(1.0 - harvested),
        )


def _share(c: Mapping[str, Floats], name: str, lost: Floats) -> Floats:
    return np.minimum(c[name], MOST) * (1.0 - lost)


def _seeded(n: int, c: Mapping[str, Floats], s: Mapping[str, Floats], faults: Sequence[Fault], plain: Any) -> Bag:
    viability = _share(c, "viability", depth(faults, "cells_arrive_weak", age_h=0.0, n=n))
    active = _share(c, "activation", depth(faults, "activation_is_weak", age_h=0.0, n=n))
    seed = np.minimum(s["seed"], c["collected"])
    alive, purity = seed * viability, np.minimum(c["purity"], MOST_PURE)
    each = (alive * active, alive * (1.0 - active), seed - alive, alive * (1.0 / purity - 1.0), np.full(n, MEDIUM_GLUCOSE), np.zeros(n))
    return Bag(*[plain(one) for one in each])


def _seen(bag: Bag, exchange: Floats) -> dict[str, Any]:
    return {
        "viable_cells": bag.viable,
        "viability": bag.viability,
        "glucose": bag.glucose,
        "lactate": bag.lactate,
        "activated_cells": bag.activated,
        "dead_cells": bag.dead,
        "cd3_purity": 100.0 * bag.viable / (bag.viable + bag.other),
        "exchange": exchange,
    }


def _quality(bag: Bag, n: int, c: Mapping[str, Floats], s: Mapping[str, Floats], faults: Sequence[Fault]) -> dict[str, Floats]:
    active = _share(c, "activation", depth(faults, "activation_is_weak", age_h=VECTOR_H, n=n))
    strength = s["vector"] * (1.0 - depth(faults, "vector_is_weak", age_h=VECTOR_H, n=n))
    integrations = s["moi"] * c["efficiency"] * strength * active * (s["duration"] > VECTOR_H)
    positive = car_positive(integrations, c["dispersion"])
    viable = np.broadcast_to(bag.viable, (n,))
    return {
        "viability": np.broadcast_to(bag.viability, (n,)),
        "car_positive": positive,
        "vcn": vcn_of_positive(integrations, c["dispersion"]),
        "cd3_purity": np.broadcast_to(100.0 * bag.viable / (bag.viable + bag.other), (n,)),
        "viable_cells": viable,
        "dose": viable * positive / 100.0,
    }


def _edges(s: Mapping[str, Floats], faults: Sequence[Fault]) -> list[float]:
    """Every age at which something is switched."""
    stages = (float(age) for each in ("first", "second", "third") for age in np.unique(s[f"exchange_{each}_at"]))
    ends = (age for each in faults for age in (each.start_h, each.start_h + each.duration_h))
    return sorted({VECTOR_H, VECTOR_GONE_H, *stages, *ends})


def _swaps(n: int, faults: Sequence[Fault]) -> Floats:
    """When each batch's label was found to be another patient's; never: infinity."""
    out = np.full(n, np.inf)
    for each in faults:
        if each.name == "label_is_swapped" and each.size > 0.0:
            out = np.where(np.ones(n, dtype=bool) if each.batches is None else each.batches, np.minimum(out, each.start_h), out)
    return out


@dataclass(frozen=True, slots=True)
class CarT:
    """The `Process`; `simulate` also gives the flows."""

    name: str = "car_t"
    title: str = "Autologous CAR-T cells"
    duration_h: float = 216.0
    every_h: float = 24.0
    constants: Mapping[str, Constant] = field(default_factory=lambda: CONSTANTS)
    settings: Mapping[str, Setting] = field(default_factory=lambda: SETTINGS)
    variables: Mapping[str, Variable] = field(default_factory=lambda: VARIABLES)
    qualities: Mapping[str, Variable] = field(default_factory=lambda: QUALITIES)
    faults: Mapping[str, Mechanism] = field(default_factory=lambda: FAULTS)
    operations: tuple[Operation, ...] = AFTER_CULTURE

    def run(
        self,
        n: int,
        *,
        constants: Mapping[str, Floats] | None = None,
        settings: Mapping[str, Floats] | None = None,
        faults: Sequence[Fault] = (),
        every_h: float | None = None,
    ) -> Outcome:
        """`n` batches at once."""
        return simulate(n, constants=constants, settings=settings, faults=faults, every_h=every_h)[0]


CAR_T = CarT()
