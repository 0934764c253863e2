"""Probes: readings that cannot be what the process did, each by itself: missing, impossible, frozen, stuck, late.

What good data say of each variable is kept as its limits: the longest run of equal readings, the longest gap, the range, how
much it moves. A trouble is told when a probe goes well beyond them:

    missing      no usable value
    impossible   further from all good readings than three times their range, or beyond the physical range that was given
    frozen       the same value to the last digit, more than twice as long as ever in good data
    stuck        it still flickers, and moves less than a fifth of what it moved in any good stretch of that length
    late         its time stamp is older than three usual intervals

Guarantees: a unit's troubles do not depend on who else is looked at; the states given are never changed. A variable that
never moved in good data is never frozen or stuck, one whose time is not told is never late.
Leaves to others: relations between variables (attending), what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.monitoring.tables import VALUE_MAX, BatchTable, Floats, Variable, present

__all__ = ["NO_LIMITS", "Health", "ProbeLimits", "Probes", "Trouble", "limits_of", "look", "new_probes", "troubles"]

Counts = NDArray[np.int64]
STRETCH = 20  # readings that movement is asked of
FROZEN_TIMES, FROZEN_MORE = 2, 3  # times the longest run of equal good readings, and so many more
IMPOSSIBLE_TIMES = 3.0  # ranges of the good readings
STUCK_SHARE = 0.2  # of the least that it moved in a stretch of good readings
LATE_TIMES = 3.0  # usual intervals
NEVER = 1 << 40


class Health(IntEnum):
    """How a probe is."""

    WELL = 0
    MISSING = 1
    IMPOSSIBLE = 2
    FROZEN = 3
    STUCK = 4
    LATE = 5


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """What good data say of one variable by itself."""

    low: float  # nothing below is possible
    high: float
    equal: int  # the longest run of equal readings
    moves: float  # the least that it ranged over in a stretch; 0: it may stand still


NO_LIMITS = ProbeLimits(-VALUE_MAX, VALUE_MAX, NEVER, 0.0)  # nothing is known: only a missing value is trouble


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with one probe."""

    variable: str
    health: Health
    since: int  # readings
    sentence: str


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """What is remembered of the probes of each unit: float64[units, p] and int64[units, p]."""

    last: Floats  # the newest usable value
    equal: Counts  # readings in a row that were the same
    since: Counts  # readings in a row with the present trouble
    health: NDArray[np.int8]
    recent: Floats  # float64[STRETCH, units, p]: the newest values, in a ring
    at: Counts  # int64[units]: how many readings counted

    def __eq__(self, other: object) -> bool:
        """The same bits of every unit."""
        if not isinstance(other, Probes):
            return False
        return all(getattr(self, each.name).tobytes() == getattr(other, each.name).tobytes() for each in fields(self))

    __hash__ = None  # type: ignore[assignment]


def limits_of(
    batches: Sequence[BatchTable], variables: Sequence[Variable], *, possible: Mapping[str, tuple[float, float]] | None = None
) -> tuple[ProbeLimits, ...]:
    """The limits of each variable from good batches or runs. `possible`: physical ranges by name, in place of those from the data."""
    names = [each.name for each in variables]
    unknown = sorted(set(possible or {}) - set(names))
    if unknown:
        raise NotValid(
            f"cannot use a range of {unknown[0][:60]}", why="no variable has this name", possible=", ".join(each.name for each in variables)
        )
    return tuple(_limits([batch.values[:, at] for batch in batches], (possible or {}).get(each.name)) for at, each in enumerate(variables))


def _limits(series: Sequence[Floats], possible: tuple[float, float] | None) -> ProbeLimits:
    known = [values[present(values)] for values in series]
    all_known = np.concatenate(known) if known else np.empty(0)
    if not len(all_known):
        return NO_LIMITS
    low, high = float(all_known.min()), float(all_known.max())
    reach = IMPOSSIBLE_TIMES * (high - low)
    bounds = possible or ((low - reach, high + reach) if reach > 0 else (-VALUE_MAX, VALUE_MAX))
    if not bounds[0] < bounds[1]:
        raise NotValid("cannot use a physical range", why=f"{bounds[0]:g} is not below {bounds[1]:g}")
    equal = max((_longest_equal(values) for values in known), default=NEVER)
    ranges = [_least_range(values) for values in known if len(values) >= STRETCH]
    return ProbeLimits(*bounds, equal if reach > 0 else NEVER, min(ranges, default=0.0))


