"""A site over HTTP: what it does, what it asks people, and what people ask of it.

Guarantees: every act is decided by the site's own rules (sites.requests), noted with the
person as actor before it is answered, and a refusal of the rules is noted too; reading
never touches the loop's state.
Leaves to others: deciding (requests), noting (node), proving who asks (signin).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query

from isogenic.authority.identities import AttemptsAcknowledged
from isogenic.authority.rules import Act
from isogenic.checks import stops
from isogenic.errors import NotAllowed, NotFound
from isogenic.ids import BatchId, LotId, NodeId, SampleId, SiteId
from isogenic.records.facts import Actor, Payload
from isogenic.sites import requests
from isogenic.sites.batch_records import batch_record
from isogenic.sites.facts import SignedIn, SignInRefused
from isogenic.sites.node import HOUSE, SiteNode
from isogenic.web.batch_records import record_routes
from isogenic.web.disclosures import disclosure_routes
from isogenic.web.guard import READER, Asker, nothing_else, sign_in_routes
from isogenic.web.labelling import label_routes
from isogenic.web.messages import (
    Asked,
    BatchDetail,
    BatchLine,
    BatchText,
    Command,
    FactsPage,
    Reason,
    Reasoned,
    ResultBody,
    Start,
    fact_line,
)
from isogenic.web.passkeys import Pens, passkey_sign_in
from isogenic.web.problems import PROBLEMS, answer_refusals
from isogenic.web.signin import AccountFolder, Door, Keeping
from isogenic.web.site_alarms import answers_for_attempts
from isogenic.web.site_desk import FACTS_MAX, SiteDesk, reader_of
from isogenic.web.site_materials import material_routes
from isogenic.web.site_messages import SiteSummary
from isogenic.web.stepping import stepping_routes
from isogenic.web.steps import step_routes
from isogenic.web.trail import Follower, trail_routes

__all__ = ["site_app", "site_door"]


def site_door(node: SiteNode, accounts: AccountFolder, *, keeping: Keeping | None = None) -> Door:
    """The sign-in of a site."""

    def note(payload: Payload, actor: Actor | None) -> None:
        node.note([payload], actor=actor)

    return Door(
        accounts,
        directory=lambda: node.state.directory,
        note=note,
        signed_in=lambda person, method: SignedIn(person, method),
        refused=lambda person, why: SignInRefused(person, why),
        site=SiteId(node.state.site),
        keeping=keeping,
    )


def site_app(node: SiteNode, accounts: AccountFolder, *, door: Door | None = None, screens: bool = True, keeping: Keeping | None = None) -> FastAPI:
    """The site's API, and with `screens` the page of tasks for the tablet at the unit."""
    app = FastAPI(
        title=f"Isogenic site {node.state.site}",
        description="One facility. Every refusal is an RFC 9457 problem that says what, why and what is possible.",
        docs_url=None,  # its pages would come from outside, and nothing here does
        openapi_url="/api/openapi.json",
        redoc_url=None,
    )
    answer_refusals(app)
    door = door or site_door(node, accounts, keeping=keeping)
    desk = SiteDesk(node)
    app.state.door, app.state.desk = door, desk
    sign_in_routes(app, door)
    pens = Pens(door)
    passkey_sign_in(app, door, pens)
    _reading(app, desk, door)
    _acting(app, desk, door)
    step_routes(app, desk, pens)
    material_routes(app, desk, pens)
    stepping_routes(app, desk, pens)
    _acknowledging(app, desk, pens)
    disclosure_routes(app, node.journal)
    follower = Follower(accounts.folder.parent / "derived.sqlite", lambda: node.ledgers.values())
    label_routes(app, node, desk.asking, lambda said, guest, act: desk.note(said, by=guest, act=act))
    record_routes(app, lambda batch: batch_record(node, batch), node.journal)
    trail_routes(app, follower.tables, stage=desk.trail_stage, journal=node.journal)
    nothing_else(app)
    if screens:
        from isogenic.web.tasks import tasks_page  # only where somebody looks

        tasks_page(app, desk, door, follower)
    return app


