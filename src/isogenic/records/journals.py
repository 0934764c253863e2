"""The file of a node's journal of what left, and what is done when it is damaged, gone, or older than it was.

Guarantees: a journal that does not verify, or has not what the house last said of it, is not written on and not thrown away:
it goes to `evidence`, whole, and a new one begins under a name of its own, so that no position is ever signed twice. The new one's
first fact says of which journal it is the successor, how far that had come as the house says, why it ended, and the digest of its file.
Leaves to others: noting the same in the house (sites, network), what is listed (disclosures).

    disclosures.sqlite           the journal in use
    disclosures.2.pub            with which key the second began: the one in use is the last that has such a file
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from isogenic.errors import NotReachable, NotTrusted, NotValid
from isogenic.records.blobs import DiskFiles
from isogenic.records.durable import write_whole
from isogenic.records.keys import WriterKeys
from isogenic.records.ledger import Ledger
from isogenic.records.notes import Signer, VerifyingKey
from isogenic.records.sqlite import SqliteStore

__all__ = ["JournalFile"]

SIDES = ("-wal", "-shm", "-journal")


class JournalFile:
    """Opens the journal of one folder, and begins a new one."""

    def __init__(self, folder: Path, *, origin: str, first: VerifyingKey, signer_for: Callable[[Path, WriterKeys], Signer]) -> None:
        """`origin` is that of the first journal, `first` the key that it began with; `signer_for` finds the private half."""
        self.path, self._origin = folder / "disclosures.sqlite", origin
        self._first, self._signer_for, self._files = first, signer_for, DiskFiles()
        self.damage = ""  # why a file that was there could not be opened
        self.evidence = ""  # SHA-256 of it
        self.before = origin  # of the journal that was laid aside last

    def _public(self, number: int) -> Path:
        return self.path.with_name(f"disclosures.{number}.pub")

    @property
    def number(self) -> int:
        """Of the journal in use."""
        names = [path.name.split(".")[1] for path in self.path.parent.glob("disclosures.*.pub")]
        return max([1, *(int(name) for name in names if name.isdecimal())])

    def number_of(self, origin: str) -> int:
        """Of a journal of this node."""
        ending = origin.removeprefix(f"{self._origin}.")
        return int(ending) if ending.isdecimal() and len(ending) < 9 else 1

    @property
    def origin(self) -> str:
        """Of the journal in use."""
        return self._origin if self.number == 1 else f"{self._origin}.{self.number}"

    def open(self) -> Ledger:
        """The journal in use, or `NotTrusted`."""
        first = self._first if self.number == 1 else VerifyingKey.parse(self._public(self.number).read_text().strip())
        keys = WriterKeys.first(self.origin, first)
        signer = self._signer_for(self.path, keys)
        return Ledger(SqliteStore(self.path, origin=self.origin), signer=signer, keys=keys)

    def open_or_anew(self) -> Ledger:
        """The same; a file that cannot be opened becomes evidence, and `damage` says why."""
        try:
            return self.open()
        except (NotTrusted, NotReachable, NotValid) as refusal:
            if not self._files.has(self.path):
                raise
            self.damage = f"{refusal.what}: {refusal.why}"
            return self.anew()

    def anew(self, *, beyond: int = 0) -> Ledger:
        """Lay the file aside and begin the next journal, later than number `beyond`; whenever this is cut, the next start does it again."""
        if self._files.has(self.path):
            self.evidence = self._files.digest(self.path)
            evidence = self.path.parent / "evidence" / f"{self.path.name}.{self.evidence[:16]}"
            for ending in (*SIDES, ""):
                self._files.move(self.path.with_name(self.path.name + ending), evidence.with_name(evidence.name + ending))
        self.before = self.origin
        number = max(self.number, beyond) + 1
        origin = f"{self._origin}.{number}"
        signer = self._signer_for(self.path, WriterKeys.first(origin, self._first))  # where it began with another: the newest that is here
        write_whole(self._public(number), f"{signer.verifying_key}\n".encode())
        return self.open()
