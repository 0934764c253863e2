"""A scenario's own duration, a site's too, holds wherever the length of a batch is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from isogenic.errors import NotValid
from isogenic.sim.processes import PROCESSES, process_of
from isogenic.sim.routes import route_of
from isogenic.sim.scenarios import read_scenario
from isogenic.sim.studies import path_of, run_study
from isogenic.units import converter

LATE = """isogenic: scenario/1
title: Longer than usual
process: car_t
every: 24 h
{more}
faults:
  - {{fault: perfusion_is_lost, start: {start}, size: 1}}
"""
SITES = "sites: {PORTO: {settings: {duration: 288 h}}, GHENT: {settings: {duration: 96 h}}}"


@pytest.mark.parametrize(
    ("more", "start", "why"),
    [
        ("settings: {duration: 168 h}", "200 h", "200 h is outside a batch, which lasts 168 h"),
        ("settings: {duration: 288 h}", "300 h", "300 h is outside a batch, which lasts 288 h"),
        (SITES, "290 h", "290 h is outside a batch, which lasts 288 h"),
        ("settings: {duration: 24 h}\nsites: {PORTO: {settings: {duration: 36 h}}}", "40 h", "40 h is outside a batch, which lasts 36 h"),
    ],
)
def test_a_fault_after_the_end_that_the_scenario_sets_is_refused(more: str, start: str, why: str) -> None:
    with pytest.raises(NotValid, match=why):
        read_scenario(LATE.format(more=more, start=start))


def test_a_batch_is_written_at_least_once() -> None:
    with pytest.raises(NotValid, match=r"48 h is not within 0\.001 to 36 h"):
        read_scenario(LATE.replace("24 h", "48 h").format(more="settings: {duration: 36 h}", start="3 h"))
    with pytest.raises(NotValid, match="a batch of 30 h cannot be written every 48 h"):
        read_scenario(LATE.replace("24 h", "48 h").format(more="sites: {PORTO: {settings: {duration: 30 h}}}", start="3 h"))


def test_a_fault_strikes_where_batches_are_long_enough_and_times_follow_the_sites_durations(tmp_path: Path) -> None:
    study = run_study(read_scenario(LATE.format(more=SITES, start="250 h")), tmp_path / "a.parquet", batches=4)
    rows = pq.read_table(path_of(study.out, "batches")).to_pylist()
    assert {(row["site"], row["faults"]) for row in rows} == {("PORTO", "perfusion_is_lost"), ("GHENT", "")}
    trajectories = pq.read_table(study.out)
    ends = trajectories.group_by("site").aggregate([("age_h", "max")]).to_pydict()
    assert dict(zip(ends["site"], ends["age_h_max"], strict=True)) == {"PORTO": 288.0, "GHENT": 288.0}  # rows after a harvest are empty
    harvests = [row for row in pq.read_table(path_of(study.out, "operations")).to_pylist() if row["operation"] == "harvest_and_cryofill"]
    culture = {row["batch"]: row["culture_h"] for row in rows}
    took = {row["site"]: row["start_h"] - row["waited_h"] - culture[row["batch"]] for row in harvests}
    assert took == pytest.approx({"PORTO": 288.0, "GHENT": 96.0})


def test_no_share_that_a_study_writes_is_more_than_the_whole(tmp_path: Path) -> None:
    text = "isogenic: scenario/1\ntitle: Donors\nprocess: car_t\nevery: 216 h\nsites: {PORTO: {offsets: {viability: 20 %}}}\n"
    study = run_study(read_scenario(text), tmp_path / "a.parquet", batches=300)
    table = pq.read_table(path_of(study.out, "batches"))
    for name in ("viability", "activation", "purity"):
        values = table[f"constant_{name}"].to_numpy()
        assert values.max() <= 1.0 and len(np.unique(values)) > 1


@pytest.mark.parametrize("name", PROCESSES)
def test_one_quantity_has_one_unit_in_every_process_and_units_are_written_one_way(name: str) -> None:
    process = process_of(name)
    known = [*process.variables.values(), *process.qualities.values(), *process.settings.values(), *process.constants.values()]
    for each in known:
        assert each.unit not in ("percent", "mmol/L", "1e6 cells"), each.name
        if each.unit != "1":
            converter(each.unit, each.unit)
    assert {each.unit for each in known if each.name in ("ph", "mixing_ph")} <= {"pH"}
    assert all(each.name.isidentifier() for each in route_of(name).operations)
