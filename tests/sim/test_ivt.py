"""Transcription: the published check values, the published experiments, what balances, and one set of equations for both ways."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from isogenic.errors import NotValid
from isogenic.sim.processes import ivt
from isogenic.sim.processes.ivt import Mixture, advanced, begun, reaction_of
from isogenic.sim.processes.rosenbrock import advance_one
from isogenic.sim.processes.speciation import Salts, Totals, balance, bound, solved

CHECK = Mixture(polymerase_nm=100.0, template_nm=7.4, ntp=(3.2e-3,) * 4, bases=(400.0,) * 4, magnesium=8e-3, pyrophosphatase=0.0)
REFERENCE = Path(__file__).parents[1] / "reference" / "akama_2012.tsv"


def after(mixture: Mixture, hours: float = 2.0, **how: object) -> ivt.Amounts:
    reaction = reaction_of(mixture, **how)
    return reaction.amounts(advanced(reaction, begun(reaction), hours=hours)[0])


def test_the_first_release_of_the_model_gives_its_published_check_value() -> None:
    amounts = after(CHECK, simple=True, accuracy=1e-8)
    assert amounts.rna * 1e6 == pytest.approx(1.757588, rel=1e-6)
    assert amounts.rna * 400.0 / 3.2e-3 == pytest.approx(0.2196986, rel=1e-6)
    assert amounts.ph == pytest.approx(8.0, abs=1e-12)
    assert after(CHECK, simple=True).rna * 1e6 == pytest.approx(1.757588, rel=1e-6)  # at the accuracy of every day


def test_with_all_charges_counted_it_makes_a_little_more() -> None:
    amounts = after(CHECK)
    assert (round(amounts.rna * 1e6, 4), round(amounts.rna * 400.0 / 3.2e-3, 4)) == (1.8058, 0.2257)


def test_the_published_experiments_are_met_within_the_residuals_given() -> None:
    rows = [line.split("\t") for line in REFERENCE.read_text().splitlines() if line[0] not in "#m"]
    seen: dict[tuple[float, ...], list[tuple[float, float, float]]] = {}
    for row in rows:
        minute, polymerase, ntp, magnesium, rna, pyrophosphate = map(float, row)
        seen.setdefault((polymerase, ntp, magnesium), []).append((minute, rna, pyrophosphate))
    errors, model = [], {}
    for (polymerase, ntp, magnesium), points in seen.items():
        mixture = CHECK._replace(
            polymerase_nm=1e3 * polymerase, ntp=(1e-3 * ntp,) * 4, magnesium=1e-3 * magnesium, bases=(231.0, 246.0, 189.0, 202.0)
        )
        reaction = reaction_of(mixture)
        x, at = begun(reaction), 0.0
        for minute, rna, pyrophosphate in points[1:]:
            x, at = advanced(reaction, x, hours=(minute - at) / 60.0)[0], minute
            amounts = reaction.amounts(x)
            errors.append((1e6 * amounts.rna - rna, 1e3 * amounts.pyrophosphate - pyrophosphate))
            model[polymerase, ntp, magnesium, minute] = round(1e6 * amounts.rna, 2)
    rmse = np.sqrt(np.mean(np.square(errors), axis=0))
    assert (len(errors), [round(each, 3) for each in rmse.tolist()]) == (117, [0.205, 0.202])
    shown = [model[0.1, 0.8, magnesium, minute] for magnesium in (8, 2) for minute in (30, 120)]
    assert shown == [2.54, 2.54, 0.72, 1.41]


@pytest.mark.parametrize(("pyrophosphatase", "grams"), [(0.0, 1.57), (0.5, 1.97), (2.0, 4.21)])
def test_without_pyrophosphatase_the_solid_takes_the_template_and_the_yield(pyrophosphatase: float, grams: float) -> None:
    assert round(after(Mixture(pyrophosphatase=pyrophosphatase)).rna * 4000.0 * 330.0, 2) == grams


def test_one_reactor_and_many_give_the_same_and_a_batch_gets_the_same_bytes_in_any_company() -> None:
    units = np.array([0.0, 0.5, 2.0, 10.0, 0.1])
    mixture = Mixture(magnesium=np.array([0.045, 0.02, 0.045, 0.03, 0.06]), pyrophosphatase=units, polymerase_nm=np.full(5, 240.0))
    mixture = mixture._replace(ntp=tuple(np.full(5, 0.01) for _ in range(4)))
    together = _many(mixture)
    order = np.array([3, 1, 0, 4, 2])
    assert _many(_picked(mixture, order))[:, np.argsort(order)].tobytes() == together.tobytes()
    for batch in range(5):
        assert _many(_picked(mixture, np.array([batch])))[:, 0].tobytes() == together[:, batch].tobytes()
        alone = reaction_of(Mixture(magnesium=float(mixture.magnesium[batch]), pyrophosphatase=float(units[batch])))
        x = advanced(alone, begun(alone), hours=2.0)[0]
        assert x[ivt.RNA] == pytest.approx(together[ivt.RNA, batch], rel=1e-9)
        assert alone.amounts(x).ph == pytest.approx(-together[ivt.LNH, batch] / math.log(10.0), rel=1e-9)


def _picked(mixture: Mixture, which: np.ndarray) -> Mixture:
    return Mixture(*[tuple(v[which] if isinstance(v, np.ndarray) else v for v in each) if isinstance(each, tuple)
                     else each[which] if isinstance(each, np.ndarray) else each for each in mixture])  # fmt: skip


def _many(mixture: Mixture) -> np.ndarray:
    reaction = reaction_of(mixture, m=np)
    x, _, failed = advanced(reaction, begun(reaction), hours=2.0)
    assert not failed.any()
    return np.array(x)


def test_nucleotides_phosphate_magnesium_and_pyrophosphate_balance() -> None:
    mixture = Mixture(ntp=(0.009, 0.011, 0.010, 0.012), bases=(900.0, 1100.0, 1000.0, 1000.0))
    reaction = reaction_of(mixture)
    rates = []

    def flows(_: float, y: np.ndarray) -> np.ndarray:
        """The ten balances of the paper, each integrated by itself, with the ions solved afresh."""
        dna, rna, ppi, *ntp, magnesium, nuclei, pi = y
        totals = Totals(sum(ntp), ppi, pi, magnesium, 4002.0 * rna)
        x = [
            *solved(totals, reaction.salts),
            rna,
            0.5 * (0.045 - magnesium),
            0.5 * pi,
            nuclei,
            math.log(83.0 / dna) / reaction.kinetics.sequestration,
            0.0,
        ]
        _, _, made, grown, cleaved, born, *_ = reaction.slope(x)
        rates.append(made)
        taken = reaction.kinetics.sequestration * nuclei * dna
        return np.array([-taken, made, 3999.0 * made - grown - cleaved, *(-each * made for each in mixture.bases), -2.0 * grown, born, 2.0 * cleaved])

    begin = np.array([83.0, 0.0, 0.0, *mixture.ntp, 0.045, 0.0, 0.0])
    peer = solve_ivp(flows, (0.0, 1.0), begin, method="LSODA", rtol=1e-8, atol=[1e-9, *[1e-14] * 9]).y[:, -1]
    amounts = after(mixture, 1.0, accuracy=1e-8)
    ours = [amounts.template_nm, amounts.rna, amounts.pyrophosphate, *amounts.ntp, amounts.magnesium, amounts.nuclei, amounts.phosphate]
    assert ours == pytest.approx(peer.tolist(), rel=1e-5, abs=1e-10)
    # What went in is there again: nucleotides, phosphorus, magnesium, to rounding.
    for each in (amounts, after(mixture, 2.0, accuracy=1e-3)):
        for have, given, base in zip(each.ntp, mixture.ntp, mixture.bases, strict=True):
            assert have + base * each.rna == pytest.approx(given, rel=1e-12)
        phosphorus = 3.0 * sum(each.ntp) + 4002.0 * each.rna + 2.0 * (each.pyrophosphate + each.solid) + each.phosphate
        assert phosphorus == pytest.approx(3.0 * sum(mixture.ntp), rel=1e-9)
        assert each.magnesium + 2.0 * each.solid == pytest.approx(mixture.magnesium, rel=1e-12)


def test_the_slopes_that_the_integrator_uses_are_those_of_the_equations() -> None:
    for simple in (False, True):
        reaction = reaction_of(Mixture(pyrophosphatase=0.5), simple=simple)
        x = advanced(reaction, begun(reaction), hours=0.4)[0]
        slope, jacobian = reaction.slope_and_jacobian(x)
        assert slope == reaction.slope(x)
        for at, value in enumerate(x):
            by = 1e-5 * max(abs(value), 1e-9)
            up, down = ([*x[:at], value + sign * by, *x[at + 1 :]] for sign in (1.0, -1.0))
            for row, (high, low) in enumerate(zip(reaction.slope(up), reaction.slope(down), strict=True)):
                scale = 1e-9 * (abs(slope[row]) + 1e-12) / by
                assert jacobian[row][at] == pytest.approx((high - low) / (2.0 * by), rel=1e-5, abs=scale), (row, at)


def test_a_step_of_the_integrator_is_of_fourth_order_and_keeps_what_is_algebraic() -> None:
    class Swing:
        """y' = -y + z, 0 = z - y * y: y is 1 / (1 + (1/y0 - 1) e^t)."""

        algebraic = 1

        def slope(self, x):
            return [x[0] - x[1] * x[1], x[0] - x[1]]

        def slope_and_jacobian(self, x):
            return self.slope(x), [[1.0, -2.0 * x[1]], [1.0, -1.0]]

        def scale(self, x):
            return [math.inf, math.inf]  # every step is good enough, so that its length is ours

        def some(self, which):
            return self

    errors = []
    for steps in (8, 16, 32):
        x = [0.25, 0.5]
        for _ in range(steps):
            x, _ = advance_one(Swing(), x, hours=1.0 / steps, step=1.0)
        errors.append(abs(x[1] - 1.0 / (1.0 + math.e)))
        assert x[0] == pytest.approx(x[1] ** 2, rel=1e-6)
    assert [round(math.log2(a / b)) for a, b in pairwise(errors)] == [4, 4]


