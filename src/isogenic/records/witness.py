"""Witnessing a ledger by its head alone: what C2SP tlog-witness calls add-checkpoint, for ledgers that are not carried to us.

A ledger travels whole or not at all; its head may. The log shows its newest checkpoint with a proof that it continues the one
that the witness saw last; the witness keeps it, durably, and only then cosigns.

    what is shown                                  answer
    continues the head held, proven                kept, cosigned
    the head held, again                           cosigned again
    same size, other root; proof that leads
     elsewhere; fewer facts than were cosigned     NotTrusted: a fork, or an old backup; nothing is cosigned

Guarantees: a witness never cosigns two histories of one ledger, whatever it is shown and whenever its process ends.
Leaves to others: whose key signs which ledger, and carrying (sites, network).

Form of a message: `old N`, the proof's digests in base64, one to a line, an empty line, the signed note.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from isogenic.errors import NotTrusted, NotValid
from isogenic.records import codec
from isogenic.records.blobs import DiskFiles, Files
from isogenic.records.keys import WriterKeys
from isogenic.records.merkle import consistency_proof, leaf_hashes, verify_consistency
from isogenic.records.notes import Checkpoint, Signer, VerifyingKey, claimed_checkpoint, cosign
from isogenic.records.store import LedgerStore

__all__ = ["HeadBook", "add_checkpoint", "read_add_checkpoint", "shown_head"]

PROOF_MAX = 64  # digests, as C2SP tlog-witness bounds them: enough for any tree
BOOK_BYTES_MAX = 1 << 22
HEADS_MAX = 2_000  # ledgers of one network
PAGE = 8_192


def add_checkpoint(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The message of a log to its witness."""
    lines = [f"old {old}", *(base64.b64encode(each).decode() for each in proof)]
    return ("\n".join(lines) + "\n\n").encode() + note


def read_add_checkpoint(data: bytes) -> tuple[int, list[bytes], bytes]:
    """Old size, proof and note of such a message."""
    head, gap, note = data.partition(b"\n\n")
    lines = head.split(b"\n")
    size = lines[0].removeprefix(b"old ")
    if not gap or not lines[0].startswith(b"old ") or not size.isdigit() or len(size) > 18 or len(lines) - 1 > PROOF_MAX:
        raise NotValid("cannot read what a log shows", why="the form is old N, a proof of at most 64 digests, an empty line, a note")
    try:
        proof = [base64.b64decode(line, validate=True) for line in lines[1:]]
    except binascii.Error as trouble:
        raise NotValid("cannot read what a log shows", why="its proof is not base64") from trouble
    return int(size), proof, note


def shown_head(store: LedgerStore, *, old: int) -> bytes | None:
    """What a log shows to a witness that holds its first `old` facts; None where it has nothing to show."""
    head = store.head()
    if head is None or old > head.size:
        return None
    proof: list[bytes] = []
    if 0 < old < head.size:
        leaves: list[bytes] = []
        while len(leaves) < head.size:
            leaves += leaf_hashes(store.bodies(len(leaves), min(head.size, len(leaves) + PAGE)))
        proof = consistency_proof(leaves.__getitem__, old, head.size)
    return add_checkpoint(old, proof, head.note)


@dataclass(frozen=True, slots=True)
class _Book:
    heads: dict[str, str]
    keys: dict[str, str]


class HeadBook:
    """The newest head of each ledger that a witness has seen, and the key that signed it, in one small file."""

    def __init__(self, path: Path, *, files: Files | None = None) -> None:
        self._path, self._files = path, files or DiskFiles()
        data = self._files.read(path, BOOK_BYTES_MAX)
        said = codec.loads(data, what=path.name) if data else {}
        if not isinstance(said, dict) or "keys" not in said:  # as it was written before keys were kept with the heads
            said = {"heads": said, "keys": {}}
        book = codec.read(_Book, said, what=path.name)
        self._heads, self._keys = book.heads, book.keys

    @property
    def heads(self) -> Mapping[str, str]:
        """Signed notes by origin."""
        return self._heads

    def key(self, origin: str) -> VerifyingKey | None:
        """The key that signed the head held of a ledger, where it came with the words that lead to it."""
        key = self._keys.get(origin)
        return VerifyingKey.parse(key) if key else None

    @property
    def seen(self) -> Mapping[str, int]:
        """By origin: the size of the head held, of those whose key is known."""
        return {origin: claimed_checkpoint(self._heads[origin].encode()).size for origin in self._keys if origin in self._heads}

    def held(self, origin: str) -> Checkpoint | None:
        """The head held of a ledger."""
        note = self._heads.get(origin)
        return claimed_checkpoint(note.encode()) if note else None

    def take(self, message: bytes, *, keys: WriterKeys, witness: Signer, time: int) -> tuple[Checkpoint, bytes]:
        """Check what a log shows against what is held, keep it, and cosign it."""
        old, proof, note = read_add_checkpoint(message)
        shown, held = keys.open(note)[0], self.held(keys.origin)
        if shown.origin != keys.origin:
            raise NotTrusted(f"head of {shown.origin[:80]} refused", why=f"this is the witness of {keys.origin}: a checkpoint of another ledger")
        refused = f"head of {shown.size} facts of {shown.origin} refused"
        if held is not None:
            if shown.size < held.size:
                raise NotTrusted(refused, why=f"{held.size} were cosigned here before: it was restored from an old backup")
            if old != held.size:
                raise NotTrusted(refused, why=f"it is shown to continue {old} facts, and {held.size} are held")
            try:
                verify_consistency(old=held.size, old_root=held.root, new=shown.size, new_root=shown.root, proof=proof)
            except NotTrusted as trouble:
                raise NotTrusted(refused, why=f"it does not continue the {held.size} facts cosigned here before: a fork") from trouble
        self._keep(shown.origin, note, self._keys)
        return shown, cosign(note, witness=witness, time=time)

    def see(self, note: bytes, *, keys: WriterKeys) -> None:
        """Keep the newest head of a ledger that somebody else witnesses: two views of it show as soon as two who hold heads compare."""
        shown, held = keys.open(note)[0], self.held(keys.origin)
        if shown.origin != keys.origin:
            raise NotTrusted(f"head of {shown.origin[:80]} refused", why=f"it was shown as that of {keys.origin}: a checkpoint of another ledger")
        if held is not None and shown.size == held.size and shown.root != held.root:
            raise NotTrusted(
                f"head of {shown.size} facts of {shown.origin} refused", why="another root is held for that size: a fork, or a split view"
            )
        if (held is None and len(self._heads) < HEADS_MAX) or (held is not None and shown.size > held.size):
            self._keep(shown.origin, note, {**self._keys, shown.origin: str(keys.at(shown.size))})

    def _keep(self, origin: str, note: bytes, keys: dict[str, str]) -> None:
        heads = self._heads | {origin: note.decode()}
        if (heads, keys) != (self._heads, self._keys):
            self._files.write_whole(self._path, codec.dumps({"heads": heads, "keys": keys}))
            self._heads, self._keys = heads, keys
