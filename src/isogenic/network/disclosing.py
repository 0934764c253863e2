"""What leaves the control site over the wire: asked for, allowed, listed, and only then answered.

Guarantees: a site that is not entitled to the ledger written for it gets nothing of it; a page or a model is in the journal,
durably, before it is answered; where the journal cannot be written, the answer is a refusal.
Leaves to others: answering (desk), the journal itself (records.disclosures), who asks for a file (web, statements).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from isogenic.authority.entitlements import Entitlements, party_of_node, party_of_person
from isogenic.authority.people import Person
from isogenic.clock import Clock
from isogenic.errors import Refusal
from isogenic.ids import NodeId
from isogenic.records.disclosures import Journal, bytes_disclosed, file_disclosed, page_disclosed
from isogenic.records.link import Answer, problem

__all__ = ["Leaving", "hand_over"]

PAGES = ("control", "held")  # what answers with a page of a ledger


class Leaving:
    """Stands between the desk's answer and the wire."""

    def __init__(self, *, entitlements: Callable[[], Entitlements], journal: Journal | None, clock: Clock) -> None:
        self._entitlements, self.journal, self._clock = entitlements, journal, clock

    def require(self, peer: NodeId, ledger: str) -> None:
        """Raise `NotAllowed` unless the site may have the ledger."""
        self._entitlements().require(ledger, party_of_node(peer), self._clock.now().at)

    async def listed(self, peer: NodeId, method: str, path: str, answer: Answer) -> Answer:
        """The answer, once it is in the journal; or the refusal of a disk that cannot take the line."""
        if self.journal is None:
            return answer
        to, parts = party_of_node(peer), path.strip("/").split("/")
        kind = parts[1] if len(parts) > 1 else ""
        try:
            if answer.status == 200 and method == "GET" and kind in PAGES:
                await self.journal.noted(page_disclosed(to, answer.body))
            elif answer.status == 200 and method == "GET" and kind == "blobs":
                await self.journal.noted(bytes_disclosed(to, answer.body))
            else:
                self.journal.talk(to, "answers", 0 if method == "HEAD" else len(answer.body))
        except Refusal as refusal:
            return problem(refusal)
        return answer


def hand_over(journal: Journal | None, person: Person, data: bytes, *, what: str, about: str, ledgers: Mapping[str, int] | None = None) -> bytes:
    """The bytes of a file for a person, once the journal says that they leave."""
    if journal is not None:
        journal.note(file_disclosed(party_of_person(person.id), data, what=what, about=about, ledgers=ledgers))
    return data
