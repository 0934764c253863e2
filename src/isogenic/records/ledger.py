"""A ledger: one writer, one audience, facts in one order.

Guarantees: `append` notes all of its payloads or none, in one transaction with one fsync
and one signed checkpoint for every 512 (group commit: a scan's facts go together); what `append` has
returned is durable (I1). Position is the leaf index of the Merkle tree; there are no gaps.
`Copy` is another node's ledger held here: it only takes pages that it has verified.
`check` hashes all that is stored again and compares it with the newest checkpoint.
On a store that several processes share, the head is read anew under the store's lock before anything
is appended or taken, and `follow` takes in what the others wrote.
Leaves to others: what facts mean, and carrying pages about (sync, outbox, inbox).

    stage       means
    noted       durable at the writer
    sent        on the wire at least once
    witnessed   verified, stored and cosigned by the other side: the cosignature is the only receipt
    archived    sealed in long-term storage
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from isogenic.clock import Moment
from isogenic.errors import NotTrusted, NotValid
from isogenic.records.facts import Actor, Fact, Payload, encode_facts, fact_in_place
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Checkpoint, Signer, VerifyingKey, cosign, open_checkpoint, sign_checkpoint
from isogenic.records.store import Commit, Head, LedgerStore
from isogenic.records.sync import Page, check_page

__all__ = ["COMMIT_MAX", "Copy", "Ledger", "Stage"]

COMMIT_MAX = 512  # facts to a commit, so that one commit always fits one page of a slow satellite link
READ_PAGE = 512  # facts read from the store at a time
CHECK_PAGE = 8_192  # facts hashed at a time
RESTORE = "restore the file from a backup or from the other side's copy; keep this one as evidence"


class Stage(StrEnum):
    """How far a fact has come. Screens and release never blur them."""

    NOTED = "noted"
    SENT = "sent"
    WITNESSED = "witnessed"
    ARCHIVED = "archived"


def _facts(store: LedgerStore, start: int, stop: int | None) -> Iterator[Fact]:
    while stop is None or start < stop:
        upper = start + READ_PAGE if stop is None else min(stop, start + READ_PAGE)
        bodies = store.bodies(start, upper)
        if not bodies:
            return
        for position, body in enumerate(bodies, start):
            yield fact_in_place(body, ledger=store.origin, position=position)
        start += len(bodies)


def _check(store: LedgerStore, frontier: Frontier, writer: VerifyingKey) -> None:
    """Hash every stored fact again and compare with the newest checkpoint: some 2 s for a million facts."""
    found, at = Frontier(), 0
    while at < frontier.size:
        bodies = store.bodies(at, min(frontier.size, at + CHECK_PAGE))
        if not bodies:
            break
        found, at = found.extend(leaf_hashes(bodies)), at + len(bodies)
    if found != frontier:
        first, last = _fault(store, frontier.size, writer)
        raise NotTrusted(
            f"ledger {store.origin} refused",
            why=f"what is stored is not what was signed: the fault is among the facts at positions {first} to {last}",
            possible=RESTORE,
        )
    if store.bodies(frontier.size, frontier.size + 1) and _is_newest(store, frontier):
        raise NotTrusted(f"ledger {store.origin} refused", why=f"there are facts beyond its {frontier.size} signed ones", possible=RESTORE)
    receipt = store.receipt()
    if receipt is not None and receipt[0] > frontier.size and _is_newest(store, frontier):
        why = f"the other side has cosigned {receipt[0]} facts, and {frontier.size} are here: the end of it was taken away"
        raise NotTrusted(f"ledger {store.origin} refused", why=why, possible=RESTORE)


def _is_newest(store: LedgerStore, frontier: Frontier) -> bool:
    """Whether no checkpoint came after this tree: in a shared store, another process may have written in the meantime."""
    head = store.head()
    return head is None or head.size <= frontier.size


def _newest(store: LedgerStore, writer: VerifyingKey, what: str) -> Frontier:
    """The tree of the newest checkpoint, which must be the writer's."""
    head = store.head()
    if head is None:
        return Frontier()
    checkpoint, _ = open_checkpoint(head.note, writer)
    if checkpoint != Checkpoint(store.origin, head.size, head.frontier.root()):
        raise NotTrusted(f"cannot open {what} {store.origin}", why="its newest checkpoint does not match its tree")
    return head.frontier


