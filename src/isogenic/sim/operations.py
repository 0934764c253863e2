"""Operations that take time and lose a little: downstream steps, cell processing, filling, assays.

Guarantees: a chain of operations is a function of its seed and the batches' names: how long each took, what it kept,
where it stopped and whether it failed; one batch alone and a thousand together get the same numbers. A batch that an
operation lost goes no further.
Leaves to others: who waits for whom (planning), what the operation does to quality (the process models).

Durations are log-normal, by median and geometric standard deviation; recoveries are normal, cut off to 0 to 1; stops
come as a Poisson process and prolong the operation. **Illustrative** unless an operation says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.sim.processes.process import Floats, Mark
from isogenic.sim.streams import Stream

__all__ = ["Failure", "Operation", "Operations", "operate"]


class Failure(StrEnum):
    """What a failed operation means."""

    LOST = "lost"  # the batch ends here
    REPEATED = "repeated"  # once more, with its time; fails that too, the batch ends
    MARKED = "marked"  # it goes on, and people decide


@dataclass(frozen=True, slots=True)
class Operation:
    """One timed operation."""

    name: str
    hours: float  # median
    spread: float = 1.0  # geometric standard deviation of the hours
    recovery: float = 1.0  # share that is kept
    recovery_sd: float = 0.0
    failure: float = 0.0  # probability for each run
    on_failure: Failure = Failure.MARKED
    stops_per_h: float = 0.0
    stop_h: float = 0.0  # median of one stop
    what: str = ""
    mark: Mark = Mark.ILLUSTRATIVE

    def __post_init__(self) -> None:
        shares = (self.recovery, self.failure)
        if not (
            self.hours >= 0
            and self.spread >= 1
            and all(0 <= each <= 1 for each in shares)
            and min(self.recovery_sd, self.stops_per_h, self.stop_h) >= 0
        ):
            raise NotValid(f"cannot use operation {self.name}", why="hours are not negative, a spread is at least 1, shares lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class Operations:
    """A chain of k operations on n batches: each array has the shape (k, n). What was not reached is NaN."""

    names: tuple[str, ...]
    start_h: Floats
    end_h: Floats
    recovery: Floats
    stopped_h: Floats
    failed: NDArray[np.bool_]
    lost: NDArray[np.bool_]  # (n,)

    @property
    def kept(self) -> Floats:
        """The share that is left at the end, (n,); nothing of a batch that was lost."""
        return np.where(self.lost, 0.0, np.nanprod(self.recovery, axis=0))


def operate(
    chain: Sequence[Operation], *, seed: int, site: str, batches: Sequence[str], ready_h: Floats | float = 0.0, slowed: float = 1.0
) -> Operations:
    """One operation after another, from when each batch is ready; `slowed` prolongs all (a night shift, a surge)."""
    n, k = len(batches), len(chain)
    dice = np.array([[Stream(seed, "operation", site, batch, each.name).normals(0, 8) for batch in batches] for each in chain]).reshape(k, n, 8)
    start, end, recovery, stopped = (np.full((k, n), np.nan) for _ in range(4))
    failed, lost = np.zeros((k, n), dtype=bool), np.zeros(n, dtype=bool)
    now = np.broadcast_to(np.asarray(ready_h, dtype=np.float64), (n,)).copy()
    for at, each in enumerate(chain):
        draws = dice[at]
        hours = each.hours * slowed * np.exp(math.log(each.spread) * draws[:, 0])
        fails = _uniform(draws[:, 1]) < each.failure
        if each.on_failure is Failure.REPEATED:
            hours = np.where(fails, hours + each.hours * slowed * np.exp(math.log(each.spread) * draws[:, 2]), hours)
        wait = _poisson(each.stops_per_h * hours, _uniform(draws[:, 4])) * each.stop_h
        keeps = np.clip(each.recovery + each.recovery_sd * draws[:, 5], 0.0, 1.0)
        ends = fails if each.on_failure is Failure.LOST else fails & (_uniform(draws[:, 3]) < each.failure) & (each.on_failure is Failure.REPEATED)
        there = ~lost
        start[at], stopped[at] = np.where(there, now, np.nan), np.where(there, wait, np.nan)
        now = np.where(there, now + hours + wait, now)
        end[at], recovery[at] = np.where(there, now, np.nan), np.where(there, keeps, np.nan)
        failed[at] = fails & there
        lost |= ends & there
    return Operations(tuple(each.name for each in chain), start, end, recovery, stopped, failed, lost)


def _uniform(normal: Floats) -> Floats:
    """The same draw as a share between 0 and 1."""
    return np.array([0.5 * math.erfc(-each / math.sqrt(2.0)) for each in normal])


def _poisson(mean: Floats, share: Floats) -> Floats:
    """How often, by inversion: the least count whose probability reaches the share."""
    count = np.zeros_like(mean)
    term = np.exp(-mean)
    reached = term.copy()
    for at in range(1, 1000):  # no operation stops a thousand times
        more = reached < share
        if not more.any():
            break
        count = np.where(more, at, count)
        term = term * mean / at
        reached = reached + term
    return count
