"""Which key of its writer counts for which sizes of a ledger.

    first      the key that the directory named when the ledger began
    rotated    in band: a fact of the ledger, `records.key_rotated`, at position p; its key counts for checkpoints of
               more than p facts. The fact holds the old key's signed word for the new one, over the root of the p facts before
    revoked    out of band: the control site's word that the key in force counts for n facts and no more;
               another key, or none yet, counts for checkpoints of more than n facts

Guarantees: `at(size)` is one look-up for a checkpoint, whatever it covers, never one for a fact. A rotation counts only where
the key that would have signed there has signed it, so who was revoked cannot pass the pen on; one that does not count changes
nothing. Facts before a rotation stand under a root that a destroyed key has signed: whoever steals the new key cannot rewrite
them (the ratchet).
Leaves to others: destroying old keys (the node's folder), who may revoke (authority), verifying checkpoints (ledger, sync, verify).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from isogenic.errors import NotTrusted, NotValid, Refusal
from isogenic.records.facts import fact, fact_in_place
from isogenic.records.notes import (
    Checkpoint,
    Cosignature,
    Signer,
    VerifyingKey,
    claimed_checkpoint,
    first_key_id,
    open_checkpoint,
    open_note,
    read_checkpoint,
    sign_note,
)
from isogenic.records.store import LedgerStore

__all__ = ["Change", "Era", "KeyRenewed", "KeyRotated", "WriterKeys", "open_rotation", "sign_rotation"]

ROTATION = "isogenic key rotation 1"
_MARK = b'"kind":"records.key_rotated"'  # canonical form has no white space, so this is how every such fact says it


@fact("records.key_rotated", subject="ledger")
@dataclass(frozen=True, slots=True)
class KeyRotated:
    """The ledger's writer took a new key. `note` is the old key's word for it, over the root of all facts before this one."""

    ledger: str
    key: str  # vkey of the new key
    note: str  # signed note: its words, the ledger, how many facts, their root, the new key


@fact("records.key_renewed", subject="ledger")
@dataclass(frozen=True, slots=True)
class KeyRenewed:
    """The writer goes on with a new key after its old one was revoked: facts noted since, from `first` on, now stand under the new."""

    ledger: str
    key: str  # vkey of the new key
    first: int


class Change(StrEnum):
    """How a key came to count."""

    FIRST = "first"
    ROTATED = "rotated"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Era:
    """A key, and from where on it counts: for checkpoints of more than `after` facts, until the next era."""

    after: int
    key: VerifyingKey | None  # None: revoked, and no other named yet
    change: Change = Change.FIRST
    root: bytes = b""  # of a rotation: the root of the first `after` facts
    note: str = ""  # of a rotation: the old key's word


@dataclass(frozen=True, slots=True)
class WriterKeys:
    """The keys of one ledger's writer, by size."""

    origin: str
    eras: tuple[Era, ...]  # in order; the first begins before the first fact

    @classmethod
    def first(cls, origin: str, key: VerifyingKey, *, revocations: Iterable[tuple[int, VerifyingKey | None]] = ()) -> WriterKeys:
        """The key that the ledger began with, and what was said out of band since: (facts that the key before counts for, the next)."""
        keys = cls(origin, (Era(-1, key),))
        for after, next_key in revocations:
            keys = keys.revoked(after, next_key)
        return keys

    def _era(self, size: int) -> int:
        return max(bisect_left(self.eras, size, key=lambda era: era.after) - 1, 0)

    def at(self, size: int) -> VerifyingKey:
        """The key that counts for a checkpoint of `size` facts. Raises `NotTrusted` where none does."""
        era = self.eras[self._era(size)]
        if era.key is None:
            raise NotTrusted(
                f"checkpoint of {size} facts of {self.origin} refused",
                why=f"the writer's key was revoked: it counts for {era.after} facts and no more",
                possible="the control site names another key",
            )
        return era.key

    def open(self, note: bytes, *, witnesses: tuple[VerifyingKey, ...] = ()) -> tuple[Checkpoint, tuple[Cosignature, ...]]:
        """The checkpoint in `note`, signed by the key that counts for its size, and the cosignatures of `witnesses`."""
        claim = claimed_checkpoint(note)
        key = self.at(claim.size)
        try:
            return open_checkpoint(note, key, witnesses=witnesses)
        except NotTrusted as trouble:
            if not self.of_revoked(note):
                raise
            why = f"its key was revoked and counts for {self.revoked_before(claim.size)} facts: {key.name} has another since"
            raise NotTrusted(f"checkpoint of {claim.size} facts of {self.origin[:80]} refused", why=why) from trouble

    def of_revoked(self, note: bytes) -> bool:
        """Whether a note is signed by a key of this writer that was revoked and did not count for so many facts."""
        ended = self.revoked_before(claimed_checkpoint(note).size)
        return ended is not None and first_key_id(note) in {era.key.key_id for era in self.eras if era.key and era.after < ended}

    def revoked_before(self, size: int) -> int | None:
        """How many facts the key revoked last counts for, if that is fewer than `size`."""
        return next((era.after for era in reversed(self.eras) if era.change is Change.REVOKED and era.after < size), None)

    def revoked(self, after: int, key: VerifyingKey | None) -> WriterKeys:
        """The keys after the control site's word that what is in force counts for `after` facts; `key` for those beyond."""
        said = [era.after for era in self.eras if era.change is Change.REVOKED]
        if after < max(said, default=0):
            raise NotValid(f"cannot end a key of {self.origin} at {after} facts", why=f"one was ended at {max(said)} before")
        return replace(self, eras=(*(era for era in self.eras if era.after < after), Era(after, key, Change.REVOKED)))

    def after_fact(self, body: bytes, position: int) -> WriterKeys:
        """The keys after one more fact: changed by a rotation that the key in force there has signed, by nothing else."""
        if _MARK not in body:
            return self
        payload = fact_in_place(body, ledger=self.origin, position=position).payload
        return self._rotated(payload, position) if isinstance(payload, KeyRotated) else self

    def _rotated(self, payload: KeyRotated, position: int) -> WriterKeys:
        at = self._era(position + 1)
        by = self.eras[at].key
        try:
            root, key = open_rotation(payload, by=by, origin=self.origin, position=position) if by else (b"", None)
        except Refusal:
            return self
        if key is None or any(era.key == key for era in self.eras):  # a key that came back would undo the ratchet
            return self
        return replace(self, eras=(*self.eras[: at + 1], Era(position, key, Change.ROTATED, root, payload.note), *self.eras[at + 1 :]))

    def after_facts(self, bodies: Iterable[bytes], *, start: int) -> WriterKeys:
        """The keys after these facts."""
        keys = self
        for position, body in enumerate(bodies, start):
            if _MARK in body:
                keys = keys.after_fact(body, position)
        return keys

    def after_notes(self, notes: Iterable[str]) -> WriterKeys:
        """The keys after these rotations, known by the old keys' words alone, without the facts: for a heartbeat, or a statement."""
        keys = self
        for note in notes:
            lines = note.split("\n", 5)
            if len(lines) == 6 and re.fullmatch(r"0|[1-9][0-9]{0,17}", lines[2]):
                keys = keys._rotated(KeyRotated(keys.origin, lines[4], note), int(lines[2]))
        return keys

    def notes(self, size: int, *, known: int = -1) -> list[str]:
        """The words by which the key for `size` facts can be known from the key before them: since the last revocation, or the first.

        `known`: for whoever has the key that counts for so many facts, only those since.
        """
        eras = self.eras[: self._era(size) + 1]
        begun = max((at for at, era in enumerate(eras) if era.change is not Change.ROTATED), default=0)
        return [era.note for era in eras[max(begun, self._era(known)) + 1 :]]

    def ended(self, size: int) -> bool:
        """Whether the key that counts for `size` facts, or one that was rotated from it, was revoked."""
        return any(era.change is Change.REVOKED for era in self.eras[self._era(size) + 1 :])

    def rotated_at(self, after: int, count: int) -> int | None:
        """At how many facts the key that counts for `after` facts has been rotated so many times; None where it was not."""
        found = [era.after for era in self.eras if era.change is Change.ROTATED and era.after >= after]
        return found[count - 1] if len(found) >= count else None

    def found_in(self, store: LedgerStore, *, after: int = 0) -> WriterKeys:
        """With the rotations of a stored ledger beyond `after` facts: searched where its checkpoints change hands, so that a
        long ledger opens quickly.
        """
        keys, head, begun = self, store.head(), self.eras[self._era(after)].key
        if head is None or begun is None:
            return self
        for start, stop in _hands(store, (after, begun.key_id), (head.size, first_key_id(head.note))):
            keys = keys.after_facts(store.bodies(start, stop), start=start)
        return keys

    def rotations(self, *, after: int = -1) -> list[tuple[int, bytes]]:
        """(position, root of the facts before it) of each rotation beyond `after` facts that counts."""
        return [(era.after, era.root) for era in self.eras if era.change is Change.ROTATED and era.after > after]


