"""Who may have which ledger, decided at the control site.

Guarantees: what follows from the directory is noted as soon as a directory is published, and again when it no longer follows;
everything else takes a signature with the meaning and a reason. An entitlement about a site's ledgers is noted in the house and
in the ledger written for that site, which acts on it too.
Leaves to others: what an entitlement is (authority.entitlements), asking before anything leaves (disclosing, dossiers).
"""

from __future__ import annotations

from datetime import datetime

from isogenic.authority.entitlements import EntitlementEnded, EntitlementGranted, derived, entitlement_digest, party
from isogenic.authority.people import Directory, Person
from isogenic.authority.rules import Act, require, roles_that_may
from isogenic.authority.signatures import MEANINGS, Pen, sign
from isogenic.clock import text_of_time, time_of_text
from isogenic.errors import NotAllowed, NotFound
from isogenic.network.control import HOUSE, ControlNode, decided_alone
from isogenic.records.facts import Actor, Payload
from isogenic.records.notes import Signer

__all__ = ["derive_entitlements", "end_entitlement", "grant_entitlement"]


@decided_alone
def derive_entitlements(node: ControlNode, people: Directory) -> list[Payload]:
    """Note what follows from the directory and is not noted yet, and end what no longer follows."""
    origins = [ledger.origin for audience, ledger in node.ledgers.items() if audience != HOUSE]
    said = derived(node.state.entitlements, people, [*node.copies, *origins])
    node.note(said)
    return said


@decided_alone
def grant_entitlement(
    node: ControlNode, person: Person, signer: Signer | Pen, *, ledger: str, to: str, why: str, since: datetime | None = None
) -> EntitlementGranted:
    """Let a party have a ledger, whole, from a day on: by signature."""
    require(person, Act.DECIDE_ENTITLEMENT)
    _known(node, ledger)
    now = node.clock.now().at
    begins = time_of_text(text_of_time(since or now))  # as it will be read back
    role = next(role for role in roles_that_may(Act.DECIDE_ENTITLEMENT) if role in person.roles)
    digest = entitlement_digest("grant", ledger=ledger, party=party(to), why=why, since=begins)
    signature = sign(signer, person, role=role, meaning=MEANINGS[Act.DECIDE_ENTITLEMENT], at=now, digest=digest)
    granted = EntitlementGranted(ledger, to, begins, why, signature=signature)
    node.publishing.publish(granted, actor=Actor(str(person.id), str(role), signature.method))
    return granted


@decided_alone
def end_entitlement(node: ControlNode, person: Person, signer: Signer | Pen, *, ledger: str, to: str, why: str) -> EntitlementEnded:
    """From now on nothing more of the ledger leaves for the party: by signature."""
    require(person, Act.DECIDE_ENTITLEMENT)
    _known(node, ledger)
    if (ledger, party(to)) not in node.state.entitlements.granted:
        raise NotAllowed(f"cannot end the entitlement of {to} to {ledger}", why="it has none")
    role = next(role for role in roles_that_may(Act.DECIDE_ENTITLEMENT) if role in person.roles)
    digest = entitlement_digest("end", ledger=ledger, party=to, why=why)
    signature = sign(signer, person, role=role, meaning=MEANINGS[Act.DECIDE_ENTITLEMENT], at=node.clock.now().at, digest=digest)
    ended = EntitlementEnded(ledger, to, why, signature=signature)
    node.publishing.publish(ended, actor=Actor(str(person.id), str(role), signature.method))
    return ended


def _known(node: ControlNode, ledger: str) -> None:
    if ledger not in node.copies and all(each.origin != ledger for each in node.ledgers.values()):
        raise NotFound(f"no ledger {ledger[:80]!r} here", why="no site of this network writes it")
