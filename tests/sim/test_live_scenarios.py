"""A scenario acted out by live facilities, and the signatures of probes that fail live."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from led_batch import lead_batch

from isogenic.errors import NotValid
from isogenic.plant.documents import load_plant
from isogenic.plant.model import SitePlant
from isogenic.sim.facility import Facility
from isogenic.sim.scenarios import example, read_scenario
from isogenic.sim.scenarios.live import acted_live
from isogenic.sim.service_modules import ServiceModules
from isogenic.sim.world import document

HEAD = "isogenic: scenario/1\ntitle: Live\nprocess: antibody\nperiod: 90 d\nsites: {PORTO: {lots: [M-7]}, GHENT: {}}\nfaults:\n"


def scenario(*faults: str) -> str:
    return HEAD + "".join(f"  - {{{fault}}}\n" for fault in faults)


def test_a_scenario_strikes_the_vessels_of_the_sites_it_names(porto: SitePlant) -> None:
    text = scenario(
        "fault: sparger_fouls, start: 2 d, duration: 24 h, size: 50 %, sites: [PORTO]",
        "fault: sensor_biased, sensor: ph, start: 10 h, size: 0.2, batches: 2-3",
        "fault: feed_pump_stops, start: 3 d, size: 100 %, sites: [GHENT]",
    )
    acted = acted_live(read_scenario(text), [porto])
    assert acted.faults == (
        "sparger_fouls:unit=SB-200,start=48.0,hours=24.0,size=0.5",
        "sensor_biased:unit=SB-200,signal=ph,start=10.0,hours=10000.0,size=0.2,run=2",
        "sensor_biased:unit=SB-200,signal=ph,start=10.0,hours=10000.0,size=0.2,run=3",
    )
    assert acted.left == ("feed_pump_stops: nothing of PORTO can have it; it strikes GHENT",)
    assert [fault.run for fault in Facility(porto, seed=1, faults=acted.faults).faults] == [0, 2, 3]


def test_a_scenario_strikes_modules_that_are_driven_by_services() -> None:
    basel, head = load_plant(document("basel.plant.yaml"), name="basel"), "isogenic: scenario/1\ntitle: Live\nprocess: mrna\nperiod: 90 d\n"
    text = head + "sites: {BASEL: {}}\nfaults:\n  - {fault: lnp_flow_falls, size: 40 %}\n  - {fault: rnase, start: 1 h, size: 0.5 1/h}\n"
    acted = acted_live(read_scenario(text), [basel])
    (fault,) = ServiceModules(basel, seed=1, faults=acted.faults).faults
    assert (fault.name, fault.size) == ("lnp_flow_falls", 0.4)
    assert acted.left == ("rnase: a module driven by services knows no batch: leave out start, duration, batches, lots and share",)


def test_what_is_not_live_is_named_with_its_reason(porto: SitePlant) -> None:
    text = scenario(
        "fault: lactate_is_high, start: 2 d, size: 20 %",
        "fault: demand_surges, start: 10 d, duration: 5 d, size: 2",
        "fault: sparger_fouls, start: 2 d, size: 20 %, lots: [M-7]",
        "fault: feed_pump_fouls, start: 2 d, size: 20 %, share: 50 %",
        "fault: sensor_drops, sensor: titre, start: 2 d",
    )
    acted = acted_live(read_scenario(text), [porto])
    assert len(acted.faults) == 1
    assert acted.left == (
        "demand_surges: a network fault that studies alone act out",
        "sparger_fouls: a live vessel knows no lots of medium",
        "feed_pump_fouls: a share of batches is drawn in studies alone; name the batches",
        "sensor_drops: nothing of PORTO can have it",
    )


@pytest.mark.parametrize("name", ["assay-shift", "no-pyrophosphatase"])
def test_a_scenario_of_which_nothing_is_live_is_refused(porto: SitePlant, name: str) -> None:
    with pytest.raises(NotValid, match="cannot act out"):
        acted_live(read_scenario(example(name)), [porto])


def test_every_failing_probe_of_the_shipped_scenario_is_live(porto: SitePlant) -> None:
    acted = acted_live(read_scenario(example("probes-fail")), [porto])
    assert acted.left == () and len(acted.faults) == 18


def test_the_commands_refuse_a_scenario_that_is_not_live_before_anything_starts(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "isogenic.cli", "demo", "--exit", "--out", str(tmp_path / "out"), "--scenario", "assay-shift"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 2 and "assay_shifts: a laboratory fault that studies alone act out" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_facility_started_with_a_scenario_has_its_faults(porto: SitePlant, tmp_path: Path) -> None:
    text = (files("isogenic.sim") / "documents" / "porto.plant.yaml").read_text()
    (tmp_path / "plant.yaml").write_text(text)
    (tmp_path / "s.yaml").write_text(scenario("fault: sparger_fouls, start: 2 d, duration: 24 h, size: 50 %", "fault: demand_surges, size: 2"))
    words = [sys.executable, "-m", "isogenic.cli", "facility", str(tmp_path), "--scenario", str(tmp_path / "s.yaml")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        try:
            end = time.monotonic() + 300.0
            while not (tmp_path / "equipment.json").exists():
                assert running.poll() is None and time.monotonic() < end
                time.sleep(0.05)
        finally:
            running.terminate()
        assert running.stdout is not None
        assert "not live, demand_surges" in running.stdout.read()
    memory = json.loads((tmp_path / "equipment.json").read_text())
    assert memory["facility"]["faults"] == ["sparger_fouls:unit=SB-200,start=48.0,hours=24.0,size=0.5"]


def read(porto: SitePlant, signal: str, *faults: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What the probe says at 25 to 60 h of age, each half hour."""
    facility = Facility(porto, seed=3, faults=faults, step_s=1800.0)
    return np.array([seen[signal] for age, seen in lead_batch(facility, hours=60.0, harvest=False) if age >= 25.0])


