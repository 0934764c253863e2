"""Materials of a site over HTTP: what is in stock, deliveries, assemblies, lines, and what went into what.

    GET  /api/stock                         received lots, where each stands
    POST /api/stock                         a delivery, by its label: in quarantine
    POST /api/stock/{receipt}/decision      released for use, rejected, recalled by signature; used up
    POST /api/assemblies/opened, .../tested, .../installed, .../removed
    GET  /api/lines                         each unit: what was on it, what it is made ready for, which steps are done
    POST /api/lines/{unit}/assignment       make it ready for a lot
    POST /api/lines/{unit}/steps            a step, done by the person who asks
    GET  /api/genealogy/{lot}               what a lot is made of, and what it went into
    POST /api/labels/look                   what a label says; nothing is noted

Guarantees: every act is decided by sites.materials and noted with the person as actor before it is answered; a refusal of the rules
is noted, too.
Leaves to others: deciding (sites.materials), the screen (screens.materials).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import FastAPI
from pydantic import Field

from isogenic.authority.rules import Act
from isogenic.checks import stops
from isogenic.clock import time_of_text
from isogenic.errors import NotAllowed, NotFound
from isogenic.ids import IdentityCode, LotId, ProductId, ReceiptId, RecipeId, SponsorId, UnitId
from isogenic.materials.clearance import Line, LineStepDone, state_of, steps_of
from isogenic.materials.labels import read_label
from isogenic.materials.lots import Genealogy, Link
from isogenic.materials.receipts import MaterialReceived, Part, PartKind, ReceiptCommand, Resin, Sterility
from isogenic.materials.stock import Stock
from isogenic.sites import materials
from isogenic.sites.state import SiteState
from isogenic.units import Quantity
from isogenic.web.guard import READER, Asker
from isogenic.web.messages import Body, Reasoned, Signing, UnitText, Words, time
from isogenic.web.passkeys import Pens
from isogenic.web.problems import PROBLEMS
from isogenic.web.screens.parts import count_of
from isogenic.web.site_desk import SiteDesk

__all__ = ["GenealogyAnswer", "LineView", "ReceiptLine", "genealogy_of", "lines_of", "material_routes", "stock_of"]

LINKS_MAX = 2_000  # of an answer: a lot of a film that reached a thousand lots still fits
Scanned = Annotated[str, Field(min_length=1, max_length=400, description="what the scanner read")]
Short = Annotated[str, Field(min_length=1, max_length=80)]
Perhaps = Annotated[str, Field(max_length=80)]
Digest = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of the certificate, hex")]


class ResinBody(Body):
    """A resin of a component."""

    name: Short
    lot: Short
    maker: Perhaps = ""


class PartBody(Body):
    """A component lot of an assembly, by its place in the tree."""

    place: Annotated[str, Field(max_length=24)]
    kind: PartKind
    item: Short
    lot: Short
    title: Perhaps = ""
    supplier: Perhaps = ""
    resins: Annotated[list[ResinBody], Field(max_length=8, default_factory=list)]


class SterilityBody(Body):
    """What the supplier claims."""

    method: Short
    claim: Short
    lot: Short
    certificate: Digest


class DeliveryBody(Body):
    """A delivery, by its label; what the label says need not be said again."""

    scanned: Scanned
    title: Short
    supplier: Short
    quantity: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    unit: Annotated[str, Field(max_length=40)] = "1"
    certificate: Digest
    sponsor: Annotated[str, Field(max_length=40)] = ""
    item: Annotated[str, Field(max_length=40)] = ""
    lot: Annotated[str, Field(max_length=40)] = ""
    expires: Annotated[str, Field(max_length=40, description="where the label does not say")] = ""
    serials: Annotated[list[Annotated[str, Field(max_length=20)]], Field(max_length=500, default_factory=list)]
    parts: Annotated[list[PartBody], Field(max_length=200, default_factory=list)]
    sterility: SterilityBody | None = None
    products: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=20, default_factory=list)]
    patient: Annotated[str, Field(max_length=40)] = ""


class DecisionBody(Signing):
    """A decision on a received lot. Signed, but for `use_up`."""

    command: ReceiptCommand
    why: Words
    meaning: Annotated[str, Field(max_length=40)] = ""


class PieceBody(Body):
    """One assembly, by its label."""

    scanned: Scanned


class IntegrityBody(PieceBody):
    """A test of its integrity."""

    method: Short
    passed: bool
    evidence: Short


class InstallBody(PieceBody):
    """Where it goes."""

    unit: UnitText
    position: Annotated[str, Field(max_length=40)]


class RemoveBody(Body):
    """What is taken off, and why."""

    unit: UnitText
    position: Annotated[str, Field(max_length=40)]
    why: Words


class AssignmentBody(Body):
    """What a line is to be made ready for."""

    recipe: Annotated[str, Field(max_length=40)]
    version: Annotated[int, Field(ge=1, le=9_999)]
    lot: Annotated[str, Field(max_length=40)]
    until: Annotated[str, Field(max_length=40, description="planned end, RFC 3339 or a day")]
    patient: Annotated[str, Field(max_length=40)] = ""


class StepBody(Body):
    """A step that was done."""

    step: Short
    ticked: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=40, default_factory=list)]
    value: Annotated[float | None, Field(allow_inf_nan=False)] = None
    unit: Annotated[str, Field(max_length=40)] = ""
    evidence: Perhaps = ""


class ReceiptLine(Body):
    """A received lot on one line."""

    receipt: str
    sponsor: str
    item: str
    title: str
    supplier: str
    lot: str
    quantity: str
    expires: str | None
    state: str
    serials: int
    used: int
    patient: bool


class StepLine(Body):
    """A step of a changeover."""

    name: str
    title: str
    kind: str
    done: bool
    people: list[str]
    missing: str
    checklist: list[str]
    result: str
    limit: str


class PlaceLine(Body):
    """A position of a unit, and what is in it."""

    position: str
    title: str
    items: list[str]
    piece: str = ""


class LineView(Body):
    """One unit: where its line stands."""

    unit: str
    state: str
    on_it: str
    last_lot: str
    lot: str
    product: str
    patient: bool
    until: str | None
    forbidden: str = ""
    steps: list[StepLine]
    places: list[PlaceLine]


class LinkLine(Body):
    """Something went into something."""

    into: str
    used_lot: str
    material: str


class GenealogyAnswer(Body):
    """What a name is made of, and what it went into; several where a supplier's number is of several items."""

    name: str
    made_of: list[LinkLine]
    went_into: list[LinkLine]
    received: list[ReceiptLine]


