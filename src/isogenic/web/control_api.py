"""The control site over HTTP: the network, its records, and what people decide.

Guarantees: every decision is taken by `network.decisions`, by a person who is signed in and
gives the password again to sign, or answers with a passkey; what the rules refuse is noted with the person's name. The
release page carries a digest; a release that does not bring the digest of the page as it
stands is refused, so nobody signs what they did not see.
Leaves to others: deciding (decisions), reading (control_desk), looks (screens).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import StreamingResponse

from isogenic.authority.people import Person
from isogenic.authority.rules import Act
from isogenic.clock import time_of_text
from isogenic.errors import NotAllowed, NotFound
from isogenic.ids import BatchId, DeviationId, LotId, NodeId, RecipeId, SiteId, UnitId
from isogenic.network import decisions
from isogenic.network.batch_records import batch_record
from isogenic.network.control import ControlNode
from isogenic.network.disclosing import hand_over
from isogenic.network.facts import PersonRefused, PersonSignedIn, PersonSignInRefused
from isogenic.network.reviewing import review_trail
from isogenic.network.statements import StatementKind, export_statement
from isogenic.records.derived import Tables
from isogenic.records.facts import Actor, Payload
from isogenic.web.authority_api import authority_routes
from isogenic.web.batch_records import record_routes
from isogenic.web.control_desk import ControlDesk, signature_line
from isogenic.web.control_materials import control_material_routes
from isogenic.web.control_messages import LotLine, Network, PictureLine, RecipeLine, ReleasePage, SignatureLine, SiteDetail
from isogenic.web.credentials_api import credential_routes
from isogenic.web.disclosures import disclosure_routes, entitlement_routes, ledgers_of_dossier
from isogenic.web.dossiers import DossierBuilder, dossier_of
from isogenic.web.guard import READER, Asker, actor_for, nothing_else, sign_in_routes
from isogenic.web.live import Streams
from isogenic.web.messages import (
    BatchDetail,
    BatchLine,
    BatchText,
    DeviationLine,
    DeviationText,
    Disposition,
    FactsPage,
    LotText,
    RecipeIdText,
    RecipeText,
    Rejection,
    Release,
    ReviewTrail,
    SignRecipe,
    SiteText,
    StatementAbout,
    TrailReviewPage,
    UnitText,
    Version,
)
from isogenic.web.passkeys import Pens, passkey_sign_in
from isogenic.web.problems import PROBLEMS, answer_refusals
from isogenic.web.recipes_api import site_document_routes
from isogenic.web.revoking import revocation_routes
from isogenic.web.signin import AccountFolder, Door, Keeping
from isogenic.web.trail import trail_routes
from isogenic.web.vault import vault_routes

__all__ = ["control_app", "control_door"]

FACTS_MAX = 500
REASONS_MAX, REASON_MAX = 20, 400
ZIP = "application/zip"
COSE = 'application/cose; cose-type="cose-sign1"'


def control_door(node: ControlNode, accounts: AccountFolder, *, keeping: Keeping | None = None) -> Door:
    """The sign-in of the control site."""

    def note(payload: Payload, actor: Actor | None) -> None:
        node.note([payload], actor=actor)

    return Door(
        accounts,
        directory=lambda: node.state.directory,
        note=note,
        signed_in=lambda person, method: PersonSignedIn(person, method),
        refused=lambda person, why: PersonSignInRefused(person, why),
        keeping=keeping,
    )


@contextmanager
def noting_refusals(node: ControlNode, person: Person, act: str) -> Iterator[None]:
    """Note what a person asked for and was not allowed."""
    try:
        yield
    except NotAllowed as refusal:
        reasons = tuple(part[:REASON_MAX] for part in refusal.why.split("; ")[:REASONS_MAX])
        node.note([PersonRefused(person.id, act[:80], reasons)], actor=actor_for(person, Act.READ))
        raise


def control_app(
    node: ControlNode,
    accounts: AccountFolder,
    *,
    door: Door | None = None,
    screens: bool = True,
    places: Mapping[SiteId, tuple[float, float]] | None = None,
    silent_s: float | None = None,
    dossier: DossierBuilder = dossier_of,
    keeping: Keeping | None = None,
) -> FastAPI:
    """The control site's API, and with `screens` the pages for people.

    `places`: latitude and longitude of the sites, for the map. `silent_s`: process seconds without a word
    from a site after which its link is shown as silent.
    """
    app = FastAPI(
        title="Isogenic control site",
        description="The network. Every refusal is an RFC 9457 problem that says what, why and what is possible.",
        docs_url=None,  # its pages would come from outside, and nothing here does
        openapi_url="/api/openapi.json",
        redoc_url=None,
    )
    answer_refusals(app)
    door = door or control_door(node, accounts, keeping=keeping)
    pens = Pens(door)
    desk = ControlDesk(node, silent_s=silent_s, places=places)
    app.state.door, app.state.desk, app.state.settled = door, desk, desk.node.folding.settled
    sign_in_routes(app, door)
    passkey_sign_in(app, door, pens)
    credential_routes(app, node, door, pens)
    _reading(app, desk, door)
    _streaming(app, desk, door)
    _deciding(app, desk, pens)
    site_document_routes(app, node, pens, noting=noting_refusals)
    _releasing(app, desk, pens, dossier)
    _stating(app, desk)
    if node.keeper is not None:
        vault_routes(app, node, pens, node.keeper, noting=noting_refusals)
    disclosure_routes(app, node.journal)
    entitlement_routes(app, node, pens, noting=noting_refusals)
    authority_routes(app, node, pens, noting=noting_refusals)
    control_material_routes(app, node, pens, noting=noting_refusals)
    revocation_routes(app, node, pens, known=desk.known, noting=noting_refusals)

    async def tables() -> Tables | None:
        return node.derived.db if node.derived is not None else None

    record_routes(app, lambda batch: batch_record(node, batch), node.journal)
    trail_routes(app, tables, stage=desk.trail_stage, journal=node.journal)
    _reviewing(app, desk, pens)
    nothing_else(app)
    if screens:
        from isogenic.web.pages import mount_pages  # brings NiceGUI, 1.6 s: only where somebody looks

        mount_pages(app, desk, door)
    return app


def _reading(app: FastAPI, desk: ControlDesk, door: Door) -> None:
    @app.get("/api/network", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="The network")
    async def network() -> Network:
        """Every site with its link, its completeness, what runs and what is open."""
        return desk.network()

    @app.get("/api/sites/{site}", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="One site")
    async def site(site: SiteText) -> SiteDetail:
        """Its ledgers with number and root, its batches, its answers to recipes."""
        return desk.site(desk.known(site))

    @app.get("/api/batches", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="Batches")
    async def batches() -> list[BatchLine]:
        """Every batch of the network, newest first."""
        return [desk.batch_line(record) for record in desk.records()]

    @app.get("/api/batches/{batch}", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="One batch")
    async def batch(batch: BatchText) -> BatchDetail:
        """Phases, set-points, questions and answers, deviations."""
        return desk.batch(batch)

    @app.get("/api/lots", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="Lots")
    async def lots() -> list[LotLine]:
        """Every lot, those that wait for a decision first."""
        return desk.lots()

    @app.get("/api/deviations", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="Deviations")
    async def deviations(only_open: bool = False) -> list[DeviationLine]:
        """Open ones first, worst first."""
        return desk.deviations(open_only=only_open)

    @app.get("/api/recipes", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="Recipes")
    async def recipes() -> list[RecipeLine]:
        """Every version put forward, with its signatures and the sites' answers."""
        return desk.recipes()

    @app.get("/api/facts", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="Facts")
    async def facts(
        ledger: Annotated[str, Query(max_length=200)] = "",
        kind: Annotated[str, Query(max_length=80, description="may end in *")] = "",
        subject: Annotated[str, Query(max_length=80)] = "",
        actor: Annotated[str, Query(max_length=80)] = "",
        text: Annotated[str, Query(max_length=200, description="anywhere in the fact")] = "",
        after: Annotated[str, Query(max_length=300, description="`next` of the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=FACTS_MAX)] = 50,
    ) -> FactsPage:
        """Facts of every ledger held here, newest first, each with its stage."""
        return desk.facts(ledger=ledger, kind=kind, subject=subject, actor=actor, text=text, after=after, limit=limit)


def _streaming(app: FastAPI, desk: ControlDesk, door: Door) -> None:
    streams = app.state.streams = Streams(closing=lambda: desk.node.desk.closing)

    @app.get(
        "/api/live/{site}/{unit}",
        responses=PROBLEMS | {200: {"description": "points as they come", "content": {"text/event-stream": {}}}},
        response_class=StreamingResponse,
        tags=["live"],
        summary="Live values of a unit",
    )
    async def live(
        site: SiteText, unit: UnitText, request: Request, guest: Asker, start: Annotated[str, Query(alias="from", max_length=40)] = ""
    ) -> StreamingResponse:
        """Server-sent events: what is known after `from`, then each new point. For looking; never evidence."""
        found, name = desk.known(site), UnitId(unit)
        since = time_of_text(start) if start else None
        streams.admit()

        async def gone() -> bool:
            return not door.alive(guest.session) or await request.is_disconnected()

        points = streams.points(desk.node.desk.live[NodeId(found)], str(name), since=since, gone=gone)
        return StreamingResponse(points, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    @app.get("/api/batches/{batch}/trends", responses=PROBLEMS, dependencies=READER, tags=["live"], summary="Reference band and sealed readings")
    async def trends(batch: BatchText) -> dict[str, object]:
        """The band of good batches, and for a batch that is over its sealed readings."""
        record, story = desk.story(batch)
        reference = desk.reference(story)
        return {
            "model": reference.model,
            "maturity": reference.maturity,
            "maturity_unit": reference.unit,
            "trends": [
                {"name": each.name, "title": each.title, "unit": each.unit, "mean": each.mean, "low": each.low, "high": each.high}
                for each in reference.trends
            ],
            "points": desk.sealed(record, story) if story.over else [],
        }


def _deciding(app: FastAPI, desk: ControlDesk, pens: Pens) -> None:
    node = desk.node

    @app.post("/api/recipes", status_code=201, responses=PROBLEMS, tags=["deciding"], summary="Put a recipe forward")
    async def submit(body: RecipeText, guest: Asker) -> RecipeLine:
        """A general recipe; nothing is approved by that."""
        with noting_refusals(node, guest.person, "submit a recipe"):
            submitted = decisions.submit_recipe(node, guest.person, body.text)
        return next(line for line in desk.recipes() if line.digest == submitted.digest and line.version == submitted.version)

    @app.post("/api/pictures", status_code=201, responses=PROBLEMS, tags=["deciding"], summary="Put a picture forward")
    async def picture(request: Request, guest: Asker) -> PictureLine:
        """A picture for the questions of a recipe, as PNG or JPEG: the body is the file. The answer is what the recipe names it by."""
        data = await request.body()
        with noting_refusals(node, guest.person, "submit a picture"):
            submitted = decisions.submit_picture(node, guest.person, data)
        return PictureLine(digest=submitted.digest, media=submitted.media, bytes=submitted.bytes, width=submitted.width, height=submitted.height)

    @app.post("/api/recipes/{recipe}/{version}/signatures", status_code=201, responses=PROBLEMS, tags=["deciding"], summary="Sign a recipe")
    async def sign(recipe: RecipeIdText, version: Version, body: SignRecipe, guest: Asker) -> SignatureLine:
        """As its author, or as its approver: two different people."""
        signer = await pens.pen(guest, body, Act(body.act))
        with noting_refusals(node, guest.person, body.act):
            approved = decisions.approve_recipe(node, guest.person, signer, recipe=RecipeId(recipe), version=version, act=Act(body.act))
        return signature_line(approved.signature)

    @app.post("/api/recipes/{recipe}/{version}/publication", status_code=201, responses=PROBLEMS, tags=["deciding"], summary="Publish a recipe")
    async def publish(recipe: RecipeIdText, version: Version, guest: Asker) -> list[str]:
        """To every site that has a document for it; gives the sites that it was published to now."""
        with noting_refusals(node, guest.person, "publish a recipe"):
            reached = decisions.publish_recipe(node, guest.person, recipe=RecipeId(recipe), version=version)
        return [str(site) for site in reached]

    @app.post("/api/deviations/{deviation}/disposition", status_code=201, responses=PROBLEMS, tags=["deciding"], summary="Dispose of a deviation")
    async def dispose(deviation: DeviationText, body: Disposition, guest: Asker) -> SignatureLine:
        """Say by signature what it means for its lot."""
        signer = await pens.pen(guest, body, Act.DISPOSE_DEVIATION)
        with noting_refusals(node, guest.person, Act.DISPOSE_DEVIATION):
            disposed = decisions.dispose_deviation(
                node,
                guest.person,
                signer,
                deviation=DeviationId(deviation),
                disposition=body.disposition,
                justification=body.justification,
            )
        return signature_line(disposed.signature)


def _reviewing(app: FastAPI, desk: ControlDesk, pens: Pens) -> None:
    node = desk.node

    @app.get("/api/batches/{batch}/trail/review", responses=PROBLEMS, dependencies=READER, tags=["trail"], summary="Audit trail to review")
    async def page(batch: BatchText) -> TrailReviewPage:
        """What a review of this batch's audit trail is over: ledger, range, root, number and digest of the lines; and the reviews so far."""
        return desk.trail_review(batch)

    @app.post("/api/batches/{batch}/trail/review", status_code=201, responses=PROBLEMS, tags=["trail"], summary="Review an audit trail")
    async def review(batch: BatchText, body: ReviewTrail, guest: Asker) -> SignatureLine:
        """By signature, over the lines that were shown, with what was found."""
        pen = await pens.pen(guest, body, Act.REVIEW_TRAIL)
        with noting_refusals(node, guest.person, Act.REVIEW_TRAIL):
            reviewed = review_trail(node, guest.person, pen, batch=BatchId(batch), shown=body.digest, remark=body.remark)
        return signature_line(reviewed.signature)


def _releasing(app: FastAPI, desk: ControlDesk, pens: Pens, dossier: DossierBuilder) -> None:
    node = desk.node

    @app.get("/api/lots/{lot}/release", responses=PROBLEMS, tags=["release"], summary="Release page")
    async def page(lot: LotText, guest: Asker) -> ReleasePage:
        """Every note of every check, results against limits, deviations, and the digest that a release signs."""
        return desk.release_page(lot, asked_by=guest.person.id)

    @app.post("/api/lots/{lot}/release", status_code=201, responses=PROBLEMS, tags=["release"], summary="Release a lot")
    async def release(lot: LotText, body: Release, guest: Asker) -> SignatureLine:
        """By signature, over the page that was shown. A refusal is noted with every reason."""
        signer = await pens.pen(guest, body, Act.RELEASE_LOT)
        with noting_refusals(node, guest.person, Act.RELEASE_LOT):
            released, notes = decisions.release_lot(node, guest.person, signer, lot=LotId(lot), shown=body.digest)
        if released is None:  # noted already, with every reason
            raise NotAllowed(f"cannot release {lot}", why="; ".join(notes.reasons), possible="put the named things right, or reject the lot")
        return signature_line(released.signature)

    @app.post("/api/lots/{lot}/rejection", status_code=201, responses=PROBLEMS, tags=["release"], summary="Reject a lot")
    async def reject(lot: LotText, body: Rejection, guest: Asker) -> SignatureLine:
        """By signature, with the reason."""
        signer = await pens.pen(guest, body, Act.REJECT_LOT)
        with noting_refusals(node, guest.person, Act.REJECT_LOT):
            rejected = decisions.reject_lot(node, guest.person, signer, lot=LotId(lot), reason=body.reason)
        return signature_line(rejected.signature)

    @app.get(
        "/api/lots/{lot}/dossier",
        responses=PROBLEMS | {200: {"description": "a zip file that `isogenic verify` reads", "content": {ZIP: {}}}},
        response_class=Response,
        tags=["release"],
        summary="Dossier of a lot",
    )
    async def download(lot: LotText, guest: Asker) -> Response:
        """The lot's whole record, with everything that a stranger needs to verify it."""
        record = node.state.lot(LotId(lot))
        if record.lot is None:
            raise NotFound(f"no lot {lot}", why="no site has told of it")
        data = dossier(node, record.lot)
        hand_over(node.journal, guest.person, data, what="dossier", about=str(record.lot), ledgers=ledgers_of_dossier(data))
        return Response(data, media_type=ZIP, headers={"Content-Disposition": f'attachment; filename="{record.lot}.dossier.zip"'})


def _stating(app: FastAPI, desk: ControlDesk) -> None:
    @app.post(
        "/api/statements",
        status_code=201,
        responses=PROBLEMS | {201: {"description": "a COSE message that `isogenic statement verify` reads", "content": {COSE: {}}}},
        response_class=Response,
        tags=["release"],
        summary="Export a statement for strangers",
    )
    async def state(body: StatementAbout, guest: Asker) -> Response:
        """Signed, noted, and with the receipt that it was noted."""
        with noting_refusals(desk.node, guest.person, Act.EXPORT_STATEMENT):
            data = export_statement(desk.node, guest.person, StatementKind(body.kind), about=body.about)
        return Response(data, status_code=201, media_type=COSE, headers={"Content-Disposition": f'attachment; filename="{body.kind}.cose"'})
