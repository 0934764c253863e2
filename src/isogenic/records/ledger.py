"""A ledger: one writer, one audience, facts in one order.

Guarantees: `append` notes all of its payloads or none, in one transaction with one fsync
and one signed checkpoint for every 512 (group commit: a scan's facts go together); what `append` has
returned is durable (I1). Position is the leaf index of the Merkle tree; there are no gaps.
`Copy` is another node's ledger held here: it only takes pages that it has verified.
Which key counts for which size is asked of `WriterKeys` (keys).
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

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum

from isogenic.clock import Moment
from isogenic.errors import NotAllowed, NotReachable, NotTrusted, NotValid
from isogenic.records.facts import Actor, Fact, Payload, encode_facts, fact_in_place
from isogenic.records.keys import Change, KeyRenewed, KeyRotated, WriterKeys, sign_rotation
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import (
    Checkpoint,
    Signer,
    VerifyingKey,
    claimed_checkpoint,
    cosign,
    first_key_id,
    open_checkpoint,
    sign_checkpoint,
)
from isogenic.records.store import Commit, Head, LedgerStore
from isogenic.records.sync import Accepted, Page, Resume, check_page, next_page

__all__ = ["COMMIT_MAX", "Copy", "Ledger", "Stage"]

COMMIT_MAX = 512  # facts to a commit, so that one commit always fits one page of a slow satellite link
READ_PAGE = 512  # facts read from the store at a time
CHECK_PAGE = 512  # facts hashed at a time: what stays in the cache of a processor
PROMISES_MAX = 100  # sizes that a writer has told and not yet brought: more than an hour of them, at the pace that they are kept
FIRST_TOLD = PROMISES_MAX // 2  # of these, the ones told first: no flood of later words, small or large, pushes them out
UNPROVEN_BYTES_MAX = 64 * 1024 * 1024  # of what came back and is not proven: it is kept in memory
LINE = "\u2014 ".encode()  # how a signature line begins
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


def _check(store: LedgerStore, frontier: Frontier, keys: WriterKeys) -> None:
    """Hash every stored fact again and compare with the newest checkpoint, and with what was signed at each change of the key:
    some 2 s for a million facts.
    """
    found = Frontier()
    for stop, root in [*keys.rotations(), (frontier.size, frontier.root())]:
        found = _grown(store, found, stop)
        if found.size != stop or found.root() != root:
            first, last = _fault(store, frontier.size, keys)
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


def _newest(store: LedgerStore, keys: WriterKeys, what: str, *, also: Sequence[VerifyingKey] = ()) -> Frontier:
    """The tree of the newest checkpoint, which must be the writer's."""
    head = store.head()
    if head is None:
        return Frontier()
    if open_kept(head.note, keys, also=also) != Checkpoint(store.origin, head.size, head.frontier.root()):
        raise NotTrusted(f"cannot open {what} {store.origin}", why="its newest checkpoint does not match its tree")
    return head.frontier


def _followed(store: LedgerStore, known: Frontier, keys: WriterKeys) -> tuple[Frontier, WriterKeys]:
    """The tree as it is in the store now, which can only be longer than what this process has seen of it, and the keys up to there."""
    head = store.head()
    if (head.frontier if head else Frontier()) == known:
        return known, keys
    keys = keys.found_in(store, after=known.size)
    newest = _newest(store, keys, "ledger")
    if newest.size <= known.size:
        raise NotTrusted(
            f"ledger {store.origin} refused",
            why=f"this process has read {known.size} facts of it, and its store now holds {newest.size}, or others: the end of it was lost",
            possible="find out which database this is, then start this process again",
        )
    return newest, keys


def _grown(store: LedgerStore, frontier: Frontier, stop: int) -> Frontier:
    """The tree with what is stored up to `stop`."""
    while frontier.size < stop:
        bodies = store.bodies(frontier.size, min(stop, frontier.size + CHECK_PAGE))
        if not bodies:
            break
        frontier = frontier.extend(leaf_hashes(bodies))
    return frontier


def _fault(store: LedgerStore, size: int, keys: WriterKeys) -> tuple[int, int]:
    """The first and last position among which something was changed: between two stored checkpoints, of which the second no longer fits."""
    frontier, good = Frontier(), 0
    while (kept := store.checkpoint_after(frontier.size)) is not None and kept[0] <= size:
        bodies = store.bodies(frontier.size, kept[0])
        frontier = frontier.extend(leaf_hashes(bodies))
        if frontier.size < kept[0]:
            return good, kept[0] - 1
        try:
            signed = open_kept(kept[1], keys)
        except (NotTrusted, NotValid):  # changed itself: the next one tells
            continue
        if signed != Checkpoint(store.origin, kept[0], frontier.root()):
            return good, kept[0] - 1
        good = kept[0]
    return good, size - 1


