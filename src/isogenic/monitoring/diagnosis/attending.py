"""Attending: a watch with somebody beside it who tells a probe from the process.

    aide = attendant(model, library=library)
    aide, told = attend(aide, values)

Every reading is judged as it came: the alarm, its score and its limit are those of `judge`, whatever is said of probes. Beside
it stands what each probe says of itself (`probes`), a second judgement without the probes that are in trouble, so that it is
known what can still be judged, and the direction in which the readings have gone, which is held against known faults (`classes`).

When an alarm stands, the *verdict* is

    probe       nearly all of the departure is in one variable, the others would have said otherwise had it been true (good data
                let it be told from them), and it stayed so for some readings; or the probe itself is frozen, stuck, late, impossible
    process     the departure is in several variables
    undecided   one variable alone, and nothing else can tell, or too soon to tell

Guarantees: a unit's words do not depend on who else is attended; nothing given is changed; it never falls silent: what cannot
be judged is said, and why.
Leaves to others: what is done then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotAllowed
from isogenic.monitoring.diagnosis.classes import Library, Resemblance
from isogenic.monitoring.judging import Findings, judge
from isogenic.monitoring.model import Model
from isogenic.monitoring.probes import NO_LIMITS, Health, ProbeLimits, Probes, Trouble, look, new_probes, troubles
from isogenic.monitoring.tables import BatchTable, Floats, present
from isogenic.monitoring.watch import Watch

__all__ = ["Aide", "Judges", "Told", "Verdict", "attend", "attendant", "attended", "signature_of"]

ALONE = 0.7  # share of the leading statistic that one variable explains, averaged over the alarm, or it is not alone
SEVERAL = 0.5  # less than this: several variables
TOLD_BY_OTHERS = 0.5  # share of a variable's variance that the others explain, or they cannot tell
SETTLES = 10  # readings after which what follows a process fault has followed
MEMORY = 0.3  # of the way to each new reading: the direction of about the last six
SHARE_MEMORY = 0.2  # the same of the share
DUE = 0.99  # steps of the grid between two readings that count for probes


class Verdict(StrEnum):
    """Of an alarm."""

    NONE = ""  # there is no alarm
    PROBE = "probe"
    PROCESS = "process"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Judges:
    """What can still be judged of a unit."""

    judged: bool  # this reading, without the probes that are in trouble
    alarm: bool  # an alarm stands without them, too
    variables: tuple[str, ...]  # whose probes are well
    why_not: str


@dataclass(frozen=True, slots=True, eq=False)
class Aide:
    """A watch, what is remembered of the probes, and where the readings have gone. Plain arrays: store it between any two readings."""

    watch: Watch
    limits: tuple[ProbeLimits, ...]
    library: Library | None
    probes: Probes
    rest: Watch  # the same units, without what was in trouble
    trail: Floats  # float64[units, p]: averaged scaled deviations
    share: Floats  # which share of the departure one variable explains, averaged since the alarm began
    stood: NDArray[np.int64]  # readings that the alarm has stood
    counted: Floats  # of batches: the maturity of the newest reading that counted for the probes

    def __eq__(self, other: object) -> bool:
        """The same model, and the same bits of every unit."""
        if not isinstance(other, Aide):
            return False
        arrays = ("trail", "share", "stood", "counted")
        same = all(getattr(self, each).tobytes() == getattr(other, each).tobytes() for each in arrays)
        return same and self.watch == other.watch and self.rest == other.rest and self.probes == other.probes

    __hash__ = None  # type: ignore[assignment]

    @property
    def model(self) -> Model:
        """The model that judges."""
        return self.watch.model


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What one reading of each unit says, and of what."""

    aide: Aide  # after the reading
    values: Floats
    findings: Findings  # as `judge` gives them
    rest: Findings  # without the probes that are in trouble

    def __eq__(self, other: object) -> bool:
        """The same bits of every unit."""
        return isinstance(other, Told) and self.findings == other.findings and self.rest == other.rest and self.aide == other.aide

    __hash__ = None  # type: ignore[assignment]

    def troubles(self, unit: int = 0) -> tuple[Trouble, ...]:
        """What is wrong with single probes."""
        return troubles(self.aide.model.variables, self.aide.limits, self.aide.probes, self.values, unit)

    def judges(self, unit: int = 0) -> Judges:
        """What can still be judged."""
        well = self.aide.probes.health[unit] == Health.WELL
        names = tuple(each.name for each, here in zip(self.aide.model.variables, well.tolist(), strict=True) if here)
        return Judges(bool(self.rest.judged[unit]), bool(self.rest.alarm[unit]), names, self.rest.why_not(unit))

    def resembles(self, unit: int = 0) -> Resemblance | None:
        """Which known fault a standing alarm resembles; None without an alarm, or without a library."""
        if self.aide.library is None or not self.findings.alarm[unit]:
            return None
        return self.aide.library.resembles(self.aide.trail[unit])

    def verdict(self, unit: int = 0) -> tuple[Verdict, str]:
        """Of a standing alarm: probe or process, and the sentence that says why."""
        if not self.findings.alarm[unit]:
            return Verdict.NONE, ""
        if not self.findings.judged[unit]:
            return Verdict.UNDECIDED, f"this reading cannot be judged: {self.findings.why_not(unit)}"
        share, leads = float(self.aide.share[unit]), leader(self.findings, unit)[1]
        name, explained = self.aide.model.variables[leads].name, told_by_others(self.aide.model, self.findings, unit, leads)
        broken = [each for each in self.troubles(unit) if each.health not in (Health.WELL, Health.MISSING)]
        if broken and not self.rest.alarm[unit]:
            return Verdict.PROBE, f"{'; '.join(each.sentence for each in broken)}; without it the others are as they should be"
        if share < SEVERAL:
            return Verdict.PROCESS, f"{name} leads, and others have departed with it"
        if share >= ALONE and explained >= TOLD_BY_OTHERS:
            if self.aide.stood[unit] >= SETTLES:
                return Verdict.PROBE, f"the {name} sensor, not the {name}: the others would show it, and have not for {SETTLES} readings"
            return Verdict.UNDECIDED, f"{name} alone has departed; it is too soon to tell whether others follow"
        if share >= ALONE:
            return Verdict.UNDECIDED, f"{name} alone has departed, and no other variable can tell whether that is true"
        return Verdict.UNDECIDED, f"{name} leads; others have departed a little"


