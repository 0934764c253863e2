"""A site over HTTP: what it does, what it asks people, and what people ask of it.

Guarantees: every act is decided by the site's own rules (sites.requests), noted with the
person as actor before it is answered, and a refusal of the rules is noted too; reading
never touches the loop's state.
Leaves to others: deciding (requests), noting (node), proving who asks (signin).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query

from isogenic.authority.identities import AttemptsAcknowledged
from isogenic.authority.rules import Act
from isogenic.checks import stops
from isogenic.errors import NotAllowed, NotFound
from isogenic.ids import BatchId, IdentityCode, LotId, NodeId, RecipeId, SampleId, SiteId, UnitId
from isogenic.records.facts import Actor, Fact, Payload
from isogenic.records.ledger import Ledger, Stage
from isogenic.sites import requests
from isogenic.sites.batch_records import batch_record
from isogenic.sites.facts import RequestRefused, SignedIn, SignInRefused
from isogenic.sites.node import HOUSE, SiteNode
from isogenic.web.batch_records import record_routes
from isogenic.web.disclosures import disclosure_routes
from isogenic.web.guard import READER, Asker, Guest, actor_for, nothing_else, sign_in_routes
from isogenic.web.labelling import label_routes
from isogenic.web.messages import (
    Asked,
    BatchDetail,
    BatchLine,
    BatchText,
    Command,
    DeviationLine,
    FactsPage,
    LedgerLine,
    Reason,
    Reasoned,
    ResultBody,
    Start,
    fact_line,
    time,
)
from isogenic.web.passkeys import Pens, passkey_sign_in
from isogenic.web.problems import PROBLEMS, answer_refusals
from isogenic.web.signin import AccountFolder, Door, Keeping
from isogenic.web.site_alarms import answers_for_attempts, locked_accounts, site_alarms
from isogenic.web.site_materials import material_routes
from isogenic.web.site_messages import LinkLine, SiteSummary, UnitLine
from isogenic.web.site_permissions import permission_lines
from isogenic.web.stepping import stepping_routes
from isogenic.web.steps import step_routes
from isogenic.web.story import Stories, Story
from isogenic.web.trail import Follower, trail_routes

__all__ = ["site_app", "site_door"]

FACTS_MAX = 500  # facts to an answer
REASONS_MAX = 20
REASON_MAX = 400  # characters of a reason that is noted


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


class SiteDesk:
    """Reads a site's node for people, and brings their acts to it."""

    def __init__(self, node: SiteNode) -> None:
        self.node, self.stories = node, Stories()

    # ---- reading ----

    def story(self, batch: str) -> Story:
        """One batch, or `NotFound`."""
        self._follow()
        name = BatchId(batch)
        if name not in self.stories.batches:
            raise NotFound(f"no batch {name} at {self.node.state.site}", why="no fact of this site names it")
        return self.stories.batches[name]

    def all_stories(self) -> list[Story]:
        """Every batch, newest first."""
        self._follow()
        return sorted(self.stories.batches.values(), key=lambda story: story.started, reverse=True)

    def _follow(self) -> None:
        self.stories.follow(self.node.ledgers.values())

    def summary(self) -> SiteSummary:
        """The site on one page."""
        node = self.node
        link = node.courier.state
        running = {story.state.control.unit: story for story in self.all_stories() if not story.over}
        return SiteSummary(
            site=node.state.site,
            title=node.state.plant.title,
            now=time(node.clock.now().at) or "",
            link=LinkLine(up=link.up, why=link.why),
            trouble=node.alarm,
            alarms=site_alarms(node),
            locked=locked_accounts(node),
            ledgers=[self._ledger(ledger) for ledger in node.ledgers.values()],
            units=[
                UnitLine(
                    unit=unit.id,
                    title=unit.title,
                    working_volume=str(unit.working_volume),
                    batch=running[unit.id].batch if unit.id in running else None,
                    state=str(running[unit.id].state.state) if unit.id in running else "free",
                    phase=_phase(running[unit.id]) if unit.id in running else None,
                )
                for unit in node.state.plant.units.values()
            ],
            permissions=permission_lines(node),
            recipes=[f"{recipe} version {version}" for recipe, version in sorted(node.state.accepted)],
            open_prompts=sum(len(story.prompts(open_only=True)) for story in running.values()),
        )

    def _ledger(self, ledger: Ledger) -> LedgerLine:
        link = self.node.courier.state
        witnessed = ledger.witnessed
        sent = max(link.sent.get(ledger.origin, 0), witnessed)
        return LedgerLine(ledger=ledger.origin, noted=ledger.size, sent=sent, witnessed=witnessed, refused=link.stopped.get(ledger.origin, ""))

    def line(self, story: Story) -> BatchLine:
        """A batch on one line."""
        return BatchLine(**self._line(story))

    def _line(self, story: Story) -> dict[str, Any]:
        control, state = story.state.control, story.state
        return {
            "batch": control.batch,
            "lot": control.lot,
            "product": control.product,
            "site": control.site,
            "unit": control.unit,
            "recipe": control.recipe,
            "version": control.version,
            "state": str(state.state),
            "phase": _phase(story),
            "elapsed_h": state.elapsed_h(self.node.clock.now().at) if not story.over else None,
            "started_at": time(story.started),
            "closed_at": time(state.at) if state.closed else None,
            "open_deviations": len(self.node.state.deviations.get(story.batch, ())),
        }

    def detail(self, story: Story) -> BatchDetail:
        """A batch in full."""
        return BatchDetail(
            **self._line(story),
            phases=story.phases(),
            setpoints=story.state.named_setpoints(),
            prompts=story.prompts(),
            events=[f"{time(event.at)} {event.text}" for event in story.events],
            deviations=[
                DeviationLine(
                    deviation=each.deviation,
                    batch=each.batch,
                    lot=each.lot,
                    site=each.site,
                    severity=str(each.severity),
                    origin=str(each.origin),
                    state="open",
                    statement=each.statement,
                    evidence=dict(each.evidence),
                    detected_at=time(each.detected_at) or "",
                )
                for each in self.node.state.deviations.get(story.batch, ())
            ],
            possible=story.possible(),
        )

    def stage(self, ledger: Ledger, fact: Fact, *, witnessed: int) -> Stage:
        """How far a fact has come."""
        if fact.position < witnessed:
            return Stage.WITNESSED
        return Stage.SENT if fact.position < self.node.courier.state.sent.get(ledger.origin, 0) else Stage.NOTED

    def trail_stage(self, ledger: str, position: int) -> str:
        """How far a fact of one of the site's own ledgers has come."""
        found = next((each for each in self.node.ledgers.values() if each.origin == ledger), None)
        if found is None:
            return ""
        if position < found.witnessed:
            return str(Stage.WITNESSED)
        return str(Stage.SENT if position < self.node.courier.state.sent.get(ledger, 0) else Stage.NOTED)

    # ---- acting ----

    @contextmanager
    def asking(self, guest: Guest, act: str) -> Iterator[None]:
        """Note what was asked for and not allowed."""
        try:
            yield
        except NotAllowed as refusal:
            reasons = tuple(part[:REASON_MAX] for part in refusal.why.split("; ")[:REASONS_MAX])
            self.node.note([RequestRefused(guest.person.id, act, reasons)], actor=_reader(guest))
            raise

    def note(self, payloads: Sequence[Payload], *, by: Guest, act: Act) -> Reasoned:
        """Note a person's act."""
        noted = self.node.note(payloads, actor=actor_for(by.person, act, by.session.method))
        return Reasoned(noted=[str(fact.ref) for fact in noted])


def _reader(guest: Guest) -> Actor:
    return actor_for(guest.person, Act.READ, guest.session.method)


def _phase(story: Story) -> str | None:
    phase = story.state.current
    return phase.title if phase else None


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
        with desk.asking(guest, Act.START_BATCH):
            payloads, notes = requests.start_batch(
                node.state,
                guest.person,
                recipe=RecipeId(body.recipe),
                version=body.version,
                unit=UnitId(body.unit),
                lot=LotId(body.lot),
                mint=node.mint,
                now=node.clock.now(),
                patient=IdentityCode(body.patient) if body.patient else None,
                missing_pictures=node.missing_pictures(),
            )
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
        node.note([AttemptsAcknowledged(NodeId(node.state.site), size, body.why)], actor=_reader(guest))
