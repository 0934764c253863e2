"""The control site as people read it: sites, batches, lots, deviations, recipes, facts.

Guarantees: nothing here decides or notes; every figure comes from the folded facts, from the
verified copies, or (the live values only) from what a site last said of itself.
Leaves to others: deciding (network.decisions), the wire (control_api), looks (screens).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from isogenic.checks import Note
from isogenic.errors import NotFound, NotValid, Refusal
from isogenic.ids import BatchId, DeviationId, LotId, NodeId, PersonId, SiteId
from isogenic.monitoring.model import Model, reference_band
from isogenic.network.control import SILENT_S, Completeness, ControlNode
from isogenic.network.decisions import release_case
from isogenic.network.reviewing import trail_case
from isogenic.plant.classes import CLASSES, STIRRED_BIOREACTOR
from isogenic.plant.model import EquipmentClass
from isogenic.quality.deviations import Deviation, DeviationState, Severity
from isogenic.quality.record import LotRecord
from isogenic.quality.release import LotReleased, ReleaseCase, judged_results, release, release_digest
from isogenic.quality.specifications import Verdict, judge
from isogenic.recipes.approval import RecipeAccepted, RecipeNotAccepted
from isogenic.recipes.general import load_general
from isogenic.records import codec
from isogenic.records.blocks import open_block
from isogenic.records.derived import Derived, Place
from isogenic.records.facts import FactRef
from isogenic.records.ledger import Copy, Ledger, Stage
from isogenic.records.signatures import Signature
from isogenic.web.control_messages import (
    CompletenessLine,
    LotLine,
    Network,
    RecipeLine,
    ReleasePage,
    ResultLine,
    SignatureLine,
    SignedLine,
    SiteDetail,
    SiteLine,
)
from isogenic.web.messages import (
    BatchDetail,
    BatchLine,
    DeviationLine,
    FactLine,
    FactsPage,
    NoteLine,
    TrailReviewLine,
    TrailReviewPage,
    fact_line,
    number,
    shown,
    time,
)
from isogenic.web.site_health import drift_lines, key_lines, node_line
from isogenic.web.story import Stories, Story

__all__ = ["ControlDesk", "Reference", "Trend"]

SEVERITY_ORDER = (Severity.CRITICAL, Severity.MAJOR, Severity.MINOR)
LINKED, SILENT, NOT_HEARD = "linked", "silent", "not heard yet"
HOURS, INDICATOR = "h", "maturity"  # of a model that goes by the age of the batch; the signal that says how far it is where one goes by that
BAND_POINTS = 240  # of a reference band on a screen: one a pixel or two
TREND_POINTS = 1_200  # of a sealed block on a screen


@dataclass(frozen=True, slots=True)
class Trend:
    """One monitored variable on a batch's screen, in the unit's own figures."""

    name: str
    title: str
    unit: str
    mean: list[float | None] = field(default_factory=list)
    low: list[float | None] = field(default_factory=list)
    high: list[float | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a batch's trends are drawn on: the maturities of the band and the variables."""

    model: str
    maturity: list[float]
    trends: list[Trend]
    unit: str = HOURS  # of the maturity


