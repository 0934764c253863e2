"""Studies: the same bytes whoever works them out, complete files or none, and nothing that stops is silent."""

from __future__ import annotations

import os
import re
import signal
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from isogenic.cli import app
from isogenic.errors import NotReachable, NotValid
from isogenic.sim.processes import process_of
from isogenic.sim.scenarios import example, examples, read_scenario
from isogenic.sim.scenarios.model import Scenario
from isogenic.sim.scenarios.pages import plan_remarks, scenario_page
from isogenic.sim.studies import Study, path_of, plan_of, run_study
from isogenic.sim.studies.chunk import run_chunk
from isogenic.sim.studies.files import Files
from isogenic.sim.studies.part import Part
from isogenic.sim.studies.workers import by_processes, in_turn
from isogenic.sim.variation import batch_of, draws

SMALL = """isogenic: scenario/1
title: Small
process: antibody
every: 112 h
sites: {PORTO: {crews: 2, shifts: 2, assays: 30}, GHENT: {share: 2}}
"""


def digests(study: Study) -> dict[str, str]:
    return {table: sha256(path_of(study.out, table).read_bytes()).hexdigest() for table in study.tables}


def test_the_same_study_has_the_same_bytes_twice_and_on_any_number_of_workers(tmp_path: Path) -> None:
    scenario = read_scenario(SMALL)
    first = run_study(scenario, tmp_path / "a.parquet", batches=600)
    assert len(plan_of(scenario, batches=600)) == 2
    assert digests(run_study(scenario, tmp_path / "b.parquet", batches=600)) == digests(first)
    assert digests(run_study(scenario, tmp_path / "c.parquet", batches=600, workers=2)) == digests(first)


def test_a_cluster_gives_the_same_bytes(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed: nothing is tried on Dask")
    scenario = read_scenario(SMALL)
    alone = run_study(scenario, tmp_path / "a.parquet", batches=600)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None) as cluster:
        there = run_study(scenario, tmp_path / "b.parquet", batches=600, on=cluster.scheduler_address.replace("tcp://", "dask://"))
    assert digests(there) == digests(alone)


def test_a_scheduler_that_is_not_there_is_refused_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra cluster is not installed: nothing is tried on Dask")
    monkeypatch.setattr("isogenic.sim.studies.workers.CONNECT_S", 0.5)
    with pytest.raises(NotReachable, match="cannot reach a Dask scheduler"):
        run_study(read_scenario(SMALL), tmp_path / "a.parquet", batches=2, on="dask://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


def dies(scenario: Scenario, part: Part) -> dict[str, pa.Table]:
    if part.numbers[0] > 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return run_chunk(scenario, part)


def refuses(scenario: Scenario, part: Part) -> dict[str, pa.Table]:
    raise NotValid("cannot do it", why="because", possible="something else")


def test_a_worker_that_dies_ends_the_study_with_a_reason() -> None:
    scenario = read_scenario(SMALL)
    with pytest.raises(NotReachable, match="a worker process died"):
        list(by_processes(scenario, plan_of(scenario, batches=600), workers=1, work=dies))


def test_a_refusal_in_a_worker_reaches_whoever_asked_with_all_its_parts() -> None:
    scenario = read_scenario(SMALL)
    with pytest.raises(NotValid) as refused:
        list(by_processes(scenario, plan_of(scenario, batches=2), workers=1, work=refuses))
    assert (refused.value.what, refused.value.why, refused.value.possible) == ("cannot do it", "because", "something else")


def test_a_study_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(read_scenario(SMALL), tmp_path / "a.parquet", batches=2, tell=told)
    assert list(tmp_path.iterdir()) == []


def test_a_study_into_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReachable, match="cannot write"):
        run_study(read_scenario(SMALL), tmp_path / "nowhere" / "a.parquet", batches=2)
    with pytest.raises(NotValid, match=r"possible now: a\.parquet"):
        run_study(read_scenario(SMALL), tmp_path / "a.csv", batches=2)


