"""The control site's side of a real network: its authority, its own keys, the facilities and people that it admits.

Guarantees: a fresh network's private keys are made here, for this user only, and nothing that is there is overwritten; a facility
is admitted only where its request's fingerprint is the one that was read over the telephone; a site that is on file is not
given other keys: only its certificate is renewed. The directory's version rises with each change.
Leaves to others: what a request says (authority.admission), publishing the directory (the node, at its next start).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from isogenic.authority.accounts import Entropy, new_account, text_of_account
from isogenic.authority.admission import ADMISSION, PERSON, Admission, PersonRequest, SiteRequest, check_request, fingerprint_of, same_fingerprint
from isogenic.authority.people import Directory, NodeKeys, Person, Role, SiteEntry
from isogenic.errors import NotAllowed, NotTrusted, NotValid
from isogenic.ids import PersonId, SiteId
from isogenic.network.control import CONTROL, HOUSE
from isogenic.records import codec
from isogenic.records.beacon import beacon_path, first_beacon
from isogenic.records.durable import make_folder, write_whole
from isogenic.records.folder import read_file
from isogenic.records.notes import COSIGNER, LOG, Signer
from isogenic.records.tls import NODE_DAYS, Authority, install_certificate, node_key, pem, requested_key

__all__ = ["admit_person", "admit_site", "enrol", "new_network", "renew_control"]

AUTHORITY = "AUTHORITY"

HTTPS_PORT = 443


def new_network(network: str, folder: Path, *, hosts: tuple[str, ...], url: str, now: datetime, passphrase: str = "") -> None:
    """A fresh network in a folder: AUTHORITY, to be taken off this machine, and CONTROL, the control site's folder."""
    home = folder / CONTROL
    for path in (folder / AUTHORITY / "authority.key", home / "keys" / "ledger.key", home / "node.json"):
        if path.exists():
            raise NotAllowed(f"cannot make a network in {folder.name}", why=f"{path.name} is there already", possible="choose another folder")
    make_folder(home / "keys")
    (home / "keys").chmod(0o700)
    ledger = Signer.generate(f"{network}/{CONTROL}", algorithm=LOG)
    witness = Signer.generate(f"{network}/{CONTROL}/witness", algorithm=COSIGNER)
    ledger.save(home / "keys" / "ledger.key")
    witness.save(home / "keys" / "witness.key")
    authority = Authority.new(network, now=now)
    authority.save(folder / AUTHORITY, passphrase=passphrase)
    _issue_control(authority, home, hosts=hosts, now=now)
    write_whole(home / "tls" / "hosts.json", codec.dumps({"hosts": list(hosts), "url": url}))
    make_folder(home / "documents")
    keep_directory(home, Directory(control=NodeKeys(str(ledger.verifying_key), str(witness.verifying_key))))
    first_beacon(beacon_path(home, ""))
    port = urlsplit(url).port or HTTPS_PORT  # where sites are told to call is where it listens
    write_whole(home / "node.json", codec.dumps({"network": network, "audiences": {}, "node_port": port}))  # last: with it the folder can be run


def _issue_control(authority: Authority, home: Path, *, hosts: tuple[str, ...], now: datetime) -> None:
    if not hosts:
        raise NotValid("cannot issue the control site's certificate", why="it names no host under which sites call it", possible="--host")
    issued = authority.issue(CONTROL, node_key(home).public_key(), now=now, until=now + timedelta(days=NODE_DAYS), hosts=hosts)
    install_certificate(home, pem(issued), pem(authority.certificate))


def renew_control(authority: Authority, home: Path, *, now: datetime) -> None:
    """A fresh certificate for the control site's key, under the same names."""
    _issue_control(authority, home, hosts=_hosts(home).hosts, now=now)


@dataclass(frozen=True, slots=True)
class _Hosts:
    hosts: tuple[str, ...]
    url: str


def _hosts(home: Path) -> _Hosts:
    return codec.read(_Hosts, codec.loads(read_file(home / "tls" / "hosts.json"), what="hosts.json"), what="hosts.json")


def _directory(home: Path) -> Directory:
    return codec.read(Directory, codec.loads(read_file(home / "directory.json"), what="directory.json"), what="directory.json")


