"""How a model places batches: its kind, what it learnt from good batches, and where each running batch is.

| by | maturity is |
| --- | --- |
| indicator | a monitored variable that rises (or falls) while a batch ripens |
| phase | the phase, and the clock within it; see `phases` |
| warping | where the readings stand on the usual batch (dynamic time warping); see `warping` |
| evolution | what partial least squares of the readings says of it; see `evolution` |

Without a placing, maturity is what the caller says: the clock, or an indicator of their own.

Guarantees: placing looks at nothing that is to come, and is the same on line and off line; one
unit or many the same numbers; maturity never falls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from isogenic.errors import NotValid
from isogenic.monitoring.alignment import Grid
from isogenic.monitoring.placing.evolution import Evolution, evolution_of, moved
from isogenic.monitoring.placing.phases import PHASES_MAX, phases_of
from isogenic.monitoring.placing.warping import POINTS_MAX, Template, extended, template_of
from isogenic.monitoring.structure import PRESENT_SHARE_MIN
from isogenic.monitoring.tables import VALUE_MAX, BatchTable, Floats, Variable, present

__all__ = ["KINDS", "Header", "Placed", "Placing", "Spot", "check_header", "placing_from", "placing_of", "shapes_of"]

KINDS = ("indicator", "phase", "warping", "evolution")


class Spot(NamedTuple):
    """Where each unit is: float64[units], and what its placing remembers, float64[units, m]."""

    reached: Floats
    memory: Floats


class Placed(NamedTuple):
    """A spot after a reading, and the maturity: -inf while none is known."""

    spot: Spot
    maturity: Floats


@dataclass(frozen=True, slots=True)
class Header:
    """A placing without its arrays, as a model's file has it."""

    by: str
    names: tuple[str, ...]  # the phases in their order, or the indicator
    grid: Grid | None
    column: int  # of the indicator
    sign: int  # -1: the indicator falls


@dataclass(frozen=True, slots=True, eq=False)
class Placing:
    """What a model learnt of how batches ripen."""

    header: Header
    arrays: tuple[Floats, ...]

    @property
    def by(self) -> str:
        """One of KINDS."""
        return self.header.by

    @property
    def bounds(self) -> tuple[float, ...]:
        """The maturities at which a new phase begins."""
        return tuple(np.cumsum(self.arrays[0])[:-1].tolist()) if self.by == "phase" else ()

    def begin(self, units: int) -> Spot:
        """Units of which nothing has been read."""
        width = {"indicator": 0, "phase": 2, "warping": self.header.grid.points if self.header.grid else 0, "evolution": 1}[self.by]
        first = 0.0 if self.by == "evolution" else -1.0
        return Spot(np.full(units, -np.inf), np.full((units, width), first))

    def tell(self, spot: Spot, values: Floats, *, clock: Floats, phases: Sequence[str] | None = None) -> Placed:
        """One reading of each unit: where it is now. A clock that is no number does not move a unit."""
        there, known = present(values), present(clock)
        ticks = np.where(known, clock, 0.0)
        if self.by == "indicator":
            own = values[:, self.header.column]
            usable = there[:, self.header.column]
            reached = np.where(usable, np.maximum(spot.reached, self.header.sign * np.where(usable, own, 0.0)), spot.reached)
            return Placed(Spot(reached, spot.memory), reached)
        if self.by == "phase":
            return self._by_phase(spot, ticks, known, phases)
        if self.by == "warping":
            sums, reached = extended(self._template(), spot.memory, values, there, ticks, spot.reached)
            sums, reached = np.where(known[:, None], sums, spot.memory), np.where(known, reached, spot.reached)
            return Placed(Spot(reached, sums), reached)
        usable = known & (there.mean(axis=1) >= PRESENT_SHARE_MIN)
        offset = moved(self._evolution(), spot.memory[:, 0], values, there, ticks, usable)
        reached = np.where(known, np.maximum(spot.reached, ticks + offset), spot.reached)
        return Placed(Spot(reached, offset[:, None]), reached)

    def placed(self, batches: Sequence[BatchTable]) -> list[BatchTable]:
        """Whole batches with their maturity as it would have been told on line."""
        longest = max(len(each.maturity) for each in batches)
        values = np.full((len(batches), longest, batches[0].values.shape[1]), np.nan)
        clock = np.full((len(batches), longest), np.nan)
        for number, each in enumerate(batches):
            values[number, : len(each.maturity)], clock[number, : len(each.maturity)] = each.values, each.maturity
        spot, told = self.begin(len(batches)), np.empty((len(batches), longest))
        clock = np.fmax.accumulate(clock, axis=1)
        for at in range(longest):
            phases = [each.phases[at] if each.phases is not None and at < len(each.phases) else "" for each in batches]
            spot, told[:, at] = self.tell(spot, values[:, at], clock=clock[:, at], phases=phases)
        ends = [len(each.maturity) for each in batches]
        return [BatchTable(each.batch, told[at, : ends[at]].copy(), each.values, each.phases) for at, each in enumerate(batches)]

    def _by_phase(self, spot: Spot, ticks: Floats, known: np.ndarray, phases: Sequence[str] | None) -> Placed:
        if phases is None or len(phases) != len(ticks):
            raise NotValid("cannot place a batch by its phase", why="no phase is given for each unit")
        lengths = self.arrays[0]
        starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
        said = np.array([self.header.names.index(each) if each in self.header.names else -1 for each in phases], dtype=np.float64)
        now, since = spot.memory[:, 0], spot.memory[:, 1]
        new = known & (said > now)
        now, since = np.where(new, said, now), np.where(new, ticks, since)
        at = np.maximum(now, 0.0).astype(np.intp)
        # a phase that lasts longer than usual waits just before the next: what is judged there is still its own
        run = np.minimum(np.maximum(ticks - since, 0.0), np.where(at < len(lengths) - 1, lengths[at] * (1.0 - 1e-6), np.inf))
        reached = np.where(known & (now >= 0), np.maximum(spot.reached, starts[at] + run), spot.reached)
        return Placed(Spot(reached, np.stack([now, since], axis=1)), reached)

    def _template(self) -> Template:
        assert self.header.grid is not None
        return Template(self.header.grid, *self.arrays)

    def _evolution(self) -> Evolution:
        mean, scale, answers, numbers = self.arrays
        return Evolution(mean, scale, answers, *numbers.tolist())


