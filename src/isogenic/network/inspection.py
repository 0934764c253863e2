"""What an inspector who trusts nobody asks of files: every check of every room, on a dossier or on a node's own folder.

Guarantees: reads files and public keys, writes nothing, asks no server. A folder's keys are
those that the control site's directories in its ledgers name; with a list of the reader's
own, only those that it allows.
Leaves to others: the bytes (records), what signatures must say (authority, quality).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import isogenic.network.state  # noqa: F401 (registers every kind of fact that people sign, so that what they signed is seen)
from isogenic.authority.people import Directory, DirectoryPublished
from isogenic.authority.revocation import KeyHistory, history_of
from isogenic.authority.signatures import check_every_signature, holds_signature
from isogenic.batches.facts import BatchStarted
from isogenic.errors import NotFound, NotValid, Refusal
from isogenic.ids import SiteId
from isogenic.monitoring.facts import ModelPublished
from isogenic.network.facts import PageRefused
from isogenic.quality.deviations import DeviationOpened
from isogenic.quality.signed import WITH_SIGNATURES, check_record_roots, check_signed_facts
from isogenic.records import codec
from isogenic.records.blocks import HouseReadingsSealed, ReadingsSealed
from isogenic.records.dossier import CONTROL, KEYS, MANIFEST, MANIFEST_SIG, Key, KeyRole, writer_lines, written_by
from isogenic.records.facts import Fact
from isogenic.records.ledger_files import holds_ledgers, verify_files
from isogenic.records.notes import VerifyingKey
from isogenic.records.report import VerifyReport
from isogenic.records.verify import verify_dossier
from isogenic.vault.signed import check_signed_erasures

__all__ = ["inspect", "keys_in"]

HOUSE = "HOUSE"
_NEEDED = (DirectoryPublished, DeviationOpened, BatchStarted, ReadingsSealed, HouseReadingsSealed, ModelPublished, PageRefused)


def inspect(path: Path, *, keys: str | None = None) -> VerifyReport:
    """Verify a dossier, a ledger file, a node's folder or a folder of several nodes. `keys`: the text of your own list."""
    if not path.exists():
        raise NotFound(f"cannot verify {path}", why="no such folder or file")
    checks = {"extra_checks": [check_every_signature, check_signed_facts, check_signed_erasures], "root_checks": [check_record_roots]}
    if (path / MANIFEST).exists() or not holds_ledgers(path):
        _check_is_a_record(path)
        return verify_dossier(path, keys=keys, **checks)  # type: ignore[arg-type]
    return verify_files(path, keys=keys, keys_in=keys_in, keep=_needed, blob_of=_blob, expected=_expected(path), **checks)  # type: ignore[arg-type]


def _check_is_a_record(path: Path) -> None:
    """What has no part of a record was not altered: it never was one."""
    if path.is_file():
        with path.open("rb") as file:
            found = path.suffix == ".zip" or file.read(2) == b"PK"
    else:
        found = any((path / name).exists() for name in (MANIFEST, MANIFEST_SIG, KEYS, "ledgers"))
    if not found:
        possible = "a dossier (folder or .zip), a node's folder, one backup in the folder that holds them, or one ledger file"
        raise NotValid(f"cannot verify {path}", why="it is no record, nor a part of one", possible=possible)


def _needed(fact: Fact) -> bool:
    """What the checks of other rooms look at; the rest of a ledger of millions is not kept."""
    said = fact.kind.startswith("authority.")  # who people are, and what became of their keys
    return said or isinstance(fact.payload, _NEEDED) or fact.kind in WITH_SIGNATURES or holds_signature(fact.payload)


def _blob(fact: Fact) -> str:
    """A blob that is no reading block: a model, or a page that was refused and kept as evidence."""
    return fact.payload.digest if isinstance(fact.payload, ModelPublished | PageRefused | HouseReadingsSealed) else ""


def keys_in(facts: Sequence[Fact], origins: Sequence[str]) -> list[Key]:
    """The public keys that the control site's directories name, for these ledgers, as far as they were not revoked."""
    keys: list[Key] = []
    history = history_of(facts)
    for fact in facts:
        if isinstance(fact.payload, DirectoryPublished):
            keys += _keys_of(fact.payload.directory, origins, history)
    return list(dict.fromkeys(keys))


def _keys_of(directory: Directory, origins: Sequence[str], history: KeyHistory) -> list[Key]:
    control = directory.control
    keys = [Key(KeyRole.WITNESS, CONTROL, VerifyingKey.parse(control.witness), "control site")]
    nodes = {CONTROL: (control.ledger, "control site")}
    for site in directory.sites.values():
        keys.append(Key(KeyRole.WITNESS, str(site.id), VerifyingKey.parse(site.keys.witness), site.title))
        nodes[str(site.id)] = (site.keys.ledger, site.title)
    for origin in origins:
        if written_by(origin) in nodes:
            text, title = nodes[written_by(origin)]

            if any(origin in each.ledgers for each in history.revoked):
                keys += writer_lines(history.of(origin, SiteId(written_by(origin))), title)
            else:
                keys.append(Key(KeyRole.WRITER, origin, VerifyingKey.parse(text), title))
    keys += [Key(KeyRole.PERSON, str(person.id), VerifyingKey.parse(person.key), person.printed_name) for person in directory.people.values()]
    return keys


def _expected(folder: Path) -> dict[str, str]:
    """The ledger files that must be in a node's folder, by what its settings say; nothing where there are none."""
    try:
        said = codec.loads((folder / "node.json").read_bytes(), what="node.json")
        network = said["network"]
        if "site" in said:
            site = said["site"]
            return {"ledgers/HOUSE.sqlite": f"{network}/{site}/{HOUSE}", f"ledgers/{CONTROL}.sqlite": f"{network}/{CONTROL}/{site}"}
        audiences = said["audiences"].items()
        return (
            {f"ledgers/{HOUSE}.sqlite": f"{network}/{CONTROL}/{HOUSE}"}
            | {f"ledgers/{site}.sqlite": f"{network}/{CONTROL}/{site}" for site, _ in audiences}
            | {f"copies/{site}.{each}.sqlite": f"{network}/{site}/{each}" for site, listed in audiences for each in listed}
        )
    except (OSError, Refusal, LookupError, TypeError, AttributeError):
        return {}  # not a node's own folder: a backup, or ledgers alone
