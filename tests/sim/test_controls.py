"""Actuators and controllers: step responses with known answers, limits, no windup."""

from __future__ import annotations

import numpy as np
import pytest

from isogenic.errors import NotValid
from isogenic.sim.controls import PI, PUMP, Actuator, Loop, OnOff, at_rest, begun, controlled, delivered, held, moved, switched

STEP_H = 1.0 / 60.0


def test_an_actuator_moves_no_faster_than_it_can_and_stays_in_its_range() -> None:
    valve = Actuator(rate_per_h=6.0)  # of its range: 10 % a minute
    position, path = at_rest(np.array([0.0, 50.0, 95.0])), []
    for _ in range(12):
        position = moved(valve, position, np.array([100.0, 45.0, 500.0]), step_h=STEP_H)
        path.append(position.at)
    assert [each[0] for each in path[:10]] == pytest.approx(list(range(10, 101, 10)))
    assert path[-1].tolist() == pytest.approx([100.0, 45.0, 100.0]) and not position.moving.any()


def test_a_difference_inside_the_dead_band_moves_nothing() -> None:
    valve = Actuator()  # 0.5 % of 100
    assert [float(moved(valve, at_rest(50.0), wanted, step_h=STEP_H).at) for wanted in (50.4, 49.6, 50.6)] == [50.0, 50.0, 50.6]


def test_stiction_holds_what_rests_and_lets_go_what_moves() -> None:
    valve = Actuator(stiction=0.03, rate_per_h=0.6)  # 1 % a minute
    assert float(moved(valve, at_rest(50.0), 52.0, step_h=STEP_H).at) == 50.0
    position = at_rest(50.0)
    for _ in range(10):
        position = moved(valve, position, 54.0, step_h=STEP_H)
    assert float(position.at) == pytest.approx(54.0, abs=0.5) and not position.moving


def test_a_wish_that_is_not_a_number_moves_nothing() -> None:
    assert moved(Actuator(), at_rest(np.array([20.0, 30.0])), np.array([np.nan, 40.0]), step_h=STEP_H).at.tolist() == [20.0, 40.0]


def test_tubing_loses_three_thousandths_a_day() -> None:
    assert delivered(PUMP, 100.0, age_h=np.array([0.0, 24.0, 336.0])).tolist() == pytest.approx([100.0, 99.7, 95.8])


def test_the_output_to_a_standing_error_is_a_jump_and_a_line() -> None:
    """A PI controller without feedback: gain * error * (1 + t / integral time)."""
    how, loop = PI(gain=2.0, integral_h=0.5, low=-1e6, high=1e6), Loop(np.float64(0.0), np.float64(0.0))
    outputs = []
    for _ in range(60):
        loop = controlled(how, loop, setpoint=3.0, measured=0.0, step_h=STEP_H)
        outputs.append(float(loop.output))
    assert outputs == pytest.approx([6.0 * (1.0 + (at + 1) * STEP_H / 0.5) for at in range(60)])


def test_a_closed_loop_settles_as_it_should() -> None:
    """Plant tau dy/dt = -y + u under PI with integral time tau: first order with the time constant tau / gain."""
    step_h, tau, gain = 1e-4, 0.5, 4.0
    how, loop, y, path = PI(gain=gain, integral_h=tau, low=-100.0, high=100.0), Loop(np.float64(0.0), np.float64(0.0)), 0.0, []
    for _ in range(5000):
        loop = controlled(how, loop, setpoint=1.0, measured=y, step_h=step_h)
        y += (float(loop.output) - y) * step_h / tau
        path.append(y)
    age = (np.arange(5000) + 1) * step_h
    assert path == pytest.approx(list(1.0 - np.exp(-age * gain / tau)), abs=2e-3)


def test_a_saturated_loop_does_not_wind_up() -> None:
    """Ten hours against the stop; when the error turns, the output leaves the stop at once."""
    how, loop = PI(gain=5.0, integral_h=0.2, high=10.0), begun(np.zeros(2))
    for _ in range(600):
        loop = controlled(how, loop, setpoint=np.array([100.0, 1.0]), measured=np.array([20.0, 1.0]), step_h=STEP_H)
    assert loop.output.tolist() == [10.0, 0.0]
    loop = controlled(how, loop, setpoint=20.0, measured=np.array([20.5, 20.0]), step_h=STEP_H)
    assert loop.output[0] == 0.0  # 5 * (-0.5 - 80) is far below


def test_a_loop_does_not_wind_up_against_a_stuck_actuator() -> None:
    how, loop = PI(gain=1.0, integral_h=0.1), begun(30.0)
    for _ in range(300):
        loop = controlled(how, loop, setpoint=5.0, measured=4.0, step_h=STEP_H, position=30.0)
    assert float(loop.output) == pytest.approx(30.0 + STEP_H / 0.1)


def test_a_lost_measurement_holds_the_output_and_taking_over_is_without_a_bump() -> None:
    how, loop = PI(gain=1.0, integral_h=1e9), begun(np.array([40.0, 40.0]))
    loop = controlled(how, loop, setpoint=7.0, measured=np.array([6.0, np.nan]), step_h=STEP_H)
    assert loop.output.tolist() == pytest.approx([40.0, 40.0])
    assert loop.error[0] == 1.0 and np.isnan(loop.error[1])


def test_a_switch_has_hysteresis() -> None:
    heat, on, states = OnOff(width=1.0), np.False_, []
    for measured in (36.0, 36.8, 37.4, 37.6, 37.2, 36.6, 36.4, np.nan):
        on = switched(heat, on, setpoint=37.0, measured=measured)
        states.append(bool(on))
    assert states == [True, True, True, False, False, False, True, True]
    assert bool(switched(OnOff(width=1.0, cools=True), np.False_, setpoint=37.0, measured=38.0))


def test_a_recipe_holds_each_value_until_its_time() -> None:
    assert held([0.0, 72.0, 120.0], [37.0, 35.0, 33.0], age_h=np.array([-1.0, 0.0, 71.99, 72.0, 500.0])).tolist() == [37.0, 37.0, 37.0, 35.0, 33.0]


def test_what_makes_no_sense_is_refused() -> None:
    for make in (
        lambda: Actuator(low=1.0, high=1.0),
        lambda: Actuator(rate_per_h=0.0),
        lambda: Actuator(dead_band=1.0),
        lambda: PI(gain=0.0, integral_h=1.0),
        lambda: PI(gain=1.0, integral_h=0.0),
        lambda: OnOff(width=-1.0),
        lambda: held([0.0, 0.0], [1.0, 2.0], age_h=0.0),
        lambda: held([], [], age_h=0.0),
    ):
        with pytest.raises(NotValid):
            make()
