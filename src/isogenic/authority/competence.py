"""Who is trained for what, until when: competences as signed facts of the control site, read at every site, offline too.

    CompetenceGranted      somebody else than the holder says, by signature, that a person can do something until a day
    CompetenceWithdrawn    ... and no longer

A competence is a word that recipes and the master file use, as `aseptic_connection`. It always ends: training is renewed
(EU GMP 2.10, 2.11; 21 CFR 211.25(a)). What is asked for and not on file is lacking; nothing is assumed.

Guarantees: `apply` takes the facts in the order of one ledger; only the newest word on a person and a competence counts.
`check_is_competent` gives a note for every competence that is lacking, with its clause.
Leaves to others: who may grant (rules), whether a signature verifies (`check_competence_is_signed`: the gate calls it),
which competence an act needs (recipes, the master file).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType

from isogenic.checks import Note, Severity
from isogenic.clock import text_of_time
from isogenic.errors import NotValid
from isogenic.ids import PersonId
from isogenic.records import codec
from isogenic.records.facts import Payload, fact
from isogenic.records.signatures import Signature

__all__ = [
    "CompetenceGranted",
    "CompetenceWithdrawn",
    "Competences",
    "apply",
    "check_is_competent",
    "competence_digest",
    "competence_word",
    "withdrawal_digest",
]

CLAUSE = "EU GMP 2.10, 21 CFR 211.25(a)"
BASIS_MAX = 300  # characters: which training, which record
_WORD = re.compile(r"[a-z][a-z0-9_]{0,59}")


def competence_word(text: str) -> str:
    """The name of a competence, or `NotValid`."""
    if not isinstance(text, str) or not _WORD.fullmatch(text):
        raise NotValid(f"cannot read {str(text)[:60]!r} as a competence", why="the form is lower_case words, 1 to 60 signs")
    return text


def _line(text: str, *, what: str) -> None:
    if not text.strip() or len(text) > BASIS_MAX or not text.isprintable():
        raise NotValid(f"cannot note {what}", why=f"its reason is one line of 1 to {BASIS_MAX} printable characters")


@fact("authority.competence_granted", subject="person")
@dataclass(frozen=True, slots=True)
class CompetenceGranted:
    """A person is competent for something from a day until a day; somebody else says so, by signature."""

    person: PersonId
    competence: str
    since: datetime
    until: datetime
    basis: str  # the training, and where its record is
    signature: Signature

    def __post_init__(self) -> None:
        competence_word(self.competence)
        _line(self.basis, what="a competence")
        if self.until <= self.since:
            raise NotValid("cannot note a competence", why="it ends before it begins")


@fact("authority.competence_withdrawn", subject="person")
@dataclass(frozen=True, slots=True)
class CompetenceWithdrawn:
    """A person is no longer competent for something, whatever was granted before."""

    person: PersonId
    competence: str
    why: str
    signature: Signature

    def __post_init__(self) -> None:
        competence_word(self.competence)
        _line(self.why, what="a withdrawal")


def competence_digest(person: PersonId, competence: str, *, since: datetime, until: datetime, basis: str) -> str:
    """What is signed by who grants."""
    said = {"person": str(person), "competence": competence, "since": text_of_time(since), "until": text_of_time(until), "basis": basis}
    return sha256(b"isogenic-competence/1\n" + codec.dumps(said)).hexdigest()


def withdrawal_digest(person: PersonId, competence: str, *, why: str) -> str:
    """What is signed by who withdraws."""
    said = {"person": str(person), "competence": competence, "why": why}
    return sha256(b"isogenic-competence-withdrawn/1\n" + codec.dumps(said)).hexdigest()


@dataclass(frozen=True, slots=True)
class Competences:
    """The newest word on each person and competence."""

    said: Mapping[tuple[PersonId, str], CompetenceGranted | CompetenceWithdrawn] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, person: PersonId) -> dict[str, CompetenceGranted | CompetenceWithdrawn]:
        """What was said of one person, by competence."""
        return {competence: said for (who, competence), said in sorted(self.said.items()) if who == person}

    def lacks(self, person: PersonId, competence: str, now: datetime) -> str:
        """Why a person is not competent now; empty where they are."""
        match self.said.get((person, competence)):
            case None:
                return "nobody has granted it"
            case CompetenceWithdrawn(why=why):
                return f"it was withdrawn: {why}"
            case CompetenceGranted(since=since) if now < since:
                return f"it begins at {text_of_time(since)}"
            case CompetenceGranted(until=until) if now >= until:
                return f"it ended at {text_of_time(until)}"
        return ""


def apply(held: Competences, payload: Payload) -> Competences:
    """The competences after one more fact of the control site."""
    if isinstance(payload, CompetenceGranted | CompetenceWithdrawn):
        return Competences({**held.said, (payload.person, payload.competence): payload})
    return held


def check_is_competent(person: PersonId, needed: Collection[str], *, held: Competences, now: datetime) -> list[Note]:
    """The person holds every competence that is needed, now."""
    check = "check_is_competent"
    lacking = [(each, why) for each in sorted(set(needed)) if (why := held.lacks(person, each, now))]
    if lacking:
        return [Note(check, Severity.STOP, f"{person} lacks the competence {each}: {why} ({CLAUSE})", "quality") for each, why in lacking]
    return [Note(check, Severity.GOOD, f"{person} is competent for {', '.join(sorted(set(needed)))}" if needed else "no competence is asked for")]