def _followed(store: LedgerStore, known: Frontier, writer: VerifyingKey) -> Frontier:
    """The tree as it is in the store now, which can only be longer than what this process has seen of it."""
    head = store.head()
    if (head.frontier if head else Frontier()) == known:
        return known
    newest = _newest(store, writer, "ledger")
    if newest.size <= known.size:
        raise NotTrusted(
            f"ledger {store.origin} refused",
            why=f"this process has read {known.size} facts of it, and its store now holds {newest.size}, or others: the end of it was lost",
            possible="find out which database this is, then start this process again",
        )
    return newest


def _fault(store: LedgerStore, size: int, writer: VerifyingKey) -> tuple[int, int]:
    """The first and last position among which something was changed: between two stored checkpoints, of which the second no longer fits."""
    frontier, good = Frontier(), 0
    while (kept := store.checkpoint_after(frontier.size)) is not None and kept[0] <= size:
        bodies = store.bodies(frontier.size, kept[0])
        frontier = frontier.extend(leaf_hashes(bodies))
        if frontier.size < kept[0]:
            return good, kept[0] - 1
        try:
            signed, _ = open_checkpoint(kept[1], writer)
        except (NotTrusted, NotValid):  # changed itself: the next one tells
            continue
        if signed != Checkpoint(store.origin, kept[0], frontier.root()):
            return good, kept[0] - 1
        good = kept[0]
    return good, size - 1