def _least_range(values: Floats) -> float:
    """The least that they range over in a stretch: running maxima and minima by doubling."""
    high, low, width = values, values, 1
    while width < STRETCH:
        step = min(width, STRETCH - width)
        high, low = np.maximum(high[step:], high[:-step]), np.minimum(low[step:], low[:-step])
        width += step
    return float((high - low).min())


def _longest_equal(values: Floats) -> int:
    changes = np.flatnonzero(np.diff(values) != 0)
    edges = np.concatenate([[-1], changes, [len(values) - 1]])
    return int(np.diff(edges).max(initial=1))


def new_probes(units: int, variables: int) -> Probes:
    """Probes of which nothing has been read."""
    shape = (units, variables)
    none = np.zeros(shape, dtype=np.int64)
    return Probes(
        np.full(shape, np.nan), none, none, np.zeros(shape, dtype=np.int8), np.full((STRETCH, *shape), np.nan), np.zeros(units, dtype=np.int64)
    )


def look(
    limits: Sequence[ProbeLimits],
    probes: Probes,
    values: Floats,
    *,
    age: Floats | None = None,
    every: float = 0.0,
    due: NDArray[np.bool_] | None = None,
) -> Probes:
    """The probes after one reading of each unit. `age`: how long ago each value was measured, in units of `every`, the usual interval.

    `due`: for which units this reading counts as the next; readings in between, more frequent than good data were, only show what
    is missing or impossible now.
    """
    low, high = (np.array([getattr(each, name) for each in limits]) for name in ("low", "high"))
    longest = np.array([FROZEN_TIMES * min(each.equal, NEVER) + FROZEN_MORE for each in limits])
    moves = np.array([each.moves for each in limits])
    counts = np.ones(len(values), dtype=np.bool_) if due is None else due
    there = present(values)
    same = there & (values == probes.last)
    equal = np.where(same, probes.equal + 1, np.where(there, 1, probes.equal))
    equal = np.where(counts[:, None], equal, np.where(there & ~same, 0, probes.equal))
    recent = probes.recent.copy()
    new = np.flatnonzero(counts)
    recent[probes.at[new] % STRETCH, new] = np.where(there, values, np.nan)[new]
    ranged = recent.max(axis=0) - recent.min(axis=0)  # NaN unless the whole stretch is there
    with np.errstate(invalid="ignore"):
        health = np.where(ranged < STUCK_SHARE * moves, Health.STUCK, Health.WELL)
        if age is not None and every > 0:
            health = np.where(there & (age > LATE_TIMES * every), Health.LATE, health)
        health = np.where(there & (equal > longest), Health.FROZEN, health)
        health = np.where(there & ((values < low) | (values > high)), Health.IMPOSSIBLE, health)
    health = np.where(there, health, Health.MISSING).astype(np.int8)
    since = np.where(health == Health.WELL, 0, np.where(health == probes.health, probes.since + counts[:, None], 1))
    return Probes(np.where(there, values, probes.last), equal, since, health, recent, probes.at + counts)


def troubles(variables: Sequence[Variable], limits: Sequence[ProbeLimits], probes: Probes, values: Floats, unit: int) -> tuple[Trouble, ...]:
    """What is wrong with the probes of one unit, as sentences."""
    out = []
    for at in np.flatnonzero(probes.health[unit]).tolist():
        health, since, name = Health(int(probes.health[unit, at])), int(probes.since[unit, at]), variables[at].name
        unitless = variables[at].unit in ("", "1")
        value = f"{values[unit, at]:.4g}{'' if unitless else ' ' + variables[at].unit}"
        said = {
            Health.MISSING: f"no value of {name} for {_readings(since)}",
            Health.IMPOSSIBLE: f"{name} reads {value}, which cannot be: {limits[at].low:.4g} to {limits[at].high:.4g} can",
            Health.FROZEN: f"{name} has read {value} for {_readings(int(probes.equal[unit, at]))}: frozen",
            Health.STUCK: f"{name} hardly moves for {_readings(STRETCH + since - 1)}: stuck",
            Health.LATE: f"{name} is told late, for {_readings(since)}",
        }[health]
        out.append(Trouble(name, health, since, said))
    return tuple(out)


def _readings(count: int) -> str:
    return "one reading" if count == 1 else f"{count} readings"
