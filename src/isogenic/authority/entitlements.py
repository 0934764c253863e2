"""Who may have a ledger: the entitlement is itself a fact, noted by the control site.

A ledger travels whole or not at all, so an entitlement is to a whole ledger, from a day on, for a party:

    node LEEDS          a facility, or CONTROL
    sponsor ASTER-BIO   the company that a ledger is written for
    person INA          somebody on file

The first entitlements follow from the directory and from the ledgers that each site keeps (`derived`), and are noted too, without
a signature. Everything else is decided by a person, by signature, with the reason:

    ledger                      derived for
    NETWORK/SITE/HOUSE          node CONTROL, its witness
    NETWORK/SITE/SPONSOR        node CONTROL, its witness; sponsor SPONSOR
    NETWORK/CONTROL/SITE        node SITE; and the site's sponsor where it has only one: of several, each would read the others' work

Guarantees: `holds` is false unless a grant was noted, its day has come, and no end was noted after it; what a person ended is not
derived again; what was derived and no longer follows is ended.
Leaves to others: asking before a ledger leaves (network, sites), and what left before (records.disclosures).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType

from isogenic.authority.people import Directory
from isogenic.clock import text_of_time
from isogenic.errors import NotAllowed, NotValid
from isogenic.records import codec
from isogenic.records.dossier import CONTROL, audience_of, written_by
from isogenic.records.facts import Fact, Payload, fact
from isogenic.records.signatures import Signature

__all__ = [
    "EntitlementEnded",
    "EntitlementGranted",
    "Entitlements",
    "apply",
    "derived",
    "entitlement_digest",
    "party",
    "party_of_node",
    "party_of_person",
    "party_of_sponsor",
]

HOUSE = "HOUSE"
WHY_MAX = 300  # characters of a reason
_PARTY = re.compile(r"(node|sponsor|person) [A-Z0-9](?:[A-Z0-9-]{0,38}[A-Z0-9])?")
_BY_DIRECTORY = "it follows from the directory"
_NO_LONGER = "it no longer follows from the directory"


def party(text: str) -> str:
    """A party as it is written in facts, or `NotValid`."""
    if not isinstance(text, str) or not _PARTY.fullmatch(text):
        raise NotValid(f"cannot read {str(text)[:60]!r} as a party", why="the form is node ID, sponsor ID or person ID")
    return text


def party_of_node(node: str) -> str:
    """A facility or the control site."""
    return party(f"node {node}")


def party_of_sponsor(sponsor: str) -> str:
    """The company that a ledger is written for."""
    return party(f"sponsor {sponsor}")


def party_of_person(person: str) -> str:
    """Somebody on file."""
    return party(f"person {person}")


def _check(ledger: str, who: str, why: str) -> None:
    party(who)
    if not ledger or len(ledger) > 200 or not ledger.isprintable():
        raise NotValid("cannot note an entitlement", why="a ledger is named by its origin, NETWORK/NODE/AUDIENCE")
    if not why.strip() or len(why) > WHY_MAX or not why.isprintable():
        raise NotValid("cannot note an entitlement", why=f"a reason is one line of 1 to {WHY_MAX} printable characters")


@fact("authority.entitlement_granted", subject="ledger")
@dataclass(frozen=True, slots=True)
class EntitlementGranted:
    """A party may have a ledger, whole, from a day on. Without a signature it follows from the directory of that version."""

    ledger: str
    party: str
    since: datetime | None  # None: from the first fact on, whatever a clock says
    why: str
    directory: int | None = None
    signature: Signature | None = None

    def __post_init__(self) -> None:
        _check(self.ledger, self.party, self.why)


@fact("authority.entitlement_ended", subject="ledger")
@dataclass(frozen=True, slots=True)
class EntitlementEnded:
    """From here on nothing more of the ledger leaves for the party. What left before stays listed."""

    ledger: str
    party: str
    why: str
    directory: int | None = None
    signature: Signature | None = None

    def __post_init__(self) -> None:
        _check(self.ledger, self.party, self.why)


def entitlement_digest(word: str, *, ledger: str, party: str, why: str, since: datetime | None = None) -> str:
    """What a person signs: `grant` or `end`, of which ledger, for whom, why, and from when."""
    said = {"act": word, "ledger": ledger, "party": party, "why": why, "since": text_of_time(since) if since else None}
    return sha256(b"isogenic-entitlement/1\n" + codec.dumps(said)).hexdigest()


@dataclass(frozen=True, slots=True)
class Entitlements:
    """What is in force, by ledger and party."""

    granted: Mapping[tuple[str, str], EntitlementGranted] = field(default_factory=lambda: MappingProxyType({}))
    ended: Mapping[tuple[str, str], EntitlementEnded] = field(default_factory=lambda: MappingProxyType({}))

    def holds(self, ledger: str, party: str, at: datetime) -> bool:
        """Whether the party may have the ledger at this time."""
        found = self.granted.get((ledger, party))
        return found is not None and (found.since is None or found.since <= at)

    def require(self, ledger: str, party: str, at: datetime) -> None:
        """Raise `NotAllowed` unless it holds."""
        if self.holds(ledger, party, at):
            return
        ended, granted = self.ended.get((ledger, party)), self.granted.get((ledger, party))
        why = f"{party} has no entitlement to it"
        if ended is not None:
            why = f"the entitlement of {party} has ended: {ended.why}"
        elif granted is not None and granted.since is not None:
            why = f"the entitlement of {party} begins at {text_of_time(granted.since)}"
        raise NotAllowed(f"nothing of {ledger} leaves", why=why, possible="quality may grant it, by signature")


def apply(entitlements: Entitlements, fact: Fact) -> Entitlements:
    """The entitlements after one more fact."""
    payload = fact.payload
    if isinstance(payload, EntitlementGranted):
        key = (payload.ledger, payload.party)
        return Entitlements({**entitlements.granted, key: payload}, {each: end for each, end in entitlements.ended.items() if each != key})
    if isinstance(payload, EntitlementEnded):
        key = (payload.ledger, payload.party)
        return Entitlements({each: grant for each, grant in entitlements.granted.items() if each != key}, {**entitlements.ended, key: payload})
    return entitlements


def derived(entitlements: Entitlements, directory: Directory, ledgers: Iterable[str]) -> list[Payload]:
    """The grants and ends that follow from the directory and from these ledgers' origins, and are not noted yet."""
    follow = _following(directory, list(ledgers))
    signed = {key for key, end in entitlements.ended.items() if end.signature is not None}
    grants: list[Payload] = [
        EntitlementGranted(ledger, who, None, _BY_DIRECTORY, directory.version)
        for ledger, who in follow
        if (ledger, who) not in entitlements.granted and (ledger, who) not in signed
    ]
    ends: list[Payload] = [
        EntitlementEnded(grant.ledger, grant.party, _NO_LONGER, directory.version)
        for key, grant in entitlements.granted.items()
        if grant.signature is None and key not in follow
    ]
    return [*ends, *grants]


def _following(directory: Directory, ledgers: list[str]) -> dict[tuple[str, str], None]:
    sponsors: dict[str, list[str]] = {}
    for origin in ledgers:
        if written_by(origin) in directory.sites and audience_of(origin) != HOUSE:
            sponsors.setdefault(written_by(origin), []).append(audience_of(origin))
    follow: dict[tuple[str, str], None] = {}
    for origin in ledgers:
        writer, audience = written_by(origin), audience_of(origin)
        if writer in directory.sites:
            follow[origin, party_of_node(CONTROL)] = None
            if audience != HOUSE:
                follow[origin, party_of_sponsor(audience)] = None
        elif writer == CONTROL and audience in directory.sites:
            follow[origin, party_of_node(audience)] = None
            for sponsor in sponsors.get(audience, []) if len(sponsors.get(audience, [])) == 1 else []:
                follow[origin, party_of_sponsor(sponsor)] = None
    return follow
