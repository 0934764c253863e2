"""Deviations: opened with evidence, disposed of once, by a person who may."""

from dataclasses import replace

import pytest
from lot_story import BATCH, DEVIATION, DIRECTORY, LOT, NOW, OPENED, REASON, SITE, disposed, signed

from isogenic.authority.people import Role
from isogenic.errors import NotAllowed, NotTrusted, NotValid
from isogenic.ids import PersonId
from isogenic.quality.deviations import (
    NEXT,
    Deviation,
    DeviationCommand,
    DeviationState,
    Disposition,
    Origin,
    Severity,
    dispose,
    disposition_digest,
    open_from_finding,
)

OPEN = Deviation(OPENED)


def ask(deviation=OPEN, disposition=Disposition.ACCEPT, reason=REASON, signature=None, operators=()):
    signature = signature or signed("INES-DUARTE", Role.QUALITY, "disposed", disposition_digest(deviation.opened, disposition, reason))
    return dispose(deviation, disposition, justification=reason, signature=signature, directory=DIRECTORY, operators=operators)


def test_every_state_has_its_row():
    assert NEXT == {DeviationState.OPEN: {DeviationCommand.DISPOSE: DeviationState.DISPOSED}, DeviationState.DISPOSED: {}}


@pytest.mark.parametrize("disposition", Disposition)
def test_an_open_deviation_is_disposed_of_by_signature(disposition):
    done = ask(disposition=disposition)
    assert (done.deviation, done.disposition, done.justification) == (DEVIATION, disposition, REASON)
    assert Deviation(OPENED, done).state == DeviationState.DISPOSED


def test_a_deviation_is_disposed_of_once():
    with pytest.raises(NotAllowed, match="it is disposed; possible now: open another deviation that names this one"):
        ask(Deviation(OPENED, disposed()))


@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 501, "a\x00b"])
def test_a_disposition_has_a_justification(reason):
    with pytest.raises(NotValid, match="justification"):
        ask(reason=reason)


def test_a_signature_over_another_disposition_is_not_trusted():
    other = signed("INES-DUARTE", Role.QUALITY, "disposed", disposition_digest(OPENED, Disposition.REJECT, REASON))
    with pytest.raises(NotTrusted, match="changed since it was shown"):
        ask(signature=other)
    changed = replace(OPENED, severity=Severity.CRITICAL)
    with pytest.raises(NotTrusted):
        ask(Deviation(changed), signature=signed("INES-DUARTE", Role.QUALITY, "disposed", disposition_digest(OPENED, Disposition.ACCEPT, REASON)))


def test_who_ran_the_batch_does_not_dispose_of_its_deviation():
    with pytest.raises(NotAllowed, match="who ran the batch does not judge it"):
        ask(operators=[PersonId("INES-DUARTE")])


def test_an_operator_does_not_dispose_of_a_deviation():
    signature = signed("OLA-BERG", Role.OPERATOR, "disposed", disposition_digest(OPENED, Disposition.ACCEPT, REASON))
    with pytest.raises(NotAllowed, match="it takes the role quality or qualified person"):
        ask(signature=signature)


@pytest.mark.parametrize(("finding", "statement"), [("x" * 900, "x" * 499 + "…"), ("", "no statement was given"), (" a\n\x00b ", "a b")])
def test_a_deviation_never_fails_to_open_for_its_wording(finding, statement):
    opened = open_from_finding(
        DEVIATION,
        finding,
        batch=BATCH,
        lot=LOT,
        site=SITE,
        origin=Origin.PERSON,
        severity=Severity.MAJOR,
        evidence={str(at): "y" * 900 for at in range(90)},
        detected_at=NOW,
    )
    assert opened.statement == statement
    assert len(opened.evidence) == 40 and set(map(len, opened.evidence.values())) == {500}
