"""Questions to people: kinds, timers, a second person, corrections."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asked_floor import asked_floor, pen
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_floor import Floor

from asked_recipe import NAMES, PICTURE
from isogenic.batches.facts import AnswerCorrected, Entered, PromptAnswered, PromptAsked, PromptOverdue, PromptWitnessed
from isogenic.batches.prompts import ANSWER_MAX, answer, correct, decline, open_prompts, waiting_for_witness, window, withdraw, witness
from isogenic.batches.talk import answer_digest
from isogenic.errors import NotAllowed, NotFound, NotValid, Refusal
from isogenic.ids import PersonId, PromptId
from isogenic.recipes.model import PLAIN, Answer
from isogenic.records import codec
from isogenic.records.facts import Actor, FactRef, decode_fact, encode_fact

SEEN, WELD, SETTLED, BAG = map(PromptId, NAMES)
ANA, BO = PersonId("ANA"), PersonId("BO")


def weld(floor: Floor, *, by: str = "ANA") -> None:
    floor.note(answer(floor.batch, WELD, "yes", by=PersonId(by), entered=Entered.CHOSEN, now=floor.now, signs=pen(floor, by, "performed")))


def seen(floor: Floor, *, by: str = "BO") -> None:
    floor.note(witness(floor.batch, WELD, by=PersonId(by), signs=pen(floor, by, "witnessed")))


def waits(floor: Floor) -> list[str]:
    return [str(asked.prompt) for asked in open_prompts(floor.batch)]


def test_the_question_is_asked_whole() -> None:
    asked = {fact.payload.prompt: fact.payload for fact in asked_floor().facts if isinstance(fact.payload, PromptAsked)}
    assert list(asked) == [SEEN, WELD, SETTLED, BAG]
    assert (asked[SEEN].kind, asked[SEEN].how.choices, asked[SEEN].how.picture) == (Answer.CHOICE, ("clear", "cloudy"), PICTURE)
    assert (asked[WELD].how.witness, asked[WELD].how.competence) == (True, "aseptic_connection")
    assert (asked[BAG].how.expects, asked[BAG].how.material) == ("material", "medium")
    timer = asked[SETTLED].timer
    assert timer is not None
    assert (timer.earliest_min, timer.latest_min, timer.after) == (10.0, 15.0, "bag_weld")


def test_a_choice_takes_one_of_its_choices_and_nothing_else() -> None:
    floor = asked_floor()
    with pytest.raises(NotValid) as refused:
        answer(floor.batch, SEEN, "green", by=ANA)
    assert (refused.value.why, refused.value.possible) == ("it is none of the choices", "clear, cloudy")
    [said] = answer(floor.batch, SEEN, "CLEAR", by=ANA, entered=Entered.CHOSEN)
    assert (said.answer, said.entered) == ("clear", Entered.CHOSEN)


def test_what_is_witnessed_is_signed_by_who_did_it() -> None:
    floor = asked_floor()
    with pytest.raises(NotValid, match="signed by who gives it"):
        answer(floor.batch, WELD, "yes", by=ANA, now=floor.now)


def test_an_answer_that_wants_a_witness_counts_once_a_second_person_has_signed() -> None:
    floor = asked_floor()
    weld(floor)
    assert (WELD in floor.batch.answers, str(WELD) in waits(floor), list(waiting_for_witness(floor.batch))) == (False, True, [WELD])
    floor.kill()  # and it still waits after a restart
    seen(floor)
    assert (floor.batch.answers[WELD].by, floor.batch.talk.witnesses[WELD].by, str(WELD) in waits(floor)) == (ANA, BO, False)
    first, second = (fact.payload for fact in floor.facts[-2:])
    assert isinstance(first, PromptAnswered)
    assert isinstance(second, PromptWitnessed)
    assert first.signature is not None
    assert first.signature.digest == second.signature.digest == second.answered == answer_digest(first)


def test_the_witness_is_not_the_first() -> None:
    floor = asked_floor()
    weld(floor)
    with pytest.raises(NotAllowed) as refused:
        seen(floor, by="ANA")
    assert refused.value.why == "ANA did it: a second person verifies it (21 CFR 211.101(d))"


def test_nothing_is_witnessed_that_nobody_has_done() -> None:
    floor = asked_floor()
    with pytest.raises(NotAllowed, match="nothing waits there"):
        seen(floor)


def test_an_answer_that_waits_for_its_witness_is_not_given_twice() -> None:
    floor = asked_floor()
    weld(floor)
    with pytest.raises(NotAllowed, match="ANA has, and it waits for a witness"):
        weld(floor, by="BO")


def test_a_witness_who_did_not_find_it_so_opens_the_question_again() -> None:
    floor = asked_floor()
    weld(floor)
    with pytest.raises(NotValid, match="it takes a reason"):
        decline(floor.batch, WELD, by=BO, why=" ")
    floor.note(decline(floor.batch, WELD, by=BO, why="The clamp was closed."))
    assert (waiting_for_witness(floor.batch), str(WELD) in waits(floor), floor.batch.talk.declined[WELD].why) == ({}, True, "The clamp was closed.")
    weld(floor, by="BO")
    seen(floor, by="ANA")
    assert floor.batch.answers[WELD].by == BO


def test_a_wait_cannot_be_confirmed_before_it_is_over() -> None:
    floor = asked_floor()
    with pytest.raises(NotAllowed, match="BAG-WELD-1 is to be answered first"):
        answer(floor.batch, SETTLED, "yes", by=ANA, now=floor.now)
    weld(floor)
    seen(floor)
    floor.now += timedelta(minutes=9, seconds=30)
    with pytest.raises(NotAllowed) as refused:
        answer(floor.batch, SETTLED, "yes", by=ANA, now=floor.now)
    assert refused.value.why == "it takes 10 min; 30 s are left"
    floor.kill()  # a restart shortens no wait
    floor.now += timedelta(seconds=30)
    [said] = answer(floor.batch, SETTLED, "yes", by=ANA, now=floor.now)
    assert said.answer == "confirmed"


def test_a_timer_follows_the_clock_as_it_is_corrected() -> None:
    from isogenic.batches.facts import ClockCorrected

    floor = asked_floor()
    weld(floor)
    seen(floor)
    opens = window(floor.batch, floor.batch.asked[SETTLED]).opens
    floor.now += timedelta(hours=2)
    floor.note([ClockCorrected(floor.batch.batch, 7200.0)])
    assert opens is not None
    assert window(floor.batch, floor.batch.asked[SETTLED]).opens == opens + timedelta(hours=2)


def test_a_wait_begins_when_the_step_was_done_not_when_it_was_witnessed() -> None:
    floor = asked_floor()
    weld(floor)
    done = floor.now
    floor.now += timedelta(minutes=4)
    seen(floor)
    opens = window(floor.batch, floor.batch.asked[SETTLED])
    assert (opens.opens, opens.closes) == (done + timedelta(minutes=10), done + timedelta(minutes=15))


def test_a_time_that_has_passed_is_told_once_and_the_answer_is_still_taken() -> None:
    floor = asked_floor()
    weld(floor)
    seen(floor)
    floor.now += timedelta(minutes=16)
    told = [each for _ in range(3) for each in floor.scan(hours=0.1) if isinstance(each, PromptOverdue)]
    assert [each.what for each in told] == ["SETTLED-1 was not answered within 15 min"]
    floor.note(answer(floor.batch, SETTLED, "yes", by=ANA, now=floor.now))
    assert str(SETTLED) not in waits(floor)


def test_a_correction_names_the_old_answer_with_reason_and_signer_and_the_old_one_stays() -> None:
    floor = asked_floor()
    floor.note(answer(floor.batch, SEEN, "clear", by=ANA))
    old = floor.batch.talk.newest[SEEN]
    floor.note(correct(floor.batch, SEEN, "cloudy", why="Looked at the wrong bag.", by=BO, signs=pen(floor, "BO", "corrected")))
    put_right = floor.facts[-1].payload
    assert isinstance(put_right, AnswerCorrected)
    assert (put_right.corrects, put_right.was, put_right.answer, put_right.why) == (answer_digest(old), "clear", "cloudy", "Looked at the wrong bag.")
    assert put_right.signature is not None
    assert put_right.signature.digest == answer_digest(put_right)
    assert floor.batch.answers[SEEN].answer == "cloudy"
    assert [fact.payload.answer for fact in floor.facts if isinstance(fact.payload, PromptAnswered)] == ["clear"]


def test_a_correction_of_what_was_witnessed_waits_for_a_witness_and_the_old_answer_holds_until_then() -> None:
    floor = asked_floor("""\
              - {prompt: weight, answer: number, unit: kg, low: 1, high: 60, text: Weight of the bag, witness: true}
