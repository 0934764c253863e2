"""The lot's record: a fold that never fails and forgets nothing that matters."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from lot_story import BATCH, DEVIATION, LOT, OURS, SAMPLE, THEIRS, instead, noted, result, signed, story, without

from isogenic.authority.people import Role
from isogenic.batches.facts import PromptAnswered
from isogenic.ids import BatchId, PersonId, PromptId
from isogenic.materials.lots import LotState
from isogenic.quality.deviations import DeviationState
from isogenic.quality.record import Manifest, batch_of, fold_lot, fold_lots, names_an_unreadable_batch
from isogenic.quality.release import LotReleased
from isogenic.records.facts import Actor, Fact, UnknownPayload


def folded(told):
    return fold_lot(noted(told), batch=BATCH)


def test_a_whole_story_folds_to_a_whole_record():
    record = folded(story())
    assert (record.lot, record.lot_state, record.ledger, record.size_needed) == (LOT, LotState.QUARANTINE, OURS, 20)
    assert record.manifest == Manifest(claimed=10, counted=10, outcome="complete")
    assert record.operators == {PersonId("OLA-BERG")}
    assert record.deviations[DEVIATION].state == DeviationState.DISPOSED
    assert (record.open_prompts, record.answered, record.monitored, record.strange) == ({}, 1, (640, 0), ())
    assert set(record.samples) == {SAMPLE} and len(record.results) == 6 and len(record.materials) == 1


def test_facts_about_another_batch_change_nothing():
    told = story()
    other = [(OURS, Actor.node("GHENT"), PromptAnswered(BatchId("BAT-OTHER"), PromptId("P"), "yes", PersonId("OLA-BERG")))]
    assert folded(told + other) == folded(told)


def test_a_fact_missing_from_the_middle_shows_in_the_manifest():
    assert folded(without("batch.setpoints_commanded")).manifest == Manifest(claimed=10, counted=9, outcome="complete")


def test_facts_after_the_close_do_not_blur_the_manifest():
    late = (OURS, Actor.node("GHENT"), PromptAnswered(BATCH, PromptId("LATE"), "yes", PersonId("OLA-BERG")))
    record = folded([*story(), late])
    assert record.manifest == Manifest(claimed=10, counted=10, outcome="complete")
    assert record.strange == (f"batch.prompt_answered at {OURS}#20: LATE was not asked",)


def test_a_site_does_not_release_its_own_lot():
    signature = signed("FRIEDA-VOSS", Role.QUALIFIED_PERSON, "released", "0" * 64)
    mine = LotReleased(LOT, BATCH, "MAB-A", "GHENT", 1, "0" * 64, (), signature)
    at_site, at_control = folded([*story(), (OURS, Actor.node("GHENT"), mine)]), folded([*story(), (THEIRS, Actor.node("CONTROL"), mine)])
    assert at_site.lot_state == LotState.QUARANTINE
    assert at_site.strange[0].endswith("a site does not decide on its own lots")
    assert (at_control.lot_state, at_control.strange) == (LotState.RELEASED, ())


def test_evidence_of_another_ledger_is_strange_and_not_taken():
    record = folded([*story(), (THEIRS, Actor.node("GHENT"), result("titre", 9.9))])
    assert record.strange == (f"laboratory.result_reported at {THEIRS}#2: the batch was not started in this ledger",)
    assert replace(record, strange=()) == folded(story())


def test_a_name_that_is_none_is_no_batch():
    last = noted(story())[-1]
    for body, subject in (({"batch": "B17"}, "x"), ({"batch": {"a": 1}}, "x"), ({"batch": 17}, "x"), ({}, "BAT-bad lower")):
        named = Fact(last.ref, "future.kind", 1, subject, last.actor, last.moment, UnknownPayload("future.kind", 1, body))
        assert (batch_of(named), names_an_unreadable_batch(named)) == ("", True)
        assert fold_lots([named]) == {}


def test_a_lot_is_decided_on_once():
    signature = signed("FRIEDA-VOSS", Role.QUALIFIED_PERSON, "released", "0" * 64)
    theirs = (THEIRS, Actor.node("CONTROL"), LotReleased(LOT, BATCH, "MAB-A", "GHENT", 1, "0" * 64, (), signature))
    assert "the lot is released" in folded([*story(), theirs, theirs]).strange[0]


def test_a_fact_of_a_newer_version_is_not_overlooked():
    facts = noted(story())
    last = facts[-1]
    strange = Fact(last.ref, "batch.teleported", 3, BATCH, last.actor, last.moment, UnknownPayload("batch.teleported", 3, {"batch": str(BATCH)}))
    assert "not known here" in fold_lot([*facts, strange], batch=BATCH).strange[0]


def test_a_second_result_of_one_sample_is_strange_and_still_kept():
    record = folded([*story(), (OURS, Actor.node("GHENT"), result("titre", 1.0))])
    assert "was reported before" in record.strange[0]
    assert [each.value for each in record.results if each.attribute == "titre"] == [4.83, 1.0]


def test_a_result_of_a_sample_never_drawn_is_strange():
    assert len(folded(without("laboratory.sample_drawn")).strange) == 6


def test_two_lots_fold_side_by_side():
    facts = noted(story())
    assert fold_lots(facts) == {BATCH: fold_lot(facts, batch=BATCH)}
    assert {batch_of(each) for each in facts} == {str(BATCH)}


@settings(max_examples=60)
@given(st.permutations(range(len(story()))), st.integers(0, 21))
def test_any_facts_in_any_order_fold_without_failing(order, keep):
    facts = noted(story())
    chosen = [facts[at] for at in order[:keep]]
    assert fold_lot(chosen, batch=BATCH) == fold_lot(chosen, batch=BATCH)


def test_ledger_by_ledger_and_interleaved_give_the_same_record():
    facts = noted(story())
    before_the_last_result = [*facts[:-2], facts[-1], facts[-2]]
    assert fold_lot(before_the_last_result, batch=BATCH) == fold_lot(facts, batch=BATCH)


def test_a_batch_that_names_another_lot_at_its_close_is_strange():
    closed = next(payload for _, _, payload in story() if type(payload).fact_name == "batch.closed")
    assert "it names LOT-OTHER" in folded(instead(replace(closed, lot="LOT-OTHER"))).strange[0]
