"""Batches with any chart, in the test's own memory: facts through their real bytes, a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from isogenic.batches import engine
from isogenic.batches.engine import BatchState
from isogenic.batches.facts import UnitAllocated, UnitAsked
from isogenic.clock import Moment
from isogenic.ids import BatchId, LotId, PersonId, ProductId, RecipeId, SiteId, SponsorId, UnitId
from isogenic.plant.readings import Quality, Reading
from isogenic.recipes import charts
from isogenic.recipes.model import ControlParameter, ControlPhase, ControlRecipe, ControlUnitProcedure, Then
from isogenic.records.facts import Actor, Fact, FactRef, Payload, decode_fact, encode_fact

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
VESSEL, FILLER = UnitId("BR-1"), UnitId("FL-1")
ANA = PersonId("P-ANA")


def phase(name: str, **changes: object) -> ControlPhase:
    """A phase that lasts an hour and does nothing, with changes."""
    plain = ControlPhase(
        name=name,
        title=name.replace("_", " ").capitalize(),
        operation="work",
        setpoints={},
        held={},
        dose=None,
        prompts=(),
        until="elapsed >= 1.0 h",
        needs=(),
        timeout_h=None,
        timeout_then=Then.ALARM,
        lost_after_h=1.0,
        lost_then=Then.HOLD,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def part(name: str, chart: str, *phases: ControlPhase, unit: UnitId | None = VESSEL, role: str = "main", **changes: object) -> ControlUnitProcedure:
    """A unit procedure; phases of its chart that are not given are plain ones."""
    given = {each.name: each for each in phases}
    texts = (chart, changes.get("on_hold", ""), changes.get("on_restart", ""), *changes.get("on_exception", {}).values())  # type: ignore[attr-defined]
    named = dict.fromkeys(each for text in texts for each in charts.names(charts.read(str(text))))
    every = tuple(given.get(each) or phase(each) for each in named)
    return replace(ControlUnitProcedure(name, role, "vessel", unit, 10.0, every, chart), **changes)  # type: ignore[arg-type]


def recipe(*parts: ControlUnitProcedure, chart: str = "", parameters: tuple[ControlParameter, ...] = (), batch: str = "BAT-1") -> ControlRecipe:
    """A control recipe of these unit procedures."""
    return ControlRecipe(
        recipe=RecipeId("ANY"),
        version=1,
        product=ProductId("ANY"),
        title="Any",
        site=SiteId("LEEDS"),
        batch=BatchId(batch),
        lot=LotId("LOT-1"),
        language="en",
        parameters=parameters,
        unit_procedures=parts,
        chart=chart or "; ".join(each.name for each in parts),
        general_digest="0" * 64,
        site_digest="0" * 64,
        master_digest="0" * 64,
    )


class ChartFloor:
    """A node in miniature for any chart."""

    def __init__(self, control: ControlRecipe, *, later: Mapping[str, tuple[ControlUnitProcedure, ...]] | None = None) -> None:
        self.now, self.ledger = START, list[bytes]()
        self.state: BatchState | None = None
        self.values: dict[str, float] = {}
        self.bad: set[str] = set()
        self.later = later or {}  # what is resolved when a unit is given to a role
        self.note(engine.begin(control, sponsor=SponsorId("ASTER-BIO")))

    def note(self, payloads: list[Payload]) -> None:
        for payload in payloads:
            ref = FactRef("leeds.example/aster", len(self.ledger))
            self.ledger.append(encode_fact(payload, ref=ref, actor=Actor.node("LEEDS"), moment=Moment(self.now)))
            self.state = engine.apply(self.state, decode_fact(self.ledger[-1]))

    @property
    def facts(self) -> list[Fact]:
        return [decode_fact(body) for body in self.ledger]

    def of(self, *kinds: type) -> list[Payload]:
        return [fact.payload for fact in self.facts if isinstance(fact.payload, kinds)]

    @property
    def batch(self) -> BatchState:
        assert self.state is not None
        return self.state

    def seen(self) -> dict[UnitId, dict[str, Reading]]:
        here = {name: Reading(value, Quality.GOOD) for name, value in self.values.items()}
        here |= {name: Reading(float("nan"), Quality.BAD) for name in self.bad}
        return dict.fromkeys((VESSEL, FILLER), here)

    def due(self) -> list[Payload]:
        return engine.step(self.batch, self.seen(), self.now)

    def scan(self, *, hours: float = 0.5) -> list[Payload]:
        due = self.due()
        self.note(due)
        self.now += timedelta(hours=hours)
        return due

    def give_units(self) -> None:
        """A unit for each role that needs one, as a site with enough of them does."""
        for role in engine.wants(self.batch):
            self.note([UnitAsked(self.batch.batch, role, "vessel", 1), UnitAllocated(self.batch.batch, role, FILLER, 1, self.later[role])])

    def refolded(self) -> BatchState:
        state: BatchState | None = None
        for fact in self.facts:
            state = engine.apply(state, fact)
        assert state is not None
        return state