def attendant(model: Model, *, library: Library | None = None, units: int = 1, product: str | None = None) -> Aide:
    """Somebody beside a watch of so many units before their first reading."""
    p = len(model.variables)
    if library is not None and (library.model != model.digest or library.directions.shape[1] != p):
        raise NotAllowed(f"cannot tell faults of {model.name} by this library", why=f"it was learnt with the model {library.model[:16]}")
    watch = model.watch(units=units, product=product)
    probes, none = new_probes(units, p), np.zeros(units)
    return Aide(
        watch, model.probes or (NO_LIMITS,) * p, library, probes, watch, np.zeros((units, p)), none, none.astype(np.int64), np.full(units, -np.inf)
    )


def attend(
    aide: Aide,
    values: Floats,
    *,
    maturity: Floats | float | None = None,
    phases: Sequence[str] | None = None,
    age: Floats | None = None,
    every: float = 0.0,
) -> tuple[Aide, Told]:
    """One reading of each unit, as `judge` takes it. `age`: how long ago each value was measured; `every`: the usual interval."""
    given = np.asarray(values, dtype=np.float64)
    readings = given[None] if given.ndim == 1 else given
    watch, findings = judge(aide.watch, readings, maturity=maturity, phases=phases)
    ages = None if age is None else np.broadcast_to(np.asarray(age, dtype=np.float64), readings.shape)
    due = np.ones(aide.watch.units, dtype=np.bool_)
    if not aide.model.continuous:  # good batches were read so often; what comes between shows no more of a probe
        due = watch.maturity >= aide.counted + DUE * aide.model.structure.grid.step
    probes = look(aide.limits, aide.probes, readings, age=ages, every=every, due=due)
    broken = (probes.health > Health.MISSING) & present(readings)
    if broken.any() or aide.rest is not aide.watch:
        rest, without = judge(aide.rest, np.where(broken, np.nan, readings), maturity=maturity, phases=phases)
        if not broken.any() and (rest.alarm == watch.alarm).all():
            rest, without = watch, findings  # all is well again, and both say the same
    else:
        rest, without = watch, findings
    seen = findings.measured
    moved = np.where(findings.judged[:, None], aide.trail + MEMORY * (np.where(seen.there, seen.z, 0.0) - aide.trail), aide.trail)
    share, stood = _alone(aide, findings)
    after = replace(
        aide, watch=watch, probes=probes, rest=rest, trail=moved, share=share, stood=stood, counted=np.where(due, watch.maturity, aide.counted)
    )
    return after, Told(after, readings, findings, without)


