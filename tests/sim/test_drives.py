"""The control loops of a stirred bioreactor: sound, at their ends, and with a valve that sticks or a drive that is weak."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from led_batch import PORTO
from test_facility_in_step import inoculated

from isogenic.plant.model import SitePlant
from isogenic.sim import drives
from isogenic.sim.drives import LOOPS, Drives, Struck, jacket, reaches, stepping
from isogenic.sim.facility import Facility
from isogenic.sim.processes import process_of
from isogenic.sim.processes.process import Fault, Floats

REACH = reaches(np.full(1, drives.GREATEST_RPM))
REST = np.array([[each.rest] for each in LOOPS])


def path(asked: Floats, *, step_h: float, hours: float, struck: Struck | None = None, before: Drives | None = None) -> list[Drives]:
    step, found = stepping(step_h=step_h, reach=REACH), [before or Drives.settled(REST, reach=REACH)]
    for _ in range(round(hours / step_h)):
        found.append(step(found[-1], asked, struck))
    return found


def asked(temperature: float = 37.0, rpm: float = 90.0) -> Floats:
    return np.array([[temperature], [7.2], [40.0], [rpm]])


@pytest.mark.parametrize("step_h", [1 / 60, 1 / 12, 1 / 4])
def test_a_sound_loop_is_of_first_order_and_comes_to_rest(step_h: float) -> None:
    wish = asked(temperature=23.0)
    found = path(wish, step_h=step_h, hours=0.5)
    for row, each in enumerate(LOOPS[:3]):
        known = wish[row, 0] + (each.rest - wish[row, 0]) * math.exp(-0.5 / each.closed_h)
        assert found[-1].here[row, 0] == pytest.approx(known, abs=0.006 * each.reach)  # the dead band, while it is far off
    rested = path(wish, step_h=step_h, hours=12.0)[-1]
    assert (rested.here == wish).all() and (rested.error == 0.0).all()
    assert stepping(step_h=step_h, reach=REACH)(rested, wish, None) is rested


def test_a_jacket_at_its_end_is_slower_than_its_loop_and_does_not_wind_up() -> None:
    warm = path(asked(temperature=45.0), step_h=1 / 60, hours=1.0)
    assert max(each.at[0, 0] for each in warm) == 1.0
    assert warm[45].here[0, 0] < 45.0 - 24.0 * math.exp(-1.0)  # where the loop alone would be
    stop = path(asked(temperature=50.0), step_h=1 / 60, hours=10.0)[-1]  # out of reach: ten hours at the end
    assert stop.wanted[0, 0] == 1.0 and stop.here[0, 0] == pytest.approx(46.0, abs=0.01)
    assert path(asked(), step_h=1 / 60, hours=0.05, before=stop)[-1].at[0, 0] < 0.9  # it leaves the stop at once


def test_a_valve_moves_no_faster_than_it_can() -> None:
    moves = np.diff([each.at[0, 0] for each in path(asked(temperature=45.0), step_h=1 / 600, hours=0.1)])
    assert moves[:10] == pytest.approx(np.full(10, LOOPS[0].rate_per_h / 600))


@pytest.mark.parametrize("size", [0.02, 0.1, 0.2])
def test_a_valve_that_sticks_swings_the_temperature_by_its_stiction(size: float) -> None:
    sticks = np.zeros((48 * 12, 2))
    sticks[60:, 0] = size
    one, other = jacket(np.full(sticks.shape, 37.0), sticks).T
    assert (other == 37.0).all() and (one[:60] == 37.0).all()
    late = one[300:] - 37.0
    expected = 0.5 * size * 1.6 * LOOPS[0].reach  # half of what it moves by, of a travel of 1.6
    assert 0.5 * expected < late.max() < expected and -expected < late.min() < -0.5 * expected
    assert 6 < (np.diff(np.sign(late)) != 0).sum() < 40  # hours to a swing


def test_a_weak_drive_stays_below_its_set_point_until_it_is_mended() -> None:
    weak = path(asked(), step_h=1 / 60, hours=1.0, struck=Struck(np.zeros(1), np.array([0.8])))[-1]
    assert weak.here[3, 0] == pytest.approx(0.2 * drives.GREATEST_RPM) and weak.wanted[3, 0] == 1.0
    assert path(asked(), step_h=1 / 60, hours=1.0, before=weak)[-1].here[3, 0] == 90.0


# ---- in a facility and in a study ----


def live(porto: SitePlant, fault: str = "", *, hours: int) -> tuple[Facility, Floats]:
    facility = inoculated(porto, faults=[fault] if fault else [], step_s=300.0)
    began, seen = facility.at, []
    assert began is not None
    for at in range(hours * 12):
        facility.advance(began + timedelta(minutes=5 * (at + 1)))
        seen.append(facility.vessels[PORTO].truth()["temperature"])
    return facility, np.array(seen)


def test_a_valve_that_sticks_is_the_same_live_and_in_a_study(porto: SitePlant) -> None:
    facility, seen = live(porto, "valve_sticks:unit=SB-200,start=12,hours=24,size=0.1", hours=30)
    study = process_of("antibody").run(1, faults=[Fault("valve_sticks", 0.1, 12.0, 24.0)], every_h=1.0).values["temperature"][:30, 0]
    means = seen.reshape(30, 12).mean(axis=1)
    assert (means[:12] == 37.0).all() and study[:12] == pytest.approx(np.full(12, 37.0))
    assert means == pytest.approx(study, abs=0.15)  # the fault begins half a step apart
    assert np.ptp(study[12:]) > 1.8
    restarted = Facility(porto, seed=3, step_s=300.0)
    restarted.restore(facility.snapshot())
    assert facility.at is not None
    for each in (facility, restarted):
        each.advance(facility.at + timedelta(hours=3) if each is facility else facility.at)
    assert restarted.bank.loops(0) == facility.bank.loops(0)


def test_a_weak_stirrer_is_the_same_live_and_in_a_study(porto: SitePlant) -> None:
    facility, _ = live(porto, "drive_is_weak:unit=SB-200,start=12,hours=24,size=0.85", hours=20)
    process = process_of("antibody")
    weak, sound = (process.run(2, faults=faults, every_h=20.0).values for faults in ([Fault("drive_is_weak", 0.85, 12.0, 24.0)], []))
    truth = facility.vessels[PORTO].truth()
    assert truth["agitation"] == pytest.approx(22.5) and weak["agitation"][1].tolist() == pytest.approx([22.5, 22.5])
    assert (weak["oxygen_flow"][1] > 2.0 * sound["oxygen_flow"][1]).all()
    _, _, at = facility.bank.loops(0)["agitation"]
    assert at == pytest.approx(0.15)


def test_a_memory_of_before_drives_is_still_read(porto: SitePlant) -> None:
    facility, _ = live(porto, hours=2)
    memory = facility.snapshot()
    for name in ("positions", "wanted", "errors"):
        del memory["vessels"]["columns"][name]
    old = Facility(porto, seed=3, step_s=300.0)
    old.restore(memory)
    assert old.bank.loops(0)["temperature"] == facility.bank.loops(0)["temperature"]


def test_batches_without_the_fault_are_what_they_were() -> None:
    process, struck = process_of("antibody"), np.array([True, False])
    fault = replace(Fault("valve_sticks", 0.1, 48.0, 24.0), batches=struck)
    with_it, without = (process.run(2, faults=faults, every_h=24.0).values for faults in ([fault], []))
    assert all(
        (with_it[name][:, 1] == pytest.approx(without[name][:, 1], rel=1e-9, nan_ok=True)) for name in ("viable_cells", "titre", "temperature")
    )
    assert abs(with_it["temperature"][2, 0] - 37.0) > 0.3
