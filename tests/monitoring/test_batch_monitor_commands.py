"""The verbs on monitors of batches, on files; no network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_placing import NAMES, made
from typer.testing import CliRunner

from isogenic.cli import app
from isogenic.errors import NotAllowed, NotValid
from isogenic.monitoring import BatchTable


def invoke(*words: object) -> str:
    done = CliRunner().invoke(app, ["monitor", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def written(path: Path, tables: list[BatchTable]) -> Path:
    values = np.concatenate([each.values for each in tables])
    columns: dict[str, object] = {"batch": [each.batch for each in tables for _ in each.maturity]}
    columns["phase"] = [phase for each in tables for phase in each.phases or ()]
    columns["age"] = np.concatenate([each.maturity for each in tables])
    pq.write_table(pa.table(columns | {name: values[:, at] for at, name in enumerate(NAMES)}), path)
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("good") / "good.parquet", made(30, seed=0)[0])


BATCHES = ("--batch", "batch", "--maturity", "age")


@pytest.mark.parametrize("align", [(), ("indicator", "--indicator", "level"), ("phase", "--phase", "phase"), ("warping",), ("evolution",)])
def test_a_fault_in_one_of_three_batches_is_found_and_named_however_batches_are_placed(good: Path, tmp_path: Path, align: tuple[str, ...]) -> None:
    model, out = tmp_path / "mab.model", tmp_path / "said.parquet"
    how = ("--align", *align) if align else ()
    told = invoke("fit-batches", good, *BATCHES, *how, "--product", "MAB-A", "--out", model)
    assert "mab: 4 variables, 30 batches, digest" in told
    assert "false alarms: 5.00% of batches stated" in told
    tables = made(3, seed=3)[0]
    tables[1].values[60:, 1] += 12.0
    rows = sum(len(each.maturity) for each in tables)
    phase = align[1:] if align[:1] == ("phase",) else ()
    told = invoke("score-batches", model, written(tmp_path / "new.parquet", tables), *BATCHES, *phase, "--product", "MAB-A", "--out", out)
    said = pq.read_table(out).to_pylist()
    assert f"{rows} rows, 3 batches, " in told
    assert "P3-1: temperature " in told
    assert len(said) == rows
    of = [row for row in said if row["batch"] == "P3-1"]
    assert not any(row["alarm"] for row in of[:55])
    assert sum(row["alarm"] for row in of[65:]) >= 5
    placed = [row["placed"] for row in of]
    assert placed == sorted(placed)


def test_what_is_wrong_is_said(good: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "mab.model", tmp_path / "said.csv"
    with pytest.raises(NotValid, match="possible now: indicator, phase, warping, evolution"):
        invoke("fit-batches", good, *BATCHES, "--align", "moon", "--out", model)
    with pytest.raises(NotValid, match="in which phase it is"):
        invoke("fit-batches", good, *BATCHES, "--align", "phase", "--out", model)
    with pytest.raises(NotValid, match="no column 'stage'"):
        invoke("fit-batches", good, *BATCHES, "--phase", "stage", "--out", model)
    invoke("fit-batches", good, *BATCHES, "--align", "phase", "--phase", "phase", "--product", "MAB-A", "--out", model)
    with pytest.raises(NotAllowed):
        invoke("score-batches", model, good, *BATCHES, "--phase", "phase", "--product", "MAB-B", "--out", out)
    with pytest.raises(NotValid, match="no phase is given"):
        invoke("score-batches", model, good, *BATCHES, "--out", out)
    with pytest.raises(NotValid, match="it is of a batch process"):
        invoke("score", model, good, "--out", out)
