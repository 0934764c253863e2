"""Identities over time: how a directory follows another, and what happens to a person's credentials in between.

    DirectoryPublished   who is on file, in which roles: written by people, published whole
    PasskeyEnrolled      a person put a passkey beside their key, signed with that key
    PasskeyRemoved       ... and it signs no more
    PersonDisabled       an administrator shut a person out; PersonEnabled let them in again
    KeyReplaced          a lost or stolen key gave way to a new one (21 CFR 11.300(c))

Guarantees: `follow` folds these in the order of a ledger and never fails; what a person gained
or lost between two published directories is carried over to the second. A directory that
gives an id or a key to somebody else, or that forgets a person, is refused before it is published (21 CFR 11.100(a), 11.300(a)).
Leaves to others: verifying the signatures in these facts, noting, account files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from isogenic.authority.people import Directory, DirectoryPublished, FormerKey, Passkey, Person
from isogenic.checks import Note, Severity
from isogenic.errors import NotValid
from isogenic.ids import NodeId, PersonId
from isogenic.records.facts import Payload, fact
from isogenic.records.signatures import Signature

__all__ = [
    "AccountLocked",
    "AttemptsAcknowledged",
    "KeyReplaced",
    "PasskeyEnrolled",
    "PasskeyRemoved",
    "PasswordChanged",
    "PersonDisabled",
    "PersonEnabled",
    "check_no_identity_is_reused",
    "follow",
]


@fact("authority.passkey_enrolled", subject="person")
@dataclass(frozen=True, slots=True)
class PasskeyEnrolled:
    """A person put a passkey on file, signed with the personal key: not even the control site can do it for them."""

    person: PersonId
    passkey: Passkey
    signature: Signature


@fact("authority.passkey_removed", subject="person")
@dataclass(frozen=True, slots=True)
class PasskeyRemoved:
    """A passkey signs no more from here on; what it signed stays signed (21 CFR 11.300(c))."""

    person: PersonId
    credential: str
    at: datetime
    why: str


@fact("authority.key_replaced", subject="person")
@dataclass(frozen=True, slots=True)
class KeyReplaced:
    """A person's lost or stolen key gave way to a new one, behind a temporary password (21 CFR 11.300(c))."""

    person: PersonId
    former: FormerKey
    key: str  # vkey
    why: str


@fact("authority.person_disabled", subject="person")
@dataclass(frozen=True, slots=True)
class PersonDisabled:
    """A person cannot sign in any more; nothing of theirs is deleted."""

    person: PersonId
    why: str


@fact("authority.person_enabled", subject="person")
@dataclass(frozen=True, slots=True)
class PersonEnabled:
    """A person who was shut out can sign in again."""

    person: PersonId
    why: str


@fact("authority.password_changed", subject="person", house=True)
@dataclass(frozen=True, slots=True)
class PasswordChanged:
    """A person's password at a node was renewed, and why: old and new are never written anywhere."""

    person: PersonId
    node: NodeId
    why: str


@fact("authority.account_locked", subject="person", house=True)
@dataclass(frozen=True, slots=True)
class AccountLocked:
    """Wrong passwords in a row locked an account: told to those who answer for it at once (21 CFR 11.300(d))."""

    person: str  # as typed: it may name nobody
    means: str  # where the failures were: at the door, at signing, with a passkey
    failures: int
    until: datetime


@fact("authority.attempts_acknowledged", subject="node", house=True)
@dataclass(frozen=True, slots=True)
class AttemptsAcknowledged:
    """Somebody who answers for it has looked at the unauthorised attempts up to this place of the house's ledger."""

    node: NodeId
    up_to: int
    why: str


def follow(before: Directory | None, payload: Payload) -> Directory | None:
    """Who is on file after one more fact of the control site."""
    if isinstance(payload, DirectoryPublished):
        return _carried(before, payload.directory)
    person = before.people.get(payload.person) if before is not None and isinstance(payload, _OF_A_PERSON) else None
    if before is None or person is None:
        return before
    changed = _changed(person, payload)
    try:
        return before if changed == person else replace(before, people={**before.people, person.id: changed})
    except NotValid:  # a key that is somebody's already: the fact changes nothing, and verifying says why
        return before


_OF_A_PERSON = (PasskeyEnrolled, PasskeyRemoved, KeyReplaced, PersonDisabled, PersonEnabled)


def _changed(person: Person, payload: Payload) -> Person:
    match payload:
        case PasskeyEnrolled() if person.passkey(payload.passkey.id) is None:
            return replace(person, passkeys=(*person.passkeys, replace(payload.passkey, removed_at=None)))
        case PasskeyRemoved():
            return replace(
                person,
                passkeys=tuple(
                    replace(each, removed_at=payload.at) if each.id == payload.credential and each.removed_at is None else each
                    for each in person.passkeys
                ),
            )
        case KeyReplaced() if payload.former.key == person.key:
            return replace(person, key=payload.key, former_keys=(*person.former_keys, payload.former))
        case PersonDisabled():
            return replace(person, disabled=payload.why or "no reason was given")
        case PersonEnabled():
            return replace(person, disabled="")
    return person


def _carried(before: Directory | None, after: Directory) -> Directory:
    """A directory as published, with what its people gained or lost by facts of their own."""
    if before is None:
        return after
    people = {id_: _kept(before.people[id_], person) if id_ in before.people else person for id_, person in after.people.items()}
    try:
        return replace(after, people=people)
    except NotValid:
        return after


def _kept(was: Person, now: Person) -> Person:
    former = {each.key: each for each in (*was.former_keys, *now.former_keys)}
    key = was.key if now.key in former else now.key  # written before the key was replaced
    passkeys = {each.id: each for each in (*was.passkeys, *now.passkeys)}
    removed = {each.id: each.removed_at for each in was.passkeys if each.removed_at is not None}
    return replace(
        now,
        key=key,
        former_keys=tuple(each for each in former.values() if each.key != key),
        passkeys=tuple(replace(each, removed_at=removed.get(each.id, each.removed_at)) for each in passkeys.values()),
        former_names=tuple(dict.fromkeys((*was.former_names, *now.former_names))),
        disabled=was.disabled,
    )


def check_no_identity_is_reused(ever: Iterable[Directory], after: Directory) -> list[Note]:
    """21 CFR 11.100(a), 11.300(a): an id or a key that was once somebody's is never anybody else's, and nobody is forgotten."""
    check = "check_no_identity_is_reused"
    wrong: dict[str, None] = {}
    holders = {public: whose for _, public, whose in after.holdings()}
    for before in ever:
        for text, public, whose in before.holdings():
            if holders.get(public, whose) != whose:
                wrong[f"key {text[:40]} was {whose}'s, and is given to {holders[public]}"] = None
        for id_, was in before.people.items():
            now = after.people.get(id_)
            if now is None:
                wrong[f"{id_} ({was.printed_name}) was on file and is left out: who leaves becomes inactive"] = None
                continue
            if was.key not in (now.key, *(each.key for each in now.former_keys)):
                wrong[f"{id_} was {was.printed_name}'s, whose key is {was.key[:40]}: the new entry has another and does not list that one"] = None
            if was.printed_name not in (now.printed_name, *now.former_names):
                wrong[f"{id_} was {was.printed_name}'s: the new entry is of {now.printed_name}, and does not list that name as a former one"] = None
    return [Note(check, Severity.STOP, text, "administrator") for text in wrong] or [
        Note(check, Severity.GOOD, f"no identity is reused: {len(after.people)} people")
    ]
