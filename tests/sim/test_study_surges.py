"""Orders that surge: what waits where, who is told, and that it is seen only from the day on which it begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from isogenic.sim.processes.process import Floats
from isogenic.sim.scenarios import example, read_scenario
from isogenic.sim.studies import path_of, plan_of, run_study
from isogenic.sim.studies.part import Part
from isogenic.sim.studies.work import Work, work_of

BEGINS_H, ENDS_H = 2400.0, 3840.0


def mean(part: Part, values: Floats, site: str, since: float, until: float) -> float:
    ordered = (np.array(part.sites) == site) & (part.ordered_h >= since) & (part.ordered_h < until)
    return float(np.nanmean(values[ordered]))


def lines(part: Part, work: Work, site: str, since: float, until: float) -> tuple[float, float, float]:
    """What a batch that was ordered in this time waits for a suite, a crew and the laboratory, on average."""
    waits = (part.start_h - part.arrived_h, work.waited_h[work.after][0], np.nansum(work.waited_h[work.after.stop :], axis=0))
    suite, crew, laboratory = (mean(part, each, site, since, until) for each in waits)
    return suite, crew, laboratory


def test_the_shipped_surge_is_seen_from_its_first_day_and_where_something_is_short() -> None:
    scenario = read_scenario(example("antibody-surge"))
    (part,) = plan_of(scenario)
    work = work_of(scenario, part)
    for site in ("PORTO", "GHENT"):
        before, within = (lines(part, work, site, *when) for when in ((0.0, BEGINS_H), (BEGINS_H, ENDS_H)))
        assert max(before) < 24.0, "nobody waits for a day as long as orders are as usual"
        assert within[0] > 150.0, "suites"
        assert within[2] > 250.0, "the laboratory"
    crews = {site: lines(part, work, site, BEGINS_H, ENDS_H)[1] for site in ("PORTO", "GHENT")}
    assert crews["GHENT"] > 48.0 > 24.0 > crews["PORTO"], "a second shift keeps pace"
    assert max(lines(part, work, "LEEDS", BEGINS_H, ENDS_H)) < 24.0, "Leeds has enough of everything"
    early, late = (mean(part, work.tested_h - part.ordered_h, "PORTO", *when) for when in ((0.0, BEGINS_H), (BEGINS_H, ENDS_H)))
    assert late > early + 300.0, "the dose is late"


def test_in_a_surge_lots_go_sooner_and_as_many_times_as_much_fails() -> None:
    scenario = read_scenario(example("antibody-surge"))
    (part,) = plan_of(scenario)
    work = work_of(scenario, part)
    within = (part.ordered_h >= BEGINS_H) & (part.ordered_h < ENDS_H)
    assert set(part.surge[within]) == {4.0}
    assert set(part.surge[~within]) == {1.0}
    runs = np.isfinite(work.start_h)
    rates = [work.failed[:, each].sum() / runs[:, each].sum() for each in (within, ~within)]
    assert 2.0 < rates[0] / rates[1] < 8.0
    days = [(ENDS_H - BEGINS_H) / 24.0, 365.0 - (ENDS_H - BEGINS_H) / 24.0]
    lots = [len(set(np.array(part.lots)[each])) / day for each, day in zip((within, ~within), days, strict=True)]
    assert lots[0] > 1.5 * lots[1]


TEXT = """isogenic: scenario/1
title: A surge that too few suites meet
processes:
  car_t: {every: 216 h, orders: 0.1 1/d, travel: 12 h, expires: 48 h}
  antibody: {every: 336 h}
period: 120 d
sites: {PORTO: {}, GHENT: {suites: {antibody: 1}}, LEEDS: {}}
faults:
  - {fault: demand_surges, sites: [PORTO, GHENT], start: 20 d, duration: 30 d, size: 6}
  - {fault: courier_is_late, process: car_t, sites: [LEEDS], start: 30 d, duration: 60 d, size: 60 h}
"""


def test_a_surge_is_told_once_of_each_site_and_every_order_of_it_is_tagged(tmp_path: Path) -> None:
    study = run_study(read_scenario(TEXT), tmp_path / "a.parquet")
    rows = {table: pq.read_table(path_of(study.out, table)).to_pylist() for table in ("batches", "events")}
    told = [row for row in rows["events"] if row["what"].startswith("demand_surges")]
    assert [(row["process"], row["site"], row["batch"], row["age_h"], row["study_h"], row["event"]) for row in told] == [
        ("car_t", "PORTO", None, None, 480.0, "fault begins"),
        ("car_t", "PORTO", None, None, 1200.0, "fault ends"),
    ], "Ghent makes no cells, and orders of the antibody are not counted"
    assert study.events["fault begins"] == sum(row["event"] == "fault begins" for row in rows["events"])
    here = [row for row in rows["batches"] if row["process"] == "car_t" and row["site"] == "PORTO"]
    in_it = [row for row in here if 480.0 <= row["ordered_h"] < 1200.0]
    assert [row["faults"] for row in here] == ["demand_surges" if row in in_it else "" for row in here]
    assert [row["surge"] for row in in_it] == [6.0] * len(in_it)
    expired = [row for row in in_it if row["why"].startswith("the starting material waited")]
    assert len(expired) > 5
    assert all(row["culture_h"] is None and row["kept"] == 0.0 for row in expired)


def test_orders_that_expire_for_a_late_courier_are_tagged_with_him(tmp_path: Path) -> None:
    study = run_study(read_scenario(TEXT), tmp_path / "a.parquet")
    rows = pq.read_table(path_of(study.out, "batches"), filters=[("site", "=", "LEEDS"), ("process", "=", "car_t")]).to_pylist()
    late = [row for row in rows if row["received_h"] - row["left_h"] > 60.0]
    assert late
    assert [row["faults"] for row in rows] == ["courier_is_late" if row in late else "" for row in rows]
    assert all(row["why"] for row in late), "60 h beyond the way are more than 48 h"
    events = pq.read_table(path_of(study.out, "events")).to_pylist()
    begins = {row["batch"]: row["study_h"] for row in events if row["what"] == "courier_is_late 60"}
    assert begins == pytest.approx({row["batch"]: row["left_h"] for row in late})


def test_the_shipped_filling_shows_each_fault_at_its_site_alone() -> None:
    scenario = read_scenario(example("fill-finish"))
    (part,) = plan_of(scenario)
    work = work_of(scenario, part)
    row, sites = work.names.index("fill_and_stopper"), np.array(part.sites)
    filled = np.isfinite(work.start_h[row])
    kept, stood, marked = ({site: float(each[row][filled & (sites == site)].mean()) for site in ("PORTO", "GHENT", "LEEDS")} for each in _seen(work))
    assert kept["PORTO"] == pytest.approx(0.96 * kept["LEEDS"], abs=5e-4)
    assert kept["GHENT"] == pytest.approx(kept["LEEDS"], abs=5e-4)
    assert stood["GHENT"] > 8.0 * max(stood["PORTO"], stood["LEEDS"])
    assert marked["GHENT"] == pytest.approx(0.33, abs=0.2)
    assert max(marked["PORTO"], marked["LEEDS"]) < 0.05, "one in a thousand is marked anyway"
    assert "lyophilise" in work.names


def _seen(work: Work) -> tuple[Floats, Floats, Floats]:
    return work.recovery, work.stopped_h, work.failed.astype(np.float64)
