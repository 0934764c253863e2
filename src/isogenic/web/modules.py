"""The page of a site's modules, on the site's own server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from isogenic.sites.modules import Shelf
from isogenic.web.guard import Guest
from isogenic.web.screens.doors import document
from isogenic.web.screens.markup import h
from isogenic.web.screens.modules import modules_screen
from isogenic.web.site_desk import SiteDesk

__all__ = ["module_pages"]

FRESH = {"Cache-Control": "no-store"}


def module_pages(app: FastAPI, desk: SiteDesk, folder: Path, visit: Callable[[Request], Guest | Response]) -> None:
    """Add it. `folder`: the node's, where the packages of its modules lie."""
    shelf, node = Shelf(folder), desk.node

    @app.get("/modules", include_in_schema=False)
    async def page(request: Request) -> Response:
        guest = visit(request)
        if isinstance(guest, Response):
            return guest
        plant = node.state.plant
        shown = modules_screen(shelf.cards(plant, node.equipment), title="Modules", back=("/", f"Tasks, {plant.title}"))
        return HTMLResponse(document(f"Modules, {plant.title}, site {node.state.site}", h("main.page.alone", shown)), headers=FRESH)
