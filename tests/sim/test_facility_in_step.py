"""One set of equations for a live facility and for a study: the same constants, settings and faults give the same batch.

Both begin with the same litres of the same culture. What is left between them, and why the tolerances are what they are:
a live bolus flows for a quarter of an hour and a study's is there at once; a live dose and set-point act at the next
point of the grid (900 s here); temperature and pH follow their set-points in minutes; both step the biology by an hour at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import timedelta

import numpy as np
import pytest
from led_batch import PORTO, lead_batch

from isogenic.clock import ManualClock, ScaledClock, wall_seconds
from isogenic.plant.documents import with_endpoints
from isogenic.plant.model import SitePlant
from isogenic.sim.facility import Facility
from isogenic.sim.faults import SIZES, FaultKind, catalogue
from isogenic.sim.live import live_of
from isogenic.sim.processes import feeding, process_of
from isogenic.sim.processes.cho import Theta
from isogenic.sim.processes.process import Fault, Floats
from isogenic.sim.servers import serve_facility
from isogenic.sites.drivers.opcua import OpcUaDriver

T0 = ManualClock().at
START_L = 112.0
SEED = 3
TOLERANCES = {
    "viable": 0.003,
    "glucose": 0.01,
    "lactate": 0.01,
    "antibody": 0.003,
    "volume": 0.001,
    "ammonium": 0.003,
    "amino_acids": 0.005,
    "bacteria": 0.02,
}
STUDIED = {"viable": "viable_cells", "antibody": "titre"}
FEED_ML_H = 0.03 * START_L / 24.0 * 1000.0


def dose(facility: Facility, name: str, amount: float, number: int) -> None:
    facility.write(f"{PORTO}.{name}", amount)
    facility.write(f"{PORTO}.{name}_number", float(number))


def inoculated(porto: SitePlant, *, faults: Sequence[str] = (), step_s: float = 900.0) -> Facility:
    """A facility whose vessel holds, at age 0 and at 37 degC, what a study begins with."""
    facility = Facility(porto, seed=SEED, faults=faults, step_s=step_s)
    facility.advance(T0)
    for name, value in {"temperature_sp": 37.0, "agitation_sp": 90.0}.items():
        facility.write(f"{PORTO}.{name}", value)
    dose(facility, "medium_dose", 0.9 * START_L, 1)
    facility.advance(T0 + timedelta(hours=24))
    dose(facility, "seed_dose", 0.1, 1)
    facility.advance(T0 + timedelta(hours=24, seconds=step_s))
    run = live_of("antibody").begin(seed=SEED, site="PORTO", batch=f"{PORTO}-run1", weak=0.0)
    facility.bank.pour(0, **feeding.inoculated(START_L, density=run.seed[0] / 5.0)._asdict())
    return facility


def lived(facility: Facility, *, hours: int) -> dict[int, dict[str, float]]:
    """The batch led by the hour: the truth at every whole day of its age."""
    began, vessel, bolus, seen = facility.at, facility.vessels[PORTO], 0, {}
    assert began is not None
    for age in range(hours + 1):
        facility.advance(began + timedelta(hours=age))
        if age == 72:
            facility.write(f"{PORTO}.feed_flow_sp", FEED_ML_H)
        if age % 24 == 0:
            seen[age] = {**vessel.truth(), **vessel.inside}
            if 0 < age < hours and vessel.inside["glucose"] < feeding.BOLUS_BELOW_MM:
                bolus += 1
                litres = feeding.bolus_litres(vessel.inside["glucose"], volume_l=vessel.inside["volume"])
                dose(facility, "glucose_dose", litres * 1000.0, bolus)
    return seen


def study(*, hours: int, faults: Sequence[Fault] = ()) -> Mapping[str, Floats]:
    """The same batch as the study function has it."""
    run = live_of("antibody").begin(seed=SEED, site="PORTO", batch=f"{PORTO}-run1", weak=0.0)
    constants = {each.name: np.array([value]) for each, value in zip(fields(Theta), run.constants, strict=True)}
    constants["seed_density"] = np.array([run.seed[0] / 5.0])
    settings = {"working_volume": 160.0, "start_volume": START_L, "duration": float(hours)}
    ours = {name: np.array([value]) for name, value in settings.items()}
    return process_of("antibody").run(1, constants=constants, settings=ours, faults=faults, every_h=24.0).values


def compared(seen: Mapping[int, Mapping[str, float]], batch: Mapping[str, Floats], *, slack: float = 1.0) -> None:
    for name, tolerance in TOLERANCES.items():
        one = np.array([each[name] for each in seen.values()])
        other = batch[STUDIED.get(name, name)][: len(one), 0]
        apart = np.abs(one - other) / (np.abs(other) + 0.02 * np.abs(other).max() + 1e-12)
        assert apart.max() < slack * tolerance, (name, apart)


def test_a_live_batch_of_fourteen_days_is_the_study_of_the_same_constants(porto: SitePlant) -> None:
    compared(lived(inoculated(porto), hours=336), study(hours=336))


SHOWN = (
    ("sparger_fouls", 0.5, 96.0, 48.0),
    ("feed_pump_fouls", 0.6, 96.0, 48.0),
    ("feed_pump_stops", 1.0, 97.0, 46.0),
    ("feed_pump_runs_high", 0.5, 96.0, 48.0),
    ("temperature_excursion", 2.0, 100.0, 6.0),
    ("ph_sensor_drifts", 0.2, 72.0, 96.0),
    ("culture_is_contaminated", 1e-6, 100.0, 50.0),
    ("lactate_is_high", 0.2, 48.0, 120.0),
    ("product_rate_is_low", 0.3, 48.0, 120.0),
)


@pytest.mark.parametrize(("name", "size", "start", "hours"), SHOWN)
def test_a_fault_injected_live_does_what_it_does_in_a_study(porto: SitePlant, name: str, size: float, start: float, hours: float) -> None:
    last = 120 if name == "culture_is_contaminated" else 144
    mechanism = process_of("antibody").faults[name]
    seen = lived(inoculated(porto, faults=[f"{name}:unit=SB-200,start={start},hours={hours},size={size}"]), hours=last)
    there = study(hours=last, faults=[Fault(name, size, start, hours, gradual=mechanism.gradual)])
    without = study(hours=last)
    compared(seen, there, slack=6.0)  # a fault acts from the middle of an hour in a study, from the minute live
    moved = max(
        float(np.nanmax(np.abs(there[key] - without[key]) / (np.abs(without[key]) + 1e-9))) for key in ("titre", "glucose", "oxygen_flow", "ph")
    )
    assert moved > 0.01  # it does something that a culture shows


SEEN = (
    ("sparger_fouls", 0.4, lambda good, bad: bad["oxygen_flow"] > 1.3 * good["oxygen_flow"]),
    ("feed_pump_stops", 1.0, lambda good, bad: abs(bad["feed_flow"]) < 1.0 and bad["glucose"] < good["glucose"] - 1.0),
    ("feed_pump_runs_high", 0.5, lambda good, bad: bad["feed_bottle_weight"] < good["feed_bottle_weight"] - 1.0),
    ("temperature_excursion", 2.0, lambda good, bad: bad["temperature"] > good["temperature"] + 1.8 and bad["viability"] < good["viability"]),
    (
        "culture_is_contaminated",
        1e-4,
        lambda good, bad: bad["dissolved_oxygen"] < 0.5 * good["dissolved_oxygen"] and bad["glucose"] < good["glucose"] - 1.0,
    ),
    ("lactate_is_high", 0.5, lambda good, bad: bad["lactate"] > good["lactate"] + 1.0),
)


@pytest.mark.parametrize(("name", "size", "shows"), SEEN)
def test_the_site_sees_the_signature_of_a_live_fault(porto: SitePlant, name: str, size: float, shows: object) -> None:
    good = dict(lead_batch(Facility(porto, seed=SEED, step_s=1800.0), hours=122.0, harvest=False))
    faults = [f"{name}:unit=SB-200,start=100h,hours=50,size={size}"]
    bad = dict(lead_batch(Facility(porto, seed=SEED, faults=faults, step_s=1800.0), hours=122.0, harvest=False))
    assert bad[99.5] == good[99.5]
    assert callable(shows) and shows(good[122.0], bad[122.0])


def test_a_drifting_ph_probe_shows_nothing_while_the_culture_turns_acid(porto: SitePlant) -> None:
    facility = Facility(porto, seed=SEED, faults=["ph_sensor_drifts:unit=SB-200,start=24h,hours=40,size=0.2"])
    shown = dict(lead_batch(facility, hours=60.0, harvest=False))
    assert shown[59.0]["ph"] == pytest.approx(7.0, abs=0.08)
    assert facility.vessels[PORTO].truth()["ph"] == pytest.approx(6.8, abs=1e-3)


def test_live_kinds_have_the_sizes_of_the_catalogue() -> None:
    for kind, (low, high) in SIZES.items():
        if kind is not FaultKind.SETTING_CHANGES:  # what somebody does at a panel; no study has panels
            size = catalogue()[str(kind)].size_for("antibody")
            assert size is not None
            assert (size.low, size.high) == (low, high) if kind.sized else size.high == 0.0, kind
    assert {str(kind) for kind in FaultKind if kind is not FaultKind.SETTING_CHANGES} <= set(catalogue())
    assert set(process_of("antibody").faults) <= {str(kind) for kind in FaultKind}


@pytest.mark.parametrize("speed", [1.0, 10_000.0])
def test_a_batch_over_opc_ua_is_the_study_at_any_speed(porto: SitePlant, speed: float) -> None:
    """Over the wire, on a clock of this speed, for two seconds of wall time: 2 s of a batch, or five and a half hours."""

    async def protocol() -> tuple[float, dict[str, float], float]:
        facility = inoculated(porto, step_s=300.0)
        assert facility.at is not None
        clock = ScaledClock(start=facility.at, origin=wall_seconds(), speed=speed)
        async with serve_facility(porto, facility, clock) as endpoints:
            driver = OpcUaDriver(with_endpoints(porto, endpoints), clock=clock)
            try:
                await driver.read(clock.now().at)
                refused = await driver.write({f"{PORTO}.feed_flow_sp": FEED_ML_H})
                assert refused == {}
                fed = facility.vessels[PORTO].age_h
                await asyncio.sleep(2.0)
                frame = await driver.read(clock.now().at)
                assert np.isfinite(frame.reading(f"{PORTO}.glucose").value)
            finally:
                await driver.close()
        return fed, dict(facility.vessels[PORTO].inside), facility.vessels[PORTO].age_h

    fed, inside, age = asyncio.run(protocol())
    run = live_of("antibody").begin(seed=SEED, site="PORTO", batch=f"{PORTO}-run1", weak=0.0)
    constants = {each.name: np.array([value]) for each, value in zip(fields(Theta), run.constants, strict=True)} | {
        "seed_density": np.array([run.seed[0] / 5.0])
    }
    settings = {"working_volume": 160.0, "start_volume": START_L, "duration": max(age, 24.0), "feed_start": fed}
    batch = process_of("antibody").run(
        1, constants=constants, settings={name: np.array([value]) for name, value in settings.items()}, every_h=max(age, 0.05)
    )
    at = 1 if age > 0 else 0
    for name, tolerance in TOLERANCES.items():
        assert inside[name] == pytest.approx(float(batch.values[STUDIED.get(name, name)][at, 0]), rel=tolerance, abs=1e-12), name
