"""Where a node's ledger files are opened, and damaged ones are laid aside.

Guarantees: a file that does not verify is never written on and never thrown away: it is
moved to the folder `evidence`, whole, under its digest; in its place stands a new file with
exactly the facts that verify from the first one on, and beside it a *wound*, which says what
happened and where the rest is, until the ledger is healed. Whenever the process ends, the
next one finds the old file, or the new one with its wound, never neither.
Leaves to others: hearing the witness and growing what is left again (returning).

    HOUSE.sqlite             the ledger
    HOUSE.sqlite.growing     the new file while it is written
    HOUSE.sqlite.healing     the new file, complete, until it is in the old one's place
    HOUSE.sqlite.wound       {"ledger", "why", "kept", "claimed", "evidence", "digest", "by"}
    ../evidence/HOUSE.sqlite.0123456789abcdef
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from isogenic.errors import NotReachable, NotTrusted, NotValid
from isogenic.records import codec
from isogenic.records.blobs import DiskFiles, Files
from isogenic.records.healing import name_fault, regrown
from isogenic.records.keys import WriterKeys
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.merkle import Frontier
from isogenic.records.notes import Signer, VerifyingKey
from isogenic.records.salvage import Remains, SqliteSalvage
from isogenic.records.sqlite import SqliteStore
from isogenic.records.store import Commit, LedgerStore

__all__ = ["LedgerFiles", "Wound"]

WOUND_BYTES_MAX = 1 << 16
COMMITS = 64  # to one transaction while a new file is written: some 30,000 facts at most
NAMED_MAX = 256  # facts looked at to name a fault
Held = TypeVar("Held", Ledger, Copy)
SIDES = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Wound:
    """What happened to a ledger's file, kept beside the new one until the ledger is healed."""

    ledger: str
    why: str
    kept: int  # facts that verified and are in the new file
    claimed: int  # facts that the old file seemed to hold
    evidence: str  # name in the folder `evidence`
    digest: str  # SHA-256 of the old file
    by: str = ""  # who said so, where it was a person, or the beacon


