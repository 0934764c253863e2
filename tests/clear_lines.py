"""Makes a line of a small network ready: a released matrix, received and released assemblies, two people who clear it."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

from isogenic.authority.rules import Act
from isogenic.ids import IdentityCode, LotId, PersonId, ReceiptId, RecipeId, SiteId, SponsorId, UnitId
from isogenic.materials.clearance import LineStepDone
from isogenic.materials.labels import LabelKind, label_text
from isogenic.materials.receipts import ReceiptCommand, Sterility
from isogenic.network import materials as decisions
from isogenic.records.facts import Actor, Payload
from isogenic.sites import materials, requests
from isogenic.units import Quantity
from small_network import ADA, ANA, BEN, LEEDS, OPERATORS, RECIPE, UNITS, Network, signer_of

DIGEST = sha256(b"certificate").hexdigest()
NAME = RecipeId("ASTER-CHANGEOVER")
CHECKLIST = ("Nothing of the last batch is on the line", "No label of the last batch is in the room")
MATRIX = """
isogenic: changeover/1
matrix: ASTER-CHANGEOVER
version: 1
title: Changeover of bioreactors
classes:
  antibody: {title: Antibodies, products: [MAB-A, BRG-1]}
checklists:
  clearance: [Nothing of the last batch is on the line, No label of the last batch is in the room]
rules:
  - {on: [stirred_bioreactor], from: [nothing, antibody], to: [antibody], steps: [{clear: clearance}, {change: disposables}], valid: 72 h}
positions:
  - {on: [stirred_bioreactor], position: vessel, title: Vessel bag, items: [BAG]}
"""


def note(net: Network, site: SiteId, by: PersonId, payloads: list[Payload], *, role: str = "operator") -> None:
    net.nodes[site].note(payloads, actor=Actor(str(by), role, "password"))


def release_matrix(net: Network, text: str = MATRIX) -> None:
    """Two people sign the matrix; it is published."""
    decisions.submit_changeover(net.control, net.person(ADA), text)
    for person, act in ((ADA, Act.SIGN_RECIPE_AS_AUTHOR), (BEN, Act.APPROVE_RECIPE)):
        decisions.approve_changeover(net.control, net.person(person), signer_of(person), name=NAME, version=1, act=act)
    decisions.publish_changeover(net.control, net.person(BEN), name=NAME, version=1)


def receive(
    net: Network,
    site: SiteId = LEEDS,
    *,
    serials: tuple[str, ...] = ("1", "2", "3"),
    lot: str = "A-17",
    item: str = "BAG",
    sponsor: SponsorId | None = None,
    patient: IdentityCode | None = None,
) -> ReceiptId:
    """A delivery, in quarantine: of vessel bags, or without serial numbers of a material."""
    node = net.nodes[site]
    delivery = materials.Delivery(
        "Vessel bag" if serials else "Medium",
        "Alder Single Use",
        Quantity(float(len(serials)), "1") if serials else Quantity(100.0, "L"),
        DIGEST,
        sponsor=sponsor or node.state.plant.sponsor,
        serials=serials,
        sterility=Sterility("gamma", "ISO 11137-2 VDmax25", "IRR-1", DIGEST) if serials else None,
        patient=patient,
    )
    scanned = label_text(LabelKind.MATERIAL, lot, item=item, expires=net.clock.at + timedelta(days=300))
    person = requests.person_here(node.state, OPERATORS[site])
    payloads = materials.receive(node.state, person, delivery, scanned=scanned, mint=node.mint)
    note(net, site, person.id, payloads)
    return payloads[0].receipt  # type: ignore[no-any-return]


async def release(net: Network, receipt: ReceiptId, site: SiteId = LEEDS) -> None:
    """Quality releases it at the control site; the site hears."""
    await net.carry(site)
    decisions.decide_material(
        net.control, net.person(BEN), signer_of(BEN), site=site, receipt=receipt, command=ReceiptCommand.RELEASE, why="as ordered"
    )
    await net.carry(site)


def release_here(net: Network, receipt: ReceiptId, site: SiteId = LEEDS) -> None:
    """Quality releases it at the site, link or no link."""
    node, now = net.nodes[site], net.clock.at
    person = requests.person_here(node.state, BEN)
    said = materials.decide(node.state, person, signer_of(BEN), receipt=receipt, command=ReceiptCommand.RELEASE, why="as ordered", now=now)
    note(net, site, BEN, said, role="quality")


def assign(net: Network, lot: LotId, site: SiteId = LEEDS, *, recipe: RecipeId = RECIPE, unit: UnitId | None = None) -> None:
    node, now = net.nodes[site], net.clock.at
    person = requests.person_here(node.state, OPERATORS[site])
    until = now + timedelta(days=20)
    said = materials.assign_line(node.state, person, unit=unit or UNITS[site], recipe=recipe, version=1, lot=lot, until=until, now=now)
    note(net, site, person.id, said)


def install(net: Network, serial: str, site: SiteId = LEEDS) -> list[str]:
    """The bag with this number goes into its place; gives what stands against it."""
    node = net.nodes[site]
    person = requests.person_here(node.state, OPERATORS[site])
    scanned = label_text(LabelKind.ASSEMBLY, serial, item="BAG")
    payloads, notes = materials.install(node.state, person, scanned=scanned, unit=UNITS[site], position="vessel", now=net.clock.at)
    note(net, site, person.id, payloads)
    return [each.text for each in notes if each.severity == "stop"]


def clear(net: Network, site: SiteId = LEEDS) -> None:
    """Two people, each with the whole checklist."""
    node = net.nodes[site]
    for by in (OPERATORS[site], ANA):
        said = LineStepDone(UNITS[site], 0, "clear clearance", by, CHECKLIST)
        note(net, site, by, materials.do_step(node.state, requests.person_here(node.state, by), said))


async def make_ready(
    net: Network, lot: LotId, site: SiteId = LEEDS, *, serial: str = "1", recipe: RecipeId = RECIPE, sponsor: SponsorId | None = None
) -> None:
    """Everything that a start on a line takes: the matrix, if it is not there yet, an assembly, the medium, and two people's clearance."""
    if net.control.state.stocks.published is None:
        release_matrix(net)
    await net.carry(site)
    bags = receive(net, site, serials=(serial,), lot=f"L-{serial}", sponsor=sponsor)
    for receipt in (bags, receive(net, site, serials=(), lot="MED-0042", item="MEDIUM", sponsor=sponsor)):
        release_here(net, receipt, site)
    assign(net, lot, site, recipe=recipe)
    assert install(net, serial, site) == []
    clear(net, site)
