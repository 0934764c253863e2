"""The pages of materials at a site's own server: a line's next task, deliveries.

Guarantees: they need nothing but this site's process and disk.
Leaves to others: how they look (screens.materials), acting (site_materials).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from isogenic.authority.rules import Act, may
from isogenic.checks import stops
from isogenic.errors import NotFound
from isogenic.web.guard import Guest
from isogenic.web.screens.doors import document
from isogenic.web.screens.markup import raw
from isogenic.web.screens.materials import line_screen, stock_screen
from isogenic.web.site_materials import lines_of, stock_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from isogenic.web.site_api import SiteDesk

__all__ = ["material_pages"]

FRESH = {"Cache-Control": "no-store"}
STYLES = '<link rel="stylesheet" href="/static/steps.css"><link rel="stylesheet" href="/static/materials.css">'
SCRIPT = raw(STYLES + '<script src="/static/materials.js" defer></script>')
USUAL_DAYS = 16  # the planned end that the form begins with


def material_pages(app: FastAPI, desk: SiteDesk, visit: Callable[[Request], Guest | Response]) -> None:
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
        )
        return HTMLResponse(document(f"Deliveries, {node.state.site}", SCRIPT, screen, body="steps"), headers=FRESH)

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
