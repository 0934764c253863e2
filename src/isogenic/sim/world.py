"""A whole network on one disk, from a seed: folders, keys, people, plants, documents, a reference model.

Guarantees: the same seed gives the same keys, passwords and model, so a demonstration and
a rehearsal can be replayed. For that reason nothing made here is fit for a real network:
its private keys can be computed by anybody who reads this file. Real keys are generated
where they are kept (`Signer.generate`) and never leave it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from pathlib import Path

import numpy as np

from isogenic.authority.accounts import Cost, new_account, text_of_account
from isogenic.authority.people import Directory, NodeKeys, Person, Role, SiteEntry
from isogenic.clock import Moment
from isogenic.ids import PersonId, SiteId
from isogenic.monitoring.fitting import fit
from isogenic.monitoring.model import Model
from isogenic.monitoring.tables import BatchTable, Variable
from isogenic.network.dossiers import network_keys
from isogenic.plant.documents import load_plant
from isogenic.plant.model import SitePlant
from isogenic.records import codec
from isogenic.records.beacon import beacon_path, first_beacon
from isogenic.records.notes import COSIGNER, LOG, Signer
from isogenic.records.tls import issue_certificates
from isogenic.sim.history import good_batches

__all__ = ["PEOPLE", "SITES", "World", "build_world", "document", "password_of", "reference_model"]

SITES = (SiteId("LEEDS"), SiteId("GHENT"), SiteId("PORTO"))
NETWORK = "aster"
HISTORY = 18  # good batches of each unit that the demonstration's reference model is fitted to
HISTORY_EVERY_H = 0.5  # as often as the demonstration scans: an alarm counts samples, not hours
FALSE_ALARMS = 0.01  # share of good batches with any alarm that the demonstration's model is calibrated to
DEMO_COST = Cost(time=1, memory_kib=8_192, lanes=1)  # a demonstration signs in a dozen times on two cores; production uses accounts.SAFE


@dataclass(frozen=True, slots=True)
class Character:
    """A person of the demonstration."""

    id: PersonId
    printed_name: str
    roles: tuple[Role, ...]
    sites: tuple[SiteId, ...] = ()


PEOPLE = (
    Character(PersonId("ADA"), "Ada Lindqvist", (Role.PROCESS_ENGINEER,)),
    Character(PersonId("BEN"), "Benedict Okafor", (Role.QUALITY,)),
    Character(PersonId("QUI"), "Quillon Marsh", (Role.QUALIFIED_PERSON,)),
    Character(PersonId("RIA"), "Ria Castellan", (Role.REGULATORY,)),
    Character(PersonId("INA"), "Ina Sorel", (Role.INSPECTOR,)),
    Character(PersonId("OSK"), "Oskar Brandt", (Role.ADMINISTRATOR,)),
    Character(PersonId("LEA"), "Lea Hargreave", (Role.OPERATOR,), (SITES[0],)),
    Character(PersonId("GUS"), "Gus De Smet", (Role.OPERATOR,), (SITES[1],)),
    Character(PersonId("PIA"), "Pia Carvalho", (Role.OPERATOR,), (SITES[2],)),
    Character(PersonId("ANA"), "Ana Whitlock", (Role.ANALYST,), SITES),
)


@dataclass(frozen=True, slots=True)
class World:
    """Where everything of a network lies."""

    folder: Path
    seed: int
    network: str
    plants: Mapping[SiteId, SitePlant]
    directory: Directory

    @property
    def control(self) -> Path:
        """The control site's folder."""
        return self.folder / "CONTROL"

    def keys_text(self) -> str:
        """Every public key of the network, as `isogenic verify --keys` reads them."""
        origins = {
            f"{self.network}/{site}/{audience}": str(site) for site, plant in self.plants.items() for audience in ("HOUSE", str(plant.sponsor))
        }
        directed = [f"{self.network}/CONTROL/{site}" for site in self.plants]
        return "".join(key.line() for key in network_keys(self.directory, origins=origins, control_origins=directed))

    def home(self, site: SiteId) -> Path:
        """One site's folder."""
        return self.folder / site


def document(name: str) -> str:
    """One of the documents that come with the product."""
    return (resources.files("isogenic.sim") / "documents" / name).read_text()


def _seeded(seed: int, name: str) -> bytes:
    return sha256(f"isogenic demonstration {seed} {name}".encode()).digest()


def password_of(person: PersonId, seed: int) -> str:
    """A person's password in a demonstration: printed on the screen, so never one of a real network."""
    words = (
        "amber",
        "birch",
        "cedar",
        "delta",
        "ember",
        "fjord",
        "grove",
        "heron",
        "islet",
        "jetty",
        "koala",
        "larch",
        "maple",
        "nylon",
        "otter",
        "pearl",
    )
    digest = _seeded(seed, f"password {person}")
    return "-".join(words[byte % len(words)] for byte in digest[:4])


def signers(seed: int, network: str, node: str) -> tuple[Signer, Signer]:
    """A node's ledger key and witness key."""
    return (
        Signer.from_seed(f"{network}/{node}", _seeded(seed, f"ledger {node}"), algorithm=LOG),
        Signer.from_seed(f"{network}/{node}/witness", _seeded(seed, f"witness {node}"), algorithm=COSIGNER),
    )


def person_signer(seed: int, network: str, person: PersonId) -> Signer:
    """A person's signing key."""
    return Signer.from_seed(f"{network}/people/{person}", _seeded(seed, f"person {person}"), algorithm=LOG)