def _reading(app: FastAPI, desk: SiteDesk, door: Door) -> None:
    node = desk.node

    @app.get("/api/site", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="The site")
    async def site() -> SiteSummary:
        """Link, trouble, ledgers with their stages, units with their batches."""
        return desk.summary()

    @app.get("/api/batches", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="Batches")
    async def batches() -> list[BatchLine]:
        """Every batch of this site, newest first."""
        return [desk.line(story) for story in desk.all_stories()]

    @app.get("/api/batches/{batch}", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="One batch")
    async def batch(batch: BatchText) -> BatchDetail:
        """State, phases, set-points in force, questions, deviations."""
        return desk.detail(desk.story(batch))

    @app.get("/api/prompts", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="Open questions")
    async def prompts() -> list[Asked]:
        """What people are asked now, oldest batch first."""
        return [asked for story in reversed(desk.all_stories()) for asked in story.prompts(open_only=True)]

    @app.get("/api/facts", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="Facts")
    async def facts(
        ledger: Annotated[str, Query(description="HOUSE or the sponsor", max_length=80)],
        start: Annotated[int, Query(alias="from", ge=0, le=2**53)] = 0,
        limit: Annotated[int, Query(ge=1, le=FACTS_MAX)] = 100,
    ) -> FactsPage:
        """The facts of one ledger from a position on, each with its stage."""
        found = node.ledgers.get(ledger) or next((each for each in node.ledgers.values() if each.origin == ledger), None)
        if found is None:
            raise NotFound(f"no ledger {ledger!r} at {node.state.site}", why="this site does not write it", possible=", ".join(node.ledgers))
        witnessed = found.witnessed
        lines = [fact_line(fact, desk.stage(found, fact, witnessed=witnessed)) for fact in found.facts(start, start + limit)]
        end = start + len(lines)
        return FactsPage(facts=lines, next=str(end) if lines and end < found.size else None)


def _acting(app: FastAPI, desk: SiteDesk, door: Door) -> None:
    node = desk.node

    @app.post("/api/batches", status_code=201, responses=PROBLEMS, tags=["acting"], summary="Start a batch")
    async def start(body: Start, guest: Asker) -> Reasoned:
        """Start a batch of an accepted recipe on a free unit, if every check of the gate allows it."""
        payloads, notes = desk.gate(body, guest)
        done = desk.note(payloads, by=guest, act=Act.START_BATCH)
        if against := stops(notes):  # the refusal itself is on record, with every reason
            raise NotAllowed(f"cannot start {body.lot}", why="; ".join(note.text for note in against), possible="put the named things right")
        return done

    @app.post("/api/batches/{batch}/commands", responses=PROBLEMS, tags=["acting"], summary="Command a batch")
    async def command(batch: BatchText, body: Command, guest: Asker) -> Reasoned:
        """A command that the batch's state takes, with the reason."""
        with desk.asking(guest, Act.COMMAND_BATCH):
            told = requests.command_batch(node.state, guest.person, batch=BatchId(batch), command=body.command, why=body.why, now=node.clock.now())
        return desk.note(told, by=guest, act=Act.COMMAND_BATCH)

    @app.post("/api/results", status_code=201, responses=PROBLEMS, tags=["acting"], summary="Report a result")
    async def result(body: ResultBody, guest: Asker) -> Reasoned:
        """A laboratory result of a lot of this site."""
        with desk.asking(guest, Act.REPORT_RESULT):
            reported = requests.report_result(
                node.state,
                guest.person,
                sample=SampleId(body.sample),
                lot=LotId(body.lot),
                attribute=body.attribute,
                value=body.value,
                unit=body.unit,
                method=body.method,
                qualifier=body.qualifier,
            )
        return desk.note(reported, by=guest, act=Act.REPORT_RESULT)


def _acknowledging(app: FastAPI, desk: SiteDesk, pens: Pens) -> None:
    node = desk.node

    @app.post("/api/attempts/acknowledgement", status_code=204, responses=PROBLEMS, tags=["acting"], summary="Acknowledge attempts")
    async def acknowledge(body: Reason, guest: Asker) -> None:
        """Somebody who answers for it has looked at the locked accounts of this site, and says what came of it."""
        if not answers_for_attempts(guest.person):
            raise NotAllowed("cannot acknowledge attempts", why="it takes an administrator or quality")
        await pens.password_again(guest, body.person, body.password)
        size = node.ledgers[HOUSE].size
        node.note([AttemptsAcknowledged(NodeId(node.state.site), size, body.why)], actor=reader_of(guest))