def test_a_batch_is_the_same_in_a_small_study_and_in_a_large_one() -> None:
    scenario = read_scenario(SMALL)
    small, large = (next(in_turn(scenario, plan_of(scenario, batches=count)))["batches"].to_pylist() for count in (3, 30))
    here = {row["batch"]: row["constant_growth"] for row in large}
    assert {row["batch"]: row["constant_growth"] for row in small}.items() <= here.items()


def test_columns_say_their_unit_and_that_they_are_illustrative(tmp_path: Path) -> None:
    text = SMALL.replace("antibody", "pensim")
    study = run_study(read_scenario(text), tmp_path / "a.parquet", batches=4)
    schema = pq.read_schema(study.out)
    assert schema.field("biomass").metadata[b"unit"] == b"g/L"
    assert schema.field("biomass").metadata[b"mark"] == b"published"
    about = schema.metadata
    assert (about[b"illustrative"], about[b"seed"], about[b"scenario"]) == (b"true", b"1", sha256(text.encode()).hexdigest().encode())
    for each in (field for table in study.tables for field in pq.read_schema(path_of(study.out, table))):
        numbers = pa.types.is_floating(each.type)
        said = {b"unit", b"mark"} <= each.metadata.keys() or {b"unit_is_in", b"mark_is_in"} <= each.metadata.keys()
        assert (b"what" in each.metadata, said) == (True, numbers), each.name
    results = pq.read_table(path_of(study.out, "results")).to_pylist()
    assert {(row["attribute"], row["unit"], row["mark"]) for row in results} == {
        ("titre", "g/L", "published"),
        ("product", "g", "published"),
        ("switch_h", "h", "published"),
    }
    rows = pq.read_table(path_of(study.out, "batches")).to_pylist()
    assert sorted(row["site"] for row in rows) == ["GHENT", "GHENT", "GHENT", "PORTO"]


def test_a_batch_that_stops_is_an_event_with_its_reason(tmp_path: Path) -> None:
    text = SMALL.replace("every: 112 h", "every: 112 h\nconstants: {growth: 37 1/h}")  # no culture that there could be
    study = run_study(read_scenario(text), tmp_path / "a.parquet", batches=3)
    events = [row for row in pq.read_table(path_of(study.out, "events")).to_pylist() if row["event"] == "stopped"]
    assert len(events) == 3
    assert all(row["what"] and np.isfinite(row["age_h"]) for row in events)
    rows = pq.read_table(path_of(study.out, "batches")).to_pylist()
    assert [(row["kept"], bool(row["why"])) for row in rows] == [(0.0, True)] * 3


def test_the_antibody_scatters_as_its_live_vessels_do() -> None:
    model = process_of("antibody")
    drawn = draws(model, seed=5, sites=["PORTO"], lots=["MEDIUM-1"], batches=["SB-200-run1"])
    live = batch_of(5, site="PORTO", batch="SB-200-run1")
    for name in ("growth", "product", "death", "lactate_of_glucose", "lactate_uptake", "brake", "transfer", "oxygen_uptake", "upkeep"):
        assert drawn[name][0] == pytest.approx(getattr(live.theta, name), rel=1e-12), name
    assert drawn["seed_density"][0] == live.seed_density


def test_scatter_has_the_size_that_each_constant_says() -> None:
    model, n = process_of("pensim"), 2000
    drawn = draws(model, seed=5, sites=["PORTO"] * n, lots=["LOT"] * n, batches=[f"B{each}" for each in range(n)])
    for name, values in drawn.items():
        assert np.std(np.log(values)) == pytest.approx(model.constants[name].spread.batch, rel=0.1), name


