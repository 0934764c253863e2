"""The control site's house, witnessed by its sites: its head is shown to each, its content to none.

Guarantees: a site that has cosigned more of the house than is here, or another root, is believed only by our own signature on
what it shows; then nothing more is written there, because it would be a second history.
Leaves to others: checking at the site (records.witness), the wire (desk).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from isogenic.ids import NodeId, SiteId
from isogenic.records import codec
from isogenic.records.beacon import root_at
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.notes import VerifyingKey
from isogenic.records.witness import shown_head

__all__ = ["HEADS_SHOWN", "Witnessing"]

HEADS_SHOWN = 64  # heads of other sites' ledgers in one answer: each is held by several others, not by all of a large network


class Witnessing:
    """Shows heads, and takes cosignatures of the house."""

    def __init__(
        self,
        house: Ledger,
        *,
        copies: Mapping[str, tuple[SiteId, Copy]],
        witnesses: Mapping[SiteId, VerifyingKey],
        stop: Callable[[str], None],
    ) -> None:
        """`stop(why)` is told that the house must not be written any more."""
        self.house, self._copies, self._witnesses, self._stop = house, copies, witnesses, stop
        self.cosigned: dict[SiteId, int] = {}  # how many facts of the house each site has cosigned, since this node began

    def show(self, peer: NodeId, held: str) -> bytes:
        """What a site sees: our house's head with its proof, and the heads of other sites' ledgers."""
        site, old = SiteId(peer), 0
        if held:
            said = self.house.keys.open(held.encode())[0]  # NotTrusted where we never signed it
            old = said.size
            if said.size > self.house.size:
                self._stop(
                    f"{site} has cosigned {said.size} facts, and {self.house.size} are here: it was restored from an old copy; "
                    "bring its second copy or the newest backup, and start the node again"
                )
                old = -1
            elif root_at(self.house.store, said.size) != said.root:
                self._stop(f"{site} has cosigned another root for its first {said.size} facts: a fork")
                old = -1
        fresh = old >= 0 and (old < self.house.size or self.cosigned.get(site, 0) < self.house.size)
        message = shown_head(self.house.store, old=old) if fresh else None
        return codec.dumps({"house": message.decode() if message else "", "heads": self._others(site)})

    def _others(self, site: SiteId) -> dict[str, str]:
        """The newest heads of other sites' ledgers, those that come after this one's in order first."""
        ring = sorted(self._copies, key=lambda origin: (str(self._copies[origin][0]) <= str(site), origin))
        heads = ((origin, self._copies[origin][1].head()) for origin in ring if self._copies[origin][0] != site)
        return {origin: head.note.decode() for origin, head in list(heads)[:HEADS_SHOWN] if head is not None}

    def take(self, peer: NodeId, line: bytes, *, size: int) -> None:
        """A site's cosignature of the house."""
        site = SiteId(peer)
        self.house.take_receipt(line, size=size, witness=self._witnesses[site])
        self.cosigned[site] = max(size, self.cosigned.get(site, 0))