def open_kept(note: bytes, keys: WriterKeys, *, also: Sequence[VerifyingKey] = ()) -> Checkpoint:
    """The checkpoint in a note of our own store: signed by the key that counts, or, beyond a revocation, by one that did when it was noted."""
    try:
        return keys.open(note)[0]
    except NotTrusted:
        if keys.revoked_before(claimed_checkpoint(note).size) is None:
            raise
        for key in (*(era.key for era in keys.eras if era.key is not None), *also):
            if key.key_id == first_key_id(note):
                return open_checkpoint(note, key)[0]
        raise


def _as_begun(keys: WriterKeys) -> WriterKeys:
    """The keys without what the ledger itself said of them: that is found in its facts."""
    return replace(keys, eras=tuple(era for era in keys.eras if era.change is not Change.ROTATED))


class Ledger:
    """A ledger written here."""

    def __init__(self, store: LedgerStore, *, signer: Signer, keys: WriterKeys | None = None) -> None:
        """Open on a store. The newest checkpoint must be ours; if it is not, the file is not this writer's.

        Where `signer` is not the key that it goes on with (an older file came back), it can be read, and take back what it
        lacks; nothing is noted in it until the key fits.

        `keys` say with which key the ledger began and what was revoked since; without them it began with `signer`.
        """
        self.store, self.signer = store, signer
        self.origin = store.origin
        self.keys = (keys or WriterKeys.first(self.origin, signer.verifying_key)).found_in(store)
        self._again: dict[int, bytes] | None = None  # checkpoints signed anew, once asked for
        self._frontier = _newest(store, self.keys, "ledger", also=(signer.verifying_key,))

    @property
    def size(self) -> int:
        """How many facts are noted."""
        return self._frontier.size

    @property
    def frontier(self) -> Frontier:
        """The tree of all noted facts."""
        return self._frontier

    @property
    def root(self) -> bytes:
        """The root of all noted facts."""
        return self._frontier.root()

    def check(self) -> None:
        """Raise `NotTrusted` unless the stored facts are those that were signed. For starting, before anything is folded."""
        _check(self.store, self._frontier, self.keys)

    # ---- keys ----

    def _counts(self) -> bool:
        """Whether the next checkpoint counts if we sign it."""
        try:
            return self.keys.at(self.size + 1) == self.signer.verifying_key
        except NotTrusted:
            return False

    @property
    def revoked(self) -> bool:
        """Whether our key was revoked. Facts are noted on, so that a running batch is not lost; they count once a key that counts has signed them."""
        return self.keys.revoked_before(self.size + 1) is not None and not self._counts()

    @property
    def writable(self) -> bool:
        """Whether the key in hand is one that may sign the next checkpoint: it counts, or it is revoked and nobody has followed it yet."""
        return self._counts() or (self.revoked and self._signed_last())

    def _signed_last(self) -> bool:
        head = self.store.head()
        return head is None or first_key_id(head.note) == self.signer.verifying_key.key_id

    def revoke(self, after: int, key: VerifyingKey | None) -> None:
        """Take the control site's word: the key in force counts for `after` facts, `key` for those beyond."""
        self.keys, self._again = self.keys.revoked(after, key).found_in(self.store), None

    def renew(self, signer: Signer, *, actor: Actor, moment: Moment) -> Fact | None:
        """Go on with the key that counts since the old one was revoked: what was noted meanwhile is signed anew."""
        if self.keys.at(self.size + 1) != signer.verifying_key:
            raise NotTrusted(f"cannot go on with {self.origin}", why="the key given is not the one that counts for it now")
        self.signer, self._again = signer, None
        head, after = self.store.head(), self.keys.revoked_before(self.size)
        if head is None or after is None or first_key_id(head.note) == self.keys.at(head.size).key_id:
            return None
        return self.append([KeyRenewed(self.origin, str(signer.verifying_key), after)], actor=actor, moment=moment)[0]

    def rotate(self, signer: Signer, *, actor: Actor, moment: Moment) -> Fact:
        """Go on with a new key: the old one signs it, over all facts so far. The new key is on the disk before, the old one destroyed after."""
        if self.store.shared:
            raise NotAllowed(f"cannot rotate the key of {self.origin}", why="several processes write it with one key", possible="revoke and renew it")
        tail = self.store.checkpoint_after(self.witnessed)
        if tail is not None and self.keys.revoked_before(tail[0]) is not None and first_key_id(tail[1]) != self.keys.at(tail[0]).key_id:
            why = "what a revoked key had signed waits to be witnessed under this one"  # signed anew only when it is sent
            raise NotAllowed(f"cannot rotate the key of {self.origin} now", why=why, possible="wait for the link")
        payload: KeyRotated = sign_rotation(self.origin, size=self.size, root=self.root, old=self.signer, new=signer.verifying_key)
        bodies, noted = encode_facts([payload], ledger=self.origin, start=self.size, actor=actor, moment=moment)
        keys = self.keys.after_facts(bodies, start=self.size)
        if keys.at(self.size + 1) != signer.verifying_key:
            raise NotTrusted(f"cannot rotate the key of {self.origin}", why="the old key does not count for it, or the new one was used before")
        before = self.signer, self.keys
        self.signer, self.keys = signer, keys
        try:
            self._commit([bodies])
        except BaseException:
            self.signer, self.keys = before
            raise
        return noted[0]

    def bodies(self, start: int, stop: int) -> list[bytes]:
        """The stored bytes, for pages."""
        return self.store.bodies(start, stop)

    def checkpoint_at_or_before(self, size: int) -> tuple[int, bytes] | None:
        """The newest checkpoint of at most `size` facts, as it counts: signed anew where a revoked key had signed it."""
        return self._as_it_counts(self.store.checkpoint_at_or_before(size))

    def checkpoint_after(self, size: int) -> tuple[int, bytes] | None:
        """The oldest checkpoint of more than `size` facts, as it counts."""
        return self._as_it_counts(self.store.checkpoint_after(size))

    def _as_it_counts(self, found: tuple[int, bytes] | None) -> tuple[int, bytes] | None:
        if found is None or self.keys.revoked_before(found[0]) is None or first_key_id(found[1]) == self.keys.at(found[0]).key_id:
            return found
        if self._again is None:
            self._again = self._signed_anew()
        if found[0] not in self._again:
            raise NotTrusted(
                f"nothing of {self.origin} sent", why=f"its checkpoint of {found[0]} facts is signed by a revoked key, and its key is gone"
            )
        return found[0], self._again[found[0]]

    def _signed_anew(self) -> dict[int, bytes]:
        """Every checkpoint that a revoked key had signed, with the key that counts; where that key was rotated since, as it was cosigned."""
        again = dict(self.store.receipts())
        frontier = Frontier()
        at = self.keys.revoked_before(self.size) or 0
        while (kept := self.store.checkpoint_after(at)) is not None:
            at, key = kept[0], self.keys.at(kept[0])
            if first_key_id(kept[1]) == key.key_id:
                break
            if key == self.signer.verifying_key:
                frontier = _grown(self.store, frontier, at)  # from the facts: what the revoked key signed is not taken over unseen
                again[at] = sign_checkpoint(Checkpoint(self.origin, at, frontier.root()), self.signer)
        return again

    # ---- facts ----

    def follow(self) -> bool:
        """Take in what other processes wrote to a shared store; whether there was anything. Raises `NotTrusted` where it has lost its end."""
        before = self._frontier
        if self.store.shared:
            self._frontier, self.keys = _followed(self.store, before, self.keys)
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
        if not self.writable:
            raise NotTrusted(
                f"nothing was noted in {self.origin}",
                why="the key that it goes on with is not here",
                possible="take back from the witness what is missing, or renew the key",
            )
        frontier, commits = self._frontier, []
        for bodies in pages:
            frontier = frontier.extend(leaf_hashes(bodies))
            note = sign_checkpoint(Checkpoint(self.origin, frontier.size, frontier.root()), self.signer)
            commits.append(Commit(bodies, frontier, note))
        if commits:
            self.store.commit_all(commits)
        self._frontier = frontier

    def take_back(self, page: Page, *, witness: VerifyingKey) -> int:
        """Take facts of ours back from the witness that holds them; gives how many came.

        The page carries our own signature and the witness's cosignature. Raises `NotTrusted` where it does not
        continue what is here: then there are two histories, and only a person can say what becomes of ours.
        """
        with self._writing():
            accepted = check_page(page, held=self._frontier, origin=self.origin, writer=self.keys, bodies=self.store.bodies)
            _, cosignatures = accepted.keys.open(page.note, witnesses=(witness,))
            if not cosignatures:
                raise NotTrusted(f"page of {page.origin[:80]} refused", why=f"it is not cosigned by {witness.name}")
            if accepted.bodies:
                self._grow([Commit(accepted.bodies, accepted.frontier, page.note.rpartition(LINE)[0], page.note)])
        return len(accepted.bodies)

    def lacks(self, page: Page) -> int:
        """How many facts of ours its holder proves by our own signature, where they are not the ones that are here: more, or others; else 0."""
        if page.origin != self.origin or page.start > self.size:
            return 0
        end = page.start + len(page.bodies)
        try:
            keys = self.keys.after_facts(page.bodies[self.size - page.start :], start=self.size)
            claim, _ = keys.open(page.note)
        except (NotTrusted, NotValid):
            return 0
        if claim.origin != self.origin or claim.size != end:
            return 0
        if end > self.size:
            return end
        kept = self.store.checkpoint_at_or_before(end)  # it has grown meanwhile
        ours = claimed_checkpoint(kept[1]).root if kept and kept[0] == end else _grown(self.store, Frontier(), end).root()
        return end if ours != claim.root else 0

    def grow(self, commits: Sequence[Commit]) -> None:
        """Go on with commits that were signed before and verify: what a damaged file still had."""
        with self._writing():
            self._grow(commits)

    def _grow(self, commits: Sequence[Commit]) -> None:
        self.store.commit_all(commits)
        for each in commits:
            self.keys = self.keys.after_facts(each.bodies, start=each.frontier.size - len(each.bodies))
        self._frontier = commits[-1].frontier

    def reopen(self, store: LedgerStore) -> None:
        """Go on with another file of this ledger."""
        self.__init__(store, signer=self.signer, keys=_as_begun(self.keys))  # type: ignore[misc]

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
        found = self.checkpoint_at_or_before(size) if 0 < size <= self.size else None
        if found is None or found[0] != size:
            raise NotTrusted(f"receipt for {size} facts of {self.origin} refused", why="we never signed a checkpoint of that size")
        note = found[1] + line
        _, cosignatures = self.keys.open(note, witnesses=(witness,))
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

    def __init__(self, store: LedgerStore, *, writer: VerifyingKey | WriterKeys, witness: Signer) -> None:
        """`writer` is the key that the ledger began with, or that and what was revoked since."""
        self.store, self.witness = store, witness
        self.origin = store.origin
        self.keys = (writer if isinstance(writer, WriterKeys) else WriterKeys.first(self.origin, writer)).found_in(store)
        self.promised: dict[int, bytes] = {}  # roots, by size, that the writer has signed of facts that are not here yet
        self.vouched = 0  # how many facts we have cosigned before, where that is more than what is here
        self._unproven: Page | None = None  # facts that came back under a key that was revoked since, and that nothing else vouches for yet
        self._frontier = _newest(store, self.keys, "the copy of")

    @property
    def size(self) -> int:
        """How many facts are held, all of them verified."""
        return self._frontier.size

    @property
    def root(self) -> bytes:
        """The root over all facts held."""
        return self._frontier.root()

    @property
    def reached(self) -> int:
        """From which position on pages are wanted: behind what is held, and what came back and is not proven yet."""
        return self._unproven.start + len(self._unproven.bodies) if self._unproven else self.size

    def check(self) -> None:
        """Raise `NotTrusted` unless the stored facts are those that the writer signed. For starting, before anything is folded."""
        _check(self.store, self._frontier, self.keys)

    def revoke(self, after: int, key: VerifyingKey | None) -> None:
        """From now on the writer's key in force counts for `after` facts, and `key` for those beyond. What is held stays: it was witnessed."""
        if after < self.size:
            raise NotValid(f"cannot end the key of {self.origin} at {after} facts", why=f"{self.size} are held and cosigned")
        self.keys = self.keys.revoked(after, key)
        # What the revoked key told of facts beyond is no word of the writer's. What we cosigned ourselves still is.
        self.promised = {size: root for size, root in self.promised.items() if size <= after or size == self.vouched}

    def promise(self, size: int, root: bytes) -> None:
        """Remember what the writer has signed of facts that are not here yet: pages that say otherwise are refused."""
        if size > self.size:
            self.promised.setdefault(size, root)  # in the order of telling; the first word stands
            if len(self.promised) > PROMISES_MAX:  # the smallest are due first, so the largest goes: one that is never due pushes none out
                del self.promised[max(size for size in list(self.promised)[FIRST_TOLD:] if size != self.vouched)]

    def follow(self) -> bool:
        """Take in what other processes stored; whether there was anything. Raises `NotTrusted` where the store has lost its end."""
        before = self._frontier
        if self.store.shared:
            self._frontier, self.keys = _followed(self.store, before, self.keys)
        return self._frontier != before

    def take(self, page: Page, *, moment: Moment, first: Callable[[], object] = lambda: None) -> Receipt:
        """Verify a page, store it durably, cosign it. A page already held is answered with the same promise.

        `first` is called once no other process can take or revoke: what it reads of revocations is all there is.
        Raises `NotTrusted` on a wrong signature, root or fork, and `sync.Resume` where the page leaves a gap.
        """
        with self.store.exclusive():
            first()
            self.follow()
            return self._take(page, time=int(moment.at.timestamp()))

    def _take(self, page: Page, *, time: int) -> Receipt:
        page, self._unproven = self._with_unproven(page), None
        accepted = check_page(
            page,
            held=self._frontier,
            origin=self.origin,
            writer=self.keys,
            bodies=self.store.bodies,
            checkpoint=self.store.checkpoint_at_or_before,
            promised=self.promised,
        )
        self._wait_for_memory(page, accepted)
        line = cosign(page.note, witness=self.witness, time=time)  # a promise only once it is given out, which is after the disk has it
        if accepted.bodies:
            self.store.commit(accepted.bodies, frontier=accepted.frontier, note=page.note, receipt=page.note + line)
            self._frontier, self.keys = accepted.frontier, accepted.keys
            self.promised = {size: root for size, root in self.promised.items() if size > self.size}
        elif accepted.size == self._frontier.size:
            self.store.keep_receipt(accepted.size, page.note + line)
        return Receipt(accepted.size, line)

    def remember(self, size: int, root: bytes) -> None:
        """Hold the writer to what we cosigned before this file was damaged, or replaced by an older one."""
        if size > self.size:
            self.promise(size, root)
            self.vouched = max(self.vouched, size)

    def _wait_for_memory(self, page: Page, accepted: Accepted) -> None:
        """A witness that lost its memory cosigns nothing before it holds again all that it had cosigned; `promised` holds the writer to it.

        A key that was revoked since may be a thief's, and once counted for sizes that are missing here now. What it alone vouches
        for is not stored before the next page vouches for it, too: under a key that still counts, or up to a root that we had cosigned.
        """
        if accepted.frontier.size >= self.vouched:
            self.vouched = 0
            return
        if accepted.bodies and self.keys.ended(accepted.frontier.size):
            self._keep_unproven(Page(self.origin, self.size, tuple(accepted.bodies), page.note))
        elif accepted.bodies:
            self.store.commit(accepted.bodies, frontier=accepted.frontier, note=page.note)
            self._frontier, self.keys = accepted.frontier, accepted.keys
        raise Resume(self.reached)

    def _keep_unproven(self, page: Page) -> None:
        if sum(map(len, page.bodies)) > UNPROVEN_BYTES_MAX:
            raise NotReachable(
                f"nothing of {self.origin} taken",
                why=f"{self.vouched} facts were cosigned here, {self.size} are left, and what comes back is under a key that was revoked since",
                possible="restore a newer backup",
            )
        self._unproven = page

    def _with_unproven(self, page: Page) -> Page:
        """The page behind what came before it and is not proven yet; alone, where it does not go on from there."""
        before = self._unproven
        if before is None or page.start != self.reached or page.origin != self.origin:
            return page
        return Page(page.origin, before.start, (*before.bodies, *page.bodies), page.note)

    def page_back(self, start: int, *, moment: Moment) -> Page | None:
        """What the writer lacks when it has only `start` facts left: a page, cosigned by us; None where we hold no more."""
        page = next_page(self.store, start=start) if start < self.size else None
        if page is None:
            return None
        line = cosign(page.note, witness=self.witness, time=int(moment.at.timestamp()))
        return Page(page.origin, page.start, page.bodies, page.note + line)

    def reopen(self, store: LedgerStore) -> None:
        """Go on with another file of this ledger."""
        self.__init__(store, writer=_as_begun(self.keys), witness=self.witness)  # type: ignore[misc]

    def facts(self, start: int = 0, stop: int | None = None) -> Iterator[Fact]:
        """The facts held from position `start` on, each by where it stands; one that cannot be read is of kind `unreadable`."""
        return _facts(self.store, start, stop)

    def head(self) -> Head | None:
        """The newest checkpoint held."""
        return self.store.head()
