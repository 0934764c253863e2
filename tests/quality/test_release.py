"""Release (I4): every check by itself, and no lot released unless every one of them is content."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from counted_lot import counted
from hypothesis import given, settings
from hypothesis import strategies as st
from lot_story import (
    BATCH,
    BLOCK,
    DIGEST,
    DIRECTORY,
    LOT,
    OPENED,
    ROOT,
    SITE,
    SPECIFICATION,
    START,
    THEIRS,
    case_of,
    disposed,
    instead,
    noted,
    released_signature,
    result,
    reviewed,
    signed,
    story,
    without,
)

from isogenic.authority.people import Role
from isogenic.batches.facts import AlarmRaised, BatchClosed
from isogenic.batches.states import State
from isogenic.checks import Severity, stops
from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid
from isogenic.ids import DeviationId, PersonId, ProductId
from isogenic.monitoring.facts import MonitoringEnded
from isogenic.quality.deviations import Disposition
from isogenic.quality.record import LotRecord, apply
from isogenic.quality.release import (
    CHECKS,
    LotRejected,
    LotReleased,
    PublishedRecipe,
    ReleaseCase,
    Witness,
    check_released_by_signature,
    decide_release,
    refuse,
    reject,
    rejection_digest,
    release,
)
from isogenic.quality.specifications import TrailReview
from isogenic.records.blocks import ReadingsSealed
from isogenic.records.facts import Actor
from isogenic.records.gaps import Cause, ReadingsGap

GOLDEN = Path(__file__).parent / "golden"
NODE, CONTROL = Actor.node("GHENT"), Actor.node("CONTROL")
OURS = story()[0][0]


def with_results(*changed):
    names = {each.attribute for each in changed}
    kept = [each for each in story() if getattr(each[2], "attribute", None) not in names]
    return kept[:-1] + [(OURS, NODE, each) for each in changed] + kept[-1:]


def closed(**changes):
    old = next(payload for _, _, payload in story() if isinstance(payload, BatchClosed))
    return instead(replace(old, **changes))


def sealed(**changes):
    old = next(payload for _, _, payload in story() if isinstance(payload, ReadingsSealed))
    return replace(old, **changes)


def decided(command: str):
    signature = signed("FRIEDA-VOSS", Role.QUALIFIED_PERSON, command, "0" * 64)
    if command == "released":
        return LotReleased(LOT, BATCH, ProductId("MAB-A"), SITE, 1, "0" * 64, (), signature)
    return LotRejected(LOT, BATCH, ProductId("MAB-A"), SITE, "no", signature)


WITNESS = Witness(held=40, cosigned=40, size=40, root=ROOT)
OTHER = replace(OPENED, deviation=DeviationId("DEV-OTHER"))
FORGED = replace(disposed(), signature=replace(disposed().signature, printed_name="Somebody Else"))
UNSIGNED = replace(disposed(), justification="Something else than what was signed.")

# What can be wrong, and the check that says so. Each is one change to a story that releases.
WRONGS: dict[str, tuple[str, Callable[[], ReleaseCase]]] = {
    "the start is missing": ("check_batch_is_closed", lambda: case_of(without("batch.started"))),
    "no lot was created": ("check_batch_is_closed", lambda: case_of(without("lot.created"))),
    "the batch is not closed": ("check_batch_is_closed", lambda: case_of(without("batch.closed"))),
    "a sample was never drawn": ("check_batch_is_closed", lambda: case_of(without("laboratory.sample_drawn"))),
    "a fact is missing": ("check_record_is_complete", lambda: case_of(without("batch.setpoints_commanded"))),
    "the manifest counts more": ("check_record_is_complete", lambda: case_of(closed(facts=11))),
    "containers are missing": ("check_counts_reconcile", lambda: case_of(counted(good=5))),
    "the root is of too few facts": ("check_record_is_witnessed", lambda: case_of(story(), witness=replace(WITNESS, size=19))),
    "facts are not held": ("check_record_is_witnessed", lambda: case_of(story(), witness=replace(WITNESS, held=39))),
    "facts are not cosigned": ("check_record_is_witnessed", lambda: case_of(story(), witness=replace(WITNESS, cosigned=39))),
    "the root is unknown": ("check_record_is_witnessed", lambda: case_of(story(), witness=replace(WITNESS, root=""))),
    "the readings are not held": ("check_readings_are_held", lambda: case_of(story(), blocks=frozenset({"0" * 64}))),
    "there are no readings": ("check_readings_are_held", lambda: case_of(without("records.readings_sealed"))),
    "a block is missing": ("check_readings_are_complete", lambda: case_of(instead(sealed(number=2, start=40)))),
    "the last block is not there": ("check_readings_are_complete", lambda: case_of(instead(sealed(ends=False)))),
    "the batch was aborted": ("check_batch_completed_normally", lambda: case_of(closed(outcome=State.ABORTED))),
    "the batch was stopped": ("check_batch_completed_normally", lambda: case_of(closed(outcome=State.STOPPED))),
    "a prompt is open": ("check_every_prompt_is_answered", lambda: case_of(without("batch.prompt_answered"))),
    "another recipe text was run": (
        "check_recipe_was_approved",
        lambda: case_of(story(), recipe=PublishedRecipe("0" * 64, case_of(story()).recipe.approvals)),
    ),
    "the recipe has one signature": (
        "check_two_people_approved",
        lambda: case_of(story(), recipe=replace(case_of(story()).recipe, approvals=case_of(story()).recipe.approvals[:1])),
    ),
    "the limits are of another product": (
        "check_specification_is_of_the_product",
        lambda: case_of(story(), specification=replace(SPECIFICATION, product=ProductId("MAB-B"))),
    ),
    "a result is missing": (
        "check_every_result_is_reported",
        lambda: case_of([each for each in story() if getattr(each[2], "attribute", "") != "titre"]),
    ),
    "a result nobody asked for": ("check_every_result_is_reported", lambda: case_of([*story(), (OURS, NODE, result("titre", attribute="colour"))])),
    "a result fails": ("check_every_result_is_within_specification", lambda: case_of(with_results(result("titre", 3.4)))),
    "a result cannot be judged": ("check_every_result_is_within_specification", lambda: case_of(with_results(result("titre", 4.0, qualifier="<")))),
    "a deviation is open": ("check_no_deviation_is_open", lambda: case_of(without("quality.deviation_disposed"))),
    "another deviation is open": ("check_no_deviation_is_open", lambda: case_of([*story(), (OURS, NODE, OTHER)])),
    "a deviation forbids the lot": (
        "check_no_deviation_was_disposed_as_reject",
        lambda: case_of(instead(disposed(Disposition.REJECT))),
    ),
    "a disposition is not the signed one": ("check_no_deviation_was_disposed_as_reject", lambda: case_of(instead(UNSIGNED))),
    "a disposition was signed by an operator of the batch": (
        "check_no_deviation_was_disposed_as_reject",
        lambda: case_of([(ledger, Actor("INES-DUARTE", "operator") if actor.id == "OLA-BERG" else actor, each) for ledger, actor, each in story()]),
    ),
    "a signature is forged": ("check_every_signature_is_trusted", lambda: case_of(instead(FORGED))),
    "the lot is released": ("check_lot_is_in_quarantine", lambda: case_of([*story(), (THEIRS, CONTROL, decided("released"))])),
    "the lot is rejected": ("check_lot_is_in_quarantine", lambda: case_of([*story(), (THEIRS, CONTROL, decided("rejected"))])),
    "the person has not the role": ("check_role_allows_the_act", lambda: case_of(story(), asked_by=PersonId("INES-DUARTE"))),
    "an assembly of the lot was installed at another site too": (
        "check_assemblies_were_used_once",
        lambda: case_of(story(), assemblies={"BAG/1": 1, "BAG/2": 2}),
    ),
    "the person is not on file": ("check_releasing_person_may", lambda: case_of(story(), asked_by=PersonId("NOBODY"))),
    "the person ran the batch": (
        "check_judge_did_not_run_the_batch",
        lambda: case_of(
            [(ledger, Actor("ODD-QP", "operator") if actor.id == "OLA-BERG" else actor, each) for ledger, actor, each in story()],
            asked_by=PersonId("ODD-QP"),
        ),
    ),
}


def test_a_lot_with_a_complete_record_is_released_by_signature():
    case = case_of(story())
    signature = released_signature(case)
    done = decide_release(case, signature)
    assert (done.lot, done.batch, done.site, done.record_size, done.record_root, done.signature) == (LOT, BATCH, SITE, 40, ROOT, signature)
    assert len(done.notes) == len(release(case).notes) and not any(note.startswith("stop") for note in done.notes)


def test_the_release_is_a_fact_that_the_record_takes():
    case = case_of(story())
    released = noted([*story(), (THEIRS, CONTROL, decide_release(case, released_signature(case)))])[-1]
    assert apply(case.record, released).lot_state == "released"


@pytest.mark.parametrize("wrong", WRONGS)
def test_one_thing_that_is_not_in_order_stops_the_release_by_name(wrong):
    check, make = WRONGS[wrong]
    case = make()
    assert check in {note.check for note in stops(release(case).notes)}
    with pytest.raises(NotAllowed, match="cannot release"):
        decide_release(case, released_signature(case))


def test_every_check_has_something_that_stops_it_or_only_warns():
    # These are for a person to look at; the trail's stops where the specification says so.
    looked_at = {"check_alarms", "check_batch_was_monitored", "check_manifest_is_verified", "check_times_can_be_believed", "check_trail_was_reviewed"}
    stopping = {check for check, _ in WRONGS.values()} | looked_at
    assert {check.__name__ for check in CHECKS} <= stopping


def test_assemblies_that_were_used_once_are_counted():
    notes = release(case_of(story(), assemblies={"BAG/1": 1, "BAG/2": 1})).notes
    (said,) = [note for note in notes if note.check == "check_assemblies_were_used_once"]
    assert (said.severity, said.text) == ("good", "2 single-use assemblies, each installed once in the whole network")


def test_gaps_in_the_readings_are_shown_and_do_not_stop():
    gaps = [ReadingsGap(str(BATCH), (), START, START, 3, why) for why in (Cause.STOPPED, Cause.LOST, Cause.LOST)]
    told = story()
    at = next(at for at, (_, _, payload) in enumerate(told) if isinstance(payload, ReadingsSealed))
    about = next(each for each in told if isinstance(each[2], BatchClosed))[2]
    told = [*told[:at], *((OURS, NODE, gap) for gap in gaps), *told[at:]]
    told = [(*each[:2], replace(about, facts=about.facts + 3)) if each[2] == about else each for each in told]
    notes = release(case_of(told))
    (said,) = [note for note in notes.notes if note.check == "check_readings_are_complete"]
    assert (said.severity, said.text) == (
        Severity.WARN,
        "readings are complete: every row is in one of 1 block; gaps on record: 2 lost, 1 stopped",
    )
    assert notes.allowed


def test_readings_that_were_lost_before_they_were_sealed_end_a_batch_too():
    """Nobody can seal them any more; the gap says so, and a person decides."""
    told = [each if not isinstance(each[2], ReadingsSealed) else (*each[:2], replace(each[2], ends=False)) for each in story()]
    told = [*told, (OURS, NODE, ReadingsGap(str(BATCH), (), START, START, 0, Cause.UNSEALED))]
    assert [note.severity for note in release(case_of(told)).notes if note.check == "check_readings_are_complete"] == [Severity.WARN]


def test_alarms_and_gaps_of_the_monitor_are_shown_and_do_not_stop():
    told = [*instead(MonitoringEnded(BATCH, 600, 40, 1)), (OURS, NODE, AlarmRaised(BATCH, "grow", "it took too long"))]
    notes = release(case_of(told))
    assert [note.text for note in notes.notes if note.severity is Severity.WARN] == [
        "the engine raised 1 alarm",
        "the monitor could not judge 40 of 640 points",
    ]
    assert notes.allowed


@pytest.mark.parametrize(
    ("review", "words"),
    [
        (None, "nobody has reviewed the audit trail of the batch"),
        (reviewed(stop=3), "the audit trail was reviewed up to fact 3 of"),
        (reviewed(over=DIGEST), "the signature of INES-DUARTE under the review of the audit trail is over something else"),
        (reviewed("OLA-BERG", role=Role.OPERATOR), "OLA-BERG may not review the audit trail of this batch"),
        (reviewed(root="0" * 64), "the audit trail that was reviewed is not that of the ledger held here"),
    ],
    ids=["none", "in part", "over something else", "by who ran the batch", "of another ledger"],
)
def test_the_review_of_the_audit_trail_is_looked_at_and_stops_where_the_specification_requires_it(review, words):
    told = without("quality.trail_reviewed") + ([(THEIRS, CONTROL, review)] if review else [])
    for weight, severity in ((TrailReview.ADVISED, Severity.WARN), (TrailReview.REQUIRED, Severity.STOP)):
        notes = release(case_of(told, specification=replace(SPECIFICATION, trail_review=weight)))
        said = [(note.severity, note.text) for note in notes.notes if note.check == "check_trail_was_reviewed"]
        assert [(each, text.startswith(words)) for each, text in said] == [(severity, True)]
        assert notes.allowed == (severity is Severity.WARN)


def test_a_site_does_not_review_its_own_trail():
    told = [*without("quality.trail_reviewed"), (OURS, CONTROL, reviewed())]
    assert any("a site does not decide on its own lots" in note.text for note in stops(release(case_of(told)).notes))


def test_a_result_for_information_is_shown_and_does_not_stop():
    notes = release(case_of(with_results(result("hcp", 500_000.0))))
    assert [note.text for note in notes.notes if note.severity is Severity.WARN] == [
        "Host cell protein 500000 ng/mg, limit ≤ 400000 ng/mg: fail (for information)"
    ]
    assert notes.allowed


def test_a_second_result_that_passes_does_not_undo_a_first_that_fails():
    told = with_results(result("titre", 3.0), result("titre", 4.8, sample="SMP-RETEST"))
    assert "check_every_result_is_within_specification" in {note.check for note in stops(release(case_of(told)).notes)}


PARTS = {
    "witness": [WITNESS, replace(WITNESS, size=3), replace(WITNESS, cosigned=20), replace(WITNESS, held=1)],
    "blocks": [frozenset({BLOCK}), frozenset()],
    "asked_by": [PersonId("FRIEDA-VOSS"), PersonId("OLA-BERG"), PersonId("NOBODY")],
    "specification": [SPECIFICATION, replace(SPECIFICATION, product=ProductId("MAB-B"))],
}


@settings(max_examples=100, deadline=None)
@given(
    dropped=st.sets(st.integers(0, len(story()) - 1), max_size=3),
    titre=st.floats(0, 10),
    disposition=st.sampled_from(Disposition),
    outcome=st.sampled_from([State.COMPLETE, State.STOPPED, State.ABORTED]),
    parts=st.fixed_dictionaries({name: st.sampled_from(values) for name, values in PARTS.items()}),
)
def test_i4_a_random_record_is_released_only_where_every_condition_holds(dropped, titre, disposition, outcome, parts):
    told = []
    for at, (ledger, actor, payload) in enumerate(story()):
        if at in dropped:
            continue
        if getattr(payload, "attribute", "") == "titre":
            payload = replace(payload, value=titre)
        if isinstance(payload, BatchClosed):
            payload = replace(payload, outcome=outcome)
        if isinstance(payload, type(disposed())):
            payload = disposed(disposition)
        told.append((ledger, actor, payload))
    case = case_of(told, **parts)
    missing = [type(story()[at][2]).fact_name + getattr(story()[at][2], "attribute", "") for at in dropped]
    # Said by the story, not by the checks: nothing of it may be missing but what no release needs.
    not_needed = {"materials.used", "laboratory.result_reportedhcp", "quality.trail_reviewed"}  # the last is only advised for this product
    good = (
        set(missing) <= not_needed
        and titre >= 3.5
        and disposition is Disposition.ACCEPT
        and outcome is State.COMPLETE
        and all(parts[name] == values[0] for name, values in PARTS.items())
    )
    try:
        decide_release(case, released_signature(case))
        released = True
    except NotAllowed:
        released = False
    assert released == good


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, len(story()) - 1), max_size=2))
def test_i4_both_ways_where_only_facts_are_missing(dropped):
    case = case_of([each for at, each in enumerate(story()) if at not in dropped])
    missing = {type(story()[at][2]).fact_name + getattr(story()[at][2], "attribute", "") for at in dropped}
    # An unopened deviation with its disposition gone too leaves a record that the manifest does not count: the ledger's root does.
    missing -= {"quality.trail_reviewed"}  # the product's specification only advises it
    not_needed = {"materials.used", "laboratory.result_reportedhcp"}
    whole = missing <= not_needed or missing == {"quality.deviation_opened", "quality.deviation_disposed"}
    assert release(case).allowed == whole


def test_a_record_that_changed_after_it_was_shown_is_not_released():
    shown = case_of(story())
    signature = released_signature(shown)
    with pytest.raises(NotTrusted, match="changed since it was shown"):
        decide_release(replace(shown, witness=replace(WITNESS, size=39, root="0" * 64)), signature)
    late = case_of([*story(), (OURS, NODE, AlarmRaised(BATCH, "grow", "it took too long"))])
    with pytest.raises(NotTrusted, match="changed since it was shown"):
        decide_release(late, signature)


def test_the_one_who_asked_is_the_one_who_signs():
    case = case_of(story())
    with pytest.raises(NotTrusted, match="FRIEDA-VOSS asked, ODD-QP signed"):
        decide_release(case, released_signature(case, "ODD-QP"))


def test_a_refusal_names_every_reason():
    done = refuse(case_of(without("quality.deviation_disposed"), blocks=frozenset()))
    assert done.asked_by == PersonId("FRIEDA-VOSS")
    assert done.reasons == (
        f"the readings block {BLOCK[:16]}… is not held here with its right digest",
        f"DEV-8XK2 is open (minor): {OPENED.statement}",
    )


def test_a_refusal_with_very_many_reasons_still_fits_a_fact():
    many = [(OURS, NODE, replace(OPENED, deviation=DeviationId(f"DEV-{at}"), statement="x" * 500)) for at in range(200)]
    told = [*story(), (THEIRS, CONTROL, refuse(case_of([*story(), *many], witness=Witness(999, 999, 999, ROOT))))]
    assert noted(told)[-1].payload.reasons[-1] == "and 140 more"


def test_a_lot_in_order_is_not_refused():
    with pytest.raises(NotAllowed, match="no check stands against it"):
        refuse(case_of(story()))


def rejection(record: LotRecord, reason: str, name: str = "FRIEDA-VOSS", role: Role = Role.QUALIFIED_PERSON):
    return reject(record, reason, signature=signed(name, role, "rejected", rejection_digest(record, reason)), directory=DIRECTORY)


def test_a_lot_is_rejected_by_signature_with_its_reason():
    record = case_of(instead(disposed(Disposition.REJECT))).record
    done = rejection(record, " The feed was fouled. ")
    assert (done.lot, done.reason) == (LOT, "The feed was fouled.")
    after = apply(record, noted([*story(), (THEIRS, CONTROL, done)])[-1])
    assert after.lot_state == "rejected"
    with pytest.raises(NotAllowed, match="the lot is rejected"):
        rejection(after, "again")


def test_a_lot_without_a_complete_record_can_still_be_rejected():
    assert rejection(case_of(without("batch.closed")).record, "The record was lost.", "INES-DUARTE", Role.QUALITY).lot == LOT


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_a_rejection_has_a_reason(reason):
    with pytest.raises(NotValid, match="a reason is"):
        rejection(case_of(story()).record, reason)


def test_an_operator_does_not_reject():
    with pytest.raises(NotAllowed):
        rejection(case_of(story()).record, "I do not like it.", "OLA-BERG", Role.OPERATOR)


def test_a_lot_that_nobody_named_is_not_found():
    with pytest.raises(NotFound, match="does not say which lot"):
        rejection(LotRecord(BATCH), "why")


def test_the_notes_of_a_good_lot_are_a_page():
    assert str(release(case_of(story()))) == (GOLDEN / "release-allowed.txt").read_text()


def test_the_notes_of_a_bad_lot_are_a_page():
    told = [
        each for each in with_results(result("titre", 3.12)) if type(each[2]).fact_name not in ("quality.deviation_disposed", "batch.prompt_answered")
    ]
    case = case_of(told, witness=replace(WITNESS, cosigned=18), asked_by=PersonId("INES-DUARTE"))
    assert str(release(case)) == (GOLDEN / "release-refused.txt").read_text()


def test_a_noted_release_is_verified_again_from_the_fact_itself():
    case = case_of(story())
    done = decide_release(case, released_signature(case))

    def against(changed, record=case.record):
        return stops(check_released_by_signature(changed, record, DIRECTORY))

    assert against(done) == []
    quality = signed("INES-DUARTE", Role.QUALITY, "released", done.signature.digest)
    unsigned = replace(done.signature, signature="AAAA")
    for changed in (
        replace(done, record_size=done.record_size + 1),
        replace(done, record_root="0" * 64),
        replace(done, notes=done.notes[1:]),
        replace(done, batch="BAT-X"),
        replace(done, lot="LOT-X"),
        replace(done, site="LEEDS"),
        replace(done, signature=quality),
        replace(done, signature=unsigned),
    ):
        assert against(changed), changed
    assert against(done, replace(case.record, operators=frozenset({done.signature.person})))


def test_a_clock_that_stepped_or_was_poor_is_shown_to_the_reviewer_and_stops_nothing():
    case = case_of(story())
    record = replace(case.record, clock_steps=(3600.0,), poor_clock=12)
    notes = [note for note in release(replace(case, record=record)).notes if note.check == "check_times_can_be_believed"]
    assert [(str(note.severity), note.text) for note in notes] == [
        ("warn", "the site's clock stepped by +3600 s while the batch ran"),
        ("warn", "12 facts of the batch were noted under a clock that was not known to be good"),
    ]


def test_a_promised_manifest_that_is_missing_or_wrong_stops_the_release():
    case = case_of(story())
    for record, text in (
        (replace(case.record, manifest_due=True), "the manifest of the closed batch is not here yet"),
        (replace(case.record, manifest_due=True, listed=("samples: two, one is held",)), "samples: two, one is held"),
    ):
        notes = release(replace(case, record=record))
        assert [note.text for note in stops(notes.notes)] == [text]
    assert release(replace(case, record=replace(case.record, manifest_due=True, listed=()))).allowed
