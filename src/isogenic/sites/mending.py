"""Bit rot at a site: found by the scrub, noted, and mended with what the control site holds.

Guarantees: a fact is put back only where a page that its writer signed proves it against the tree before it; the rotten
bytes are kept by their digest first; what cannot be mended now is tried again after every pass of the scrub. The site's
batches go on meanwhile: nothing that is folded is read again while the node runs.
Leaves to others: hashing (records.scrub), the wire (courier).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from urllib.parse import quote

from isogenic.errors import NotFound, NotReachable, NotTrusted, Refusal
from isogenic.records.blobs import BlobStore
from isogenic.records.facts import Payload
from isogenic.records.healing import RotFound, RotMended
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.link import Link, refusal_of
from isogenic.records.scrub import Rot, Scrub, mend
from isogenic.records.sync import Page, next_page

__all__ = ["Mending"]

log = logging.getLogger(__name__)
WHY_MAX = 400
SOURCE = "control site"
ASKED_MAX = 16  # spans or blobs that one answer to a heartbeat may ask for again
Noted = Callable[[Sequence[Payload]], object]


class Mending:
    """What one site has found rotten, and puts right."""

    def __init__(self, *, ledgers: Mapping[str, Ledger], control: Copy, blobs: BlobStore, link: Link, note: Noted) -> None:
        self.ledgers, self.control, self.blobs, self.link, self._note = dict(ledgers), control, blobs, link, note
        self.scrub = Scrub(lambda: [*self.ledgers.values(), self.control], blobs)
        self.rotten: dict[tuple[str, int], Rot] = {}

    def look(self) -> None:
        """One step of the scrub; what is new is noted."""
        for rot in self.scrub.step():
            if (rot.ledger, rot.start) not in self.rotten:
                log.error("%s from %d to %d: %s", rot.ledger, rot.start, rot.stop, rot.why)
                self._note([RotFound(rot.ledger, rot.start, rot.stop, rot.why[:WHY_MAX])])
                self.rotten[rot.ledger, rot.start] = rot

    async def mend_once(self) -> bool:
        """Ask for what the first rotten place should hold, and put it there; True if something was mended."""
        for key, rot in list(self.rotten.items()):
            try:
                evidence = await (self._mend_blob(rot) if rot.blob else self._mend_facts(rot))
            except NotReachable:
                raise
            except Refusal as refusal:
                log.error("%s from %d not mended: %s", rot.ledger, rot.start, refusal)
                continue
            if evidence is not None:
                self._note([RotMended(rot.ledger, rot.start, rot.stop, SOURCE, evidence)])
                del self.rotten[key]
                return True
        return False

    async def _mend_blob(self, rot: Rot) -> str | None:
        answer = await self.link.call("GET", f"/v1/blobs/{rot.ledger}")
        if answer.status != 200:
            return None
        self.blobs.put(answer.body, expected=rot.ledger)
        return ""

    async def _mend_facts(self, rot: Rot) -> str | None:
        ours = self.ledgers.get(rot.ledger)
        path = f"/v1/held?ledger={quote(rot.ledger)}&from={rot.start}" if ours else f"/v1/control?from={rot.start}&wait=0"
        answer = await self.link.call("GET", path)
        if answer.status == 204:
            return None  # nobody has witnessed it: what it was is known to nobody
        if answer.status != 200:
            raise refusal_of(answer)
        return mend(rot, Page.from_bytes(answer.body), ours or self.control, self.blobs)

    def _digests(self) -> set[str]:
        return set(self.blobs.digests())

    async def send_again(self, asked: object) -> None:
        """Send what the control site found rotten in its store: facts of ours, of the ledger that it writes for us, blobs."""
        for each in asked[:ASKED_MAX] if isinstance(asked, list) else []:
            if not isinstance(each, dict):
                continue
            blob, origin, start = each.get("blob"), each.get("ledger"), each.get("start")
            if isinstance(blob, str) and blob in self._digests():
                with suppress(NotFound, NotTrusted):  # rotten here, too: that is noted by our own scrub, and the others go on
                    await self.link.call("PUT", f"/v1/blobs/{blob}", self.blobs.get(blob))
            store = self.ledgers.get(origin) if isinstance(origin, str) else None
            held = store or (self.control if origin == self.control.origin else None)
            if held is not None and type(start) is int and 0 <= start < held.size:
                page = next_page(held if isinstance(held, Ledger) else held.store, start=start)
                if page is not None:
                    await self.link.call("POST", "/v1/again", page.to_bytes())
