"""The catalogue of faults: what can go wrong at a facility that does not exist, and what is seen of it.

Guarantees: every fault has a name, a size with unit and range, the moment it starts by (a batch's age, or the days of
the study), its expected signature in words, what it does to quality, and the test that shows the signature. Faults of
a process are told by its model (`Mechanism`); the others are told here.
Leaves to others: acting them out (process models, instruments, laboratory, `studies`, the live facility).

All sizes are **illustrative** unless a fault says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from isogenic.errors import NotFound
from isogenic.sim.instruments.failures import FAILURES, MOST, Failure
from isogenic.sim.processes import PROCESSES, process_of
from isogenic.sim.processes.process import Mark

__all__ = ["Entry", "Place", "Size", "catalogue", "entry_of"]


class Place(StrEnum):
    """What a fault strikes."""

    PROCESS = "process"
    SENSOR = "sensor"
    SITE = "site"
    LABORATORY = "laboratory"
    FILLING = "filling"
    NETWORK = "network"
    COURIER = "courier"
    NODE = "node"

    @property
    def by_calendar(self) -> bool:
        """Whether it starts by the days of the study, not by a batch's age."""
        return self in (Place.NETWORK, Place.COURIER, Place.NODE)


@dataclass(frozen=True, slots=True)
class Size:
    """What the size of a fault may be; `relative` to the reading where the unit is that of what it strikes."""

    unit: str  # "1" for a share or a factor; "" for none; "own" for the unit of the sensor or the attribute that it strikes
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One fault of the catalogue."""

    name: str
    place: Place
    what: str
    sizes: dict[str, Size]  # by process; "" for any
    signature: str
    effect: str = ""
    windowed: bool = True
    gradual: bool = False
    mark: Mark = Mark.ILLUSTRATIVE
    shown_by: str = ""  # the test of its signature; empty: the process's own tests

    @property
    def processes(self) -> tuple[str, ...]:
        """The processes that have it; empty: all of them."""
        return tuple(name for name in self.sizes if name)

    def size_for(self, process: str) -> Size | None:
        """What its size may be for this process; None where the process has no such fault."""
        return self.sizes.get(process, self.sizes.get(""))


STUDIES = "tests/sim/test_fault_catalogue.py"
OWN = Size("own", -MOST, MOST)
NONE = Size("", 0.0, 0.0)
SHARE = Size("1", 0.0, 1.0)


_WHAT = {
    Failure.BIASED: "a probe reads so much too high",
    Failure.DRIFTS: "a probe's error grows by so much a day",
    Failure.FREEZES: "a probe repeats its last value",
    Failure.SPIKES: "single readings are far out (bubbles, cosmic rays)",
    Failure.DROPS: "a probe is lost",
    Failure.NOISY: "the noise is so many times as large",
    Failure.LATE: "readings are shown so much too late",
    Failure.FOULED: "a film takes up to this share of the probe's gain",
    Failure.WRONG_UNIT: "readings are in another unit than they say; where there is no usual other one, so many times too large",
}


def _sensor(failure: Failure) -> Entry:
    unit, low, high, signature = FAILURES[failure]
    sized = failure not in (Failure.FREEZES, Failure.DROPS)
    size = Size("own" + unit if unit in ("", "/d") else unit, low, high) if sized else NONE
    shown_by = f"{STUDIES}::test_a_failing_probe_shows_its_signature[{failure}]"
    return Entry(
        str(failure), Place.SENSOR, _WHAT[failure], {"": size}, signature, "what controllers and people do who believe it", shown_by=shown_by
    )


ENTRIES = (
    *(_sensor(each) for each in Failure),
    Entry(
        "calibration_offset",
        Place.SITE,
        "all probes of one kind at a site were calibrated against a wrong standard",
        {"": OWN},
        "no alarm at the site; between sites the component of variance grows",
        "none of the product's own; verdicts of comparability",
        windowed=False,
        shown_by=f"{STUDIES}::test_a_calibration_offset_shows_between_sites_only",
    ),
    Entry(
        "assay_shifts",
        Place.LABORATORY,
        "one site's laboratory reports one attribute so much too high",
        {"": OWN},
        "results shift, the process does not: the trajectories are the same",
        "none; it looks like one",
        windowed=False,
        shown_by=f"{STUDIES}::test_an_assay_shift_leaves_the_process_as_it_was",
    ),
    Entry(
        "needle_drifts",
        Place.FILLING,
        "a filling needle gives this share less by the end of the run",
        {"": Size("1", 0.0, 0.5)},
        "weights fall along the run; recovery falls",
        "content",
        windowed=False,
        shown_by=f"{STUDIES}::test_a_needle_that_drifts_costs_recovery",
    ),
    Entry(
        "stopper_jams",
        Place.FILLING,
        "stoppers jam so many times as often",
        {"": Size("1", 1.0, 1000.0)},
        "filling stands still more often and takes longer",
        "time out of the cold",
        windowed=False,
        shown_by=f"{STUDIES}::test_stoppers_that_jam_cost_hours",
    ),
    Entry(
        "particles_rise",
        Place.FILLING,
        "with this probability a run has particles in its air or in its vials",
        {"": SHARE},
        "filling is marked as failed",
        "runs that people must judge",
        windowed=False,
        shown_by=f"{STUDIES}::test_particles_mark_runs_of_filling",
    ),
    Entry(
        "demand_surges",
        Place.NETWORK,
        "so many times as many orders come in",
        {"": Size("1", 1.0, 10.0)},
        "batches wait for couriers, suites, crews and the laboratory; lots of medium are used up sooner; starting material expires",
        "delay, lot changes, lost starting material, operations in a hurry",
        shown_by=f"{STUDIES}::test_a_surge_makes_batches_wait_and_material_expire",
    ),
    Entry(
        "shipment_warms",
        Place.COURIER,
        "shipments stand so much warmer than they should",
        {"": Size("K", 0.0, 60.0)},
        "the logger in the box reads high; cells arrive less viable, RNA less whole",
        "viability, integrity",
        shown_by=f"{STUDIES}::test_a_shipment_that_warms_loses_what_it_carries",
    ),
    Entry(
        "courier_is_late",
        Place.COURIER,
        "starting material arrives so much later",
        {"": Size("h", 0.0, 240.0)},
        "batches start late with older material",
        "viability at the start; beyond its life the material is lost",
        shown_by=f"{STUDIES}::test_a_late_courier_delays_and_ages_the_material",
    ),
    Entry(
        "power_fails",
        Place.NODE,
        "a site has no power",
        {"": NONE},
        "no readings while it lasts; pumps stand still",
        "as of a stopped feed; what was acknowledged is not lost",
        shown_by=f"{STUDIES}::test_without_power_there_are_no_readings",
    ),
    Entry(
        "link_is_cut",
        Place.NODE,
        "a site cannot reach the network",
        {"": NONE},
        "readings arrive together when the link is back; none is lost",
        "none",
        shown_by=f"{STUDIES}::test_a_cut_link_delays_readings_and_loses_none",
    ),
    Entry(
        "clock_steps",
        Place.NODE,
        "a site's clock is so much wrong",
        {"": Size("h", -24.0, 24.0)},
        "time stamps jump by the step and back; the readings are the same",
        "none",
        shown_by=f"{STUDIES}::test_a_clock_that_steps_moves_stamps_only",
    ),
)


def catalogue() -> dict[str, Entry]:
    """Every fault by name: of the processes first, in their order."""
    out: dict[str, Entry] = {}
    for name in PROCESSES:
        for each in process_of(name).faults.values():
            size = Size(each.unit, each.low, each.high)
            known = out.get(each.name)
            if known is not None:
                known.sizes[name] = size
                continue
            out[each.name] = Entry(
                each.name,
                Place.PROCESS,
                each.what,
                {name: size},
                each.signature,
                each.effect,
                windowed=each.windowed,
                gradual=each.gradual,
                mark=each.mark,
            )
    out.update({each.name: each for each in ENTRIES})
    return out


def entry_of(name: str) -> Entry:
    """The fault of this name; `NotFound` names those there are."""
    known = catalogue()
    if name not in known:
        raise NotFound(f"no fault {name[:60]}", why="the catalogue has none of this name", possible=", ".join(known))
    return known[name]
