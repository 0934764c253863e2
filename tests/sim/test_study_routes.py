"""Studies run the whole route of a batch: what a planner reads, against cases known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from small_process import Small

import isogenic.sim.processes.process as home
from isogenic.errors import NotValid
from isogenic.sim.filling import FILL
from isogenic.sim.operations import Operation
from isogenic.sim.processes import PROCESSES
from isogenic.sim.processes.pages import process_page
from isogenic.sim.routes import route_of
from isogenic.sim.scenarios import read_scenario
from isogenic.sim.studies import plan_of
from isogenic.sim.studies.chunk import run_chunk

HEAD = "isogenic: scenario/1\ntitle: T\nseed: 3\n"


def tables(text: str, *, batches: int | None = None) -> dict[str, list[dict]]:
    scenario = read_scenario(HEAD + text)
    made = [run_chunk(scenario, part) for part in plan_of(scenario, batches=batches)]
    return {name: [row for each in made for row in each[name].to_pylist()] for name in made[0]}


@pytest.mark.parametrize("process", ["antibody", "car_t"])
def test_every_operation_of_the_route_is_a_row_in_its_order(process: str) -> None:
    found = tables(f"process: {process}\nevery: 24 h\nbatches: 3\n")
    route = route_of(process)
    for batch in found["batches"]:
        rows = [row for row in found["operations"] if row["batch"] == batch["batch"]]
        assert [row["operation"] for row in rows] == [each.name for each in route.operations]
        stages = {stage: [row for row in rows if row["stage"] == stage] for stage in ("before", "during", "after", "laboratory")}
        assert [len(each) for each in stages.values()] == [len(route.before), len(route.during), len(route.after), len(route.laboratory)]
        assert stages["before"][0]["start_h"] == batch["start_h"]
        assert stages["before"][-1]["end_h"] == pytest.approx(batch["culture_h"])
        for first, then in zip(stages["before"] + stages["after"], (stages["before"] + stages["after"])[1:], strict=False):
            if first["stage"] == then["stage"]:
                assert then["start_h"] == first["end_h"], "nobody waits where nothing is short"
        assert [row["start_h"] - batch["culture_h"] for row in stages["during"]] == pytest.approx([age for age, _ in route.during])
        assert stages["after"][0]["start_h"] == pytest.approx(batch["culture_h"] + {"antibody": 336.0, "car_t": 216.0}[process])
        ended = {row["operation"]: row["end_h"] for row in rows}
        assert [row["start_h"] for row in stages["laboratory"]] == [ended[each.after] for each in route.laboratory]
        assert (batch["ready_h"], batch["tested_h"]) == (stages["after"][-1]["end_h"], max(row["end_h"] for row in stages["laboratory"]))
        assert batch["kept"] == pytest.approx(np.prod([row["recovery"] for row in stages["after"]]))
        assert {row["waited_h"] for row in rows} == {0.0}


def test_what_is_not_filled_has_no_fault_of_filling() -> None:
    fault = "faults:\n  - {fault: needle_drifts, size: 20 %}\n"
    with pytest.raises(NotValid, match="fills anything that it strikes"):
        tables("process: antibody\nfinish: bulk\n" + fault)
    with pytest.raises(NotValid, match="car_t is not filled into vials"):
        tables("process: car_t\nfinish: lyophilised\n")
    with pytest.raises(NotValid, match="'jars' is not one of vials, lyophilised, bulk"):
        tables("process: antibody\nfinish: jars\n")
    names = [row["operation"] for row in tables("process: antibody\nevery: 168 h\nfinish: lyophilised\n", batches=1)["operations"]]
    assert names[names.index("fill_and_stopper") + 1] == "lyophilise"


def test_faults_of_filling_strike_vials_and_bags() -> None:
    text = "processes: {antibody: {every: 168 h}, mrna: {every: 2 h}, car_t: {every: 216 h}}\nbatches: 6\n"
    faults = (
        "{fault: needle_drifts, size: 20 %}",
        "{fault: stopper_jams, process: antibody, size: 20}",
        "{fault: particles_rise, process: car_t, size: 100 %}",
    )
    sound, broken = tables(text), tables(f"{text}faults: [{', '.join(faults)}]\n")
    kept = {row["batch"]: row["kept"] for row in sound["batches"]}
    struck = {"antibody": "needle_drifts;stopper_jams", "mrna": "needle_drifts", "car_t": "needle_drifts;particles_rise"}
    for row in broken["batches"]:  # the mean of a drift over a run is half of it
        assert row["kept"] == pytest.approx(kept[row["batch"]] * 0.9, abs=0.012)
        assert row["faults"] == struck[row["process"]]
    stood = [sum(row["stopped_h"] for row in each["operations"] if row["operation"] == "fill_and_stopper") for each in (sound, broken)]
    assert stood[1] > 5.0 * stood[0]
    fills = [row["failed"] for row in broken["operations"] if row["operation"] == "harvest_and_cryofill"]
    assert fills == [True] * 2
    said = [row for row in broken["events"] if row["event"] == "failed" and row["what"] == "harvest_and_cryofill"]
    assert len(said) == 2, "each is an event, and none loses its batch"
    begun = {row["batch"]: row["start_h"] for row in broken["operations"] if row["operation"] in ("fill_and_stopper", "harvest_and_cryofill")}
    began = {row["batch"]: row["study_h"] for row in broken["events"] if row["what"].startswith("needle_drifts")}
    assert began == pytest.approx(begun), "it begins when something is filled"


def test_a_batch_that_is_not_filled_is_not_struck_by_a_fault_of_filling() -> None:
    text = "process: antibody\nevery: 168 h\nconstants: {growth: 37 1/h}\nfaults: [{fault: needle_drifts, size: 20 %}]\n"
    found = tables(text, batches=2)  # no culture that there could be
    assert [(row["faults"], row["kept"]) for row in found["batches"]] == [("", 0.0)] * 2
    assert {row["event"] for row in found["events"]} == {"stopped"}
    assert {row["stage"] for row in found["operations"]} == {"before"}


def test_two_suites_one_crew_and_one_shift_are_known_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Small()
    monkeypatch.setattr(model, "operations", (Operation(FILL, 4.0, recovery=0.9), Operation("pack", 5.0, recovery=0.5)), raising=False)
    monkeypatch.setattr(home, "SMALL", model, raising=False)
    monkeypatch.setitem(PROCESSES, "small", "process:SMALL")
    found = tables("process: small\nturnaround: 0 h\nperiod: 150 h\nsites: {PORTO: {suites: 2, crews: 1, shifts: 1}}\n")
    # People come at six; a culture of 96 h ends at six, too. From 102 h on the crew fills 1 until ten and packs until three in the
    # afternoon; 2 waits until next morning, as nothing begins after two. 3 and 4 are begun when 1 and 2 are harvested.
    names = ("start_h", "culture_h", "waited_h", "kept", "ready_h")
    assert [[row[name] for name in names] for row in found["batches"]] == [
        [6.0, 6.0, 6.0, 0.45, 111.0],
        [6.0, 6.0, 6.0, 0.45, 135.0],
        [102.0, 102.0, 0.0, 0.45, 207.0],
        [102.0, 102.0, 0.0, 0.45, 231.0],
    ]
    assert [(row["operation"], row["start_h"], row["waited_h"]) for row in found["operations"][:4]] == [
        (FILL, 102.0, 0.0),
        ("pack", 106.0, 0.0),
        (FILL, 126.0, 24.0),
        ("pack", 130.0, 0.0),
    ]


@pytest.mark.parametrize("process", PROCESSES)
def test_the_page_of_a_process_lists_its_route(process: str) -> None:
    page = process_page(process).partition("\nroute ")[2]
    at = [page.find(f"  {each.name} ") for each in route_of(process).operations]
    assert at == sorted(at)
    assert -1 not in at


def test_a_fast_test_of_sterility_is_there_sooner() -> None:
    usual, fast = (tables(f"process: car_t\nevery: 216 h\nrapid_sterility: {each}\n", batches=20) for each in ("false", "true"))
    assert "rapid_sterility" in {row["operation"] for row in fast["operations"]}
    hours = [np.mean([row["tested_h"] - row["ready_h"] for row in each["batches"]]) for each in (usual, fast)]
    assert 0.3 * hours[0] < hours[1] < 0.7 * hours[0]
    assert [row["ready_h"] for row in fast["batches"]] == [row["ready_h"] for row in usual["batches"]], "nothing waits for a test"
