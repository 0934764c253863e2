"""A probe or the process, which known fault, and what can still be judged: on a process with a known answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from continuous_setup import MIXING, NAMES, SCALE, VARIABLES, fitted, run, table
from hypothesis import given, settings
from hypothesis import strategies as st
from monitoring_setup import VARIABLES as BATCH_VARIABLES
from monitoring_setup import simulated, with_values

from isogenic.errors import NotAllowed, NotTrusted, NotValid
from isogenic.monitoring import BatchTable, Model, Variable, fit, judge
from isogenic.monitoring.diagnosis import Aide, Library, Told, Verdict, attend, attendant, learn, signature_of
from isogenic.monitoring.probes import NO_LIMITS, Health, limits_of
from isogenic.monitoring.tables import Floats

TOLD = [at for at, name in enumerate(NAMES) if name in ("feed", "pressure", "temperature", "ph", "oxygen", "power")]  # by the others, in good data


@pytest.fixture(scope="module")
def model() -> Model:
    return fitted(range(6))


def played(model: Model, values: Floats, **more: object) -> tuple[Aide, list[Told]]:
    aide, out = attendant(model), []
    for row in values:
        aide, told = attend(aide, row, **more)  # type: ignore[arg-type]
        out.append(told)
    return aide, out


def biased(seed: int, column: int, *, sizes: float = 6.0, rows: int = 100) -> Floats:
    values = run(seed, rows)
    values[40:, column] += sizes * SCALE[column]
    return values


def shifted(seed: int, cause: int, *, sizes: float = 5.0, rows: int = 100) -> Floats:
    """A process fault: one of the common causes moves, and all variables that follow it."""
    values = run(seed, rows)
    values[40:] += sizes * SCALE * MIXING[cause]
    return values


# --- explanation ---


def test_the_right_variable_leads_in_clear_faults_of_a_single_variable(model: Model) -> None:
    """At least 85 % are asked for."""
    first = []
    for column in range(8):
        for seed in range(6):
            _, told = played(model, biased(300 + seed, column, rows=60))
            found = [finding for each in told[40:] if (finding := each.findings.finding()) is not None]
            first.append(bool(found) and found[0].leading[0].variable == NAMES[column])
    assert np.mean(first) >= 0.85


def test_the_right_variable_leads_in_clear_faults_of_batches() -> None:
    model = fit(simulated(20, seed=20), variables=BATCH_VARIABLES, name="simulated", product="MAB-A")
    first = []
    for number, good in enumerate(simulated(10, seed=33)):
        column = number % 5
        size = 6.0 * model.structure.scale[:, column].mean()
        aide = attendant(model)
        for maturity, row in zip(good.maturity, with_values(good, start=60, column=column, shift=size).values, strict=True):
            aide, told = attend(aide, row, maturity=float(maturity))
            if (finding := told.findings.finding()) is not None and maturity >= 30.0:
                first.append(finding.leading[0].variable == BATCH_VARIABLES[column].name)
                break
    assert len(first) == 10 and np.mean(first) >= 0.85


# --- a probe, or the process ---


@pytest.mark.parametrize("column", TOLD)
def test_a_biased_probe_that_others_contradict_is_the_probe(model: Model, column: int) -> None:
    last = [each.verdict() for each in played(model, biased(91, column))[1][40:] if each.findings.alarm[0]]
    assert last[0][0] is Verdict.UNDECIDED
    assert last[-1] == (Verdict.PROBE, f"the {NAMES[column]} sensor, not the {NAMES[column]}: the others would show it, and have not for 10 readings")


@pytest.mark.parametrize("cause", range(3))
def test_a_cause_that_all_follow_is_the_process(model: Model, cause: int) -> None:
    verdicts = [each.verdict()[0] for each in played(model, shifted(92, cause))[1][40:] if each.findings.alarm[0]]
    assert verdicts[-1] is Verdict.PROCESS
    assert Verdict.PROBE not in verdicts


def test_what_no_other_variable_can_tell_is_undecided_and_says_so() -> None:
    dice = np.random.default_rng(1)
    loose = [np.column_stack([run(seed), dice.normal(size=600)]) for seed in range(4)]
    runs = [table(each, str(at)) for at, each in enumerate(loose)]
    model = fit(runs, variables=(*VARIABLES, Variable("loose", "1")), name="x", product="", continuous=True)
    values = np.column_stack([run(50, 80), dice.normal(size=80)])
    values[40:, 8] += 9.0
    told = [each.verdict() for each in played(model, values)[1][40:] if each.findings.alarm[0]]
    assert told[-1] == (Verdict.UNDECIDED, "loose alone has departed, and no other variable can tell whether that is true")


def test_without_an_alarm_there_is_no_verdict(model: Model) -> None:
    assert {each.verdict() for each in played(model, run(93, 80))[1] if not each.findings.alarm[0]} == {(Verdict.NONE, "")}


# --- probes by themselves ---


def test_a_frozen_probe_is_told_before_it_alarms_and_the_rest_is_still_judged(model: Model) -> None:
    values = run(3, 160)
    values[100:, 4] = values[100, 4]
    _, told = played(model, values)
    assert [trouble.health for trouble in told[105].troubles()] == [Health.FROZEN]
    assert told[105].troubles()[0].sentence.endswith("for 6 readings: frozen")
    alarms = [each for each in told[100:] if each.findings.alarm[0]]
    assert alarms  # what it does to the whole stays an alarm
    assert alarms[-1].verdict()[0] is Verdict.PROBE
    judges = alarms[-1].judges()
    assert (judges.judged, judges.alarm, judges.variables) == (True, False, tuple(name for name in NAMES if name != "ph"))


def test_a_process_fault_behind_a_frozen_probe_is_still_found(model: Model) -> None:
    values = shifted(94, 0, rows=140)
    values[20:, 4] = values[20, 4]
    _, told = played(model, values)
    assert told[60].judges().alarm
    assert told[60].verdict()[0] is not Verdict.PROBE


def test_an_impossible_a_missing_and_a_late_value_are_told_apart(model: Model) -> None:
    values = run(95, 12)
    values[5, 3], values[6, 3] = 1e6, np.nan
    age = np.zeros(8)
    aide = attendant(model)
    seen = []
    for at, row in enumerate(values):
        age[3] = 9.0 if at == 7 else 0.0
        aide, told = attend(aide, row, age=age, every=1.0)
        seen.append([(each.variable, each.health) for each in told.troubles()])
    assert seen[5:8] == [[("temperature", Health.IMPOSSIBLE)], [("temperature", Health.MISSING)], [("temperature", Health.LATE)]]
    assert seen[8:] == [[]] * 4


def test_a_stuck_probe_flickers_and_does_not_move(model: Model) -> None:
    values = run(96, 80)
    values[30:, 2] = values[30, 2] + 1e-3 * np.random.default_rng(1).normal(size=50)
    _, told = played(model, values)
    assert [(each.variable, each.health) for each in told[60].troubles()] == [("level", Health.STUCK)]


def test_good_runs_have_hardly_any_trouble(model: Model) -> None:
    troubles = [each.troubles() for seed in range(200, 205) for each in played(model, run(seed, 300))[1]]
    assert np.mean([bool(each) for each in troubles]) < 0.002


def test_a_signal_that_never_moved_is_never_frozen_and_given_ranges_count() -> None:
    still = [BatchTable(str(at), np.arange(40.0), np.column_stack([np.full(40, 5.0), np.arange(40.0) % 7])) for at in range(3)]
    names = (Variable("still", "1"), Variable("moves", "1"))
    first, second = limits_of(still, names, possible={"moves": (0.0, 10.0)})
    assert (first.low, first.moves) == (NO_LIMITS.low, 0.0) and first.equal > 10**6
    assert (second.low, second.high) == (0.0, 10.0)
    with pytest.raises(NotValid, match="cannot use a range of frost"):
        limits_of(still, names, possible={"frost": (0.0, 1.0)})
    with pytest.raises(NotValid, match="10 is not below 0"):
        limits_of(still, names, possible={"moves": (10.0, 0.0)})


def test_an_old_model_without_limits_is_attended_too(model: Model) -> None:
    old = replace(model, probes=())
    assert old.to_bytes().startswith(b"isogenic reference model 2\n")
    assert Model.from_bytes(old.to_bytes()).digest == old.digest
    _, told = played(old, biased(97, 0))
    assert told[-1].troubles() == () and told[-1].findings.alarm[0]


def test_the_alarm_is_that_of_judge_and_units_do_not_know_each_other(model: Model) -> None:
    values = np.stack([biased(98, 1), run(99, 100), shifted(97, 1)], axis=1)
    values[60:, 1, 5] = values[60, 1, 5]
    together = attendant(model, units=3)
    alone = [attendant(model) for _ in range(3)]
    watch = model.watch(units=3)
    for row in values:
        watch, plain = judge(watch, row)
        together, told = attend(together, row)
        assert told.findings == plain
        for unit in range(3):
            alone[unit], mine = attend(alone[unit], row[unit])
            assert (mine.verdict(), mine.troubles()) == (told.verdict(unit), told.troubles(unit))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_storms_of_nonsense_are_told_and_never_raise(model: Model, data: st.DataObject) -> None:
    wild = st.sampled_from([0.0, 1e308, -1e308, np.nan, np.inf, -np.inf, 37.0])
    aide = attendant(model)
    for _ in range(6):
        aide, told = attend(aide, np.array(data.draw(st.lists(wild, min_size=8, max_size=8))))
        assert told.findings.judged[0] or told.findings.why_not()
        told.verdict(), told.troubles(), told.judges(), told.resembles()


# --- known faults ---


@pytest.fixture(scope="module")
def library(model: Model) -> Library:
    examples: dict[str, list[Floats]] = {}
    for cause, name in enumerate(("leak", "fouling")):
        for seed in range(8):
            signature = signature_of(model, table(shifted(400 + seed, cause)))
            assert signature is not None
            examples.setdefault(name, []).append(signature)
    return learn(model.digest, examples)


def named(model: Model, library: Library, values: Floats) -> list[str]:
    aide, out = attendant(model, library=library), []
    for row in values:
        aide, told = attend(aide, row)
        found = told.resembles()
        out.append("" if found is None else found.name)
    return out


def test_known_faults_are_named_and_an_unknown_one_is_none_known(model: Model, library: Library) -> None:
    assert library.correct >= 0.9
    assert [named(model, library, shifted(500 + seed, 0))[-1] for seed in range(4)] == ["leak"] * 4
    assert [named(model, library, shifted(510 + seed, 1))[-1] for seed in range(4)] == ["fouling"] * 4
    assert [named(model, library, shifted(520 + seed, 2))[-1] for seed in range(4)] == ["none known"] * 4
    assert named(model, library, run(530, 60))[:1] == [""]  # without an alarm, nothing is named


def test_between_two_faults_it_is_undecided() -> None:
    dice = np.random.default_rng(2)
    near = {name: [np.array([1.0, slope, 0.0]) + 0.3 * dice.normal(size=3) for _ in range(10)] for name, slope in (("one", 0.3), ("other", -0.3))}
    library = learn("0" * 64, near)
    found = library.resembles(np.array([1.0, 0.0, 0.0]))
    assert (found.name, found.likeliest in library.names) == ("undecided", True)
    assert 0.4 < found.confidence < 0.7
    assert library.resembles(np.zeros(3)).name == library.resembles(np.array([np.nan, 0.0, 0.0])).name == "none known"


def test_a_library_comes_back_as_it_was_belongs_to_its_model_and_no_byte_of_it_may_change(model: Model, library: Library) -> None:
    data = library.to_bytes()
    assert Library.from_bytes(data).to_bytes() == data
    with pytest.raises(NotAllowed, match="it was learnt with the model"):
        attendant(fitted(range(4)), library=library)
    for at in range(0, len(data), 37):
        altered = bytearray(data)
        altered[at] ^= 1
        with pytest.raises((NotTrusted, NotValid)):
            Library.from_bytes(bytes(altered))
    for count in (0, 10, len(data) - 1):
        with pytest.raises((NotTrusted, NotValid)):
            Library.from_bytes(data[:count])


@pytest.mark.parametrize(
    ("examples", "why"),
    [
        ({}, "there are 1 to 200"),
        ({"leak": [np.ones(3)]}, "1 examples are too few"),
        ({"none known": [np.ones(3)] * 3}, "is not a name of one"),
        ({"leak": [np.ones(3)] * 3, "other": [np.ones(4)] * 3}, "of unlike lengths"),
        ({"leak": [np.array([np.nan, 1.0])] * 3}, "not rows of finite numbers"),
    ],
)
def test_examples_that_teach_nothing_are_refused(examples: dict[str, list[Floats]], why: str) -> None:
    with pytest.raises(NotValid, match=why):
        learn("0" * 64, examples)


def test_the_verbs_learn_and_tell(model: Model, tmp_path: Path) -> None:
    from test_monitor_commands import invoke, written

    file = tmp_path / "m.model"
    file.write_bytes(model.to_bytes())
    faults = []
    for cause, name in enumerate(("leak", "fouling")):
        for seed in range(3):
            example = written(tmp_path / f"{name}{seed}.parquet", shifted(400 + seed, cause))
            faults.append(f"--fault={name}={example}")
    assert "2 faults of utility from 6 runs" in invoke("learn", file, *faults, "--out", tmp_path / "known.faults")
    new = written(tmp_path / "new.parquet", biased(91, 0))
    told = invoke("score", file, new, "--faults", tmp_path / "known.faults", "--out", tmp_path / "said.csv")
    assert "the feed sensor, not the feed" in told
    rows = (tmp_path / "said.csv").read_text().splitlines()
    assert rows[0].replace('"', "").split(",")[8:] == ["verdict", "why", "probes", "alarm_without", "resembles", "confidence"]
    assert "probe" in rows[-1]


def test_faults_of_batches_are_learnt_from_their_tables_and_named(tmp_path: Path) -> None:
    from test_monitor_commands import invoke

    def written(batches: list[BatchTable], name: str) -> Path:
        path = tmp_path / name
        lines = ["batch,age," + ",".join(each.name for each in BATCH_VARIABLES)]
        lines += [
            f"{each.batch},{maturity}," + ",".join(map(repr, row))
            for each in batches
            for maturity, row in zip(each.maturity.tolist(), each.values.tolist(), strict=True)
        ]
        path.write_text("\n".join(lines) + "\n")
        return path

    model = fit(simulated(15, seed=20), variables=BATCH_VARIABLES, name="simulated", product="MAB-A")
    (tmp_path / "m.model").write_bytes(model.to_bytes())
    where = ("--batch", "batch", "--maturity", "age")
    for column, name in ((0, "blocked"), (2, "starved")):
        faulty = [
            with_values(each, start=50, column=column, shift=-8.0 * model.structure.scale[:, column]) for each in simulated(5, seed=40 + column)
        ]
        written(faulty[:4], f"{name}.csv")
        written(faulty[4:], f"{name}-new.csv")
    words = [f"--fault={name}={tmp_path / name}.csv" for name in ("blocked", "starved")]
    assert "2 faults of simulated from 8 runs" in invoke("learn", tmp_path / "m.model", *words, *where, "--out", tmp_path / "known.faults")
    for name in ("blocked", "starved"):
        out = tmp_path / f"{name}-said.csv"
        invoke("score-batches", tmp_path / "m.model", tmp_path / f"{name}-new.csv", *where, "--faults", tmp_path / "known.faults", "--out", out)
        assert name in out.read_text()