class LabelSaid(Body):
    """What a label says."""

    kind: str
    id: str
    item: str
    lot: str
    serial: str
    expires: str | None
    words: str


def material_routes(app: FastAPI, desk: SiteDesk, pens: Pens) -> None:
    """Add them to a site's application."""
    _reading(app, desk)
    _receiving(app, desk, pens)
    _assembling(app, desk)
    _clearing(app, desk)


def _reading(app: FastAPI, desk: SiteDesk) -> None:
    node = desk.node

    @app.get("/api/stock", responses=PROBLEMS, dependencies=READER, tags=["materials"], summary="Received lots")
    async def stock() -> list[ReceiptLine]:
        """Every received lot, newest first."""
        return stock_of(node.state.stock, now=node.state.permission.latest(node.clock.now()))

    @app.get("/api/lines", responses=PROBLEMS, dependencies=READER, tags=["materials"], summary="Lines")
    async def lines() -> list[LineView]:
        """Where each unit's line stands."""
        return lines_of(node.state, now=node.clock.now().at)

    @app.get("/api/genealogy/{lot:path}", responses=PROBLEMS, dependencies=READER, tags=["materials"], summary="What went into what")
    async def genealogy(lot: Annotated[str, Field(max_length=120)]) -> list[GenealogyAnswer]:
        """Backward and forward from a lot, a received lot, an assembly or a supplier's lot number."""
        return genealogy_of(node.state.genealogy, [node.state.stock], lot, now=node.state.permission.latest(node.clock.now()))

    @app.post("/api/labels/look", responses=PROBLEMS, dependencies=READER, tags=["materials"], summary="What a label says")
    async def look(body: PieceBody) -> LabelSaid:
        """The label read; nothing is noted."""
        label = read_label(body.scanned)
        return LabelSaid(
            kind=label.kind, id=label.id, item=label.item, lot=label.lot, serial=label.serial, expires=time(label.expires), words=label.words
        )


