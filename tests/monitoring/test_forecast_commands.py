"""The verbs on forecasts, on files; no network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from forecasting_setup import NAMES, POINTS, made
from typer.testing import CliRunner

from isogenic.cli import app
from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid
from isogenic.monitoring import BatchTable


def invoke(*words: object) -> str:
    done = CliRunner().invoke(app, ["monitor", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def written(path: Path, tables: list[BatchTable], **more: list[object]) -> Path:
    values = np.concatenate([each.values for each in tables])
    columns: dict[str, object] = {"batch": [each.batch for each in tables for _ in each.maturity], **more}
    columns["maturity"] = np.concatenate([each.maturity for each in tables])
    table = pa.table(columns | {name: values[:, at] for at, name in enumerate(NAMES)})
    if path.suffix == ".csv":
        csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Past batches in two tables, what they came to, and the forecast."""
    folder = tmp_path_factory.mktemp("past")
    tables, ends = made(31, seed=0)
    one, two = written(folder / "one.parquet", tables[:16]), written(folder / "two.csv", tables[16:])
    quality = folder / "ends.csv"
    csv.write_csv(pa.table({"lot": [each.batch for each in tables[:30]], "titre": ends[:30, 0], "who": ["Ana"] * 30}), quality)
    told = invoke("fit-forecast", one, two, "--quality", quality, "--batch", "batch", "--product", "MAB-A", "--out", folder / "mab.forecast")
    assert "left out: B0-30 (its quality is not known)" in told
    assert "mab: 4 variables, 30 batches, 60 bins" in told
    assert "titre: 90% stated, 9" in told
    return folder


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_every_row_says_what_its_batch_will_come_to_and_when_a_limit_is_reached(folder: Path, tmp_path: Path, ending: str) -> None:
    tables, _ = made(2, seed=5)
    out = tmp_path / f"said.{ending}"
    limits = ("--limit", "glucose>15", "--limit", "lactate < 500")
    told = invoke("forecast", folder / "mab.forecast", written(tmp_path / "now.parquet", tables), "--batch", "batch", "--out", out, *limits)
    said = (pq.read_table(out) if ending == "parquet" else csv.read_csv(out)).to_pylist()
    assert list(said[0]) == [
        *("batch", "maturity", "complete", "titre", "titre_low", "titre_high"),
        *(f"{limit} {what}" for limit in ("glucose>15", "lactate<500") for what in ("now", "expected", "earliest", "latest")),
        "doubts",
    ]
    assert [row["batch"] for row in said] == ["B5-0"] * POINTS + ["B5-1"] * POINTS
    assert said[0]["doubts"].startswith("nothing of the batch is complete")
    half = said[30]
    assert half["titre_low"] < half["titre"] < half["titre_high"]
    assert half["glucose>15 earliest"] <= half["glucose>15 expected"] <= half["glucose>15 latest"]
    assert (half["glucose>15 now"], said[POINTS - 1]["glucose>15 now"], half["lactate<500 earliest"]) == (False, True, None)
    assert said[POINTS - 1]["complete"] == 1.0
    assert "122 rows, 2 batches" in told
    assert "glucose>15 is broken" in told


def test_a_file_is_a_batch_where_no_column_names_it_and_a_lost_variable_is_lived_without(folder: Path, tmp_path: Path) -> None:
    table = written(tmp_path / "LOT-7.parquet", made(1, seed=6)[0][:1])
    pq.write_table(pq.read_table(table).drop_columns(["ph", "batch"]), table)
    told = invoke("forecast", folder / "mab.forecast", table, "--out", tmp_path / "said.csv")
    assert "LOT-7: titre" in told
    pq.write_table(pq.read_table(table).select(["maturity", "cells"]), tmp_path / "few.parquet")
    with pytest.raises(NotValid, match="1 of the 4 variables"):
        invoke("forecast", folder / "mab.forecast", tmp_path / "few.parquet", "--out", tmp_path / "said.csv")


def test_what_is_wrong_is_said(folder: Path, tmp_path: Path) -> None:
    model, out = folder / "mab.forecast", tmp_path / "said.csv"
    now = written(tmp_path / "now.parquet", made(1, seed=7)[0])
    for limit in ("glucose", "glucose=3", "glucose<x", "<3", "glucose<1e"):
        with pytest.raises(NotValid, match="cannot use the limit"):
            invoke("forecast", model, now, "--out", out, "--limit", limit)
    with pytest.raises(NotFound, match="cells, glucose"):
        invoke("forecast", model, now, "--out", out, "--limit", "colour<3")
    with pytest.raises(NotAllowed):
        invoke("forecast", model, now, "--out", out, "--product", "MAB-B")
    with pytest.raises(NotValid, match="no column 'age'"):
        invoke("forecast", model, now, "--out", out, "--maturity", "age")
    (tmp_path / "altered").write_bytes(model.read_bytes()[:-1] + b"x")
    with pytest.raises(NotTrusted):
        invoke("forecast", tmp_path / "altered", now, "--out", out)
    with pytest.raises(NotValid, match="which is read"):
        invoke("forecast", model, now, "--out", now)
    csv.write_csv(pa.table({"lot": ["X1"], "titre": [1.0]}), tmp_path / "other.csv")
    with pytest.raises(NotValid, match="no column of it names the batches"):
        invoke("fit-forecast", folder / "one.parquet", "--batch", "batch", "--quality", tmp_path / "other.csv", "--out", out)
    csv.write_csv(pa.table({"lot": ["B0-1", "B0-1"], "titre": [1.0, 2.0]}), tmp_path / "other.csv")
    with pytest.raises(NotValid, match="B0-1 is there twice"):
        invoke("fit-forecast", folder / "one.parquet", "--batch", "batch", "--quality", tmp_path / "other.csv", "--out", out)
    gaps = pq.read_table(folder / "one.parquet")
    pq.write_table(gaps.set_column(1, "maturity", pa.nulls(gaps.num_rows, pa.float64())), tmp_path / "gaps.parquet")
    with pytest.raises(NotValid, match="its maturity has gaps"):
        invoke("fit-forecast", tmp_path / "gaps.parquet", "--batch", "batch", "--out", out)