class LedgerFiles:
    """Opens the ledger files of one node."""

    def __init__(self, *, files: Files | None = None, open_store: Callable[[Path, str], LedgerStore] | None = None, vfs: str | None = None) -> None:
        """`open_store(path, origin)` and `vfs` are another file layer's (a rehearsal's simulated disk)."""
        self.files: Files = files or DiskFiles()
        self._open_store = open_store or (lambda path, origin: SqliteStore(path, origin=origin))
        self._vfs = vfs

    # ---- opening ----

    def ledger(self, path: Path, *, origin: str, signer: Signer, keys: WriterKeys | None = None) -> Ledger:
        """A ledger written here; a file that cannot be opened is laid aside first."""
        begun = keys or WriterKeys.first(origin, signer.verifying_key)
        return self._whole(path, lambda: Ledger(self._open_store(path, origin), signer=signer, keys=keys), keys=begun, signer=signer)

    def copy(self, path: Path, *, origin: str, writer: VerifyingKey | WriterKeys, witness: Signer) -> Copy:
        """Another node's ledger held here, likewise."""
        keys = writer if isinstance(writer, WriterKeys) else WriterKeys.first(origin, writer)
        return self._whole(path, lambda: Copy(self._open_store(path, origin), writer=writer, witness=witness), keys=keys)

    def _whole(self, path: Path, opened: Callable[[], Held], *, keys: WriterKeys, signer: Signer | None = None) -> Held:
        self._finish(path)
        try:
            return opened()
        except (NotTrusted, NotReachable, NotValid) as refusal:
            if not self.files.has(path):
                raise
            self._lay_aside(path, why=f"{refusal.what}: {refusal.why}", keys=keys, signer=signer)
            return opened()

    def check(self, ledger: Ledger | Copy) -> bool:
        """Hash all that is stored again; False where the file was not what was signed, and was laid aside. The ledger goes on with what verifies."""
        try:
            ledger.check()
        except (NotTrusted, NotReachable, NotValid) as refusal:
            if not isinstance(ledger.store, SqliteStore):
                raise
            self.lay_aside(ledger, why=f"{refusal.what}: {refusal.why}")
            return False
        return True

    # ---- laying aside ----

    def lay_aside(self, ledger: Ledger | Copy, *, why: str, upto: int | None = None, by: str = "") -> Wound:
        """Go on with the facts of a ledger that verify, at most `upto` of them; the file itself becomes evidence."""
        path = self.path(ledger)
        ledger.store.close()
        signer = ledger.signer if isinstance(ledger, Ledger) else None
        wound = self._lay_aside(path, why=why, keys=ledger.keys, signer=signer, upto=upto, by=by)
        ledger.reopen(self._open_store(path, ledger.origin))
        return wound

    def _lay_aside(self, path: Path, *, why: str, keys: WriterKeys, signer: Signer | None, upto: int | None = None, by: str = "") -> Wound:
        origin = keys.origin
        kept = SqliteSalvage(path, vfs=self._vfs)
        try:
            claimed, size = (
                kept.count(),
                self._write_anew(path, origin, regrown(Frontier(), kept, keys=keys, signer=signer, upto=upto)),
            )
            named = "" if upto is not None else _named(kept, origin=origin, size=size, claimed=claimed)
        finally:
            kept.close()
        digest = self.files.digest(path)
        before = self.wound(path)
        if before is not None:  # damaged again before it was healed: the first evidence has more
            why = f"{before.why}; then {why}"
        said = f"{named}; {why}" if named else why
        wound = Wound(origin, said[:400], size, max(claimed, before.claimed if before else 0), f"{path.name}.{digest[:16]}", digest, by)
        self.files.write_whole(_beside(path, "wound"), codec.dumps(codec.plain(wound)))
        self.files.move(_beside(path, "growing"), _beside(path, "healing"))
        self._finish(path)
        return wound

    def _write_anew(self, path: Path, origin: str, commits: Iterator[Commit]) -> int:
        """Write the facts that verify into a new file beside the old one; gives how many."""
        growing = _beside(path, "growing")
        for ending in ("", *SIDES):
            self.files.remove(growing.with_name(growing.name + ending))
        store, size, waiting = self._open_store(growing, origin), 0, list[Commit]()
        try:
            for commit in commits:
                waiting.append(commit)
                size = commit.frontier.size
                if len(waiting) == COMMITS:
                    store.commit_all(waiting)
                    waiting = []
            if waiting:
                store.commit_all(waiting)
        finally:
            store.close()
        return size

    def _finish(self, path: Path) -> None:
        """Put the new file in the old one's place, as far as that is not done yet: safe to cut anywhere, and to do again."""
        healing, wound = _beside(path, "healing"), self.wound(path)
        if wound is None or not self.files.has(healing):
            return
        evidence = self._evidence(path, wound)
        for ending in SIDES:  # before the file itself: an old write-ahead log must never meet the new file
            self.files.move(path.with_name(path.name + ending), evidence.with_name(evidence.name + ending))
        self.files.move(path, evidence)
        self.files.move(healing, path)

    # ---- what is left of it ----

    def wound(self, path: Path) -> Wound | None:
        """What happened to a ledger's file and is not healed yet."""
        data = self.files.read(_beside(path, "wound"), WOUND_BYTES_MAX)
        if data is None:
            return None
        try:
            return codec.read(Wound, codec.loads(data, what="a wound"), what="wound")
        except NotValid:
            return Wound(path.name, "what happened to it cannot be read any more", 0, 0, "", "")

    def wound_of(self, ledger: Ledger | Copy) -> Wound | None:
        """The wound of an open ledger."""
        return self.wound(self.path(ledger)) if isinstance(ledger.store, SqliteStore) else None

    def salvage(self, ledger: Ledger | Copy, wound: Wound) -> Remains | None:
        """What can still be read of the file that was laid aside."""
        evidence = self._evidence(self.path(ledger), wound)
        return SqliteSalvage(evidence, vfs=self._vfs) if wound.evidence and self.files.has(evidence) else None

    def healed(self, ledger: Ledger | Copy) -> None:
        """Forget the wound; the evidence stays."""
        self.files.remove(_beside(self.path(ledger), "wound"))

    @staticmethod
    def path(ledger: Ledger | Copy) -> Path:
        """Where a ledger's file is."""
        assert isinstance(ledger.store, SqliteStore)  # a database server heals itself
        return Path(ledger.store.path)

    @staticmethod
    def _evidence(path: Path, wound: Wound) -> Path:
        return path.parent.parent / "evidence" / (wound.evidence or "none")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


def _named(kept: Remains, *, origin: str, size: int, claimed: int) -> str:
    """The fault right after what verifies, in an inspector's words; empty where all that is there verifies."""
    sizes = [each for each, _ in kept.checkpoints() if each > size]
    if sizes:
        looked = min(claimed, max(sizes[0], size + NAMED_MAX))
        return name_fault(kept.bodies(size, looked), origin=origin, start=size, signed=sizes[0] - size)
    return f"{claimed - size} facts were invented: no signed checkpoint covers what stands from {size} on" if claimed > size else ""
