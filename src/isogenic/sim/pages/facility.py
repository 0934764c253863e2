"""The page of a simulated facility: what is inside each vessel, and faults that are injected live and taken back.

Guarantees: it listens on this machine only; what changes something comes from this page or from a program on this
machine (`Host` is loopback, and a browser's `Origin` is the page itself), is bounded and read like a line of text is
(`parse_fault`), or is refused and changes nothing. What is injected stands in the facility's memory.
Leaves to others: acting faults out (facility), how it looks (`facility_screen`).

    GET  /                     the page; GET /live: its moving part
    GET  /api/facility         what is inside, as JSON
    GET  /api/faults           those that stand, the log, and the kinds there are
    POST /api/faults           {"fault": "sparger_fouls:unit=SB-200,start=100,hours=24,size=0.5"}
    POST /api/faults/take-back {"fault": as it was listed}
    POST /inject, /take-back   the page's own forms

Nobody signs in: this world is simulated, and whoever is on this machine may break it. **Illustrative.**
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from isogenic.errors import NotAllowed, NotValid, Refusal
from isogenic.network.server import quiet_server, started
from isogenic.sim.pages.facility_screen import facility_page, live_part
from isogenic.sim.pages.view import View
from isogenic.web.bodies import BoundedBodies
from isogenic.web.problems import answer_refusals
from isogenic.web.serving import is_loopback

__all__ = ["HEADERS", "HOST", "View", "check_asked_here", "facility_app", "serve_page"]

HOST = "127.0.0.1"
FIELDS_MAX = 10
# Not `no-referrer`: with it a browser calls the origin of the page's own forms null, as it does another site's.
HEADERS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}


def facility_app(view: View) -> FastAPI:
    """The page and its API."""
    app = FastAPI(title="A simulated facility", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    answer_refusals(app)
    app.mount("/static", StaticFiles(directory=str(files("isogenic.web") / "static")), name="static")

    def page(said: str = "", status: int = 200) -> HTMLResponse:
        return HTMLResponse(
            facility_page(view.facility.plant, view.at, view.vessels(), view.service_units(), view.faults(), said=said),
            status_code=status,
            headers=HEADERS,
        )

    @app.get("/", include_in_schema=False)
    async def look(request: Request) -> Response:
        check_asked_here(request)
        return page()

    @app.get("/live", include_in_schema=False)
    async def live(request: Request) -> Response:
        check_asked_here(request)
        return HTMLResponse(str(live_part(view.at, view.vessels(), view.service_units(), view.faults())), headers=HEADERS)

    @app.get("/api/facility")
    async def inside(request: Request) -> JSONResponse:
        """What is inside each vessel, and what its instruments say."""
        check_asked_here(request)
        return JSONResponse(
            {
                "site": view.facility.plant.site,
                "at": view.at,
                "illustrative": True,
                "vessels": view.vessels(),
                "service_units": view.service_units(),
            },
            headers=HEADERS,
        )

    @app.get("/api/faults")
    async def faults(request: Request) -> JSONResponse:
        """The faults that stand, the log, and the kinds there are."""
        check_asked_here(request)
        return JSONResponse({"illustrative": True, **view.faults()}, headers=HEADERS)

    @app.post("/api/faults", status_code=201)
    async def inject(request: Request) -> JSONResponse:
        """Inject a fault."""
        _check_changes_from_here(request)
        text, note = view.inject(await _told(request))
        return JSONResponse({"fault": text, **({"note": note} if note else {})}, status_code=201, headers=HEADERS)

    @app.post("/api/faults/take-back")
    async def take_back(request: Request) -> JSONResponse:
        """Take a fault back."""
        _check_changes_from_here(request)
        return JSONResponse({"fault": view.take_back(await _told(request))}, headers=HEADERS)

    async def acted(request: Request, act: Any) -> Response:
        _check_changes_from_here(request)
        try:
            act(await _form(request))
        except Refusal as refusal:
            return page(str(refusal), status=refusal.http_status)
        return RedirectResponse("/", status_code=303, headers=HEADERS)

    @app.post("/inject", include_in_schema=False)
    async def inject_form(request: Request) -> Response:
        return await acted(request, lambda form: view.inject(view.text_of_form(form)))

    @app.post("/take-back", include_in_schema=False)
    async def take_back_form(request: Request) -> Response:
        return await acted(request, lambda form: view.take_back(form.get("fault", "")))

    app.add_middleware(BoundedBodies)
    return app


def check_asked_here(request: Request) -> None:
    """A name of another host that leads here (DNS rebinding) is not answered."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if not is_loopback(host):
        raise NotAllowed("cannot show it", why="this page is asked for by its address on this machine alone", possible="http://127.0.0.1")


def _check_changes_from_here(request: Request) -> None:
    check_asked_here(request)
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{request.headers.get('host', '')}":
        raise NotAllowed("cannot change anything", why="another site's page asked for it")


async def _told(request: Request) -> str:
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise NotValid("cannot read it", why="the body is not JSON", possible='{"fault": "sparger_fouls:unit=SB-200,start=100,hours=24,size=0.5"}')
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as trouble:
        raise NotValid("cannot read it", why="the body is not JSON") from trouble
    if not isinstance(body, dict) or set(body) != {"fault"} or not isinstance(body["fault"], str):
        raise NotValid("cannot read it", why="the body is an object with the one text `fault`")
    return body["fault"]


async def _form(request: Request) -> dict[str, str]:
    try:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=FIELDS_MAX))
    except (ValueError, UnicodeDecodeError) as trouble:
        raise NotValid("cannot read the form", why=str(trouble)[:120]) from trouble


@asynccontextmanager
async def serve_page(view: View, *, port: int = 0) -> AsyncIterator[str]:
    """Serve it on this machine; gives its address."""
    config = uvicorn.Config(facility_app(view), host=HOST, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    server = quiet_server(config)
    serving = asyncio.create_task(server.serve())
    try:
        yield f"http://{HOST}:{await started(server)}"
    finally:
        server.should_exit = True
        await asyncio.wait([serving], timeout=3)
