"""The catalogue of faults: each is told, and shown by its signature; those of sites, laboratories, filling, orders, couriers and nodes here."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from small_process import SMALL

from isogenic.errors import NotFound, NotValid
from isogenic.sim.faults import catalogue, entry_of
from isogenic.sim.faults.catalogue import Place
from isogenic.sim.faults.live import FaultKind
from isogenic.sim.faults.pages import faults_page
from isogenic.sim.instruments import Failure
from isogenic.sim.processes import PROCESSES, process_of
from isogenic.sim.processes.process import Fault
from isogenic.sim.scenarios import read_scenario
from isogenic.sim.studies import plan_of
from isogenic.sim.studies.chunk import run_chunk

ROOT = Path(__file__).parents[2]
ANTIBODY = "isogenic: scenario/1\ntitle: T\nprocess: antibody\nevery: 6 h\nseed: 3\nsites: {PORTO: {}, GHENT: {}, LEEDS: {}}\n"
ONE = "isogenic: scenario/1\ntitle: T\nprocess: small\nevery: 24 h\nseed: 3\nsites: {PORTO: {}}\n"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    import isogenic.sim.processes.process as home

    monkeypatch.setattr(home, "SMALL", SMALL, raising=False)
    monkeypatch.setitem(PROCESSES, "small", "process:SMALL")


def tables(text: str, faults: str = "", *, batches: int | None = 30) -> dict[str, list[dict]]:
    scenario = read_scenario(text + (f"faults:\n  - {{{faults}}}\n" if faults else ""))
    made = [run_chunk(scenario, part) for part in plan_of(scenario, batches=batches)]
    return {name: [row for each in made for row in each[name].to_pylist()] for name in made[0]}


def column(rows: list[dict], name: str, **where: str) -> np.ndarray:
    return np.array([row[name] for row in rows if all(row[key] == value for key, value in where.items())], dtype=float)


def test_every_fault_is_told_whole() -> None:
    for name, each in catalogue().items():
        assert each.name == name
        assert each.what, name
        assert each.signature, name
        assert each.sizes, name
    page = faults_page()
    assert all(f"\n{name}  [" in "\n" + page for name in catalogue())


def test_every_fault_names_a_test_that_there_is_or_a_process_that_has_it() -> None:
    for name, each in catalogue().items():
        if each.place is Place.PROCESS:
            assert all(name in process_of(process).faults for process in each.processes), name
            continue
        file, _, test = each.shown_by.partition("::")
        names = {node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)}
        assert test.partition("[")[0] in names, each.shown_by


SLOW = "indpensim"  # some seconds a batch
ACTS = [
    pytest.param(process, name, marks=[pytest.mark.nightly] if process == SLOW else [], id=f"{process}-{name}")
    for process in PROCESSES
    for name in process_of(process).faults
]


@pytest.mark.parametrize(("process", "name"), ACTS)
def test_every_fault_of_a_process_acts_on_the_batch_that_it_strikes_and_on_no_other(process: str, name: str) -> None:
    model = process_of(process)
    known = model.faults[name]
    high = min(known.high, 300.0)
    size = high if known.low >= 0 or known.unit == "1" else 0.5 * high
    every = model.every_h * max(1, round(model.duration_h / model.every_h / 8))
    fault = Fault(name, 0.6 * size, 0.1 * model.duration_h if known.windowed else 0.0, batches=np.array([True, False]), gradual=known.gradual)
    sound, struck = model.run(2, every_h=every), model.run(2, every_h=every, faults=[fault])
    seen = [[*each.values.values(), *(quality[None, :] for quality in each.quality.values())] for each in (sound, struck)]
    assert any(not np.array_equal(one[:, 0], other[:, 0], equal_nan=True) for one, other in zip(*seen, strict=True)), f"nothing is seen of {name}"
    # A model with error control steps all batches of a run together: the others differ by less than its tolerance.
    assert all(
        one[:, 1] == pytest.approx(other[:, 1], abs=1e-4 * float(np.nanmax(np.abs(one))), nan_ok=True) for one, other in zip(*seen, strict=True)
    )


def test_live_equipment_knows_no_fault_that_the_catalogue_lacks() -> None:
    assert {str(each) for each in FaultKind} - set(catalogue()) == {"setting_changes"}
    assert {str(each) for each in Failure} <= set(catalogue())


def test_a_fault_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(NotFound, match="sparger_fouls"):
        entry_of("sparger_sings")


@pytest.mark.parametrize("failure", list(Failure))
def test_a_failing_probe_shows_its_signature(failure: Failure) -> None:
    sizes = {
        "sensor_biased": 0.5,
        "sensor_drifts": "0.5 1/d",
        "sensor_spikes": 2,
        "sensor_is_noisy": 20,
        "sensor_is_late": "48 h",
        "sensor_is_fouled": 0.5,
    }
    size = f", size: {sizes[failure]}" if failure in sizes else ", size: 3" if failure == "sensor_in_wrong_unit" else ""
    text = ANTIBODY.replace("every: 6 h", "every: 1 h")
    sound = tables(text, batches=3)["trajectories"]
    broken = tables(text, f"fault: {failure}, sensor: ph, start: 100 h, sites: [PORTO]{size}", batches=3)["trajectories"]
    assert [row["ph"] for row in broken] == [row["ph"] for row in sound], "a probe changes nothing but what is read"
    for site, struck in (("PORTO", True), ("GHENT", False)):
        before, after = column(sound, "ph_read", site=site), column(broken, "ph_read", site=site)
        assert (before[:100] == after[:100]).all(), "not before it starts"
        assert (not np.array_equal(before[100:], after[100:], equal_nan=True)) == struck
    seen, usual = column(broken, "ph_read", site="PORTO")[101:], column(sound, "ph_read", site="PORTO")[101:]
    off = seen - usual
    match failure:
        case Failure.BIASED:
            assert off == pytest.approx(0.5, abs=1e-5)
        case Failure.DRIFTS:
            assert off[-1] == pytest.approx(0.5 * 236 / 24, abs=1e-3)
        case Failure.FREEZES:
            assert (np.diff(seen) == 0).all()
        case Failure.DROPS:
            assert np.isnan(seen).all()
        case Failure.SPIKES:
            assert 0 < np.count_nonzero(np.abs(off) > 0.2) < 0.2 * len(off)
        case Failure.NOISY:
            assert np.std(np.diff(seen)) > 5 * np.std(np.diff(usual))
        case Failure.LATE:
            assert seen[60:] == pytest.approx(column(broken, "ph_read", site="PORTO")[101 + 60 - 48 : -48], abs=0.2)
        case Failure.FOULED:
            assert seen[-1] == pytest.approx(0.5 * usual[-1], rel=0.02)
        case Failure.WRONG_UNIT:
            assert (seen / usual)[5:] == pytest.approx((seen / usual)[5], rel=1e-5)


def test_a_calibration_offset_shows_between_sites_only() -> None:
    sound = tables(ANTIBODY)["trajectories"]
    broken = tables(ANTIBODY, "fault: calibration_offset, sites: [GHENT], sensor: ph, size: 0.08")["trajectories"]
    between = [np.ptp([np.mean(column(rows, "ph_read", site=site)) for site in ("PORTO", "GHENT", "LEEDS")]) for rows in (sound, broken)]
    within = [np.std(np.diff(column(rows, "ph_read", site="GHENT"))) for rows in (sound, broken)]
    assert between[1] > between[0] + 0.04
    assert within[1] == pytest.approx(within[0], rel=1e-3)
    assert [row["ph"] for row in broken] == [row["ph"] for row in sound]


def test_an_assay_shift_leaves_the_process_as_it_was() -> None:
    sound = tables(ANTIBODY)
    broken = tables(ANTIBODY, "fault: assay_shifts, sites: [LEEDS], attribute: hmw, size: 0.3 %")
    assert broken["trajectories"] == sound["trajectories"]
    assert [row["truth"] for row in broken["results"]] == [row["truth"] for row in sound["results"]]
    unit = process_of("antibody").qualities["hmw"].unit
    assert unit == "%"
    shift = {
        site: column(broken["results"], "reported", site=site, attribute="hmw") - column(sound["results"], "reported", site=site, attribute="hmw")
        for site in ("PORTO", "LEEDS")
    }
    assert shift["LEEDS"] == pytest.approx(0.3)
    assert (shift["PORTO"] == 0).all()


def test_a_needle_that_drifts_costs_recovery(small: None) -> None:
    sound, broken = (tables(ONE, faults)["batches"] for faults in ("", "fault: needle_drifts, size: 20 %"))
    assert column(broken, "kept") == pytest.approx(0.9 * column(sound, "kept"))


def test_stoppers_that_jam_cost_hours(small: None) -> None:
    sound, broken = (tables(ONE, faults)["operations"] for faults in ("", "fault: stopper_jams, size: 10"))
    assert column(broken, "stopped_h").sum() > 5 * column(sound, "stopped_h").sum()
    assert (column(broken, "end_h") >= column(sound, "end_h")).all()


def test_particles_mark_runs_of_filling(small: None) -> None:
    sound, broken = (tables(ONE, faults)["operations"] for faults in ("", "fault: particles_rise, size: 50 %"))
    assert not any(row["failed"] for row in sound)
    assert 5 < sum(row["failed"] for row in broken) < 25


def test_filling_goes_wrong_only_where_something_is_filled() -> None:
    with pytest.raises(NotValid, match="no process of the scenario fills anything that it strikes"):
        read_scenario(ANTIBODY.replace("antibody", "pensim") + "faults:\n  - {fault: needle_drifts, size: 10 %}\n")


def test_a_surge_makes_batches_wait_and_material_expire(small: None) -> None:
    text = ONE + "period: 400 d\norders: 0.1 1/d\nexpires: 10 d\ntravel: 12 h\nlot_batches: 5\n"
    sound, broken = (tables(text, faults, batches=None) for faults in ("", "fault: demand_surges, start: 100 d, duration: 60 d, size: 5"))
    waits = [column([row for row in each["batches"] if 2400 <= row["ordered_h"] < 3840], "waited_h") for each in (sound, broken)]
    assert len(waits[1]) > 3 * len(waits[0])
    assert waits[1].mean() > 2 * waits[0].mean() + 10
    expired = [sum(row["event"] == "expired" for row in each["events"]) for each in (sound, broken)]
    assert expired[1] > expired[0]
    lots = [len({row["lot"] for row in each["batches"] if row["ordered_h"] < 3840}) for each in (sound, broken)]
    assert lots[1] > lots[0], "a surge uses up lots"
    assert {row["surge"] for row in broken["batches"] if 2400 <= row["ordered_h"] < 3840} == {5.0}


def test_a_late_courier_delays_and_ages_the_material(small: None) -> None:
    text = ONE + "period: 200 d\norders: 0.02 1/d\nexpires: 5 d\ntravel: 12 h\n"
    sound, broken = (
        tables(text, faults, batches=None)["batches"] for faults in ("", "fault: courier_is_late, start: 0 d, duration: 200 d, size: 36 h")
    )
    first = [each[0] for each in (sound, broken)]
    assert first[1]["start_h"] == first[0]["start_h"] + 36.0
    assert first[1]["material_h"] == pytest.approx(first[0]["material_h"] + 36.0)
    assert (first[1]["received_h"], first[1]["waited_h"]) == (first[1]["start_h"], 0.0), "late couriers are not waiting for a suite"
    lost = tables(text, "fault: courier_is_late, start: 0 d, size: 130 h", batches=None)
    assert {row["why"] for row in lost["batches"]} == {"the starting material waited beyond its life"}
    assert lost["trajectories"] == []


def test_a_shipment_that_warms_loses_what_it_carries(small: None) -> None:
    text = ONE + "period: 200 d\norders: 0.05 1/d\ntravel: 24 h\n"
    sound, broken = (tables(text, faults, batches=None) for faults in ("", "fault: shipment_warms, start: 0 d, duration: 200 d, size: 20 K"))
    at_start = [np.array([row["cells"] for row in each["trajectories"] if row["age_h"] == 0]) for each in (sound, broken)]
    hours = np.array([row["material_h"] for row in sound["batches"]])
    way = np.array([row["received_h"] - row["left_h"] for row in sound["batches"]])
    assert [row["excursion_h"] > 0 for row in broken["batches"]] == [True] * len(way)
    # After 24 h 4 points are lost in 12 h; 20 K warmer, an hour on the way counts as four.
    for seen, old in ((at_start[0], hours), (at_start[1], hours + 3.0 * way)):
        assert seen == pytest.approx(np.maximum(1.0 - 0.04 * np.maximum(old - 24.0, 0.0) / 12.0, 0.0), abs=0.0051)
    assert at_start[1].mean() < at_start[0].mean() - 0.15


def test_without_power_there_are_no_readings() -> None:
    text = ANTIBODY + "period: 60 d\n"
    whole = tables(text, batches=None)
    sound, sound_batches = whole["trajectories"], whole["batches"]
    broken = tables(text, "fault: power_fails, sites: [PORTO], start: 8 d, duration: 24 h", batches=None)["trajectories"]
    dark = np.isnan(column(broken, "ph_read", site="PORTO")) & np.isfinite(column(sound, "ph_read", site="PORTO"))
    hours = column(broken, "age_h", site="PORTO")
    batches = np.array([row["batch"] for row in broken if row["site"] == "PORTO"])
    began = column(sound_batches, "culture_h", batch="PORTO-antibody-00001")[0]
    off = {age for age in np.arange(0.0, 337.0, 6.0) if 192.0 <= began + age < 216.0}
    assert set(hours[dark]) == off
    assert set(batches[dark]) == {"PORTO-antibody-00001"}
    fed = [column(rows, "feed_flow", site="PORTO", batch="PORTO-antibody-00001") for rows in (sound, broken)]
    age = column(broken, "age_h", site="PORTO", batch="PORTO-antibody-00001")
    assert (fed[0][np.isin(age, list(off))] > 0).all()
    assert (fed[1][np.isin(age, list(off))] == 0).all()


def test_a_cut_link_delays_readings_and_loses_none() -> None:
    text = ANTIBODY + "period: 60 d\n"
    sound, cut = (
        tables(text, faults, batches=None)["trajectories"] for faults in ("", "fault: link_is_cut, sites: [GHENT], start: 9 d, duration: 3 d")
    )
    assert [row["ph_read"] for row in cut] == [row["ph_read"] for row in sound]
    late = {row["arrived_h"] for row in cut if row["arrived_h"] != row["stamp_h"]}
    assert late == {288.0}
    assert {row["site"] for row in cut if row["arrived_h"] != row["stamp_h"]} == {"GHENT"}


def test_a_clock_that_steps_moves_stamps_only() -> None:
    text = ANTIBODY + "period: 60 d\n"
    rows = tables(text, "fault: clock_steps, sites: [LEEDS], start: 10 d, duration: 7 d, size: 1 h", batches=None)["trajectories"]
    steps = {(row["site"], round(row["stamp_h"] - row["arrived_h"], 6)) for row in rows}
    assert steps == {("PORTO", 0.0), ("GHENT", 0.0), ("LEEDS", 0.0), ("LEEDS", 1.0)}
    assert [row["ph_read"] for row in rows] == [row["ph_read"] for row in tables(text, batches=None)["trajectories"]]
