"""The control site's house, witnessed by its sites: its head is shown to each, its content to none.

Guarantees: a site that has cosigned more of the house than is here, or another root, is believed only by our own signature on
what it shows; then nothing more is written there, because it would be a second history.
Leaves to others: checking at the site (records.witness), the wire (desk).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from isogenic.ids import NodeId, SiteId
from isogenic.records import codec
from isogenic.records.beacon import Mark, root_at
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.notes import VerifyingKey
from isogenic.records.witness import shown_head

__all__ = ["HEADS_SHOWN", "Witnessing"]

ROTATIONS_SHOWN = 32  # of one ledger's key in one answer, or a page's: who knows none of a year of them gets there look by look
HEADS_SHOWN = 64  # heads of other sites' ledgers in one answer: each is held by several others, not by all of a large network


NOTHING: Mapping[str, int] = {}


class Witnessing:
    """Shows heads, and takes cosignatures of the house."""

    def __init__(
        self,
        house: Ledger,
        *,
        copies: Mapping[str, tuple[SiteId, Copy]],
        witnesses: Mapping[SiteId, VerifyingKey],
        outgoing: Mapping[str, Ledger],
        stop: Callable[[str, Mark], None],
    ) -> None:
        """`outgoing`: the ledgers written for each site. `stop(why, cosigned)` is told that the house must not be written any more:
        it is not what was cosigned.
        """
        self.house, self._copies, self._witnesses, self._outgoing, self._stop = house, copies, witnesses, outgoing, stop
        self.cosigned: dict[SiteId, int] = {}  # how many facts of the house each site has cosigned, since this node began

    def show(self, peer: NodeId, held: str, seen: Mapping[str, int] = NOTHING) -> bytes:
        """What a site sees: our house's head with its proof, and the heads of other sites' ledgers, of which it has `seen` so many facts."""
        site, old = SiteId(peer), 0
        self.house.follow()  # the site may have cosigned what another process of this control site noted
        if held:
            said = self.house.keys.open(held.encode())[0]  # NotTrusted where we never signed it
            cosigned = Mark(said.size, said.root.hex())
            old = said.size
            if said.size > self.house.size:
                self._stop(f"{site} has cosigned {said.size} facts, and {self.house.size} are here: it was restored from an old copy", cosigned)
                old = -1
            elif root_at(self.house.store, said.size) != said.root:
                self._stop(f"{site} has cosigned another root for its first {said.size} facts: a fork", cosigned)
                old = -1
        fresh = old >= 0 and (old < self.house.size or self.cosigned.get(site, 0) < self.house.size)
        message = shown_head(self.house.store, old=old) if fresh else None
        heads = self._others(site, seen)
        outgoing = self._outgoing[str(site)]
        outgoing.follow()  # after the heads: what names the keys that have signed them
        return codec.dumps({"house": message.decode() if message else "", "heads": heads, "directed": outgoing.size})

    def _others(self, site: SiteId, seen: Mapping[str, int]) -> dict[str, object]:
        """The newest heads of other sites' ledgers, those that come after this one's in order first.

        Of their houses, and of the sponsors that this site works for, too: that there is another sponsor is not its to know (I7).
        """
        ring = sorted(self._copies, key=lambda origin: (str(self._copies[origin][0]) <= str(site), origin))
        known = {_audience(origin) for origin, (writer, _) in self._copies.items() if writer == site}
        others = [origin for origin in ring if self._copies[origin][0] != site and _audience(origin) in known]
        shown = ((origin, _head(self._copies[origin][1], seen.get(origin, -1))) for origin in others)
        return {origin: head for origin, head in list(shown)[:HEADS_SHOWN] if head is not None}

    def take(self, peer: NodeId, line: bytes, *, size: int) -> None:
        """A site's cosignature of the house."""
        site = SiteId(peer)
        self.house.take_receipt(line, size=size, witness=self._witnesses[site])
        self.cosigned[site] = max(size, self.cosigned.get(site, 0))


def _audience(origin: str) -> str:
    return origin.rpartition("/")[2]


def _head(copy: Copy, seen: int) -> dict[str, object] | None:
    """A head, and the words by which its key follows from the one that counted for what was seen, or from the one that the directory names.

    A head under a key that was revoked is shown to nobody: the directory names another.
    """
    head, keys = copy.head(), copy.keys
    if head is None:
        return None
    size, note = head.size, head.note
    known = seen if 0 <= seen <= size else -1
    far = keys.rotated_at(known, ROTATIONS_SHOWN)
    if far is not None and (nearer := copy.store.checkpoint_after(far)) is not None:
        size, note = nearer
    if keys.ended(size):
        return None
    return {"note": note.decode(), "rotations": keys.notes(size, known=known)}
