"""The control site's folder: what is in it, and how it is opened.

node.json        network name, ports (settings; ISOGENIC_CONTROL_... overrides)
directory.json   sites, people and their public keys: the network's own root of trust
documents/       SITE.site.yaml, each site's recipe document
keys/ tls/       this node's private keys and certificate
accounts/        sign-in and sealed signing keys of the people who work here, outside all ledgers
ledgers/         HOUSE and one for each site; copies/ of every ledger that a site writes
readings/        reading blocks, by sponsor, site and batch (unless the setting `readings` puts them elsewhere)
blobs/           models and evidence, by digest
disclosures.sqlite  what left this node, when and to whom: a ledger that is never sent
mirror/          a second copy of the house ledger, which no site holds
evidence/        ledger files that did not verify any more, whole
vault/ vault-keys/  personal data, encrypted, and apart from it the keys; only where there is a vault
derived.sqlite   tables for searching: may be deleted, is rebuilt
node.lock        held while the node runs: one process to a folder

With the setting `store`, ledgers and tables are in PostgreSQL instead of ledgers/, copies/ and derived.sqlite, and several
processes may run on this folder, or on folders with the same keys on several machines.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from isogenic.authority.leases import LEASE_H, LEASE_MAX_H
from isogenic.authority.people import Directory
from isogenic.authority.revocation import KeyHistory, history_in
from isogenic.clock import Clock
from isogenic.errors import NotValid
from isogenic.ids import Mint, ProductId, RandomMint, SiteId
from isogenic.monitoring.model import Model
from isogenic.network import decisions
from isogenic.network.control import CONTROL, HOUSE, ControlNode
from isogenic.network.entitling import derive_entitlements
from isogenic.network.lane import Lane
from isogenic.network.processes import Processes, SeatBeacon
from isogenic.network.revoking import check_no_key_comes_back
from isogenic.network.vaulting import open_vault
from isogenic.plant.settings import load_settings
from isogenic.quality.specifications import read_specification
from isogenic.quality.trail import TRAIL
from isogenic.records import codec
from isogenic.records.aside import LedgerFiles
from isogenic.records.beacon import Beacon, beacon_path
from isogenic.records.database import Database
from isogenic.records.derived import FACTS, Derived
from isogenic.records.derived_postgres import PostgresDerived
from isogenic.records.disclosures import DISCLOSURES, Journal
from isogenic.records.facts import Actor
from isogenic.records.folder import NodeSettings, read_file
from isogenic.records.journals import JournalFile
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.migrations import migrate
from isogenic.records.moving import copy_ledger
from isogenic.records.notes import Signer, VerifyingKey
from isogenic.records.postgres import PostgresStore, ledger_sizes
from isogenic.records.shelves import Shelves, files_at
from isogenic.records.sqlite import SqliteStore
from isogenic.records.store import LedgerStore

__all__ = ["ControlHome", "ControlSettings", "publish_documents"]


PICTURES = (".png", ".jpg", ".jpeg")  # of questions; beside the recipes that name them
VIEWS = (FACTS, TRAIL)  # of the derived tables
START_S = 60  # how long a process that starts waits for another that publishes


class ControlSettings(NodeSettings):
    """How the control site runs. Each can be overridden by an environment variable, as in ISOGENIC_CONTROL_SCREEN_PORT=8443."""

    model_config = SettingsConfigDict(env_prefix="ISOGENIC_CONTROL_", extra="forbid")
    network: str
    host: str = "127.0.0.1"
    node_port: int = 0  # where sites call, with mutual TLS; 0: any free port
    screen_port: int = 0  # where people look; 0: any free port
    beacon: str = ""  # the file that remembers how far the ledgers had come; empty: beside the folder. On another disk, if there is one
    mirror: str = ""  # the folder of the second copy of the house ledger; empty: `mirror` in this folder. On another disk, if there is one
    vault_passphrase_file: str = ""  # opens the vault key, where it is in a box
    readings: str = ""  # where reading blocks are kept: a folder, or a URL as s3://bucket/prefix; none: readings/ in the node's folder
    # In how many independent stores what this folder or database holds is kept; from 2 on, sites may prune.
    stores: int = Field(default=1, ge=1, le=9)
    passkey_domain: str = "localhost"  # the WebAuthn RP ID: the name under which people open the screens, or what it ends in
    session_minutes: Annotated[float, Field(gt=0, le=24 * 60, allow_inf_nan=False)] = 15.0  # without a sign of life, a session is over
    password_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 365.0  # after which a password is renewed: 21 CFR 11.300(b)
    lease_h: Annotated[float, Field(gt=0, le=LEASE_MAX_H, allow_inf_nan=False)] = LEASE_H  # of a site's lease
    audiences: dict[str, list[str]]  # which ledgers each site writes: the house and its sponsors
    store: SecretStr = SecretStr("")  # where ledgers are kept: the folder, or postgresql://...; it may name a password
    nats: SecretStr = SecretStr("")  # where several processes tell one another live values: nats://...


def _text(path: Path) -> str:
    try:
        return read_file(path).decode()
    except UnicodeDecodeError as trouble:
        raise NotValid(f"cannot read {path.name}", why=f"it is not UTF-8: {trouble}") from trouble


@dataclass(frozen=True, slots=True)
class ControlHome:
    """An opened folder."""

    folder: Path
    settings: ControlSettings
    directory: Directory
    signer: Signer
    witness: Signer
    documents: Mapping[SiteId, str]

    @classmethod
    def open(cls, folder: Path) -> ControlHome:
        """Read the folder; every missing or malformed file is named."""
        try:
            settings = ControlSettings(**codec.loads(read_file(folder / "node.json"), what="node.json"))
        except (ValidationError, TypeError) as trouble:
            raise NotValid("cannot read node.json", why=str(trouble)[:300]) from trouble
        documents = {SiteId(path.name.partition(".")[0]): _text(path) for path in sorted((folder / "documents").glob("*.site.yaml"))}
        return cls(
            folder,
            settings,
            codec.read(Directory, codec.loads(read_file(folder / "directory.json"), what="directory.json"), what="directory.json"),
            Signer.load(folder / "keys" / "ledger.key"),
            Signer.load(folder / "keys" / "witness.key"),
            documents,
        )

    @property
    def mirror_path(self) -> Path:
        """The second copy of the house ledger, which no site holds."""
        return Path(self.settings.mirror or self.folder / "mirror") / "HOUSE.sqlite"

    def _ledger(self, audience: str, files: LedgerFiles, database: Database | None) -> Ledger:
        origin = f"{self.settings.network}/{CONTROL}/{audience}"
        if database is not None:
            return Ledger(PostgresStore(database, origin=origin), signer=self.signer)
        return files.ledger(self.folder / "ledgers" / f"{audience}.sqlite", origin=origin, signer=self.signer)

    def _copies(self, history: KeyHistory, files: LedgerFiles, database: Database | None) -> dict[str, tuple[SiteId, Copy]]:
        """The copies of what each site writes, by origin."""
        copies: dict[str, tuple[SiteId, Copy]] = {}
        for site, entry in self.directory.sites.items():
            for audience in self.settings.audiences.get(site, [HOUSE]):
                origin = f"{self.settings.network}/{site}/{audience}"
                path, writer = self.folder / "copies" / f"{site}.{audience}.sqlite", history.of(origin, site, first=entry.keys.ledger)
                copies[origin] = (
                    site,
                    files.copy(path, origin=origin, writer=writer, witness=self.witness)
                    if database is None
                    else Copy(PostgresStore(database, origin=origin), writer=writer, witness=self.witness),
                )
        return copies

    def readable(self) -> tuple[dict[str, tuple[SiteId, Copy]], dict[SiteId, Ledger]]:
        """The copies of what the sites write, and the ledger written for each site: for reading, beside a node that may run."""
        files, database = LedgerFiles(), self.database()
        copies = self._copies(history_in(self._ledger(HOUSE, files, database)), files, database)
        return copies, {site: self._ledger(str(site), files, database) for site in self.directory.sites}

    def house(self) -> Ledger:
        """The control site's own ledger: for reading, beside a node that may run."""
        return self._ledger(HOUSE, LedgerFiles(), self.database())

    def node(self, *, clock: Clock, mint: Mint, software: str) -> ControlNode:
        """The control site on this folder, not yet started."""
        folder, files = self.folder, LedgerFiles()
        shelves, root = files_at(self.settings.readings or str(folder / "readings"))
        database = self.database()
        if database is not None:
            migrate(database)
        processes = None if database is None else Processes(database)
        beacon = beacon_path(folder, self.settings.beacon)
        house = self._ledger(HOUSE, files, database)
        history = history_in(house)  # which key of a site counts where: before its copies are opened
        copies = self._copies(history, files, database)
        node = ControlNode(
            ledgers={
                HOUSE: house,
                **{str(site): self._ledger(str(site), files, database) for site in self.directory.sites},
            },
            copies=copies,
            witnesses={site: VerifyingKey.parse(entry.keys.witness) for site, entry in self.directory.sites.items()},
            blobs=Shelves(folder / "blobs", readings=root, reading_files=shelves),
            derived=Derived(folder / "derived.sqlite", views=VIEWS) if database is None else PostgresDerived(database.url, views=VIEWS),
            clock=clock,
            mint=mint,
            software=software,
            site_documents=self.documents,
            journal=self._journal(database, processes.seat if processes else 1, clock),
            files=files if database is None else None,  # a database server heals itself
            beacon=Beacon(beacon) if processes is None else SeatBeacon(beacon, processes.seat),
            mirror=files.copy(self.mirror_path, origin=house.origin, writer=self.signer.verifying_key, witness=self.witness)
            if database is None
            else None,
            processes=processes,
            stores=self.settings.stores,
            lease_h=self.settings.lease_h,
        )
        kept = self.settings.vault_passphrase_file
        passphrase = read_file(Path(kept)).decode().strip() if kept else ""
        node.keeper = open_vault(node, folder, entropy=secrets.token_bytes, clock=clock, mint=RandomMint(), passphrase=passphrase)
        return node

    def lane(self, node: ControlNode) -> Lane | None:
        """The lane on which the processes tell one another live values; None where no server is named."""
        url = self.settings.nats.get_secret_value()
        if not url:
            return None
        lane = Lane(url, network=self.settings.network, hear=node.desk.hear_from_another)
        node.desk.tell_others = lane.tell
        return lane

    def journal_of(self, seat: int) -> str:
        """The origin of the journal of what leaves: each process writes its own, by its seat."""
        return f"{self.settings.network}/{CONTROL}/{DISCLOSURES}" + (f"-{seat}" if seat > 1 else "")

    def journal_file(self) -> JournalFile:
        """The journal of what leaves, where the folder keeps it."""
        return JournalFile(self.folder, origin=self.journal_of(1), first=self.signer.verifying_key, signer_for=lambda path, keys: self.signer)

    def _journal(self, database: Database | None, seat: int, clock: Clock) -> Journal:
        actor = Actor.node(CONTROL)
        if database is not None:
            return Journal(Ledger(PostgresStore(database, origin=self.journal_of(seat)), signer=self.signer), actor=actor, clock=clock)
        file = self.journal_file()
        return Journal(file.open_or_anew(), actor=actor, clock=clock, file=file)

    def journals(self) -> list[Ledger]:
        """Every journal of what left, read over a connection of its own; none where none was begun."""
        database = self.database()
        if database is None:
            file = self.journal_file()
            return [file.open()] if file.path.exists() else []
        begun = ledger_sizes(database)
        first = self.journal_of(1)
        origins = [origin for origin in sorted(begun) if origin == first or origin.startswith((f"{first}-", f"{first}."))]
        return [Ledger(PostgresStore(database, origin=origin), signer=self.signer) for origin in origins]

    def ledger_files(self, folder: Path | None = None) -> dict[str, Path]:
        """Every ledger by its origin, and where its file is, or would be, in this folder or another."""
        network, folder = self.settings.network, folder or self.folder
        found = {f"{network}/{CONTROL}/{audience}": folder / "ledgers" / f"{audience}.sqlite" for audience in (HOUSE, *self.directory.sites)}
        for site in self.directory.sites:
            for audience in self.settings.audiences.get(site, [HOUSE]):
                found[f"{network}/{site}/{audience}"] = folder / "copies" / f"{site}.{audience}.sqlite"
        return found

    def load(self, database: Database) -> int:
        """Bring the ledgers of the folder's files into the database; gives how many facts came. The files stay as they are."""
        came = 0
        files = {**self.ledger_files(), self.journal_file().origin: self.folder / "disclosures.sqlite"}
        for origin, path in files.items():
            if path.exists():
                came += _copied(SqliteStore(path, origin=origin), PostgresStore(database, origin=origin))
        return came

    def unload(self, database: Database, to: Path) -> int:
        """Write the ledgers of the database into files of another folder, for an inspector, a backup, or the way back."""
        begun, came = ledger_sizes(database), 0
        files = {**self.ledger_files(to), self.journal_of(1): to / "disclosures.sqlite"}
        for origin, path in files.items():
            if origin in begun:
                came += _copied(PostgresStore(database, origin=origin), SqliteStore(path, origin=origin))
        return came

    @property
    def shared(self) -> bool:
        """Whether the ledgers are in a database that several processes use."""
        return bool(self.settings.store.get_secret_value())

    def database(self) -> Database | None:
        """The database of the ledgers; None where the folder keeps them."""
        return Database(self.settings.store.get_secret_value()) if self.shared else None