def _receiving(app: FastAPI, desk: SiteDesk, pens: Pens) -> None:
    node = desk.node

    @app.post("/api/stock", status_code=201, responses=PROBLEMS, tags=["materials"], summary="Receive a delivery")
    async def receive(body: DeliveryBody, guest: Asker) -> Reasoned:
        """A delivery, in quarantine from here on."""
        with desk.asking(guest, Act.RECEIVE_MATERIAL):
            said = materials.receive(node.state, guest.person, _delivery(body), scanned=body.scanned, mint=node.mint)
        return desk.note(said, by=guest, act=Act.RECEIVE_MATERIAL)

    @app.post("/api/stock/{receipt}/decision", responses=PROBLEMS, tags=["materials"], summary="Decide on a received lot")
    async def decide(receipt: Annotated[str, Field(max_length=40)], body: DecisionBody, guest: Asker) -> Reasoned:
        """Release it for use, reject or recall it by signature; or say that it is used up."""
        act = materials.act_of(body.command)
        pen = None if body.command is ReceiptCommand.USE_UP else await pens.pen(guest, body, act)
        with desk.asking(guest, act):
            now = node.clock.now().at
            said = materials.decide(node.state, guest.person, pen, receipt=ReceiptId(receipt), command=body.command, why=body.why, now=now)
        return desk.note(said, by=guest, act=act)


def _assembling(app: FastAPI, desk: SiteDesk) -> None:
    node, act = desk.node, Act.INSTALL_ASSEMBLY

    @app.post("/api/assemblies/opened", responses=PROBLEMS, tags=["materials"], summary="An assembly was opened")
    async def opened(body: PieceBody, guest: Asker) -> Reasoned:
        """Its packaging was opened."""
        with desk.asking(guest, act):
            said = materials.open_assembly(node.state, guest.person, scanned=body.scanned)
        return desk.note(said, by=guest, act=act)

    @app.post("/api/assemblies/tested", responses=PROBLEMS, tags=["materials"], summary="An assembly was tested")
    async def tested(body: IntegrityBody, guest: Asker) -> Reasoned:
        """Its integrity was tested, passed or failed."""
        with desk.asking(guest, act):
            said = materials.record_integrity(
                node.state, guest.person, scanned=body.scanned, method=body.method, passed=body.passed, evidence=body.evidence
            )
        return desk.note(said, by=guest, act=act)

    @app.post("/api/assemblies/installed", responses=PROBLEMS, tags=["materials"], summary="Install an assembly")
    async def installed(body: InstallBody, guest: Asker) -> Reasoned:
        """Scanned, checked, noted as used; only then connect it."""
        with desk.asking(guest, act):
            now = node.clock.now().at
            said, notes = materials.install(node.state, guest.person, scanned=body.scanned, unit=UnitId(body.unit), position=body.position, now=now)
            if against := stops(notes):
                why = "; ".join(note.text for note in against)
                raise NotAllowed(f"cannot install this in {body.position}", why=why, possible="take another, or put the named things right")
        return desk.note(said, by=guest, act=act)

    @app.post("/api/assemblies/removed", responses=PROBLEMS, tags=["materials"], summary="Take an assembly off")
    async def removed(body: RemoveBody, guest: Asker) -> Reasoned:
        """Before its batch begins. It stays used."""
        with desk.asking(guest, act):
            said = materials.remove(node.state, guest.person, unit=UnitId(body.unit), position=body.position, why=body.why)
        return desk.note(said, by=guest, act=act)


def _clearing(app: FastAPI, desk: SiteDesk) -> None:
    node = desk.node

    @app.post("/api/lines/{unit}/assignment", responses=PROBLEMS, tags=["materials"], summary="Make a line ready for a lot")
    async def assign(unit: UnitText, body: AssignmentBody, guest: Asker) -> Reasoned:
        """The changeover begins, from the start where one was under way."""
        with desk.asking(guest, Act.ASSIGN_LINE):
            said = materials.assign_line(
                node.state,
                guest.person,
                unit=UnitId(unit),
                recipe=RecipeId(body.recipe),
                version=body.version,
                lot=LotId(body.lot),
                until=_moment(body.until),
                now=node.clock.now().at,
                patient=IdentityCode(body.patient) if body.patient else None,
            )
        return desk.note(said, by=guest, act=Act.ASSIGN_LINE)

    @app.post("/api/lines/{unit}/steps", responses=PROBLEMS, tags=["materials"], summary="A step of a changeover was done")
    async def step(unit: UnitText, body: StepBody, guest: Asker) -> Reasoned:
        """By the person who asks; a second person asks for themselves."""
        said = LineStepDone(UnitId(unit), 0, body.step, guest.person.id, tuple(body.ticked), body.value, body.unit, body.evidence)
        with desk.asking(guest, Act.CLEAR_LINE):
            done = materials.do_step(node.state, guest.person, said)
        return desk.note(done, by=guest, act=Act.CLEAR_LINE)


def _moment(text: str) -> datetime:
    return time_of_text(f"{text}T00:00:00.000Z" if len(text) == 10 else text)


