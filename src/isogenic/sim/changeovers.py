"""How a network that does not exist keeps its stock and clears its lines: the same decisions that people take, one after another.

Guarantees: each function does the next missing step, and says when nothing is missing; so it can be called again after a fault. What
stands against a step is a refusal, as for anybody.
Leaves to others: who notes it and when (rehearsal, story), carrying facts to the sites.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from isogenic.authority.people import Role
from isogenic.authority.rules import Act
from isogenic.authority.signatures import MEANINGS
from isogenic.ids import LotId, Mint, PersonId, ReceiptId, RecipeId, UnitId
from isogenic.materials.assemblies import Position
from isogenic.materials.changeover import StepKind, read_matrix
from isogenic.materials.clearance import Line, LineState, LineStepDone, state_of, steps_of
from isogenic.materials.labels import LabelKind, label_text
from isogenic.materials.receipts import MaterialReceived, ReceiptCommand, ReceiptState, Sterility, piece_key
from isogenic.network import decisions
from isogenic.network import materials as network_materials
from isogenic.network.control import ControlNode
from isogenic.records.facts import Actor, Payload
from isogenic.records.notes import Signer
from isogenic.sim.world import document
from isogenic.sites import materials, requests
from isogenic.sites.state import SiteState
from isogenic.units import Quantity

__all__ = [
    "CHANGEOVER",
    "SUPPLIER",
    "Crew",
    "Step",
    "_bags_delivered",
    "_material_delivered",
    "next_line_step",
    "next_matrix_step",
    "next_stock_step",
]

CHANGEOVER = document("mab-a.changeover.yaml")
SUPPLIER = "Alder Single Use"
BAGS = 20  # of a delivery
GOOD_FOR = timedelta(days=300)
PLANNED = timedelta(days=20)  # no batch of these networks lasts longer
CERTIFICATE = sha256(b"certificate of a supplier that does not exist").hexdigest()
Key = Callable[[PersonId], Signer]
Step = tuple[list[Payload], Actor]


def next_matrix_step(node: ControlNode, key: Key, *, author: PersonId, approver: PersonId, text: str = CHANGEOVER) -> bool:
    """The next missing step of a changeover matrix's way to the sites, at the control site; false where nothing is missing."""
    matrix, stocks, people = read_matrix(text), node.state.stocks, decisions.directory(node)
    version = (matrix.name, matrix.version)
    signed = {each.signature.meaning for each in stocks.approvals.get(version, ())}
    if version not in stocks.submitted:
        network_materials.submit_changeover(node, people.person(author), text)
        return True
    for person, act in ((author, Act.SIGN_RECIPE_AS_AUTHOR), (approver, Act.APPROVE_RECIPE)):
        if MEANINGS[act] not in signed:
            network_materials.approve_changeover(node, people.person(person), key(person), name=matrix.name, version=matrix.version, act=act)
            return True
    if stocks.published is None or (stocks.published.name, stocks.published.version) != version:
        network_materials.publish_changeover(node, people.person(approver), name=matrix.name, version=matrix.version)
        return True
    return False


@dataclass(frozen=True, slots=True)
class Crew:
    """Who makes lines ready at a site: an operator, a second pair of eyes, and quality with a key."""

    operator: PersonId
    second: PersonId
    quality: PersonId
    key: Key
    roles: tuple[Role, Role, Role] = (Role.OPERATOR, Role.ANALYST, Role.QUALITY)

    def actor(self, person: PersonId) -> Actor:
        """As whom they are noted."""
        return Actor(str(person), str(dict(zip((self.operator, self.second, self.quality), self.roles, strict=True))[person]), "password")


def _bags_delivered(item: str, serials: tuple[str, ...]) -> materials.Delivery:
    """Vessel bags, each with its number."""
    sterility = Sterility("gamma", "ISO 11137-2 VDmax25, SAL 1e-6", "IRR-881", CERTIFICATE)
    return materials.Delivery("Vessel bag", SUPPLIER, Quantity(float(len(serials)), "1"), CERTIFICATE, serials=serials, sterility=sterility)


def _material_delivered(title: str) -> materials.Delivery:
    """A lot of something without serial numbers."""
    return materials.Delivery(title, "Birch Media", Quantity(500.0, "L"), CERTIFICATE)


