"""Counts of a line reconcile over restarts and partial runs, and every difference is found."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.batches.counts import CountsNoted, Tally, due, follow, reconcile
from isogenic.ids import BatchId, UnitId
from isogenic.plant.classes import COUNTS
from isogenic.plant.mtp.states import ServiceState
from isogenic.plant.readings import Quality, Reading

BATCH, FILLER, OTHER = BatchId("BAT-1"), UnitId("FR-1"), UnitId("FR-2")
REASONS = ("fill_weight", "closure", "particles", "seal", "label", "handling")


def seen(state: ServiceState = ServiceState.IDLE, *, bad: tuple[str, ...] = (), **counts: float) -> dict[str, Reading]:
    shown = {name: Reading(float(counts.get(name, 0)), Quality.GOOD) for name in COUNTS}
    shown |= {name: Reading(float("nan"), Quality.BAD) for name in bad}
    return shown | {f"{name}_state": Reading(float(state), Quality.GOOD) for name in ("fill", "stopper", "inspect", "label")}


class Line:
    """A line whose module counts, and a node that looks at it."""

    def __init__(self, **before: int) -> None:
        self.shown = dict.fromkeys(COUNTS, 0) | before
        self.tally = Tally()
        self.look()

    def look(self, state: ServiceState = ServiceState.IDLE) -> list[CountsNoted]:
        noted = due(BATCH, FILLER, self.tally, seen(state, **self.shown))
        for each in noted:
            self.tally = follow(self.tally, each)
        return noted

    def container(self, outcome: str) -> None:
        """One container through the line; what is rejected for its label has one, which is destroyed with it."""
        for stage in ("containers_in", "containers_filled", "containers_closed", "containers_inspected"):
            self.shown[stage] += 1
        if outcome in ("good", "rejected_label"):
            self.shown["labels_printed"] += 1
            self.shown["labels_applied" if outcome == "good" else "labels_destroyed"] += 1
        self.shown["containers_good" if outcome == "good" else "containers_sampled" if outcome == "sampled" else outcome] += 1

    def restart(self) -> None:
        """The module's controller is started again: it counts from nought."""
        self.shown = dict.fromkeys(COUNTS, 0)


OUTCOMES = st.sampled_from(["good", "sampled", *(f"rejected_{reason}" for reason in REASONS)])
STEPS = st.lists(st.one_of(OUTCOMES, st.sampled_from(["look", "look while it runs", "restart"])), max_size=60)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.dictionaries(st.sampled_from(sorted(COUNTS)), st.integers(0, 9), max_size=4))
def test_what_goes_in_comes_out_once_whatever_is_restarted_in_between(steps, before):
    line, counted = Line(**before), dict.fromkeys(["good", "sampled", *(f"rejected_{reason}" for reason in REASONS)], 0)
    for step in steps:
        if step == "look":
            line.look()
        elif step == "look while it runs":
            assert line.look(ServiceState.EXECUTE) == []
        elif step == "restart":
            line.look()  # it stood still before it was switched off
            line.restart()
            line.look()
        else:
            line.container(step)
            counted[step] += 1
    line.look()
    found = reconcile(line.tally)
    assert found.findings == () and found.difference == 0 and found.label_difference == 0
    assert found.taken_in == sum(counted.values())
    assert (found.good, found.sampled) == (counted["good"], counted["sampled"])
    assert {f"rejected_{reason}": count for reason, count in found.rejected.items() if count} == {
        name: count for name, count in counted.items() if count and name.startswith("rejected_")
    }


@settings(max_examples=100, deadline=None)
@given(
    st.lists(OUTCOMES, min_size=1, max_size=20), st.sampled_from(["containers_in", "containers_good", "labels_printed", "labels_applied"]), st.data()
)
def test_any_container_or_label_that_is_missing_or_too_many_is_found(outcomes, spoiled, data):
    line = Line()
    for outcome in outcomes:
        line.container(outcome)
    by = data.draw(st.sampled_from([-1, 1, 2]).filter(lambda each: line.shown[spoiled] + each >= 0))
    line.shown[spoiled] += by
    line.look()
    assert reconcile(line.tally).findings != ()


def test_a_count_lost_between_the_last_note_and_a_restart_is_found_not_guessed():
    line = Line()
    line.container("good")
    line.look()
    line.container("good")
    line.restart()  # switched off while it ran: nobody saw the second
    line.shown["containers_good"] = 0
    line.shown["containers_in"] = 1  # a third went in afterwards, and none came out
    line.look()
    assert reconcile(line.tally).findings == ("containers do not reconcile: 2 taken in, 1 good, 0 rejected, 0 sampled; 1 are not accounted for",)


def test_a_module_that_was_started_again_is_seen_while_it_runs():
    line = Line()
    for _ in range(3):
        line.container("good")
    line.look()
    line.restart()
    line.container("good")
    (noted,) = line.look(ServiceState.EXECUTE)
    assert set(noted.restarted) == COUNTS
    line.container("good")
    line.look()
    assert (reconcile(line.tally).taken_in, reconcile(line.tally).good, reconcile(line.tally).findings) == (5, 5, ())


def test_only_the_counts_of_the_module_that_restarted_begin_anew():
    modules = {name: "LABELLER" if name.startswith("labels_") else "FILLER" for name in COUNTS}
    tally = Tally()
    for counts in ({"containers_in": 4, "labels_printed": 4}, {"containers_in": 4, "labels_printed": 0}):
        (noted,) = due(BATCH, FILLER, tally, seen(**counts), modules=modules)
        tally = follow(tally, noted)
    assert noted.restarted == ("labels_applied", "labels_destroyed", "labels_printed")


def test_a_count_that_cannot_be_read_at_the_end_is_a_finding():
    tally = follow(Tally(), due(BATCH, FILLER, Tally(), seen())[0])
    (noted,) = due(BATCH, FILLER, tally, seen(bad=("containers_good",)))
    assert noted.unread == ("containers_good",)
    assert reconcile(follow(tally, noted)).findings == ("containers_good of FR-1 could not be read at the end",)


def test_a_state_that_is_not_known_is_no_rest():
    lost = seen(containers_in=3) | {"fill_state": Reading(float("nan"), Quality.BAD)}
    assert due(BATCH, FILLER, Tally(), lost) == []


def test_a_module_that_counts_nothing_notes_nothing():
    assert due(BATCH, FILLER, Tally(), {"temperature": Reading(37.0, Quality.GOOD)}) == []
    assert not reconcile(Tally()).counted


def test_two_units_of_one_batch_are_added_up():
    tally = Tally()
    for unit, good in ((FILLER, 3), (OTHER, 4)):
        for counts in ({"containers_in": 5.0, "containers_good": 0.0}, {"containers_in": 5.0 + good, "containers_good": float(good)}):
            tally = follow(tally, CountsNoted(BATCH, unit, counts))
    assert (reconcile(tally).taken_in, reconcile(tally).good) == (7.0, 7.0)


def test_a_count_that_falls_without_a_restart_is_a_finding():
    tally = follow(follow(Tally(), CountsNoted(BATCH, FILLER, {"containers_in": 5.0})), CountsNoted(BATCH, FILLER, {"containers_in": 4.0}))
    assert reconcile(tally).findings == ("containers_in of FR-1 fell from 5 to 4",)
