"""What must be there before a batch may begin: deliveries that quality released, an assembly in its place, a line that two people cleared."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from isogenic.clock import text_of_time
from isogenic.ids import PersonId
from isogenic.materials.changeover import StepKind, read_matrix
from isogenic.materials.labels import LabelKind, label_text
from isogenic.sim.changeovers import CERTIFICATE, CHANGEOVER, GOOD_FOR, PLANNED, SUPPLIER
from isogenic.sim.story.stage import Person, Site, Story, until

__all__ = ["inoculum_lot", "make_ready", "medium_lot", "publish_matrix"]

UNDECIDED = "quarantine"  # what is there of earlier batches was decided on


def medium_lot(site: Site) -> str:
    """The supplier's number of the medium at a site, for its present batch."""
    return f"{site.id[:2]}-MED-{416 + site.run:04d}"


def inoculum_lot(site: Site) -> str:
    """The number of the inoculum at a site, for its present batch."""
    return f"{site.id[:2]}-INO-{92 + site.run:04d}"


async def publish_matrix(author: Person, approver: Person) -> None:
    """Two people sign what is done on a line between two batches."""
    said = await author.post("/api/changeover", {"text": CHANGEOVER})
    path = f"/api/changeover/{said['name']}/{said['version']}"
    await author.post(f"{path}/signatures", {"act": "sign_recipe_as_author", **author.signs("authored")})
    await approver.post(f"{path}/signatures", {"act": "approve_recipe", **approver.signs("approved")})
    await approver.post(f"{path}/publication", {})


async def make_ready(story: Story, site: Site, operator: Person, *, recipe: str, version: int) -> None:
    """Receive, release, assign, install, clear."""
    await _stock(story, site, operator)
    end = text_of_time(story.clock.now().at + PLANNED)
    await operator.post(f"/api/lines/{site.unit}/assignment", {"recipe": recipe, "version": version, "lot": site.lot, "until": end})
    for position, (item, serial) in _bags(story, site).items():
        scanned = label_text(LabelKind.ASSEMBLY, serial, item=item)
        await operator.post("/api/assemblies/installed", {"scanned": scanned, "unit": site.unit, "position": position})
    second = await story.sign_in(PersonId("ANA"), site.api)
    line = next(each for each in await operator.get("/api/lines") if each["unit"] == site.unit)
    for step in line["steps"]:
        if step["kind"] == StepKind.CLEAR:
            for person in (operator, second):  # each for themselves, with the whole checklist
                await person.post(f"/api/lines/{site.unit}/steps", {"step": step["name"], "ticked": step["checklist"]})


def _bags(story: Story, site: Site) -> dict[str, tuple[str, str]]:
    """Item and serial number for each position of a site's unit."""
    assert story.world is not None
    unit = next(each for each in story.world.plants[site.id].units.values() if each.id == site.unit)
    positions = read_matrix(CHANGEOVER).positions_of(unit.cls.name, unit.make)
    before = (site.run - 1) * len(positions)
    return {each.name: (each.items[0], f"{site.id[:2]}-{number}") for number, each in enumerate(positions, before + 1)}


async def _stock(story: Story, site: Site, operator: Person) -> None:
    """What the batch takes, delivered, and released for use by somebody who did not receive it."""
    until_day = story.clock.now().at + GOOD_FOR

    async def receive(item: str, lot: str, **said: Any) -> None:
        scanned = label_text(LabelKind.MATERIAL, lot, item=item, expires=until_day - timedelta(seconds=until_day.second))
        await operator.post("/api/stock", {"scanned": scanned, "certificate": CERTIFICATE, **said})

    sterility = {"method": "gamma", "claim": "ISO 11137-2 VDmax25, SAL 1e-6", "lot": "IRR-881", "certificate": CERTIFICATE}
    for item, serial in _bags(story, site).values():
        await receive(item, f"B-{serial}", title="Vessel bag", supplier=SUPPLIER, quantity=1, serials=[serial], sterility=sterility)
    await receive("MED-CHO-1", medium_lot(site), title="Medium", supplier="Birch Media", quantity=500, unit="L")
    await receive("SEED-MAB-A", inoculum_lot(site), title="Inoculum", supplier="Aster cell bank", quantity=20, unit="L")
    receipts = {each["receipt"] for each in await operator.get("/api/stock") if each["state"] == UNDECIDED}
    ben = await story.sign_in(PersonId("BEN"), story.screens)

    async def arrived() -> bool:
        return receipts <= {each["received"]["receipt"] for each in await ben.get("/api/stock") if each["site"] == site.id}

    await until(arrived, what=f"the deliveries of {site.id} at the control site")
    for receipt in sorted(receipts):
        decision = {"command": "release", "why": "certificate as ordered"}
        await ben.post(f"/api/stock/{site.id}/{receipt}/decision", {**decision, **ben.signs("released for use")})

    async def released() -> bool:
        return all(each["state"] != UNDECIDED for each in await operator.get("/api/stock"))

    await until(released, what=f"the stock of {site.id} to be released")
