"""What a site's API and screens ask of its node, and the one place where they act on it.

Guarantees: every act is decided by the site's own rules (sites.requests) and noted with the person as actor before it
is answered; a refusal of the rules is noted too; reading never touches the loop's state.
Leaves to others: routes (site_api and its like), who asks (guard).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from isogenic.authority.rules import Act
from isogenic.checks import Note
from isogenic.errors import NotAllowed, NotFound
from isogenic.ids import BatchId, IdentityCode, LotId, RecipeId, UnitId
from isogenic.records.facts import Actor, Fact, Payload
from isogenic.records.ledger import Ledger, Stage
from isogenic.sites import requests
from isogenic.sites.facts import RequestRefused
from isogenic.sites.node import SiteNode
from isogenic.web.guard import Guest, actor_for
from isogenic.web.messages import (
    BatchDetail,
    BatchLine,
    DeviationLine,
    LedgerLine,
    Reasoned,
    Start,
    time,
)
from isogenic.web.site_alarms import locked_accounts, site_alarms
from isogenic.web.site_messages import LinkLine, SiteSummary, UnitLine
from isogenic.web.site_permissions import permission_lines
from isogenic.web.story import Stories, Story

__all__ = ["FACTS_MAX", "SiteDesk", "reader_of"]

FACTS_MAX = 500  # facts to an answer
REASONS_MAX = 20
REASON_MAX = 400  # characters of a reason that is noted


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
            self.node.note([RequestRefused(guest.person.id, act, reasons)], actor=reader_of(guest))
            raise

    def gate(self, body: Start, guest: Guest) -> tuple[list[Payload], list[Note]]:
        """What starting a batch would note, and every note of every check; nothing is noted yet."""
        node = self.node
        with self.asking(guest, Act.START_BATCH):
            return requests.start_batch(
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

    def note(self, payloads: Sequence[Payload], *, by: Guest, act: Act) -> Reasoned:
        """Note a person's act."""
        noted = self.node.note(payloads, actor=actor_for(by.person, act, by.session.method))
        return Reasoned(noted=[str(fact.ref) for fact in noted])


def reader_of(guest: Guest) -> Actor:
    """Whoever reads, as the actor of what is noted about it."""
    return actor_for(guest.person, Act.READ, guest.session.method)


def _phase(story: Story) -> str | None:
    phase = story.state.current
    return phase.title if phase else None
