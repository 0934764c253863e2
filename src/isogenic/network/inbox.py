"""The control site's copies of its sites' ledgers: verified before stored, stored before cosigned.

Guarantees: a page is taken only from the node that may write its ledger; a page that does
not verify changes nothing, is kept as evidence (once, and within limits), and is answered
with its reason. A page that was taken before gets the same promise again, so a lost answer
harms nobody.
Leaves to others: the wire (desk), what the facts mean (views).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256

from isogenic.clock import Moment
from isogenic.errors import NotTrusted
from isogenic.ids import NodeId
from isogenic.records.ledger import Copy, Receipt
from isogenic.records.sync import Page

__all__ = ["EVIDENCE_BYTES_MAX", "EVIDENCE_MAX", "Inbox"]

# Of refused pages, per run: a broken or hostile peer must not fill the disk. What is beyond is refused all the same.
EVIDENCE_MAX = 1_000
EVIDENCE_BYTES_MAX = 256 * 1024 * 1024
REFUSED_SHOWN = 100


class Inbox:
    """Takes pages. `copies` by origin, each with the node that writes it."""

    def __init__(
        self,
        copies: Mapping[str, Copy],
        writers: Mapping[str, NodeId],
        *,
        evidence: Callable[[NodeId, str, bytes], None],
        first: Callable[[], object] = lambda: None,
    ) -> None:
        """`evidence(peer, why, page)` is told of each refused page, once, while the limits allow; `first` is called before one is looked at."""
        self.copies, self.writers = dict(copies), dict(writers)
        self._keep_evidence, self.first = evidence, first
        self._kept: set[bytes] = set()
        self._kept_bytes = 0
        self.refused: list[str] = []  # newest last, for the network screen

    def is_early(self, peer: NodeId, origin: str, start: int) -> bool:
        """Whether facts before a page that begins at `start` are not here yet, and `peer` is the one who can send them."""
        if self.writers.get(origin) != peer:
            return False
        copy = self.copies[origin]
        if start > copy.reached:
            copy.follow()  # another process of this control site may have taken them
        return start > copy.reached

    def take(self, peer: NodeId, data: bytes, *, moment: Moment) -> tuple[str, Receipt]:
        """Verify, store and cosign one page; gives its origin and the receipt."""
        page = Page.from_bytes(data)
        try:
            if self.writers.get(page.origin) != peer:
                raise NotTrusted(f"page of {page.origin[:80]!r} refused", why=f"{peer} does not write that ledger")
            return page.origin, self.copies[page.origin].take(page, moment=moment, first=self.first)
        except NotTrusted as refusal:
            self._refuse(peer, data, str(refusal))
            raise

    def _refuse(self, peer: NodeId, data: bytes, why: str) -> None:
        self.refused = [*self.refused[1 - REFUSED_SHOWN :], why]
        digest = sha256(data).digest()
        if digest in self._kept or len(self._kept) >= EVIDENCE_MAX or self._kept_bytes + len(data) > EVIDENCE_BYTES_MAX:
            return
        self._keep_evidence(peer, why, data)
        self._kept.add(digest)
        self._kept_bytes += len(data)
