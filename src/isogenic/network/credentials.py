"""What is decided at the control site about people's credentials: enrolled, removed, lost, replaced, shut out, let in.

Guarantees: each is a fact in the house and in the ledger of every site, with who did it and
why, so that every node knows it and a stranger can verify it; nothing is deleted.
Leaves to others: account files, sessions and passwords (web.signin), proving who asks.
"""

from __future__ import annotations

from isogenic.authority.identities import (
    AttemptsAcknowledged,
    KeyReplaced,
    PasskeyEnrolled,
    PasskeyRemoved,
    PersonDisabled,
    PersonEnabled,
)
from isogenic.authority.passkeys import passkey_digest
from isogenic.authority.people import FormerKey, Passkey, Person, Role
from isogenic.authority.rules import Act, require
from isogenic.authority.signatures import MEANINGS, sign
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import PersonId
from isogenic.network.control import CONTROL, HOUSE, ControlNode, decided_alone
from isogenic.network.decisions import directory
from isogenic.records.facts import Actor
from isogenic.records.notes import Signer
from isogenic.records.signatures import PASSWORD

__all__ = ["acknowledge_attempts", "disable", "enable", "enrol_passkey", "remove_passkey", "replace_key"]

WHY_MAX = 300


@decided_alone
def enrol_passkey(node: ControlNode, person: Person, signer: Signer, passkey: Passkey) -> PasskeyEnrolled:
    """Put a passkey on file, signed with the personal key."""
    role = person.roles[0]
    signature = sign(
        signer, person, role=role, meaning=MEANINGS[Act.ENROL_PASSKEY], at=node.clock.now().at, digest=passkey_digest(person.id, passkey)
    )
    enrolled = PasskeyEnrolled(person.id, passkey, signature)
    node.publishing.publish(enrolled, actor=_actor(person, role))
    return enrolled


@decided_alone
def remove_passkey(node: ControlNode, by: Person, *, person: PersonId, credential: str, why: str) -> None:
    """A passkey signs no more: its person says so, or an administrator."""
    if by.id != person:
        require(by, Act.KEEP_ACCOUNTS)
    found = directory(node).person(person).passkey(credential)
    if found is None:
        raise NotFound(f"no such passkey of {person}", why="it was never enrolled")
    if found.removed_at is not None:
        raise NotAllowed("cannot remove this passkey", why="it is removed already")
    node.publishing.publish(PasskeyRemoved(person, credential, node.clock.now().at, _reason(why)), actor=_actor(by, _role(by)))


@decided_alone
def disable(node: ControlNode, by: Person, *, person: PersonId, why: str) -> None:
    """Shut a person out."""
    require(by, Act.KEEP_ACCOUNTS)
    if by.id == person:
        raise NotAllowed("cannot shut yourself out", why="somebody has to let you in again", possible="ask another administrator")
    if directory(node).person(person).disabled:
        raise NotAllowed(f"cannot shut {person} out", why="they are already")
    node.publishing.publish(PersonDisabled(person, _reason(why)), actor=_actor(by, Role.ADMINISTRATOR))


@decided_alone
def enable(node: ControlNode, by: Person, *, person: PersonId, why: str) -> None:
    """Let a person in again."""
    require(by, Act.KEEP_ACCOUNTS)
    if not directory(node).person(person).disabled:
        raise NotAllowed(f"cannot let {person} in again", why="they are not shut out")
    node.publishing.publish(PersonEnabled(person, _reason(why)), actor=_actor(by, Role.ADMINISTRATOR))


@decided_alone
def replace_key(node: ControlNode, by: Person, *, person: PersonId, key: str, why: str) -> None:
    """A lost or stolen personal key gives way to a new one; the old one verifies what it signed until now."""
    require(by, Act.KEEP_ACCOUNTS)
    if by.id == person:
        raise NotAllowed("cannot replace your own key", why="two people know of every replacement", possible="ask another administrator")
    former = directory(node).person(person)
    node.publishing.publish(KeyReplaced(person, FormerKey(former.key, node.clock.now().at), key, _reason(why)), actor=_actor(by, Role.ADMINISTRATOR))


@decided_alone
def acknowledge_attempts(node: ControlNode, by: Person, *, why: str) -> None:
    """Say that the unauthorised attempts so far were looked at, and what came of it."""
    if not {Role.ADMINISTRATOR, Role.QUALITY, Role.QUALIFIED_PERSON} & set(by.roles):
        raise NotAllowed("cannot acknowledge attempts", why="it takes an administrator or quality")
    node.note([AttemptsAcknowledged(CONTROL, node.ledgers[HOUSE].size, _reason(why))], actor=_actor(by, by.roles[0]))


def _reason(why: str) -> str:
    text = why.strip()
    if not text or len(text) > WHY_MAX or not text.isprintable():
        raise NotValid("cannot do this without a reason", why=f"a reason is 1 to {WHY_MAX} printable characters")
    return text


def _actor(person: Person, role: Role, method: str = PASSWORD) -> Actor:
    return Actor(str(person.id), str(role), method)


def _role(person: Person) -> Role:
    return Role.ADMINISTRATOR if Role.ADMINISTRATOR in person.roles else person.roles[0]
