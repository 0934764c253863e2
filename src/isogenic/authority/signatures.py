"""A person's signature: what is signed, and whether to believe it.

What is signed is this text, UTF-8, each line ended by one line feed:

    isogenic-signature/1        /2 by a passkey
    PERSON          the id on file
    ROLE            in which the person signs
    MEANING         for example released
    AT              RFC 3339, UTC, milliseconds
    DIGEST          hex SHA-256 of the bytes of the thing that is signed
    NONCE           /2 only: 16 random bytes, hex, so that nobody can have it signed in advance

With a password, the personal key that it opens signs the text. With a passkey, the SHA-256 of
the text is the challenge that the authenticator signs: the signature is bound to the thing
itself, not to a session in which somebody clicked.

Guarantees: a signature that verifies was made with the key or the passkey on file for that very
person, over this role, meaning, time and digest, and is shown with a printed name on file.
Leaves to others: whether the person may sign it (rules), what the digest covers (each room).
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from isogenic.authority.identities import KeyReplaced, PasskeyRemoved, follow
from isogenic.authority.passkeys import verify_evidence
from isogenic.authority.people import Directory, DirectoryPublished, Passkey, Person, Role
from isogenic.authority.rules import Act, require, roles_that_may
from isogenic.checks import Note, Severity
from isogenic.clock import text_of_time, time_of_text
from isogenic.errors import NotAllowed, NotTrusted, NotValid
from isogenic.ids import PersonId, SiteId
from isogenic.records.dossier import CONTROL, Key, KeyRole, written_by
from isogenic.records.facts import Fact, UnknownPayload
from isogenic.records.notes import Signer, VerifyingKey
from isogenic.records.signatures import PASSKEY, PASSWORD, PasskeyEvidence, Signature

__all__ = [
    "MEANINGS",
    "MEANING_MAX",
    "Intent",
    "PasskeyPen",
    "Pen",
    "accept_signature",
    "check_every_signature",
    "check_is_current",
    "holds_signature",
    "passkey_statement",
    "sign",
    "signatures_in",
    "statement",
    "verify_signature",
]

# 21 CFR 11.50(a)(3): the meaning of a signature is one of a few words, the same on screen, page and record.
MEANINGS: Mapping[Act, str] = {
    Act.SIGN_RECIPE_AS_AUTHOR: "authored",
    Act.APPROVE_RECIPE: "approved",
    Act.ANSWER_PROMPT: "performed",
    Act.WITNESS_ANSWER: "witnessed",
    Act.CORRECT_ANSWER: "corrected",
    Act.CHANGE_FORMULA: "formula changed",
    Act.DISPOSE_DEVIATION: "disposed",
    Act.RELEASE_LOT: "released",
    Act.REJECT_LOT: "rejected",
    Act.DECIDE_ENTITLEMENT: "entitlement decided",
    Act.REVIEW_TRAIL: "reviewed",
    Act.ENROL_PASSKEY: "enrolled",
    Act.ERASE_PERSON: "erasure ordered",
    Act.REVOKE_KEY: "revoked",
    Act.RELEASE_MATERIAL: "released for use",
    Act.BLOCK_MATERIAL: "rejected for use",
    Act.GRANT_COMPETENCE: "competence granted",
    Act.WITHDRAW_COMPETENCE: "competence withdrawn",
    Act.AUTHOR_MASTER_FILE: "file authored",
    Act.APPROVE_MASTER_FILE: "file approved",
    Act.PUBLISH_COMMITMENTS: "commitments stated",
    Act.APPLY_LICENCE: "licence applied for",
    Act.QUALIFY_LICENCE: "site qualified",
    Act.ACTIVATE_LICENCE: "licence activated",
    Act.PAUSE_LICENCE: "licence paused",
    Act.RESUME_LICENCE: "licence resumed",
    Act.SUSPEND_LICENCE: "licence suspended",
    Act.REINSTATE_LICENCE: "licence reinstated",
    Act.CEASE_LICENCE: "licence ceased",
}

MEANING_MAX = 120  # characters; a meaning is a few words, reasons belong into the thing that is signed
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NONCE = re.compile(r"[0-9a-f]{32}")


def statement(person: PersonId, *, role: str, meaning: str, at: datetime, digest: str) -> bytes:
    """The bytes that a signature covers; every field is one line."""
    for name, text in (("role", role), ("meaning", meaning)):
        if not text.strip() or len(text) > MEANING_MAX or not text.isprintable() or not unicodedata.is_normalized("NFC", text):
            raise NotValid(f"cannot sign with the {name} {text[:40]!r}", why=f"a {name} is one line of 1 to {MEANING_MAX} printable characters")
    if not _DIGEST.fullmatch(digest):
        raise NotValid(f"cannot sign {digest[:80]!r}", why="a digest is 64 hex digits, SHA-256")
    return f"isogenic-signature/1\n{person}\n{role}\n{meaning}\n{text_of_time(at)}\n{digest}\n".encode()


def passkey_statement(person: PersonId, *, role: str, meaning: str, at: datetime, digest: str, nonce: str) -> bytes:
    """The bytes whose SHA-256 is a passkey's challenge."""
    if not _NONCE.fullmatch(nonce):
        raise NotValid("cannot sign with this passkey", why="a nonce is 32 hex digits")
    first = statement(person, role=role, meaning=meaning, at=at, digest=digest)
    return first.replace(b"isogenic-signature/1\n", b"isogenic-signature/2\n", 1) + f"{nonce}\n".encode()


