"""The dossier of a lot: its whole record, and everything that a stranger needs to verify it.

    ledgers     the site's ledger for the sponsor and the control site's ledger for the site, whole
    blocks      the sealed readings that the record names
    documents   the executed batch record as PDF, page and text; of a released lot the certificate of analysis
    keys        of both nodes and of everybody who may sign

A ledger travels whole or not at all, so a dossier goes to the sponsor whose ledger it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from isogenic.authority.entitlements import party_of_sponsor
from isogenic.authority.people import Directory
from isogenic.authority.revocation import KeyHistory
from isogenic.checks import stops
from isogenic.errors import NotFound, NotTrusted
from isogenic.ids import LotId
from isogenic.network import decisions
from isogenic.network.batch_records import batch_record
from isogenic.network.control import CONTROL, ControlNode
from isogenic.quality.certificate import as_pdf, as_text, certificate_of
from isogenic.quality.executed.html import as_html
from isogenic.quality.executed.pdf import as_pdf as executed_pdf
from isogenic.quality.executed.text import as_text as executed_text
from isogenic.quality.record import LotRecord
from isogenic.quality.release import LotReleased, check_released_by_signature
from isogenic.records.dossier import Key, KeyRole, LedgerPart, audience_of, write_dossier, writer_lines
from isogenic.records.ledger import Ledger
from isogenic.records.notes import VerifyingKey

__all__ = ["dossier_bytes", "network_keys", "write_lot_dossier"]


def network_keys(directory: Directory, *, origins: dict[str, str], control_origins: list[str], history: KeyHistory | None = None) -> list[Key]:
    """Every public key of a network. `origins`: ledger -> the site that writes it; `control_origins`: the control site's ledgers.

    `history`: the keys that were revoked, where there are any.
    """
    history = history or KeyHistory()
    control = directory.control
    keys = [Key(KeyRole.WRITER, origin, VerifyingKey.parse(control.ledger), "control site") for origin in control_origins]
    keys.append(Key(KeyRole.DOSSIER, str(CONTROL), VerifyingKey.parse(control.ledger), "control site"))
    keys.append(Key(KeyRole.WITNESS, str(CONTROL), VerifyingKey.parse(control.witness), "control site"))
    for origin, site in origins.items():
        entry = directory.sites[next(each for each in directory.sites if each == site)]
        keys += writer_lines(history.of(origin, entry.id, first=entry.keys.ledger), entry.title)
    for entry in directory.sites.values():
        keys.append(Key(KeyRole.WITNESS, str(entry.id), VerifyingKey.parse(entry.keys.witness), entry.title))
    keys += [Key(KeyRole.PERSON, str(person.id), VerifyingKey.parse(person.key), person.printed_name) for person in directory.people.values()]
    return keys


def write_lot_dossier(node: ControlNode, lot: LotId, folder: Path) -> Path:
    """Write the dossier of a lot as a folder and, beside it, a .zip; gives the path of the .zip."""
    record = node.state.lot(lot)
    if record.site is None or not record.ledger:
        raise NotFound(f"no dossier of {lot}", why="its record names no site yet")
    site_ledger, directed = node.ledger(record.ledger), node.ledgers[str(record.site)]
    require_entitled(node, audience_of(record.ledger), [site_ledger.origin, directed.origin])
    people = decisions.directory(node)
    keys = network_keys(people, origins={record.ledger: str(record.site)}, control_origins=[directed.origin], history=node.state.keys)
    return write_dossier(
        folder,
        ledgers=[LedgerPart.newest(site_ledger.store), _with_decision(directed, lot)],
        blobs=node.blobs,
        blocks=[block.digest for block in record.blocks],
        documents=_documents(node, record),
        keys=keys,
        signer=directed.signer,
        about=f"lot {lot} of {record.product}, made at {record.site} as {record.batch}",
        made_at=node.clock.now().at,
    )


def require_entitled(node: ControlNode, sponsor: str, ledgers: Sequence[str]) -> None:
    """A dossier goes to one sponsor: each of its ledgers must be one that this sponsor may have, whole (I7)."""
    for ledger in ledgers:
        node.state.entitlements.require(ledger, party_of_sponsor(sponsor), node.clock.now().at)


def dossier_bytes(node: ControlNode, lot: LotId) -> bytes:
    """The .zip of a lot's dossier."""
    with tempfile.TemporaryDirectory(prefix="isogenic-dossier-") as folder:
        return write_lot_dossier(node, lot, Path(folder) / str(lot)).read_bytes()


def _with_decision(directed: Ledger, lot: LotId) -> LedgerPart:
    """As far as the site has witnessed; further only where the decision on this lot has not come back cosigned yet."""
    witnessed = LedgerPart.newest(directed.store)
    if any(fact.subject == lot for fact in directed.facts(witnessed.size)):
        head = directed.store.head()
        assert head is not None  # it holds the fact that was just read
        return LedgerPart(directed.store, head.size, head.note)
    return witnessed


def _documents(node: ControlNode, record: LotRecord) -> dict[str, bytes]:
    executed = batch_record(node, record.batch)
    documents = {
        "batch-record.pdf": executed_pdf(executed),
        "batch-record.html": as_html(executed).encode(),
        "batch-record.txt": executed_text(executed).encode(),
    }
    decision = node.state.decisions.get(record.lot) if record.lot else None
    if isinstance(decision, LotReleased) and decision.batch == record.batch:
        # A certificate is what leaves the house: what stands under it is verified again, whoever noted it.
        tried = [stops(check_released_by_signature(decision, record, each)) for each in reversed(node.state.directories)]
        against = min(tried, key=len, default=[])
        if against or not tried:
            raise NotTrusted(f"no certificate of {record.lot}", why="; ".join(note.text for note in against))
        case = decisions.release_case(node, decision.lot, asked_by=decision.signature.person)
        certificate = certificate_of(case, decision)
        documents |= {"certificate.pdf": as_pdf(certificate), "certificate.txt": as_text(certificate).encode()}
    return documents
