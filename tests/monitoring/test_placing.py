"""How far a batch is: from its clock, a variable, its phases, or its readings; on batches whose answer is known."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotTrusted, NotValid, Refusal
from isogenic.monitoring import BatchTable, Model, Variable, fit, join, judge, judge_batch
from isogenic.monitoring.placing import placing_of
from isogenic.monitoring.placing.warping import template_of
from isogenic.monitoring.tables import Floats

NAMES = ("level", "temperature", "pressure", "flow")
VARIABLES = tuple(Variable(name, "1") for name in NAMES)
PHASES = ("charge", "heat", "hold")
KINDS = ("indicator", "phase", "warping", "evolution")
NOISE = np.array([0.5, 0.3, 0.02, 0.2])


def course(ripe: Floats) -> Floats:
    """What variables are at a true ripeness, 0 to 3: one for each phase."""
    level = 20.0 + 30.0 * ripe
    temperature = 20.0 + 40.0 * np.clip(ripe - 1.0, 0.0, 1.0) + 2.0 * np.sin(6.0 * ripe)
    pressure = 1.0 + 0.5 * np.clip(ripe - 1.0, 0.0, 1.0) + 0.3 * (ripe > 2.0)
    return np.stack([level, temperature, pressure, 5.0 + 3.0 * (ripe < 1.0) - 2.0 * np.sin(ripe)], axis=1)


def made(count: int, *, seed: int, spread: float = 0.15) -> tuple[list[BatchTable], list[Floats]]:
    """Batches whose phases last 20, 30 and 40 on average, and their true ripeness."""
    dice = np.random.default_rng(seed)
    tables, truth = [], []
    for number in range(count):
        lengths = np.array([20.0, 30.0, 40.0]) * np.exp(spread * dice.normal(size=3))
        clock = np.arange(0.0, lengths.sum(), 1.0)
        ripe = np.interp(clock, np.concatenate([[0.0], np.cumsum(lengths)]), np.arange(4.0))
        common = dice.normal()
        values = course(ripe) + NOISE * (dice.normal(size=(len(clock), 4)) + 0.7 * common)
        phases = tuple(PHASES[min(int(each), 2)] for each in ripe)
        tables.append(BatchTable(f"P{seed}-{number}", clock, values, phases))
        truth.append(ripe)
    return tables, truth


@cache
def model(by: str | None, seed: int = 0) -> Model:
    given: dict[str, object] = {} if by is None else {"align": by, "indicator": "level" if by == "indicator" else ""}
    return fit(made(40, seed=seed)[0], variables=VARIABLES, name=f"by {by}", product="MAB-A", false_alarms=0.1, maturity_unit="", **given)  # type: ignore[arg-type]


def alarmed(reference: Model, tables: list[BatchTable]) -> float:
    """The share of batches with any alarm, followed side by side; one that has ended gives nothing more to judge."""
    longest = max(len(each.maturity) for each in tables)
    watch = reference.watch(units=len(tables))
    for at in range(longest):
        rows = [
            (each.maturity[at], each.values[at], (each.phases or ())[at]) if at < len(each.maturity) else (np.nan, [np.nan] * 4, "")
            for each in tables
        ]
        clock, values, phases = zip(*rows, strict=True)
        watch, _ = judge(watch, np.array(values), maturity=np.array(clock), phases=phases)
    return float((watch.alarms > 0).mean())


@pytest.mark.parametrize("by", KINDS)
def test_batches_of_unlike_length_meet_where_they_are_equally_ripe(by: str) -> None:
    tables, truth = made(30, seed=1)
    placing = model(by).placing
    assert placing is not None
    told = placing.placed(tables)
    ripe = np.linspace(0.3, 2.8, 26)
    found = np.stack([np.interp(ripe, true, each.maturity) for each, true in zip(told, truth, strict=True)])
    clock = np.stack([np.interp(ripe, true, each.maturity) for each, true in zip(tables, truth, strict=True)])
    # spread between batches of what maturity is told at the same ripeness, in units of the whole range
    spread, by_clock = found.std(axis=0).mean() / np.ptp(found.mean(axis=0)), clock.std(axis=0).mean() / np.ptp(clock.mean(axis=0))
    assert spread <= {"indicator": 0.3, "phase": 0.6, "warping": 0.35, "evolution": 0.4}[by] * by_clock
    assert all((np.diff(each.maturity) >= 0).all() for each in told)


@pytest.mark.parametrize("by", KINDS)
def test_share_of_new_good_batches_with_an_alarm_is_as_stated(by: str) -> None:
    share = np.mean([alarmed(model(by, seed), made(100, seed=50 + seed)[0]) for seed in (0, 2)])
    assert 0.03 <= share <= 0.19  # 10 % stated; 200 batches, and limits from 40 twice: three standard errors


@pytest.mark.parametrize("by", KINDS)
def test_a_small_fault_is_found_that_the_clock_alone_hides(by: str) -> None:
    found = {}
    for each in (by, None):
        tables = made(20, seed=3)[0]
        for table in tables:
            table.values[(table.phases or ()).index("hold") :, 1] -= 1.5
        found[each] = alarmed(model(each), tables)
    assert found[by] >= 0.8
    assert (found[None] or 0.0) <= found[by] - 0.5


@pytest.mark.parametrize("by", KINDS)
def test_a_model_that_places_comes_back_as_it_was(by: str) -> None:
    data = model(by).to_bytes()
    assert data.startswith(b"isogenic reference model 4\n")
    again = Model.from_bytes(data, digest=model(by).digest)
    assert again.to_bytes() == data
    table = made(1, seed=4)[0][0]
    assert judge_batch(again, table)[1] == judge_batch(model(by), table)[1]
    altered = bytearray(data)
    altered[-40] ^= 1
    with pytest.raises(NotTrusted):
        Model.from_bytes(bytes(altered))


def sealed(data: bytes) -> bytes:
    return data + hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    ("by", "old", "new"),
    [
        ("phase", b'"by":"phase"', b'"by":"moon"'),
        ("phase", b'"names":["charge","heat","hold"]', b'"names":[]'),
        ("indicator", b'"column":0', b'"column":7'),
        ("indicator", b'"sign":1', b'"sign":5'),
        ("warping", b'"placing":{"by":"warping"', b'"placing":{"by":"evolution"'),
    ],
)
def test_a_placing_that_makes_no_sense_is_refused(by: str, old: bytes, new: bytes) -> None:
    data = model(by).to_bytes()[:-32]
    assert data.count(old) == 1
    with pytest.raises(Refusal):
        Model.from_bytes(sealed(data.replace(old, new)))


@pytest.mark.parametrize("by", KINDS)
def test_one_unit_is_the_same_as_beside_others_and_a_watch_can_be_cut_and_joined(by: str) -> None:
    tables = made(3, seed=5)[0]
    watch = model(by).watch(units=3)
    alone = [model(by).watch() for _ in tables]
    for at in range(40):
        phases = [each.phases[at] for each in tables if each.phases]
        values, clock = np.stack([each.values[at] for each in tables]), np.array([each.maturity[at] for each in tables])
        watch, findings = judge(watch, values, maturity=clock, phases=phases)
        singles = [judge(one, values[unit], maturity=float(clock[unit]), phases=[phases[unit]]) for unit, one in enumerate(alone)]
        alone = [one for one, _ in singles]
        assert [float(each.score[0]) for _, each in singles] == findings.score.tolist()
    assert join(alone) == watch
    assert watch.take([1]) == alone[1]


@pytest.mark.parametrize("by", KINDS)
def test_a_clock_that_runs_backwards_or_is_lost_never_takes_a_batch_back(by: str) -> None:
    table = made(1, seed=6)[0][0]
    clock = table.maturity.copy()
    clock[30:36] -= 20.0
    clock[50] = np.nan
    watch, findings = judge_batch(model(by), BatchTable("B", clock, table.values, table.phases))
    reached = np.array([float(each.maturity[0]) for each in findings])
    assert (np.diff(reached[np.isfinite(reached)]) >= 0).all()
    assert int(watch.judged[0] + watch.not_judged[0]) == len(clock)
    plain = np.array([float(each.maturity[0]) for each in judge_batch(model(by), table)[1]])
    assert np.abs(reached[-10:] - plain[-10:]).max() <= 0.1 * plain[-1]


@pytest.mark.parametrize("by", KINDS)
def test_a_storm_of_gaps_is_not_judged_and_the_batch_is_found_again(by: str) -> None:
    table = made(1, seed=7)[0][0]
    values = table.values.copy()
    values[30:45] = np.nan
    _, findings = judge_batch(model(by), BatchTable("B", table.maturity, values, table.phases))
    assert not any(bool(each.judged[0]) for each in findings[30:45])
    assert all(each.why_not().startswith("only 0 of 4 variables are present") for each in findings[30:45])
    after = [float(each.maturity[0]) for each in findings[55:70]]
    plain = [float(each.maturity[0]) for each in judge_batch(model(by), table)[1][55:70]]
    assert np.abs(np.array(after) - np.array(plain)).max() <= 0.08 * plain[-1]


@pytest.mark.parametrize("by", KINDS)
def test_a_batch_that_ends_early_is_judged_as_far_as_it_came_and_one_that_runs_double_until_the_reference_ends(by: str) -> None:
    table = made(1, seed=8)[0][0]
    short = BatchTable("short", table.maturity[:40], table.values[:40], (table.phases or ())[:40])
    watch, findings = judge_batch(model(by), short)
    assert int(watch.judged[0]) >= 38  # an indicator may begin before the reference does
    n = len(table.maturity)
    level = np.maximum.accumulate(np.concatenate([table.values, table.values + np.array([90.0, 0, 0, 0])]), axis=0)
    values = np.concatenate([table.values, table.values])
    values[:, 0] = level[:, 0]
    double = BatchTable("double", np.arange(2.0 * n), values, (*(table.phases or ()), *(["hold"] * n)))
    watch, findings = judge_batch(model(by), double)
    last = findings[-1]
    if by in ("indicator", "phase"):  # these go on beyond the reference, and say so
        assert not last.judged[0]
        assert "is outside the reference" in last.why_not()
    else:  # those stay on it or shortly after, and what does not fit there is an alarm
        assert int(watch.alarms[0]) >= 1 or not last.judged[0]
    assert int(watch.judged[0] + watch.not_judged[0]) == 2 * n


def test_a_phase_that_lasts_waits_at_its_end_and_one_that_comes_again_does_not_take_back() -> None:
    placing = model("phase").placing
    assert placing is not None
    usual = placing.arrays[0]
    spot, told = placing.begin(1), []
    said = ["charge"] * 60 + ["heat"] * 5 + ["charge"] * 3 + ["", "stir"] + ["hold"] * 2
    for clock, phase in enumerate(said):
        spot, maturity = placing.tell(spot, np.zeros((1, 4)), clock=np.array([float(clock)]), phases=[phase])
        told.append(float(maturity[0]))
    assert told[:5] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert told[59] == pytest.approx(usual[0], rel=1e-5)
    assert told[59] < usual[0] == told[60]
    assert told[60:65] == [usual[0] + each for each in range(5)]
    assert told[69] == pytest.approx(usual[0] + 9.0, rel=1e-9)  # what is not known is still the phase before
    assert told[70] == pytest.approx(usual[0] + usual[1])
    with pytest.raises(NotValid, match="no phase is given"):
        judge(model("phase").watch(), np.zeros(4), maturity=0.0)


def test_directions_are_those_of_the_phase_alone() -> None:
    dice = np.random.default_rng(0)
    tables = []
    for number in range(60):
        values = dice.normal(size=(40, 3)) * 0.3
        together = dice.normal(size=40)
        values[:20, 0] += together[:20]
        values[:20, 1] += together[:20]
        values[20:, 0] += together[20:]
        values[20:, 1] -= together[20:]
        tables.append(BatchTable(str(number), np.arange(40.0), values, ("one",) * 20 + ("two",) * 20))
    found = fit(tables, variables=VARIABLES[:3], name="m", product="", align="phase", components=1).structure
    signs = np.sign(found.directions[:, 0, 0] * found.directions[:, 0, 1])
    assert signs.tolist() == [1.0] * 20 + [-1.0] * 20
    # pooled over the change of phase the two would cancel beside it
    assert np.abs(found.directions[18:22, 0, 0]).min() > 0.6


def test_the_template_is_the_usual_batch() -> None:
    template = template_of(made(30, seed=9)[0])
    ripe = np.interp(template.grid.maturity(), [0.0, 20.0, 50.0, 90.0], np.arange(4.0))
    off = np.abs(template.values - course(ripe))[5:-5]
    assert np.median(off[:, 0]) < 3.0
    assert template.weight.sum() == pytest.approx(1.0)
    assert template.weight[0] > 0.2


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"align": "moon"}, "possible now: indicator, phase, warping, evolution"),
        ({"align": "indicator"}, "an indicator that is not named; possible now: level"),
        ({"align": "indicator", "indicator": "colour"}, "cannot align by colour"),
        ({"align": "indicator", "indicator": "flow"}, "it does not fall from begin to end"),
    ],
)
def test_what_cannot_be_aligned_is_refused(given: dict[str, str], why: str) -> None:
    tables = made(8, seed=10)[0]
    tables[3] = BatchTable("odd", tables[3].maturity, tables[3].values[::-1].copy(), tables[3].phases)
    with pytest.raises(NotValid, match=why):
        fit(tables, variables=VARIABLES, name="m", product="", **given)  # type: ignore[arg-type]


def test_batches_of_other_phases_are_refused_by_name() -> None:
    tables = made(8, seed=11)[0]
    for phases, why in ((None, "in which phase it is"), (("heat",) * len(tables[2].maturity), "its phases are heat, those of P11-0 charge")):
        odd = [*tables[:2], BatchTable("odd", tables[2].maturity, tables[2].values, phases), *tables[3:]]
        with pytest.raises(NotValid, match=f"cannot use batch odd: .*{why}"):
            placing_of(odd, VARIABLES, by="phase")


ANY = st.floats(allow_nan=True, allow_infinity=True, width=64)


@pytest.mark.parametrize("by", KINDS)
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ANY | st.floats(-10.0, 120.0), st.tuples(ANY, ANY, ANY, ANY), st.sampled_from([*PHASES, "", "stir"])), max_size=15))
def test_whatever_comes_no_batch_goes_back_and_every_reading_is_judged_or_says_why(
    by: str, readings: list[tuple[float, tuple[float, ...], str]]
) -> None:
    watch = model(by).watch()
    for clock, values, phase in readings:
        after, found = judge(watch, np.array(values), maturity=clock, phases=(phase,))
        assert after.maturity[0] >= watch.maturity[0]
        assert bool(found.judged[0]) == (found.why_not() == "") == bool(np.isfinite(found.score[0]))
        watch = after
    assert int(watch.judged[0] + watch.not_judged[0]) == len(readings)
