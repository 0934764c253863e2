"""The page of a twin that follows a batch: batch and twin side by side, as readings arrive.

Guarantees: it listens on this machine only and changes nothing; what it shows is worked out at most once for each new
reading, one at a time, in a thread of its own, so that the page answers meanwhile.
Leaves to others: reading and estimating (`fitting.following`), charts (`twin_screen`).

    GET /            the page; GET /live: its moving part
    GET /api/twin    the same as JSON
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from isogenic.network.server import quiet_server, started
from isogenic.sim.fitting.cautions import FAR
from isogenic.sim.fitting.following import Followed, Follower
from isogenic.sim.fitting.sentences import number
from isogenic.sim.pages.facility import HEADERS, HOST, check_asked_here
from isogenic.sim.pages.twin_screen import STYLE, batch_panel, constants_table, legend, sentences_list
from isogenic.web.problems import answer_refusals
from isogenic.web.screens.doors import document
from isogenic.web.screens.markup import Markup, h, join, raw
from isogenic.web.screens.parts import empty, head, mark, pairs, panel

__all__ = ["follow_app", "serve_follower"]

UNSAID = ("shift_at",)  # beyond the batch's end: no shift was seen
FOLLOW = """<script>setInterval(async()=>{if(document.hidden)return;try{const r=await fetch('/live');
if(r.ok)document.getElementById('live').innerHTML=await r.text()}catch(e){}},3000)</script>"""


def follow_app(follower: Follower) -> FastAPI:
    """The page and its API."""
    app = FastAPI(title="A twin that follows a batch", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    answer_refusals(app)
    app.mount("/static", StaticFiles(directory=str(files("isogenic.web") / "static")), name="static")
    turn = asyncio.Lock()

    async def looked() -> Followed:
        async with turn:
            return await asyncio.to_thread(follower.look)

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        check_asked_here(request)
        return HTMLResponse(_page(follower, await looked()), headers=HEADERS)

    @app.get("/live", include_in_schema=False)
    async def live(request: Request) -> Response:
        check_asked_here(request)
        return HTMLResponse(str(_live(await looked())), headers=HEADERS)

    @app.get("/api/twin")
    async def twin(request: Request) -> JSONResponse:
        """The batch, its twin's constants, and the largest residual."""
        check_asked_here(request)
        return JSONResponse(_plain(await looked()), headers=HEADERS)

    return app


def _page(follower: Follower, now: Followed) -> str:
    title = f"Twin of a batch at {follower.plant.title}"
    content = join(
        raw(f"<style>{STYLE}</style>"),
        head(
            title,
            sub=f"Process {follower.process.name}; followed: {', '.join(follower.constants)}. The process, its spreads and its instruments are "
            "illustrative. It reads what the node keeps, changes nothing, and is served on this machine only.",
            aside=mark("warn", "illustrative"),
        ),
        h("div.stack", _live(now), id="live"),
        raw(FOLLOW),
    )
    return document(title, h("main.page.alone", content))


def _live(now: Followed) -> Markup:
    if now.fit is None or now.comparison is None:
        return panel(now.batch or "No batch", empty(now.why))
    name, age, size = now.comparison.worst
    words = f"{name.replace('_', ' ')} at {age:g} h: {size:+.1f} standard deviations of its instrument"
    worst = mark("major", words) if abs(size) > FAR else mark("good", words)
    cautions = h("div", *(h("p.caution", mark("major", each)) for each in now.cautions)) if now.cautions else None
    return join(
        panel(
            f"{now.batch} on {now.unit}",
            cautions,
            pairs(
                ("Age", f"{now.age_h:.1f} h, day {now.age_h / 24.0:.1f}"), ("Largest residual", worst), ("Run with, as it was read", _run_with(now))
            ),
            aside=f"{now.rows} scans kept",
        ),
        panel("Batch and twin", legend("the twin"), batch_panel(now.comparison)),
        panel("Constants of this batch", constants_table(now.fit, whose="This batch"), aside="with the process's own spreads as priors"),
        panel("What can be told so far", sentences_list(now.fit)),
    )


def _run_with(now: Followed) -> str:
    """The settings with their units, and how far their probes are good (95 %); not what is only there for the twin."""
    known = now.fit.solution.problem.process.settings if now.fit else {}
    out = []
    for name, value in now.settings.items():
        if name in known and name not in UNSAID:
            sd = now.unsure.get(name, 0.0)
            unit = "" if known[name].unit == "1" else f" {known[name].unit}"
            out.append(f"{name.replace('_', ' ')} {number(value)}{f' ± {1.96 * sd:.1g}' if sd else ''}{unit}")
    return ", ".join(out)


def _plain(now: Followed) -> dict[str, Any]:
    out: dict[str, Any] = {"batch": now.batch, "unit": now.unit, "age_h": now.age_h, "scans": now.rows, "why": now.why, "illustrative": True}
    if now.fit is None or now.comparison is None:
        return out
    variable, age, size = now.comparison.worst
    constants = {
        each.name: {"value": each.value, "unit": each.unit, "nominal": each.nominal, "low": each.low, "high": each.high} for each in now.fit.estimates
    }
    out |= {
        "settings": dict(now.settings),
        "settings_sd": dict(now.unsure),
        "constants": constants,
        "converged": now.fit.converged,
        "cautions": list(now.cautions),
    }
    out["largest_residual"] = {"variable": variable, "age_h": age, "standard_deviations": size if math.isfinite(size) else None}
    return out


@asynccontextmanager
async def serve_follower(follower: Follower, *, port: int = 0) -> AsyncIterator[str]:
    """Serve it on this machine; gives its address."""
    config = uvicorn.Config(follow_app(follower), host=HOST, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    server = quiet_server(config)
    serving = asyncio.create_task(server.serve())
    try:
        yield f"http://{HOST}:{await started(server)}"
    finally:
        server.should_exit = True
        await asyncio.wait([serving], timeout=3)
