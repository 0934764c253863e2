"""Keys and certificates of a real network: made, shown, admitted, revoked, renewed."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from isogenic import __version__
from isogenic.clock import SystemClock
from isogenic.errors import NotValid
from isogenic.ids import RandomMint
from isogenic.records import codec
from isogenic.records.durable import write_whole
from isogenic.shell.accounts import accounts_of

if TYPE_CHECKING:
    from isogenic.authority.people import Person
    from isogenic.records.notes import Signer

__all__ = ["admit", "certificate_line", "enrol_person", "network_print", "new_network", "prepare_key", "revoke_key", "shown_keys", "warn_of_expiry"]

log = logging.getLogger(__name__)


def new_network(network: str, folder: Path, *, hosts: tuple[str, ...], url: str, plants: list[Path], passphrase: str) -> list[str]:
    """A network in a folder; with plant documents, its facilities beside it, by the same steps as from afar."""
    from isogenic.authority.admission import fingerprint_of
    from isogenic.network import admission
    from isogenic.plant.documents import load_plant
    from isogenic.records.folder import read_file
    from isogenic.records.tls import Authority
    from isogenic.sites import joining

    names = hosts or ("localhost", "127.0.0.1")
    now = SystemClock().now().at
    sites = {load_plant(read_file(path), name=path.name).site: read_file(path) for path in plants}
    admission.new_network(network, folder, hosts=names, url=url or f"https://{names[0]}:8443", now=now, passphrase=passphrase)
    control = folder / "CONTROL"
    said = [f"{folder / 'AUTHORITY'}: take it off this machine; it is needed to admit and to renew, and for nothing else"]
    for site, plant in sites.items():
        home = folder / site
        write_whole(home / "plant.yaml", plant)
        asked = joining.request(home, network=network)
        admitted = admission.admit_site(
            Authority.load(folder / "AUTHORITY", passphrase=passphrase), control, asked, fingerprint=fingerprint_of(asked), now=now
        )
        joining.accept(home, codec.dumps(codec.plain(admitted)), fingerprint=network_print(control))
        said.append(f"{home}: admitted")
    return [*said, *shown_keys(control)]


def network_print(control: Path) -> str:
    """The fingerprint of a network, from its control site's folder."""
    from isogenic.authority.admission import network_fingerprint
    from isogenic.authority.people import Directory
    from isogenic.records.folder import read_file

    directory = codec.read(Directory, codec.loads(read_file(control / "directory.json"), what="directory.json"), what="directory.json")
    network = codec.loads(read_file(control / "node.json"), what="node.json")["network"]
    return network_fingerprint(network, read_file(control / "tls" / "authority.crt"), directory.control)


def admit(authority: Path, control: Path, request: bytes, *, fingerprint: str, out: Path | None, passphrase: str) -> list[str]:
    """Admit what asks; without a fingerprint, only show what it is."""
    from isogenic.authority.admission import PersonRequest, fingerprint_of, read_request
    from isogenic.network import admission
    from isogenic.records.tls import Authority

    asked = read_request(request)
    who = f"{asked.person} {asked.printed_name}" if isinstance(asked, PersonRequest) else f"{asked.site} {asked.title}"
    if not fingerprint:
        return [f"{who} asks, with the fingerprint {fingerprint_of(asked)}"]
    if isinstance(asked, PersonRequest):
        admission.admit_person(control, asked, fingerprint=fingerprint)
        return [f"{who} is on file; published when the control site starts next"]
    admitted = admission.admit_site(
        Authority.load(authority, passphrase=passphrase), control, asked, fingerprint=fingerprint, now=SystemClock().now().at
    )
    path = out or control / f"{asked.site}.admission.json"
    write_whole(path, codec.dumps(codec.plain(admitted)))
    return [f"{path}: bring it to {who}, and read this over the telephone:", f"  {network_print(control)}"]