class Ledger:
    """A ledger written here."""

    def __init__(self, store: LedgerStore, *, signer: Signer) -> None:
        """Open on a store. The newest checkpoint must be ours; if it is not, the file is not this writer's."""
        self.store, self.signer = store, signer
        self.origin = store.origin
        self._frontier = _newest(store, signer.verifying_key, "ledger")

    @property
    def size(self) -> int:
        """How many facts are noted."""
        return self._frontier.size

    @property
    def root(self) -> bytes:
        """The root of all noted facts."""
        return self._frontier.root()

    def check(self) -> None:
        """Raise `NotTrusted` unless the stored facts are those that were signed. For starting, before anything is folded."""
        _check(self.store, self._frontier, self.signer.verifying_key)

    def follow(self) -> bool:
        """Take in what other processes wrote to a shared store; whether there was anything. Raises `NotTrusted` where it has lost its end."""
        before = self._frontier
        if self.store.shared:
            self._frontier = _followed(self.store, before, self.signer.verifying_key)
        return self._frontier != before

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self.store.exclusive():
            self.follow()
            yield

    def append(self, payloads: Sequence[Payload], *, actor: Actor, moment: Moment) -> list[Fact]:
        """Note these payloads, durably, in this order; returns them as facts.

        Raises `NotValid` if one cannot be written (none is noted then), `NotReachable` if the disk refuses.
        """
        with self._writing():
            bodies, noted = encode_facts(payloads, ledger=self.origin, start=self._frontier.size, actor=actor, moment=moment)
            self._commit([bodies[at : at + COMMIT_MAX] for at in range(0, len(bodies), COMMIT_MAX)])
        return noted

    def append_bytes(self, bodies: Sequence[bytes]) -> None:
        """Note encoded facts in one commit: hash, sign, one transaction, one fsync."""
        if len(bodies) > COMMIT_MAX:
            raise NotValid(f"cannot note {len(bodies)} facts at once", why=f"a commit has at most {COMMIT_MAX}")
        if bodies:
            with self._writing():
                self._commit([bodies])

    def _commit(self, pages: Sequence[Sequence[bytes]]) -> None:
        frontier, commits = self._frontier, []
        for bodies in pages:
            frontier = frontier.extend(leaf_hashes(bodies))
            note = sign_checkpoint(Checkpoint(self.origin, frontier.size, frontier.root()), self.signer)
            commits.append(Commit(bodies, frontier, note))
        if commits:
            self.store.commit_all(commits)
        self._frontier = frontier

    def facts(self, start: int = 0, stop: int | None = None) -> Iterator[Fact]:
        """The facts from position `start` on, each by where it stands; one that cannot be read is of kind `unreadable`."""
        return _facts(self.store, start, stop)

    @property
    def witnessed(self) -> int:
        """How many facts the other side has cosigned."""
        receipt = self.store.receipt()
        return receipt[0] if receipt else 0

    def take_receipt(self, line: bytes, *, size: int, witness: VerifyingKey) -> None:
        """Keep the witness's cosignature over our first `size` facts, once it verifies."""
        if size > self.size:
            self.follow()  # another process may have noted what the witness has cosigned
        found = self.store.checkpoint_at_or_before(size) if 0 < size <= self.size else None
        if found is None or found[0] != size:
            raise NotTrusted(f"receipt for {size} facts of {self.origin} refused", why="we never signed a checkpoint of that size")
        note = found[1] + line
        _, cosignatures = open_checkpoint(note, self.signer.verifying_key, witnesses=(witness,))
        if not cosignatures:
            raise NotTrusted(f"receipt for {size} facts of {self.origin} refused", why=f"it is not cosigned by {witness.name}")
        self.store.keep_receipt(size, note)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a page that was taken: cosigned up to `size`."""

    size: int
    line: bytes


class Copy:
    """Another node's ledger, held here page by page, each verified before it is stored, stored before it is cosigned."""

    def __init__(self, store: LedgerStore, *, writer: VerifyingKey, witness: Signer) -> None:
        self.store, self.writer, self.witness = store, writer, witness
        self.origin = store.origin
        self._frontier = _newest(store, writer, "the copy of")

    @property
    def size(self) -> int:
        """How many facts are held, all of them verified."""
        return self._frontier.size

    @property
    def root(self) -> bytes:
        """The root over all facts held."""
        return self._frontier.root()

    def check(self) -> None:
        """Raise `NotTrusted` unless the stored facts are those that the writer signed. For starting, before anything is folded."""
        _check(self.store, self._frontier, self.writer)

    def follow(self) -> bool:
        """Take in what other processes stored; whether there was anything. Raises `NotTrusted` where the store has lost its end."""
        before = self._frontier
        if self.store.shared:
            self._frontier = _followed(self.store, before, self.writer)
        return self._frontier != before

    def take(self, page: Page, *, moment: Moment) -> Receipt:
        """Verify a page, store it durably, cosign it. A page already held is answered with the same promise.

        Raises `NotTrusted` on a wrong signature, root or fork, and `sync.Resume` where the page leaves a gap.
        """
        with self.store.exclusive():
            self.follow()
            return self._take(page, time=int(moment.at.timestamp()))

    def _take(self, page: Page, *, time: int) -> Receipt:
        accepted = check_page(
            page, held=self._frontier, origin=self.origin, writer=self.writer, bodies=self.store.bodies, checkpoint=self.store.checkpoint_at_or_before
        )
        line = cosign(page.note, witness=self.witness, time=time)  # a promise only once it is given out, which is after the disk has it
        if accepted.bodies:
            self.store.commit(accepted.bodies, frontier=accepted.frontier, note=page.note, receipt=page.note + line)
            self._frontier = accepted.frontier
        elif accepted.size == self._frontier.size:
            self.store.keep_receipt(accepted.size, page.note + line)
        return Receipt(accepted.size, line)

    def facts(self, start: int = 0, stop: int | None = None) -> Iterator[Fact]:
        """The facts held from position `start` on, each by where it stands; one that cannot be read is of kind `unreadable`."""
        return _facts(self.store, start, stop)

    def head(self) -> Head | None:
        """The newest checkpoint held."""
        return self.store.head()
