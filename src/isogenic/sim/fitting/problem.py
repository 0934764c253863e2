"""What is to be explained by what: the batches of one site, the constants that are sought, what scatters beside them.

Guarantees: a problem that is there makes sense: every constant is one of the process, every variable has an instrument,
there are more readings than constants; what is not so is refused with its reason.
Leaves to others: how it is solved (`estimation`), where batches are from (`tables`, a site's record).

A batch of a site has the constants

    nominal * exp(site + batch),    batch ~ N(0, CV^2)

and the site's part is what is estimated. Each constant that scatters by batch (or lot) is a random part of every batch,
whether its site's part is sought or not: otherwise a batch's luck would be taken for the site. So is each setting that a
probe has read: the batch was run near the reading, as near as the probe is good (errors in variables).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from isogenic.errors import NotFound, NotValid
from isogenic.sim.instruments import INSTRUMENTS, Instrument
from isogenic.sim.processes.process import Constant, Floats, Process

__all__ = ["BATCHES_MAX", "CONSTANTS_MAX", "READINGS_MAX", "Batch", "Problem", "priors_of", "scatter_of"]

BATCHES_MAX = 500
CONSTANTS_MAX = 20  # more are never told apart by a dozen signals
READINGS_MAX = 600  # of a batch, all variables together; longer ones are thinned evenly
BEYOND = 0.1  # of a variable's range, that an instrument may show outside of it
AFTER = 2.0  # times the longest batch, that one may be read
BOUND = 10.0  # a constant lies within this factor of its nominal


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read of one batch; NaN where nothing was read."""

    name: str
    site: str
    age_h: Floats
    values: Mapping[str, Floats]
    settings: Mapping[str, float] = field(default_factory=dict)
    lot: str = ""  # of medium; batches of one lot are off together. Empty: a lot of its own
    unsure: Mapping[str, float] = field(default_factory=dict)  # by setting that was read: SD of the error, in its unit

    def __post_init__(self) -> None:
        age = self.age_h
        if age.ndim != 1 or not len(age) or not np.isfinite(age).all() or age[0] < 0:
            raise NotValid(f"cannot use batch {self.name[:60]}", why="its ages must be finite hours from 0 on, and rise")
        if (back := np.flatnonzero(np.diff(age) <= 0)).size:
            why = f"its ages must rise, and {age[back[0] + 1]:g} h comes after {age[back[0]]:g} h"
            raise NotValid(f"cannot use batch {self.name[:60]}", why=why)
        for name, values in self.values.items():
            if values.shape != age.shape:
                raise NotValid(f"cannot use batch {self.name[:60]}", why=f"{name[:60]} has {len(values)} values at {len(age)} ages")
            if np.isinf(values).any():
                raise NotValid(f"cannot use batch {self.name[:60]}", why=f"{name[:60]} is infinite", possible="nothing (NaN) where none was read")


@dataclass(frozen=True, slots=True)
class Problem:
    """Batches, the constants that are sought, and what else is known."""

    process: Process
    batches: tuple[Batch, ...]
    constants: tuple[str, ...]
    scatter: Mapping[str, float]  # by constant: CV between batches
    variables: tuple[str, ...]
    instruments: Mapping[str, Instrument]
    priors: Mapping[str, float]  # by constant: SD of its logarithm; empty: none
    given: Mapping[str, float]  # constants that are known to differ from the nominal
    silent: tuple[str, ...] = ()  # batches without a reading: they take no part
    bound: float = BOUND

    @classmethod
    def of(
        cls,
        process: Process,
        batches: Sequence[Batch],
        *,
        constants: Sequence[str],
        scatter: Mapping[str, float] | None = None,
        variables: Sequence[str] | None = None,
        instruments: Mapping[str, Instrument] | None = None,
        priors: Mapping[str, float] | None = None,
        given: Mapping[str, float] | None = None,
        bound: float = BOUND,
    ) -> Problem:
        """A problem that makes sense. `scatter` is that of the process unless given; `variables` are all that have an instrument."""
        known = dict(INSTRUMENTS.get(process.name, {})) | dict(instruments or {})
        _check_constants(process, constants)
        for said in (scatter or {}, priors or {}, given or {}):
            _known(process, said)
        chosen = _variables(process, batches, known, variables)
        cvs = dict(scatter_of(process) if scatter is None else scatter)
        if any(not 0 <= each < 3 for each in cvs.values()) or any(not each > 0 for each in (priors or {}).values()) or not 1 < bound <= 1e6:
            raise NotValid("cannot fit", why="a spread is not negative, a prior's is positive, and a bound is a factor above 1")
        if any(not (value > 0 and math.isfinite(value)) for value in (given or {}).values()):
            raise NotValid("cannot fit", why="a constant that is given is a number above 0")
        for batch in batches:
            _check_range(process, batch, chosen)
        speak = [batch for batch in batches if any(name in batch.values and np.isfinite(batch.values[name]).any() for name in chosen)]
        silent = tuple(batch.name for batch in batches if all(batch is not each for each in speak))
        readings = sum(int(np.isfinite(batch.values[name]).sum()) for batch in speak for name in chosen if name in batch.values)
        if readings <= len(constants):
            why = f"{readings} readings are too few for {len(constants)} constants"
            raise NotValid("cannot fit", why=why, possible="more batches, or fewer constants")
        scattered = {name: cv for name, cv in cvs.items() if cv > 0}
        return cls(process, tuple(speak), tuple(constants), scattered, chosen, known, dict(priors or {}), dict(given or {}), silent, bound)

    @property
    def names(self) -> tuple[str, ...]:
        """The constants that are moved: those sought, then those that only scatter."""
        return (*self.constants, *(each for each in self.scatter if each not in self.constants))

    @property
    def unsure(self) -> tuple[str, ...]:
        """Settings that some batch knows only from a probe: they are moved, too, in units of its error."""
        return tuple(sorted({name for each in self.batches for name, sd in each.unsure.items() if sd > 0}))

    @property
    def start(self) -> Mapping[str, float]:
        """Where each of them begins: the nominal, or what is known."""
        return {name: self.given.get(name, self.process.constants[name].value) for name in self.names}

    @property
    def site(self) -> str:
        """Whose batches these are."""
        return self.batches[0].site


