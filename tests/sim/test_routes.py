"""What is done to a batch besides its culture: every operation of the tables is somewhere, and each finds what it tests."""

from __future__ import annotations

import pytest

from isogenic.errors import NotFound
from isogenic.sim.filling import FILL, FILLING
from isogenic.sim.processes import PROCESSES
from isogenic.sim.routes import FILLED_BY, FINISHES, route_of


def names(process: str, **how: object) -> list[str]:
    return [each.name for each in route_of(process, **how).operations]  # type: ignore[arg-type]


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("finish", FINISHES)
def test_a_name_stands_once_in_a_route_and_every_assay_tests_what_is_made(process: str, finish: str) -> None:
    route = route_of(process, finish=finish)
    found = [each.name for each in route.operations]
    assert len(set(found)) == len(found) > 0
    assert all(each.replace("_", "").isalnum() and each == each.lower() for each in found)
    assert {each.after for each in route.laboratory} <= {each.name for each in route.after}
    assert all(age > 0.0 for age, _ in route.during)


def test_processes_go_from_the_bag_to_the_vial_and_through_the_laboratory() -> None:
    antibody = names("antibody")
    assert antibody[:3] == ["install_and_test_the_bag", "bring_in_the_medium", "inoculate"]
    assert antibody[3:5] == ["clarification", "protein_a"]
    assert antibody[-8:] == [
        "pool",
        "sterile_filtration",
        "decontaminate_the_isolator",
        FILL,
        "inspect_by_eye",
        "change_over",
        "drug_substance_panel",
        "sterility",
    ]
    assert names("mrna")[-7:-3] == ["decontaminate_the_isolator", FILL, "inspect_by_eye", "change_over"]
    cells = names("car_t")
    assert cells[:3] == ["receive_and_verify_the_apheresis", "enrich_and_activate", "transduce"]
    assert cells[3:9] == [f"exchange_medium_day_{day}" for day in range(3, 9)]
    assert cells[9:] == ["harvest_and_cryofill", "sterility", "copies_of_the_vector", "flow_cytometry", "potency"]
    assert names("pensim") == names("indpensim")
    assert "crystallise" in names("pensim")


def test_a_drug_substance_may_be_dried_or_left_in_bulk() -> None:
    assert names("antibody", finish="lyophilised").index("lyophilise") == names("antibody").index(FILL) + 1
    bulk = names("antibody", finish="bulk")
    assert not {each.name for each in FILLING} & set(bulk)
    assert "sterility" not in bulk
    assert "rapid_sterility" in names("car_t", rapid=True)


def test_faults_of_filling_strike_what_is_filled_by_name() -> None:
    struck = {fault: [process for process in PROCESSES if route_of(process).struck_by(fault)] for fault in FILLED_BY}
    assert struck == {
        "needle_drifts": ["antibody", "mrna", "car_t"],
        "stopper_jams": ["antibody", "mrna"],
        "particles_rise": ["antibody", "mrna", "car_t"],
    }
    assert not route_of("antibody", finish="bulk").struck_by("needle_drifts")
    with pytest.raises(NotFound):
        route_of("nothing")
