"""What a process model is, to whoever runs many batches of it, measures them, breaks them or fits a constant of it.

Guarantees: a `Process` says what it knows (constants, settings, variables, qualities, faults), each with unit, range
and where its number is from; `run` is a function: the same arguments give the same bytes. A batch that leaves its
physical range stops there, with a `Stop` that says why, and the others go on.
Leaves to others: dice (`variation`), instruments (`instruments`), scenarios and files (`studies`), the live facility.

Arrays: `n` batches, `T` ages; a trajectory has the shape (T, n), a constant, a setting or a quality the shape (n,).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotFound, NotValid

__all__ = [
    "Constant",
    "Fault",
    "Floats",
    "Mark",
    "Mechanism",
    "Outcome",
    "Process",
    "Setting",
    "Spread",
    "Stop",
    "Variable",
    "check_faults",
    "depth",
    "filled",
]

Floats = NDArray[np.float64]


class Mark(StrEnum):
    """Where a number is from; what is not published says so wherever a user sees it."""

    PUBLISHED = "published"  # read in the source that is named
    COMPUTED = "computed"  # follows from the equations
    ILLUSTRATIVE = "illustrative"  # chosen to be plausible


@dataclass(frozen=True, slots=True)
class Spread:
    """How a constant differs, as coefficients of variation of log-normal draws."""

    site: float = 0.0
    lot: float = 0.0
    batch: float = 0.0


@dataclass(frozen=True, slots=True)
class Constant:
    """A number of the equations."""

    name: str
    value: float
    unit: str
    mark: Mark
    source: str = ""
    spread: Spread = Spread()
    most: float = math.inf  # however it scatters: a share is no more than the whole


@dataclass(frozen=True, slots=True)
class Setting:
    """What a recipe or a person sets, within its range."""

    name: str
    value: float
    unit: str
    low: float
    high: float
    what: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A quantity that the process has: over its age (a trajectory), or at its end (a quality)."""

    name: str
    unit: str
    low: float
    high: float
    what: str
    mark: Mark = Mark.ILLUSTRATIVE


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A fault that the equations know: what its size means, and what is seen of it."""

    name: str
    what: str
    unit: str  # of the size; "1" for a share or a factor
    low: float
    high: float
    signature: str
    effect: str = ""
    windowed: bool = True  # False: it is there for the whole batch
    gradual: bool = False  # True: it rises over the first quarter of its duration
    mark: Mark = Mark.ILLUSTRATIVE


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as it happens: to which of the n batches, from when, how long, how much."""

    name: str
    size: float
    start_h: float = 0.0
    duration_h: float = math.inf
    batches: NDArray[np.bool_] | None = None  # None: all of them
    gradual: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a batch ended before its time."""

    age_h: float
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to n batches. After a stop a batch's values and qualities are NaN."""

    age_h: Floats  # (T,)
    values: Mapping[str, Floats]  # by variable, (T, n): the truth, before any instrument
    quality: Mapping[str, Floats]  # by attribute, (n,): the truth, before any assay
    stopped: Mapping[int, Stop] = field(default_factory=dict)  # by batch


class Process(Protocol):
    """A model of one process, from its first hour to its product."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def duration_h(self) -> float: ...
    @property
    def every_h(self) -> float: ...  # how often a trajectory is given unless asked otherwise
    @property
    def constants(self) -> Mapping[str, Constant]: ...
    @property
    def settings(self) -> Mapping[str, Setting]: ...
    @property
    def variables(self) -> Mapping[str, Variable]: ...
    @property
    def qualities(self) -> Mapping[str, Variable]: ...
    @property
    def faults(self) -> Mapping[str, Mechanism]: ...

    def run(
        self,
        n: int,
        *,
        constants: Mapping[str, Floats] | None = None,
        settings: Mapping[str, Floats] | None = None,
        faults: Sequence[Fault] = (),
        every_h: float | None = None,
    ) -> Outcome:
        """`n` batches at once; what is not given has its nominal value. Refused with `NotValid`, `NotFound`."""
        ...


def check_faults(faults: Sequence[Fault], mechanisms: Mapping[str, Mechanism], *, n: int, end_h: float) -> None:
    """Every fault is one that the equations have, of a size that they have, within the batch, on batches that there are."""
    for fault in faults:
        known = mechanisms.get(fault.name)
        if known is None:
            raise NotFound(f"no fault {fault.name[:60]}", why="the process has none of that name", possible=", ".join(mechanisms))
        if not known.low <= fault.size <= known.high:
            raise NotValid(
                f"cannot use {fault.name} of size {fault.size}",
                why="the size is out of its range",
                possible=f"{known.low:g} to {known.high:g} {'' if known.unit == '1' else known.unit}".rstrip(),
            )
        if not (0.0 <= fault.start_h < end_h and fault.duration_h > 0):  # NaN is within nothing
            raise NotValid(
                f"cannot use {fault.name} from {fault.start_h} h for {fault.duration_h} h",
                why=f"a fault begins within its batch, 0 to {end_h:g} h, and lasts",
            )
        if fault.batches is not None and fault.batches.shape != (n,):
            raise NotValid(f"cannot use {fault.name}", why=f"it must say for each of {n} batches whether it strikes")


def depth(faults: Sequence[Fault], name: str, *, age_h: float, n: int) -> Floats:
    """How much of the fault `name` each batch has at this age, (n,): the largest of those that stand, 0 where none does."""
    out = np.zeros(n)
    for fault in faults:
        if fault.name != name or not fault.start_h <= age_h < fault.start_h + fault.duration_h:
            continue
        rise = 0.25 * fault.duration_h
        share = min(1.0, (age_h - fault.start_h) / rise) if fault.gradual and math.isfinite(rise) and rise > 0 else 1.0
        size = fault.size * share
        struck = np.ones(n, dtype=bool) if fault.batches is None else fault.batches
        out = np.where(struck & (np.abs(size) > np.abs(out)), size, out)
    return out


def filled(known: Mapping[str, Constant] | Mapping[str, Setting], given: Mapping[str, Floats] | None, *, n: int, what: str) -> dict[str, Floats]:
    """Every known number as an array of n; the given ones in place of the nominal. An unknown name or a value out of range is refused."""
    out = {name: np.full(n, each.value) for name, each in known.items()}
    for name, values in (given or {}).items():
        if name not in known:
            raise NotFound(f"no {what} {name[:60]}", why="the process has none of that name", possible=", ".join(known))
        array = np.broadcast_to(np.asarray(values, dtype=np.float64), (n,))
        each = known[name]
        low, high = (each.low, each.high) if isinstance(each, Setting) else (-math.inf, math.inf)
        if not (np.isfinite(array).all() and (array >= low).all() and (array <= high).all()):
            raise NotValid(
                f"cannot use {what} {name}", why="every value must be a finite number in its range", possible=f"{low:g} to {high:g} {each.unit}"
            )
        out[name] = array.copy()
    return out
