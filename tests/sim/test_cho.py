"""The CHO model against the reference trajectory of its fit, and against itself."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from isogenic.errors import NotValid
from isogenic.sim.processes import cho
from isogenic.sim.processes.cho import EMPTY, MEDIUM, NOMINAL, Culture, Drive, Theta, advance, check, mixed, seed_train

START_L = 1600.0
# day: viable 1e6/mL, viability %, glucose mM, lactate mM, ammonium mM, antibody g/L
REFERENCE = {
    3: (3.22, 96.6, 28.4, 4.9, 2.0, 0.09),
    5: (8.47, 96.0, 28.7, 12.0, 2.9, 0.33),
    7: (16.1, 94.8, 19.8, 20.3, 4.1, 0.95),
    8: (18.7, 93.7, 14.1, 21.3, 4.5, 1.45),
    10: (19.9, 90.8, 22.8, 16.9, 5.1, 2.62),
    12: (18.9, 88.2, 14.0, 10.4, 5.4, 3.81),
    14: (17.1, 86.2, 24.4, 5.2, 5.7, 4.84),
}
ROUNDED = (0.05, 0.05, 0.05, 0.05, 0.05, 0.005)  # half a digit of the table, where that is coarser than 2 %


def inoculated() -> Culture:
    return mixed(mixed(EMPTY, litres=0.9 * START_L, liquid=MEDIUM), litres=0.1 * START_L, liquid=seed_train())


def run(theta: Theta = NOMINAL, *, transfer: float = 1.0, unfed: tuple[int, int] = (99, 99), step_h: float = 1.0) -> tuple[dict[int, Culture], float]:
    """Fourteen days as the table was made; the culture at the end of each day before its bolus, and the peak of viable cells."""
    culture, peak, days = inoculated(), 0.0, {}
    for day in range(14):
        feed = 0.03 * START_L / 24.0 if day >= 3 and not unfed[0] <= day < unfed[1] else 0.0
        for _ in range(round(24 / step_h)):
            culture = check(advance(culture, hours=step_h, theta=theta, drive=Drive(feed_l_h=feed, transfer_factor=transfer)))
            peak = max(peak, culture.viable)
        days[day + 1] = culture
        if culture.glucose < 14.0 and not unfed[0] <= day + 1 < unfed[1]:
            litres = (28.0 - culture.glucose) / (cho.GLUCOSE_STOCK_MM - 28.0) * culture.volume
            culture = mixed(culture, litres=litres, liquid=cho.GLUCOSE_STOCK)
    return days, peak


def viability(culture: Culture) -> float:
    return 100.0 * culture.viable / (culture.viable + culture.dead)


def test_nominal_batch_follows_the_reference_table_within_two_percent() -> None:
    days, peak = run()
    for day, expected in REFERENCE.items():
        here = days[day]
        found = (here.viable, viability(here), here.glucose, here.lactate, here.ammonium, here.antibody)
        for value, reference, digit in zip(found, expected, ROUNDED, strict=True):
            assert value == pytest.approx(reference, rel=0.02, abs=digit), (day, reference)
    assert peak == pytest.approx(19.9, rel=0.02)


@pytest.mark.parametrize(
    ("theta", "options", "peak", "viable_percent", "titre"),
    [
        (NOMINAL, {"transfer": 0.7}, 19.9, 86, 4.84),  # masked: only the oxygen flow rises
        (NOMINAL, {"transfer": 0.5}, 17.9, 82, 4.38),
        (replace(NOMINAL, growth=0.9 * NOMINAL.growth), {}, 17.8, 87, 4.14),
        (replace(NOMINAL, lactate_of_glucose=1.2 * NOMINAL.lactate_of_glucose), {}, 19.2, 86, 4.68),
        (NOMINAL, {"unfed": (6, 9)}, None, 80, 3.86),
        (replace(NOMINAL, product=0.9 * NOMINAL.product), {}, 19.9, 86, 4.36),
    ],
    ids=["kLa -30 %", "kLa -50 %", "growth -10 %", "lactate +20 %", "unfed days 6 to 9", "product -10 %"],
)
def test_faulty_batches_end_where_the_fault_table_says(
    theta: Theta, options: dict[str, object], peak: float | None, viable_percent: float, titre: float
) -> None:
    days, highest = run(theta, **options)  # type: ignore[arg-type]
    assert viability(days[14]) == pytest.approx(viable_percent, rel=0.02)
    assert days[14].antibody == pytest.approx(titre, rel=0.02)
    if peak is not None:
        assert highest == pytest.approx(peak, rel=0.02)


def test_one_batch_in_floats_and_many_in_arrays_are_the_same_numbers() -> None:
    thetas = [NOMINAL.varied(growth=0.03 * at, death=-0.1 * at) for at in range(3)]
    together = Theta(**{name: np.array([getattr(theta, name) for theta in thetas]) for name in Theta.__slots__})
    drive = Drive(feed_l_h=2.0, transfer_factor=0.6, temperature_c=36.4, ph=6.9)
    many = advance(Culture(*[np.zeros(3) + entry for entry in inoculated()]), hours=200.0, theta=together, drive=drive)
    for at, theta in enumerate(thetas):
        one = advance(inoculated(), hours=200.0, theta=theta, drive=drive)
        assert [float(entry[at]) for entry in many] == pytest.approx(list(one), rel=1e-9)


def test_steps_of_an_hour_are_as_good_as_steps_of_five_minutes() -> None:
    coarse, fine = (advance(inoculated(), hours=96.0, theta=NOMINAL, drive=Drive()), inoculated())
    for _ in range(96 * 12):
        fine = advance(fine, hours=1 / 12, theta=NOMINAL, drive=Drive())
    assert list(coarse) == pytest.approx(list(fine), rel=1e-6)


def test_adding_a_liquid_keeps_every_substance_and_adds_the_volumes() -> None:
    before = inoculated()
    after = mixed(before, litres=100.0, liquid=cho.GLUCOSE_STOCK)
    assert after.volume == before.volume + 100.0
    assert after.glucose * after.volume == pytest.approx(before.glucose * before.volume + 100.0 * 2500.0)
    assert after.viable * after.volume == pytest.approx(before.viable * before.volume)


def test_less_oxygen_warmer_and_more_acid_cultures_do_worse() -> None:
    hours = 120.0
    nominal = advance(inoculated(), hours=hours, theta=NOMINAL, drive=Drive())
    for drive in (Drive(oxygen_sp_percent=1.0), Drive(temperature_c=33.0), Drive(ph=6.7), Drive(transfer_factor=0.0)):
        assert advance(inoculated(), hours=hours, theta=NOMINAL, drive=drive).viable < nominal.viable
    hot = advance(inoculated(), hours=hours, theta=NOMINAL, drive=Drive(temperature_c=39.0))
    assert viability(hot) < viability(nominal)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, 1e9])
def test_a_state_outside_its_physical_range_is_refused_by_name(bad: float) -> None:
    with pytest.raises(NotValid, match="glucose"):
        check(inoculated()._replace(glucose=bad))


def test_scatter_of_an_unknown_constant_is_refused() -> None:
    with pytest.raises(NotValid, match="groth"):
        NOMINAL.varied(groth=0.1)
