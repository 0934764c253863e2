"""Batches of a study wait for couriers, suites, crews, shifts and the laboratory as the theory of queues, or a hand, says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.sim.processes.process import Floats
from isogenic.sim.scenarios import read_scenario
from isogenic.sim.scenarios.model import Scenario
from isogenic.sim.studies import plan_of
from isogenic.sim.studies.part import Part
from isogenic.sim.studies.shifts import Shifts
from isogenic.sim.studies.work import Work, work_of

HEAD = "isogenic: scenario/1\ntitle: T\nseed: 5\n"
SITES = 40


def planned(text: str, site: str = "", *, sites: int = SITES) -> tuple[Scenario, list[Part]]:
    scenario = read_scenario(f"{HEAD}{text}sites: {{{', '.join(f'S{at}: {{{site}}}' for at in range(sites))}}}\n")
    return scenario, list(plan_of(scenario))


def of_site(parts: list[Part], site: str, values: list[Floats]) -> Floats:
    return np.concatenate([each[np.array(part.sites) == site] for part, each in zip(parts, values, strict=True)])


def mean_by_site(parts: list[Part], values: list[Floats], *, since: float = 2000.0) -> tuple[float, float]:
    """The mean over sites, which are independent, and its error; what comes before `since` is left out, for queues begin empty."""
    values = [np.where(part.ordered_h > since, each, np.nan) for part, each in zip(parts, values, strict=True)]
    means = [float(np.nanmean(of_site(parts, f"S{at}", values))) for at in range(SITES)]
    return float(np.mean(means)), float(np.std(means, ddof=1)) / math.sqrt(SITES)


def wait_in_line(rate: float, takes: Floats) -> float:
    """The mean wait before one server of orders that come at random (Pollaczek and Khinchine)."""
    load = rate * float(np.mean(takes))
    return rate * float(np.mean(takes**2)) / (2.0 * (1.0 - load))


def test_batches_wait_for_one_suite_as_orders_before_one_server_that_always_takes_as_long() -> None:
    # A culture of 216 h and 24 h of turnaround; 0.06 orders a day are a load of 0.6: 0.6 x 240 / (2 x 0.4) = 180 h.
    _, parts = planned("process: car_t\noperations: false\nperiod: 4000 d\norders: 0.06 1/d\nturnaround: 24 h\n")
    mean, error = mean_by_site(parts, [part.start_h - part.arrived_h for part in parts])
    assert wait_in_line(0.06 / 24.0, np.array([240.0])) == pytest.approx(180.0)
    assert abs(mean - 180.0) < 4.0 * error < 40.0


def test_collections_wait_for_one_courier_who_goes_and_comes_back() -> None:
    _, parts = planned("process: car_t\noperations: false\nperiod: 400 d\norders: 0.4 1/d\ntravel: 18 h\n", "couriers: 1, suites: 50")
    mean, error = mean_by_site(parts, [part.left_h - part.ordered_h for part in parts])
    expected = wait_in_line(0.4 / 24.0, np.concatenate([part.arrived_h - part.left_h + 18.0 for part in parts]))
    assert abs(mean - expected) < 4.0 * error < 8.0
    assert all((part.start_h == part.arrived_h).all() for part in parts), "50 suites are enough: the courier's delay is not the suite's"


def test_harvests_wait_for_one_crew_that_stays_to_the_last_operation() -> None:
    scenario, parts = planned("process: antibody\nfinish: bulk\nperiod: 700 d\norders: 0.3 1/d\n", "crews: 1, suites: 50")
    works = [work_of(scenario, part) for part in parts]
    rows = works[0].after
    waits, takes = [each.waited_h[rows][0] for each in works], [each.end_h[rows][-1] - each.start_h[rows][0] for each in works]
    mean, error = mean_by_site(parts, waits)
    expected = wait_in_line(0.3 / 24.0, np.concatenate([each[np.isfinite(each)] for each in takes]))
    assert abs(mean - expected) < 4.0 * error < 0.25 * expected
    for wait, work in zip(waits, works, strict=True):
        assert np.nansum(work.waited_h[rows][1:]) == 0.0
        assert (wait[np.isfinite(wait)] >= 0.0).all()


def test_a_laboratory_with_one_place_does_one_assay_after_another_in_the_order_in_which_they_come() -> None:
    scenario, parts = planned(
        "processes: {antibody: {orders: 0.03 1/d}, car_t: {orders: 0.04 1/d}}\nperiod: 400 d\n", "assays: 1, suites: 9", sites=1
    )
    works = [work_of(scenario, part) for part in parts]
    flat = [np.concatenate([_of_laboratory(work, name).ravel() for work in works]) for name in ("start_h", "end_h", "waited_h")]
    begins, ends, waited = (each[np.argsort(flat[0], kind="stable")] for each in flat)
    there = np.isfinite(begins)
    begins, ends, came = begins[there], ends[there], (begins - waited)[there]
    assert len(begins) > 40
    assert (np.diff(came) >= -1e-9).all(), "first come, first served"
    assert begins[1:] == pytest.approx(np.maximum(came[1:], ends[:-1])), "neither two at once, nor idle while one waits"
    assert (begins[1:] > came[1:] + 1.0).any()


def _of_laboratory(work: Work, name: str) -> Floats:
    return np.asarray(getattr(work, name)[[stage == "laboratory" for stage in work.stages]])


def test_operations_begin_in_a_shift_and_are_seen_through() -> None:
    day = Shifts(1, 2, ((100.0, 148.0),))
    assert day.opens(np.array([5.0, 6.0, 13.9, 14.0, 23.0])).tolist() == [6.0, 6.0, 13.9, 30.0, 30.0]
    assert day.opens(np.array([110.0, 134.0, 158.0])).tolist() == [110.0, 134.0, 174.0], "in a surge until ten in the evening"
    hours, ends = np.array([[3.0, 3.0], [10.0, 10.0], [1.0, 1.0]]), np.array([[False, False], [False, True], [False, False]])
    starts, done = day.one_after_another(np.array([4.0, 12.0]), hours, ends)
    assert starts[:, 0].tolist() == [6.0, 9.0, 30.0]
    assert starts[:2, 1].tolist() == [12.0, 30.0]
    assert np.isnan(starts[2, 1])
    assert done.tolist() == [31.0, 40.0]


def test_a_site_of_one_shift_begins_nothing_at_night_and_makes_less() -> None:
    text = "process: car_t\nperiod: 300 d\nturnaround: 0 h\n"
    counts = []
    for shifts in (1, 3):
        scenario, parts = planned(text, f"shifts: {shifts}, crews: 1", sites=1)
        work = work_of(scenario, parts[0])
        begins = work.start_h[np.isfinite(work.start_h)]
        assert np.all((begins - 6.0 + 1e-6) % 24.0 < 8.0 + 2e-6) == (shifts == 1)
        assert np.all(work.waited_h[np.isfinite(work.waited_h)] >= 0.0)
        counts.append(len(parts[0]))
    assert counts[0] < counts[1]


def test_enough_of_everything_is_as_if_nobody_had_to_wait() -> None:
    text = "processes: {antibody: {orders: 0.05 1/d}, car_t: {orders: 0.1 1/d, travel: 18 h}}\nperiod: 200 d\n"
    plain, ample = (planned(text, site, sites=2) for site in ("suites: 20", "suites: 20, crews: 50, assays: 200, couriers: 40"))
    for one, other in zip(plain[1], ample[1], strict=True):
        works = work_of(plain[0], one), work_of(ample[0], other)
        assert np.array_equal(works[0].start_h, works[1].start_h, equal_nan=True)
        assert np.array_equal(one.culture_h, other.culture_h)


def test_a_batch_lost_before_its_culture_frees_its_suite_and_has_nothing_else() -> None:
    scenario, (part, *_) = planned("process: antibody\nperiod: 4000 d\n", sites=10)
    assert 0 < part.spoiled.sum() < 0.02 * len(part)
    assert (part.harvest_h[part.spoiled] == part.culture_h[part.spoiled]).all()
    work = work_of(scenario, part)
    assert (work.kept[part.spoiled] == 0.0).all()
    assert {work.lost_in(at) for at in np.flatnonzero(part.spoiled)} <= {"install_and_test_the_bag", "bring_in_the_medium"}
    assert np.isnan(work.start_h[2:, part.spoiled]).all()


def most_at_once(begins: Floats, ends: Floats) -> int:
    there = np.isfinite(begins) & np.isfinite(ends) & (ends > begins)
    steps = np.concatenate([np.ones(there.sum()), -np.ones(there.sum())])
    order = np.lexsort((steps, np.concatenate([begins[there], ends[there] - 1e-7])))
    return int(np.max(np.cumsum(steps[order]), initial=0))


@settings(max_examples=40, deadline=None)
@given(
    st.fixed_dictionaries({name: st.integers(1, 4) for name in ("suites", "crews", "assays", "couriers")}),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(("vials", "lyophilised", "bulk")),
    st.booleans(),
)
def test_nobody_does_more_at_once_than_there_are(site: dict[str, int], shifts: tuple[int, int], finish: str, surge: bool) -> None:
    text = f"processes: {{antibody: {{finish: {finish}, orders: 0.15 1/d}}, car_t: {{orders: 0.2 1/d, travel: 18 h, expires: 90 h}}, pensim: {{}}}}\n"
    faults = "faults: [{fault: demand_surges, start: 20 d, duration: 20 d, size: 3}]\n" if surge else ""
    keys = site | {"shifts": shifts[0], "shifts_in_surge": max(shifts)}
    scenario, parts = planned(f"{text}period: 90 d\n{faults}", ", ".join(f"{name}: {value}" for name, value in keys.items()), sites=1)
    works = [work_of(scenario, part) for part in parts]
    for part in parts:
        used = ~part.expired
        assert most_at_once(part.start_h[used], part.harvest_h[used]) <= site["suites"]
        assert (part.ordered_h <= part.left_h).all() and (part.left_h <= part.arrived_h).all() and (part.arrived_h <= part.start_h).all()
        if part.process == "car_t":
            assert most_at_once(part.left_h, part.arrived_h + 18.0) <= site["couriers"]
    after = [(work.start_h[work.after], work.end_h[work.after]) for work in works]
    assert (
        most_at_once(np.concatenate([each[0][0] for each in after]), np.concatenate([np.nanmax(each[1], axis=0, initial=-1.0) for each in after]))
        <= site["crews"]
    )
    tests = [np.concatenate([_of_laboratory(work, name).ravel() for work in works]) for name in ("start_h", "end_h")]
    assert most_at_once(*tests) <= site["assays"]
    for work in works:
        begun = work.start_h[np.isfinite(work.start_h)]
        assert np.nanmin(work.waited_h, initial=0.0) >= -1e-6
        assert ((begun - 6.0 + 1e-6) % 24.0 <= 8.0 * max(shifts) + 2e-6).all()
        if not surge:
            assert ((begun - 6.0 + 1e-6) % 24.0 <= 8.0 * shifts[0] + 2e-6).all()