@dataclass(frozen=True, slots=True)
class Intent:
    """What a person is about to sign: shown before, and the same after."""

    person: PersonId
    printed_name: str
    role: str
    meaning: str
    at: datetime
    digest: str


class Pen(Protocol):
    """What a person signs with, where that is not a private key in our own hands."""

    def sign(self, person: Person, intent: Intent) -> Signature: ...


@dataclass(frozen=True, slots=True)
class PasskeyPen:
    """An authenticator's answer to an intent that was shown: it makes the signature only where the same is signed now."""

    asked: Intent
    passkey: Passkey
    evidence: PasskeyEvidence
    answer: str  # base64: the authenticator's signature

    def sign(self, person: Person, intent: Intent) -> Signature:
        """The signature, with the time at which the person was asked."""
        asked = self.asked
        if (intent.person, intent.role, intent.meaning, intent.digest) != (asked.person, asked.role, asked.meaning, asked.digest):
            raise NotAllowed(f"{person.id} cannot sign", why="what is signed has changed since it was shown", possible="look again, then sign")
        return Signature(
            asked.person,
            asked.printed_name,
            asked.role,
            asked.meaning,
            asked.at,
            asked.digest,
            person.key,
            self.answer,
            method=PASSKEY,
            evidence=self.evidence,
        )


def sign(signer: Signer | Pen, person: Person, *, role: Role, meaning: str, at: datetime, digest: str) -> Signature:
    """Sign a digest as `person`, in one of the person's roles, with the private key of the key on file or with a pen."""
    if role not in person.roles:
        raise NotValid(
            f"{person.id} cannot sign as {role.words}", why="it is not a role of theirs", possible=", ".join(each.words for each in person.roles)
        )
    at = time_of_text(text_of_time(at))  # as it will be read back: UTC, milliseconds
    if not isinstance(signer, Signer):
        return signer.sign(person, Intent(person.id, person.printed_name, str(role), meaning, at, digest))
    if str(signer.verifying_key) != person.key:
        raise NotTrusted(f"{person.id} cannot sign", why="the key is not the one on file for this person")
    signed = signer.sign(statement(person.id, role=role, meaning=meaning, at=at, digest=digest))
    return Signature(person.id, person.printed_name, str(role), meaning, at, digest, person.key, base64.b64encode(signed).decode())


