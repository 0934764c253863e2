"""The control site's pages: NiceGUI mounted in the API's own application.

Guarantees: a page is made only for a person who is signed in; what changes on the network is
pushed to it, part by part, and only where it changed; a page whose session has ended leaves
for the sign-in. Acts go through the API like everybody else's, so a page can do nothing that
the API would refuse.
Leaves to others: what is on a page (screens), drawing trends (static/isogenic.js).

NiceGUI keeps its pages in one place for the whole process, so the node is found through the
request: several applications in one process keep apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from nicegui import ui

from isogenic.authority.people import Person, Role
from isogenic.authority.rules import Act, may, roles_that_may
from isogenic.checks import stops
from isogenic.clock import monotonic_seconds, time_of_text
from isogenic.errors import Refusal
from isogenic.ids import BatchId, LotId, NodeId, RecipeId, SiteId
from isogenic.plant.classes import STIRRED_BIOREACTOR
from isogenic.quality.record import LotRecord
from isogenic.quality.release import LotRejected, LotReleased, check_lot_is_in_quarantine
from isogenic.quality.trail import FILTERS
from isogenic.records.disclosures import disclosures
from isogenic.web.authority_api import authority_page, licence_lines
from isogenic.web.control_desk import ControlDesk, deviation_line, signature_line
from isogenic.web.control_materials import matrix_lines, stock_lines, twice_lines
from isogenic.web.credentials_api import Watch, person_lines
from isogenic.web.guard import Guest, guest_of
from isogenic.web.messages import NoteLine, time
from isogenic.web.recipe_views import recipe_view
from isogenic.web.revoking import revocation_line
from isogenic.web.screens.authority import authority_screen, site_licences
from isogenic.web.screens.authority_acts import Signs
from isogenic.web.screens.batches import batch_screen, batches_screen
from isogenic.web.screens.disclosures import disclosures_screen
from isogenic.web.screens.doors import inside, password_page, sign_in_page
from isogenic.web.screens.markup import Markup, h
from isogenic.web.screens.network import RunningBatch, network_head, network_map, network_nodes, network_running, network_sites
from isogenic.web.screens.parts import ICON, Nav, empty, panel, rail
from isogenic.web.screens.people import alarm_notice, people_screen
from isogenic.web.screens.recipe import recipe_screen
from isogenic.web.screens.recipes import recipes_screen
from isogenic.web.screens.records import records_screen
from isogenic.web.screens.release import lot_screen
from isogenic.web.screens.review import deviation_screen, review_screen
from isogenic.web.screens.site import key_panel, site_screen
from isogenic.web.screens.stocks import materials_screen
from isogenic.web.screens.trail import trail_screen
from isogenic.web.screens.words import signal_title, unit_words
from isogenic.web.signin import Door
from isogenic.web.trail import trail_answer, wanted_of

__all__ = ["mount_pages"]

LOOK_S = 1.0  # wall seconds between looks at what changed
GLANCE_S = 0.5  # less than a look, so that nobody sees what is older than one
GLANCES_MAX = 200
PAGE_FACTS = 50
COMPETENT_FOR = timedelta(days=2 * 365)  # what is proposed; who grants says otherwise
HEAD = '<link rel="stylesheet" href="/static/isogenic.css"><script src="/static/isogenic.js" defer></script>'
Render = Callable[[], Markup]


@dataclass(frozen=True, slots=True)
class Screens:
    """What a page needs to know of its node."""

    desk: ControlDesk
    door: Door
    watch: Watch
    glances: dict[str, tuple[float, str]] = field(default_factory=dict)

    def glance(self, name: str, render: Render) -> str:
        """What a part reads now; made once for everybody who looks within `GLANCE_S`, so that ten screens cost as one."""
        now = monotonic_seconds()
        made, content = self.glances.get(name, (-GLANCE_S, ""))
        if now - made < GLANCE_S:
            return content
        content = str(_calmly(render))
        if len(self.glances) >= GLANCES_MAX:
            self.glances.clear()
        self.glances[name] = (now, content)
        return content


class _Screens:
    """ASGI middleware: says to every request which node it came to."""

    def __init__(self, app: Any, screens: Screens) -> None:
        self.app, self.screens = app, screens

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        scope["isogenic.screens"] = self.screens
        await self.app(scope, receive, send)


def mount_pages(app: FastAPI, desk: ControlDesk, door: Door) -> None:
    """Add the pages to the API's application."""
    app.add_middleware(_Screens, screens=Screens(desk, door, app.state.watch))
    app.mount("/static", StaticFiles(directory=str(files("isogenic.web") / "static")), name="static")

    @app.get("/sign-in", include_in_schema=False)
    async def sign_in(request: Request) -> HTMLResponse:
        then = request.query_params.get("then", "/")
        return HTMLResponse(sign_in_page("Control site", then=inside(then)), headers={"Cache-Control": "no-store"})

    @app.get("/password", include_in_schema=False)
    async def password(request: Request) -> Response:
        try:
            why = guest_of(door, request).session.renew
        except Refusal:
            return RedirectResponse("/sign-in", status_code=303)
        return HTMLResponse(password_page("Control site", why), headers={"Cache-Control": "no-store"})

    ui.run_with(app, title="Isogenic", favicon=ICON, tailwind=False, show_welcome_message=False, language="en-US", reconnect_timeout=10.0)