def directory_of(seed: int, plants: Mapping[SiteId, SitePlant], *, network: str = NETWORK, characters: Sequence[Character] = PEOPLE) -> Directory:
    """Everybody and every node of the demonstration."""

    def keys(node: str) -> NodeKeys:
        ledger, witness = signers(seed, network, node)
        return NodeKeys(str(ledger.verifying_key), str(witness.verifying_key))

    return Directory(
        control=keys("CONTROL"),
        sites={site: SiteEntry(site, plant.title, keys(site), plant.latitude, plant.longitude) for site, plant in plants.items()},
        people={
            each.id: Person(each.id, each.printed_name, each.roles, str(person_signer(seed, network, each.id).verifying_key), each.sites)
            for each in characters
        },
    )


def reference_model(plants: Mapping[SiteId, SitePlant], *, seed: int, count: int = HISTORY) -> Model:
    """The network's reference model: good batches of every unit, what grows with the vessel taken per litre."""
    tables: list[BatchTable] = []
    units = [(plant.site, unit) for plant in plants.values() for unit in plant.units.values()]
    monitored = [signal for signal in units[0][1].cls.signals.values() if signal.monitored]
    for at, (site, unit) in enumerate(units):
        litres = unit.working_volume.to("L").value
        for number, (hours, columns) in enumerate(good_batches(count, seed=seed * 1000 + at, unit=unit, site=site, every_h=HISTORY_EVERY_H)):
            scaled = [columns[signal.name] / litres if signal.extensive else columns[signal.name] for signal in monitored]
            tables.append(BatchTable(f"{unit.id}-{number}", hours, np.column_stack(scaled)))
    variables = [Variable(signal.name, f"{signal.unit}/L" if signal.extensive else signal.unit) for signal in monitored]
    return fit(tables, variables=variables, name="MAB-FB reference", product="MAB-A", false_alarms=FALSE_ALARMS)


def build_world(folder: Path, *, seed: int, now: Moment, control_url: str = "", scan_s: float = 1800.0, network: str = NETWORK) -> World:
    """Write every node's folder. Anything that is there already is left alone where it is ground state."""
    plants = {site: load_plant(document(f"{site.lower()}.plant.yaml"), name=f"{site.lower()}.plant.yaml") for site in SITES}
    directory = directory_of(seed, plants, network=network)
    world = World(folder, seed, network, plants, directory)
    _control_home(world, seed)
    for site in SITES:
        _site_home(world, site, seed=seed, control_url=control_url, scan_s=scan_s)
    for home in (world.control, *map(world.home, SITES)):
        first_beacon(beacon_path(home, ""))
    issue_certificates({"CONTROL": world.control, **{site: world.home(site) for site in SITES}}, network=network, now=now.at)
    return world


def _control_home(world: World, seed: int) -> None:
    home = world.control
    _keys(home, seed, world.network, "CONTROL")
    audiences = {str(site): ["HOUSE", str(plant.sponsor)] for site, plant in world.plants.items()}
    _write(home / "node.json", codec.dumps({"network": world.network, "audiences": audiences}))
    _write(home / "directory.json", codec.dumps(codec.plain(world.directory)))
    for site in SITES:
        _write(home / "documents" / f"{site}.site.yaml", document(f"{site.lower()}.site.yaml").encode())
    _write(home / "documents" / "MAB-A.specification.yaml", document("mab-a.specification.yaml").encode())
    _write(home / "documents" / "MAB-A.model", reference_model(world.plants, seed=seed).to_bytes())
    _accounts(home, seed, world.network, [each for each in PEOPLE if not each.sites])


def _site_home(world: World, site: SiteId, *, seed: int, control_url: str, scan_s: float) -> None:
    home = world.home(site)
    _keys(home, seed, world.network, site)
    _write(
        home / "node.json", codec.dumps({"network": world.network, "site": str(site), "control_url": control_url, "scan_s": scan_s, "ballast_mb": 1})
    )
    _write(home / "trust.json", codec.dumps(codec.plain(world.directory.control)))
    _write(home / "plant.yaml", document(f"{site.lower()}.plant.yaml").encode())
    _accounts(home, seed, world.network, [each for each in PEOPLE if site in each.sites])


def _keys(home: Path, seed: int, network: str, node: str) -> None:
    ledger, witness = signers(seed, network, node)
    ledger.save(home / "keys" / "ledger.key")
    witness.save(home / "keys" / "witness.key")


def _accounts(home: Path, seed: int, network: str, people: list[Character]) -> None:
    for each in people:
        entropy = _Entropy(_seeded(seed, f"entropy {each.id} {home.name}"))
        signer = person_signer(seed, network, each.id)
        account = new_account(each.id, password_of(each.id, seed), signer, entropy=entropy, cost=DEMO_COST)
        _write(home / "accounts" / f"{each.id}.json", text_of_account(account), private=True)


class _Entropy:
    """Bytes from a seed, so that a demonstration's files are the same every time."""

    def __init__(self, seed: bytes) -> None:
        self._state = seed

    def __call__(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            self._state = sha256(self._state).digest()
            data += self._state
        return data[:count]


def _write(path: Path, data: bytes, *, private: bool = False) -> None:
    """`private`: for the node's own user only, like the folder that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if private:
        path.parent.chmod(0o700)
        path.touch(mode=0o600)
        path.chmod(0o600)
    path.write_bytes(data)
