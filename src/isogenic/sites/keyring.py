"""A site's private ledger keys: which one signs which ledger, how it is changed, and how the old one is destroyed.

    ledger.key           the key that the site began with, for all of its ledgers; ledger.pub: its public half, once it is gone
    AUDIENCE.key         the key of one ledger, after its first rotation or renewal
    AUDIENCE.next.key    a key on its way to AUDIENCE.key: on the disk before the fact that names it
    next.key             a key made for the site to go on with when the one in use is revoked

Guarantees: whenever the power goes, the key that the ledger's newest fact asks for is here; a key that no ledger
uses any more is overwritten and removed at the next change or start, and so is what a cut left of one that was being written.
Leaves to others: which key counts where (records.keys), when to rotate (node).

What is not in our hands: a flash disk may keep what was overwritten, and so may a backup of this folder. Where that counts,
keep the folder on an encrypted disk and out of backups: a ledger goes on with a renewed key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from isogenic.clock import Moment
from isogenic.errors import NotReachable, NotTrusted, NotValid
from isogenic.records.durable import shred, shred_unfinished, sync_folder, write_whole
from isogenic.records.facts import Actor, Fact
from isogenic.records.keys import WriterKeys
from isogenic.records.ledger import Ledger
from isogenic.records.notes import Signer, VerifyingKey, first_key_id
from isogenic.records.sqlite import SqliteStore

__all__ = ["Keyring", "destroy"]

FIRST, FIRST_PUBLIC, RENEWAL = "ledger.key", "ledger.pub", "next.key"


class Keyring:
    """The private keys in one folder."""

    def __init__(self, folder: Path, audiences: Iterable[str]) -> None:
        """`audiences` are those of the ledgers that are written here."""
        self.folder, self.audiences = folder, tuple(audiences)
        public = folder / FIRST_PUBLIC
        self.first = VerifyingKey.parse(public.read_text()) if public.exists() else Signer.load(folder / FIRST).verifying_key

    def _own(self, audience: str) -> Path:
        return self.folder / f"{audience}.key"

    def _coming(self, audience: str) -> Path:
        return self.folder / f"{audience}.next.key"

    def signer_for(self, audience: str, path: Path, keys: WriterKeys) -> Signer:
        """The key that counts for the next fact of the ledger in a file; where none here does, the newest of this folder.

        None does where the key was revoked and its successor is not here, or where an older file of the ledger came back: it
        is opened all the same, to be read, and to get from its witness what it lacks.
        """
        try:
            store = SqliteStore(path, origin=keys.origin)
        except (NotTrusted, NotReachable):  # damaged: whoever opens it next says so, and lays it aside
            return self._newest(audience, b"")
        try:
            return self._signer(audience, store, keys)
        finally:
            store.close()

    def _signer(self, audience: str, store: SqliteStore, keys: WriterKeys) -> Signer:
        try:
            head, keys = store.head(), keys.found_in(store)
        except (NotTrusted, NotReachable, NotValid):
            return self._newest(audience, b"")
        size = head.size if head else 0
        here = [(path, Signer.load(path)) for path in self._candidates(audience)]
        with contextlib.suppress(NotTrusted):  # revoked, and no other key named yet
            wanted = keys.at(size + 1)
            for path, signer in here:
                if signer.verifying_key == wanted:
                    self._settle(audience, path)
                    return signer
        return self._newest(audience, first_key_id(head.note) if head else b"")

    def find(self, audience: str, key: VerifyingKey) -> Signer | None:
        """The private half of this key, if it is here."""
        for path in self._candidates(audience):
            signer = Signer.load(path)
            if signer.verifying_key == key:
                self._settle(audience, path)
                return signer
        return None

    def _newest(self, audience: str, last: bytes) -> Signer:
        """The key that signed the last checkpoint, or the newest that is not on its way."""
        here = [Signer.load(path) for path in self._candidates(audience)]
        named = [Signer.load(path) for path in (self._own(audience), self.folder / FIRST, self.folder / RENEWAL) if path.exists()]
        return next((signer for signer in here if signer.verifying_key.key_id == last), named[0])

    def _candidates(self, audience: str) -> list[Path]:
        named = (self._coming(audience), self._own(audience), self.folder / RENEWAL, self.folder / FIRST)
        return [path for path in named if path.exists()]

    def _settle(self, audience: str, path: Path) -> None:
        """The key in `path` is in use: it gets the ledger's own name, and those that it replaced are destroyed."""
        own = self._own(audience)
        if path == self._coming(audience):
            destroy(own)
            path.replace(own)
            sync_folder(self.folder)
        elif path.name == RENEWAL:
            destroy(own)
            Signer.load(path).save(own)
        destroy(self._coming(audience))
        self._destroy_shared()
        self.sweep()

    def sweep(self) -> None:
        """Overwrite and remove what a cut left of keys that were being written: asked for at every start and every change."""
        shred_unfinished(self.folder)

    def _destroy_shared(self) -> None:
        """A key that began all ledgers, or renewed them, goes once each of them has one of its own."""
        if not all(self._own(audience).exists() for audience in self.audiences):
            return
        if (self.folder / FIRST).exists():
            write_whole(self.folder / FIRST_PUBLIC, f"{self.first}\n".encode())
            destroy(self.folder / FIRST)
        renewal = self.folder / RENEWAL
        if renewal.exists() and all(
            Signer.load(self._own(audience)).verifying_key == Signer.load(renewal).verifying_key for audience in self.audiences
        ):
            destroy(renewal)

    def rotate(self, audience: str, ledger: Ledger, *, actor: Actor, moment: Moment) -> Fact:
        """Give a ledger a fresh key, signed by the old one, and destroy the old one: whoever comes later cannot sign what is before."""
        fresh = Signer.generate(ledger.signer.name)
        destroy(self._coming(audience))
        fresh.save(self._coming(audience))
        noted = ledger.rotate(fresh, actor=actor, moment=moment)
        self._settle(audience, self._coming(audience))
        return noted

    def prepare(self) -> VerifyingKey:
        """Make the key that the site goes on with when the one in use is revoked, or show the one that was made before."""
        path = self.folder / RENEWAL
        if not path.exists():
            Signer.generate(self.first.name).save(path)
        return Signer.load(path).verifying_key

    def take_up(self, audience: str, ledger: Ledger, *, actor: Actor, moment: Moment) -> bool:
        """Go on with the renewed key, where the ledger asks for it and it is here."""
        path = self.folder / RENEWAL
        for each in (path, self._own(audience)):
            if each.exists() and ledger.revoked and Signer.load(each).verifying_key == ledger.keys.eras[-1].key:
                ledger.renew(Signer.load(each), actor=actor, moment=moment)
                self._settle(audience, each)
                return True
        return False


def destroy(path: Path) -> None:
    """Overwrite a private key, then remove it."""
    shred(path)