def fault(name: str, signal: str, size: float) -> str:
    return f"{name}:unit=SB-200,signal={signal},start=24,hours=100,size={size}"


Series = np.ndarray[tuple[int], np.dtype[np.float64]]
SHOWN: tuple[tuple[str, str, float, Callable[[Series, Series], bool]], ...] = (
    # The last scan is 36 h into the fault, and the grid is a step behind it: so much a day.
    ("sensor_drifts", "temperature", 0.48, lambda good, bad: bool(np.allclose(np.diff(bad - good), 0.01, atol=1e-9))),
    (
        "sensor_spikes",
        "temperature",
        5.0,
        lambda good, bad: 0 < np.count_nonzero(bad != good) < 0.2 * len(good) and float(np.abs(bad - good).max()) > 2.0,
    ),
    ("sensor_is_noisy", "temperature", 10.0, lambda good, bad: float(bad.std()) > 4.0 * float(good.std()) and abs(float((bad - good).mean())) < 0.2),
    ("sensor_is_late", "glucose", 3.0, lambda good, bad: bool(np.array_equal(bad[6:], good[:-6]))),
    ("sensor_is_fouled", "viable_cells", 0.4, lambda good, bad: 0.65 < bad[-1] / good[-1] < 0.75 < bad[0] / good[0]),
    ("sensor_in_wrong_unit", "temperature", 0.0, lambda good, bad: bool(np.allclose(bad, 1.8 * good + 32.0))),
)


@pytest.mark.parametrize(("name", "signal", "size", "shows"), SHOWN, ids=[each[0] for each in SHOWN])
def test_a_probe_that_fails_live_shows_its_signature(
    porto: SitePlant, name: str, signal: str, size: float, shows: Callable[[Series, Series], bool]
) -> None:
    good, bad = read(porto, signal), read(porto, signal, fault(name, signal, size))
    assert shows(good, bad)
