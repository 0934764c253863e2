"""How a live stirred bioreactor asks what grows in it: the seam between a vessel and its biology.

A vessel (`bank`) knows liquids, controllers, pumps, probes and faults of the equipment; a biology knows what becomes of
what is inside. The vessel asks it in these words:

    run = biology.begin(seed=7, site="PORTO", batch="SB-200-run1", weak=0.0)   dice and liquids of one batch
    state = biology.mixed(state, litres=10.0, liquid=run.seed)                  something was poured in
    state = biology.advance(state, hours=1.0, constants=run.constants, here=conditions)
    slope = biology.rates(state, constants=run.constants, here=conditions)      d/dt, for the path between two points
    seen = biology.observe(state, constants=run.constants, here=conditions, around=around)

Guarantees asked of a biology: it is pure and keeps nothing; `state` is a sequence in the order of `entries`, the last
of them the volume in L; every entry is a plain float (one vessel) or an array (n vessels) and the numbers are the same
to 1e-9 either way; its equations are those of the study model of its name (`processes`), imported, never written again.
`observe` gives the true value of every measurement of a stirred bioreactor, totals excepted, also of an empty vessel.

To plug one in: write the class, name it in `LIVE`, and give its name to `Facility(plant, process=...)`, or to
`isogenic facility --process`. `indpensim` is not live: its controllers act in 0.2 h samples on 33 states of one fixed
vessel of 100,000 L, and are part of its equations.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from isogenic.errors import NotFound

__all__ = ["LIVE", "Biology", "Conditions", "Number", "Run", "Stand", "State", "live_of"]

Number = Any  # a float, or an array with one entry for each vessel
State = Any  # a sequence of numbers, or the rows of an array, in the order of a biology's `entries`


class Conditions(NamedTuple):
    """What the plant does to what grows during one step; `struck` are depths of the faults that the biology knows, by name."""

    feed_l_h: Number
    transfer_factor: Number  # of the clean kLa: stirring, fouling
    oxygen_sp_percent: Number
    temperature_c: Number
    ph: Number
    struck: tuple[Number, ...] = ()  # in the order of `Biology.strikes`


class Stand(NamedTuple):
    """What stands around the culture, for `observe`."""

    working_volume_l: Number
    agitation_rpm: Number
    feed_blocked: Number  # share of the feed line, 0 to 1
    bottle_kg: Number


class Run(NamedTuple):
    """What dice decided about one batch, and what it is made of."""

    constants: tuple[float, ...]
    medium: tuple[float, ...]  # what a litre brings, in the order of `entries` without the volume
    seed: tuple[float, ...]
    glucose: tuple[float, ...]


class Biology(Protocol):
    """What a live vessel asks of what grows in it; see the module's text."""

    @property
    def name(self) -> str: ...
    @property
    def entries(self) -> tuple[str, ...]: ...
    @property
    def averaged(self) -> tuple[str, ...]: ...  # entries whose mean over the batch the laboratory needs
    @property
    def strikes(self) -> tuple[str, ...]: ...  # faults of the catalogue that act inside: given as `Conditions.struck`
    @property
    def feed_kg_l(self) -> float: ...
    def begin(self, *, seed: int, site: str, batch: str, weak: float) -> Run: ...
    def culture(self, state: State) -> Any: ...  # the state as the laboratory knows it
    def mixed(self, state: State, *, litres: Number, liquid: State) -> State: ...
    def invaded(self, state: State, *, here: Conditions) -> State: ...  # what faults bring in; the same object where nothing does
    def rates(self, state: State, *, constants: State, here: Conditions) -> State: ...
    def advance(self, state: State, *, hours: float, constants: State, here: Conditions) -> State: ...
    def observe(self, state: State, *, constants: State, here: Conditions, around: Stand) -> Mapping[str, Number]: ...
    def broken(self, state: State) -> Mapping[int, str]: ...  # of arrays: which vessels left the physical range, and why


# name -> module and what in it; imported when first asked for
LIVE = {"antibody": "isogenic.sim.live_antibody:LIVE_ANTIBODY", "pensim": "isogenic.sim.live_pensim:LIVE_PENSIM"}


def live_of(name: str) -> Biology:
    """What grows, by the name of its process; `NotFound` names those there are."""
    if name not in LIVE:
        raise NotFound(f"cannot grow {name[:60]}", why="no live vessel can hold it", possible=", ".join(LIVE))
    module, _, attribute = LIVE[name].partition(":")
    found: Biology = getattr(import_module(module), attribute)
    return found
