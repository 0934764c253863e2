"""Revoking the key of a site: what a person decides when a key was stolen, lost, or may have been seen.

Guarantees: the revocation names, for each ledger of the site, how many facts the key counts for: those held and cosigned here,
which stay valid; it is noted in the house first, then in the ledger written for the site and with the directory that
names the new key; from the moment it is noted no page under the old key is taken. What the site noted and could not send
before is not lost: it counts once the site's new key has signed it (records.keys).
Leaves to others: making the new key at the site (sites.keyring), which key counts where (records.keys).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from isogenic.authority.people import Directory, NodeKeys, Person
from isogenic.authority.revocation import KeyRevoked, revocation_digest
from isogenic.authority.rules import Act, require, roles_that_may
from isogenic.authority.signatures import MEANINGS, Pen, sign
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import SiteId
from isogenic.network import decisions
from isogenic.network.control import ControlNode, decided_alone
from isogenic.records.facts import Actor
from isogenic.records.notes import LOG, Signer, VerifyingKey

__all__ = ["REASON_MAX", "check_no_key_comes_back", "revoke_site_key"]

REASON_MAX = 400  # characters: one paragraph


@decided_alone
def revoke_site_key(node: ControlNode, person: Person, signer: Signer | Pen, *, site: SiteId, key: str, reason: str) -> KeyRevoked:
    """End the ledger key of a site, by signature. `key` is the public key it goes on with (vkey), or empty while there is none."""
    require(person, Act.REVOKE_KEY)
    people = decisions.directory(node)
    entry, reason = people.site(site), reason.strip()
    if not reason or len(reason) > REASON_MAX or not reason.isprintable():
        raise NotValid(f"cannot revoke the key of {site}", why=f"a reason is 1 to {REASON_MAX} printable characters")
    if key:
        _check_new(node, people, entry.keys.ledger, key, site=site)
    with ExitStack() as held:
        copies = {origin: copy for origin, (owner, copy) in node.copies.items() if owner == site}
        for copy in copies.values():
            held.enter_context(copy.store.exclusive())  # no other process takes a page in between
            copy.follow()
        ledgers = {origin: copy.size for origin, copy in sorted(copies.items())}
        role = next(role for role in roles_that_may(Act.REVOKE_KEY) if role in person.roles)
        digest = revocation_digest(site, ledgers, key, reason)
        signature = sign(signer, person, role=role, meaning=MEANINGS[Act.REVOKE_KEY], at=node.clock.now().at, digest=digest)
        actor = Actor(str(person.id), str(role), signature.method)
        revoked = KeyRevoked(site, ledgers, key, reason, signature)
        node.note([revoked], actor=actor)  # in the house first: from here on it is so
    node.publishing.complete()
    if key:
        keys = NodeKeys(key, entry.keys.witness)
        published = node.state.published or people
        sites = {**published.sites, site: replace(entry, keys=keys)}
        decisions.publish_directory(node, replace(published, sites=sites, version=published.version + 1))
    return revoked


def _check_new(node: ControlNode, people: Directory, old: str, key: str, *, site: SiteId) -> None:
    new, before = VerifyingKey.parse(key), VerifyingKey.parse(old)
    if (new.name, new.algorithm) != (before.name, LOG):
        raise NotValid(f"cannot give {site} that key", why=f"it is named {new.name}; a key of this site that signs ledgers is named {before.name}")
    every = [key for each in people.sites.values() for key in (each.keys.ledger, each.keys.witness)]
    every += [people.control.ledger, people.control.witness, *(each.key for each in people.people.values())]
    used = [era.key.public for _, copy in node.copies.values() for era in copy.keys.eras if era.key is not None]
    if new.public in used or new.public in {VerifyingKey.parse(text).public for text in every}:
        raise NotAllowed(f"cannot give {site} that key", why="it is in use, or was", possible="make a new one at the site: isogenic renew-key")


def check_no_key_comes_back(node: ControlNode, people: Directory) -> None:
    """Raise `NotAllowed` where a directory would name a key that was revoked, or another than was named with the revocation."""
    for site, entry in people.sites.items():
        last = next((each for each in reversed(node.state.keys.revoked) if each.site == site and each.key), None)
        if last is not None and entry.keys.ledger != last.key:
            raise NotAllowed(
                f"cannot publish version {people.version} of the directory",
                why=f"the ledger key of {site} was revoked, and another named since",
                possible=f"take over {last.key}",
            )
