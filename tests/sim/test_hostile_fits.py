"""Tables that no good plant writes, and what a fit says of them: a reason, a name, or that its numbers are not to be used."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from isogenic.cli.sim import app
from isogenic.errors import NotReachable, NotValid
from isogenic.sim.fitting import Batch, Fit, Method, fit, read_batches
from isogenic.sim.fitting.scenario import scenario_of
from isogenic.sim.outputs import check_folder
from isogenic.sim.processes.antibody import ANTIBODY
from isogenic.sim.processes.process import Spread, Variable
from sim.curves import Curve, constant, noise

AGE = np.arange(11.0)
RAY = Curve({"slope": constant("slope", 1.0)}, lambda age, of: of["slope"] * (1.0 + age))


def ray(name: str = "B1", *, slope: float = 1.0, lot: str = "", read: np.ndarray | None = None) -> Batch:
    return Batch(name, "LEEDS", AGE, {"y": slope * (1.0 + AGE) if read is None else read}, lot=lot)


def fitted(batches: list[Batch], *, process: Curve = RAY, sd: float = 0.01, scatter: dict[str, float] | None = None) -> Fit:
    how = Method(profiles=False)
    return fit(process, batches, constants=("slope",), scatter=scatter or {}, instruments=noise(sd), method=how)


def test_a_batch_without_a_reading_takes_no_part_and_is_named() -> None:
    found = fitted([ray(), ray("B2", read=np.full(11, np.nan)), ray("B3")])
    assert (found.batches, set(found.parts)) == (2, {"B1", "B3"})
    assert "Without a reading, and left out: B2." in found.sentences


def test_a_twin_of_something_else_is_no_twin() -> None:
    found = fitted([ray(read=np.where(AGE % 2 == 0, 50.0, -50.0))])
    assert found.converged
    assert found.doubt.startswith("The twin does not describe these batches: it is off by")
    assert found.sentences[0] == found.doubt + " Do not use its numbers."
    assert not [each for each in found.sentences if "intervals are that much wider" in each]
    with pytest.raises(NotValid, match="does not describe these batches"):
        scenario_of(found)


@pytest.mark.parametrize("value", [1e308, -1e308, 1e12, -21.0, 221.0])
def test_a_reading_that_the_process_cannot_have_is_refused_with_its_age(value: float) -> None:
    read = np.full(5, 3.0)
    read[2] = value
    batch = Batch("B1", "LEEDS", np.arange(5) * 24.0, {"viable_cells": read})
    with pytest.raises(NotValid, match=r"viable_cells reads .* 1e6 cell/mL at 48 h"):
        fit(ANTIBODY, [batch], constants=("growth",))


def test_ages_that_fall_or_outlast_the_process_are_refused_with_the_age() -> None:
    with pytest.raises(NotValid, match="its ages must rise, and 1 h comes after 2 h"):
        Batch("B1", "LEEDS", np.array([0.0, 2.0, 1.0]), {})
    with pytest.raises(NotValid, match=r"it is read at 1e\+06 h, and the process antibody lasts 1000 h at most"):
        fit(ANTIBODY, [Batch("B1", "LEEDS", np.array([0.0, 1e6]), {"viable_cells": np.ones(2)})], constants=("growth",))


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_constant_that_is_given_is_above_nothing(value: float) -> None:
    with pytest.raises(NotValid, match="a constant that is given is a number above 0"):
        fit(RAY, [ray()], constants=("slope",), instruments=noise(0.01), given={"slope": value})


def test_what_few_readings_took_part_in_is_said() -> None:
    late = Curve(dict(RAY.constants), lambda age, of: np.where(age > 8.0, of["slope"] * age, 0.0))
    found = fit(
        late, [ray(read=np.where(AGE > 8.0, AGE, 0.0))], constants=("slope",), scatter={}, instruments=noise(0.01), method=Method(profiles=False)
    )
    assert (found.readings, found.of) == (2, 11)
    assert "Only 2 of 11 readings took part." in found.sentences


def lots(count: int, *, share: bool) -> Fit:
    """Batches of a site: each of its own lot of medium, or all of one."""
    known = dataclasses.replace(RAY.constants["slope"], spread=Spread(lot=0.03, batch=0.04))
    process = Curve({"slope": known}, RAY.formula)
    batches = [ray(f"B{at}", slope=1.0 + 0.001 * at, lot="M-1" if share else f"M-{at}") for at in range(count)]
    return fitted(batches, process=process, sd=1e-4, scatter={"slope": 0.05})


def test_batches_of_one_lot_tell_less_than_as_many_lots() -> None:
    # With exact readings: the scatter of each batch over the root of their number; and, of one lot, the lot's part undivided.
    apart, together = lots(9, share=False), lots(9, share=True)
    assert apart["slope"].error == pytest.approx(0.05 / 3, rel=0.02)
    assert together["slope"].error == pytest.approx(math.hypot(0.03, 0.04 / 3), rel=0.02)
    assert together["slope"].value == pytest.approx(apart["slope"].value, rel=1e-6)
    assert "9 batches share 1 lot of medium, whose part (illustrative) is in the intervals." in together.sentences


def test_a_study_says_its_lots_and_settings_say_those_of_others(tmp_path: Path) -> None:
    fields = [pa.field("site", pa.string()), pa.field("batch", pa.string())]
    fields += [pa.field("age_h", pa.float64(), metadata={"unit": "h"}), pa.field("y", pa.float64(), metadata={"unit": "1"})]
    rows = pa.table([pa.array(each) for each in (["L", "L"], ["B1", "B2"], [0.0, 0.0], [1.0, 2.0])], schema=pa.schema(fields))
    pq.write_table(rows, tmp_path / "t.parquet")
    assert [each.lot for each in read_batches(tmp_path / "t.parquet", RAY)] == ["", ""]
    pq.write_table(pa.table({"batch": ["B1", "B2"], "lot": ["M-1", "M-2"]}), tmp_path / "t.batches.parquet")
    assert [each.lot for each in read_batches(tmp_path / "t.parquet", RAY)] == ["M-1", "M-2"]
    assert [each.lot for each in read_batches(tmp_path / "t.parquet", RAY, lots={"B2": "M-9"})] == ["M-1", "M-9"]


def test_where_a_fit_may_not_write_is_said_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "fit" / "page.html").mkdir(parents=True)
    for out, why in (("file", "is a file"), ("fit", r"page\.html is a folder"), ("file/below", "is a file")):
        with pytest.raises(NotValid, match=why):
            check_folder(tmp_path / out, names=["page.html"], what="cannot write")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if not os.access(closed, os.W_OK):  # an administrator may write everywhere
        with pytest.raises(NotReachable, match="nothing may be written"):
            check_folder(closed / "new", names=["page.html"], what="cannot write")
    found = CliRunner().invoke(app, ["sim", "fit", str(tmp_path / "none.parquet"), "--constants", "growth", "--out", str(tmp_path / "file")])
    assert isinstance(found.exception, NotValid)
    assert "is a file" in str(found.exception)


def test_a_pair_that_only_acts_as_a_product_is_named() -> None:
    pair = Curve({"one": constant("one", 2.0), "other": constant("other", 3.0)}, lambda age, of: of["one"] * of["other"] * (1.0 + age))
    found = fit(pair, [ray(slope=6.3)], constants=("one", "other"), scatter={}, instruments=noise(0.01), method=Method(profiles=False))
    assert found.identifiability.rank == 1
    assert found.identifiability.together == (("one", "other"),)
    assert "one and other cannot be told apart from these data: what one does, the other can undo to nothing" in str(found)


def test_the_range_of_a_variable_leaves_room_for_its_instrument() -> None:
    assert ANTIBODY.variables["viable_cells"] == Variable("viable_cells", "1e6 cell/mL", 0.0, 200.0, "viable cells")
    fitted([ray(read=1.0 + AGE - 0.02)])