""")
    weight = PromptId("WEIGHT-1")
    floor.note(answer(floor.batch, weight, "5.1", by=ANA, signs=pen(floor, "ANA", "performed")))
    floor.note(witness(floor.batch, weight, by=BO, signs=pen(floor, "BO", "witnessed")))
    floor.note(correct(floor.batch, weight, "51", why="A slip.", by=ANA, signs=pen(floor, "ANA", "corrected")))
    assert (floor.batch.answers[weight].answer, list(waiting_for_witness(floor.batch))) == ("5.1", [weight])
    floor.note(witness(floor.batch, weight, by=BO, signs=pen(floor, "BO", "witnessed")))
    assert (floor.batch.answers[weight].answer, list(waiting_for_witness(floor.batch))) == ("51", [])


@pytest.mark.parametrize(
    ("text", "why", "words"),
    [("clear", "a slip", "already"), ("green", "a slip", "none of the choices"), ("cloudy", "", "reason"), ("cloudy", "two\nlines", "one line")],
)
def test_a_correction_that_corrects_nothing_or_has_no_reason_is_refused(text: str, why: str, words: str) -> None:
    floor = asked_floor()
    floor.note(answer(floor.batch, SEEN, "clear", by=ANA))
    with pytest.raises(NotValid, match=words):
        correct(floor.batch, SEEN, text, why=why, by=ANA, signs=pen(floor, "ANA", "corrected"))


def test_what_was_not_answered_or_not_asked_is_not_corrected() -> None:
    floor = asked_floor()
    with pytest.raises(NotAllowed, match="no answer in force"):
        correct(floor.batch, SEEN, "clear", why="a slip", by=ANA, signs=None)
    with pytest.raises(NotFound):
        correct(floor.batch, PromptId("X"), "clear", why="a slip", by=ANA, signs=None)


def test_yesterdays_questions_and_answers_are_read_today() -> None:
    floor = asked_floor()
    new = answer(floor.batch, SEEN, "clear", by=ANA)[0]
    body = encode_fact(new, ref=FactRef("leeds.example/aster", 9), actor=Actor.node("LEEDS"), moment=floor.facts[0].moment)
    plain = codec.loads(body)
    plain["body"] = {name: plain["body"][name] for name in ("batch", "prompt", "answer", "by")}
    plain["v"] = 1
    read = decode_fact(codec.dumps(plain)).payload
    assert read == PromptAnswered(new.batch, SEEN, "clear", ANA)
    asked = codec.loads(floor.ledger[next(at for at, fact in enumerate(floor.facts) if isinstance(fact.payload, PromptAsked))])
    asked["body"] = {name: value for name, value in asked["body"].items() if name not in ("how", "timer")}
    asked["v"] = 1
    assert decode_fact(codec.dumps(asked)).payload.how == PLAIN


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=ANSWER_MAX + 5), scanned=st.text(max_size=500))
def test_whatever_is_given_becomes_an_answer_that_can_be_recorded_or_a_refusal(text: str, scanned: str) -> None:
    for prompt in (SEEN, BAG):
        try:
            said = answer(FLOOR.batch, prompt, text, by=ANA, scanned=scanned)
        except Refusal:
            continue
        [noted] = said
        assert 1 <= len(noted.answer) <= ANSWER_MAX
        assert (noted.answer + noted.scanned).isprintable()


FLOOR = asked_floor()


def test_what_was_not_done_after_all_is_taken_back_and_asked_again() -> None:
    floor = asked_floor()
    weld(floor)
    seen(floor)
    with pytest.raises(NotValid, match="it takes a reason"):
        withdraw(floor.batch, WELD, why="", by=BO, signs=pen(floor, "BO", "corrected"))
    floor.note(withdraw(floor.batch, WELD, why="Pressed by mistake.", by=BO, signs=pen(floor, "BO", "corrected")))
    assert (str(WELD) in waits(floor), WELD in floor.batch.answers, window(floor.batch, floor.batch.asked[SETTLED]).opens) == (True, False, None)
    floor.kill()
    weld(floor)
    seen(floor)
    assert WELD in floor.batch.answers


def test_what_the_process_went_on_upon_is_not_taken_back() -> None:
    floor = asked_floor("              - {prompt: bag, answer: confirm, text: The bag is connected}\n")
    bag = PromptId("BAG-1")
    floor.note(answer(floor.batch, bag, "yes", by=ANA))
    for _ in range(9):
        floor.scan()
    with pytest.raises(NotAllowed, match="its phase is over"):
        withdraw(floor.batch, bag, why="Pressed by mistake.", by=ANA, signs=pen(floor, "ANA", "corrected"))
