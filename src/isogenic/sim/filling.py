"""Filling and finishing as timed operations, fill weights, and inspection by people and by sample.

Guarantees: `FILLING` and `LYOPHILISED` are chains for `operate`, `FILL` is the name of the operation that fills;
weights and what inspectors find are functions of the seed and the
run's name. `accepts` is the exact chance that a sampling plan lets a lot pass.
Leaves to others: the live line (`filler`), what people do with a marked run.

A robot fills nested vials in an isolator: 15 a minute; hydrogen peroxide before it, a changeover after the run. All
numbers are **illustrative**.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.sim.operations import Failure, Operation
from isogenic.sim.processes.process import Floats
from isogenic.sim.streams import Stream

__all__ = ["DRYING", "FILL", "FILLING", "INOCULATION", "LYOPHILISED", "SamplingPlan", "accepts", "fill_weights", "found", "plan_for"]

FILL = "fill_and_stopper"
VIALS, VIALS_A_MINUTE, LOOKED_AT_A_MINUTE = 3000, 15.0, 20.0
WEIGHT_SD, DRIFT_PER_H, REJECTED = 0.0065, 0.001, 0.003
DETECTS = {"critical": 0.9, "major": 0.8, "minor": 0.7}
AQL = {"critical": 0.00065, "major": 0.0065, "minor": 0.025}
CONTAINERS_MAX = 1_000_000

_BEFORE = (
    Operation("thaw_the_drug_substance", 12.0, 1.3),
    Operation("pool", 1.0, 1.1, recovery=0.995),
    Operation("sterile_filtration", 1.0, 1.15, recovery=0.995, failure=0.005, on_failure=Failure.REPEATED, what="integrity test; refiltered once"),
    Operation("decontaminate_the_isolator", 1.5, 1.19, what="hydrogen peroxide, 60 to 120 minutes"),
)
_FILL = Operation(
    FILL,
    VIALS / VIALS_A_MINUTE / 60.0,
    1.1,
    recovery=1.0 - REJECTED,
    recovery_sd=0.0005,
    failure=0.001,
    on_failure=Failure.MARKED,
    stops_per_h=0.4,
    stop_h=4.0 / 60.0,
    what="a jam of the nest stops it; a glove or a particle marks it",
)
_AFTER = (
    Operation(
        "inspect_by_eye",
        VIALS / LOOKED_AT_A_MINUTE / 60.0,
        1.1,
        recovery=0.99,
        recovery_sd=0.003,
        failure=0.02,
        on_failure=Failure.REPEATED,
        what="a sample by AQL; where it does not pass, the lot is inspected once more",
    ),
    Operation("change_over", 1.0, 1.1),
)
DRYING = Operation("lyophilise", 60.0, 1.1, failure=0.005, on_failure=Failure.LOST, what="choked flow or lost vacuum")
FILLING = (*_BEFORE, _FILL, *_AFTER)
LYOPHILISED = (*_BEFORE, _FILL, DRYING, *_AFTER)
INOCULATION = (
    Operation("install_and_test_the_bag", 1.5, 1.2, failure=0.01, on_failure=Failure.REPEATED, what="leak test; a new bag once"),
    Operation("bring_in_the_medium", 4.0, 1.1, failure=0.003, on_failure=Failure.LOST, what="the bag leaks"),
    Operation("inoculate", 1.0, 1.2, failure=0.005, on_failure=Failure.MARKED, what="contaminated later"),
)


def fill_weights(
    target_g: float, containers: int, *, seed: int, run: str, sd: float = WEIGHT_SD, drift_per_h: float = DRIFT_PER_H, needle_loses: float = 0.0
) -> Floats:
    """What each container weighs: the pump's scatter, its drift, and a needle that loses this share by the end of the run."""
    if not (target_g > 0 and 1 <= containers <= CONTAINERS_MAX and sd >= 0 and 0 <= needle_loses < 1):
        raise NotValid(f"cannot fill {containers} of {target_g} g", possible=f"1 to {CONTAINERS_MAX} containers, more than 0 g")
    at = np.arange(containers)
    share = 1.0 + sd * Stream(seed, "fill weight", run).normals(0, containers) - drift_per_h * at / (VIALS_A_MINUTE * 60.0)
    weights: Floats = target_g * (share - needle_loses * at / max(containers - 1, 1))
    return weights


def found(defects: NDArray[np.bool_], *, severity: str, seed: int, run: str, look: int = 1) -> NDArray[np.bool_]:
    """Which of the defective containers an inspector finds; each `look` is another one, of the same skill."""
    if severity not in DETECTS:
        raise NotValid(f"no severity {severity[:40]}", possible=", ".join(DETECTS))
    draws = Stream(seed, "inspected", run, severity, look).normals(0, max(defects.size, 1))[: defects.size]
    sees = np.array([0.5 * math.erfc(-each / math.sqrt(2.0)) for each in draws]) < DETECTS[severity]
    return np.asarray(defects & sees.reshape(defects.shape))


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """So many are looked at; with so many defects among them the lot still passes."""

    sample: int
    allowed: int


def plan_for(severity: str, *, sample: int = 200) -> SamplingPlan:
    """The plan that passes a lot at its AQL at least 95 times of 100."""
    if severity not in AQL:
        raise NotValid(f"no severity {severity[:40]}", possible=", ".join(AQL))
    return next(plan for c in range(sample + 1) if accepts(plan := SamplingPlan(sample, c), AQL[severity]) >= 0.95 or c == sample)


def accepts(plan: SamplingPlan, defective: float) -> float:
    """The chance that a lot with this share of defects passes (binomial)."""
    if not 0.0 <= defective <= 1.0:
        raise NotValid(f"no share {defective}", possible="0 to 1")
    terms = (math.comb(plan.sample, k) * defective**k * (1.0 - defective) ** (plan.sample - k) for k in range(plan.allowed + 1))
    return min(1.0, sum(terms))