def keep_directory(home: Path, directory: Directory) -> None:
    """Write the directory; the node publishes it when it starts."""
    write_whole(home / "directory.json", codec.dumps(codec.plain(directory)))


def _network(home: Path) -> tuple[str, dict[str, object]]:
    said = codec.loads(read_file(home / "node.json"), what="node.json")
    if not isinstance(said, dict) or not isinstance(said.get("network"), str):
        raise NotValid("cannot read node.json", why="it names no network")
    return said["network"], said


def _compared(request: SiteRequest | PersonRequest, fingerprint: str) -> None:
    found = fingerprint_of(request)
    if not same_fingerprint(fingerprint, found):
        raise NotTrusted(
            "request refused",
            why=f"its fingerprint is {found}",
            possible="ask the site, by a telephone number that you had before, to read out its own",
        )


def admit_site(authority: Authority, home: Path, request: SiteRequest, *, fingerprint: str, now: datetime) -> Admission:
    """Admit a facility, or renew its certificate: what it takes home."""
    network, settings = _network(home)
    directory = _directory(home)
    known = directory.sites.get(request.site)
    check_request(request, network=network, renewing=known is not None)
    _compared(request, fingerprint)
    public = requested_key(request.csr.encode(), node=request.site)
    if known is not None and known.keys.witness != request.witness:
        raise NotAllowed(
            f"cannot admit {request.site} again",
            why="it is on file with other keys",
            possible="a stolen key is revoked by quality; a new facility takes a new id",
        )
    if str(request.site) in (str(CONTROL), HOUSE):
        raise NotValid(f"cannot admit {request.site}", why="that name is the network's own")
    if known is None:
        entry = SiteEntry(request.site, request.title, NodeKeys(request.ledger, request.witness), request.latitude, request.longitude)
        audiences = settings.get("audiences")
        settings["audiences"] = {**(audiences if isinstance(audiences, dict) else {}), str(request.site): [HOUSE, *map(str, request.sponsors)]}
        changed = replace(directory, sites={**directory.sites, request.site: entry}, version=directory.version + 1)
        write_whole(home / "node.json", codec.dumps(settings))
        keep_directory(home, changed)  # last: a site on file has its ledgers expected
    issued = authority.issue(request.site, public, now=now, until=now + timedelta(days=NODE_DAYS))
    return Admission(ADMISSION, network, request.site, directory.control, _hosts(home).url, pem(issued).decode(), pem(authority.certificate).decode())


# ---- people ----


def enrol(
    folder: Path, person: PersonId, password: str, *, printed_name: str, roles: tuple[Role, ...], site: SiteId | None, entropy: Entropy, now: datetime
) -> PersonRequest:
    """Make an account in a node's folder, and say whom to put on file. The private key stays in the account, sealed by the password."""
    network, _ = _network(folder)
    path = folder / "accounts" / f"{person}.json"
    if path.exists():
        raise NotAllowed(
            f"cannot enrol {person}", why="there is an account of that id; ids are never reused (21 CFR 11.100(a))", possible="choose another id"
        )
    signer = Signer.generate(f"{network}/people/{person}", algorithm=LOG)
    made = Person(person, printed_name, roles, str(signer.verifying_key), (site,) if site else ())  # refused here, before anything is written
    account = new_account(person, password, signer, entropy=entropy, at=now)  # from here on it ages (21 CFR 11.300(b))
    make_folder(path.parent)
    path.parent.chmod(0o700)
    write_whole(path, text_of_account(account), mode=0o600)
    return PersonRequest(PERSON, network, site or SiteId(CONTROL), person, made.printed_name, roles, made.key)


def admit_person(home: Path, request: PersonRequest, *, fingerprint: str) -> None:
    """Put somebody on file, for the facility where they have their account."""
    network, _ = _network(home)
    _compared(request, fingerprint)
    directory = _directory(home)
    if request.network != network or request.person in directory.people:
        raise NotAllowed(f"cannot put {request.person} on file", why="they are on file already, or asked another network")
    here = str(request.site) == str(CONTROL)
    if not here:
        directory.site(request.site)
    person = Person(request.person, request.printed_name, request.roles, request.key, () if here else (request.site,))
    keep_directory(home, replace(directory, people={**directory.people, request.person: person}, version=directory.version + 1))
