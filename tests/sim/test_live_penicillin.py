"""Penicillium in a live vessel: the benchmark of the studies, step for step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import pytest
from fastapi.testclient import TestClient
from led_batch import PORTO

from isogenic.clock import ManualClock
from isogenic.errors import NotFound, NotValid
from isogenic.plant.model import SitePlant
from isogenic.sim.facility import Facility
from isogenic.sim.faults import parse_fault
from isogenic.sim.laboratory import assay
from isogenic.sim.live import Conditions, live_of
from isogenic.sim.pages.facility import View, facility_app
from isogenic.sim.processes import process_of
from isogenic.sim.processes.pensim import CONSTANTS
from isogenic.sim.processes.process import Floats

T0 = ManualClock().at
START_L = 100.0
LIKE_LIVE = {"switch": np.array([60.0]), "ph": np.array([6.5])}  # fed from the beginning; a vessel for cells goes no lower than pH 6.5


def inoculated(porto: SitePlant, fault: str = "") -> Facility:
    """At age 0 the vessel holds what a study begins with."""
    facility = Facility(porto, seed=3, step_s=900.0, process="pensim", faults=[fault] if fault else [])
    facility.advance(T0)
    for name, value in {"temperature_sp": 24.85, "ph_sp": 6.5, "agitation_sp": 90.0, "medium_dose": 95.0, "medium_dose_number": 1.0}.items():
        facility.write(f"{PORTO}.{name}", value)
    facility.advance(T0 + timedelta(hours=24))
    facility.write(f"{PORTO}.seed_dose", 0.1)
    facility.write(f"{PORTO}.seed_dose_number", 1.0)
    facility.advance(T0 + timedelta(hours=24, minutes=15))
    facility.bank.pour(0, biomass=0.1, substrate=15.0, penicillin=0.0, carbon_dioxide=0.0, volume=START_L)
    return facility


def led(facility: Facility, *, hours: int) -> None:
    """Fed from the beginning."""
    began, vessel = facility.at, facility.vessels[PORTO]
    assert began is not None
    facility.write(f"{PORTO}.feed_flow_sp", 42.6)
    facility.advance(began + timedelta(hours=hours))
    assert vessel.age_h == pytest.approx(hours, abs=0.5)


def study(facility: Facility) -> Mapping[str, Floats]:
    run = live_of("pensim").begin(seed=3, site=facility.plant.site, batch=f"{PORTO}-run1", weak=0.0)
    constants = {name: np.array([value]) for name, value in zip(CONSTANTS, run.constants, strict=True)}
    return process_of("pensim").run(1, constants=constants, settings=LIKE_LIVE, every_h=1.0).values


def test_a_live_batch_is_the_study_of_the_same_constants(porto: SitePlant) -> None:
    facility = inoculated(porto)
    known = study(facility)
    led(facility, hours=120)
    inside = facility.vessels[PORTO].inside
    for name in ("biomass", "substrate", "penicillin", "volume"):
        assert inside[name] == pytest.approx(float(known[name][120, 0]), rel=2e-3), name
    assert inside["penicillin"] > 0.3
    assert facility.vessels[PORTO].truth()["dissolved_oxygen"] == pytest.approx(float(known["oxygen"][120, 0]), abs=0.1)


def test_one_vessel_and_many_are_the_same() -> None:
    biology = live_of("pensim")
    run = biology.begin(seed=1, site="PORTO", batch="A", weak=0.0)
    state, here = (4.0, 3.0, 0.2, 1.0, 100.0), Conditions(0.04, 1.0, 40.0, 24.85, 5.0)
    many = np.array([state] * 5).T
    constants = np.array([run.constants] * 5).T
    for hours in (0.05, 1.0):
        one = biology.advance(state, hours=hours, constants=run.constants, here=here)
        rows = biology.advance(many, hours=hours, constants=constants, here=here)
        assert all(np.allclose(each, alone, rtol=1e-12) for each, alone in zip(rows, one, strict=True))
    slope = biology.rates(state, constants=run.constants, here=here)
    near = biology.advance(state, hours=1e-4, constants=run.constants, here=here)
    assert [(b - a) / 1e-4 for a, b in zip(state, near, strict=True)] == pytest.approx(list(slope), rel=1e-3, abs=1e-6)


def test_a_fouled_sparger_takes_its_oxygen_and_what_it_has_not_is_refused(porto: SitePlant) -> None:
    sound, fouled = inoculated(porto), inoculated(porto, "sparger_fouls:unit=SB-200,start=10,size=0.6")
    for each in (sound, fouled):
        led(each, hours=30)
    assert fouled.vessels[PORTO].truth()["dissolved_oxygen"] < sound.vessels[PORTO].truth()["dissolved_oxygen"] - 3.0
    for text in ("culture_is_contaminated:unit=SB-200,size=0.01", "medium_is_weak:unit=SB-200,size=0.1"):
        with pytest.raises(NotValid, match="pensim has no such fault"):
            sound.inject(parse_fault(text))
    with pytest.raises(NotFound, match="no live vessel can hold it"):
        live_of("indpensim")


def test_its_harvest_is_assayed_remembered_and_shown(porto: SitePlant) -> None:
    facility = inoculated(porto)
    led(facility, hours=60)
    view = View(facility)
    view.look()
    again = Facility(porto, seed=3, step_s=900.0, process="pensim")
    again.restore(facility.snapshot())
    assert again.vessels[PORTO].truth() == facility.vessels[PORTO].truth()
    assert facility.at is not None
    facility.advance(facility.at + timedelta(hours=1))
    view.look()
    page = TestClient(facility_app(view), base_url="http://127.0.0.1:8000").get("/").text
    assert "pensim, run 1" in page and "Penicillin, g/L" in page and "culture is contaminated" not in page
    facility.write(f"{PORTO}.harvest_dose", 200.0)
    facility.write(f"{PORTO}.harvest_dose_number", 1.0)
    facility.advance(facility.at + timedelta(hours=6))
    (harvest,) = facility.harvests()
    assert [each.attribute for each in assay(harvest, seed=3, site="PORTO")] == ["titre"]