def next_stock_step(state: SiteState, crew: Crew, *, lots: Collection[str], mint: Mint, now: datetime) -> Step | None:
    """What is missing in stock, received or released: these lots of materials, and a bag for each position. None where nothing is."""
    if state.changeover is None:
        return None
    for received in state.stock.receipts.values():
        if state.stock.state(received.receipt, now=now) is ReceiptState.QUARANTINE:
            return _released(state, crew, received.receipt, now=now)
    person = requests.person_here(state, crew.operator)
    for lot in lots:
        if not any(each.lot == lot for each in _usable(state, now)):
            scanned = label_text(LabelKind.MATERIAL, lot, item="MATERIAL", expires=now + GOOD_FOR)
            return materials.receive(state, person, _material_delivered("Material"), scanned=scanned, mint=mint), crew.actor(person.id)
    for position in _positions(state):
        if next(_bags(state, position, now), None) is None:
            number = len(state.stock.receipts) + 1
            serials = tuple(f"{state.site}-{number}-{piece}" for piece in range(1, BAGS + 1))
            scanned = label_text(LabelKind.MATERIAL, f"B-{number}", item=position.items[0], expires=now + GOOD_FOR)
            return materials.receive(state, person, _bags_delivered(position.items[0], serials), scanned=scanned, mint=mint), crew.actor(person.id)
    return None


def next_line_step(state: SiteState, crew: Crew, *, unit: UnitId, lot: LotId, recipe: RecipeId, version: int, now: datetime) -> Step | None:
    """What is missing before a batch may begin on a unit: assignment, assemblies, and a checklist by two people. None where nothing is."""
    asked, line, matrix = state.plant.unit(unit), state.lines.get(unit, Line()), materials.matrix_of(state)
    if matrix is None or line.taken_by is not None:
        return None
    operator = requests.person_here(state, crew.operator)
    installed = materials.is_installed(state, asked, now=now)
    cell = materials.cell_of(state, asked)
    steps = steps_of(line, cell, installed=installed, now=now) if cell is not None else ()
    lapsed = state_of(line, matrix, equipment=asked.cls.name, installed=installed, now=now) is not LineState.CLEARED and all(
        each.done for each in steps
    )
    if line.following is None or line.following.lot != lot or lapsed:
        said = materials.assign_line(state, operator, unit=unit, recipe=recipe, version=version, lot=lot, until=now + PLANNED, now=now)
        return said, crew.actor(operator.id)
    for position in materials.positions_of(state, asked):
        if position.name not in state.stock.installed(unit, lot):
            return _installed(state, crew, unit, position, now=now)
    for each in steps:
        if not each.done and each.step.kind is StepKind.CLEAR:
            by = next(person for person in (crew.operator, crew.second) if person not in each.people)
            done = LineStepDone(unit, line.change, each.step.name, by, each.step.checklist)
            return materials.do_step(state, requests.person_here(state, by), done), crew.actor(by)
    return None


def _usable(state: SiteState, now: datetime) -> Iterator[MaterialReceived]:
    return (each for each in state.stock.receipts.values() if state.stock.state(each.receipt, now=now) is ReceiptState.RELEASED)


def _positions(state: SiteState) -> Iterator[Position]:
    return (position for unit in state.plant.units.values() for position in materials.positions_of(state, unit))


def _bags(state: SiteState, position: Position, now: datetime) -> Iterator[tuple[str, str]]:
    """Item and number of each bag that fits a position and was not used."""
    for received in _usable(state, now):
        if received.item in position.items and (received.expires is None or received.expires > now + PLANNED):
            for serial in received.serials:
                if not state.stock.piece(piece_key(received.item, serial)).used:
                    yield received.item, serial


def _installed(state: SiteState, crew: Crew, unit: UnitId, position: Position, *, now: datetime) -> Step | None:
    bag = next(_bags(state, position, now), None)
    if bag is None:
        return None
    scanned = label_text(LabelKind.ASSEMBLY, bag[1], item=bag[0])
    operator = requests.person_here(state, crew.operator)
    said, _ = materials.install(state, operator, scanned=scanned, unit=unit, position=position.name, now=now)
    return (said, crew.actor(operator.id)) if said else None


def _released(state: SiteState, crew: Crew, receipt: ReceiptId, *, now: datetime) -> Step:
    quality = requests.person_here(state, crew.quality)
    signer = crew.key(crew.quality)
    said = materials.decide(state, quality, signer, receipt=receipt, command=ReceiptCommand.RELEASE, why="as ordered", now=now)
    return said, crew.actor(quality.id)
