"""The scrub: everything that is stored, hashed again and again, slowly, beside the work.

Guarantees: every fact of every ledger and copy, and every blob, is read from the disk and hashed once in a pass, a little at a
time (`STEP_FACTS`, or one blob); what is not what was signed is told with its place; nothing is changed here. A rest of
`1 / SHARE` times what a step took follows each, so that a pass costs no more than that share of a processor.
Leaves to others: mending (`mended`: decided here, from a page that the other side holds), noting and asking (nodes).

    1,000,000 facts cost some 3 s of hashing: at one per cent, a pass over them takes five minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from isogenic.clock import monotonic_seconds
from isogenic.errors import NotFound, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.records.blobs import BlobStore
from isogenic.records.healing import Difference, difference, name_fault
from isogenic.records.ledger import Copy, Ledger, open_kept
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Checkpoint
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import Page, check_page

__all__ = ["PASS_PAUSE_S", "SHARE", "Rot", "Scrub", "evidence_of", "mend", "mended", "scrub_for_ever"]

STEP_FACTS = 512  # at most, some milliseconds: a commit has no more
SHARE = 0.01  # of one processor
PASS_PAUSE_S = 60.0  # wall seconds between two passes: a node with little in it does not read its files all day
STEP_PAUSE_S = 0.01
SPAN_CHECKPOINTS = 8  # a checkpoint may be rotten itself: that many after it are tried before the facts are blamed

NOTHING = Frontier()


@dataclass(frozen=True, slots=True)
class Rot:
    """Stored bytes that are no longer what was signed: facts from `start` up to `stop` of a ledger, or a blob by its digest."""

    ledger: str
    start: int
    stop: int
    why: str
    before: Frontier = NOTHING  # the tree of what stands before them, which verifies

    @property
    def blob(self) -> bool:
        """Whether it is a blob."""
        return self.stop == 0


class Scrub:
    """Goes over what a node stores, again and again."""

    def __init__(self, ledgers: Callable[[], Iterable[Ledger | Copy]], blobs: BlobStore) -> None:
        self._ledgers, self._blobs = ledgers, blobs
        self._work: Iterator[list[Rot]] | None = None
        self._whole: set[str] = set()  # blobs that were whole when they were looked at: one that is gone since is rotten, not new
        self.passes = 0
        self.looked = 0  # facts and blobs hashed since the node began

    def step(self) -> list[Rot]:
        """Hash a little more; gives what was found rotten in it."""
        if self._work is None:
            self._work = self._pass()
        try:
            return next(self._work)
        except StopIteration:
            self._work = None
            self.passes += 1
            return []

    def whole_pass(self) -> list[Rot]:
        """All of it at once: for tests, and for people in a hurry."""
        found, passes = list[Rot](), self.passes
        while self.passes == passes:
            found += self.step()
        return found

    def _pass(self) -> Iterator[list[Rot]]:
        for ledger in list(self._ledgers()):
            yield from self._ledger(ledger)
        for digest in sorted({*self._blobs.digests(), *self._whole}):
            yield self._blob(digest)

    def seen_whole(self, digest: str) -> None:
        """A blob was read elsewhere, and had its digest."""
        self._whole.add(digest)

    def _blob(self, digest: str) -> list[Rot]:
        self.looked += 1
        try:
            self._blobs.get(digest)
        except NotTrusted:
            return [Rot(digest, 0, 0, "the file no longer has that digest")]
        except NotReachable as refusal:
            return [Rot(digest, 0, 0, refusal.why or refusal.what)]
        except NotFound:
            return [Rot(digest, 0, 0, "the file is gone")] if digest in self._whole else []
        except (NotValid, LookupError):
            return []
        self._whole.add(digest)
        return []

    def _ledger(self, ledger: Ledger | Copy) -> Iterator[list[Rot]]:
        frontier, skipped, since = Frontier(), 0, Frontier()
        while frontier.size < ledger.size:
            try:
                ledger.store.forget()
                kept = ledger.store.checkpoint_after(frontier.size)
                if kept is None or kept[0] > ledger.size:
                    yield [Rot(ledger.origin, since.size, ledger.size, "a checkpoint is missing", since)]
                    return
                bodies = ledger.store.bodies(frontier.size, kept[0])
            except NotReachable as refusal:
                yield [Rot(ledger.origin, since.size, ledger.size, refusal.why or refusal.what, since)]
                return
            self.looked += len(bodies)
            grown = frontier.extend(leaf_hashes(bodies))
            if grown.size == kept[0] and _signed(ledger, kept[1]) == Checkpoint(ledger.origin, grown.size, grown.root()):
                frontier = since = grown
                skipped = 0
                yield []
                continue
            skipped += 1
            if grown.size < kept[0] or skipped > SPAN_CHECKPOINTS or kept[0] == ledger.size:
                rot = self._blamed(ledger, since, kept[0])
                yield [rot] if rot else []
                return
            frontier = grown
            yield []

    def _blamed(self, ledger: Ledger | Copy, since: Frontier, last: int) -> Rot | None:
        """The first span, from what verifies up to the next checkpoint, with the fault named; None where only checkpoints are rotten."""
        first = ledger.store.checkpoint_after(since.size)
        stop = first[0] if first is not None else last
        there = dict(enumerate(ledger.store.bodies(since.size, stop), since.size))
        bodies = [there.get(position) for position in range(since.size, stop)]
        return Rot(ledger.origin, since.size, stop, name_fault(bodies, origin=ledger.origin, start=since.size), since)


def _signed(ledger: Ledger | Copy, note: bytes) -> Checkpoint | None:
    try:
        return open_kept(note, ledger.keys)
    except (NotTrusted, NotValid):
        return None


def mended(rot: Rot, page: Page, ledger: Ledger | Copy) -> list[Difference]:
    """What of a ledger differs from a page that the other side returned, once the page is proven against the tree before it.

    Raises `NotTrusted` where the page does not continue that tree to a root that the writer signed.
    """
    if page.origin != rot.ledger or page.start != rot.start:
        raise NotTrusted(f"page of {page.origin[:80]} refused", why=f"asked was {rot.ledger} from {rot.start}")
    check_page(page, held=rot.before, origin=rot.ledger, writer=ledger.keys, bodies=lambda start, stop: [])
    stop = min(page.start + len(page.bodies), ledger.size)
    return difference(_rows(ledger, rot.start, stop), page.bodies[: stop - rot.start], start=rot.start)


def _rows(ledger: Ledger | Copy, start: int, stop: int) -> list[bytes | None]:
    """What is stored at each position, None where nothing can be read."""
    found: list[bytes | None] = []
    for position in range(start, stop):
        try:
            rows = ledger.store.bodies(position, position + 1)
        except NotReachable:
            rows = []
        found.append(rows[0] if rows else None)
    return found


def evidence_of(differences: Iterable[Difference]) -> bytes:
    """The rotten bytes, for keeping: each as its position, its length, and what was there."""
    return b"".join(b"%d %d\n%b\n" % (each.position, len(each.there or b""), each.there or b"") for each in differences)


def mend(rot: Rot, page: Page, ledger: Ledger | Copy, blobs: BlobStore) -> str:
    """Put back what a page proves; gives the digest under which the rotten bytes are kept."""
    if not isinstance(ledger.store, SqliteStore):
        raise NotTrusted(f"nothing of {rot.ledger} mended", why="its store is a database that mends itself")
    found = mended(rot, page, ledger)
    evidence = blobs.put(evidence_of(found)) if found else ""
    ledger.store.mend([(each.position, each.signed) for each in found])
    return evidence


async def scrub_for_ever(scrub: Scrub, look: Callable[[], None], mend_once: Callable[[], Awaitable[bool]], *, share: float = SHARE) -> None:
    """Step after step with a rest after each, and a pause after each pass; what was found is mended when it can be."""
    while True:
        passes, begun = scrub.passes, monotonic_seconds()
        with suppress(Refusal):  # a disk that refuses, a link that is down: the next step is another try
            look()
        took = monotonic_seconds() - begun
        if scrub.passes != passes:
            with suppress(Refusal):
                while await mend_once():
                    pass
            await asyncio.sleep(PASS_PAUSE_S)
        else:
            await asyncio.sleep(max(STEP_PAUSE_S, took / share))