def scatter_of(process: Process) -> dict[str, float]:
    """How the constants of a process scatter between batches, their lots with them."""
    return {name: math.hypot(each.spread.batch, each.spread.lot) for name, each in process.constants.items() if each.spread.batch or each.spread.lot}


def priors_of(process: Process, names: Sequence[str], *, batch: bool = False) -> dict[str, float]:
    """How far a site's constants (a batch's, too) usually are from the nominal: SD of the logarithm. None for one without a spread."""
    out = {}
    for name in names:
        spread = process.constants[name].spread
        sd = math.hypot(spread.site, spread.lot, spread.batch) if batch else math.hypot(spread.site, spread.lot)
        if sd > 0:
            out[name] = sd
    return out


def _check_range(process: Process, batch: Batch, chosen: Sequence[str]) -> None:
    """No reading far outside what the process can be: that is another unit, or a mark for "nothing"."""
    what = f"cannot use batch {batch.name[:60]}"
    longest = process.settings["duration"].high if "duration" in process.settings else process.duration_h
    if batch.age_h[-1] > AFTER * longest:
        raise NotValid(what, why=f"it is read at {batch.age_h[-1]:g} h, and the process {process.name} lasts {longest:g} h at most")
    for name in chosen:
        each = process.variables[name]
        low, high = each.low - BEYOND * (each.high - each.low), each.high + BEYOND * (each.high - each.low)
        values = batch.values.get(name, np.empty(0))
        if len(far := np.flatnonzero((values < low) | (values > high))):
            why = f"{name} reads {values[far[0]]:g} {each.unit} at {batch.age_h[far[0]]:g} h"
            raise NotValid(what, why=why, possible=f"{each.low:g} to {each.high:g}, or nothing where none was read")


def _check_constants(process: Process, constants: Sequence[str]) -> None:
    if not 1 <= len(constants) <= CONSTANTS_MAX or len(set(constants)) != len(constants):
        raise NotValid("cannot fit", why=f"it needs 1 to {CONSTANTS_MAX} different constants", possible=", ".join(process.constants)[:600])
    _known(process, constants)
    for name in constants:
        each: Constant = process.constants[name]
        if not (each.value > 0 and math.isfinite(each.value)):
            raise NotValid(f"cannot fit {name}", why="its nominal is not above 0, so no factor can say how far a site is from it")


def _known(process: Process, names: Sequence[str] | Mapping[str, float]) -> None:
    for name in names:
        if name not in process.constants:
            why = f"the process {process.name} has none of that name"
            raise NotFound(f"no constant {name[:60]}", why=why, possible=", ".join(process.constants)[:600])


def _variables(process: Process, batches: Sequence[Batch], known: Mapping[str, Instrument], asked: Sequence[str] | None) -> tuple[str, ...]:
    if not 1 <= len(batches) <= BATCHES_MAX:
        raise NotValid("cannot fit", why=f"there are {len(batches)} batches", possible=f"1 to {BATCHES_MAX}")
    sites = sorted({each.site for each in batches})
    if len(sites) > 1:
        raise NotValid("cannot fit", why=f"the batches are of {len(sites)} sites", possible="one of " + ", ".join(sites)[:300])
    if len({each.name for each in batches}) != len(batches):
        raise NotValid("cannot fit", why="two batches have the same name")
    measured = {name for each in batches for name, values in each.values.items() if np.isfinite(values).any()}
    for name in asked or ():
        if name not in process.variables:
            raise NotFound(f"no variable {name[:60]}", why=f"the process {process.name} has none of that name", possible=", ".join(process.variables))
        if name not in measured:
            raise NotValid(f"cannot use {name}", why="no batch has a reading of it", possible=", ".join(sorted(measured))[:300])
        if name not in known:
            raise NotValid(
                f"cannot use {name}", why="no instrument is known for it, so nobody knows how far to believe it", possible="give its errors"
            )
    chosen = tuple(name for name in process.variables if name in measured and name in known and (asked is None or name in asked))
    if not chosen:
        why = "no reading is of a variable of the process that has an instrument"
        raise NotValid("cannot fit", why=why, possible=", ".join(each for each in process.variables if each in known)[:300] or "give the errors")
    return chosen