def placing_of(batches: Sequence[BatchTable], variables: Sequence[Variable], *, by: str, indicator: str = "") -> Placing:
    """What good batches say of how they ripen."""
    if by == "indicator":
        names = [each.name for each in variables]
        if indicator not in names:
            raise NotValid(f"cannot align by {indicator[:60] or 'an indicator that is not named'}", possible=", ".join(names)[:300])
        column = names.index(indicator)
        change = np.array([_change(each.values[:, column]) for each in batches])
        sign = 1 if float(np.median(change)) >= 0 else -1
        if not (sign * change > 0).all():
            odd = batches[int(np.flatnonzero(~(sign * change > 0))[0])].batch
            raise NotValid(
                f"cannot align by {indicator[:60]}", why=f"in batch {odd[:40]} it does not {'rise' if sign > 0 else 'fall'} from begin to end"
            )
        return Placing(Header(by, (indicator,), None, column, sign), ())
    if by == "phase":
        order, usual = phases_of(batches)
        return Placing(Header(by, order, None, -1, 1), (usual,))
    if by == "warping":
        template = template_of(batches)
        return Placing(Header(by, (), template.grid, -1, 1), (template.values, template.scale, template.weight))
    if by == "evolution":
        found = evolution_of(batches)
        numbers = np.array([found.level, found.rate, found.first, found.last])
        return Placing(Header(by, (), None, -1, 1), (found.mean, found.scale, found.answers, numbers))
    raise NotValid(f"cannot align by {by[:60]!r}", possible=", ".join(KINDS))


def _change(column: Floats) -> float:
    """From the first tenth of a batch's values to the last."""
    known = column[present(column)]
    part = max(1, len(known) // 10)
    return float(np.median(known[-part:]) - np.median(known[:part])) if len(known) else 0.0


def shapes_of(header: Header, p: int) -> tuple[tuple[int, ...], ...]:
    """The shapes of a placing's arrays."""
    points = header.grid.points if header.grid else 0
    return {
        "indicator": (),
        "phase": ((len(header.names),),),
        "warping": ((points, p), (p,), (p,)),
        "evolution": ((p,), (p,), (p,), (4,)),
    }[header.by]


def placing_from(header: Header, arrays: Sequence[Floats], p: int, *, what: str) -> Placing:
    """A placing as a file has it, or a refusal."""
    grid = header.grid
    if header.by == "warping" and not (grid is not None and 0 < grid.step < VALUE_MAX and abs(grid.first) < VALUE_MAX):
        raise NotValid(what, why="its template makes no sense")
    if header.by == "indicator" and not (0 <= header.column < p):
        raise NotValid(what, why="its indicator is none of its variables")
    above = {"indicator": (), "phase": arrays[:1], "warping": arrays[1:2], "evolution": arrays[1:2]}[header.by]
    if any(float(each.min()) <= 0 for each in above) or (header.by == "evolution" and not 0 < float(arrays[3][1]) <= 1):
        raise NotValid(what, why="a scale or a length of its placing is not above 0")
    return Placing(header, tuple(arrays))


def check_header(header: Header, *, what: str) -> None:
    """Refuse a header whose arrays could not be read."""
    points = header.grid.points if header.grid else 0
    sized = {"phase": 1 <= len(header.names) <= PHASES_MAX, "warping": 2 <= points <= POINTS_MAX}
    if header.by not in KINDS or not sized.get(header.by, True) or header.sign not in (1, -1) or not math.isfinite(header.column):
        raise NotValid(what, why="its placing makes no sense")
