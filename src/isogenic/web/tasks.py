"""The page of tasks at a site: what people are asked now, with buttons that a gloved finger finds.

Guarantees: it is plain HTML with our own script and needs no NiceGUI, so a site starts fast
and a tablet that lost its link for a minute goes on; every answer goes through the API.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from isogenic.authority.people import Person
from isogenic.authority.rules import Act, may
from isogenic.checks import stops
from isogenic.errors import NotAllowed, Refusal
from isogenic.quality.trail import FILTERS
from isogenic.web.guard import Guest, guest_of
from isogenic.web.material_pages import material_pages
from isogenic.web.messages import Asked
from isogenic.web.modules import module_pages
from isogenic.web.screens.doors import document, inside, password_page, sign_in_page
from isogenic.web.screens.markup import Markup, h, join
from isogenic.web.screens.parts import count_of, day_second, day_time, mark, panel, record_links, said
from isogenic.web.screens.signing import components
from isogenic.web.screens.steps import limits_of, site_words
from isogenic.web.screens.trail import trail_screen
from isogenic.web.screens.words import plain_words
from isogenic.web.signin import Door
from isogenic.web.simulated import simulated_note
from isogenic.web.site_alarms import answers_for_attempts
from isogenic.web.site_desk import SiteDesk
from isogenic.web.site_messages import LockLine, SiteSummary
from isogenic.web.trail import Follower, TrailAnswer, trail_answer, wanted_of
from isogenic.web.work import work_pages

__all__ = ["tasks_page", "tasks_screen"]

FRESH = {"Cache-Control": "no-store"}
LOCKS_SHOWN = 5
ENDED_SHOWN = 12


PAGE_LINES = 50


def tasks_page(app: FastAPI, desk: SiteDesk, door: Door, follower: Follower) -> None:
    """Add the site's pages to its application: tasks, audit trail, password."""
    app.mount("/static", StaticFiles(directory=str(files("isogenic.web") / "static")), name="static")
    title, folder = f"{desk.node.state.plant.title}, site {desk.node.state.site}", door.accounts.folder.parent

    def content(guest: Guest) -> Markup:
        asked = [each for story in reversed(desk.all_stories()) for each in story.prompts(open_only=True)]
        against = stops(may(guest.person, Act.ANSWER_PROMPT, site=desk.node.state.site))
        ended = [str(each.batch) for each in desk.all_stories() if each.over]
        return join(simulated_note(folder), tasks_screen(desk.summary(), asked, guest.person, may_answer=not against, ended=ended))

    def visit(request: Request) -> Guest | Response:
        try:
            return guest_of(door, request)
        except NotAllowed:  # a password that is due, before anything else; who was shut out is sent on from there
            return RedirectResponse("/password", status_code=303)
        except Refusal:
            then = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse("/sign-in" if then == "/" else f"/sign-in?then={quote(then, safe='')}", status_code=303)

    @app.get("/sign-in", include_in_schema=False)
    async def sign_in(request: Request) -> HTMLResponse:
        then = inside(request.query_params.get("then", "/"))
        return HTMLResponse(sign_in_page(title, then=then), headers=FRESH)

    @app.get("/password", include_in_schema=False)
    async def password(request: Request) -> Response:
        try:
            why = guest_of(door, request).session.renew
        except Refusal:
            return RedirectResponse("/sign-in", status_code=303)
        return HTMLResponse(password_page(title, why), headers=FRESH)

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        guest = visit(request)
        if isinstance(guest, Response):
            return guest
        part = h("iso-follow", content(guest), src="/tasks")
        looked = _looked(guest.person, first=not door.has_signed(guest.session)) if answers_for_attempts(guest.person) else None
        return HTMLResponse(document(f"Tasks, {title}", h("main.tasks-page", part, looked), body="tasks"), headers=FRESH)

    @app.get("/trail", include_in_schema=False)
    async def trail(request: Request) -> Response:
        guest = visit(request)
        if isinstance(guest, Response):
            return guest
        asked = {name: request.query_params.get(name, "")[:300] for name in (*FILTERS, "changes", "after")}
        tables = await follower.tables()
        try:
            wanted = wanted_of(**{name: asked[name].strip() for name in FILTERS}, changes=asked["changes"] == "true")
            answer, problem = trail_answer(tables, wanted, after=asked["after"], limit=PAGE_LINES, stage=desk.trail_stage), None
        except Refusal as refusal:
            answer, problem = TrailAnswer(lines=[]), h("div.notice.warn", h("p", str(refusal)), style="margin-bottom:14px")
        shown = trail_screen(
            answer,
            asked=asked,
            kinds=follower.kinds,
            ledgers=[each.origin for each in desk.node.ledgers.values()],
            review=None,
            why_no_review="The trail of a batch is reviewed and signed at the control site, over everything that has reached it.",
            person=guest.person,
            role="",
            may_review=False,
            now="",
            first=False,
            back=("/", f"Tasks, {desk.node.state.plant.title}"),
        )
        return HTMLResponse(document(f"Audit trail, {title}", h("main.page.alone", problem, shown)), headers=FRESH)

    work_pages(app, desk, door, folder, visit)
    material_pages(app, desk, door, visit)
    module_pages(app, desk, folder, visit)

    @app.get("/tasks", include_in_schema=False)
    async def part(request: Request) -> HTMLResponse:
        return HTMLResponse(str(content(guest_of(door, request, by_itself=True))), headers=FRESH)


