"""Watch: what a monitor remembers of its units between two readings.

Plain frozen arrays with a leading axis of units: one unit or thousands, the same numbers. A
watch can be pickled between any two readings, cut and joined as units come and go, and folded
from readings again after a restart. It carries its model: a watch cannot be judged by another.

Leaves to others: the next state (judging).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.monitoring.bank.filters import State, start
from isogenic.monitoring.placing.model import Spot
from isogenic.monitoring.tables import Floats

if TYPE_CHECKING:
    from isogenic.monitoring.model import Model

__all__ = ["UNITS_MAX", "Watch", "begin", "join"]

UNITS_MAX = 1_000_000  # a mistyped number must not fill the memory
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """Of each unit: how far it is, how long it has been over the limit or calm, whether an alarm stands, and what was counted."""

    model: Model
    maturity: Floats  # the highest so far, -inf while none is known; of a continuous process, how many readings there were
    over: Counts  # consecutive judged samples over the limit
    calm: Counts  # consecutive judged samples under it
    alarm: NDArray[np.bool_]
    since: Floats  # maturity of the first sample of the current run over the limit; NaN outside one
    weights: Floats  # float64[units, p]: contributions summed over the current run, until it is an alarm
    judged: Counts
    not_judged: Counts
    alarms: Counts
    state: State | None  # of the bank's filters
    quiet: bool = False  # known to have no unit over the limit, and no alarm
    spot: Spot | None = None  # where the units are, by the model's own placing

    @property
    def units(self) -> int:
        """How many units are watched."""
        return len(self.alarm)

    def __eq__(self, other: object) -> bool:
        """The same model, and the same bits of every unit."""
        if not isinstance(other, Watch) or self.model.digest != other.model.digest or self.units != other.units:
            return False
        pairs = [(getattr(self, name), getattr(other, name)) for name in _ARRAYS]
        pairs += [*zip((self.state or ())[:4], (other.state or ())[:4], strict=True), *zip(self.spot or (), other.spot or (), strict=True)]
        return all(one.tobytes() == two.tobytes() for one, two in pairs)

    __hash__ = None  # type: ignore[assignment]

    def take(self, units: Sequence[int] | NDArray[np.intp]) -> Watch:
        """The watch of some of the units, in that order."""
        at = np.asarray(units, dtype=np.intp)
        state = None if self.state is None else state_of([self.state], lambda arrays: arrays[0][at])
        return _of_parts([self], lambda arrays: arrays[0][at], state)


Parts = Callable[[list[Any]], Any]  # arrays of the same field to one


def state_of(states: Sequence[State], put: Parts) -> State:
    """Filter states put together field by field."""
    before, known, averages, energy = (put([state[at] for state in states]) for at in range(4))
    return State(before, known, averages, energy, bool(known.all()))


def _of_parts(watches: Sequence[Watch], put: Parts, state: State | None) -> Watch:
    columns = {name: put([getattr(watch, name) for watch in watches]) for name in _ARRAYS}
    spots = [watch.spot for watch in watches if watch.spot is not None]
    spot = Spot(put([each.reached for each in spots]), put([each.memory for each in spots])) if spots else None
    return Watch(model=watches[0].model, state=state, spot=spot, **columns)


_ARRAYS = ("maturity", "over", "calm", "alarm", "since", "weights", "judged", "not_judged", "alarms")


def begin(model: Model, units: int) -> Watch:
    """Units of which nothing has been read."""
    if not 1 <= units <= UNITS_MAX:
        raise NotValid(f"cannot watch {units} units", possible=f"1 to {UNITS_MAX}")
    none = np.zeros(units, dtype=np.int64)
    state = None if model.bank is None else start(model.bank.filters, units)
    first = np.zeros(units) if model.continuous else np.full(units, -np.inf)
    weights = np.zeros((units, len(model.variables)))
    spot = None if model.placing is None else model.placing.begin(units)
    return Watch(model, first, none, none, np.zeros(units, dtype=np.bool_), np.full(units, np.nan), weights, none, none, none, state, True, spot)


def join(watches: Sequence[Watch]) -> Watch:
    """Several watches of one model as one, in that order."""
    first = watches[0]
    for watch in watches:
        if watch.model.digest != first.model.digest:
            raise NotValid("cannot join these watches", why=f"they belong to models {first.model.digest[:16]} and {watch.model.digest[:16]}")
    states = [watch.state for watch in watches if watch.state is not None]
    return _of_parts(watches, np.concatenate, state_of(states, np.concatenate) if states else None)