def verify_signature(signature: Signature, directory: Directory) -> None:
    """Raise `NotTrusted` unless the signature is this person's, by the key or passkey, the printed name and a role on file.

    Whether the person is still active is not asked: what was signed stays signed. A key that was replaced and a passkey that
    was removed verify what they signed before.
    """
    refused = f"signature of {signature.person} refused"
    person = directory.people.get(signature.person)
    if person is None:
        raise NotTrusted(refused, why=f"version {directory.version} of the directory does not name them")
    if not _key_was_theirs(signature, person):
        raise NotTrusted(refused, why="the key is not the one on file for this person")
    # 21 CFR 11.50(a)(1): the name that people read must be the name on file, since the signed text carries the id only.
    if signature.printed_name not in (person.printed_name, *person.former_names):
        raise NotTrusted(refused, why=f"the printed name {signature.printed_name[:80]!r} is not the one on file")
    # The signed text says the role, but it is the signer who wrote it: only the directory says who has it (21 CFR 11.10(g)).
    if signature.role not in person.roles:
        raise NotTrusted(refused, why=f"{signature.role[:80]!r} is not a role of theirs on file")
    if signature.method == PASSKEY:
        _verify_passkey(signature, person, refused)
    elif signature.method != PASSWORD or signature.evidence is not None:
        raise NotTrusted(refused, why=f"nobody signs by {signature.method[:40]!r} with this evidence")
    else:
        _verify_key(signature, refused)


def _key_was_theirs(signature: Signature, person: Person) -> bool:
    former = next((each for each in person.former_keys if each.key == signature.key), None)
    return signature.key == person.key or (former is not None and signature.at <= former.until)


def _verify_key(signature: Signature, refused: str) -> None:
    try:
        signed = base64.b64decode(signature.signature, validate=True)
        text = statement(signature.person, role=signature.role, meaning=signature.meaning, at=signature.at, digest=signature.digest)
    except (NotValid, binascii.Error, ValueError) as trouble:
        raise NotTrusted(refused, why=f"it is malformed: {trouble}") from trouble
    VerifyingKey.parse(signature.key).verify(signed, text)


def _verify_passkey(signature: Signature, person: Person, refused: str) -> None:
    evidence = signature.evidence
    passkey = person.passkey(evidence.credential) if evidence is not None else None
    if evidence is None or passkey is None:
        raise NotTrusted(refused, why="it names no passkey on file for this person")
    if passkey.removed_at is not None and signature.at > passkey.removed_at:
        raise NotTrusted(refused, why=f"its passkey was removed at {text_of_time(passkey.removed_at)}")
    try:
        text = passkey_statement(
            signature.person,
            role=signature.role,
            meaning=signature.meaning,
            at=signature.at,
            digest=signature.digest,
            nonce=evidence.nonce,
        )
    except NotValid as trouble:
        raise NotTrusted(refused, why=f"it is malformed: {trouble}") from trouble
    verify_evidence(passkey, evidence, signature=signature.signature, challenge=sha256(text).digest())


def check_is_current(signature: Signature, directory: Directory) -> None:
    """Raise `NotTrusted` where the key was replaced or the passkey removed: it verifies what was signed before, and signs nothing now."""
    person = directory.person(signature.person)
    passkey = person.passkey(signature.evidence.credential) if signature.evidence is not None else None
    if signature.key != person.key or (passkey is not None and passkey.removed_at is not None):
        raise NotTrusted(f"signature of {person.id} refused", why="its key or passkey is no longer in use")


def accept_signature(
    signature: Signature,
    act: Act,
    *,
    digest: str,
    directory: Directory,
    site: SiteId | None = None,
    author: PersonId | None = None,
    operators: Collection[PersonId] = (),
) -> Person:
    """The person, if this signature does `act` now: verified, over `digest`, with its meaning, in a role that may.

    Raises `NotTrusted` or `NotAllowed`.
    """
    verify_signature(signature, directory)
    check_is_current(signature, directory)
    person = directory.person(signature.person)
    require(person, act, site=site, author=author, operators=operators)
    roles = roles_that_may(act)
    if signature.role not in roles or signature.role not in person.roles:
        possible = ", ".join(role.words for role in roles if role in person.roles)
        raise NotAllowed(f"{person.id} cannot {act.words} as {signature.role}", why="this role does not allow it", possible=f"sign as {possible}")
    if signature.meaning != MEANINGS[act]:
        raise NotTrusted(f"signature of {person.id} refused", why=f"it means {signature.meaning!r}, not {MEANINGS[act]!r}")
    if signature.digest != digest:
        raise NotTrusted(f"signature of {person.id} refused", why="it is over something else, or the thing has changed since it was shown")
    return person


