"""From a study's spectra to a soft sensor at another site, by the commands of the guide; tables that cannot be used are refused."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from isogenic.cli.spectra import Rows, read_spectra, unit_of
from isogenic.cli.verbs import app
from isogenic.errors import NotFound, NotValid, Refusal

GUIDE = Path(__file__).parents[2] / "docs" / "instruments.md"


def commands() -> list[list[str]]:
    lines = [line.strip() for line in GUIDE.read_text().splitlines() if line.startswith("    isogenic ")]
    return [shlex.split(line)[1:] for line in lines]


def test_the_guide_is_followed_word_by_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    asked = commands()
    assert [each[:2] for each in asked] == [["sim", "run"], *(["soft-sensor", verb] for verb in ("fit", "transfer", "predict", "check"))]
    for each in asked:
        done = run.invoke(app, each)
        assert done.exit_code == 0, (each, done.output, done.exception)
    assert "no drift in 9 batches" in done.output
    said = pq.read_table("glucose-ghent.parquet")
    truth = pq.read_table("study.parquet", filters=[("site", "=", "GHENT")])
    batches = sorted(set(truth["batch"].to_pylist()))[3:]
    kept = truth.filter(pa.array([each in batches for each in truth["batch"].to_pylist()]))
    assert said["batch"].to_pylist() == kept["batch"].to_pylist()
    value, low, high = (said[name].to_numpy() for name in ("value", "low", "high"))
    true = kept["glucose"].to_numpy()
    assert said.schema.metadata[b"unit"] == b"mM"
    assert float(np.sqrt(np.mean(np.square(value - true)))) < 2.5
    assert np.mean((low <= true) & (true <= high)) > 0.9


def lists(path: Path, *, wave_numbers: bytes | None = b"400:402:1", rows: int = 4, width: int = 3, unit: bytes = b"mM") -> Path:
    fields = [
        pa.field("site", pa.string()),
        pa.field("batch", pa.string()),
        pa.field("glucose", pa.float64(), metadata={b"unit": unit} if unit else None),
        pa.field("spectrum", pa.list_(pa.float32()), metadata={b"wave_numbers": wave_numbers} if wave_numbers is not None else None),
    ]
    columns = [["A", "B"] * (rows // 2), [f"B{n // 2}" for n in range(rows)], [1.0] * rows, [[float(n)] * width for n in range(rows)]]
    pq.write_table(pa.table(columns, schema=pa.schema(fields)), path)
    return path


def test_lists_and_columns_say_the_same(tmp_path: Path) -> None:
    found, unit = read_spectra(lists(tmp_path / "a.parquet"), Rows(), reference="glucose")
    wide = {"batch": ["B0", "B0", "B1", "B1"], "glucose": [1.0] * 4} | {str(each): [0.0, 1.0, 2.0, 3.0] for each in (402, 400, 401)}
    pq.write_table(pa.table(wide), tmp_path / "b.parquet")
    same, none = read_spectra(tmp_path / "b.parquet", Rows(), reference="glucose")
    assert (unit, none) == ("mM", "")
    assert found.channels == same.channels == (400.0, 401.0, 402.0)
    assert (found.values == same.values).all() and found.batches == same.batches


def test_rows_are_chosen_by_site_and_batch(tmp_path: Path) -> None:
    path = lists(tmp_path / "a.parquet", rows=8)
    assert read_spectra(path, Rows(site="A"))[0].batches == ("B0", "B1", "B2", "B3")
    assert read_spectra(path, Rows(site="B", skip=1, batches=2))[0].batches == ("B1", "B2")
    pq.write_table(pa.table({"site": [[1.0, 2.0], []], "batch": ["a", "b"], "400": [1.0, 2.0]}), tmp_path / "odd.parquet")
    with pytest.raises(NotFound, match="none of its rows"):
        read_spectra(tmp_path / "odd.parquet", Rows(site="A"))
    with pytest.raises(NotFound, match="A, B"):
        read_spectra(path, Rows(site="C"))
    with pytest.raises(NotValid, match="4 batches, and 4 are left out"):
        read_spectra(path, Rows(skip=4))


@pytest.mark.parametrize("text", [None, b"", b"400:402", b"400:402:0", b"nan:402:1", b"400:1e308:1e-308", b"400:500:1", b"\xff:1:1", b"400:90000:1"])
def test_lists_without_their_wave_numbers_are_refused(tmp_path: Path, text: bytes | None) -> None:
    with pytest.raises(NotValid, match="wave numbers"):
        read_spectra(lists(tmp_path / "a.parquet", wave_numbers=text), Rows())


def test_a_unit_is_never_assumed_and_never_mixed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    assert unit_of(path, said="mM", asked="", reference="glucose") == "mM"
    assert unit_of(path, said="", asked="g/L", reference="glucose") == "g/L"
    with pytest.raises(NotValid, match="is in mM, not in g/L"):
        unit_of(path, said="mM", asked="g/L", reference="glucose")
    with pytest.raises(NotValid, match="does not say the unit"):
        unit_of(path, said="", asked="", reference="glucose")


def test_a_sensor_of_other_wave_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotValid, match="lacks 1 of the sensor's 2"):
        read_spectra(lists(tmp_path / "a.parquet"), Rows(), channels=(400.0, 900.0))


values = st.one_of(st.none(), st.floats(), st.text(max_size=3), st.booleans(), st.lists(st.one_of(st.none(), st.floats()), max_size=4))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    names=st.lists(st.sampled_from(["batch", "site", "glucose", "spectrum", "400", "401", "1e308", "nan", "x"]), max_size=5, unique=True),
    cells=st.lists(values, min_size=1, max_size=4),
    site=st.sampled_from(["", "A"]),
)
def test_whatever_a_table_holds_gives_spectra_or_one_refusal(tmp_path: Path, names: list[str], cells: list[object], site: str) -> None:
    try:
        table = pa.table({name: pa.array(cells) for name in names})
    except (pa.ArrowException, TypeError):
        return
    pq.write_table(table, tmp_path / "t.parquet")
    with contextlib.suppress(Refusal):
        found, _ = read_spectra(tmp_path / "t.parquet", Rows(site=site), reference="glucose")
        assert found.values.shape == (len(found.batches), len(found.channels))
