"""Operations that take time and lose a little: downstream steps, cell processing, filling, assays.

Guarantees: a chain of operations is a function of its seed and the batches' names: how long each took, what it kept,
where it stopped and whether it failed; one batch alone and a thousand together get the same numbers. A batch that an
operation lost goes no further.
Leaves to others: who waits for whom (planning), what the operation does to quality (the process models).

Durations are log-normal, by median and geometric standard deviation; recoveries are normal, cut off to 0 to 1; stops
come as a Poisson process and prolong the operation. **Illustrative** unless an operation says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.sim.processes.process import Floats, Mark
from isogenic.sim.streams import Dice

__all__ = ["Drawn", "Failure", "Operation", "Operations", "drawn", "operate"]


HOURS, FAILS, HOURS_AGAIN, FAILS_AGAIN, STOPS, KEEPS = range(6)  # what dice are thrown for


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


@dataclass(frozen=True, slots=True)
class Drawn:
    """What dice say about k operations on n batches, (k, n): whoever does them one after another, or lets them wait, says when."""

    hours: Floats  # with a repetition and with stops
    stopped_h: Floats
    recovery: Floats
    failed: NDArray[np.bool_]
    ends: NDArray[np.bool_]  # the batch is lost in it

    def cut(self, rows: slice, at: slice | NDArray[np.int64] = slice(None)) -> Drawn:
        """Some operations on some batches."""
        return self._each(lambda name: getattr(self, name)[rows][:, at])

    @classmethod
    def beside(cls, pieces: Sequence[Drawn]) -> Drawn:
        """The same operations on the batches of all pieces."""
        return pieces[0]._each(lambda name: np.concatenate([getattr(each, name) for each in pieces], axis=1))

    @classmethod
    def _each(cls, by: Callable[[str], Any]) -> Drawn:
        return cls(*(by(name) for name in ("hours", "stopped_h", "recovery", "failed", "ends")))


def drawn(chain: Sequence[Operation], *, seed: int, sites: Sequence[str], batches: Sequence[str], slowed: float = 1.0) -> Drawn:
    """The dice of every operation for every batch."""
    k, n = len(chain), len(batches)
    paths = [("operation", site, batch, each.name) for each in chain for site, batch in zip(sites, batches, strict=True)]
    dice = Dice.of(seed, paths, shape=(k, n))
    median, log_spread, keep, keep_sd, failure, stops, stop_h = (
        np.array([getattr(each, name) for each in chain], dtype=np.float64)[:, None]
        for name in ("hours", "spread", "recovery", "recovery_sd", "failure", "stops_per_h", "stop_h")
    )
    kind = {failed: np.array([each.on_failure is failed for each in chain], dtype=bool)[:, None] for failed in Failure}
    first, again = (median * slowed * np.exp(np.log(log_spread) * dice.normals(0, purpose=each)) for each in (HOURS, HOURS_AGAIN))
    fails = dice.uniforms(0, purpose=FAILS) < failure
    hours = first + np.where(fails & kind[Failure.REPEATED], again, 0.0)
    stopped = _poisson(stops * hours, dice.uniforms(0, purpose=STOPS)) * stop_h
    keeps = np.clip(keep + keep_sd * dice.normals(0, purpose=KEEPS), 0.0, 1.0)
    twice = fails & (dice.uniforms(0, purpose=FAILS_AGAIN) < failure) & kind[Failure.REPEATED]
    return Drawn(hours + stopped, stopped, keeps, fails, twice | (fails & kind[Failure.LOST]))


def operate(
    chain: Sequence[Operation], *, seed: int, site: str, batches: Sequence[str], ready_h: Floats | float = 0.0, slowed: float = 1.0
) -> Operations:
    """One operation after another, from when each batch is ready; `slowed` prolongs all (a night shift, a surge)."""
    n, k = len(batches), len(chain)
    dice = drawn(chain, seed=seed, sites=[site] * n, batches=batches, slowed=slowed)
    lost: NDArray[np.bool_] = np.cumsum(dice.ends, axis=0) > 0
    there = np.vstack([np.ones((1, n), dtype=bool), ~lost])[:k]  # whoever is lost in an operation still has it
    end = np.asarray(ready_h, dtype=np.float64) + np.cumsum(dice.hours, axis=0)
    nothing = np.where(there, 0.0, np.nan)
    return Operations(
        tuple(each.name for each in chain),
        end - dice.hours + nothing,
        end + nothing,
        dice.recovery + nothing,
        dice.stopped_h + nothing,
        dice.failed & there,
        np.asarray(lost.any(axis=0)),
    )


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
