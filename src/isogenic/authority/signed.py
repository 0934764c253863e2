"""What a signature in a fact about authority has to be over, and which act it has to be: at the gate, and from files.

    fact                              act                      over
    authority.competence_granted      grant_competence         person, competence, from, until, basis; not by the holder
    authority.competence_withdrawn    withdraw_competence      person, competence, reason
    authority.master_file_approved    author, or approve       digest of the text
    authority.master_file_published   both, by two people      digest of the text that the fact holds
    authority.licence_applied         apply_licence            licence, site, master file, product, reference, reason
    authority.licence_changed         the command's            licence, site, number of the change, reason
    authority.commitments_published   publish_commitments      digest of the text that the fact holds

Guarantees: the digests are recomputed from the noted fields; `wrong_in` also asks the directory whether each signature
verifies and the role was one that may.
Leaves to others: where the fact may stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from isogenic.authority.commitments import CommitmentsPublished
from isogenic.authority.competence import CompetenceGranted, CompetenceWithdrawn, competence_digest, withdrawal_digest
from isogenic.authority.licences import ACTS, Command, LicenceApplied, LicenceChanged, about_application, licence_digest
from isogenic.authority.master_file import MasterFileApproved, MasterFilePublished, file_digest
from isogenic.authority.people import Directory
from isogenic.authority.rules import Act, roles_that_may
from isogenic.authority.signatures import MEANINGS, verify_signature
from isogenic.errors import NotTrusted
from isogenic.ids import PersonId
from isogenic.records.facts import Payload
from isogenic.records.signatures import Signature

__all__ = ["KINDS", "Signed", "signed_in", "two_signed", "wrong_in"]

KINDS = frozenset(
    {
        "authority.commitments_published",
        "authority.competence_granted",
        "authority.competence_withdrawn",
        "authority.licence_applied",
        "authority.licence_changed",
        "authority.master_file_approved",
        "authority.master_file_published",
    }
)
FOR_FILES = (Act.AUTHOR_MASTER_FILE, Act.APPROVE_MASTER_FILE)


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature of a fact, and what it must be."""

    signature: Signature
    acts: tuple[Act, ...]  # one of these
    digest: str
    author: PersonId | None = None  # who may not have signed: whose work it is


def signed_in(payload: Payload) -> Iterator[Signed]:
    """What was signed, of a fact about authority; nothing of any other."""
    match payload:
        case CompetenceGranted(person, competence, since, until, basis, signature):
            digest = competence_digest(person, competence, since=since, until=until, basis=basis)
            yield Signed(signature, (Act.GRANT_COMPETENCE,), digest, author=person)
        case CompetenceWithdrawn(person, competence, why, signature):
            yield Signed(signature, (Act.WITHDRAW_COMPETENCE,), withdrawal_digest(person, competence, why=why))
        case MasterFileApproved():
            yield Signed(payload.signature, FOR_FILES, payload.digest)
        case MasterFilePublished():
            yield from (Signed(each, FOR_FILES, file_digest(payload.text)) for each in payload.approvals)
        case LicenceApplied():
            digest = licence_digest(payload.licence, Command.APPLY, site=payload.site, number=0, why=payload.why, about=about_application(payload))
            yield Signed(payload.signature, (Act.APPLY_LICENCE,), digest)
        case LicenceChanged():
            digest = licence_digest(payload.licence, payload.command, site=payload.site, number=payload.number, why=payload.why)
            yield Signed(payload.signature, (ACTS[payload.command],), digest)
        case CommitmentsPublished():
            yield Signed(payload.signature, (Act.PUBLISH_COMMITMENTS,), file_digest(payload.text))


def two_signed(payload: Payload) -> Iterator[str]:
    """What is missing where a fact needs two people."""
    if isinstance(payload, MasterFilePublished):
        if payload.digest != file_digest(payload.text):
            yield "its text is not the one that its digest names"
        if {each.meaning for each in payload.approvals} != {MEANINGS[act] for act in FOR_FILES}:
            yield "an author and an approver must have signed"
        if len({each.person for each in payload.approvals}) < len(FOR_FILES):
            yield "two different people must have signed"


def wrong_in(payload: Payload, directory: Directory) -> Iterator[str]:
    """Why the signatures of a fact do not carry it; nothing where they do."""
    for each in signed_in(payload):
        signature = each.signature
        try:
            verify_signature(signature, directory)
        except NotTrusted as trouble:
            yield str(trouble)
            continue
        act = next((one for one in each.acts if MEANINGS[one] == signature.meaning), None)
        if act is None or signature.role not in roles_that_may(act):
            yield f"{signature.printed_name} signed as {signature.role}, meaning {signature.meaning!r}: that does not {each.acts[-1].words}"
        if signature.digest != each.digest:
            yield f"the signature of {signature.printed_name} is over something else"
        if each.author == signature.person:
            yield f"{signature.printed_name} signed for their own work"
    yield from two_signed(payload)
