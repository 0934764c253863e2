"""The pages of the one-task screen at a site's own server: a unit's work, and the start of a batch.

Guarantees: they need nothing but this site's process and disk; the part that changes is asked for every
second and a half, with the site's own clock, so that a countdown follows its corrections and a restart
is noticed and got over.
Leaves to others: how it looks (screens.steps, static/steps.js), acting (steps).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from isogenic.authority.people import Person
from isogenic.authority.rules import Act, may
from isogenic.checks import stops
from isogenic.errors import NotFound
from isogenic.ids import SiteId, UnitId
from isogenic.web.guard import Guest, guest_of
from isogenic.web.messages import time
from isogenic.web.screens.doors import document
from isogenic.web.screens.markup import h, raw
from isogenic.web.screens.steps import Work, start_screen, work_page, work_part
from isogenic.web.signin import Door
from isogenic.web.simulated import simulated_note
from isogenic.web.site_alarms import site_alarms
from isogenic.web.site_desk import SiteDesk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


__all__ = ["work_pages"]

FRESH = {"Cache-Control": "no-store"}
SCRIPT = raw('<link rel="stylesheet" href="/static/steps.css"><script src="/static/steps.js" defer></script>')
TASK_MAX = 40


def work_pages(app: FastAPI, desk: SiteDesk, door: Door, folder: Path, visit: Callable[[Request], Guest | Response]) -> None:
    """Add them. `folder`: the node's."""
    node = desk.node

    @app.get("/units/{unit}", include_in_schema=False)
    async def page(unit: str, request: Request) -> Response:
        guest = visit(request)
        if isinstance(guest, Response):
            return guest
        work = work_at(desk, unit, guest.person)
        whole = work_page(work, guest.person, now=_now(desk), task=request.query_params.get("task", "")[:TASK_MAX])
        return HTMLResponse(document(f"{unit}, {node.state.site}", SCRIPT, simulated_note(folder), whole, body="steps"), headers=FRESH)

    @app.get("/units/{unit}/part", include_in_schema=False)
    async def part(unit: str, request: Request) -> JSONResponse:
        guest = guest_of(door, request, by_itself=True)
        work, now = work_at(desk, unit, guest.person), _now(desk)
        shown = str(work_part(work, task=request.query_params.get("task", "")[:TASK_MAX], now=now))
        return JSONResponse({"now": now, "html": shown, "person": guest.person.printed_name, "possible": list(work.possible)}, headers=FRESH)

    @app.get("/start", include_in_schema=False)
    async def start(request: Request) -> Response:
        guest = visit(request)
        if isinstance(guest, Response):
            return guest
        against = stops(may(guest.person, Act.START_BATCH, site=node.state.site))
        newest: dict[str, int] = {}
        for recipe, version in sorted(node.state.accepted):
            newest[str(recipe)] = version
        taken = {story.state.control.unit: story.batch for story in desk.all_stories() if not story.over}
        units = [(str(unit.id), unit.title, str(taken.get(unit.id, ""))) for unit in node.state.plant.units.values()]
        wanted = request.query_params.get("unit", "")[:TASK_MAX]
        chosen = wanted if any(wanted == name for name, _, _ in units) else ""
        screen = start_screen(recipes=[(recipe, version, "") for recipe, version in newest.items()], units=units, unit=chosen, may_start=not against)
        return HTMLResponse(
            document(f"Start a batch, {node.state.site}", SCRIPT, simulated_note(folder), h("main.work", screen), body="steps"), headers=FRESH
        )


def _now(desk: SiteDesk) -> str:
    return time(desk.node.clock.now().at) or ""


def _may_tell(site: SiteId, person: Person) -> str:
    acts = {"mode": Act.CHANGE_MODE, "step": Act.STEP_BATCH}
    return " ".join(name for name, act in acts.items() if not stops(may(person, act, site=site)))


def work_at(desk: SiteDesk, unit: str, person: Person) -> Work:
    """What a tablet at this unit shows."""
    node = desk.node
    known = {str(each.id): each for each in node.state.plant.units.values()}
    if unit not in known:
        raise NotFound(f"no unit {unit[:40]} at {node.state.site}", why="its plant document names none", possible=", ".join(known))
    running = {str(held.unit): story for story in desk.all_stories() if not story.over for held in story.state.units.values() if not held.released}
    story = running.get(unit)
    may_answer = not stops(may(person, Act.ANSWER_PROMPT, site=node.state.site))
    alarms = [f"{each.what}. {each.then}" for each in site_alarms(node)]
    title, link_up = known[UnitId(unit)].title, node.courier.state.up
    if story is None:
        return Work(unit, title, link_up=link_up, alarms=alarms, may_answer=may_answer, person=person.printed_name)
    people = node.state.directory.people if node.state.directory is not None else {}
    return Work(
        unit,
        title,
        batch=str(story.batch),
        lot=str(story.state.control.lot),
        product=str(story.state.control.product),
        state=str(story.state.state),
        phases=story.phases(),
        tasks=[each for each in story.prompts(open_only=True) if each.unit == unit],
        done=[each for each in story.prompts() if each.answer is not None and not each.given and each.unit == unit],
        possible=story.possible(),
        printed={str(name): each.printed_name for name, each in people.items()},
        pictures_here=frozenset(node.state.pictures) - node.missing_pictures(),
        link_up=link_up,
        alarms=alarms,
        may_answer=may_answer,
        may_tell=_may_tell(node.state.site, person),
        samples=[
            f"{each.sample.replace('_', ' ')}, {each.what}"
            for name, active in story.state.active.items()
            for each in story.state.phases[name].samples
            if each.sample in active.sampled and story.state.unit_of(name) == unit
        ],
        reached=[(place, each.why) for place, each in story.state.reached.items() if not each.confirmed],
        person=person.printed_name,
        others=[(name, sum(task.unit == name for task in each.prompts(open_only=True))) for name, each in running.items() if name != unit],
    )
