"""Who is known to the network: people, sites and their public keys.

Guarantees: a `Directory` is one frozen value that can be noted as a fact and read back
equal; every key in it can be read, no two people or nodes share one, and every entry is filed under its own id.
Leaves to others: what a role may do (rules), passwords and private keys (accounts).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from isogenic.errors import NotFound, NotValid
from isogenic.ids import NodeId, PersonId, SiteId
from isogenic.records.facts import fact
from isogenic.records.notes import VerifyingKey

__all__ = ["Directory", "DirectoryPublished", "NodeKeys", "Person", "Role", "SiteEntry"]

NAME_MAX = 80  # characters of a printed name: what fits the signature block of a page


class Role(StrEnum):
    """What a person is there for. A person may have several, and signs in one."""

    OPERATOR = "operator"  # runs batches at a site
    PROCESS_ENGINEER = "process_engineer"  # writes recipes
    QUALITY = "quality"  # reviews: approves recipes, disposes of deviations
    QUALIFIED_PERSON = "qualified_person"  # certifies and releases lots (EU GMP Annex 16)
    ANALYST = "analyst"  # reports results
    PLANNER = "planner"  # gives lots to sites
    INSPECTOR = "inspector"  # reads everything, changes nothing
    ADMINISTRATOR = "administrator"  # keeps accounts and nodes

    @property
    def words(self) -> str:
        """As people read it."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Person:
    """A person on file. Ids are never reused; who leaves becomes inactive, and old signatures still verify."""

    id: PersonId
    printed_name: str
    roles: tuple[Role, ...]
    key: str  # vkey of the personal signing key
    sites: tuple[SiteId, ...] = ()  # empty: the control site, so every site
    active: bool = True

    def __post_init__(self) -> None:
        name = self.printed_name
        if not name.strip() or name != name.strip() or len(name) > NAME_MAX or not name.isprintable():
            raise NotValid(f"cannot put {self.id} on file", why=f"a printed name is 1 to {NAME_MAX} printable characters")
        if not self.roles:
            raise NotValid(f"cannot put {self.id} on file", why="a person has at least one role", possible=", ".join(Role))
        VerifyingKey.parse(self.key)

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
        keys = [self.control.ledger, self.control.witness]
        keys += [key for site in self.sites.values() for key in (site.keys.ledger, site.keys.witness)]
        keys += [person.key for person in self.people.values()]
        # One key, one holder: else a signature would not say whose it is (21 CFR 11.100(a)).
        seen: set[bytes] = set()
        for text in keys:
            public = VerifyingKey.parse(text).public
            if public in seen:
                raise NotValid(
                    f"cannot read a directory: key {text[:40]} is there twice", why="every person and every use of a node has a key of its own"
                )
            seen.add(public)

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
