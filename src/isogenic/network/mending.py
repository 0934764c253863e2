"""Bit rot at the control site: found by the scrub, noted, asked for once more from the site that has it, and mended.

    rotten                         mended from
    a copy of a site's ledger      that site: the answer to its heartbeat asks for the facts again
    the ledger written for a site  that site's copy of it, likewise
    the house                      its second copy here
    a blob, or one that is gone    the sites whose facts name it, likewise; where none does, any site that has it

Guarantees: what comes is put back only where its writer's signature proves it against the tree before it, and only from the
site that may bring it; the rotten bytes are kept by their digest first.
Leaves to others: hashing (records.scrub), the wire (desk).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from isogenic.clock import Clock
from isogenic.errors import NotFound, Refusal
from isogenic.ids import NodeId, SiteId
from isogenic.records.blobs import BlobStore
from isogenic.records.facts import Payload
from isogenic.records.healing import RotFound, RotMended
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.scrub import Rot, Scrub, mend
from isogenic.records.sync import Page

__all__ = ["Mending"]

log = logging.getLogger(__name__)
WHY_MAX = 400
ASKED_MAX = 16  # places that one answer asks for


class Mending:
    """What the control site has found rotten, and puts right."""

    def __init__(
        self,
        *,
        ledgers: Mapping[str, Ledger],
        copies: Mapping[str, tuple[SiteId, Copy]],
        mirror: Copy | None,
        blobs: BlobStore,
        clock: Clock,
        note: Callable[[Sequence[Payload]], object],
        named_by: Callable[[str], Collection[SiteId]] = lambda digest: (),
    ) -> None:
        """`named_by(digest)`: the sites whose facts name a block; none where it is no block of readings."""
        self._named_by = named_by
        self._owners = {ledger.origin: audience for audience, ledger in ledgers.items()} | {origin: str(site) for origin, (site, _) in copies.items()}
        self._held: dict[str, Ledger | Copy] = {ledger.origin: ledger for ledger in ledgers.values()}
        self._held |= {origin: copy for origin, (_, copy) in copies.items()}
        self.mirror, self.blobs, self.clock, self._note = mirror, blobs, clock, note
        self.scrub = Scrub(lambda: list(self._held.values()), blobs)
        self.rotten: dict[tuple[str, int], Rot] = {}

    def look(self) -> None:
        """One step of the scrub; what is new is noted."""
        for rot in self.scrub.step():
            if (rot.ledger, rot.start) not in self.rotten:
                log.error("%s from %d to %d: %s", rot.ledger, rot.start, rot.stop, rot.why)
                self._note([RotFound(rot.ledger, rot.start, rot.stop, rot.why[:WHY_MAX])])
                self.rotten[rot.ledger, rot.start] = rot

    async def mend_once(self) -> bool:
        """Mend what can be mended here: the house, from its second copy."""
        for rot in list(self.rotten.values()):
            if self.mirror is not None and rot.ledger == self.mirror.origin:
                page = self.mirror.page_back(rot.start, moment=self.clock.now())
                if page is not None:
                    self._mend(rot, page, source="second copy")
                    return True
        return False

    def again(self, peer: NodeId) -> list[dict[str, object]]:
        """What to ask this site for: facts of its ledgers, of the ledger written for it, and blobs that it may have."""
        asked: list[dict[str, object]] = []
        for rot in list(self.rotten.values()):
            if rot.blob:
                sites = self._named_by(rot.ledger)
                if (not sites or SiteId(peer) in sites) and not self._blob_is_whole(rot):
                    asked.append({"blob": rot.ledger})
            elif self._owners.get(rot.ledger) == peer:
                asked.append({"ledger": rot.ledger, "start": rot.start, "stop": rot.stop})
        return asked[:ASKED_MAX]

    def _blob_is_whole(self, rot: Rot) -> bool:
        try:
            self.blobs.get(rot.ledger)
        except Refusal:
            return False
        self._note([RotMended(rot.ledger, 0, 0, "a site", "")])
        del self.rotten[rot.ledger, rot.start]
        return True

    def take(self, peer: NodeId, page: Page) -> None:
        """A page that was asked for again."""
        rot = self.rotten.get((page.origin, page.start))
        if rot is None or self._owners.get(page.origin) != peer:
            raise NotFound(f"nothing of {page.origin[:80]} from {page.start} is asked for again", why="it is not known to be rotten")
        self._mend(rot, page, source=str(peer))

    def _mend(self, rot: Rot, page: Page, *, source: str) -> None:
        evidence = mend(rot, page, self._held[rot.ledger], self.blobs)
        del self.rotten[rot.ledger, rot.start]
        self._note([RotMended(rot.ledger, rot.start, rot.stop, source, evidence)])