def enrol_person(folder: Path, person: str, password: str, *, printed_name: str, roles: list[str], out: Path | None) -> list[str]:
    """An account in a node's folder; at the control site the person is put on file at once, elsewhere a request is written."""
    import secrets

    from isogenic.authority.admission import fingerprint_of
    from isogenic.authority.people import Role
    from isogenic.ids import PersonId, SiteId
    from isogenic.network.admission import admit_person, enrol
    from isogenic.records.folder import read_file

    if unknown := [role for role in roles if role not in list(Role)]:
        raise NotValid(f"no role {unknown[0][:40]!r}", why="a person is there for one of a few things", possible=", ".join(Role))
    settings = codec.loads(read_file(folder / "node.json"), what="node.json")
    site = SiteId(settings["site"]) if "site" in settings else None
    asked = enrol(
        folder,
        PersonId(person),
        password,
        printed_name=printed_name,
        roles=tuple(Role(role) for role in roles),
        site=site,
        entropy=secrets.token_bytes,
        now=SystemClock().now().at,
    )
    if site is None:
        admit_person(folder, asked, fingerprint=fingerprint_of(asked))
        return [f"{person} has an account and is on file; published when the control site starts next"]
    path = out or folder / f"{person}.request.json"
    write_whole(path, codec.dumps(codec.plain(asked)))
    return [f"{path}: bring it to the control site, and read it this over the telephone:", f"  {fingerprint_of(asked)}"]


def shown_keys(folder: Path) -> list[str]:
    """A node's keys as people compare them. Of a site whose ledgers have keys of their own: the one that it began with."""
    from isogenic.records.notes import Signer, VerifyingKey

    keys = folder / "keys"
    began = (
        VerifyingKey.parse((keys / "ledger.pub").read_text()) if (keys / "ledger.pub").exists() else Signer.load(keys / "ledger.key").verifying_key
    )
    lines = [f"{'ledger key':12} {began.fingerprint}", f"{'witness key':12} {Signer.load(keys / 'witness.key').verifying_key.fingerprint}"]
    if (folder / "directory.json").exists():
        lines.append(f"{'network':12} {network_print(folder)}")
    return [*lines, certificate_line(folder)] if (folder / "tls" / "node.crt").exists() else lines


def certificate_line(folder: Path) -> str:
    """How long a node's certificate lasts."""
    from isogenic.records.folder import read_file
    from isogenic.records.tls import read_certificate

    return f"{'certificate':12} until {read_certificate(read_file(folder / 'tls' / 'node.crt')).not_valid_after_utc:%Y-%m-%d}"


def warn_of_expiry(folder: Path) -> str:
    """Say it where the node starts, if its certificate ends soon; gives what was said. TLS goes by the machine's own clock."""
    from isogenic.records.tls import expiry_notice

    notice = expiry_notice(folder, now=SystemClock().now().at)
    if notice:
        log.warning("%s", notice)
    return notice


def revoke_key(folder: Path, *, site: str, key: str, reason: str, person: str, password: str) -> list[str]:
    """Revoke the key of a site at a control site that does not run; gives what was noted and what follows."""
    from isogenic.ids import SiteId
    from isogenic.network.control import CONTROL
    from isogenic.network.decisions import directory
    from isogenic.network.home import ControlHome
    from isogenic.network.revoking import revoke_site_key
    from isogenic.records.lock import sole_process
    from isogenic.web.control_api import control_door
    from isogenic.web.revoking import revocation_line

    home = ControlHome.open(folder)
    with sole_process(folder, who=CONTROL, among_others=home.shared):
        node = home.node(clock=SystemClock(), mint=RandomMint(), software=__version__)
        node.start()
        try:
            door = control_door(node, accounts_of(node, folder))

            async def sign_in() -> tuple[Person, Signer]:
                session = await door.sign_in(person, password)
                return directory(node).person(session.person), await door.signer(session, password)

            who, signer = asyncio.run(sign_in())
            said = revocation_line(revoke_site_key(node, who, signer, site=SiteId(site), key=key, reason=reason))
        finally:
            node.stop()
    return [*(f"{origin}: the old key counts for {size} facts" for origin, size in said.counts_for.items()), said.follows]


def prepare_key(folder: Path) -> str:
    """Make the ledger key that a site goes on with when the one in use is revoked; gives its public half."""
    from isogenic.sites.home import SiteHome

    return str(SiteHome.open(folder).keyring.prepare())
