"""The verbs on soft sensors, on files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from isogenic.cli import app
from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid

SHAPE = np.exp(-(((np.arange(60) - 20.0) / 6.0) ** 2))
WATER = np.exp(-(((np.arange(60) - 30.0) / 4.0) ** 2))  # it is always there


def table(path: Path, *, batches: int, seed: int, moved: float = 0.0) -> Path:
    """Small spectra: one band of what is asked for, one of something else, and noise."""
    dice = np.random.default_rng(seed)
    glucose = 10.0 * dice.random(batches * 8)
    rows = glucose[:, None] * SHAPE + 5.0 * dice.random((len(glucose), 1)) * SHAPE[::-1] + 80.0 * WATER + 0.02 * dice.normal(size=(len(glucose), 60))
    columns = {str(400 + at): rows[:, at] for at in range(60)}
    of_batch = pa.table({"batch": [f"B{at // 8}" for at in range(len(glucose))], "glucose": glucose - moved, **columns})
    told = pa.field("glucose", pa.float64(), metadata={b"unit": b"mM"})
    pq.write_table(of_batch.cast(of_batch.schema.set(1, told)), path)
    return path


def run(*words: object) -> str:
    done = CliRunner().invoke(app, ["soft-sensor", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_sensor_is_fitted_asked_moved_and_checked(tmp_path: Path) -> None:
    learn, later, drifted = (
        table(tmp_path / f"{name}.parquet", batches=9, seed=at, moved=moved) for at, (name, moved) in enumerate((("a", 0.0), ("b", 0.0), ("c", 2.0)))
    )
    sensor, moved, out = tmp_path / "glc.sensor", tmp_path / "porto.sensor", tmp_path / "said.parquet"
    assert "9 batches" in run("fit", learn, "--reference", "glucose", "--out", sensor)
    assert "72 rows" in run("predict", sensor, later, "--out", out)
    said, truth = pq.read_table(out), pq.read_table(later)["glucose"].to_numpy()
    assert np.sqrt(np.mean((said["value"].to_numpy() - truth) ** 2)) < 1.5
    run("check", sensor, later, "--reference", "glucose", "--every", 100_000)
    with pytest.raises(NotAllowed):
        run("check", sensor, drifted, "--reference", "glucose", "--every", 100_000)
    assert "slope 0.99" in run(
        "transfer", sensor, "--site", "PORTO", "--samples", drifted, "--reference", "glucose", "--first", later, "--second", later, "--out", moved
    )
    run("check", moved, drifted, "--reference", "glucose", "--every", 100_000)


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    good = table(tmp_path / "a.parquet", batches=4, seed=0)
    text = tmp_path / "text.parquet"
    text.write_text("not a table")
    words = tmp_path / "words.parquet"
    pq.write_table(pa.table({"batch": ["a"], "glucose": ["much"], **{str(at): [1.0] for at in range(10)}}), words)
    sensor = tmp_path / "s"
    run("fit", good, "--reference", "glucose", "--out", sensor)
    with pytest.raises(NotFound):
        run("fit", tmp_path / "none.parquet", "--reference", "glucose", "--out", sensor)
    for bad in (
        ("fit", text, "--reference", "glucose", "--out", sensor),
        ("fit", words, "--reference", "glucose", "--out", sensor),
        ("fit", good, "--reference", "lactate", "--out", sensor),
        ("fit", good, "--reference", "glucose", "--low", 5000, "--out", sensor),
        ("predict", sensor, words, "--out", tmp_path / "o"),
        ("transfer", sensor, "--site", "PORTO", "--out", tmp_path / "o"),
    ):
        with pytest.raises(NotValid):
            run(*bad)
    with pytest.raises(NotTrusted):
        run("predict", good, good, "--out", tmp_path / "o")