_Signed = tuple[int, bytes]  # a size, and the mark of the key that signed its checkpoint


def _hands(store: LedgerStore, low: _Signed, high: _Signed) -> Iterator[tuple[int, int]]:
    """Runs of facts between two neighbouring checkpoints that different keys signed. A key does not come back, so halving finds them all."""
    if low[1] == high[1]:
        return
    middle = store.checkpoint_at_or_before((low[0] + high[0]) // 2)
    if middle is None or middle[0] <= low[0]:
        middle = store.checkpoint_after(low[0])
    if middle is None or middle[0] >= high[0]:
        yield low[0], high[0]
        return
    signed = middle[0], first_key_id(middle[1])
    yield from _hands(store, low, signed)
    yield from _hands(store, signed, high)


def _rotation_text(origin: str, size: int, root: bytes, key: VerifyingKey) -> bytes:
    return f"{ROTATION}\n".encode() + Checkpoint(origin, size, root).text() + f"{key}\n".encode()


def sign_rotation(origin: str, *, size: int, root: bytes, old: Signer, new: VerifyingKey) -> KeyRotated:
    """The old key's word for the new one: to be noted as the next fact, at position `size`."""
    if new.name != old.name:
        raise NotValid(f"cannot rotate the key of {origin}", why=f"the new key is named {new.name}, the old one {old.name}")
    return KeyRotated(origin, str(new), sign_note(_rotation_text(origin, size, root, new), old).decode())


def open_rotation(payload: KeyRotated, *, by: VerifyingKey, origin: str, position: int) -> tuple[bytes, VerifyingKey]:
    """The root that the old key signed, and the new key. Raises `NotTrusted` unless `by` signed it for this ledger and place."""
    key = VerifyingKey.parse(payload.key)
    text = open_note(payload.note.encode(), by)
    claim = read_checkpoint(b"".join(text.splitlines(keepends=True)[1:4]))
    if payload.ledger != origin or key.name != by.name or text != _rotation_text(origin, position, claim.root, key):
        raise NotTrusted(f"key rotation at {origin}#{position} refused", why="it was signed for another ledger, place or key")
    return claim.root, key
