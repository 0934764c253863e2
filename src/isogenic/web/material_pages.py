"""The pages of materials at a site's own server: a line's next task, deliveries.

Guarantees: they need nothing but this site's process and disk.
Leaves to others: how they look (screens.materials), acting (site_materials).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from isogenic.authority.people import Person
from isogenic.authority.rules import Act, may, roles_that_may
from isogenic.checks import stops
from isogenic.errors import NotFound
from isogenic.ids import ReceiptId
from isogenic.materials.label_pages import LABELS_MAX, label_page
from isogenic.materials.labels import LabelKind, fits, label_text
from isogenic.web.guard import Guest
from isogenic.web.messages import time
from isogenic.web.screens.deciding import Pen
from isogenic.web.screens.doors import document
from isogenic.web.screens.markup import raw
from isogenic.web.screens.materials import line_screen, stock_screen
from isogenic.web.signin import Door
from isogenic.web.site_desk import SiteDesk
from isogenic.web.site_materials import lines_of, stock_of

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["material_pages"]

FRESH = {"Cache-Control": "no-store"}
STYLES = '<link rel="stylesheet" href="/static/steps.css"><link rel="stylesheet" href="/static/materials.css">'
SCRIPT = raw(STYLES + '<script src="/static/materials.js" defer></script>')
DECIDED = (Act.RELEASE_MATERIAL, Act.BLOCK_MATERIAL)
PIECES_MAX = LABELS_MAX - 1
USUAL_DAYS = 16  # the planned end that the form begins with


def _role(person: Person, act: Act) -> str:
    return next(role.words for role in roles_that_may(act) if role in person.roles)


def material_pages(app: FastAPI, desk: SiteDesk, door: Door, visit: Callable[[Request], Guest | Response]) -> None:
    """Add them."""
    node = desk.node

    @app.get("/stock", include_in_schema=False)
    async def stock(request: Request) -> Response:
        guest = visit(request)
        if isinstance(guest, Response):
            return guest
        may_receive = not stops(may(guest.person, Act.RECEIVE_MATERIAL, site=node.state.site))
        screen = stock_screen(
            stock_of(node.state.stock, now=node.clock.now().at),
            site=node.state.plant.title,
            person=guest.person.printed_name,
            may_receive=may_receive,
            lines=[str(unit) for unit in node.state.plant.units],
            pen=Pen(
                guest.person,
                {act: _role(guest.person, act) for act in DECIDED if not stops(may(guest.person, act, site=node.state.site))},
                time(node.clock.now().at) or "",
                not door.has_signed(guest.session),
            ),
        )
        return HTMLResponse(document(f"Deliveries, {node.state.site}", SCRIPT, screen, body="steps"), headers=FRESH)

    @app.get("/stock/{receipt}/labels", include_in_schema=False)
    async def labels(receipt: str, request: Request) -> Response:
        """The labels of a received lot, for the printer: of the lot, and of each of its pieces."""
        guest = visit(request)
        if isinstance(guest, Response):
            return guest
        received = node.state.stock.receipt(ReceiptId(receipt))
        lot = received.lot if fits(received.lot) else ""  # a supplier may use small letters; our own number says which lot it is
        item = received.item if fits(received.item) else ""
        whole = label_text(LabelKind.MATERIAL, received.receipt, item=item, lot=lot, expires=received.expires)
        pieces = [
            label_text(LabelKind.ASSEMBLY, serial, item=item, lot=lot, expires=received.expires, patient=received.patient)
            for serial in received.serials[:PIECES_MAX]
            if item and fits(serial)
        ]
        return HTMLResponse(label_page([whole, *pieces], title=f"Labels of {receipt}, {node.state.site}"), headers=FRESH)

    @app.get("/line/{unit}", include_in_schema=False)
    async def line(unit: str, request: Request) -> Response:
        guest = visit(request)
        if isinstance(guest, Response):
            return guest
        now = node.clock.now().at
        found = next((each for each in lines_of(node.state, now=now) if each.unit == unit), None)
        if found is None:
            raise NotFound(
                f"no unit {unit[:40]} at {node.state.site}", why="its plant document names none", possible=", ".join(node.state.plant.units)
            )
        newest: dict[str, int] = {}
        for recipe, version in sorted(node.state.accepted):
            newest[str(recipe)] = version
        screen = line_screen(
            found,
            title=next(each.title for each in node.state.plant.units.values() if each.id == unit),
            recipes=list(newest.items()),
            person=guest.person.printed_name,
            may=not stops(may(guest.person, Act.CLEAR_LINE, site=node.state.site)),
            today=f"{now + timedelta(days=USUAL_DAYS):%Y-%m-%d}",
        )
        return HTMLResponse(document(f"Line {unit}, {node.state.site}", SCRIPT, screen, body="steps"), headers=FRESH)