def test_the_ions_of_any_mixture_are_found_and_close_both_balances() -> None:
    dice = np.random.default_rng(5)
    for _ in range(200):
        ntp, ppi, pi, magnesium, buffer, sodium = (float(each) for each in 10.0 ** dice.uniform(-9.0, -0.5, 6))
        totals, salts = Totals(ntp, ppi, pi, magnesium, 0.0), Salts(buffer, sodium, 0.5 * buffer, 2.0 * magnesium)
        lnh, lnmg = solved(totals, salts)
        h, mg = math.exp(lnh), math.exp(lnmg)
        left = balance(h, mg, totals=totals, salts=salts, ions=bound(h, mg))
        size = ntp + ppi + pi + magnesium + buffer + sodium
        assert abs(left.proton) + abs(left.magnesium) < 1e-12 * size
    with pytest.raises(NotValid, match="do not close"):
        solved(Totals(math.nan, 0.0, 0.0, 1e-3, 0.0), Salts(0.04, 0.0, 0.02, 0.0))


def test_a_nucleotide_that_runs_out_stops_the_making_and_nothing_goes_below_nought() -> None:
    mixture = CHECK._replace(ntp=(4e-3, 4e-4, 4e-3, 4e-3), polymerase_nm=800.0, pyrophosphatase=5.0)
    halfway, late = after(mixture, 1.0), after(mixture, 4.0)
    assert late.ntp[1] == pytest.approx(0.0, abs=1e-8)
    assert min(late.ntp) > -1e-8
    assert late.rna == pytest.approx(1e-6, rel=1e-3)
    assert late.rna == pytest.approx(halfway.rna, rel=1e-2)


def test_rnase_breaks_what_is_there_and_takes_no_mass() -> None:
    plain, reaction = after(Mixture()), reaction_of(Mixture())
    broken = replace(reaction, kinetics=reaction.kinetics._replace(rnase=0.5 / 4000.0))
    amounts = broken.amounts(advanced(broken, begun(broken), hours=2.0)[0])
    assert (amounts.rna == pytest.approx(plain.rna, rel=1e-5), amounts.whole < 0.7 * plain.whole) == (True, True)
