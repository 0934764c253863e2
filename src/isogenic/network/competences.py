"""What is decided at the control site about people's competences: granted and withdrawn, by signature.

Guarantees: who grants is not who holds; the fact is in the house and in the ledger of every site, so that it counts offline.
"""

from __future__ import annotations

from datetime import datetime

from isogenic.authority.competence import CompetenceGranted, CompetenceWithdrawn, competence_digest, competence_word, withdrawal_digest
from isogenic.authority.people import Person
from isogenic.authority.rules import Act, require
from isogenic.authority.signatures import MEANINGS, Pen, sign
from isogenic.clock import text_of_time, time_of_text
from isogenic.errors import NotFound
from isogenic.ids import PersonId
from isogenic.network.control import ControlNode, decided_alone
from isogenic.network.decisions import actor_of, directory, role_for
from isogenic.records.notes import Signer

__all__ = ["grant_competence", "withdraw_competence"]


@decided_alone
def grant_competence(
    node: ControlNode,
    by: Person,
    signer: Signer | Pen,
    *,
    person: PersonId,
    competence: str,
    until: datetime,
    basis: str,
    since: datetime | None = None,
) -> CompetenceGranted:
    """Say that somebody else is competent, until a day."""
    directory(node).person(person)
    require(by, Act.GRANT_COMPETENCE, author=person)
    role, now = role_for(by, Act.GRANT_COMPETENCE), node.clock.now().at
    word, begins, ends, basis = competence_word(competence), _recorded(since or now), _recorded(until), basis.strip()
    digest = competence_digest(person, word, since=begins, until=ends, basis=basis)
    signature = sign(signer, by, role=role, meaning=MEANINGS[Act.GRANT_COMPETENCE], at=now, digest=digest)
    granted = CompetenceGranted(person, word, begins, ends, basis, signature)
    node.publishing.publish(granted, actor=actor_of(by, role, signature))
    return granted


@decided_alone
def withdraw_competence(node: ControlNode, by: Person, signer: Signer | Pen, *, person: PersonId, competence: str, why: str) -> CompetenceWithdrawn:
    """Say that somebody is not competent any more, with the reason."""
    require(by, Act.WITHDRAW_COMPETENCE)
    word, role = competence_word(competence), role_for(by, Act.WITHDRAW_COMPETENCE)
    if not isinstance(node.state.competences.said.get((person, word)), CompetenceGranted):
        held = ", ".join(name for name, said in node.state.competences.of(person).items() if isinstance(said, CompetenceGranted)) or "none"
        raise NotFound(f"{person} has no competence {word}", why="nobody has granted it, or it was withdrawn", possible=held)
    why = why.strip()
    digest = withdrawal_digest(person, word, why=why)
    signature = sign(signer, by, role=role, meaning=MEANINGS[Act.WITHDRAW_COMPETENCE], at=node.clock.now().at, digest=digest)
    withdrawn = CompetenceWithdrawn(person, word, why, signature)
    node.publishing.publish(withdrawn, actor=actor_of(by, role, signature))
    return withdrawn


def _recorded(at: datetime) -> datetime:
    """As it is read back: UTC, milliseconds."""
    return time_of_text(text_of_time(at))
