"""Antibody batches that do not exist: ten thousand at once, and one alone beside scipy.

    python -m bench.twins

Timed is the processor's time of this process, with one thread: numpy's own loops use no other. Of one batch alone
both give the culture of every hour; ours works out everything that can be measured besides. The accuracy of both ways
is told against the same equations in steps of a quarter of an hour. The peer gets the same fast slopes in plain floats,
with what is constant worked out once.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import numpy as np

from bench.report import Row
from isogenic.sim.processes import cho, feeding
from isogenic.sim.processes.antibody import ANTIBODY
from isogenic.sim.processes.cho import NOMINAL, Culture, Drive
from isogenic.sim.processes.process import Floats

MANY, TARGET_MANY, TARGET_ONE = 10_000, 8_000.0, 2.5
TARGET_COMPILED = 10_000.0
REPEATS = 5
CULTURE_L = 1600.0


def scattered(n: int) -> dict[str, Floats]:
    """Every constant that scatters between batches does."""
    dice = np.random.default_rng(1)
    return {name: each.value * np.exp(each.spread.batch * dice.standard_normal(n)) for name, each in ANTIBODY.constants.items() if each.spread.batch}


def least(work: Callable[[], object]) -> float:
    """Seconds of the fastest of some: the others were disturbed."""
    seconds = []
    for _ in range(REPEATS):
        begun = process_time()
        work()
        seconds.append(process_time() - begun)
    return min(seconds)


def daily(move: Callable[[Culture, Drive], Culture]) -> Culture:
    """Fourteen days of feed and boluses; `move` carries the culture over a day."""
    culture = feeding.inoculated(CULTURE_L)
    for day in range(14):
        culture = move(culture, Drive(feed_l_h=float(feeding.feed_l_h(24.0 * day + 1e-9, start_l=CULTURE_L))))
        litres = feeding.bolus_litres(culture.glucose, volume_l=culture.volume) if day < 13 else 0.0
        culture = cho.mixed(culture, litres=litres, liquid=cho.GLUCOSE_STOCK)
    return culture


def by_rk4(step_h: float) -> Callable[[Culture, Drive], Culture]:
    def move(culture: Culture, drive: Drive) -> Culture:
        for _ in range(round(24.0 / step_h)):
            culture = cho.advance(culture, hours=step_h, theta=NOMINAL, drive=drive)
        return culture

    return move


def by_lsoda(tolerance: float) -> Callable[[Culture, Drive], Culture]:
    from scipy.integrate import solve_ivp

    def move(culture: Culture, drive: Drive) -> Culture:
        now = cho.pace(NOMINAL, drive=drive)

        def slope(_: float, state: Floats) -> Culture:
            return cho.slopes(Culture(*state.tolist()), now)

        found = solve_ivp(slope, (0.0, 24.0), list(culture), method="LSODA", rtol=tolerance, atol=tolerance * 1e-3, t_eval=np.arange(25.0))
        return Culture(*found.y[:, -1].tolist())

    return move


def error(culture: Culture, exact: Culture) -> float:
    return float(max(abs(one - other) / other for one, other in zip(culture, exact, strict=True) if other))


def run() -> list[Row]:
    constants = scattered(MANY)
    ANTIBODY.run(500, constants={name: values[:500] for name, values in constants.items()})
    rate = MANY / least(lambda: ANTIBODY.run(MANY, constants=constants))
    exact = daily(by_rk4(0.25))
    ours = error(daily(by_rk4(1.0)), exact)
    tolerance = next(
        each for each in (1e-5, 1e-6, 3e-7, 1e-7, 3e-8, 1e-8, 3e-9, 1e-9) if error(daily(by_lsoda(each)), exact) <= max(ours, 1e-9) or each == 1e-9
    )
    theirs = error(daily(by_lsoda(tolerance)), exact)
    ANTIBODY.run(1, compiled=True)
    quick = least(lambda: ANTIBODY.run(1, every_h=1.0, compiled=True))
    fast = MANY / least(lambda: ANTIBODY.run(MANY, constants=constants, compiled=True))
    alone, scipy = least(lambda: ANTIBODY.run(1, every_h=1.0)), least(lambda: daily(by_lsoda(tolerance)))
    ratio = scipy / alone
    print(f"{MANY} at once: {rate:.0f} a second; alone {1e3 * alone:.1f} ms (error {ours:.1e}), LSODA {1e3 * scipy:.1f} ms (error {theirs:.1e})")
    return [
        Row(
            f"antibody, 14 days, 1 h steps, {MANY} at once, numpy",
            f"{rate:.0f} /s",
            f"one alone {1 / alone:.0f} /s",
            rate * alone,
            f">= {TARGET_MANY:.0f} /s",
            rate >= TARGET_MANY,
        ),
        Row(
            "antibody, one batch alone, every hour",
            f"{1e3 * alone:.1f} ms",
            f"solve_ivp(LSODA), same accuracy, {1e3 * scipy:.1f} ms",
            ratio,
            f">= {TARGET_ONE:g} x",
            ratio >= TARGET_ONE,
        ),
        Row(
            "antibody, one batch alone, every hour, compiled",
            f"{1e3 * quick:.1f} ms",
            f"solve_ivp(LSODA), same accuracy, {1e3 * scipy:.1f} ms",
            scipy / quick,
            f">= {TARGET_ONE:g} x",
            scipy / quick >= TARGET_ONE,
        ),
        Row(
            f"antibody, 14 days, {MANY} at once, compiled",
            f"{fast:.0f} /s",
            f"numpy {rate:.0f} /s",
            fast / rate,
            f">= {TARGET_COMPILED:.0f} /s",
            fast >= TARGET_COMPILED,
        ),
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
