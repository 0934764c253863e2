"""What is done to a batch besides its culture: before it, during it, after it, and in the laboratory beside.

Guarantees: every process has a route; a name stands once in it. Sampling waits for nobody: an assay begins when the
operation is done whose product it tests, and what follows in the plant goes on meanwhile.
Leaves to others: the numbers of the operations (`filling`, `cell_processing`, `processes`), dice (`operations`), who
waits for whom (`studies.work`).

A process without a route of its own has its `operations` after the culture and nothing else. All numbers here are
**illustrative**.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from isogenic.sim.cell_processing import BEFORE_CULTURE, CARE_DAYS, CRYOFILL, CULTURE_CARE
from isogenic.sim.cell_processing import LABORATORY as CELL_ASSAYS
from isogenic.sim.cell_processing import RAPID as CELL_ASSAYS_RAPID
from isogenic.sim.filling import DRYING, FILL, FILLING, INOCULATION
from isogenic.sim.operations import Failure, Operation
from isogenic.sim.processes import process_of

__all__ = ["FILLED_BY", "FINISHES", "Assayed", "Route", "hurried", "route_of"]

REPEATED_ASSAY = 0.03
FINISHES = ("vials", "lyophilised", "bulk")  # what a scenario may ask for
# Which operations a fault of filling strikes: bags are filled through a tube and have no stopper.
FILLED_BY: Mapping[str, tuple[str, ...]] = {"needle_drifts": (FILL, CRYOFILL), "stopper_jams": (FILL,), "particles_rise": (FILL, CRYOFILL)}


@dataclass(frozen=True, slots=True)
class Assayed:
    """An assay of what an operation made."""

    after: str
    assay: Operation


@dataclass(frozen=True, slots=True)
class Route:
    """All that is done to a batch of one process."""

    before: tuple[Operation, ...] = ()
    during: tuple[tuple[float, Operation], ...] = ()  # at which age of the culture, in h
    after: tuple[Operation, ...] = ()
    laboratory: tuple[Assayed, ...] = ()

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every one of them, in the order in which they are told."""
        return (*self.before, *(each for _, each in self.during), *self.after, *(each.assay for each in self.laboratory))

    def struck_by(self, fault: str) -> bool:
        """Whether a fault of filling finds something that is filled."""
        return any(each.name in FILLED_BY.get(fault, ()) for each in self.after)


def route_of(process: str, *, finish: str = "vials", rapid: bool = False) -> Route:
    """The route of a process; `finish` says what becomes of a drug substance, `rapid` that sterility is tested by the fast method."""
    made, own = _ROUTES.get(process, Route()), getattr(process_of(process), "operations", ())
    after: tuple[Operation, ...] = (*own, *made.after)
    if finish == "lyophilised":
        after = tuple(chain.from_iterable((each, DRYING) if each.name == FILL else (each,) for each in after))
    elif finish == "bulk":
        after = tuple(each for each in after if each.name not in {one.name for one in FILLING})
    names = {each.name for each in after}
    tested = tuple(each for each in made.laboratory if each.after in names)
    if rapid:
        fast = {"sterility": CELL_ASSAYS_RAPID[0]}
        tested = tuple(replace(each, assay=fast.get(each.assay.name, each.assay)) for each in tested)
    return Route(made.before, made.during, after, tested)


def hurried(operations: Sequence[Operation], surge: float) -> list[Operation]:
    """The operations while so many times the usual orders are there: people are in a hurry, and as many times as much fails."""
    return [replace(each, failure=min(1.0, each.failure * surge)) for each in operations] if surge > 1.0 else list(operations)


def _assay(name: str, hours: float, spread: float = 1.2) -> Operation:
    return Operation(name, hours, spread, failure=REPEATED_ASSAY, on_failure=Failure.REPEATED, what="repeated once where it is not valid")


def _after(operation: str, *assays: Operation) -> tuple[Assayed, ...]:
    return tuple(Assayed(operation, each) for each in assays)


STERILITY = CELL_ASSAYS[0]
# A stirred tank of steel: sterilised in place, seeded from a smaller one; broth is filtered, extracted and crystallised.
_FERMENTER = (
    Operation(
        "sterilise_the_medium", 6.0, 1.1, failure=0.01, on_failure=Failure.REPEATED, what="121 degC; held again where a probe did not reach it"
    ),
    Operation("transfer_the_seed", 1.0, 1.2, failure=0.005, on_failure=Failure.MARKED, what="contaminated later"),
)
_RECOVERY = (
    Operation("filter_the_broth", 6.0, 1.15, recovery=0.97, recovery_sd=0.01, stops_per_h=0.02, stop_h=0.5, what="a rotary filter; the cake blinds"),
    Operation("extract_with_solvent", 3.0, 1.1, recovery=0.95, recovery_sd=0.01, stops_per_h=0.01, stop_h=0.5, what="cold and acid, back with base"),
    Operation("crystallise", 10.0, 1.15, recovery=0.94, recovery_sd=0.015, what="potassium salt"),
    Operation("wash_and_dry", 12.0, 1.1, recovery=0.985, recovery_sd=0.005),
)
_PENICILLIN = Route(
    _FERMENTER, (), _RECOVERY, (*_after("filter_the_broth", _assay("broth_titre", 3.0)), *_after("wash_and_dry", _assay("purity_and_water", 24.0)))
)

# What follows the operations that a process itself brings.
_ROUTES: Mapping[str, Route] = {
    "antibody": Route(
        INOCULATION,
        (),
        FILLING,
        (*_after("ultrafiltration", _assay("drug_substance_panel", 120.0)), *_after(FILL, STERILITY)),
    ),
    "mrna": Route(  # particles are filtered sterile and filled at once, never frozen before
        (),
        (),
        FILLING[3:],
        (
            *_after("filter_the_drug_substance", _assay("capillary_electrophoresis", 4.0)),
            *_after("filter_the_drug_product", _assay("particle_panel", 24.0)),
            *_after(FILL, STERILITY),
        ),
    ),
    "car_t": Route(
        BEFORE_CULTURE,
        tuple((24.0 * day, each) for day, each in zip(CARE_DAYS, CULTURE_CARE, strict=True)),
        (),
        _after(CRYOFILL, *CELL_ASSAYS),
    ),
    "pensim": _PENICILLIN,
    "indpensim": _PENICILLIN,
}