def test_ages_of_the_material_and_orders_follow_from_the_calendar() -> None:
    text = SMALL + "period: 200 d\norders: 0.05 1/d\ntravel: 12 h\nexpires: 30 d\n"
    for part in plan_of(read_scenario(text)):
        kept = ~part.expired
        assert (part.ordered_h == part.left_h).all(), "there is always a courier"
        assert 9.0 < np.median(part.arrived_h - part.ordered_h) < 15.0
        assert (part.start_h >= part.arrived_h).all()
        assert (part.start_h[kept] - part.ordered_h[kept] <= 720.0).all()
        assert (part.ordered_h < 4800.0).all()
        for site in set(part.sites):
            here = (np.array(part.sites) == site) & kept
            order = np.argsort(part.start_h[here])
            start, harvest = part.start_h[here][order], part.harvest_h[here][order]
            assert (start[1:] >= harvest[:-1] + 72.0 - 1e-9).all(), "one suite holds one batch"


@pytest.mark.parametrize("name", examples())
def test_every_scenario_that_is_shipped_runs(name: str) -> None:
    scenario = read_scenario(example(name))
    parts = plan_of(scenario, batches=12)
    for part, tables in zip(parts, in_turn(scenario, parts), strict=True):
        assert tables["batches"].num_rows == len(part)
        assert tables["trajectories"].num_rows > 0