# ---- how a page is made ----


def _screens(request: Request) -> Screens:
    found: Screens = request.scope["isogenic.screens"]
    return found


def _visit(request: Request) -> tuple[Screens, Guest] | Response:
    screens = _screens(request)
    try:
        return screens, guest_of(screens.door, request)
    except Refusal:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?then={quote(target, safe='')}" if target != "/" else "/sign-in", status_code=303)


class Page:
    """One open page: a frame, and parts of which some follow the node."""

    def __init__(self, screens: Screens, guest: Guest, *, here: str, title: str) -> None:
        self.screens, self.guest, self.here = screens, guest, here
        self._following: list[tuple[ui.html, Callable[[], str]]] = []
        ui.add_head_html(HEAD)
        ui.page_title(f"{title} · Isogenic")
        # Our own frame around NiceGUI's content: the rail follows the node, too.
        with ui.element("div").classes("frame"):
            self.rail = self.part(self._rail, tag="aside", classes="rail")
            self.main = ui.element("main").classes("page")
        if {Role.ADMINISTRATOR, Role.QUALITY, Role.QUALIFIED_PERSON} & set(guest.person.roles):
            with self.main:
                self.part(lambda: alarm_notice(screens.watch.alarm()), name="alarm")
        ui.timer(LOOK_S, self._look)

    def _rail(self) -> Markup:
        desk = self.screens.desk
        waiting = int(self.screens.glance("waiting", lambda: Markup(str(len(desk.deviations(open_only=True)) + len(desk.waiting())))))
        return rail(Nav(self.here, self.guest.person, desk.node.ledgers["HOUSE"].origin.partition("/")[0], waiting))

    def part(self, render: Render, *, name: str = "", tag: str = "div", classes: str = "", follow: bool = True) -> ui.html:
        """A part of the page; with `follow` it is made again when it would read otherwise. A part with a `name` reads the same for everybody."""

        def content() -> str:
            return self.screens.glance(name, render) if name else str(_calmly(render))

        made = ui.html(content(), sanitize=False, tag=tag)
        if classes:
            made.classes(classes)
        if follow:
            self._following.append((made, content))
        return made

    def _look(self) -> None:
        if not self.screens.door.alive(self.guest.session):
            ui.navigate.to("/sign-in")
            return
        for made, content in self._following:
            said = content()
            if said != made.content:
                made.set_content(said)


def _calmly(render: Render) -> Markup:
    """What a part shows, or why it cannot be shown."""
    try:
        return render()
    except Refusal as refusal:
        return h(
            "div.notice.warn",
            h("h3", refusal.what[:1].upper() + refusal.what[1:]),
            h("p", refusal.why),
            h("p", f"Possible: {refusal.possible}") if refusal.possible else None,
        )


# ---- the pages ----


@ui.page("/")
def network_page(request: Request) -> Response | None:
    """The network."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk = Page(screens, guest, here="/", title="Network"), screens.desk
    with page.main:
        page.part(lambda: network_head(desk.network()), name="network head")
        with ui.element("div").classes("grid cols-map"):
            page.part(lambda: network_map(desk.network(), desk.places), name="network map")
            page.part(lambda: network_sites(desk.network()), name="network sites")
        page.part(lambda: network_running(_running(desk)), name="network running", classes="below")
        page.part(lambda: network_nodes(desk.network()), name="network nodes", classes="below")
    return None


def _running(desk: ControlDesk) -> list[RunningBatch]:
    found: list[RunningBatch] = []
    for record in desk.records():
        if record.closed_at is not None:
            continue
        line = desk.batch_line(record)
        points = desk.node.desk.live[NodeId(line.site)].units.get(line.unit, ()) if line.site else ()
        newest = points[-1][1] if points else {}
        found.append((line, desk.story(line.batch)[1].phases(), newest.get("t2"), newest.get("spe")))
    return found


@ui.page("/sites/{site}")
def site_page(request: Request, site: str) -> Response | None:
    """One site."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk = Page(screens, guest, here="/", title=site), screens.desk
    with page.main:
        page.part(lambda: site_screen(desk.site(desk.known(site))), name=f"site {site}")
        page.part(lambda: _licences(screens, desk.known(site)), name=f"licences {site}", classes="below")
        page.part(lambda: _key(screens, guest, desk.known(site)), classes="below", follow=False)
    return None