def tasks_screen(site: SiteSummary, asked: Sequence[Asked], person: Person, *, may_answer: bool, ended: Sequence[str] = ()) -> Markup:
    """What changes on the page. `ended`: batches that are over, the newest first."""
    link = mark("quiet", "linked") if site.link.up else mark("silent", "no link; the work here goes on")
    top = h(
        "div.top",
        h("div", h("h1", site.title), said(link, day_second(site.now), person.printed_name)),
        h(
            "div.buttons",
            h("a.button.second", "Modules", href="/modules"),
            h("a.button.second", "Materials", href="/stock"),
            h("a.button.second", "Audit trail", href="/trail"),
            h("a.button.second", "Password", href="/password"),
            h("button.second", "Sign out", type="button", data_sign_out=True),
        ),
    )
    trouble = [
        h("div.notice.stop", h("h3", mark("stop", each.what)), h("p", f"Why: {each.why.rstrip('.')}."), h("p", each.then), role="alert")
        for each in site.alarms
    ]
    locked = _locked(site.locked, may_say=answers_for_attempts(person)) if site.locked else None
    above = h("div.alarms", *trouble, locked) if trouble or locked else None
    tasks = [_task(each, may_answer=may_answer) for each in asked]
    heading = h("h2", count_of(len(asked), "task") if asked else "Nothing to do", style="font-size:17px;margin:0 0 12px;color:var(--ink-2)")
    records = panel("Batch records", *(h("div.unit-row", h("b", each), record_links(each)) for each in ended[:ENDED_SHOWN])) if ended else None
    return join(top, above, heading, *tasks, panel("Units", *_units(site)), _permissions(site), records, panel("Record", *_ledgers(site)))


def _locked(locks: Sequence[LockLine], *, may_say: bool) -> Markup:
    """Told to everybody at the site at once, until somebody who answers for it has looked (21 CFR 11.300(d))."""
    names = list(dict.fromkeys(each.person for each in locks))
    rows = [
        h(
            "p",
            h("b", each.person),
            f": {each.failures} failures in a row {each.means}, last ",
            day_second(each.at),
            "; locked until ",
            day_time(each.until),
        )
        for each in locks[:LOCKS_SHOWN]
    ]
    then = (
        h("button.second", "I have looked at them …", type="button", data_open="#looked", style="margin-top:10px")
        if may_say
        else h("p", "Tell an administrator or quality at once. It is shown until one of them has looked.")
    )
    title = f"Unauthorised attempts: {', '.join(names[:5])}{' and others' if len(names) > 5 else ''} locked"
    return h("div.notice.stop", h("h3", mark("stop", title)), *rows, then, role="alert")


def _looked(person: Person, *, first: bool) -> Markup:
    """The dialog of those who answer for it."""
    identity, password = components(person, first=first)
    form = h(
        "form",
        h("label.field", h("span", "What came of it"), h("input", type="text", name="why", required=True, maxlength="300", autocomplete="off")),
        identity,
        password,
        h("div.buttons", h("button", "Say so", type="submit"), h("button.second", "Close", type="button", data_close=True)),
        data_post="/api/attempts/acknowledgement",
    )
    return h("dialog", h("h2", "Looked at the attempts"), h("p.words", "It is on record that you did, and what you say."), form, id="looked")


def _task(asked: Asked, *, may_answer: bool) -> Markup:
    """One line that leads to the screen of its unit."""
    here = site_words(asked.text)[0]
    how = "waits for a second person" if asked.given else limits_of(asked) if may_answer else "waits for an operator of this site"
    return h(
        "a.panel.task",
        h("p.of", f"{asked.unit}, {asked.batch}, asked ", day_time(asked.asked_at)),
        h("p.ask", here),
        h("p.of", how) if how else None,
        href=f"/units/{asked.unit}?task={asked.prompt}",
        data_task=f"{asked.batch}/{asked.prompt}",
    )


def _units(site: SiteSummary) -> list[Markup]:
    rows = []
    for each in site.units:
        stands = None if not each.batch or each.state in ("running", "complete") else h("div", mark("warn", f"The batch is {each.state}."))
        state = h("span", each.batch, h("span.limits", f"  {each.phase or each.state}"), stands) if each.batch else "free: start a batch"
        rows.append(h("a.unit-row", h("b", each.unit), state, h("span", plain_words(each.title)), href=f"/units/{each.unit}"))
    return rows


def _permissions(site: SiteSummary) -> Markup | None:
    """Whether something may be started here, and until when without the control site."""
    if not site.permissions:
        return None
    rows = []
    for each in site.permissions:
        said = f"{each.licence} {each.state}" if each.licence else "no licence"
        lease = h("span", "leased until ", day_time(each.lease_until)) if each.lease_until else "no lease"
        rows.append(
            h(
                "div.unit-row",
                h("b", each.product or site.site),
                h(
                    "span",
                    said,
                    h("div", mark("good", "A batch may be started"))
                    if each.may_start
                    else h("div", mark("warn", "No batch can be started"), h("small", f" {each.why}")),
                ),
                lease,
            )
        )
    return panel("Licences", *rows)


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
