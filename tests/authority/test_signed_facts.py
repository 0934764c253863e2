"""Signatures of people inside facts are believed with keys that the control site, and the reader's own list, name."""

from dataclasses import dataclass, replace

import pytest
from house import DIRECTORY, NOW, PEOPLE, of, person, signer

from isogenic.authority.people import Directory, DirectoryPublished, Role
from isogenic.authority.signatures import check_every_signature, sign
from isogenic.checks import stops
from isogenic.clock import Moment
from isogenic.ids import NodeId
from isogenic.records.dossier import Key, KeyRole
from isogenic.records.facts import Actor, Fact, FactRef, fact
from isogenic.records.notes import VerifyingKey
from isogenic.records.signatures import Signature

DIGEST = "5" * 64
CONTROLS, SITES = "example.org/CONTROL/LEEDS", "example.org/LEEDS/ACME"
SIGNATURE = sign(signer("FRIEDA-VOSS"), of("FRIEDA-VOSS"), role=Role.QUALIFIED_PERSON, meaning="released", at=NOW, digest=DIGEST)


@fact("testing.signed", subject="what")
@dataclass(frozen=True, slots=True)
class Signed:
    what: str
    signatures: tuple[Signature, ...]


def at(ledger: str, position: int, payload: object) -> Fact:
    return Fact(FactRef(ledger, position), type(payload).fact_name, 1, "x", Actor.node("CONTROL"), Moment(NOW), payload)


def directory(ledger: str = CONTROLS, content: Directory = DIRECTORY) -> Fact:
    return at(ledger, 0, DirectoryPublished(NodeId("CONTROL"), content))


def found(*facts: Fact, keys: tuple[Key, ...] | None = None) -> list[str]:
    return [note.text for note in stops(check_every_signature(facts, keys))]


def line(role: KeyRole | None, name: str) -> Key:
    return Key(role, name, VerifyingKey.parse(of("FRIEDA-VOSS").key))


def test_a_signature_by_a_person_on_file_is_good() -> None:
    assert found(directory(), at(CONTROLS, 1, Signed("x", (SIGNATURE,)))) == []


def test_a_directory_that_a_site_wrote_names_nobody() -> None:
    """The attack: whoever holds a site's key says who the qualified person is."""
    forger = replace(of("FRIEDA-VOSS"), key=str(signer("somebody-else").verifying_key))
    content = Directory(DIRECTORY.control, DIRECTORY.sites, {**PEOPLE, forger.id: forger}, version=2)
    forged = sign(signer("somebody-else"), forger, role=Role.QUALIFIED_PERSON, meaning="released", at=NOW, digest=DIGEST)
    signed = at(CONTROLS, 1, Signed("x", (forged,)))
    assert found(directory(content=content), signed) == []
    assert found(directory(), directory(SITES, content), signed) == [
        f"authority.directory_published at {SITES}#0: only the control site says who people are, in its own ledgers",
        f"in testing.signed at {CONTROLS}#1: signature of FRIEDA-VOSS refused: the key is not the one on file for this person",
    ]
    assert "no directory of the control site" in found(directory(SITES, content), signed)[-1]
    assert len(found(directory(SITES))) == 1


@pytest.mark.parametrize(
    ("listed", "good"),
    [
        (line(KeyRole.PERSON, "FRIEDA-VOSS"), True),
        (line(None, "FRIEDA-VOSS"), True),
        (line(None, ""), True),  # a bare key: its own name ends in the person's
        (line(KeyRole.PERSON, "INES-DUARTE"), False),
        (line(KeyRole.DOSSIER, "FRIEDA-VOSS"), False),
        (Key(KeyRole.PERSON, "FRIEDA-VOSS", VerifyingKey.parse(person("OTHER", Role.QUALITY).key)), False),
    ],
)
def test_with_a_list_of_keys_a_person_must_be_on_it(listed: Key, good: bool) -> None:
    facts = (directory(), at(CONTROLS, 1, Signed("x", (SIGNATURE,))))
    wrong = f"in testing.signed at {CONTROLS}#1: the key of FRIEDA-VOSS is not on your list as a person's"
    assert found(*facts, keys=(listed,)) == ([] if good else [wrong])
    assert found(*facts, keys=()) == [wrong]
