"""The verbs on monitors of continuous signals, on files; no network."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from continuous_setup import NAMES, SCALE, run
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from isogenic.cli import app
from isogenic.cli.tables import read_table
from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid, Refusal


def written(path: Path, values: np.ndarray, **more: object) -> Path:
    columns = {"row": np.arange(len(values)), **more, **{name: values[:, at] for at, name in enumerate(NAMES)}}
    table = pa.table(columns)
    if path.suffix == ".csv":
        csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return path


def invoke(*words: object) -> str:
    done = CliRunner().invoke(app, ["monitor", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    runs = [written(folder / f"run{seed}.{ending}", run(seed)) for seed, ending in ((0, "parquet"), (1, "csv"), (2, "parquet"))]
    told = invoke("fit", *runs, "--false-alarms", 0.01, "--product", "MAB-A", "--out", folder / "utility.model")
    assert "not a signal: row (it rises with every row, like a clock)" in told
    assert "utility: 8 signals, 3 runs of 1800 rows together" in told
    assert "false alarms: 1.00% stated" in told
    return folder / "utility.model"


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_every_row_of_a_table_is_judged(model: Path, tmp_path: Path, ending: str) -> None:
    values = run(90, 200)
    values[120:, 0] += 8.0 * SCALE[0]
    out = tmp_path / f"said.{ending}"
    told = invoke("score", model, written(tmp_path / f"new.{ending}", values), "--out", out)
    said = pq.read_table(out) if ending == "parquet" else csv.read_csv(out)
    assert said.column_names[:8] == ["alarm", "score", "limit", "leading", "statistic", "judged", "missing", "why_not"]
    assert said.column_names[8:] == ["verdict", "why", "probes", "alarm_without", "resembles", "confidence"]
    assert said.num_rows == 200
    assert said["alarm"].type == pa.bool_()
    alarm, score = said["alarm"].to_numpy(zero_copy_only=False), said["score"].to_numpy()
    assert (alarm == (score > said["limit"].to_numpy())).all()
    assert alarm[:120].mean() < 0.05
    assert alarm[125:].mean() > 0.9
    assert said["leading"].to_pylist()[120] == "feed"
    assert "feed " in told
    assert "over its usual level since reading 121" in told


def test_the_same_table_is_scored_the_same_every_time(model: Path, tmp_path: Path) -> None:
    table = written(tmp_path / "new.parquet", run(91, 50))
    for name in ("a", "b"):
        invoke("score", model, table, "--out", tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_gaps_and_impossible_values_are_said_row_by_row(model: Path, tmp_path: Path) -> None:
    values = run(92, 60)
    values[10, 2] = np.nan
    values[20, 3] = 1e308
    values[30:35] = np.nan
    out = tmp_path / "said.parquet"
    told = invoke("score", model, written(tmp_path / "new.parquet", values), "--out", out)
    said = pq.read_table(out).to_pylist()
    assert (said[10]["missing"], said[20]["missing"]) == ("level", "temperature")
    assert [row["judged"] for row in said].count(False) == 5
    assert {row["why_not"] for row in said[30:35]} == {f"only 0 of 8 variables are present; missing: {', '.join(NAMES)}"}
    assert all(np.isnan(row["score"]) for row in said[30:35])
    assert "60 rows, " in told
    assert "5 not judged" in told
    assert "5 rows could not be judged" in told


def test_an_absent_column_is_said_and_the_rest_judged_but_not_when_most_are_gone(model: Path, tmp_path: Path) -> None:
    table = pq.read_table(written(tmp_path / "new.parquet", run(93, 40)))
    pq.write_table(table.drop_columns(["ph"]), tmp_path / "one.parquet")
    told = invoke("score", model, tmp_path / "one.parquet", "--out", tmp_path / "said.parquet")
    assert "has no column 'ph'; judged without it" in told
    said = pq.read_table(tmp_path / "said.parquet").to_pylist()
    assert {(row["missing"], row["judged"]) for row in said} == {("ph", True)}
    pq.write_table(table.select(["feed", "level"]), tmp_path / "few.parquet")
    with pytest.raises(NotValid, match="2 of the 8 columns"):
        invoke("score", model, tmp_path / "few.parquet", "--out", tmp_path / "said.parquet")


def test_a_label_is_no_signal_and_signals_can_be_named(tmp_path: Path) -> None:
    good = written(tmp_path / "good.parquet", run(0), batch=["B1"] * 600, campaign=np.full(600, 7.0))
    told = invoke("fit", good, "--out", tmp_path / "m")
    assert "not a signal: batch (it does not hold numbers)" in told
    assert "not a signal: campaign (it is one number in each file, like a label)" in told
    assert "too few good rows for" in told
    other = written(tmp_path / "other.parquet", run(1), batch=["B2"] * 600, campaign=np.full(600, 7.5))
    assert "not a signal: campaign" in invoke("fit", good, other, "--out", tmp_path / "m")
    assert ": 3 signals" in invoke("fit", good, "--columns", "feed, level,ph", "--out", tmp_path / "m")
    with pytest.raises(NotValid, match="no column 'steam'"):
        invoke("fit", good, "--columns", "feed,steam", "--out", tmp_path / "m")
    with pytest.raises(NotValid, match="not numbers"):
        invoke("fit", good, "--columns", "feed,batch", "--out", tmp_path / "m")


def test_what_is_wrong_with_a_file_is_said(model: Path, tmp_path: Path) -> None:
    good, out = written(tmp_path / "new.parquet", run(94, 40)), tmp_path / "said.parquet"
    altered = tmp_path / "altered.model"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    altered.write_bytes(data)
    with pytest.raises(NotTrusted):
        invoke("score", altered, good, "--out", out)
    with pytest.raises(NotAllowed, match="released for MAB-A"):
        invoke("score", model, good, "--product", "MAB-B", "--out", out)
    with pytest.raises(NotFound):
        invoke("score", model, tmp_path / "none.parquet", "--out", out)
    (tmp_path / "text.parquet").write_text("not a table")
    (tmp_path / "empty.csv").write_text("feed,level\n")
    for bad in ("text.parquet", "empty.csv"):
        with pytest.raises(NotValid):
            invoke("score", model, tmp_path / bad, "--out", out)
    with pytest.raises(NotValid, match="which is read"):
        invoke("score", model, good, "--out", good)
    with pytest.raises(NotValid, match="too few"):
        invoke("fit", good, "--out", tmp_path / "m")
    other = pq.read_table(good).drop_columns(["ph"])
    pq.write_table(other, tmp_path / "other.parquet")
    with pytest.raises(NotValid, match="no column 'ph'"):
        invoke("fit", good, tmp_path / "other.parquet", "--out", tmp_path / "m")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), ending=st.sampled_from(["parquet", "csv"]))
@example(data=b"\xff,b\n1,2\n", ending="csv")
def test_any_bytes_are_a_table_or_refused(tmp_path: Path, data: bytes, ending: str) -> None:
    path = tmp_path / f"any.{ending}"
    path.write_bytes(data)
    with contextlib.suppress(Refusal):
        assert read_table(path).num_rows > 0