def _licences(screens: Screens, site: SiteId) -> Markup:
    desk = screens.desk
    return site_licences([each for each in licence_lines(desk.node) if each.site == site], time(desk.now) or "")


def _key(screens: Screens, guest: Guest, site: SiteId) -> Markup:
    state = screens.desk.node.state
    return key_panel(
        site,
        state.directory.sites[site].keys.ledger if state.directory and site in state.directory.sites else "",
        [revocation_line(each) for each in state.keys.revoked if each.site == site],
        person=guest.person,
        role=_role(guest.person, Act.REVOKE_KEY),
        now=time(screens.desk.now) or "",
        may=not stops(may(guest.person, Act.REVOKE_KEY)),
        first=not screens.door.has_signed(guest.session),
    )


@ui.page("/batches")
def batches_page(request: Request) -> Response | None:
    """Every batch."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk = Page(screens, guest, here="/batches", title="Batches"), screens.desk
    with page.main:
        page.part(lambda: batches_screen([desk.batch_line(record) for record in desk.records()]), name="batches")
    return None


@ui.page("/batches/{batch}")
def batch_page(request: Request, batch: str) -> Response | None:
    """One batch: the trends are drawn once and fed by events; what is around them follows the node."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk = Page(screens, guest, here="/batches", title=batch), screens.desk

    def parts() -> tuple[Markup, Markup, Markup]:
        record, story = desk.story(batch)
        setpoints = _setpoints(story.state.named_setpoints())
        deviations = [deviation_line(each) for each in record.deviations.values()]
        return batch_screen(desk.batch_line(record), story.phases(), story.prompts(), deviations, story.events, setpoints)

    def side() -> Markup:
        return h("div.stack", parts()[2])

    with page.main:
        page.part(lambda: parts()[0], name=f"batch head {batch}")
        with ui.element("div").classes("grid cols-main"):
            page.part(lambda: parts()[1], follow=False)
            page.part(side, name=f"batch side {batch}")
    return None


def _setpoints(setpoints: Mapping[str, float]) -> list[tuple[str, str]]:
    signals = STIRRED_BIOREACTOR.signals
    return [
        (signal_title(name).replace(" set-point", ""), f"{value:g} {unit_words(signals[name].unit) if name in signals else ''}".strip())
        for name, value in setpoints.items()
    ]


@ui.page("/review")
def review_page(request: Request) -> Response | None:
    """What waits for a decision."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk = Page(screens, guest, here="/review", title="Review"), screens.desk
    with page.main:
        page.part(lambda: review_screen(desk.deviations(), desk.lots()), name="review")
    return None


@ui.page("/deviations/{deviation}")
def deviation_page(request: Request, deviation: str) -> Response | None:
    """One deviation. It does not follow the node, so that nothing moves under a person who writes."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk, person = Page(screens, guest, here="/review", title=deviation), screens.desk, guest.person

    def content() -> Markup:
        record, found = desk.deviation(deviation)
        against = stops(may(person, Act.DISPOSE_DEVIATION, site=found.opened.site, operators=record.operators))
        return deviation_screen(
            deviation_line(found),
            desk.batch_line(record),
            person=person,
            may_dispose=not against,
            why_not="; ".join(note.text for note in against),
            now=time(desk.now) or "",
            role=_role(person, Act.DISPOSE_DEVIATION),
            first=not screens.door.has_signed(guest.session),
        )

    with page.main:
        page.part(content, follow=False)
    return None


