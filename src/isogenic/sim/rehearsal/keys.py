"""The private keys of a rehearsed site, and a thief who has them.

Guarantees: keys come from the seed; each is there before the fact that names it, as the keyring of a
real folder has it. A thief signs well: what is forged differs from the real only in who counts.
Leaves to others: which key counts where (records.keys), when one is stolen (storm).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from isogenic.clock import Moment
from isogenic.errors import NotReachable, NotTrusted, NotValid
from isogenic.records.facts import Actor, Fact, encode_facts
from isogenic.records.keys import WriterKeys
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Checkpoint, Signer, VerifyingKey, first_key_id, sign_checkpoint
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import Page
from isogenic.sim.disk import SimDisk
from isogenic.sites.facts import LinkLost
from isogenic.sites.keyring import Keyring

__all__ = ["RehearsedKeys", "Thief"]

READ = 512


class RehearsedKeys(Keyring):
    """The private keys of one site; they outlive its processes."""

    def __init__(self, first: Signer, disk: SimDisk) -> None:
        self.here, self._disk = [first], disk
        self.first = first.verifying_key

    def _fresh(self) -> Signer:
        seed = sha256(f"{self._disk.name} key {len(self.here)}".encode()).digest()
        self.here.append(Signer.from_seed(self.first.name, seed))
        return self.here[-1]

    def signer_for(self, audience: str, path: Path, keys: WriterKeys) -> Signer:
        with contextlib.suppress(NotTrusted, NotReachable, NotValid):
            store = SqliteStore(path, origin=keys.origin, vfs=self._disk.name)
            try:
                head = store.head()
                last = first_key_id(head.note) if head else self.first.key_id
                with contextlib.suppress(NotTrusted):
                    wanted = keys.found_in(store).at(head.size + 1 if head else 1)
                    return next(each for each in self.here if each.verifying_key == wanted)
                return next(each for each in self.here if each.verifying_key.key_id == last)
            finally:
                store.close()
        return self.here[0]

    def find(self, audience: str, key: VerifyingKey) -> Signer | None:
        return next((each for each in self.here if each.verifying_key == key), None)

    def rotate(self, audience: str, ledger: Ledger, *, actor: Actor, moment: Moment) -> Fact:
        return ledger.rotate(self._fresh(), actor=actor, moment=moment)

    def prepare(self) -> VerifyingKey:
        return self._fresh().verifying_key

    def take_up(self, audience: str, ledger: Ledger, *, actor: Actor, moment: Moment) -> bool:
        for each in self.here:
            if ledger.revoked and each.verifying_key == ledger.keys.eras[-1].key:
                ledger.renew(each, actor=actor, moment=moment)
                return True
        return False


@dataclass(frozen=True, slots=True)
class Thief:
    """Somebody who has copied the keys of a site."""

    keys: tuple[Signer, ...]
    renewed: str  # the public key that the site goes on with

    def forge(self, copy: Copy, *, site: str, key: Signer, moment: Moment) -> Page:
        """One more fact of a ledger, which the site never noted."""
        frontier = Frontier()
        for start in range(0, copy.size, READ):
            frontier = frontier.extend(leaf_hashes(copy.store.bodies(start, min(copy.size, start + READ))))
        bodies, _ = encode_facts([LinkLost(site, "never happened")], ledger=copy.origin, start=copy.size, actor=Actor.node(site), moment=moment)  # type: ignore[arg-type]
        frontier = frontier.extend(leaf_hashes(bodies))
        note = sign_checkpoint(Checkpoint(copy.origin, frontier.size, frontier.root()), key)
        return Page(copy.origin, copy.size, tuple(bodies), note)
