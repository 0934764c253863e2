"""Signatures under people's steps, held against what their facts say, as a stranger does from files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from asked_recipe import control_with, signs
from isogenic.batches import engine, prompts
from isogenic.batches.facts import AnswerCorrected, PromptAnswered, PromptWitnessed
from isogenic.batches.state import BatchState, apply
from isogenic.checks import Note, stops
from isogenic.clock import Moment
from isogenic.ids import PersonId, PromptId, SponsorId
from isogenic.quality.signed import check_signed_facts
from isogenic.records.facts import Actor, Fact, FactRef, decode_fact, encode_fact

NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
WELD, WEIGHT = PromptId("WELD-1"), PromptId("WEIGHT-1")
ANA, BO = PersonId("ANA"), PersonId("BO")
ASKED = """\
              - {prompt: weld, answer: confirm, text: The bag is welded on, witness: true}
              - {prompt: weight, answer: number, unit: kg, text: Weight of the bag}
"""


class Book:
    """A ledger of one batch, through its bytes."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.state: BatchState | None = None
        self.note(engine.begin(control_with(ASKED), sponsor=SponsorId("ASTER-BIO")))
        assert self.state is not None
        self.note(engine.step(self.state, {}, NOW))

    @property
    def batch(self) -> BatchState:
        assert self.state is not None
        return self.state

    def note(self, payloads: list) -> None:
        for payload in payloads:
            ref = FactRef("aster/LEEDS/ASTER-BIO", len(self.facts))
            self.facts.append(decode_fact(encode_fact(payload, ref=ref, actor=Actor.node("LEEDS"), moment=Moment(NOW))))
            self.state = apply(self.state, self.facts[-1])

    def with_(self, kind: type, **changed: object) -> list[Fact]:
        """The same ledger with one fact of this kind otherwise."""
        found: list[Fact] = []
        for fact in self.facts:
            payload = replace(fact.payload, **changed) if isinstance(fact.payload, kind) and fact.payload.prompt != WEIGHT else fact.payload
            found.append(decode_fact(encode_fact(payload, ref=fact.ref, actor=fact.actor, moment=fact.moment)))
        return found


@pytest.fixture
def book() -> Book:
    book = Book()
    book.note(prompts.answer(book.batch, WELD, "yes", by=ANA, now=NOW, signs=signs("ANA", "performed", NOW)))
    book.note(prompts.witness(book.batch, WELD, by=BO, signs=signs("BO", "witnessed", NOW)))
    book.note(prompts.answer(book.batch, WEIGHT, "51", by=ANA))
    book.note(prompts.correct(book.batch, WEIGHT, "15", why="A slip.", by=ANA, signs=signs("ANA", "corrected", NOW)))
    return book


def said(notes: list[Note]) -> str:
    return "; ".join(note.text for note in stops(notes))


def test_steps_that_were_signed_say_what_was_signed(book: Book) -> None:
    [note] = check_signed_facts(book.facts)
    assert note.text == "3 signed facts say what was signed"


def test_an_answer_that_was_changed_after_it_was_signed_is_found(book: Book) -> None:
    assert "is over something else than the fact says" in said(check_signed_facts(book.with_(PromptAnswered, answer="other")))
    assert "it witnesses an answer that is not in these ledgers" in said(check_signed_facts(book.with_(PromptAnswered, answer="other")))


def test_a_signature_that_was_cut_out_is_missed(book: Book) -> None:
    assert "nobody signed it" in said(check_signed_facts(book.with_(PromptAnswered, signature=None)))


def test_who_is_said_to_have_done_it_is_who_signed(book: Book) -> None:
    assert "it is signed by ANA, and says that BO did it" in said(check_signed_facts(book.with_(PromptAnswered, by=BO)))


def test_a_witness_of_ones_own_work_is_found_in_the_files(book: Book) -> None:
    first = next(fact.payload for fact in book.facts if isinstance(fact.payload, PromptAnswered))
    own = signs("ANA", "witnessed", NOW)(first.signature.digest)
    assert "ANA witnessed what ANA did" in said(check_signed_facts(book.with_(PromptWitnessed, by=ANA, signature=own)))


def test_a_signature_that_means_something_else_witnesses_nothing(book: Book) -> None:
    first = next(fact.payload for fact in book.facts if isinstance(fact.payload, PromptAnswered))
    other = signs("BO", "performed", NOW)(first.signature.digest)
    assert "means 'performed', not witnessed" in said(check_signed_facts(book.with_(PromptWitnessed, signature=other)))


def test_a_correction_of_what_nobody_said_is_found(book: Book) -> None:
    facts = [fact for fact in book.facts if not (isinstance(fact.payload, PromptAnswered) and fact.payload.prompt == WEIGHT)]
    assert "it corrects an answer that is not in these ledgers" in said(check_signed_facts(facts))
    assert [type(fact.payload) for fact in facts][-1] is AnswerCorrected
