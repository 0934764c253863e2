"""Who is known to the network: people, sites and their public keys.

Guarantees: a `Directory` is one frozen value that can be noted as a fact and read back
equal; every key in it can be read, no two people or nodes share one, passkeys and former keys
included, and every entry is filed under its own id.
Leaves to others: what a role may do (rules), passwords and private keys (accounts), how a
directory follows another (identities).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from isogenic.errors import NotFound, NotValid
from isogenic.ids import NodeId, PersonId, SiteId
from isogenic.records.facts import fact
from isogenic.records.notes import VerifyingKey

__all__ = ["Directory", "DirectoryPublished", "FormerKey", "NodeKeys", "Passkey", "Person", "Role", "SiteEntry", "check_printed"]

NAME_MAX = 80  # characters of a printed name: what fits the signature block of a page
KEY_BYTES_MAX = 2_048  # of a passkey's public key: RSA with 8192 bits has about 1,050
_CREDENTIAL = re.compile(r"[A-Za-z0-9_-]{16,1364}")  # base64url of at most 1,023 bytes (WebAuthn level 3, 5.8.3)
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?")


class Role(StrEnum):
    """What a person is there for. A person may have several, and signs in one."""

    OPERATOR = "operator"  # runs batches at a site
    PROCESS_ENGINEER = "process_engineer"  # writes recipes
    QUALITY = "quality"  # reviews: approves recipes, disposes of deviations
    QUALIFIED_PERSON = "qualified_person"  # certifies and releases lots (EU GMP Annex 16)
    ANALYST = "analyst"  # reports results
    PLANNER = "planner"  # gives lots to sites
    PRIVACY_OFFICER = "privacy_officer"  # answers for personal data, and erases it
    REGULATORY = "regulatory_affairs"  # answers to the authorities: master files, licences, commitments
    INSPECTOR = "inspector"  # reads everything, changes nothing
    ADMINISTRATOR = "administrator"  # keeps accounts and nodes

    @property
    def words(self) -> str:
        """As people read it."""
        return self.value.replace("_", " ")


def check_printed(text: str, *, what: str) -> None:
    """Raise `NotValid` unless the text is one line of a page."""
    if not text.strip() or text != text.strip() or len(text) > NAME_MAX or not text.isprintable():
        raise NotValid(what, why=f"a printed name is 1 to {NAME_MAX} printable characters")


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey on file: a key that an authenticator keeps, and uses only after it has verified the person."""

    id: str  # credential id, base64url without padding
    key: str  # public key, SubjectPublicKeyInfo in DER, base64
    domain: str  # the WebAuthn RP ID that it is bound to
    title: str  # what the person calls the thing that holds it
    removed_at: datetime | None = None  # what it signed before stays signed

    def __post_init__(self) -> None:
        refused = "cannot put a passkey on file"
        check_printed(self.title, what=refused)
        if not _CREDENTIAL.fullmatch(self.id) or not _DOMAIN.fullmatch(self.domain):
            raise NotValid(refused, why="its id is not base64url, or its domain is not a host name")
        if len(self.der()) > KEY_BYTES_MAX:
            raise NotValid(refused, why=f"its key has more than {KEY_BYTES_MAX} bytes")

    def der(self) -> bytes:
        """The public key's bytes."""
        try:
            return base64.b64decode(self.key, validate=True)
        except (binascii.Error, ValueError) as trouble:
            raise NotValid("cannot put a passkey on file", why="its key is not base64") from trouble


@dataclass(frozen=True, slots=True)
class FormerKey:
    """A personal key that was replaced: it verifies what it signed before, and nothing after."""

    key: str  # vkey
    until: datetime

    def __post_init__(self) -> None:
        VerifyingKey.parse(self.key)