class ControlDesk:
    """Reads a control node for people."""

    def __init__(self, node: ControlNode, *, silent_s: float | None = None, places: Mapping[SiteId, tuple[float, float]] | None = None) -> None:
        """`silent_s`: process seconds without a word after which a site counts as silent. `places`: latitude and longitude."""
        self.node, self.stories = node, Stories()
        self.silent_s = silent_s if silent_s is not None else SILENT_S * float(getattr(node.clock, "speed", 1.0))
        self.places = dict(places or {})
        self._models: dict[str, Model] = {}

    # ---- sites ----

    def network(self) -> Network:
        """The network on one page."""
        sites = [self.site_line(site) for site in self.node.sites()]
        return Network(
            now=time(self.now) or "",
            sites=sites,
            running=sum(each.running for each in sites),
            open_deviations=sum(each.open_deviations for each in sites),
            lots_waiting=len(self.waiting()),
            nodes=[node_line(self.node, site) for site in self.node.sites()],
            notices=self.node.notices(),
        )

    @property
    def now(self) -> datetime:
        """The control site's time."""
        return self.node.clock.now().at

    def known(self, site: str) -> SiteId:
        """A site that is directed from here, or `NotFound`."""
        found = SiteId(site)
        if found not in self.node.sites():
            raise NotFound(f"no site {found}", why="the directory does not name it", possible=", ".join(self.node.sites()))
        return found

    def title(self, site: SiteId) -> str:
        """A site's name for people."""
        directory = self.node.state.directory
        return directory.sites[site].title if directory and site in directory.sites else str(site)

    def link(self, site: SiteId) -> str:
        """Whether the site talks to us."""
        heard = self.node.desk.live[NodeId(site)].heard
        if heard is None:
            return NOT_HEARD
        return SILENT if (self.now - heard).total_seconds() > self.silent_s else LINKED

    def site_line(self, site: SiteId) -> SiteLine:
        """A site on one line."""
        return SiteLine(**self._site(site))

    def _site(self, site: SiteId) -> dict[str, Any]:
        held = self.node.completeness(site)
        records = self.records(site)
        return {
            "site": site,
            "title": self.title(site),
            "link": self.link(site),
            "heard_at": time(self.node.desk.live[NodeId(site)].heard),
            "complete": all(each.complete for each in held),
            "held": sum(each.held for each in held),
            "noted": sum(each.noted for each in held),
            "running": sum(each.closed_at is None and each.started_at is not None for each in records),
            "open_deviations": sum(len(each.open_deviations()) for each in records),
            "outages": self.node.state.site(site).outages,
        }

    def site(self, site: SiteId) -> SiteDetail:
        """A site in full."""
        view, released = self.node.state.site(site), self.node.state.released_settings.get(site)
        answers = {**dict.fromkeys(view.published, "waiting for the site's answer"), **{key: _answer(each) for key, each in view.answers.items()}}
        return SiteDetail(
            **self._site(site),
            started_at=time(view.started),
            starts=view.starts,
            ledgers=[_completeness(each) for each in self.node.completeness(site)],
            batches=[self.batch_line(each) for each in self.records(site)],
            recipes=[f"{recipe} version {version}: {answer}" for (recipe, version), answer in sorted(answers.items())],
            node=node_line(self.node, site),
            keys=key_lines(self.node, site),
            drifts=drift_lines(view.drifts),
            released_settings=f"version {released.version}, {released.digest}" if released is not None else "",
        )

    # ---- batches ----

    def records(self, site: SiteId | None = None) -> list[LotRecord]:
        """Every record that has begun, newest first."""
        found = [
            each for each in self.node.state.lots.values() if each.started_at is not None and (site is None or _site_of(each, self.node) == site)
        ]
        return sorted(found, key=lambda each: (each.started_at is not None and each.started_at.timestamp(), each.batch), reverse=True)

    def story(self, batch: str) -> tuple[LotRecord, Story]:
        """One batch, or `NotFound`."""
        name = BatchId(batch)
        self._follow()
        if name not in self.stories.batches or name not in self.node.state.lots:
            raise NotFound(f"no batch {name}", why="no site has told of it")
        return self.node.state.lots[name], self.stories.batches[name]

    def _follow(self) -> None:
        self.stories.follow(copy for _, copy in self.node.copies.values())

    def batch_line(self, record: LotRecord) -> BatchLine:
        """A batch on one line."""
        return BatchLine(**self._batch(record))

    def _batch(self, record: LotRecord) -> dict[str, Any]:
        self._follow()
        story = self.stories.batches.get(record.batch)
        state = story.state if story else None
        return {
            "batch": record.batch,
            "lot": record.lot or "",
            "product": record.product or "",
            "site": _site_of(record, self.node) or "",
            "unit": record.unit or "",
            "recipe": record.recipe or "",
            "version": record.recipe_version,
            "state": str(state.state) if state else "unknown",
            "phase": state.current.title if state and state.current and story and not story.over else None,
            "elapsed_h": state.elapsed_h(self.now) if state and story and not story.over else None,
            "started_at": time(record.started_at),
            "closed_at": time(record.closed_at),
            "open_deviations": len(record.open_deviations()),
        }

    def batch(self, batch: str) -> BatchDetail:
        """A batch in full."""
        record, story = self.story(batch)
        return BatchDetail(
            **self._batch(record),
            phases=story.phases(),
            setpoints=story.state.named_setpoints(),
            prompts=story.prompts(),
            events=[f"{time(event.at)} {event.text}" for event in story.events],
            deviations=[deviation_line(each) for each in record.deviations.values()],
            possible=[],  # commands are given at the site
        )

    # ---- trends ----

    def model_of(self, story: Story) -> Model | None:
        """The reference model that watches a batch, if its bytes are here."""
        published = self.node.state.models.get(story.state.control.product)
        digest = story.model or (published.digest if published else "")
        if digest and digest not in self._models:
            try:
                self._models[digest] = Model.from_bytes(self.node.blobs.get(digest), digest=digest)
            except Refusal:
                return None
        return self._models.get(digest)

    def reference(self, story: Story) -> Reference:
        """The band that the batch's trends are drawn on, in the unit's own figures: what grows with the vessel is multiplied by its volume."""
        litres = story.state.control.working_volume
        signals = _class_of(story).signals
        model = self.model_of(story)
        if model is None:
            return Reference("", [], [Trend(each.name, each.title, each.unit) for each in signals.values() if each.monitored])
        trends = []
        step = max(1, model.structure.grid.points // BAND_POINTS)
        maturity: list[float] = []
        for variable in model.variables:
            at, mean, low, high = reference_band(model, variable.name)
            maturity = [round(float(each), 3) for each in at[::step]]
            signal = signals.get(variable.name)
            scale = litres if signal is not None and signal.extensive else 1.0
            figures = [[_figure(each * scale) for each in line[::step]] for line in (mean, low, high)]
            title, unit = (signal.title, signal.unit) if signal is not None else (variable.name, variable.unit)
            trends.append(Trend(variable.name, title, unit, *figures))
        return Reference(model.name, maturity, trends, model.maturity_unit)

    def sealed(self, record: LotRecord, story: Story) -> list[dict[str, Any]]:
        """The readings of a batch that is over, from its sealed blocks, as points of the live stream."""
        model = self.model_of(story)
        names = [trend.name for trend in self.reference(story).trends]
        points: list[dict[str, Any]] = []
        for sealed in record.blocks:
            try:
                block = open_block(self.node.blobs.get(sealed.digest), sealed.digest)
            except Refusal:
                continue  # the release page says that it is missing; a screen draws what there is
            columns = {name: block.tags.index(tag) for name in (*names, INDICATOR) if (tag := f"{record.unit}.{name}") in block.tags}
            good = np.where(block.quality == 0, block.values, np.nan)
            rows = [row for row, at in enumerate(block.times) if story.maturity_hours(at) is not None]
            for row in rows[:: max(1, len(rows) // TREND_POINTS)]:
                values: dict[str, float | None] = {name: _figure(good[row, column]) for name, column in columns.items()}
                hours = story.maturity_hours(block.times[row])
                if (model is None or model.maturity_unit == HOURS) and hours is not None:
                    values[INDICATOR] = round(hours, 3)
                points.append({"at": time(block.times[row]), "values": values})
        return points

    # ---- deviations and lots ----

    def deviations(self, *, open_only: bool = False) -> list[DeviationLine]:
        """Deviations, open ones first, then worst first, then newest first."""
        found = [each for record in self.node.state.lots.values() for each in record.deviations.values()]
        if open_only:
            found = [each for each in found if each.state is DeviationState.OPEN]
        found.sort(key=lambda each: each.opened.detected_at, reverse=True)
        found.sort(key=lambda each: (each.state is not DeviationState.OPEN, SEVERITY_ORDER.index(each.opened.severity)))
        return [deviation_line(each) for each in found]

    def deviation(self, deviation: str) -> tuple[LotRecord, Deviation]:
        """One deviation and the record that it belongs to."""
        return self.node.state.deviation(DeviationId(deviation))

    def lots(self) -> list[LotLine]:
        """Every lot, those that wait for a decision first."""
        lines = [self.lot_line(each) for each in self.records() if each.lot is not None]
        return sorted(lines, key=lambda line: (line.state != "quarantine", line.closed_at is None))

    def waiting(self) -> list[LotLine]:
        """Lots whose batch is over and that nobody has decided on."""
        return [line for line in self.lots() if line.state == "quarantine" and line.closed_at is not None]

    def lot_line(self, record: LotRecord) -> LotLine:
        """A lot on one line."""
        decided = self.node.state.decisions.get(record.lot) if record.lot else None
        return LotLine(
            lot=record.lot or "",
            batch=record.batch,
            product=record.product or "",
            site=_site_of(record, self.node) or "",
            state=str(record.lot_state) if record.lot_state else "not created",
            batch_state=record.manifest.outcome if record.manifest else "running",
            closed_at=time(record.closed_at),
            open_deviations=len(record.open_deviations()),
            failed_results=self._failed(record),
            decided_by=decided.signature.printed_name if decided else None,
            decided_at=time(decided.signature.at) if decided else None,
            meaning=decided.signature.meaning if decided else None,
            reason="" if decided is None or isinstance(decided, LotReleased) else decided.reason,
        )

    def _failed(self, record: LotRecord) -> int:
        specification = self.node.state.specifications.get(record.product) if record.product else None
        if specification is None:
            return 0
        judged = [judge(each, specification) for each in record.results if each.attribute in specification.attributes]
        return sum(each.attribute.required and each.verdict is not Verdict.PASS for each in judged)

    def release_page(self, lot: str, *, asked_by: PersonId) -> ReleasePage:
        """Every note of every check, results and deviations, and the digest that is signed."""
        case = release_case(self.node, LotId(lot), asked_by=asked_by)
        return release_page(case)

    # ---- recipes ----

    def recipes(self) -> list[RecipeLine]:
        """Every version that was put forward, newest first."""
        state, lines = self.node.state, []
        for (recipe, version), submitted in reversed(list(state.submitted.items())):
            sites = {}
            for site in self.node.sites():
                view = state.site(site)
                if (recipe, version) in view.published:
                    answer = view.answers.get((recipe, version))
                    sites[str(site)] = _answer(answer) if answer else "waiting for the site's answer"
            approvals = state.approvals.get((recipe, version), ())
            signatures = [signature_line(each.signature) for each in approvals]
            lines.append(
                RecipeLine(recipe=recipe, version=version, product=submitted.product, digest=submitted.digest, signatures=signatures, sites=sites)
            )
        return lines

    def recipe_title(self, line: RecipeLine) -> str:
        """What a recipe calls itself."""
        submitted = next(each for each in self.node.state.submitted.values() if each.digest == line.digest)
        return load_general(submitted.text).title

    # ---- facts ----

    def ledgers(self) -> list[Ledger | Copy]:
        """Every ledger held here: ours, then the sites'."""
        return [*self.node.ledgers.values(), *(copy for _, copy in self.node.copies.values())]

    def facts(
        self, *, ledger: str = "", kind: str = "", subject: str = "", actor: str = "", text: str = "", after: str = "", limit: int = 50
    ) -> FactsPage:
        """Facts, newest first, each with its stage."""
        derived = self.node.derived
        if derived is None:
            raise NotFound("no facts to search", why="this node keeps no derived tables")
        return self._find(derived, ledger, kind=kind, subject=subject, actor=actor, text=text, after=after, limit=limit)

    def _find(self, derived: Derived, ledger: str, *, kind: str, subject: str, actor: str, text: str, after: str, limit: int) -> FactsPage:
        place = _place(after) if after else None
        found = derived.find(ledger=ledger, kind=kind, subject=subject, actor=actor, text=text, after=place, limit=limit)
        witnessed = {each.origin: each.witnessed for each in self.node.ledgers.values()}
        lines = [
            FactLine(
                ledger=each.ref.ledger,
                position=each.ref.position,
                kind=each.kind,
                subject=each.subject,
                actor=each.actor,
                role=each.role,
                at=time(each.at) or "",
                clock=each.quality,
                stage=str(self._stage(each.ref, witnessed)),
                body=shown(codec.loads(each.body.encode())),
            )
            for each in found.facts
        ]
        return FactsPage(facts=lines, next=_text_of_place(found.next) if found.next else None)

    def _stage(self, ref: FactRef, witnessed: Mapping[str, int]) -> Stage:
        """A site's fact that is held here was verified and cosigned; one of ours once its site has cosigned it."""
        if ref.ledger not in witnessed or ref.position < witnessed[ref.ledger]:
            return Stage.WITNESSED
        return Stage.NOTED

    def trail_stage(self, ledger: str, position: int) -> str:
        """How far a fact of some ledger has come."""
        return str(self._stage(FactRef(ledger, position), {each.origin: each.witnessed for each in self.node.ledgers.values()}))

    def trail_review(self, batch: str) -> TrailReviewPage:
        """The audit trail of a batch as a reviewer gets it, with the reviews so far."""
        case = trail_case(self.node, BatchId(batch))
        reviews = [
            TrailReviewLine(
                printed_name=each.signature.printed_name,
                role=each.signature.role,
                meaning=each.signature.meaning,
                at=time(each.signature.at) or "",
                method=each.signature.method,
                start=each.start,
                stop=each.stop,
                root=each.root,
                lines=each.lines,
                digest=each.digest,
                remark=each.remark,
            )
            for each in case.record.reviews
        ]
        return TrailReviewPage(
            batch=batch, ledger=case.record.ledger, stop=case.stop, root=case.root, lines=case.lines, digest=case.digest, reviews=reviews
        )

    def fact(self, ledger: str, position: int) -> FactLine:
        """One fact, from the ledger itself."""
        held = self.node.ledger(ledger)
        fact = next(iter(held.facts(position, position + 1)), None)
        if fact is None:
            raise NotFound(f"no fact {position} in {ledger}", why=f"{held.size} are held")
        return fact_line(fact, self.node.stage(fact))


# ---- small words ----


def _site_of(record: LotRecord, node: ControlNode) -> SiteId | None:
    """The site of a record: who writes the ledger in which the batch was started."""
    if record.site is not None:
        return record.site
    return node.copies[record.ledger][0] if record.ledger in node.copies else None


def _class_of(story: Story) -> EquipmentClass:
    return next(iter(CLASSES.values()), STIRRED_BIOREACTOR)  # the control recipe does not name its class; there is one


def _figure(value: float) -> float | None:
    known = number(float(value))
    return None if known is None else float(f"{known:.5g}")


def _answer(answer: RecipeAccepted | RecipeNotAccepted) -> str:
    if isinstance(answer, RecipeAccepted):
        return f"accepted for {', '.join(answer.units)}"
    return f"not accepted: {'; '.join(answer.reasons)}"


def _completeness(held: Completeness) -> CompletenessLine:
    return CompletenessLine(ledger=held.origin, held=held.held, noted=held.noted, complete=held.complete, root=held.root.hex(), words=str(held))


def signature_line(signature: Signature) -> SignatureLine:
    """A signature as people read it."""
    return SignatureLine(
        person=signature.person,
        printed_name=signature.printed_name,
        role=signature.role,
        meaning=signature.meaning,
        at=time(signature.at) or "",
        digest=signature.digest,
        method=signature.method,
    )


def deviation_line(deviation: Deviation) -> DeviationLine:
    """A deviation on one line."""
    opened, disposed = deviation.opened, deviation.disposed
    return DeviationLine(
        deviation=opened.deviation,
        batch=opened.batch,
        lot=opened.lot,
        site=opened.site,
        severity=str(opened.severity),
        origin=str(opened.origin),
        state=str(deviation.state),
        statement=opened.statement,
        evidence=dict(opened.evidence),
        detected_at=time(opened.detected_at) or "",
        disposition=str(disposed.disposition) if disposed else None,
        justification=disposed.justification if disposed else None,
        disposed_by=disposed.signature.printed_name if disposed else None,
        disposed_at=time(disposed.signature.at) if disposed else None,
        disposed_meaning=disposed.signature.meaning if disposed else None,
        disposed_role=disposed.signature.role if disposed else None,
        disposed_method=disposed.signature.method if disposed else None,
    )


def note_line(note: Note) -> NoteLine:
    """A note on one line."""
    return NoteLine(check=note.check, severity=str(note.severity), text=note.text, owner=note.owner.replace("_", " "))


def release_page(case: ReleaseCase) -> ReleasePage:
    """A release case as a page."""
    notes, record = release(case), case.record
    return ReleasePage(
        lot=record.lot or "",
        batch=record.batch,
        product=record.product or "",
        site=record.site or "",
        state=str(record.lot_state) if record.lot_state else "not created",
        allowed=notes.allowed,
        digest=release_digest(case, notes),
        notes=[note_line(note) for note in notes.notes],
        results=[
            ResultLine(
                attribute=each.attribute.title,
                result=each.shown(),
                limit=each.attribute.limits(),
                method=each.result.method,
                verdict={"pass": "complies", "fail": "does not comply"}.get(str(each.verdict), "not judged"),
                required=each.attribute.required,
                sample=each.result.sample,
            )
            for each in judged_results(case)
        ],
        deviations=[deviation_line(each) for each in record.deviations.values()],
        ledger=record.ledger,
        record_size=case.witness.size,
        record_root=case.witness.root,
        signatures=[SignedLine(**signature_line(signature).model_dump(), under=under) for under, signature in _signatures(case)],
    )


def _signatures(case: ReleaseCase) -> list[tuple[str, Signature]]:
    """What was signed of what a lot rests on, in order of time."""
    record = case.record
    found = [(f"{record.recipe} version {record.recipe_version}", each) for each in case.recipe.approvals]
    found += [(str(each.opened.deviation), each.disposed.signature) for each in record.deviations.values() if each.disposed is not None]
    found += [(f"audit trail, facts 0 to {each.stop - 1}", each.signature) for each in record.reviews]
    return sorted(found, key=lambda each: each[1].at)


def _text_of_place(place: Place) -> str:
    return f"{place.at}~{place.position}~{place.ledger}"


def _place(text: str) -> Place:
    at, _, rest = text.partition("~")
    position, _, ledger = rest.partition("~")
    if not position.isascii() or not position.isdigit() or len(position) > 15 or not ledger:
        raise NotValid("cannot go on from there", why="it is not what the page before gave", possible="begin without `after`")
    return Place(at, ledger, int(position))