def test_the_worked_example_of_the_manual_is_true(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text()
    text = re.search(r"```yaml\n(.*?)```", page, re.S)
    code = re.search(r"```python\n(.*?)```", page, re.S)
    assert text is not None
    assert code is not None

    def told(document: str) -> tuple[dict[Any, Any], float]:
        study = run_study(read_scenario(document), tmp_path / "study.parquet", batches=40)
        names: dict[str, Any] = {}
        exec(code[1].replace('"study.parquet"', repr(str(study.out))), names)
        results = [row for row in pq.read_table(path_of(study.out, "results")).to_pylist() if row["attribute"] == "titre"]
        return {(row["site"], row["age_h"]): row for row in names["means"].to_pylist()}, float(
            np.mean([row["truth"] for row in results if row["site"] == "PORTO"])
        )

    _, sound = told(text[1].partition("faults:")[0])
    half, titre = told(text[1])
    assert half["PORTO", 150.0]["oxygen_flow_mean"] > 2.0 * half["GHENT", 150.0]["oxygen_flow_mean"], "the flow tells"
    assert half["PORTO", 150.0]["dissolved_oxygen_read_mean"] > 39.0, "the probe does not yet"
    assert all(half["PORTO", age]["dissolved_oxygen_read_mean"] < 20.0 for age in (198.0, 204.0, 210.0))
    assert 0.85 < titre / sound < 0.95
    less, titre = told(text[1].replace("size: 50 %", "size: 30 %"))
    assert less["PORTO", 192.0]["oxygen_flow_mean"] > 1.5 * less["GHENT", 192.0]["oxygen_flow_mean"]
    assert min(row["dissolved_oxygen_read_mean"] for (site, _), row in less.items() if site == "PORTO") > 30.0
    assert titre / sound > 0.99


def test_a_limit_keeps_a_share_of_every_process_and_says_what_it_left_out(tmp_path: Path) -> None:
    text = """isogenic: scenario/1
title: Two processes
processes: {antibody: {every: 168 h}, car_t: {every: 108 h}}
period: 100 d
sites: {PORTO: {suites: 4}, GHENT: {suites: {car_t: 2}}}
"""
    scenario = read_scenario(text)
    whole, cut = plan_of(scenario), plan_of(scenario, batches=12)
    assert (whole.counts(), whole.left_out) == ({"antibody": 24, "car_t": 54}, {})
    assert (cut.counts(), cut.left_out) == ({"antibody": 4, "car_t": 8}, {"antibody": 20, "car_t": 46})
    assert sorted(cut[1].start_h) == sorted(whole[1].start_h)[:8], "the earliest"
    assert plan_of(scenario, batches=2).counts() == {"antibody": 1, "car_t": 1}
    assert plan_of(read_scenario(text + "batches: 12\n")).counts() == cut.counts()
    study = run_study(scenario, tmp_path / "a.parquet", batches=12)
    assert "cut to 12 batches, of each process the earliest: 4 of 24 antibody, 8 of 54 car_t" in str(study)


def test_a_process_without_a_batch_is_named() -> None:
    scenario = read_scenario(SMALL.replace("process: antibody\nevery: 112 h", "processes: {antibody: {}, car_t: {}}"))
    assert "no batch of car_t" in plan_remarks(scenario, plan_of(scenario, batches=1))[0]


def test_a_fault_that_strikes_no_batch_is_said(tmp_path: Path) -> None:
    text = SMALL + "batches: 6\nfaults:\n  - {fault: sensor_freezes, sensor: ph, batches: [9]}\n  - {fault: sensor_drops, sensor: ph, batches: [1]}\n"
    scenario = read_scenario(text)
    said = "strikes no batch: sensor_freezes of ph from 0 h to the end (batches 9-9)"
    assert plan_remarks(scenario, plan_of(scenario)) == [said]
    assert said in scenario_page(scenario)
    assert said in str(run_study(scenario, tmp_path / "a.parquet"))
    assert plan_remarks(scenario, plan_of(scenario, batches=30)) == []


def test_a_study_is_not_written_where_a_folder_stands(tmp_path: Path) -> None:
    (tmp_path / "a.batches.parquet").mkdir()
    for name in ("a.parquet", "a.batches.parquet"):
        with pytest.raises(NotValid, match="there is a folder of this name"):
            run_study(read_scenario(SMALL), tmp_path / name, batches=2)
    assert [each.name for each in tmp_path.iterdir()] == ["a.batches.parquet"]


def test_a_scenario_is_not_written_over(tmp_path: Path) -> None:
    scenario = tmp_path / "a.parquet"
    scenario.write_text(SMALL)
    (tmp_path / "b.events.parquet").symlink_to(scenario)
    for out in ("a.parquet", "b.parquet"):
        ended = CliRunner().invoke(app, ["sim", "run", str(scenario), "--out", str(tmp_path / out), "--batches", "2"])
        assert isinstance(ended.exception, NotValid)
        assert "which is read" in str(ended.exception)
    assert scenario.read_text() == SMALL
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.parquet", "b.events.parquet"]


def small_files(out: Path, value: int, *tables: str) -> Files:
    schema = pa.schema([("x", pa.int64())], metadata={"isogenic": "study/1"})
    files = Files(out, dict.fromkeys(tables, schema))
    files.__enter__()
    files.write({name: pa.table({"x": [value]}) for name in tables})
    return files


def values(folder: Path) -> dict[str, int]:
    return {each.name: pq.read_table(each)["x"][0].as_py() for each in folder.iterdir()}


def test_two_studies_of_one_name_do_not_mix(tmp_path: Path) -> None:
    first = small_files(tmp_path / "a.parquet", 1, "trajectories", "events", "spectra")
    second = small_files(tmp_path / "a.parquet", 2, "trajectories", "events")
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert values(tmp_path) == {"a.parquet": 2, "a.events.parquet": 2}, "no spectra of the older one beside it"


def test_all_tables_come_under_their_names_or_none(tmp_path: Path) -> None:
    small_files(tmp_path / "a.parquet", 1, "trajectories", "events").__exit__(None, None, None)
    second = small_files(tmp_path / "a.parquet", 2, "trajectories", "batches", "events")
    (tmp_path / "a.batches.parquet" / "in the way").mkdir(parents=True)
    with pytest.raises(NotReachable, match="cannot write"):
        second.__exit__(None, None, None)
    (tmp_path / "a.batches.parquet" / "in the way").rmdir()
    (tmp_path / "a.batches.parquet").rmdir()
    assert values(tmp_path) == {"a.parquet": 1, "a.events.parquet": 1}, "as it was"