def _copied(source: LedgerStore, target: LedgerStore) -> int:
    try:
        return copy_ledger(source, target)
    finally:
        for each in (source, target):
            if not each.shared:
                each.close()


def _store(database: Database | None, path: Path, origin: str) -> LedgerStore:
    return SqliteStore(path, origin=origin) if database is None else PostgresStore(database, origin=origin)


def publish_documents(node: ControlNode, home: ControlHome) -> None:
    """Publish what the folder holds and no ledger says yet: the directory, specifications, reference models.

    Nothing while the house waits for a person. A site whose ledger waits gets it once it has answered.
    """
    if node.ledgers[HOUSE].origin in node.returning.waits:
        return
    with node.deciding(wait_s=START_S):  # several processes may start at once, and the first publishes all there is
        node.publishing.complete()  # what the node's end cut off
        _publish_documents(node, home)


def _publish_documents(node: ControlNode, home: ControlHome) -> None:
    before = node.state.published
    if before is None or (before != home.directory and before.version <= home.directory.version):  # a revocation goes before the file
        check_no_key_comes_back(node, home.directory)
        decisions.publish_directory(node, home.directory)
    derive_entitlements(node, home.directory)  # a site may keep a ledger more than before
    for path in sorted((home.folder / "documents").glob("*.specification.yaml")):
        text = _text(path)
        specification = read_specification(text)
        known = node.state.specifications.get(specification.product)
        if known is None or known.version < specification.version:
            decisions.publish_specification(node, text)
    for path in sorted((home.folder / "documents").iterdir()):
        if path.suffix in PICTURES:
            decisions.submit_picture(node, None, read_file(path))
    for path in sorted((home.folder / "documents").glob("*.settings.yaml")):
        text = _text(path)
        settings = load_settings(text, name=path.name)
        released = node.state.released_settings.get(settings.site)
        if released is None or released.version < settings.version:
            decisions.release_settings(node, text)
    for path in sorted((home.folder / "documents").glob("*.model")):
        data, product = read_file(path), ProductId(path.name.partition(".")[0])
        published = node.state.models.get(product)
        if node.state.monitors.in_force(product) is not None:
            continue  # two people released one: a file in the folder takes nobody's place
        if published is None or published.digest != Model.from_bytes(data).digest:
            decisions.publish_model(node, data, product=product)
