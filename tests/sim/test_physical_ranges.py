"""Every process, with every fault and every setting at the ends of its range: each value is in its range, or the batch stopped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from isogenic.sim.processes import PROCESSES, pensim, process_of
from isogenic.sim.processes.indpensim import process as indpensim_process
from isogenic.sim.processes.process import Fault, Floats, Outcome, Process
from isogenic.sim.processes.ranges import SLACK


def assert_in_range_or_stopped(process: Process, outcome: Outcome, batches: Sequence[str]) -> None:
    for known, found in ((process.variables, outcome.values), (process.qualities, outcome.quality)):
        for name, each in known.items():
            slack = (1e-3 if process.name == "mrna" else SLACK) * max(1.0, (each.high - each.low) * 1e-3)
            there = np.atleast_2d(found[name])
            wrong = ~np.isnan(there) & ~((there >= each.low - slack) & (there <= each.high + slack))
            assert [(batches[at], name, float(there[age, at])) for age, at in np.argwhere(wrong)] == []
    for at, batch in enumerate(batches):
        values = np.array([each[:, at] for each in outcome.values.values()])
        missing = np.isnan(values)
        if at in outcome.stopped:
            stop = outcome.stopped[at]
            assert stop.why
            assert np.isnan([each[at] for each in outcome.quality.values()]).all(), batch
            assert missing[:, outcome.age_h > stop.age_h + 1e-9].all(), batch
        else:
            assert not np.isnan([each[at] for each in outcome.quality.values()]).any(), batch


def at_the_ends(process: Process, *, end_h: float) -> tuple[list[str], dict[str, Floats], list[Fault]]:
    """A batch for each fault at its least, its middle and its greatest, and for each setting at both ends."""
    batches: list[str] = []
    faults: list[tuple[Fault, int]] = []
    changed: list[tuple[str, float, int]] = []
    for each in process.faults.values():
        for size in sorted({each.low, each.low + 1e-9 * (each.high - each.low), 0.5 * (each.low + each.high), each.high}):
            for start in (0.0, 0.3 * end_h) if each.windowed else (0.0,):
                faults.append((Fault(each.name, size, start_h=start, gradual=each.gradual), len(batches)))
                batches.append(f"{each.name} {size:g} from {start:g} h")
    for setting in process.settings.values():
        for value in sorted({setting.low, setting.high}):
            changed.append((setting.name, value, len(batches)))
            batches.append(f"{setting.name} {value:g}")
    n = len(batches)
    settings = {each.name: np.full(n, each.value) for each in process.settings.values()}
    for name, value, at in changed:
        settings[name][at] = value
    return batches, settings, [Fault(each.name, each.size, each.start_h, each.duration_h, np.arange(n) == at, each.gradual) for each, at in faults]


def run_at_the_ends(name: str, end_h: float) -> None:
    process = process_of(name)
    batches, settings, faults = at_the_ends(process, end_h=end_h)
    if name == "antibody":  # a vessel holds what is filled in, and a bolus raises glucose
        settings["start_volume"] = np.minimum(settings["start_volume"], settings["working_volume"])
        settings["duration"][settings["duration"] == process.duration_h] = end_h
        settings["bolus_to"] = np.maximum(settings["bolus_to"], settings["bolus_below"])
    outcome = process.run(len(batches), settings=settings, faults=faults)
    assert_in_range_or_stopped(process, outcome, batches)


@pytest.mark.parametrize("name", PROCESSES)
def test_what_is_given_is_in_its_range_or_the_batch_stopped(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    end_h = {"antibody": 120.0, "indpensim": 2.0, "pensim": 70.0}.get(name, process_of(name).duration_h)  # whole batches take seconds
    monkeypatch.setattr(indpensim_process, "DURATION_H", end_h)
    monkeypatch.setitem(pensim.simulate.__kwdefaults__, "duration_h", end_h)
    run_at_the_ends(name, end_h)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["antibody", "indpensim", "pensim"])
def test_what_whole_batches_give_is_in_its_range_or_the_batch_stopped(name: str) -> None:
    run_at_the_ends(name, process_of(name).duration_h)


def test_a_contaminated_culture_sours_no_further_than_its_acid_and_a_poor_one_has_no_less_than_no_aggregates() -> None:
    antibody = process_of("antibody")
    struck = [("culture_is_contaminated", 1e-9), ("culture_is_contaminated", 1.0), ("product_rate_is_low", 1.0), ("feed_pump_stops", 1.0)]
    n = len(struck)
    found = antibody.run(n, faults=[Fault(name, size, batches=np.arange(n) == at) for at, (name, size) in enumerate(struck)])
    assert found.stopped == {}
    assert float(found.values["ph"].min()) > 3.9
    assert float(found.values["ph"][-1, 0]) < 5.0
    assert float(found.quality["hmw"].min()) >= 0.0
    assert float(found.quality["galactosylation"].max()) < 100.0


def test_a_batch_that_ends_out_of_a_range_of_its_quality_is_stopped_at_its_end() -> None:
    found = process_of("antibody").run(2, constants={"afucose_level": np.array([120.0, 6.0])})
    assert {at: (stop.age_h, stop.why) for at, stop in found.stopped.items()} == {
        0: (336.0, "afucose at 120 %; the physical range is 0 to 100"),
    }
    assert [np.isnan(each).tolist() for each in found.quality.values()] == [[True, False]] * len(found.quality)


@pytest.mark.parametrize(("name", "every_h"), [("antibody", 100.0), ("mrna", 0.7), ("car_t", 100.0), ("pensim", 150.0)])
def test_how_often_a_trajectory_is_written_changes_nothing_of_what_comes_out(name: str, every_h: float) -> None:
    process = process_of(name)
    usual, rarely = process.run(1), process.run(1, every_h=every_h)
    assert rarely.age_h[-1] == pytest.approx(process.duration_h - process.duration_h % every_h)
    assert len(rarely.values[next(iter(process.variables))]) == len(rarely.age_h)
    for attribute, value in usual.quality.items():
        assert rarely.quality[attribute] == pytest.approx(value, rel=2e-4), attribute
