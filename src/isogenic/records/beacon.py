"""The beacon: a small file outside the folder that remembers how far the ledgers had come.

Guarantees: it is written whole, and only after what it tells of is durable, so a ledger
that is younger than its beacon is in order, and one that is older was taken from a backup:
that is known before anything is written and before anybody was asked.
Leaves to others: what to do then (returning). It is no proof against somebody who also
changes the beacon, or puts a whole machine back: the witness is.

    {"ORIGIN": {"size": 1200, "root": "hex"}, ...}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from isogenic.errors import NotValid
from isogenic.records import codec
from isogenic.records.blobs import DiskFiles, Files
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import claimed_checkpoint
from isogenic.records.store import LedgerStore

__all__ = ["BEACON_S", "UNKNOWN", "Beacon", "Mark", "beacon_path", "doubt", "first_beacon", "marks_of", "root_at"]

BEACON_S = 5.0  # wall seconds between two writings: a backup younger than this goes unnoticed here, and not at the witness
BEACON_BYTES_MAX = 1 << 20
PAGE = 8_192
UNKNOWN = 1 << 62  # the size in a mark of a ledger that waits for its witness, where nobody knows how far it had come


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a ledger had come."""

    size: int
    root: str  # hex
    witnessed: int = 0  # how much of it the other side had cosigned


def beacon_path(folder: Path, setting: str) -> Path:
    """Where a node's beacon is: as its settings say, or beside its folder, never in it."""
    return Path(setting) if setting else folder.resolve().parent / f"{folder.resolve().name}.beacon"


class Beacon:
    """One node's beacon. What cannot be read counts as not there."""

    def __init__(self, path: Path, *, files: Files | None = None) -> None:
        self.path, self._files = path, files or DiskFiles()
        self._written: Mapping[str, Mark] | None = None

    def read(self) -> Mapping[str, Mark] | None:
        """What it remembers, or None."""
        data = self._files.read(self.path, BEACON_BYTES_MAX)
        if data is None:
            return None
        try:
            marks = codec.read(dict[str, Mark], codec.loads(data, what="a beacon"), what="beacon")
        except NotValid:
            return None
        return marks if all(mark.size >= 0 for mark in marks.values()) else None

    def write(self, marks: Mapping[str, Mark]) -> None:
        """Remember, durably; nothing is written where nothing has changed."""
        if marks != self._written:
            self._files.write_whole(self.path, codec.dumps(codec.plain(dict(marks))))
            self._written = dict(marks)


def first_beacon(path: Path) -> None:
    """The beacon of a folder that was just made: no ledger has begun. Left alone where there is one."""
    beacon = Beacon(path)
    if beacon.read() is None:
        beacon.write({})


def doubt(store: LedgerStore, *, size: int, root: bytes, marks: Mapping[str, Mark] | None) -> str:
    """Why a ledger that verifies may still be too old to write on; empty where there is no reason.

    `marks` is None where no beacon could be read. A ledger that the beacon does not name had not begun when it was written.
    """
    if marks is None:
        return "no beacon says how far it had come"
    mark = marks.get(store.origin, Mark(0, ""))
    if mark.size == UNKNOWN:
        return "it was waiting for its witness when the node ended"
    if mark.size > size:
        return f"its beacon saw {mark.size} facts, and {size} are here: it was taken from an older copy"
    if mark.size and mark.root != (root.hex() if mark.size == size else root_at(store, mark.size).hex()):
        return f"its beacon saw another root for its first {mark.size} facts: this is another history"
    return ""


def marks_of(ledgers: Iterable[Ledger], copies: Iterable[Copy], *, waits: Iterable[str], before: Mapping[str, Mark] | None) -> dict[str, Mark]:
    """What to remember now. A ledger that waits, and a copy that has not yet what it promised for, keep their mark: it never goes back."""
    marks = {ledger.origin: Mark(ledger.size, ledger.root.hex(), ledger.witnessed) for ledger in ledgers}
    for origin in waits:
        marks[origin] = (before or {}).get(origin, Mark(UNKNOWN, ""))
    for copy in copies:
        vouched = copy.vouched
        marks[copy.origin] = Mark(vouched, copy.promised[vouched].hex()) if vouched in copy.promised else Mark(copy.size, copy.root.hex())
    return marks


def root_at(store: LedgerStore, size: int) -> bytes:
    """The root of the first facts. The checkpoint of that size says it; where there is none, they are hashed."""
    kept = store.checkpoint_at_or_before(size)
    if kept is not None and kept[0] == size:
        with suppress(NotValid):
            return claimed_checkpoint(kept[1]).root
    frontier = Frontier()
    while frontier.size < size:
        bodies = store.bodies(frontier.size, min(size, frontier.size + PAGE))
        if not bodies:
            return b""
        frontier = frontier.extend(leaf_hashes(bodies))
    return frontier.root()