@ui.page("/lots/{lot}")
def lot_page(request: Request, lot: str) -> Response | None:
    """One lot and its release. It does not follow the node: what is signed is what was shown."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk, person = Page(screens, guest, here="/review", title=lot), screens.desk, guest.person

    def content() -> Markup:
        record = desk.node.state.lot(LotId(lot))
        decided = desk.node.state.decisions.get(LotId(lot))
        why, shown = "", None
        try:
            shown = desk.release_page(lot, asked_by=person.id)
        except Refusal as refusal:
            why = str(refusal)
        if shown is not None and decided is not None:
            signed = {"notes": _notes_as_decided(decided, shown.notes), "digest": decided.signature.digest}
            shown = shown.model_copy(update=signed)
        return lot_screen(
            desk.lot_line(record),
            shown,
            person=person,
            role=_role(person, Act.RELEASE_LOT),
            now=time(desk.now) or "",
            why_no_page=why,
            signature=signature_line(decided.signature) if decided else None,
            may_release=_may(person, Act.RELEASE_LOT, record),
            may_reject=_may(person, Act.REJECT_LOT, record),
            first=not screens.door.has_signed(guest.session),
        )

    with page.main:
        page.part(content, follow=False)
    return None


def _notes_as_decided(decided: LotReleased | LotRejected, notes: list[NoteLine]) -> list[NoteLine]:
    """What the person saw who released the lot; of a rejected lot what else there is to say: that it left quarantine is the decision itself."""
    if isinstance(decided, LotRejected):
        return [note for note in notes if note.check != check_lot_is_in_quarantine.__name__]
    split = [text.partition(": ") for text in decided.notes]
    return [NoteLine(check="as released", severity=severity, text=words, owner="") for severity, _, words in split]


def _may(person: Person, act: Act, record: LotRecord) -> bool:
    return not stops(may(person, act, site=record.site, operators=record.operators))


def _role(person: Person, act: Act) -> str:
    return next((role.words for role in roles_that_may(act) if role in person.roles), person.roles[0].words)


@ui.page("/recipes")
def recipes_page(request: Request) -> Response | None:
    """Recipe versions."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk = Page(screens, guest, here="/recipes", title="Recipes"), screens.desk
    with page.main:
        may_submit = not stops(may(guest.person, Act.SIGN_RECIPE_AS_AUTHOR))
        page.part(lambda: recipes_screen([(line, desk.recipe_title(line)) for line in desk.recipes()], may_submit=may_submit), name="recipes")
    return None


@ui.page("/recipes/{recipe}/{version}")
def recipe_page(request: Request, recipe: str, version: int) -> Response | None:
    """One version at its four levels. It does not follow the node: what is signed is what was shown."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk, person = Page(screens, guest, here="/recipes", title=f"{recipe} version {version}"), screens.desk, guest.person

    def content() -> Markup:
        view = recipe_view(desk.node, RecipeId(recipe), version, person=person)
        act = Act.SIGN_RECIPE_AS_AUTHOR if view.may_author else Act.APPROVE_RECIPE
        return recipe_screen(view, role=_role(person, act), now=time(desk.now) or "", first=not screens.door.has_signed(guest.session))

    with page.main:
        page.part(content, follow=False)
    return None


@ui.page("/records")
def records_page(request: Request) -> Response | None:
    """Facts. It is made once for each question: a page that is being read does not move."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk = Page(screens, guest, here="/records", title="Records"), screens.desk
    asked = {name: request.query_params.get(name, "")[:300] for name in ("text", "kind", "ledger", "subject", "actor", "after")}

    def content() -> Markup:
        derived = desk.node.derived
        if derived is None:
            return panel("Facts", empty("This node keeps no tables to search."))
        found = desk.facts(**asked, limit=PAGE_FACTS)
        ledgers = desk.ledgers()
        return records_screen(
            found, asked=asked, ledgers=[each.origin for each in ledgers], kinds=derived.kinds(), total=sum(each.size for each in ledgers)
        )

    with page.main:
        page.part(content, follow=False)
    return None


