"""Competence: granted by somebody else, until a day; what is not on file is lacking."""

from datetime import timedelta

import pytest
from house import NOW, of, signer

from isogenic.authority.competence import (
    CompetenceGranted,
    Competences,
    CompetenceWithdrawn,
    apply,
    check_is_competent,
    competence_digest,
    competence_word,
    withdrawal_digest,
)
from isogenic.authority.people import Role
from isogenic.authority.signatures import sign
from isogenic.checks import stops
from isogenic.errors import NotValid
from isogenic.ids import PersonId

OLA, INES = PersonId("OLA-BERG"), "INES-DUARTE"
YEAR = timedelta(days=365)


def granted(competence="aseptic_connection", *, since=NOW, until=NOW + YEAR):
    digest = competence_digest(OLA, competence, since=since, until=until, basis="TR-014")
    return CompetenceGranted(
        OLA, competence, since, until, "TR-014", sign(signer(INES), of(INES), role=Role.QUALITY, meaning="competence granted", at=NOW, digest=digest)
    )


def withdrawn(competence="aseptic_connection"):
    digest = withdrawal_digest(OLA, competence, why="media fill failed")
    signature = sign(signer(INES), of(INES), role=Role.QUALITY, meaning="competence withdrawn", at=NOW, digest=digest)
    return CompetenceWithdrawn(OLA, competence, "media fill failed", signature)


def held(*said):
    found = Competences()
    for each in said:
        found = apply(found, each)
    return found


def lacking(*said, needed=("aseptic_connection",), at=NOW):
    return [note.text for note in stops(check_is_competent(OLA, needed, held=held(*said), now=at))]


def test_who_was_granted_a_competence_has_it_until_its_day():
    assert lacking(granted()) == []
    assert lacking(granted(), at=NOW + YEAR - timedelta(milliseconds=1)) == []
    assert lacking(granted(), at=NOW + YEAR) == [
        "OLA-BERG lacks the competence aseptic_connection: it ended at 2027-11-23T11:22:56.123Z (EU GMP 2.10, 21 CFR 211.25(a))"
    ]


def test_before_its_day_a_competence_does_not_count():
    assert lacking(granted(since=NOW + timedelta(days=1))) == [
        "OLA-BERG lacks the competence aseptic_connection: it begins at 2026-11-24T11:22:56.123Z (EU GMP 2.10, 21 CFR 211.25(a))"
    ]


def test_what_nobody_granted_is_lacking_and_every_lack_is_named():
    assert [text.partition(":")[0] for text in lacking(granted(), needed=["viable_count", "aseptic_connection", "sterile_filling"])] == [
        "OLA-BERG lacks the competence sterile_filling",
        "OLA-BERG lacks the competence viable_count",
    ]


def test_a_withdrawn_competence_is_lacking_until_it_is_granted_again():
    assert "it was withdrawn: media fill failed" in lacking(granted(), withdrawn())[0]
    assert lacking(granted(), withdrawn(), granted()) == []


def test_somebody_elses_competence_is_nobody_elses():
    assert stops(check_is_competent(PersonId("ANA-LIST"), ["aseptic_connection"], held=held(granted()), now=NOW))


def test_nothing_asked_for_is_nothing_lacking():
    assert lacking(needed=()) == []


@pytest.mark.parametrize("word", ["", "Aseptic", "aseptic connection", "1st", "a" * 61, "ä"])
def test_a_competence_is_a_word(word):
    with pytest.raises(NotValid):
        competence_word(word)


def test_a_competence_that_ends_before_it_begins_is_none():
    with pytest.raises(NotValid):
        granted(until=NOW)