@dataclass(frozen=True, slots=True)
class Person:
    """A person on file. Ids are never reused; who leaves becomes inactive, and old signatures still verify."""

    id: PersonId
    printed_name: str
    roles: tuple[Role, ...]
    key: str  # vkey of the personal signing key
    sites: tuple[SiteId, ...] = ()  # empty: the control site, so every site
    active: bool = True
    passkeys: tuple[Passkey, ...] = ()
    former_keys: tuple[FormerKey, ...] = ()
    former_names: tuple[str, ...] = ()  # a name may change; what was signed under the old one stays signed
    disabled: str = ""  # why an administrator shut the person out until further notice

    def __post_init__(self) -> None:
        for name in (self.printed_name, *self.former_names):
            check_printed(name, what=f"cannot put {self.id} on file")
        if not self.roles:
            raise NotValid(f"cannot put {self.id} on file", why="a person has at least one role", possible=", ".join(Role))
        VerifyingKey.parse(self.key)

    @property
    def may_enter(self) -> bool:
        """Whether the person is on file and not shut out."""
        return self.active and not self.disabled

    def passkey(self, credential: str) -> Passkey | None:
        """The passkey of this id, removed or not."""
        return next((each for each in self.passkeys if each.id == credential), None)

    def works_at(self, site: SiteId) -> bool:
        """Whether the person is assigned to this site."""
        return not self.sites or site in self.sites


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """A node's two public keys: the one that signs its ledgers, and the one that witnesses others'."""

    ledger: str  # vkey
    witness: str  # vkey

    def __post_init__(self) -> None:
        VerifyingKey.parse(self.ledger)
        VerifyingKey.parse(self.witness)


@dataclass(frozen=True, slots=True)
class SiteEntry:
    """A facility on file: its keys, and where on earth it stands (degrees, for the map)."""

    id: SiteId
    title: str
    keys: NodeKeys
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class Directory:
    """Everybody and every node that the network trusts, at one version."""

    control: NodeKeys
    sites: dict[SiteId, SiteEntry] = field(default_factory=dict)
    people: dict[PersonId, Person] = field(default_factory=dict)
    version: int = 1

    def __post_init__(self) -> None:
        filed = [(str(key), str(site.id)) for key, site in self.sites.items()] + [(str(key), str(person.id)) for key, person in self.people.items()]
        for key, entry in filed:
            if key != entry:
                raise NotValid(f"cannot read a directory: {entry} is filed under {key}", why="an entry is filed under its own id")
        # One key, one holder: else a signature would not say whose it is (21 CFR 11.100(a)).
        seen: set[bytes] = set()
        for text, public, _ in self.holdings():
            if public in seen:
                raise NotValid(
                    f"cannot read a directory: key {text[:40]} is there twice", why="every person and every use of a node has a key of its own"
                )
            seen.add(public)

    def holdings(self) -> Iterator[tuple[str, bytes, str]]:
        """Every key there is or was: as written, its bytes, and whose it is."""
        yield from ((text, VerifyingKey.parse(text).public, "the control site") for text in (self.control.ledger, self.control.witness))
        for site in self.sites.values():
            yield from ((text, VerifyingKey.parse(text).public, str(site.id)) for text in (site.keys.ledger, site.keys.witness))
        for person in self.people.values():
            for text in (person.key, *(each.key for each in person.former_keys)):
                yield text, VerifyingKey.parse(text).public, str(person.id)
            for passkey in person.passkeys:
                yield passkey.key, passkey.der(), str(person.id)
                yield passkey.id, passkey.id.encode(), str(person.id)

    def person(self, person: PersonId) -> Person:
        """The person, or `NotFound`."""
        if person not in self.people:
            raise NotFound(f"no person {person}", why=f"version {self.version} of the directory does not name them")
        return self.people[person]

    def site(self, site: SiteId) -> SiteEntry:
        """The site, or `NotFound`."""
        if site not in self.sites:
            raise NotFound(
                f"no site {site}", why=f"version {self.version} of the directory does not name it", possible=", ".join(self.sites) or "none"
            )
        return self.sites[site]


@fact("authority.directory_published", subject="control")
@dataclass(frozen=True, slots=True)
class DirectoryPublished:
    """The control site published who is trusted from here on. Replaces the directory before it."""

    control: NodeId
    directory: Directory
