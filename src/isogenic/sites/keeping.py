"""A site's ledger keys in use: rotated in time, renewed when the control site says so.

    every key_rotate_h hours, or key_rotate_facts facts     a fresh key, signed by the old one, which is destroyed
    the control site has revoked our key                     an alarm; with the renewed key in this folder, the ledger goes on

Guarantees: nothing here touches what was noted; a rotation that fails leaves the key before it in force, and is tried again.
The word of the control site counts only with the signature of a person who may revoke.
Leaves to others: the files (keyring), which key counts where (records.keys).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from isogenic.authority.people import Directory
from isogenic.authority.revocation import KeyRevoked, revocation_digest
from isogenic.authority.rules import Act
from isogenic.authority.signatures import accept_signature
from isogenic.clock import Clock, monotonic_seconds
from isogenic.errors import NotAllowed, NotTrusted, Refusal
from isogenic.records.disclosures import DISCLOSURES, Journal
from isogenic.records.facts import Actor
from isogenic.records.keys import Change
from isogenic.records.ledger import Ledger
from isogenic.records.notes import VerifyingKey
from isogenic.sites.keyring import Keyring

__all__ = ["KeyCare"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class KeyCare:
    """Looks after the keys of one site's ledgers. Without a keyring (a replay, a rehearsal) keys stay what they are."""

    ledgers: Mapping[str, Ledger]
    clock: Clock
    actor: Actor
    keyring: Keyring | None = None
    every_h: float = 0.0
    every_facts: int = 0
    journal: Journal | None = None
    _since: float = -1.0  # monotonic seconds at the last rotation, or at the start of this process

    def rotate_due(self) -> list[str]:
        """Rotate what is due; gives the audiences of the ledgers that have a new key."""
        if self.keyring is None:
            return []
        now = monotonic_seconds()
        self._since = now if self._since < 0 else self._since
        by_time = self.every_h > 0 and now - self._since >= self.every_h * 3600
        done = []
        for audience, ledger in self._all():
            if (by_time or self._by_facts(ledger)) and ledger.size and not ledger.revoked:
                try:
                    self.keyring.rotate(audience, ledger, actor=self.actor, moment=self.clock.now())
                    done.append(audience)
                except NotAllowed as later:
                    log.info("%s", later)
        if by_time:
            self._since = now
        return done

    def _all(self) -> Iterator[tuple[str, Ledger]]:
        yield from self.ledgers.items()
        if self.journal is not None and not self.journal.broken:
            yield DISCLOSURES, self.journal.ledger

    def _by_facts(self, ledger: Ledger) -> bool:
        last = next((era.after for era in reversed(ledger.keys.eras) if era.change is not Change.REVOKED), -1)
        return self.every_facts > 0 and ledger.size - last - 1 >= self.every_facts

    def heard(self, revoked: KeyRevoked, directory: Directory | None) -> str:
        """Take the control site's word on our keys; gives why not, or an empty text."""
        if directory is None:
            return "a key was revoked before anybody said who may do that"
        digest = revocation_digest(revoked.site, revoked.ledgers, revoked.key, revoked.reason)
        try:
            accept_signature(revoked.signature, Act.REVOKE_KEY, digest=digest, directory=directory)
            key = VerifyingKey.parse(revoked.key) if revoked.key else None
            for ledger in self.ledgers.values():
                after = revoked.ledgers.get(ledger.origin)
                known = [era for era in ledger.keys.eras if era.change is Change.REVOKED]
                if after is not None and not any((era.after, era.key) == (after, key) or era.after > after for era in known):
                    ledger.revoke(after, key)
        except Refusal as trouble:
            return str(trouble)
        return ""

    def ready(self, ledger: Ledger) -> bool:
        """Whether the key in hand may sign: an old ledger file was opened with the key of its time, and has grown since."""
        if ledger.writable:
            return True
        audience = next(each for each, mine in self.ledgers.items() if mine is ledger)
        with suppress(NotTrusted):  # revoked, and no other key named yet
            signer = self.keyring.find(audience, ledger.keys.at(ledger.size + 1)) if self.keyring is not None else None
            ledger.signer = signer or ledger.signer
        if not ledger.writable:
            log.error("%s: the key that counts for it now is not in this node's folder", ledger.origin)
        return ledger.writable

    def go_on(self) -> list[str]:
        """Take up renewed keys that are here; gives the origins of the ledgers that go on."""
        gone_on, moment = [], self.clock.now()
        for audience, ledger in self.ledgers.items():
            if not self.ready(ledger):
                continue
            if ledger.revoked:
                taken = self.keyring is not None and self.keyring.take_up(audience, ledger, actor=self.actor, moment=moment)
            else:  # opened with its renewed key: what a revoked one had signed is said to stand under it now
                taken = ledger.renew(ledger.signer, actor=self.actor, moment=moment) is not None
            if taken:
                gone_on.append(ledger.origin)
        if gone_on and self.keyring is not None and self.journal is not None and not self.journal.broken:  # nor does the revoked key list what leaves
            self.keyring.rotate(DISCLOSURES, self.journal.ledger, actor=self.actor, moment=moment)
        return gone_on