def leader(findings: Findings, unit: int) -> tuple[float, int]:
    """Which share of the departure one variable explains, and which.

    A departure of level or course is looked at first, in the slowest or fastest average that is over the limit: squares of
    residuals, of which spreads are made, smear one variable's departure over its neighbours.
    """
    bank, filtered, at = findings.model.bank, findings.measured.filtered, int(findings.leading[unit])
    if bank is not None and filtered is not None:
        k = len(bank.centre)
        tails = np.nan_to_num(findings.statistics[unit, 2 : 3 + k], nan=-np.inf)
        rate = int(tails.argmax())
        if 2 <= at < 4 + 2 * k or tails[rate] > findings.limit:
            squares = np.square(filtered.w[unit, rate])
            leads = int(squares.argmax())
            return min(1.0, float(squares[leads]) / max(float(filtered.size[unit, rate]), 1e-300)), leads
    shares = findings.contributions(unit)
    leads = int(shares.argmax())
    whole = _whole(findings, at, unit) if bank is None or at < 2 else float(shares.sum())
    return min(1.0, float(shares[leads]) / max(whole, 1e-300)), leads


def told_by_others(model: Model, findings: Findings, unit: int, variable: int) -> float:
    """The share of a variable's variance that the others explain in good data."""
    knot = 0 if findings.measured.place is None else int(findings.measured.place.knot[unit])
    directions, spread = model.structure.directions[knot], model.structure.spread[knot]
    column = directions[:, variable]
    variance, precision = float((column * column * spread).sum()), float((column * column / spread).sum())
    return max(0.0, 1.0 - 1.0 / max(variance * precision, 1.0))


def _whole(findings: Findings, at: int, unit: int) -> float:
    """T2 or SPE of a reading, or both against their limits: that of which the contributions are shares."""
    seen, model = findings.measured, findings.model
    knot = 0 if seen.place is None else int(seen.place.knot[unit])
    squares, a = np.square(seen.scores[unit]), model.structure.components
    if model.bank is not None:
        return float(squares @ model.halves[knot, :, at])
    t2, spe = seen.limits[unit] if seen.limits is not None else (model.t2_limit[0], model.spe_limit[0])
    return float((squares[:a] / model.structure.spread[knot, :a]).sum() / t2 + squares[a:].sum() / spe)


def _alone(aide: Aide, findings: Findings) -> tuple[Floats, NDArray[np.int64]]:
    """The share that one variable explains of a standing alarm, averaged, and for how many readings it has stood."""
    share, stood = np.where(findings.alarm, aide.share, 0.0), np.where(findings.alarm, aide.stood, 0)
    for unit in np.flatnonzero(findings.alarm & findings.judged).tolist():
        now = leader(findings, unit)[0]
        share[unit] = now if not stood[unit] else share[unit] + SHARE_MEMORY * (now - share[unit])
        stood[unit] += 1
    return share, stood


def attended(model: Model, table: BatchTable, *, library: Library | None = None) -> Iterator[Told]:
    """What is told of a whole batch, or of a run of a continuous process, sample by sample, as it would have been on line."""
    aide = attendant(model, library=library)
    for row, (maturity, values) in enumerate(zip(table.maturity.tolist(), table.values, strict=True)):
        phases = None if table.phases is None else (table.phases[row],)
        aide, told = attend(aide, values, maturity=None if model.continuous else maturity, phases=phases)
        yield told


def signature_of(model: Model, table: BatchTable) -> Floats | None:
    """Where a batch, or a run, goes after its first alarm has stood for some readings: an example of a fault. None without an alarm."""
    stood, out = 0, None
    for told in attended(model, table):
        if told.findings.alarm[0]:
            stood, out = stood + 1, told.aide.trail[0]
            if stood == SETTLES:
                break
    return out
