"""The page of tasks at a site: what people are asked now, with buttons that a gloved finger finds.

Guarantees: it is plain HTML with our own script and needs no NiceGUI, so a site starts fast
and a tablet that lost its link for a minute goes on; every answer goes through the API.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from isogenic.authority.people import Person
from isogenic.authority.rules import Act, may
from isogenic.checks import stops
from isogenic.errors import Refusal
from isogenic.web.guard import Guest, guest_of
from isogenic.web.messages import Asked
from isogenic.web.screens.doors import document, sign_in_page
from isogenic.web.screens.markup import Child, Markup, h, join
from isogenic.web.screens.parts import count_of, day_second, day_time, empty, mark, panel, said
from isogenic.web.screens.words import plain_words
from isogenic.web.signin import Door
from isogenic.web.site_messages import SiteSummary

if TYPE_CHECKING:
    from isogenic.web.site_api import SiteDesk

__all__ = ["tasks_page", "tasks_screen"]


def tasks_page(app: FastAPI, desk: SiteDesk, door: Door) -> None:
    """Add the page to the site's application."""
    app.mount("/static", StaticFiles(directory=str(files("isogenic.web") / "static")), name="static")
    title = f"{desk.node.state.plant.title}, site {desk.node.state.site}"

    def content(guest: Guest) -> Markup:
        asked = [each for story in reversed(desk.all_stories()) for each in story.prompts(open_only=True)]
        against = stops(may(guest.person, Act.ANSWER_PROMPT, site=desk.node.state.site))
        return tasks_screen(desk.summary(), asked, guest.person, may_answer=not against)

    @app.get("/sign-in", include_in_schema=False)
    async def sign_in() -> HTMLResponse:
        return HTMLResponse(sign_in_page(title), headers={"Cache-Control": "no-store"})

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        try:
            guest = guest_of(door, request)
        except Refusal:
            return RedirectResponse("/sign-in", status_code=303)
        part = h("iso-follow", content(guest), src="/tasks")
        return HTMLResponse(document(f"Tasks, {title}", h("main.tasks-page", part), body="tasks"), headers={"Cache-Control": "no-store"})

    @app.get("/tasks", include_in_schema=False)
    async def part(request: Request) -> HTMLResponse:
        return HTMLResponse(str(content(guest_of(door, request))), headers={"Cache-Control": "no-store"})


def tasks_screen(site: SiteSummary, asked: Sequence[Asked], person: Person, *, may_answer: bool) -> Markup:
    """What changes on the page."""
    link = mark("quiet", "linked") if site.link.up else mark("silent", "no link; the work here goes on")
    top = h(
        "div.top",
        h("div", h("h1", site.title), said(link, day_second(site.now), person.printed_name)),
        h("button.second", "Sign out", type="button", data_sign_out=True),
    )
    trouble = (
        h("div.notice.stop", h("h3", mark("stop", "This node is in trouble")), h("p", site.trouble), style="margin-bottom:14px")
        if site.trouble
        else None
    )
    tasks = [_task(each, may_answer=may_answer) for each in asked]
    heading = h("h2", count_of(len(asked), "task") if asked else "Nothing to do", style="font-size:17px;margin:0 0 12px;color:var(--ink-2)")
    return join(top, trouble, heading, *tasks, panel("Units", *_units(site)), panel("Record", *_ledgers(site)))


def _task(asked: Asked, *, may_answer: bool) -> Markup:
    unit = asked.measured_in
    field: Markup
    if asked.kind == "confirm":
        field = join(h("input", type="hidden", name="answer", value="yes"), h("button", "Confirm", type="submit"))
    else:
        wanted = h(
            "input",
            type="text",
            name="answer",
            required=True,
            maxlength="200",
            autocomplete="off",
            inputmode="decimal" if asked.kind == "number" else None,
            aria_label=asked.text,
        )
        field = join(wanted, h("span", unit) if unit else None, h("button", "Record", type="submit"))
    limits = None
    if asked.low is not None or asked.high is not None:
        limits = h(
            "span.limits", f"{'' if asked.low is None else f'{asked.low:g}'} to {'' if asked.high is None else f'{asked.high:g}'} {unit}".strip()
        )
    line: Child = h("div.line", field, limits) if may_answer else empty("It waits for an operator of this site.")
    form = h("form", line, data_post=f"/api/batches/{asked.batch}/prompts/{asked.prompt}")
    return h(
        "section.panel.task",
        h("p.of", f"{asked.unit}, {asked.batch}, asked ", day_time(asked.asked_at)),
        h("p.ask", asked.text),
        form,
        data_task=f"{asked.batch}/{asked.prompt}",
    )


def _units(site: SiteSummary) -> list[Markup]:
    rows = []
    for each in site.units:
        state = h("span", each.batch, h("span.limits", f"  {each.phase or each.state}")) if each.batch else "free"
        rows.append(h("div.unit-row", h("b", each.unit), state, h("span", plain_words(each.title))))
    return rows


def _ledgers(site: SiteSummary) -> list[Markup]:
    rows = []
    for each in site.ledgers:
        waiting = each.noted - each.witnessed
        told = mark("stop", each.refused) if each.refused else (f"{waiting} on their way" if waiting else "all witnessed")
        rows.append(
            h(
                "div.unit-row",
                h("b", each.ledger.rpartition("/")[2]),
                h("span", f"{each.noted} facts noted, {each.sent} sent, {each.witnessed} witnessed"),
                told,
            )
        )
    return rows
