"""A small house for these tests: people with keys from seeds, and a directory that knows them."""

from datetime import UTC, datetime
from hashlib import sha256

from isogenic.authority.accounts import Cost
from isogenic.authority.people import Directory, NodeKeys, Person, Role, SiteEntry
from isogenic.ids import PersonId, SiteId
from isogenic.records.notes import COSIGNER, Signer

NOW = datetime(2026, 11, 23, 11, 22, 56, 123000, tzinfo=UTC)
CHEAP = Cost(time=1, memory_kib=8, lanes=1)  # argon2id's least: the tests are about the logic around it


def signer(name: str, algorithm: int = 1) -> Signer:
    return Signer.from_seed(name, sha256(f"{name}/{algorithm}".encode()).digest(), algorithm=algorithm)


def person(name: str, *roles: Role, sites: tuple[str, ...] = (), active: bool = True) -> Person:
    id_ = PersonId(name)
    return Person(id_, name.replace("-", " ").title(), roles, str(signer(name).verifying_key), tuple(map(SiteId, sites)), active)


def keys(name: str) -> NodeKeys:
    return NodeKeys(str(signer(name).verifying_key), str(signer(name, COSIGNER).verifying_key))


PEOPLE = {
    each.id: each
    for each in (
        person("OLA-BERG", Role.OPERATOR, sites=("LEEDS",)),
        person("PIA-ENGEL", Role.PROCESS_ENGINEER),
        person("INES-DUARTE", Role.QUALITY),
        person("FRIEDA-VOSS", Role.QUALIFIED_PERSON, Role.QUALITY),
        person("ANA-LIST", Role.ANALYST, sites=("LEEDS",)),
        person("IRA-SPECT", Role.INSPECTOR),
        person("GONE-AWAY", Role.QUALIFIED_PERSON, active=False),
    )
}
DIRECTORY = Directory(keys("control"), {SiteId("LEEDS"): SiteEntry(SiteId("LEEDS"), "Leeds", keys("leeds"))}, PEOPLE)


def of(name: str) -> Person:
    return PEOPLE[PersonId(name)]
