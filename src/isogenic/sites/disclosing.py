"""What leaves a site is listed before it leaves: the link, with the journal in front of it.

Guarantees: a page or a block is in the journal, durably, before its first byte is on the wire; a ledger that may not leave does
not, whoever asks; where the journal cannot be written, nothing goes out, and the courier finds the link lost.
Leaves to others: carrying (the link inside), what is withheld (node), the journal itself (records.disclosures).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from isogenic.errors import NotAllowed
from isogenic.records.disclosures import Journal, bytes_disclosed, page_disclosed
from isogenic.records.facts import Payload
from isogenic.records.link import Answer, Link

__all__ = ["DisclosingLink"]

PAGES = ("pages", "held", "again")  # what goes out as a page of a ledger: ours, and the control site's own that is given back to it
_TALK = {"heartbeat": "heartbeats", "cosignatures": "receipts"}


class DisclosingLink:
    """A link that tells the journal first. `withheld`: ledgers that must not leave, each with its reason."""

    def __init__(self, link: Link, journal: Journal, *, to: str, withheld: Mapping[str, str]) -> None:
        self.link, self.journal, self.to, self.withheld = link, journal, to, withheld
        self._unanswered: set[Payload] = set()  # listed, and no answer yet: the same bytes tried again are on that line

    async def call(self, method: str, path: str, body: bytes = b"") -> Answer:
        parts = urlsplit(path).path.strip("/").split("/")
        if method == "POST" and parts[-1] in PAGES:
            said = page_disclosed(self.to, body)
            if said.ledger in self.withheld:
                raise NotAllowed(f"nothing of {said.ledger} leaves", why=self.withheld[said.ledger])
            return await self._listed(said, method, path, body)
        if method == "PUT":
            return await self._listed(bytes_disclosed(self.to, body), method, path, body)
        self.journal.talk(self.to, _TALK.get(parts[-1], "messages") if method == "POST" else "polls", len(body))
        return await self.link.call(method, path, body)

    async def _listed(self, said: Payload, method: str, path: str, body: bytes) -> Answer:
        """List it, then send it. A link that is down for a week makes one line of a page, not one for every try."""
        if said not in self._unanswered:
            await self.journal.noted(said)
            self._unanswered.add(said)
        answer = await self.link.call(method, path, body)
        self._unanswered.discard(said)
        return answer