def check_every_signature(facts: Sequence[Fact], keys: Sequence[Key] | None = None) -> list[Note]:
    """Every signature of a person in these facts verifies with the key on file. For verifying from files.

    On file is what a directory says that the control site published in a ledger of its own (its ledger for a site begins
    with one); a directory anywhere else is somebody else's idea of who people are, and stops. With `keys`, the reader's own
    list, the key must be there too, as that person's.
    """
    published = [fact for fact in facts if isinstance(fact.payload, DirectoryPublished)]
    directories = _directories(fact for fact in facts if written_by(fact.ref.ledger) == CONTROL)
    found = [(fact, signature) for fact in facts for signature in signatures_in(fact.payload)]
    wrong = [
        f"{fact.kind} at {fact.ref}: only the control site says who people are, in its own ledgers"
        for fact in published
        if written_by(fact.ref.ledger) != CONTROL
    ]
    if found and not directories:
        wrong.append(f"{len(found)} signatures of people, and no directory of the control site that names their keys")
    ended = _ended(fact for fact in facts if written_by(fact.ref.ledger) == CONTROL)
    for fact, signature in found:
        troubles: list[str] = []
        used = (signature.key, signature.evidence.credential if signature.evidence is not None else "")
        if any(signature.at > ended[each] for each in used if each in ended):  # an older directory would still bear it out
            wrong.append(f"in {fact.kind} at {fact.ref}: the key or passkey of {signature.person} had ended by then")
            continue
        for directory in reversed(directories):
            trouble = _trouble(signature, directory)
            if trouble is None:
                break
            troubles.append(trouble)
        if len(troubles) == len(directories):
            wrong += [f"in {fact.kind} at {fact.ref}: {trouble}" for trouble in troubles[:1]]
        elif keys is not None and not any(_is_key_of(each, signature) for each in keys):
            wrong.append(f"in {fact.kind} at {fact.ref}: the key of {signature.person} is not on your list as a person's")
    good = f"{len(found)} signatures of people verify"
    return [Note("check_every_signature", Severity.STOP, text) for text in wrong] or [Note("check_every_signature", Severity.GOOD, good)]


def _directories(facts: Iterable[Fact]) -> list[Directory]:
    """Every state that the directory was in, ledger by ledger, as the control site's facts say."""
    now: dict[str, Directory | None] = {}
    found: list[Directory] = []
    for fact in facts:
        before = now.get(fact.ref.ledger)
        after = follow(before, fact.payload)
        if after is not None and after is not before:
            now[fact.ref.ledger] = after
            found.append(after)
    return found


def _ended(facts: Iterable[Fact]) -> dict[str, datetime]:
    """Keys and passkeys that were taken out of use, and when."""
    found: dict[str, datetime] = {}
    for fact in facts:
        match fact.payload:
            case KeyReplaced(_, former, _, _):
                found.setdefault(former.key, former.until)
            case PasskeyRemoved(_, credential, at, _):
                found.setdefault(credential, at)
    return found


def _is_key_of(listed: Key, signature: Signature) -> bool:
    """Whether a line of a key list says that this key is that person's; a bare key says so by its own name."""
    if str(listed.key) != signature.key or listed.role not in (None, KeyRole.PERSON):
        return False
    return (listed.name or listed.key.name.rpartition("/")[2]) == signature.person


def _trouble(signature: Signature, directory: Directory) -> str | None:
    try:
        verify_signature(signature, directory)
    except NotTrusted as trouble:
        return str(trouble)
    return None


def holds_signature(payload: object) -> bool:
    """Whether a payload has a person's signature in it, or, of a kind that is not known here, something of that form."""
    if isinstance(payload, UnknownPayload):
        return _has_the_form(payload.body)
    return next(signatures_in(payload), None) is not None


_FORM = {"person", "role", "meaning", "digest", "signature"}


def _has_the_form(value: object) -> bool:
    if isinstance(value, dict):
        return value.keys() >= _FORM or any(map(_has_the_form, value.values()))
    return isinstance(value, list) and any(map(_has_the_form, value))


def signatures_in(value: object) -> Iterator[Signature]:
    """Every signature nested in a payload."""
    if isinstance(value, Signature):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from signatures_in(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for name in (field.name for field in fields(value)):
            yield from signatures_in(getattr(value, name))
