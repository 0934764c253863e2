"""Clocks that jump, drift and are not heard from: what a node knows of its own time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.clock import DRIFT, ClockQuality, DisciplinedClock, Kernel, Moment, ScaledClock, kernel_clock, passed_s, step_between, wall_seconds

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass
class Machine:
    """The two clocks of a machine, moved by the test."""

    wall: float = NOON.timestamp()
    steady: float = 1_000.0
    kernel: Kernel | None = None

    def clock(self) -> DisciplinedClock:
        return DisciplinedClock(wall=lambda: self.wall, steady=lambda: self.steady, kernel=lambda: self.kernel, boot="one")

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def exchange(machine: Machine, clock: DisciplinedClock, *, ahead: float, there: float = 0.05, back: float = 0.05) -> None:
    """One question to a control site whose clock is `ahead` of ours."""
    sent = clock.now()
    machine.pass_(there)
    received = clock.now().at + timedelta(seconds=ahead)
    machine.pass_(0.001)
    answered = clock.now().at + timedelta(seconds=ahead)
    machine.pass_(back)
    clock.exchanged(sent, received, answered, clock.now())


def test_a_clock_that_heard_no_source_is_of_unknown_quality() -> None:
    assert Machine().clock().now().quality is ClockQuality.UNKNOWN
    assert Machine(kernel=Kernel(False, 16.0)).clock().now().quality is ClockQuality.UNKNOWN


def test_the_machine_s_own_source_counts_within_its_error() -> None:
    assert (Machine(kernel=Kernel(True, 0.2)).clock().now().source, Machine(kernel=Kernel(True, 0.2)).clock().now().quality) == ("kernel", "good")
    assert Machine(kernel=Kernel(True, 1.5)).clock().now().quality is ClockQuality.POOR


def test_the_kernel_can_be_asked_or_does_not_say() -> None:
    said = kernel_clock()
    assert said is None or said.error_s >= 0


def test_an_exchange_gives_the_offset_and_its_bound() -> None:
    machine = Machine()
    clock = machine.clock()
    exchange(machine, clock, ahead=0.3, there=0.08, back=0.02)
    state = clock.state()
    assert (state.source, state.quality) == ("control site", ClockQuality.GOOD)
    assert state.offset_ms == pytest.approx(330.0, abs=0.5)  # off by less than half the delay
    assert state.uncertainty_ms == pytest.approx(50.0, abs=0.5)


def test_of_several_exchanges_the_one_with_the_least_delay_counts() -> None:
    machine = Machine()
    clock = machine.clock()
    exchange(machine, clock, ahead=0.3, there=1.8, back=0.0)
    exchange(machine, clock, ahead=0.3, there=0.005, back=0.005)
    exchange(machine, clock, ahead=0.3, there=0.0, back=1.2)
    assert clock.state().offset_ms == pytest.approx(300.0, abs=1.0)


@settings(max_examples=100, deadline=None)
@given(st.floats(-500, 500), st.lists(st.tuples(st.floats(0, 4.9), st.floats(0, 4.9)), min_size=1, max_size=12))
def test_the_true_offset_is_always_within_the_bound(ahead: float, delays: list[tuple[float, float]]) -> None:
    machine = Machine()
    clock = machine.clock()
    for there, back in delays:
        exchange(machine, clock, ahead=ahead, there=there, back=back)
    state = clock.state()
    assert state.offset_ms is not None
    assert state.uncertainty_ms is not None
    assert abs(state.offset_ms - ahead * 1e3) <= state.uncertainty_ms + 0.1


def test_in_holdover_the_bound_grows_until_the_clock_is_poor() -> None:
    machine = Machine()
    clock = machine.clock()
    exchange(machine, clock, ahead=0.0)
    assert clock.now().quality is ClockQuality.GOOD
    machine.pass_(3_600.0)
    assert clock.state().uncertainty_ms == pytest.approx(50 + 3_600 * DRIFT * 1e3, abs=1)
    assert clock.now().quality is ClockQuality.GOOD
    machine.pass_(6 * 3_600.0)
    assert (clock.now().quality, round(clock.state().holdover_s or 0)) == (ClockQuality.POOR, 7 * 3_600)


def test_a_clock_far_from_its_source_is_poor_however_often_it_asks() -> None:
    machine = Machine()
    clock = machine.clock()
    exchange(machine, clock, ahead=90.0)
    assert clock.now().quality is ClockQuality.POOR
    assert clock.now().offset_ms == pytest.approx(90_000, abs=100)


@pytest.mark.parametrize("by", [3_600.0, -3_600.0, 2.5, -86_400.0])
def test_a_step_is_seen_and_moves_the_offset_with_it(by: float) -> None:
    machine = Machine()
    clock = machine.clock()
    exchange(machine, clock, ahead=0.1)
    before = clock.now()
    machine.pass_(10.0)
    machine.wall += by
    now = clock.now()
    assert step_between(before, now) == pytest.approx(by)
    assert passed_s(before, now) == pytest.approx(10.0)
    assert now.offset_ms == pytest.approx(100 - by * 1e3, abs=60)
    assert now.quality is ClockQuality.POOR


def test_slewing_is_no_step_and_another_boot_is_not_compared() -> None:
    assert step_between(Moment(NOON, steady_s=0.0, boot="a"), Moment(NOON + timedelta(seconds=3601.9), steady_s=3600.0, boot="a")) == 0.0
    assert step_between(Moment(NOON, steady_s=0.0, boot="a"), Moment(NOON + timedelta(seconds=9000), steady_s=5.0, boot="b")) == 0.0
    assert step_between(Moment(NOON), Moment(NOON + timedelta(seconds=9000))) == 0.0


def test_an_exchange_that_a_step_ran_through_counts_for_nothing() -> None:
    machine = Machine()
    clock = machine.clock()
    sent = clock.now()
    machine.pass_(0.1)
    machine.wall += 50.0
    clock.exchanged(sent, NOON, NOON, clock.now())
    assert clock.state().source == "system"


def test_scaled_clocks_of_several_processes_agree_and_do_not_multiply_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = wall_seconds()
    one, other = (ScaledClock(start=NOON, origin=origin, speed=3_600.0) for _ in range(2))
    assert abs((one.now().at - other.now().at).total_seconds()) < 3_600
    monkeypatch.setattr("isogenic.clock.time.time", lambda: origin + 1e6)
    assert abs((one.now().at - other.now().at).total_seconds()) < 3_600
    assert (one.now().at - NOON).total_seconds() < 3_600 * 10
