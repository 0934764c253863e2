"""A facility's side of joining a network: its keys are made here and never leave; a request goes, an admission comes.

Guarantees: private keys are made only where there are none; asking again asks with the same keys; an admission is taken only where its
fingerprint is the one that was read over the telephone, its certificate is for this node's key, and, where the site belongs to
a network already, that is the same network.
Leaves to others: what a request says (authority.admission), renewing the ledger key (in band: records.keys).
"""

from __future__ import annotations

from pathlib import Path

from isogenic.authority.admission import ADMISSION, REQUEST, Admission, SiteRequest, network_fingerprint, proved, same_fingerprint
from isogenic.authority.people import NodeKeys
from isogenic.errors import NotAllowed, NotTrusted, NotValid
from isogenic.plant.documents import load_plant
from isogenic.records import codec
from isogenic.records.beacon import beacon_path, first_beacon
from isogenic.records.durable import write_whole
from isogenic.records.folder import read_file
from isogenic.records.notes import COSIGNER, LOG, Signer, VerifyingKey
from isogenic.records.tls import install_certificate, node_key, signing_request
from isogenic.sites.keyring import FIRST, FIRST_PUBLIC

__all__ = ["accept", "request"]


def _signer(path: Path, name: str, algorithm: int) -> Signer:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        Signer.generate(name, algorithm=algorithm).save(path)
    return Signer.load(path)


def request(folder: Path, *, network: str) -> SiteRequest:
    """Make what keys are missing, and the request; the plant document says which site it is and for whom it works."""
    plant = load_plant(read_file(folder / "plant.yaml"), name="plant.yaml")
    name = f"{network}/{plant.site}"
    rotated = folder / "keys" / FIRST_PUBLIC  # its ledgers have keys of their own by now
    ledger = None if rotated.exists() else _signer(folder / "keys" / FIRST, name, LOG)
    began = ledger.verifying_key if ledger else VerifyingKey.parse(read_file(rotated).decode())
    witness = _signer(folder / "keys" / "witness.key", f"{name}/witness", COSIGNER)
    if began.name != name:
        raise NotAllowed(f"cannot ask for {name}", why=f"the keys here are those of {began.name}", possible="use another folder")
    asked = SiteRequest(
        isogenic=REQUEST,
        network=network,
        site=plant.site,
        title=plant.title,
        sponsors=plant.sponsors,
        latitude=plant.latitude,
        longitude=plant.longitude,
        csr=signing_request(plant.site, node_key(folder)).decode(),
        ledger=str(began),
        witness=str(witness.verifying_key),
    )
    return proved(asked, ledger=ledger, witness=witness)


def accept(folder: Path, data: bytes, *, fingerprint: str) -> Admission:
    """Take an admission, or its renewal: trust, certificate, settings. Settings that are there stay."""
    admission = codec.read(Admission, codec.loads(data, what="an admission"), what="admission")
    plant = load_plant(read_file(folder / "plant.yaml"), name="plant.yaml")
    if admission.isogenic != ADMISSION or admission.site != plant.site:
        raise NotValid("cannot take this admission", why=f"it is {admission.isogenic[:40]} of {admission.site}, and this is {plant.site}")
    found = network_fingerprint(admission.network, admission.authority.encode(), admission.control)
    if not same_fingerprint(fingerprint, found):
        raise NotTrusted(
            "admission refused",
            why=f"the fingerprint of its network is {found}",
            possible="ask the control site, by a telephone number that you had before, to read out its own",
        )
    trust = folder / "trust.json"
    if trust.exists() and codec.read(NodeKeys, codec.loads(trust.read_bytes(), what="trust.json"), what="trust.json") != admission.control:
        raise NotAllowed("cannot take this admission", why="trust.json names other keys of a control site", possible="keys are renewed in band")
    install_certificate(folder, admission.certificate.encode(), admission.authority.encode())
    write_whole(trust, codec.dumps(codec.plain(admission.control)))
    if not (folder / "node.json").exists():  # last: with it the folder can be run
        settings = {"network": admission.network, "site": str(admission.site), "control_url": admission.control_url}
        first_beacon(beacon_path(folder, ""))
        write_whole(folder / "node.json", codec.dumps(settings))
    return admission
