"""A site's folder: what is in it, and how it is opened.

node.json        network, site, control URL, scan interval (settings; ISOGENIC_... overrides)
trust.json       the control site's public keys: the root of all trust at this site
plant.yaml       the facility; endpoints.json the addresses of its modules
keys/ tls/       this node's private keys and certificate
accounts/        sign-in and sealed signing keys of the people who work here, outside all ledgers
ledgers/         HOUSE and one for each sponsor, and the copy of the control ledger
blobs/           reading blocks and models by digest
hot.sqlite       readings not yet sealed
derived.sqlite   tables to search the audit trail: made when somebody asks; may be deleted, is rebuilt
disclosures.sqlite  what left this node, when and to whom: a ledger that is never sent
heads.json       the newest heads seen of the control site's house and of other sites' ledgers
ballast          room that is given up when the disk is full
evidence/        ledger files that did not verify any more, whole
node.lock        held while the node runs: one process to a folder (equipment.lock: simulated equipment)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import SettingsConfigDict

from isogenic.authority.people import NodeKeys
from isogenic.authority.revocation import KeyHistory, history_in
from isogenic.clock import Clock
from isogenic.errors import NotReachable, NotTrusted, NotValid
from isogenic.ids import Mint, ModuleId, SiteId
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.model import SitePlant
from isogenic.records import codec
from isogenic.records.aside import LedgerFiles
from isogenic.records.beacon import Beacon, beacon_path
from isogenic.records.blobs import BlobStore
from isogenic.records.disclosures import DISCLOSURES, Journal
from isogenic.records.facts import Actor
from isogenic.records.folder import NodeSettings, read_file
from isogenic.records.journals import JournalFile
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.link import Link
from isogenic.records.notes import Signer, VerifyingKey
from isogenic.records.sqlite import SqliteStore
from isogenic.records.witness import HeadBook
from isogenic.sites.hot import HotBuffer
from isogenic.sites.keyring import Keyring
from isogenic.sites.node import Equipment, SiteNode
from isogenic.sites.readings import ReadingsPlan
from isogenic.sites.room import DiskBallast, Room
from isogenic.sites.state import SiteState

__all__ = ["SiteHome", "SiteSettings", "control_origin", "site_origin"]

HOUSE = "HOUSE"
MIB = 1024 * 1024
CONTROL = "CONTROL"


class SiteSettings(NodeSettings):
    """How this node runs. Each can be overridden by an environment variable, as in ISOGENIC_SCAN_S=5."""

    model_config = SettingsConfigDict(env_prefix="ISOGENIC_", extra="forbid")
    network: str
    site: str
    control_url: str
    scan_s: float = Field(10.0, gt=0, allow_inf_nan=False)  # seconds of process time between scans
    module_timeout_s: float = Field(2.0, gt=0, allow_inf_nan=False)  # wall seconds after which a silent module's readings are bad
    beacon: str = ""  # the file that remembers how far the ledgers had come; empty: beside the folder. On another disk, if there is one
    ballast_mb: int = Field(16, ge=0, le=4096)  # MiB given up when the disk is full, and the least that must be free for new work; 0: none
    key_rotate_h: float = Field(24.0, ge=0, allow_inf_nan=False)  # hours after which a ledger gets a fresh key; 0: never by time
    key_rotate_facts: int = Field(10_000, ge=0)  # facts after which it gets one sooner; 0: never by number
    keep_days: float = Field(365.0, ge=0, allow_inf_nan=False)  # of reading blocks, whatever a watermark allows
    heartbeat_s: float = Field(1.0, gt=0, le=10.0, allow_inf_nan=False)  # wall seconds; well below the 15 s after which silence is noted
    block_samples: int = Field(1_000_000, ge=1_000, le=5_000_000)  # readings in a block, half an hour of 50 signals at 10 Hz; 45 MB at worst
    block_s: float = Field(86_400.0, gt=0, allow_inf_nan=False)  # process time after which a block is sealed, however small it is
    readings_sync_s: float = Field(1.0, ge=0, le=3_600.0, allow_inf_nan=False)  # process time of readings that a power cut may take
    idle_s: float = Field(60.0, ge=0, allow_inf_nan=False)  # process time between readings kept of a unit without a batch; 0: none are
    screen_host: str = "127.0.0.1"  # where the site's own page and API listen; beyond this machine over TLS only
    passkey_domain: str = "localhost"  # the WebAuthn RP ID: the name under which people open the screens, or what it ends in
    session_minutes: float = Field(15.0, gt=0, le=24 * 60, allow_inf_nan=False)  # without a sign of life, a session is over
    password_days: float = Field(365.0, gt=0, allow_inf_nan=False)  # after which a password is renewed: 21 CFR 11.300(b)

    def readings_plan(self) -> ReadingsPlan:
        """How readings are kept."""
        return ReadingsPlan(self.block_samples, self.block_s, self.readings_sync_s, self.idle_s, self.scan_s)


def site_origin(network: str, site: str, audience: str) -> str:
    """The origin of a ledger that a site writes: for its house, or for one sponsor."""
    return f"{network}/{site}/{audience}"


def control_origin(network: str, site: str) -> str:
    """The origin of the ledger that the control site writes for one site."""
    return f"{network}/{CONTROL}/{site}"


@dataclass(frozen=True, slots=True)
class SiteHome:
    """An opened folder."""

    folder: Path
    settings: SiteSettings
    plant: SitePlant
    trust: NodeKeys
    keyring: Keyring
    witness: Signer

    @classmethod
    def open(cls, folder: Path) -> SiteHome:
        """Read the folder; every missing or malformed file is named."""
        try:
            settings = SiteSettings(**codec.loads(read_file(folder / "node.json"), what="node.json"))
        except (ValidationError, TypeError) as trouble:
            raise NotValid("cannot read node.json", why=str(trouble)[:300]) from trouble
        plant = load_plant(read_file(folder / "plant.yaml"), name="plant.yaml")
        if plant.site != SiteId(settings.site):
            raise NotValid("cannot open the site", why=f"plant.yaml describes {plant.site}, node.json names {settings.site}")
        if (folder / "endpoints.json").exists():
            endpoints = codec.read(dict[str, str], codec.loads(read_file(folder / "endpoints.json"), what="endpoints.json"), what="endpoints.json")
            plant = with_endpoints(plant, {ModuleId(module): address for module, address in endpoints.items()})
        return cls(
            folder,
            settings,
            plant,
            codec.read(NodeKeys, codec.loads(read_file(folder / "trust.json"), what="trust.json"), what="trust.json"),
            Keyring(folder / "keys", (HOUSE, *map(str, plant.sponsors), DISCLOSURES)),
            Signer.load(folder / "keys" / "witness.key"),
        )

    def beacon(self) -> Beacon:
        """The file outside this folder that remembers how far its ledgers had come."""
        return Beacon(beacon_path(self.folder, self.settings.beacon))

    def ledgers(self, files: LedgerFiles | None = None) -> dict[str, Ledger]:
        """The ledgers written here: the house and each sponsor, by audience."""
        history = self._history()
        return {audience: self._ledger(audience, history, files) for audience in (HOUSE, *map(str, self.plant.sponsors))}

    def ledger(self, audience: str, files: LedgerFiles) -> Ledger:
        """One of the ledgers written here."""
        return self._ledger(audience, self._history(), files)

    def _history(self) -> KeyHistory:
        """What the control site has said of our keys, as far as its ledger can be read."""
        try:
            control = self.control()
        except (NotTrusted, NotReachable):  # damaged: it is healed from its writer, and says it again then
            return KeyHistory()
        try:
            return history_in(control)
        finally:
            control.store.close()

    def _ledger(self, audience: str, history: KeyHistory, files: LedgerFiles | None) -> Ledger:
        origin, path = site_origin(self.settings.network, self.settings.site, audience), self.folder / "ledgers" / f"{audience}.sqlite"
        keys = history.of(origin, SiteId(self.settings.site), first=str(self.keyring.first))
        signer = self.keyring.signer_for(audience, path, keys)
        if files is not None:
            return files.ledger(path, origin=origin, signer=signer, keys=keys)
        return Ledger(SqliteStore(path, origin=origin), signer=signer, keys=keys)

    def journal_file(self) -> JournalFile:
        """Where that is."""
        origin = site_origin(self.settings.network, self.settings.site, DISCLOSURES)
        return JournalFile(self.folder, origin=origin, first=self.keyring.first, signer_for=partial(self.keyring.signer_for, DISCLOSURES))

    def journal(self, clock: Clock) -> Journal:
        """What left this node, listed before it leaves."""
        file = self.journal_file()
        return Journal(file.open_or_anew(), actor=Actor.node(self.settings.site), clock=clock, file=file)

    def control(self, files: LedgerFiles | None = None) -> Copy:
        """The copy of the ledger that the control site writes for this site."""
        origin, path = control_origin(self.settings.network, self.settings.site), self.folder / "ledgers" / f"{CONTROL}.sqlite"
        writer = VerifyingKey.parse(self.trust.ledger)
        if files is not None:
            return files.copy(path, origin=origin, writer=writer, witness=self.witness)
        return Copy(SqliteStore(path, origin=origin), writer=writer, witness=self.witness)

    def node(self, *, clock: Clock, mint: Mint, equipment: Equipment, link: Link, software: str) -> SiteNode:
        """The site on this folder, not yet started."""
        self.keyring.sweep()
        files = LedgerFiles()
        return SiteNode(
            SiteState(self.plant),
            ledgers=self.ledgers(files),
            control=self.control(files),
            witness=VerifyingKey.parse(self.trust.witness),
            blobs=BlobStore(self.folder / "blobs"),
            hot=HotBuffer(self.folder / "hot.sqlite"),
            clock=clock,
            mint=mint,
            equipment=equipment,
            link=link,
            software=software,
            readings=self.settings.readings_plan(),
            journal=self.journal(clock),
            files=files,
            beacon=self.beacon(),
            heads=HeadBook(self.folder / "heads.json"),
            room=Room(DiskBallast(self.folder / "ballast", size=self.settings.ballast_mb * MIB), size=self.settings.ballast_mb * MIB)
            if self.settings.ballast_mb
            else None,
            keyring=self.keyring,
            key_rotate_h=self.settings.key_rotate_h,
            key_rotate_facts=self.settings.key_rotate_facts,
        )
