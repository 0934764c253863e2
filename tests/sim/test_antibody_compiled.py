"""The compiled equations of the antibody give what the others give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isogenic.sim.processes.antibody import ANTIBODY
from isogenic.sim.processes.process import Fault, Outcome

compiled = pytest.importorskip("isogenic.sim.processes.cho_compiled", reason="the extra `fast` is not installed", exc_type=ImportError)


def same(one: Outcome, other: Outcome) -> None:
    for name, values in one.values.items():
        assert other.values[name] == pytest.approx(values, rel=1e-9, abs=1e-9, nan_ok=True), name
    for name, values in one.quality.items():
        assert other.quality[name] == pytest.approx(values, rel=1e-9, abs=1e-9, nan_ok=True), name
    assert {at: stop.age_h for at, stop in one.stopped.items()} == {at: stop.age_h for at, stop in other.stopped.items()}


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("every", [12.0, 7.3])
def test_compiled_batches_are_the_same(n: int, every: float) -> None:
    spread = np.linspace(0.9, 1.1, n)
    constants = {name: ANTIBODY.constants[name].value * spread for name in ("growth", "brake", "product")}
    settings = {"feed_start": 72.0 + 5.5 * np.arange(n), "duration": 336.0 - 10.0 * np.arange(n), "shift_at": np.full(n, 200.0)}
    settings["temperature_shift"] = np.full(n, 35.0)
    asked = {"constants": constants, "settings": settings, "every_h": every}
    same(ANTIBODY.run(n, **asked), ANTIBODY.run(n, **asked, compiled=True))


@pytest.mark.parametrize(
    ("name", "size"),
    [("sparger_fouls", 0.5), ("culture_is_contaminated", 5e-5), ("lactate_is_high", 2.0), ("feed_pump_stops", 1.0), ("temperature_excursion", 2.0)],
)
def test_compiled_faults_are_the_same(name: str, size: float) -> None:
    fault = Fault(name, size, start_h=100.0, duration_h=80.0, batches=np.array([False, True, False]), gradual=name == "sparger_fouls")
    same(ANTIBODY.run(3, faults=[fault]), ANTIBODY.run(3, faults=[fault], compiled=True))


def test_compiled_cultures_turn_sour_and_meet_their_limits_alike() -> None:
    lactate = ANTIBODY.constants["lactate_of_glucose"].value * np.array([1.0, 2.5, 4.0])
    stripping = ANTIBODY.constants["stripping"].value * np.array([0.4, 1.0, 0.4])
    constants = {"lactate_of_glucose": lactate, "stripping": stripping}
    plain = ANTIBODY.run(3, constants=constants)
    assert plain.values["lactate"].max() > 30.0
    same(plain, ANTIBODY.run(3, constants=constants, compiled=True))


@pytest.mark.parametrize("n", [1, 3])
def test_a_compiled_batch_that_leaves_its_range_stops_at_the_same_age(n: int) -> None:
    cells = ANTIBODY.constants["cells_of_glucose"].value * np.array([1e-4, 1.0, 1.0])[:n]
    outcome = ANTIBODY.run(n, constants={"cells_of_glucose": cells}, compiled=True)
    same(ANTIBODY.run(n, constants={"cells_of_glucose": cells}), outcome)
    assert "glucose" in outcome.stopped[0].why


def test_what_is_compiled_is_kept_under_the_digest_of_its_equations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    kept = compiled.folder()
    assert kept is not None and kept.is_dir() and kept.is_relative_to(tmp_path)
    changed = tmp_path / "cho.py"
    changed.write_text(Path(compiled.cho.__file__).read_text().replace("0.002", "0.003"))
    monkeypatch.setattr(compiled.cho, "__file__", str(changed))
    assert compiled.folder() not in (kept, None)
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setenv("LOCALAPPDATA", str(blocked))
    assert compiled.folder() is None
