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
import math
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from isogenic.clock import text_of_time
from isogenic.errors import NotAllowed, NotValid, Refusal
from isogenic.ids import UnitId
from isogenic.network.server import quiet_server, started
from isogenic.sim.facility import Facility
from isogenic.sim.faults import SIZES, Fault, FaultKind, entry_of, parse_fault, text_of_fault
from isogenic.sim.pages.facility_screen import facility_page, live_part
from isogenic.web.bodies import BoundedBodies
from isogenic.web.problems import answer_refusals
from isogenic.web.serving import is_loopback

__all__ = ["HEADERS", "HOST", "View", "check_asked_here", "facility_app", "serve_page"]

HOST = "127.0.0.1"
PATH_MAX = 800  # points of a vessel's trajectory that are kept: two weeks, every half hour, and some
PATH_EVERY_H = 0.4
FIELDS_MAX = 10
# Not `no-referrer`: with it a browser calls the origin of the page's own forms null, as it does another site's.
HEADERS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}


class View:
    """What a facility shows of itself, and the trajectories so far."""

    def __init__(self, facility: Facility) -> None:
        self.facility = facility
        self._paths: dict[UnitId, deque[dict[str, float]]] = {unit: deque(maxlen=PATH_MAX) for unit in facility.vessels}
        self._runs: dict[UnitId, int] = {}

    def look(self) -> None:
        """Keep a point of every vessel's trajectory; a new run begins a new one."""
        for unit, vessel in self.facility.vessels.items():
            path, run = self._paths[unit], vessel.book.run
            if self._runs.get(unit) != run:
                self._runs[unit] = run
                path.clear()
            age = vessel.age_h
            if age >= 0 and (not path or age >= path[-1]["age_h"] + PATH_EVERY_H):
                path.append({"age_h": age, **vessel.inside, "oxygen_flow": vessel.truth()["oxygen_flow"]})

    def vessels(self) -> list[dict[str, Any]]:
        """Every vessel: what is inside, what the instruments say of it, what its drives do, how it came there."""
        return [self._vessel(unit) for unit in self.facility.vessels]

    def _vessel(self, unit: UnitId) -> dict[str, Any]:
        vessel = self.facility.vessels[unit]
        truth, book = vessel.truth(), vessel.book
        known = {name: signal.cls for name, signal in vessel.unit.signals.items() if name in truth}
        return {
            "unit": str(unit),
            "title": vessel.unit.title,
            "process": vessel.bank.biology.name,
            "run": book.run,
            "age_h": vessel.age_h if vessel.age_h >= 0 else None,
            "stopped": vessel.stopped,
            "inside": dict(vessel.inside),
            "signals": [
                {"name": name, "title": cls.title, "unit": cls.unit, "true": _number(truth[name]), "shown": _number(vessel.read(name))}
                for name, cls in known.items()
            ],
            "drives": [
                {"name": name, "is": here, "aimed": aim, "asked": book.setpoints.get(f"{name}_sp")}
                for name, (here, aim) in vessel.bank.loops(vessel.row).items()
            ],
            "flowing": {dose: litres for dose, litres in book.pending.items() if litres > 0},
            "path": list(self._paths[unit]),
        }

    def faults(self) -> dict[str, Any]:
        """Those that stand, what was done when, and what can be injected."""
        return {
            "standing": [self._standing(fault) for fault in self.facility.faults],
            "log": list(reversed(self.facility.log)),
            "kinds": [_kind(kind) for kind in FaultKind],
        }

    def _standing(self, fault: Fault) -> dict[str, Any]:
        vessel = self.facility.vessels.get(fault.unit)
        acts = fault.at_h is None and vessel is not None and fault.hits(vessel.book.run, vessel.age_h)
        return {
            "fault": text_of_fault(fault),
            "kind": str(fault.kind),
            "unit": str(fault.unit),
            "signal": fault.signal,
            "start_h": fault.start_h,
            "hours": fault.hours,
            "size": fault.size,
            "acts": acts,
        }

    @property
    def at(self) -> str:
        """The process time of what is shown."""
        return text_of_time(self.facility.at) if self.facility.at is not None else ""

    def inject(self, text: str) -> Fault:
        """One more fault."""
        return self.facility.inject(parse_fault(text))

    def text_of_form(self, form: Mapping[str, str]) -> str:
        """The line of text of what a form says; an empty start is now."""
        try:
            kind = FaultKind(form.get("kind", ""))
        except ValueError as trouble:
            raise NotValid("cannot inject it", why="no such fault", possible=", ".join(FaultKind)) from trouble
        unit = form.get("unit", "")
        vessel = self.facility.vessels.get(UnitId(unit)) if unit else None
        if vessel is None:
            raise NotValid("cannot inject it", why="no such vessel here", possible=", ".join(self.facility.vessels))
        parts = [f"unit={unit}"]
        if kind.of_sensor or kind is FaultKind.SETTING_CHANGES:
            parts.append(f"signal={form.get('signal', '')}")
        if kind is not FaultKind.MEDIUM_IS_WEAK:
            parts.append(f"start={form.get('start') or format(max(vessel.age_h, 0.0), '.3f')}")
            parts.append(f"hours={form.get('hours') or '24'}")
        if kind.sized:
            parts.append(f"size={form.get('size', '')}")
        return f"{kind}:{','.join(parts)}"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _kind(kind: FaultKind) -> dict[str, Any]:
    low, high = SIZES.get(kind, (-1e6, 1e6))
    what, signature = (
        ("a setting is changed at the panel", "the setting that is read back is another") if kind is FaultKind.SETTING_CHANGES else _said(kind)
    )
    return {"name": str(kind), "what": what, "seen": signature, "sized": kind.sized, "low": low, "high": high, "signal": kind.of_sensor}


