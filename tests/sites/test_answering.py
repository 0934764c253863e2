"""What people answer, scan, witness and correct at a site: decided from what the site holds, with no link."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asked_recipe import ASKED, PICTURE, control_with, person
from isogenic.authority.competence import CompetenceGranted, Competences, competence_digest
from isogenic.authority.people import Directory, NodeKeys, Person, Role
from isogenic.authority.rules import Act
from isogenic.authority.signatures import MEANINGS, sign, verify_signature
from isogenic.batches import engine
from isogenic.batches.facts import AlarmRaised, AnswerCorrected, Entered, PromptAnswered, PromptWitnessed, ScanRefused
from isogenic.batches.prompts import open_prompts
from isogenic.checks import stops
from isogenic.clock import Moment
from isogenic.errors import NotAllowed, NotValid, Refusal
from isogenic.ids import BatchId, IdentityCode, LotId, PersonId, PromptId, SeededMint, SiteId, SponsorId
from isogenic.materials.labels import LabelKind, label_text
from isogenic.materials.lots import MaterialUsed
from isogenic.plant.documents import load_plant
from isogenic.recipes.model import Then
from isogenic.records.facts import Actor, FactRef, Payload, decode_fact, encode_fact
from isogenic.sim.world import document
from isogenic.sites.answering import answer_prompt, check_pictures_are_here, correct_answer, witness_answer
from isogenic.sites.state import SiteState, apply

NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
LEEDS, BATCH = SiteId("LEEDS"), BatchId("BAT-7K2M")
ANA, BO, CY, QUA = PersonId("ANA"), PersonId("BO"), PersonId("CY"), PersonId("QUA")
SEEN, WELD, BAG = PromptId("BAG-SEEN-1"), PromptId("BAG-WELD-1"), PromptId("BAG-1")
GOOD = label_text(LabelKind.MATERIAL, "MED-7", lot="MED-7", expires=NOW + timedelta(days=30))
PART = "".join(
    f"              - {{prompt: {name}, answer: scan, expects: {expects}, text: Scan it}}\n"
    for name, expects in (("part", "assembly"), ("who", "patient"), ("line", "line"), ("again", "patient"))
)


CODES = [SeededMint(seed).fresh(IdentityCode) for seed in (1, 2)]


def directory() -> Directory:
    people = {each: replace(person(each)[0], sites=(LEEDS,)) for each in (ANA, BO, CY)}
    people[QUA] = replace(person(QUA)[0], sites=(), roles=(Role.QUALITY,))
    keys = NodeKeys(*(str(person(name)[1].verifying_key) for name in ("N1", "N2")))
    return Directory(control=keys, sites={}, people=people)


def who(name: PersonId) -> Person:
    return directory().people[name]


def pen(name: PersonId):
    return person(name)[1]


def noted(state: SiteState, payloads: list[Payload], *, at: datetime = NOW) -> SiteState:
    for payload in payloads:
        fact = encode_fact(payload, ref=FactRef("aster/LEEDS/ASTER-BIO", 0), actor=Actor.node("LEEDS"), moment=Moment(at))
        state = apply(state, decode_fact(fact))
    return state


def granted(competence: str, name: PersonId, *, until: datetime) -> tuple[tuple[PersonId, str], CompetenceGranted]:
    said = {"since": NOW - timedelta(days=400), "until": until, "basis": "TR-12"}
    digest = competence_digest(name, competence, **said)
    signature = sign(pen(QUA), who(QUA), role=Role.QUALITY, meaning=MEANINGS[Act.GRANT_COMPETENCE], at=NOW, digest=digest)
    return (name, competence), CompetenceGranted(name, competence, *said.values(), signature)


def site(asked: str = ASKED, *, batch: BatchId = BATCH) -> SiteState:
    """A site at which a batch has just asked; Ana and Bo are competent, Ana until the day after."""
    plant = load_plant(document("leeds.plant.yaml"), name="leeds")
    held = dict([granted("aseptic_connection", ANA, until=NOW + timedelta(days=1)), granted("aseptic_connection", BO, until=NOW + timedelta(days=9))])
    state = SiteState(plant, directory=directory(), competences=Competences(held))
    return begun(state, asked, batch=batch)


def begun(state: SiteState, asked: str, *, batch: BatchId) -> SiteState:
    control = replace(control_with(asked), batch=batch, lot=LotId(f"LOT-{batch.removeprefix('BAT-')}"))
    state = noted(state, engine.begin(control, sponsor=SponsorId("ASTER-BIO")))
    return noted(state, engine.step(state.batches[batch], {}, NOW))


def scan(state: SiteState, prompt: PromptId, text: str, *, batch: BatchId = BATCH, by: PersonId = ANA, now: datetime = NOW) -> list[Payload]:
    return answer_prompt(state, who(by), batch=batch, prompt=prompt, answer=text, entered=Entered.SCANNED, now=now)


# ---- scans ----


def test_the_right_label_does_the_step_and_is_the_lots_genealogy() -> None:
    state = site()
    said, used = scan(state, BAG, GOOD)
    assert (said.answer, said.entered, said.scanned) == ("MED-7", Entered.SCANNED, GOOD)
    assert used == MaterialUsed(LotId("LOT-7K2M"), BATCH, "medium", "MED-7")


def test_what_is_typed_in_place_of_a_scan_is_recorded_as_typed() -> None:
    said, _ = answer_prompt(site(), who(ANA), batch=BATCH, prompt=BAG, answer="(01)09506000134352(10)LOT7(17)261231", now=NOW)
    assert (said.answer, said.entered) == ("LOT7", Entered.TYPED)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("what is this", "it cannot be read: it is neither a GS1 element string, nor a donation number, nor a label of ours"),
        (label_text(LabelKind.SAMPLE, "SMP-1"), "it is the label of a sample, a material is asked for"),
        (label_text(LabelKind.MATERIAL, "MED-6", lot="MED-6", expires=NOW), "material MED-6 expired at 2026-03-02 06:00 UTC"),
        (label_text(LabelKind.MATERIAL, "MED-6", lot="MED-6", batch=BatchId("BAT-OTHER")), "it is of BAT-OTHER, this is BAT-7K2M"),
    ],
    ids=["unreadable", "wrong", "expired", "of another batch"],
)
def test_a_label_that_does_not_belong_here_is_refused_and_recorded_as_an_attempt(text: str, why: str) -> None:
    state = site()
    [refused] = scan(state, BAG, text)
    shown = "not a label, 12 characters" if text == "what is this" else text  # it may be a name
    assert refused == ScanRefused(BATCH, BAG, shown, Entered.SCANNED, (why,), ANA)
    after = noted(state, [refused])
    assert BAG in [asked.prompt for asked in open_prompts(after.batches[BATCH])]  # the step is not done
    assert after.batches[BATCH].talk.refused[BAG] == refused
    done = noted(after, scan(after, BAG, GOOD))
    assert BAG in done.batches[BATCH].answers


def test_a_part_that_was_used_is_refused_in_every_batch_and_at_every_step() -> None:
    state = begun(site(PART), PART, batch=BatchId("BAT-SECOND"))
    part = label_text(LabelKind.ASSEMBLY, "BAG-0042", item="TUBE-1", lot="T9")
    state = noted(state, scan(state, PromptId("PART-1"), part))
    [refused] = scan(state, PromptId("PART-1"), part, batch=BatchId("BAT-SECOND"))
    assert refused.why == ("assembly BAG-0042 is used already, in BAT-7K2M",)


def test_another_patients_label_is_refused() -> None:
    state = site(PART)
    mine, other = (label_text(LabelKind.PATIENT, code, patient=IdentityCode(code)) for code in CODES)
    state = noted(state, scan(state, PromptId("WHO-1"), mine))
    [refused] = scan(state, PromptId("AGAIN-1"), other)
    assert refused.why == ("it is another patient's",)
    assert CODES[0] not in refused.why[0]  # a refusal tells nobody whose it is
    [said] = scan(state, PromptId("AGAIN-1"), mine)
    assert isinstance(said, PromptAnswered)


def test_the_label_of_another_unit_is_refused() -> None:
    [refused] = scan(site(PART), PromptId("LINE-1"), label_text(LabelKind.LINE, "BR-51"))
    assert refused.why == ("it is the label of BR-51, this step is on BR-50",)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=450))
def test_whatever_is_scanned_is_an_answer_an_attempt_or_a_refusal(text: str) -> None:
    try:
        said = scan(STATE, BAG, text)
    except Refusal:
        return
    after = noted(STATE, said)  # it can be recorded, and folded
    assert (BAG in after.batches[BATCH].answers) == isinstance(said[0], PromptAnswered)


STATE = site()


# ---- competence, and a second person ----


def performed(state: SiteState, name: PersonId, *, now: datetime = NOW) -> list[Payload]:
    return answer_prompt(state, who(name), batch=BATCH, prompt=WELD, answer="yes", entered=Entered.CHOSEN, now=now, pen=pen(name))


def test_an_expired_competence_refuses_with_who_may_instead_without_a_link() -> None:
    later = NOW + timedelta(days=2)
    with pytest.raises(NotAllowed) as refused:
        performed(site(), ANA, now=later)
    assert "ANA lacks the competence aseptic_connection: it ended at 2026-03-03T06:00:00.000Z (EU GMP 2.10, 21 CFR 211.25(a))" in refused.value.why
    assert refused.value.possible == "ask Bo (BO)"


def test_a_grant_that_nobody_signed_makes_nobody_competent() -> None:
    state = site()
    key, grant = granted("aseptic_connection", ANA, until=NOW + timedelta(days=30))
    longer = replace(grant, until=NOW + timedelta(days=3000))  # not what quality signed
    with pytest.raises(NotAllowed, match="ANA, competence aseptic_connection: "):
        performed(replace(state, competences=Competences({**state.competences.said, key: longer})), ANA)


def test_a_clock_that_is_set_back_revives_no_competence() -> None:
    state = noted(site(), [AlarmRaised(BATCH, "", "a fact of two days later", then=Then.ALARM)], at=NOW + timedelta(days=2))
    with pytest.raises(NotAllowed, match="it ended at 2026-03-03"):
        performed(state, ANA, now=NOW)


def test_where_nobody_is_competent_the_refusal_says_so() -> None:
    with pytest.raises(NotAllowed) as refused:
        performed(site(), CY, now=NOW + timedelta(days=20))
    assert refused.value.possible == "nobody on file here can now: quality grants the competence"


def test_performer_and_witness_are_both_competent_and_both_sign_the_same_answer() -> None:
    state = noted(site(), performed(site(), ANA))
    with pytest.raises(NotAllowed, match="CY lacks the competence"):
        witness_answer(state, who(CY), batch=BATCH, prompt=WELD, now=NOW, pen=pen(CY))
    [witnessed] = witness_answer(state, who(BO), batch=BATCH, prompt=WELD, now=NOW, pen=pen(BO))
    assert isinstance(witnessed, PromptWitnessed)
    state = noted(state, [witnessed])
    first, second = state.batches[BATCH].talk.newest[WELD].signature, witnessed.signature
    assert first is not None
    assert (first.printed_name, first.meaning, first.digest) == ("Ana", "performed", second.digest)
    assert (second.printed_name, second.meaning) == ("Bo", "witnessed")
    for signature in (first, second):
        verify_signature(signature, directory())


def test_a_competence_that_ended_in_between_refuses_the_witness() -> None:
    state = noted(site(), performed(site(), BO))
    with pytest.raises(NotAllowed, match="it ended at"):
        witness_answer(state, who(ANA), batch=BATCH, prompt=WELD, now=NOW + timedelta(days=2), pen=pen(ANA))


def test_a_lot_that_is_witnessed_joins_the_genealogy_with_its_witness() -> None:
    state = site("              - {prompt: bag, answer: scan, expects: material, material: medium, text: Scan it, witness: true}\n")
    said = answer_prompt(state, who(ANA), batch=BATCH, prompt=BAG, answer=GOOD, entered=Entered.SCANNED, now=NOW, pen=pen(ANA))
    assert [type(each) for each in said] == [PromptAnswered]
    state = noted(state, said)
    witnessed = witness_answer(state, who(BO), batch=BATCH, prompt=BAG, now=NOW, pen=pen(BO))
    assert [type(each) for each in witnessed] == [PromptWitnessed, MaterialUsed]


def test_before_somebody_signs_everything_else_is_looked_at() -> None:
    state = site()
    look = {"batch": BATCH, "answer": "yes", "now": NOW, "look_only": True}
    assert answer_prompt(state, who(ANA), prompt=WELD, **look) == []
    with pytest.raises(NotAllowed, match="is to be answered first"):
        answer_prompt(state, who(ANA), prompt=PromptId("SETTLED-1"), **look)


def test_a_corrected_scan_is_looked_at_as_at_first_and_both_lots_are_in_the_genealogy() -> None:
    state = noted(site(), scan(site(), BAG, GOOD))
    how = {"batch": BATCH, "prompt": BAG, "why": "The bag was exchanged.", "now": NOW, "pen": pen(BO)}
    [refused] = correct_answer(state, who(BO), answer=label_text(LabelKind.SAMPLE, "SMP-1"), **how)
    assert isinstance(refused, ScanRefused)
    other = label_text(LabelKind.MATERIAL, "MED-8", lot="MED-8")
    said, used = correct_answer(state, who(BO), answer=other, entered=Entered.SCANNED, **how)
    assert isinstance(said, AnswerCorrected)
    assert (said.was, said.answer, used.used_lot) == ("MED-7", "MED-8", "MED-8")
    with pytest.raises(NotValid, match="signed by who gives it"):
        correct_answer(state, who(BO), answer=other, **{**how, "pen": None})


def test_a_batch_whose_picture_has_not_arrived_is_not_started() -> None:
    notes = check_pictures_are_here(control_with(), {PICTURE})
    assert [note.text for note in stops(notes)] == ["the picture of bag_seen has not arrived at this site yet"]
    assert check_pictures_are_here(control_with(), ()) == []