def _delivery(body: DeliveryBody) -> materials.Delivery:
    sterile = body.sterility
    return materials.Delivery(
        body.title,
        body.supplier,
        Quantity.parse(f"{body.quantity!r} {body.unit}"),
        body.certificate,
        sponsor=SponsorId(body.sponsor) if body.sponsor else None,
        item=body.item,
        lot=body.lot,
        expires=_moment(body.expires) if body.expires else None,
        serials=tuple(body.serials),
        parts=tuple(
            Part(each.place, each.kind, each.item, each.lot, each.title, each.supplier, tuple(Resin(r.name, r.lot, r.maker) for r in each.resins))
            for each in body.parts
        ),
        sterility=Sterility(sterile.method, sterile.claim, sterile.lot, sterile.certificate.lower()) if sterile else None,
        products=tuple(ProductId(each) for each in body.products),
        patient=IdentityCode(body.patient) if body.patient else None,
    )


# ---- what is shown --------------------------------------------------------------------------------------


def stock_of(stock: Stock, *, now: datetime) -> list[ReceiptLine]:
    """Every received lot, newest first."""
    return [_receipt(stock, received, now) for received in reversed(tuple(stock.receipts.values()))]


def _receipt(stock: Stock, received: MaterialReceived, now: datetime) -> ReceiptLine:
    return ReceiptLine(
        receipt=received.receipt,
        sponsor=received.sponsor,
        item=received.item,
        title=received.title,
        supplier=received.supplier,
        lot=received.lot,
        quantity=str(received.quantity) if not received.serials else count_of(len(received.serials), "piece"),
        expires=time(received.expires),
        state=str(stock.state(received.receipt, now=now)),
        serials=len(received.serials),
        used=sum(stock.piece(f"{received.item}/{serial}").used for serial in received.serials),
        patient=received.patient is not None,
    )


def lines_of(state: SiteState, *, now: datetime) -> list[LineView]:
    """Where each unit's line stands."""
    found, matrix = [], materials.matrix_of(state)
    for unit in state.plant.units.values():
        line, cell = state.lines.get(unit.id, Line()), materials.cell_of(state, unit)
        installed = materials.is_installed(state, unit, now=now)
        steps = () if cell is None else steps_of(line, cell, installed=installed, now=now)
        placed = {} if line.planned is None else state.stock.installed(unit.id, line.planned.lot)
        found.append(
            LineView(
                unit=unit.id,
                state=str(state_of(line, matrix, equipment=unit.cls.name, installed=installed, now=now)),
                on_it=str(line.taken_by or ""),
                last_lot=str(line.last.lot) if line.last else "",
                lot=str(line.planned.lot) if line.planned else "",
                product=str(line.planned.product) if line.planned else "",
                patient=bool(line.planned and line.planned.patient),
                until=time(line.planned.until) if line.planned else None,
                forbidden=cell.forbidden if cell else "",
                steps=[
                    StepLine(
                        name=each.step.name,
                        title=each.step.title,
                        kind=str(each.step.kind),
                        done=each.done,
                        people=list(each.people),
                        missing=each.missing,
                        checklist=list(each.step.checklist),
                        result=each.step.result,
                        limit=f"{each.step.at_most:g} {each.step.unit}".strip() if each.step.result else "",
                    )
                    for each in steps
                ],
                places=[
                    PlaceLine(
                        position=each.name, title=each.title, items=list(each.items), piece=placed[each.name].piece if each.name in placed else ""
                    )
                    for each in (materials.positions_of(state, unit) if line.planned else ())
                ],
            )
        )
    return found


def genealogy_of(genealogy: Genealogy, stocks: list[Stock], name: str, *, now: datetime) -> list[GenealogyAnswer]:
    """Backward and forward from whatever a name may mean, or `NotFound`."""
    names = genealogy.names(name)
    if not names:
        raise NotFound(f"nothing is known of {name[:60]!r}", why="no delivery, component, assembly or lot has that name or number here")
    found = []
    for each in names:
        below, above = genealogy.made_of(each), genealogy.reaches(each)
        mentioned = {each, *(link.used_lot for link in below), *(link.into for link in above)}
        received = [_receipt(stock, known, now) for stock in stocks for receipt, known in stock.receipts.items() if receipt in mentioned]
        found.append(GenealogyAnswer(name=each, made_of=_links(below), went_into=_links(above), received=received[:LINKS_MAX]))
    return found


def _links(links: tuple[Link, ...]) -> list[LinkLine]:
    return [LinkLine(into=each.into, used_lot=each.used_lot, material=each.material) for each in links[:LINKS_MAX]]
