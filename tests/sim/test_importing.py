"""Batch tables of others become study tables: the public IndPenSim layout, plain CSV and Parquet, and bad ones refused."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from isogenic.cli import app
from isogenic.errors import NotFound, NotReachable, NotValid, Refusal
from isogenic.sim.importing import Mapping, import_table
from isogenic.sim.importing.indpensim import mended

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "batches"
HEADINGS = (
    "Time (h)",
    "Aeration rate(Fg:L/h)",
    "Agitator RPM(RPM:RPM)",
    "Sugar feed rate(Fs:L/h)",
    "Penicillin concentration(P:g/L)",
    "Vessel Volume(V:L)",
    "Temperature(T:K)",
    "PAA concentration offline(PAA_offline:PAA (g L^{-1}))",
    "Oxygen in percent in off-gas(O2:O2  (%))",
    "Offline Biomass concentratio(X_offline:X(g L^{-1}))",
    "Fault reference(Fault_ref:Fault ref)",
    "1- No Raman spec, 1-Raman spec recorded,2-PAT control(PAT_ref:PAT ref)",
    "Batch reference(Batch_ref:Batch ref)",
    "Batch ID",
    "Fault flag",
    "2400",
    "2399",
)


def written(tmp_path: Path, text: str | bytes, name: str = "table.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(tmp_path: Path, text: str | bytes, mapping: Mapping | None = None) -> str:
    with pytest.raises(NotValid) as refused:
        import_table(written(tmp_path, text), tmp_path / "out.parquet", mapping=mapping)
    assert not list(tmp_path.glob("*out.parquet*"))
    return str(refused.value)


def units_of(path: Path) -> dict[str, str]:
    return {each.name: (each.metadata or {}).get(b"unit", b"").decode() for each in pq.read_schema(path)}


def public_file(tmp_path: Path) -> Path:
    rows = [
        "0.2,30,100,8,0.001,58479,298.2,1400,0.2,,0,1,1,1,0,221,222",
        "0.4,30,100,8,0.002,58480,298.1,,0.2,0.5,0,1,1,1,0,223,224",
        "0.2,30,100,8,0.001,57990,298.0,1390,0.19,,2,1,2,2,1,225,226",
    ]
    return written(tmp_path, "\n".join([",".join(HEADINGS), *rows]) + "\n", "100_Batches_IndPenSim_V3.csv")


def test_the_public_layout_is_known_and_its_torn_heading_put_together(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    found = import_table(public_file(tmp_path), out, site="UCL")
    table = pq.read_table(out)
    assert (found.rows, found.batches, found.layout) == (3, 2, "IndPenSim layout")
    assert table["batch"].to_pylist() == ["1", "1", "2"]
    assert table["site"].to_pylist() == ["UCL"] * 3
    assert table["spectra_recorded"].to_pylist() == [1.0, 1.0, 1.0]
    assert table["fault"].to_pylist() == [0.0, 0.0, 2.0]
    assert table["biomass_measured"].to_pylist() == [None, 0.5, None]
    assert table["temperature"].to_pylist() == pytest.approx([25.05, 24.95, 24.85])
    assert table["off_gas_oxygen"].to_pylist() == pytest.approx([20.0, 20.0, 19.0])
    units = units_of(out)
    # What the headings say wrongly: air is no litre an hour, phenylacetate no gram a litre.
    assert (units["aeration"], units["phenylacetate_measured"], units["temperature"], units["age_h"]) == ("m^3/min", "mg/L", "degC", "h")
    assert "raman_2400" not in units and "2400" in found.left


def test_spectra_are_taken_where_asked_for(tmp_path: Path) -> None:
    import_table(public_file(tmp_path), tmp_path / "out.parquet", spectra=True)
    table = pq.read_table(tmp_path / "out.parquet")
    assert (table["raman_2400"].to_pylist(), table["raman_2399"].to_pylist()) == ([221.0, 223.0, 225.0], [222.0, 224.0, 226.0])
    assert table.schema.field("raman_2400").type == pa.float32()


def test_headings_that_do_not_fit_the_rows_are_refused() -> None:
    torn = ",".join(HEADINGS).split(",")
    assert mended(torn, width=len(HEADINGS)) == HEADINGS
    with pytest.raises(NotValid):
        mended(torn, width=len(HEADINGS) - 1)


def test_units_stand_in_the_heading_or_in_a_second_line(tmp_path: Path) -> None:
    tables = (
        "batch,time [min],glucose [g/L],T (degC)\nA,0,1.5,37\nA,30,,36.5\n",
        "batch,time,glucose,T\n,min,g/L,degC\nA,0,1.5,37\n\nA,30,NaN,36.5\n",
    )
    for text in tables:
        out = tmp_path / "out.parquet"
        import_table(written(tmp_path, text), out, into={"t": "K"}, site="LEEDS")
        assert pq.read_table(out).to_pylist() == [
            {"site": "LEEDS", "batch": "A", "age_h": 0.0, "glucose": 1.5, "t": 310.15},
            {"site": "LEEDS", "batch": "A", "age_h": 0.5, "glucose": None, "t": 309.65},
        ]
        assert units_of(out) == {"site": "", "batch": "", "age_h": "h", "glucose": "g/L", "t": "K"}


def test_a_study_table_is_read_as_it_was_written_and_the_same_bytes_come_twice(tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"{name}.parquet" for name in ("a", "b", "c"))
    source = written(tmp_path, "site,batch,age_h,glucose [mM]\nPORTO,B-1,0,1\nPORTO,B-1,1,2\n")
    import_table(source, first)
    import_table(source, second)
    import_table(first, third)
    assert first.read_bytes() == second.read_bytes()
    assert pq.read_table(third).equals(pq.read_table(first)) and units_of(third) == units_of(first)


def test_a_missing_unit_is_refused_with_its_column_and_line(tmp_path: Path) -> None:
    assert "table.csv: line 1, column 3 (glucose) has no unit" in refusal(tmp_path, "batch,time [h],glucose\nA,0,1\n")
    assert "column 2 (time) has no unit" in refusal(tmp_path, "batch,time,glucose [mM]\nA,0,1\n")
    assert "cannot read unit 'fathoms per'" in refusal(tmp_path, "batch,time [h],glucose [fathoms per]\nA,0,1\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1 is empty"),
        ("batch,time [h],glucose [mM]\n", "no rows"),
        ("batch,time [h],glucose [mM]\nA,0,1\nA,1,x\n", "line 3, column 3 (glucose [mM]) has 'x'"),
        ("batch,time [h],glucose [mM]\nA,0,1\n\n\nA,1,x\n", "line 5, column 3"),
        ("batch,time [h],glucose [mM]\nA,0,inf\n", "line 2, column 3"),
        ("batch,time [h],glucose [mM]\nA,1,1\nB,0,1\nA,1,2\n", "line 4: batch A is at 1 h after 1 h"),
        ("batch,time [h],glucose [mM]\nA,NaN,1\n", "line 2, column 2"),
        ("batch,time [h],glucose [mM]\n,0,1\n", "line 2, column batch"),
        ("batch,time [h],glucose [mM]\nA,0,1,7\n", "Expected 3 columns, got 4"),
        ("batch,time [h],glucose [mM],Glucose [g/L]\nA,0,1,1\n", "columns 3 and 4 are both called glucose"),
        ("batch,lot,time [h]\nA,B,0\n", "could each be the batch"),
        ("colour,time [h],glucose [mM]\nA,0,1\n", "no column is the batch"),
        ("batch,time [h],glucose [mM]\nA,0,1\n".encode("utf-16"), "zero bytes"),
        ("batch,time [h],glucose [mM]\nA,0,1\nJosé,1,1\n".encode("latin-1"), "UTF"),
        ("batch,time [h],glucose [mM]\nA,0," + "9" * 5_000_000 + "\n", "cannot import"),
        (b"PAR1 and no more", "cannot import"),
    ],
)
def test_a_broken_table_is_refused_and_nothing_is_written(tmp_path: Path, text: str | bytes, why: str) -> None:
    assert why in refusal(tmp_path, text)


def test_a_mapping_gives_units_names_and_spacing_and_knows_its_columns(tmp_path: Path) -> None:
    text = "run,DryerTemp,Remark\n1,20,wet\n1,21,dry\n2,19,\n"
    mapping = Mapping.read("isogenic: table-mapping/1\nbatch: run\nevery: 30 s\nunits: {DryerTemp: degC}\ninto: {dryer_temp: K}\nleave: [Remark]\n")
    found = import_table(written(tmp_path, text), tmp_path / "out.parquet", mapping=mapping)
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["age_h"].to_pylist() == pytest.approx([0.0, 1 / 120, 0.0])
    assert table["dryer_temp"].to_pylist() == pytest.approx([293.15, 294.15, 292.15])
    assert found.left == ("Remark",)
    wrong = Mapping.read("isogenic: table-mapping/1\nbatch: run\nevery: 30 s\nunits: {DryerTemp: degC, Drier: degC}\nleave: [Remark]\n")
    (tmp_path / "out.parquet").unlink()
    assert "units names 'Drier'" in refusal(tmp_path, text, wrong)
    with pytest.raises(NotValid, match="line 3: unknown key 'evry'"):
        Mapping.read("isogenic: table-mapping/1\nbatch: run\nevry: 30 s\n")


def test_the_file_itself_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    source = written(tmp_path, "batch,time [h],glucose [mM]\nA,0,1\n")
    with pytest.raises(NotValid):
        import_table(source, source)
    with pytest.raises(NotFound):
        import_table(tmp_path / "none.csv", tmp_path / "out.parquet")


def test_the_command_says_what_it_read_and_refuses_with_a_reason(tmp_path: Path) -> None:
    source = written(tmp_path, "batch,time [h],volume [mL]\nA,0,1000\nA,1,2000\n")
    out = tmp_path / "out.parquet"
    done = CliRunner().invoke(app, ["sim", "import", str(source), "--out", str(out), "--site", "GHENT", "--process", "pensim"])
    assert (done.exit_code, done.output) == (0, f"{out}: 2 rows of 1 batch, 1 variable (CSV table)\n")
    assert pq.read_table(out)["volume"].to_pylist() == [1.0, 2.0]
    bad = CliRunner().invoke(app, ["sim", "import", str(written(tmp_path, "batch,time [h],x\nA,0,1\n")), "--out", str(out)])
    assert bad.exit_code != 0


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("nylon", "batch: batch_id\nevery: 1 min\nunits: {" + ", ".join(f"Tag{at:02}: '1'" for at in range(1, 11)) + "}", (6641, 57, 10)),
        (
            "dryer",
            "batch: batch_id\ntime: ClockTime\nunits: {ClockTime: s, CollectorTankLevel: percent, DifferentialPressure: mbar, DryerPressure: mbar, "
            "AgitatorPower: W, AgitatorTorque: percent, AgitatorSpeed: rpm, JacketTemperatureSP: degC, JacketTemperature: degC, "
            "DryerTemperatureSP: degC, DryerTemp: degC}",
            (9220, 71, 10),
        ),
        (
            "nistcho_vicell",
            "batch: ID\ntime: Hours\nunits: {Hours: h, Viability: percent, Total_VCD: 1e6 cell/mL, Average_diameter: µm}\n"
            "leave: [Date, Cell_Line, TP, Condition, Replicate, Batch]",
            (309, 309, 3),
        ),
    ],
)
def test_recorded_batches_are_read(tmp_path: Path, name: str, text: str, expected: tuple[int, int, int]) -> None:
    source = RECORDED / f"{name}.parquet"
    if not source.exists():
        pytest.skip(f"recorded batches are not here: {source.name}")
    found = import_table(source, tmp_path / "out.parquet", mapping=Mapping.read("isogenic: table-mapping/1\n" + text))
    assert (found.rows, found.batches, len(found.columns)) == expected


CELL = st.one_of(st.floats().map(str), st.text(max_size=6), st.sampled_from(["", "NaN", "A", "1e400", '"', "1;2", "\ufeff", "-"]))


@settings(max_examples=120, deadline=None)
@given(
    heading=st.lists(st.sampled_from(["batch", "time [h]", "glucose [mM]", "glucose [mM]", "x", "Time (h)", "T [degC]", '"a,b" [mM]']), max_size=5),
    rows=st.lists(st.lists(CELL, max_size=6), max_size=6),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    tail=st.binary(max_size=20),
)
def test_no_text_does_more_than_be_refused(heading: list[str], rows: list[list[str]], ending: str, tail: bytes) -> None:
    text = ending.join(",".join(row) for row in (heading, *rows)).encode("utf-8", "surrogatepass") + tail
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.csv", Path(folder) / "out.parquet"
        source.write_bytes(text)
        try:
            found = import_table(source, out)
        except Refusal:
            assert not out.exists()
        else:
            table = pq.read_table(out)
            assert table.num_rows == found.rows > 0
            assert all(table["age_h"].is_valid().to_pylist())


@settings(max_examples=60, deadline=None)
@given(where=st.integers(0, 3000), what=st.binary(min_size=1, max_size=8))
def test_a_damaged_parquet_file_is_refused_or_read(where: int, what: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole, broken, out = (Path(folder) / name for name in ("a.parquet", "b.parquet", "c.parquet"))
        (Path(folder) / "a.csv").write_text("batch,time [h],glucose [mM]\nA,0,1\nA,1,2\n")
        import_table(Path(folder) / "a.csv", whole)
        data = bytearray(whole.read_bytes())
        data[where % len(data) : where % len(data) + len(what)] = what
        broken.write_bytes(bytes(data))
        try:
            import_table(broken, out)
        except Refusal:
            assert not out.exists()


def of_parquet(tmp_path: Path, unit: str = "mM", **columns: pa.Array) -> Path:
    """A Parquet table whose measured columns are in `unit`."""
    units = {"batch": "", "age_h": "h"}
    schema = pa.schema([pa.field(name, each.type, metadata={"unit": units.get(name, unit)}) for name, each in columns.items()])
    pq.write_table(pa.table(list(columns.values()), schema=schema), tmp_path / "in.parquet")
    return tmp_path / "in.parquet"


def parquet_refusal(tmp_path: Path, unit: str = "mM", **columns: pa.Array) -> str:
    source = of_parquet(tmp_path, unit, **({"batch": pa.array(["A"]), "age_h": pa.array([0.0])} | columns))
    with pytest.raises(NotValid) as refused:
        import_table(source, tmp_path / "out.parquet")
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("batch,time [h],volume [L]\nA,0,1600\nA,1,-1600\n", "line 3, column 3 (volume [L]) has -1600 L, and a volume is not below zero"),
        ("batch,time [h],glucose [g/L]\nA,0,-5\n", "line 2, column 3 (glucose [g/L]) has -5 g/L, and a concentration is not below zero"),
        ("batch,time [h],cells [1e6 cell/mL]\nA,0,3\nA,1,-1\n", "line 3, column 3"),
        ("batch,time [h],T [degC]\nA,0,-280\n", "-280 degC, which is below absolute zero"),
    ],
)
def test_less_than_nothing_is_refused(tmp_path: Path, text: str, why: str) -> None:
    assert why in refusal(tmp_path, text)


def test_what_an_instrument_shows_around_zero_stays_as_it_was_read(tmp_path: Path) -> None:
    text = "batch,time [h],lactate [mM],tared [kg],back [L/h],off [percent]\nA,0,-0.3,-50,-8,-2\nA,1,20,0,1,1\n"
    import_table(written(tmp_path, text), tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert [table[name][0].as_py() for name in ("lactate", "tared", "back", "off")] == [-0.3, -50.0, -8.0, -2.0]


def test_yes_and_no_are_numbers_of_the_unit_1_alone(tmp_path: Path) -> None:
    both = {"batch": pa.array(["A", "A"]), "age_h": pa.array([0.0, 1.0])}
    import_table(of_parquet(tmp_path, "1", **both, stirred=pa.array([True, False])), tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet")["stirred"].to_pylist() == [1.0, 0.0]
    (tmp_path / "out.parquet").unlink()
    assert "column 3 (glucose) has yes or no in mM" in parquet_refusal(tmp_path, glucose=pa.array([True]))


def test_dates_are_no_ages(tmp_path: Path) -> None:
    asked = "since the batch began, as a number"
    for dates in (pa.array([0], pa.timestamp("ms")), pa.array([0], pa.date32())):
        told = parquet_refusal(tmp_path, age_h=dates, glucose=pa.array([1.0]))
        assert "which are no ages" in told and asked in told
    assert "'2026-01-01 10:00', which is no number" in refusal(tmp_path, "batch,time [h],glucose [mM]\nA,2026-01-01 10:00,1\n")


def test_not_a_number_was_not_measured_and_infinity_is_refused(tmp_path: Path) -> None:
    rows = {"batch": pa.array(["A", "A"]), "age_h": pa.array([0.0, 1.0])}
    import_table(of_parquet(tmp_path, **rows, glucose=pa.array([float("nan"), 1.0])), tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet")["glucose"].to_pylist() == [None, 1.0]
    (tmp_path / "out.parquet").unlink()
    assert "a number that is not finite" in parquet_refusal(tmp_path, glucose=pa.array([float("inf")]))
    assert "an age of inf h" in refusal(tmp_path, "batch,time [d],glucose [mM]\nA,1e308,1\n")


@pytest.mark.parametrize(("mark", "said"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_another_separator_is_named(tmp_path: Path, mark: str, said: str) -> None:
    assert f"line 1: {said} separate its columns, not commas" in refusal(tmp_path, "batch,time [h],glucose [mM]\nA,0,1\n".replace(",", mark))


def test_lines_that_end_in_a_way_of_long_ago_are_named(tmp_path: Path) -> None:
    assert "carriage return alone" in refusal(tmp_path, "batch,time [h],glucose [mM]\rA,0,1\r")


def test_batches_of_two_sites_may_have_the_same_name(tmp_path: Path) -> None:
    text = "site,batch,time [h],glucose [mM]\nX,A,0,1\nY,A,0,2\nX,A,1,3\n"
    assert import_table(written(tmp_path, text), tmp_path / "out.parquet").batches == 2


@pytest.mark.parametrize("name", ["../x", "a b", "age_h", "process", "x" * 500, "‮a"])
def test_a_mapping_gives_names_that_a_study_table_can_have(tmp_path: Path, name: str) -> None:
    mapping = Mapping(names={"glucose": name})
    assert "line 1, column 3" in refusal(tmp_path, "batch,time [h],glucose [mM]\nA,0,1\n", mapping)


def test_a_table_of_which_nothing_is_taken_is_refused(tmp_path: Path) -> None:
    assert "no column that is taken" in refusal(tmp_path, "batch,time [h],glucose [mM]\nA,0,1\n", Mapping(leave=("glucose",)))


def test_a_short_file_that_unfolds_into_long_texts_is_refused_before_it_does(tmp_path: Path) -> None:
    one = pa.DictionaryArray.from_arrays(pa.array([0] * 4000, pa.int32()), pa.array(["A" * 1_000_000]))
    told = parquet_refusal(tmp_path, batch=one, age_h=pa.array(range(4000)), glucose=pa.array(range(4000)))
    assert (tmp_path / "in.parquet").stat().st_size < 100_000
    assert "a text of 1000000 bytes" in told


def test_things_that_name_nothing_are_no_batches(tmp_path: Path) -> None:
    for batch in (pa.array([b"\xff"]), pa.array([[1]]), pa.array([{"a": 1}])):
        assert "which name nothing" in parquet_refusal(tmp_path, batch=batch, glucose=pa.array([1.0]))


def test_a_footer_that_lies_about_rows_is_refused(tmp_path: Path) -> None:
    five = {"batch": pa.array(["A"] * 5), "age_h": pa.array(range(5)), "glucose": pa.array(range(5))}
    data = of_parquet(tmp_path, **five).read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    body, footer = data[: -8 - length], data[-8 - length : -8]
    told = set()
    for at in (at for at, byte in enumerate(footer) if byte == 0x0A):  # 5 in its variable-length form, wherever it stands
        for lie in (0x06, 0x08, 0x0C, 0x14):
            (tmp_path / "lie.parquet").write_bytes(body + footer[:at] + bytes([lie]) + footer[at + 1 :] + data[-8:])
            try:
                told.add(str(import_table(tmp_path / "lie.parquet", tmp_path / "out.parquet").rows))
            except NotValid as refused:
                told.add(str(refused).split(": ", 1)[1])
    assert {each for each in told if each.isdigit()} <= {"5"}
    assert "its footer contradicts itself about how many rows there are" in told


def test_where_a_table_may_not_be_written_is_said_before_it_is_read(tmp_path: Path) -> None:
    source = written(tmp_path, "batch,time [h],glucose [mM]\nA,0,x\n")  # wrong, too, but that is not what is said
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(NotValid, match="is a folder"):
        import_table(source, tmp_path / "folder.parquet")
    with pytest.raises(NotReachable, match="there is no folder"):
        import_table(source, tmp_path / "none" / "out.parquet")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder.parquet", "table.csv"]


def test_paths_may_have_spaces_and_any_letters(tmp_path: Path) -> None:
    folder = tmp_path / "Chargen für Zürich 🧫"
    folder.mkdir()
    import_table(written(folder, "batch,time [h],glucose [mM]\nß 1,0,1\n", "été 1.csv"), folder / "aus gabe.parquet")
    assert pq.read_table(folder / "aus gabe.parquet").to_pylist() == [{"site": "été 1", "batch": "ß 1", "age_h": 0.0, "glucose": 1.0}]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda names, rows: (names[:12] + names[14:], [row[:12] + row[14:] for row in rows]), "no column is the batch"),
        (lambda names, rows: (names, [row[:-1] for row in rows]), "headings and line 2 has"),
        (lambda names, rows: (names, [[*row, "7"] for row in rows]), "headings and line 2 has"),
        (lambda names, rows: ([each.replace("Time (h)", "Time") for each in names], rows), "could each be the batch"),
    ],
)
def test_the_public_layout_without_what_it_needs_is_refused(tmp_path: Path, change: Any, why: str) -> None:
    names, rows = change(list(HEADINGS), [["0.2", "30", "100", "8", "0.001", "58479", "298.2", "", "0.2", "", "0", "1", "1", "1", "0", "1", "2"]])
    assert why in refusal(tmp_path, "\n".join(",".join(row) for row in (names, *rows)) + "\n")


def test_the_public_layout_is_known_by_its_headings_wherever_they_stand(tmp_path: Path) -> None:
    names = [each for each in HEADINGS if "," not in each][::-1]
    values = dict.fromkeys(names, "0") | {"Time (h)": "0.2", "Temperature(T:K)": "298.15", "Vessel Volume(V:L)": "58479", "Batch ID": "1"}
    values["Batch reference(Batch_ref:Batch ref)"] = "1"
    import_table(written(tmp_path, ",".join(names) + "\n" + ",".join(values[name] for name in names) + "\n"), tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert (table["temperature"][0].as_py(), table["volume"][0].as_py()) == (pytest.approx(25.0), 58479.0)
