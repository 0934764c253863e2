"""Keys of sites that count no longer: said by the control site, signed by a person, with the size up to which they count.

Guarantees: what is witnessed stays valid, whatever becomes of the key; from the facts of the control site's own ledgers
alone, `KeyHistory` says which key of a site began each ledger and what was revoked since, and gives its `WriterKeys`.
Leaves to others: who may revoke (rules), deciding and publishing (network), going on with a new key (sites).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from isogenic.authority.people import DirectoryPublished
from isogenic.errors import NotFound
from isogenic.ids import SiteId
from isogenic.records import codec
from isogenic.records.facts import Fact, fact, fact_in_place
from isogenic.records.keys import WriterKeys
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.notes import VerifyingKey
from isogenic.records.signatures import Signature

__all__ = ["KeyHistory", "KeyRevoked", "history_in", "history_of", "revocation_digest"]

_TOLD_BY = (b'"kind":"authority.directory_published"', b'"kind":"authority.key_revoked"')
READ_FACTS = 4_096


@fact("authority.key_revoked", subject="site")
@dataclass(frozen=True, slots=True)
class KeyRevoked:
    """A site's key counts no longer: in each ledger for so many facts and no more. Beyond them `key` counts, or none yet."""

    site: SiteId
    ledgers: dict[str, int]  # by origin: how many facts the key in force there counts for
    key: str  # vkey that counts beyond; empty: none yet
    reason: str
    signature: Signature


def revocation_digest(site: SiteId, ledgers: Mapping[str, int], key: str, reason: str) -> str:
    """What the person signs."""
    said = {"isogenic": "revocation/1", "key": key, "ledgers": dict(ledgers), "reason": reason, "site": str(site)}
    return sha256(codec.dumps(said)).hexdigest()


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """The keys of all sites, as the control site's ledgers tell them."""

    first: Mapping[SiteId, str] = field(default_factory=dict)  # vkey that the first directory to name the site had
    revoked: tuple[KeyRevoked, ...] = ()

    def after(self, fact: Fact) -> KeyHistory:
        """The history after one more fact of a ledger that the control site wrote."""
        payload = fact.payload
        if isinstance(payload, DirectoryPublished):
            named = {site: entry.keys.ledger for site, entry in payload.directory.sites.items()}
            return replace(self, first={**named, **self.first})
        if isinstance(payload, KeyRevoked) and payload not in self.revoked:
            return replace(self, revoked=(*self.revoked, payload))
        return self

    def of(self, origin: str, site: SiteId, *, first: str = "") -> WriterKeys:
        """The keys of one ledger of a site. `first` is used where no directory has named the site yet."""
        begun = self.first.get(site, first)
        if not begun:
            raise NotFound(f"no key of {site}", why="no directory names the site")
        said = [(each.ledgers[origin], VerifyingKey.parse(each.key) if each.key else None) for each in self.revoked if origin in each.ledgers]
        return WriterKeys.first(origin, VerifyingKey.parse(begun), revocations=said)

    def counts(self, site: SiteId, key: str) -> bool:
        """Whether a key of a site was neither revoked nor replaced."""
        mine = [each for each in self.revoked if each.site == site]
        return not mine or key == mine[-1].key


def history_in(*ledgers: Ledger | Copy) -> KeyHistory:
    """What ledgers of the control site say of keys, without folding anything else."""
    return history_of(fact for ledger in ledgers for fact in _told(ledger))


def history_of(facts: Iterable[Fact]) -> KeyHistory:
    """What these facts say of keys."""
    history = KeyHistory()
    for each in facts:
        history = history.after(each)
    return history


def _told(ledger: Ledger | Copy) -> Iterable[Fact]:
    for start in range(0, ledger.size, READ_FACTS):
        for position, body in enumerate(ledger.store.bodies(start, min(ledger.size, start + READ_FACTS)), start):
            if any(mark in body for mark in _TOLD_BY):
                yield fact_in_place(body, ledger=ledger.origin, position=position)