def _said(kind: FaultKind) -> tuple[str, str]:
    entry = entry_of(str(kind))
    return entry.what, entry.signature


def facility_app(view: View) -> FastAPI:
    """The page and its API."""
    app = FastAPI(title="A simulated facility", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    answer_refusals(app)
    app.mount("/static", StaticFiles(directory=str(files("isogenic.web") / "static")), name="static")

    def page(said: str = "", status: int = 200) -> HTMLResponse:
        return HTMLResponse(
            facility_page(view.facility.plant, view.at, view.vessels(), view.faults(), said=said), status_code=status, headers=HEADERS
        )

    @app.get("/", include_in_schema=False)
    async def look(request: Request) -> Response:
        check_asked_here(request)
        return page()

    @app.get("/live", include_in_schema=False)
    async def live(request: Request) -> Response:
        check_asked_here(request)
        return HTMLResponse(str(live_part(view.at, view.vessels(), view.faults())), headers=HEADERS)

    @app.get("/api/facility")
    async def inside(request: Request) -> JSONResponse:
        """What is inside each vessel, and what its instruments say."""
        check_asked_here(request)
        return JSONResponse({"site": view.facility.plant.site, "at": view.at, "illustrative": True, "vessels": view.vessels()}, headers=HEADERS)

    @app.get("/api/faults")
    async def faults(request: Request) -> JSONResponse:
        """The faults that stand, the log, and the kinds there are."""
        check_asked_here(request)
        return JSONResponse({"illustrative": True, **view.faults()}, headers=HEADERS)

    @app.post("/api/faults", status_code=201)
    async def inject(request: Request) -> JSONResponse:
        """Inject a fault."""
        _check_changes_from_here(request)
        return JSONResponse({"fault": text_of_fault(view.inject(await _told(request)))}, status_code=201, headers=HEADERS)

    @app.post("/api/faults/take-back")
    async def take_back(request: Request) -> JSONResponse:
        """Take a fault back."""
        _check_changes_from_here(request)
        return JSONResponse({"fault": text_of_fault(view.facility.take_back(await _told(request)))}, headers=HEADERS)

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
        return await acted(request, lambda form: view.facility.take_back(form.get("fault", "")))

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
