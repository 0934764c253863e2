"""What a signature in a fact about authority has to be over, and which act it has to be: for verifying from files.

    fact                            act                    over
    authority.competence_granted    grant_competence       person, competence, from, until, basis; not by the holder
    authority.competence_withdrawn  withdraw_competence    person, competence, reason

Guarantees: the digests are recomputed from the noted fields.
Leaves to others: whether the signature verifies, and where the fact may stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from isogenic.authority.competence import CompetenceGranted, CompetenceWithdrawn, competence_digest, withdrawal_digest
from isogenic.authority.rules import Act
from isogenic.ids import PersonId
from isogenic.records.facts import Payload
from isogenic.records.signatures import Signature

__all__ = ["KINDS", "Signed", "signed_in"]

KINDS = frozenset({"authority.competence_granted", "authority.competence_withdrawn"})


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature of a fact, and what it must be."""

    signature: Signature
    act: Act
    digest: str
    author: PersonId | None = None  # who may not have signed: whose work it is


def signed_in(payload: Payload) -> Iterator[Signed]:
    """What was signed, of a fact about authority; nothing of any other."""
    match payload:
        case CompetenceGranted(person, competence, since, until, basis, signature):
            digest = competence_digest(person, competence, since=since, until=until, basis=basis)
            yield Signed(signature, Act.GRANT_COMPETENCE, digest, author=person)
        case CompetenceWithdrawn(person, competence, why, signature):
            yield Signed(signature, Act.WITHDRAW_COMPETENCE, withdrawal_digest(person, competence, why=why))