@ui.page("/trail")
def trail_page(request: Request) -> Response | None:
    """The audit trail. It is made once for each question: a page that is being read does not move."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk, person = Page(screens, guest, here="/trail", title="Audit trail"), screens.desk, guest.person
    asked = {name: request.query_params.get(name, "")[:300] for name in (*FILTERS, "changes", "after")}

    def content() -> Markup:
        derived = desk.node.derived
        if derived is None:
            return panel("Changes", empty("This node keeps no tables to search."))
        wanted = wanted_of(**{name: asked[name].strip() for name in FILTERS}, changes=asked["changes"] == "true")
        answer = trail_answer(derived.db, wanted, after=asked["after"], limit=PAGE_FACTS, stage=desk.trail_stage)
        review, why, may_review = None, "", False
        if wanted.batch:
            try:
                review = desk.trail_review(wanted.batch)
                may_review = _may(person, Act.REVIEW_TRAIL, desk.node.state.lots[BatchId(wanted.batch)])
            except Refusal as refusal:
                why = str(refusal)
        return trail_screen(
            answer,
            asked=asked,
            kinds=list(derived.kinds()),
            ledgers=[each.origin for each in desk.ledgers()],
            review=review,
            why_no_review=why,
            person=person,
            role=_role(person, Act.REVIEW_TRAIL),
            may_review=may_review,
            now=time(desk.now) or "",
            first=not screens.door.has_signed(guest.session),
        )

    with page.main:
        page.part(content, follow=False)
    return None


@ui.page("/authority")
def authority_view(request: Request) -> Response | None:
    """Who may make what where."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk = Page(screens, guest, here="/authority", title="Authority"), screens.desk

    def content() -> Markup:
        return authority_screen(authority_page(desk.node), _signs(screens, guest.person, first=not screens.door.has_signed(guest.session)))

    with page.main:
        page.part(content, follow=False)
    return None


def _signs(screens: Screens, person: Person, *, first: bool) -> Signs:
    node = screens.desk.node
    everybody = sorted(node.state.directory.people.values(), key=lambda each: each.printed_name) if node.state.directory else []
    return Signs(
        person,
        [(str(each.id), each.printed_name) for each in everybody if each.may_enter],
        [str(site) for site in node.sites()],
        now=time(screens.desk.now) or "",
        until=f"{(screens.desk.now + COMPETENT_FOR):%Y-%m-%d}T00:00:00Z",
        first=first,
    )


@ui.page("/materials")
def materials_view(request: Request) -> Response | None:
    """Received lots of every site, changeover matrices, assemblies. It does not follow the node, so that nothing moves under a person who signs."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, node, person = Page(screens, guest, here="/materials", title="Materials"), screens.desk.node, guest.person

    def content() -> Markup:
        acts = (Act.RELEASE_MATERIAL, Act.BLOCK_MATERIAL, Act.SIGN_RECIPE_AS_AUTHOR, Act.APPROVE_RECIPE)
        return materials_screen(
            stock_lines(node),
            matrix_lines(node),
            twice_lines(node),
            person=person,
            roles={act: _role(person, act) for act in acts if any(role in person.roles for role in roles_that_may(act))},
            now=time(screens.desk.now) or "",
            first=not screens.door.has_signed(guest.session),
        )

    with page.main:
        page.part(content, follow=False)
    return None


@ui.page("/disclosures")
def disclosures_page(request: Request) -> Response | None:
    """What left the control site. Made once for each question."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk = Page(screens, guest, here="/disclosures", title="Disclosures"), screens.desk
    asked = {name: request.query_params.get(name, "")[:60].strip() for name in ("to", "since")}

    def content() -> Markup:
        journal, held = desk.node.journal, desk.node.state.entitlements
        if journal is None:
            return panel("Disclosures", empty("This node keeps no journal of what leaves."))
        found = disclosures(journal.ledger.facts(), since=time_of_text(asked["since"]) if asked["since"] else None, to=asked["to"])
        rows = [
            (each.ledger, each.party, state, each.why, signature_line(each.signature) if each.signature else None)
            for state, table in (("granted", held.granted), ("ended", held.ended))
            for each in table.values()
        ]
        return disclosures_screen(found, rows, asked=asked)

    with page.main:
        page.part(content, follow=False)
    return None


@ui.page("/people")
def people_page(request: Request) -> Response | None:
    """People and their credentials. It does not follow the node, so that nothing moves under a person who types."""
    visit = _visit(request)
    if isinstance(visit, Response):
        return visit
    screens, guest = visit
    page, desk, door, person = Page(screens, guest, here="/people", title="People"), screens.desk, screens.door, guest.person

    def content() -> Markup:
        return people_screen(
            person_lines(desk.node, door),
            screens.watch.lines(),
            person=person,
            keeps=not stops(may(person, Act.KEEP_ACCOUNTS)),
            answers=bool({Role.ADMINISTRATOR, Role.QUALITY, Role.QUALIFIED_PERSON} & set(person.roles)),
            first=not door.has_signed(guest.session),
            domain=door.keeping.domain,
        )

    with page.main:
        page.part(content, follow=False)
    return None
