"""A site's constants from its batches, against closed forms, certified values and batches whose constants are known."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotFound, NotValid
from isogenic.sim.fitting import Batch, Method, Problem, Stopping, fit, read_batches
from isogenic.sim.fitting.documents import read_beside
from isogenic.sim.fitting.identifiability import collinearity
from isogenic.sim.fitting.problem import priors_of, scatter_of
from isogenic.sim.instruments import instruments_of, measured
from isogenic.sim.processes.antibody import ANTIBODY
from sim.curves import Curve, constant, noise

LINE = Curve({"level": constant("level", 1.0), "slope": constant("slope", 1.0)}, lambda age, of: of["level"] + of["slope"] * age)
# NIST StRD Misra1a (https://www.itl.nist.gov/div898/strd/nls/data/misra1a.shtml): y = b1 (1 - exp(-b2 x)), certified.
MISRA_X = (77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0)
MISRA_Y = (10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78)
MISRA = {"b1": (2.3894212918e02, 2.7070075241), "b2": (5.5015643181e-04, 7.2668688436e-06)}
# Bates & Watts 1988, Nonlinear Regression Analysis, A1.3: puromycin, treated; Michaelis-Menten.
PUROMYCIN_X = (0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.10, 1.10)
PUROMYCIN_Y = (76, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200)


def one(age: tuple[float, ...] | np.ndarray, read: tuple[float, ...] | np.ndarray, name: str = "B1") -> Batch:
    return Batch(name, "LEEDS", np.asarray(age, dtype=np.float64), {"y": np.asarray(read, dtype=np.float64)})


def rates() -> Curve:
    return Curve({"vmax": constant("vmax", 150.0), "half": constant("half", 0.1)}, lambda s, of: of["vmax"] * s / (of["half"] + s), duration_h=1.2)


def test_a_line_is_fitted_as_its_normal_equations_say() -> None:
    age, sd = np.arange(11.0), 0.1
    read = 2.0 + 0.5 * age + sd * np.random.default_rng(1).normal(size=11)
    found = fit(LINE, [one(age, read)], constants=("level", "slope"), instruments=noise(sd), method=Method(errors_are="known"))
    design = np.stack([np.ones(11), age], axis=1)
    covariance = sd**2 * np.linalg.inv(design.T @ design)
    exact = covariance @ design.T @ read / sd**2
    assert found.converged
    for at, name in enumerate(("level", "slope")):
        assert found[name].value == pytest.approx(exact[at], rel=1e-6)
        assert found[name].value * found[name].error == pytest.approx(math.sqrt(covariance[at, at]), rel=1e-4)
        # a line's likelihood is a parabola in its constants, so the profile ends where the normal interval does
        assert found[name].profile_low == pytest.approx(exact[at] - 1.96 * math.sqrt(covariance[at, at]), rel=5e-3)
        assert found[name].profile_high == pytest.approx(exact[at] + 1.96 * math.sqrt(covariance[at, at]), rel=5e-3)
    assert np.allclose(found.identifiability.correlation[0][1], covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]), rtol=1e-3)


def test_certified_values_of_misra_are_found_with_their_standard_errors() -> None:
    curve = Curve({"b1": constant("b1", 250.0), "b2": constant("b2", 5e-4)}, lambda x, of: of["b1"] * (1.0 - np.exp(-of["b2"] * x)), duration_h=760.0)
    how = Method(errors_are="estimated", profiles=False)
    found = fit(curve, [one(MISRA_X, MISRA_Y)], constants=("b1", "b2"), instruments=noise(0.1), method=how)
    for name, (value, error) in MISRA.items():
        assert found[name].value == pytest.approx(value, rel=1e-6)
        assert found[name].value * found[name].error == pytest.approx(error, rel=1e-4)
    assert math.sqrt(found.dispersion) * 0.1 == pytest.approx(1.0187876330e-01, rel=1e-4)


def test_puromycin_has_its_published_estimates() -> None:
    batches = [one(PUROMYCIN_X[first::2], PUROMYCIN_Y[first::2], f"B{first}") for first in (0, 1)]
    found = fit(rates(), batches, constants=("vmax", "half"), instruments=noise(10.0), method=Method(errors_are="estimated"))
    assert (round(found["vmax"].value, 1), round(found["half"].value, 4)) == (212.7, 0.0641)
    assert found["vmax"].value * found["vmax"].error == pytest.approx(6.95, abs=0.01)
    assert found["half"].value * found["half"].error == pytest.approx(0.00828, abs=2e-5)
    assert math.sqrt(found.dispersion) * 10.0 == pytest.approx(10.93, abs=0.01)
    assert found.identifiability.correlation[0][1] == pytest.approx(0.765, abs=0.01)
    assert found.identifiability.together == ()


def test_rates_far_below_saturation_tell_only_the_ratio() -> None:
    # S << K: rate = (vmax/K) S; to first order the two columns are opposite, and their index is closed form.
    half, substrate = 0.1, np.array([0.0002, 0.0004, 0.0006, 0.0008, 0.001])
    columns = np.stack([substrate / (half + substrate), -substrate * half / (half + substrate) ** 2], axis=1)
    cosine = float(columns[:, 0] @ columns[:, 1] / np.linalg.norm(columns[:, 0]) / np.linalg.norm(columns[:, 1]))
    curve = Curve(dict(rates().constants), rates().formula, duration_h=0.001, every_h=0.0002)
    age = substrate
    found = fit(curve, [one(age, 150.0 * age / (half + age))], constants=("vmax", "half"), instruments=noise(0.05))
    assert collinearity(columns) == pytest.approx(1.0 / math.sqrt(1.0 - abs(cosine)), rel=1e-6)
    assert found.identifiability.indices["vmax", "half"] > 100
    assert found.identifiability.together == (("vmax", "half"),)
    assert "vmax and half cannot be told apart from these data" in str(found)


def test_a_constant_that_no_reading_answers_to_is_not_identifiable() -> None:
    curve = Curve(
        {"level": constant("level", 1.0), "late": constant("late", 1.0)}, lambda age, of: of["level"] + of["late"] * np.maximum(age - 20.0, 0)
    )
    found = fit(curve, [one(np.arange(11.0), 1.0 + 0.01 * np.arange(11) % 3)], constants=("level", "late"), instruments=noise(0.01))
    assert found.identifiability.rank == 1
    assert found.identifiability.untold == ("late",)
    assert found["late"].profile is not None
    assert (found["late"].profile_low, found["late"].profile_high) == (None, None)
    assert "late is not identifiable from these data" in str(found)


def simulated(seed: int, *, site: dict[str, float], count: int, read: tuple[str, ...]) -> list[Batch]:
    """Batches of a site whose constants are so many times the nominal, as its instruments read them."""
    dice = np.random.default_rng(seed)
    cvs = scatter_of(ANTIBODY)
    constants = {name: ANTIBODY.constants[name].value * site.get(name, 1.0) * np.exp(cv * dice.normal(size=count)) for name, cv in cvs.items()}
    outcome = ANTIBODY.run(count, constants=constants, every_h=24.0)
    names = [f"BAT-{at}" for at in range(count)]
    truth = {name: outcome.values[name] for name in read}
    shown = measured(truth, instruments=instruments_of("antibody"), seed=seed, site="LEEDS", batches=names, lots=names, age_h=outcome.age_h)
    return [Batch(name, "LEEDS", outcome.age_h, {each: values[:, at] for each, values in shown.items()}) for at, name in enumerate(names)]


def test_two_constants_of_the_antibody_are_found_again() -> None:
    site = {"growth": 1.04, "product": 0.9}
    batches = simulated(7, site=site, count=5, read=("viable_cells", "titre"))
    found = fit(ANTIBODY, batches, constants=("growth", "product"), method=Method(profiles=False))
    assert found.converged
    for name, factor in site.items():
        true = ANTIBODY.constants[name].value * factor
        assert found[name].low < true < found[name].high, name
        assert found[name].error < 0.025
    assert 0.8 < found.dispersion < 1.25
    assert found.identifiability.untold == ()
    json.dumps(found.plain(), allow_nan=False)


def coverage(count: int) -> float:
    """How often 95 % intervals hold the truth, of two constants with scatter between batches and biased instruments."""
    curve = Curve(
        {"level": constant("level", 1.0), "rate": constant("rate", 0.1)}, lambda age, of: of["level"] * np.exp(of["rate"] * age), duration_h=10.0
    )
    age, scatter, sd = np.arange(0.0, 11.0, 2.0), {"level": 0.05, "rate": 0.04}, 0.02
    dice, hit = np.random.default_rng(11), 0
    for _ in range(count):
        batches = []
        for number in range(4):
            level, rate = (value * math.exp(scatter[name] * dice.normal()) for name, value in (("level", 1.1), ("rate", 0.09)))
            batches.append(one(age, level * np.exp(rate * age) + sd * dice.normal(size=len(age)), f"B{number}"))
        how = Method(profiles=False, errors_are="known")
        found = fit(curve, batches, constants=("level", "rate"), scatter=scatter, instruments=noise(sd), method=how)
        hit += sum(found[name].low < true < found[name].high for name, true in (("level", 1.1), ("rate", 0.09)))
    return hit / (2 * count)


def within_sampling_error(share: float, *, trials: int) -> bool:
    return abs(share - 0.95) < 3.0 * math.sqrt(0.95 * 0.05 / trials)


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    assert within_sampling_error(coverage(60), trials=120)


@pytest.mark.nightly
def test_nineteen_of_twenty_intervals_hold_the_truth_over_many_sites() -> None:
    assert within_sampling_error(coverage(1500), trials=3000)


def test_a_fast_batch_is_no_fast_site() -> None:
    age, cv = np.arange(11.0), 0.1
    factors = [1.0, 1.0, 1.0, 1.0, 1.3]
    batches = [one(age, factor * (1.0 + age), f"B{at}") for at, factor in enumerate(factors)]
    both = fit(
        LINE,
        batches,
        constants=("slope",),
        scatter={"slope": cv, "level": cv},
        instruments=noise(0.001),
        method=Method(profiles=False, errors_are="known"),
    )
    # with exact readings the site is the geometric mean of its batches, and its error the scatter's over the root of their number
    assert both["slope"].value == pytest.approx(math.exp(np.mean(np.log(factors))), rel=0.02)
    assert both["slope"].error == pytest.approx(cv / math.sqrt(5), rel=0.1)
    assert max(both.parts, key=lambda name: both.parts[name]["slope"]) == "B4"


def test_scatter_can_be_estimated() -> None:
    dice, age = np.random.default_rng(5), np.arange(11.0)
    batches = [one(age, math.exp(0.08 * dice.normal()) * (1.0 + age) + 0.001 * dice.normal(size=11), f"B{at}") for at in range(40)]
    how = Method(profiles=False, scatter_is="estimated", errors_are="known")
    together = Curve({"size": constant("size", 1.0)}, lambda age, of: of["size"] * (1.0 + age))
    found = fit(together, batches, constants=("size",), scatter={"size": 0.02}, instruments=noise(0.001), method=how)
    assert found.scatter["size"] == pytest.approx(0.08, rel=0.3)


def test_a_fit_that_does_not_come_to_rest_says_so() -> None:
    how, until = Method(profiles=False, errors_are="known"), Stopping(rounds=1, evaluations=1)
    found = fit(
        LINE, [one(np.arange(5.0), 5.0 + 3.0 * np.arange(5))], constants=("level", "slope"), instruments=noise(0.01), method=how, stopping=until
    )
    assert not found.converged
    assert found.sentences[0].startswith("The fit did not come to rest")
    assert "DID NOT COME TO REST" in str(found)


def test_priors_hold_what_the_data_do_not() -> None:
    assert priors_of(ANTIBODY, ("growth", "half_glucose")) == {"growth": math.hypot(0.01, 0.01)}
    flat = one(np.arange(5.0), np.ones(5))
    with_prior = fit(LINE, [flat], constants=("level", "slope"), instruments=noise(10.0), priors={"slope": 0.1}, method=Method(errors_are="known"))
    assert with_prior["slope"].value == pytest.approx(1.0, rel=0.02)
    assert with_prior["slope"].error == pytest.approx(0.1, rel=0.02)
    assert with_prior.used_priors


def test_what_cannot_be_fitted_is_refused_with_its_reason() -> None:
    batch = one(np.arange(5.0), np.ones(5))
    with pytest.raises(NotFound, match="no constant cheese"):
        fit(LINE, [batch], constants=("cheese",), instruments=noise(1.0))
    with pytest.raises(NotValid, match="2 readings are too few for 2 constants"):
        fit(LINE, [one((0.0, 1.0), (1.0, 2.0))], constants=("level", "slope"), instruments=noise(1.0))
    with pytest.raises(NotValid, match="no reading is of a variable of the process that has an instrument"):
        fit(LINE, [batch], constants=("level",))
    with pytest.raises(NotValid, match="no reading"):
        fit(LINE, [one(np.arange(5.0), np.full(5, np.nan))], constants=("level",), instruments=noise(1.0))
    with pytest.raises(NotValid, match="its ages must be finite hours"):
        one((0.0, math.nan), (1.0, 1.0))
    with pytest.raises(NotValid, match="y is infinite"):
        one((0.0, 1.0), (1.0, math.inf))
    with pytest.raises(NotValid, match="its nominal is not above 0"):
        Problem.of(Curve({"zero": constant("zero", 0.0)}, LINE.formula), [batch], constants=("zero",), instruments=noise(1.0))
    with pytest.raises(NotValid, match="of 2 sites"):
        fit(LINE, [batch, Batch("B2", "GHENT", batch.age_h, batch.values)], constants=("level",), instruments=noise(1.0))


def table(path: Path, *, unit: str | None = "1", process: str | None = None, ages: tuple[float, ...] = (0.0, 1.0, 2.0)) -> Path:
    fields = [pa.field("site", pa.string()), pa.field("batch", pa.string()), pa.field("age_h", pa.float64(), metadata={"unit": "h"})]
    columns: list[object] = [["LEEDS"] * len(ages), ["B1"] * len(ages), list(ages)]
    fields.append(pa.field("y", pa.float64(), metadata={"unit": unit} if unit is not None else None))
    columns.append([1.0 + age for age in ages])
    pq.write_table(pa.table(dict(zip(("site", "batch", "age_h", "y"), columns, strict=True)), schema=pa.schema(fields)), path)
    return path


def test_a_study_table_is_read_in_the_units_of_the_process(tmp_path: Path) -> None:
    batches = read_batches(table(tmp_path / "t.parquet", unit="%"), LINE)
    assert [each.name for each in batches] == ["B1"]
    assert batches[0].values["y"].tolist() == pytest.approx([0.01, 0.02, 0.03])


def test_a_table_without_a_unit_or_with_a_gap_in_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotValid, match="column y has no unit"):
        read_batches(table(tmp_path / "a.parquet", unit=None), LINE)
    with pytest.raises(NotValid, match="cannot convert"):
        read_batches(table(tmp_path / "b.parquet", unit="kg"), LINE)
    with pytest.raises(NotValid, match="row 2 has no age"):
        read_batches(table(tmp_path / "c.parquet", ages=(0.0, math.nan, 2.0)), LINE)
    with pytest.raises(NotValid, match="rise"):
        read_batches(table(tmp_path / "d.parquet", ages=(0.0, 2.0, 1.0)), LINE)
    with pytest.raises(NotFound, match="no batch of PORTO"):
        read_batches(table(tmp_path / "e.parquet"), LINE, site="PORTO")
    (tmp_path / "f.parquet").write_bytes(b"PAR1 nothing of the kind PAR1")
    with pytest.raises(NotValid, match=r"cannot read f\.parquet"):
        read_batches(tmp_path / "f.parquet", LINE)


SCENARIO = """isogenic: scenario/1
title: A site that grows faster
process: antibody
seed: 5
every: 24 h
batches: 8
sites:
  LEEDS: {offsets: {growth: 4 %, product: -8 %}}
"""


def test_settings_of_a_fit_are_read_by_line() -> None:
    beside = read_beside("isogenic: fit-settings/1\nsettings: {feed_share: 3 %/d}\ninstruments: {titre: {noise: 0.1}}\n", ANTIBODY)
    assert beside.settings == {"feed_share": pytest.approx(0.03)}
    assert beside.instruments["titre"].noise == 0.1
    with pytest.raises(NotValid, match=r"line 2: settings\.cheese: no such setting"):
        read_beside("isogenic: fit-settings/1\nsettings: {cheese: 1 1}\n", ANTIBODY)
    with pytest.raises(NotValid, match=r"line 2: variables: 'cheese' is no variable"):
        read_beside("isogenic: fit-settings/1\nvariables: [cheese]\n", ANTIBODY)
    assert read_beside(SCENARIO.replace("batches: 8", "settings: {feed_share: 0.02 1/d}"), ANTIBODY).settings == {"feed_share": 0.02}


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_no_text_beside_a_table_does_harm(text: str) -> None:
    with suppress(NotValid, NotFound):
        read_beside("isogenic: fit-settings/1\n" + text, ANTIBODY)
