"""Two batches ask for one unit: it is given in the order of asking, and a wait that can never end is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import permutations

import numpy as np
import pytest

from isogenic.authority.people import Directory, NodeKeys
from isogenic.batches import engine
from isogenic.batches.facts import AlarmRaised, PhaseStarted, UnitAllocated, UnitAsked, UnitReleased
from isogenic.batches.states import Command, State
from isogenic.checks import Note, Severity, stops
from isogenic.clock import Moment
from isogenic.ids import BatchId, LotId, RecipeId, SeededMint, SiteId, SponsorId, UnitId
from isogenic.materials.clearance import LineLeft
from isogenic.plant.documents import load_plant
from isogenic.plant.model import SitePlant, Unit
from isogenic.plant.readings import Frame, TagIndex
from isogenic.quality.deviations import DeviationOpened
from isogenic.recipes.approval import RecipePublished
from isogenic.recipes.derive import derive_control
from isogenic.recipes.model import digest_of
from isogenic.recipes.publishing import control_recipe, master_recipe
from isogenic.records.facts import Actor, Fact, FactRef, Payload, decode_fact, encode_fact
from isogenic.records.notes import Signer
from isogenic.sites.arbitration import arbitrate, check_nobody_waits_for_it
from isogenic.sites.loop import Site, scan
from isogenic.sites.materials import lines_due
from isogenic.sites.state import SiteState, apply

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
ONE, TWO, THREE = UnitId("BR-50"), UnitId("BR-51"), UnitId("BR-52")
A, B = BatchId("BAT-A"), BatchId("BAT-B")
GENERAL = """isogenic: general-recipe/1
recipe: SWAP
version: 1
product: MAB-A
title: Two vessels, one after the other
formula:
  speed: {title: Speed, value: 100 rpm, low: 50 rpm, high: 150 rpm, adjustable: true}
units:
  seed: {class: stirred_bioreactor, needs: {}}
  main: {class: stirred_bioreactor, needs: {}}
procedure:
  - unit_procedure: grow_small
    on: seed
    operations:
      - operation: grow
        phases: [{phase: small, title: Small, setpoints: {agitation_sp: "@speed"}, until: elapsed > 1 h}]
  - unit_procedure: grow_large
    on: main
    operations:
      - operation: grow
        phases: [{phase: large, title: Large, setpoints: {agitation_sp: "@speed"}, until: elapsed > 1 h}]
  - unit_procedure: clean
    on: seed
    operations:
      - operation: clean
        phases: [{phase: rinse, title: Rinse, until: elapsed > 1 h}]
"""
SITE_TEXT = "isogenic: site-recipe/1\nsite: LEEDS\nrecipe: SWAP\nversion: 1\n"


def plant(*names: UnitId) -> SitePlant:
    leeds = load_plant((files("isogenic.sim") / "documents" / "leeds.plant.yaml").read_bytes(), name="leeds")
    (unit,) = leeds.units.values()

    def called(name: UnitId) -> Unit:
        return replace(unit, id=name, signals={key: replace(signal, unit_id=name) for key, signal in unit.signals.items()})

    return replace(leeds, units={name: called(name) for name in names})


def published(general: str = GENERAL) -> RecipePublished:
    return RecipePublished(RecipeId("SWAP"), 1, digest_of(general), general, (), SiteId("LEEDS"), digest_of(SITE_TEXT), SITE_TEXT)


class Floor:
    """A site with one ledger for each batch, in the test's own memory."""

    def __init__(self, *units: UnitId, general: str = GENERAL) -> None:
        self.empty = SiteState(plant(*units), published={(RecipeId("SWAP"), 1): published(general)})
        self.state, self.now = self.empty, START
        self.ledgers: dict[BatchId, list[bytes]] = {}

    def begin(self, batch: BatchId, unit: UnitId) -> None:
        (publication,) = self.empty.published.values()
        master = master_recipe(publication, plant=self.empty.plant)
        control = derive_control(master, self.empty.plant.unit(unit), batch=batch, lot=LotId(f"LOT-{batch[-1]}"))
        self.note(engine.begin(control, sponsor=SponsorId("ASTER-BIO")), of=batch)

    def note(self, payloads: Sequence[Payload], *, of: BatchId | None = None) -> None:
        for payload in payloads:
            body = self.ledgers.setdefault(of or payload.batch, [])
            ref = FactRef(f"leeds.example/{of or payload.batch}", len(body))
            body.append(encode_fact(payload, ref=ref, actor=Actor.node("LEEDS"), moment=Moment(self.now)))
            self.state = apply(self.state, decode_fact(body[-1]))

    def scan(self, *, hours: float = 0.5) -> list[Payload]:
        done: list[Payload] = []
        for batch in self.state.running():
            done += engine.step(batch, {}, self.now)
        done += arbitrate(self.state, but={each.batch for each in done if type(each).__name__ == "BatchClosed"})
        self.note(done)
        self.now += timedelta(hours=hours)
        return done

    def scans(self, count: int) -> list[Payload]:
        return [payload for _ in range(count) for payload in self.scan()]

    def facts(self, batch: BatchId) -> list[Fact]:
        return [decode_fact(body) for body in self.ledgers[batch]]


def only(payloads: Sequence[Payload], *kinds: type) -> list[Payload]:
    return [payload for payload in payloads if isinstance(payload, kinds)]


def test_a_unit_is_given_to_who_asked_first_and_then_to_the_next() -> None:
    floor = Floor(ONE, TWO, THREE)
    floor.begin(A, ONE)
    floor.scan()
    floor.begin(B, TWO)
    done = floor.scans(40)
    assert [(each.batch, each.role, each.number) for each in only(done, UnitAsked)] == [(A, "main", 1), (B, "main", 2)]
    given = only(done, UnitAllocated)
    assert [(each.batch, each.unit, each.number) for each in given] == [(A, THREE, 1), (B, THREE, 2)]
    assert done.index(given[1]) > next(at for at, each in enumerate(done) if isinstance(each, UnitReleased) and each.batch == A)
    assert {batch.state for batch in floor.state.batches.values()} == {State.COMPLETE}
    assert [part.phases[0].setpoints for part in given[0].procedures] == [{"agitation_sp": 100.0}]


def test_the_order_is_the_same_whichever_ledger_is_folded_first() -> None:
    floor = Floor(ONE, TWO, THREE)
    floor.begin(B, TWO)
    floor.begin(A, ONE)
    floor.scans(5)
    states = []
    for order in permutations(floor.ledgers):
        state = floor.empty
        for batch in order:
            for fact in floor.facts(batch):
                state = apply(state, fact)
        states.append(state)
    assert [arbitrate(state) for state in states] == [arbitrate(floor.state)] * len(states)
    assert [state.outputs() for state in states] == [floor.state.outputs()] * len(states)
    assert [dict(state.batches) for state in states] == [dict(floor.state.batches)] * len(states)


def test_a_crash_between_two_askings_changes_nothing() -> None:
    calm, rough = Floor(ONE, TWO, THREE), Floor(ONE, TWO, THREE)
    for floor in (calm, rough):
        floor.begin(A, ONE)
        floor.begin(B, TWO)
        floor.scans(3)
    due = arbitrate(calm.state)
    while one := arbitrate(rough.state)[:1]:
        rough.note(one)
        if len(only(one, UnitAllocated)):
            break
    calm.note(due)
    calm.note(arbitrate(calm.state)[:1])
    assert {batch: len(calm.ledgers[batch]) for batch in (A, B)} == {batch: len(rough.ledgers[batch]) for batch in (A, B)}
    assert calm.state.batches == rough.state.batches


def test_batches_that_wait_for_one_another_are_said_to() -> None:
    floor = Floor(ONE, TWO)
    floor.begin(A, ONE)
    floor.begin(B, TWO)
    alarms = only(floor.scans(20), AlarmRaised)
    assert [(each.batch, each.about) for each in alarms] == [(A, "role main"), (B, "role main")]  # once each
    assert alarms[0].what == ("BAT-A waits for a stirred_bioreactor as main: BR-50 held by BAT-A, BR-51 held by BAT-B; nobody can go on")
    floor.note(engine.command(floor.state.batches[B], Command.ABORT, why="to let the other go on"))
    done = floor.scans(20)
    assert [(each.batch, each.unit) for each in only(done, UnitAllocated)] == [(A, TWO)]
    assert floor.state.batches[A].state is State.COMPLETE


def test_a_batch_that_waits_for_what_it_holds_itself_is_said_to() -> None:
    floor = Floor(ONE)
    floor.begin(A, ONE)
    (alarm,) = only(floor.scans(10), AlarmRaised)
    assert alarm.what == "BAT-A waits for a stirred_bioreactor as main: BR-50 held by BAT-A; it holds that itself"


def test_who_only_waits_for_a_batch_that_goes_on_is_not_said_to() -> None:
    floor = Floor(ONE, TWO)
    floor.begin(A, ONE)
    floor.scans(6)  # it has TWO now
    assert floor.state.on_unit(TWO) is floor.state.batches[A]
    assert only(floor.scans(20), AlarmRaised) == []


def test_nobody_starts_on_a_unit_for_which_somebody_waits() -> None:
    floor = Floor(ONE, TWO)
    assert stops(check_nobody_waits_for_it(floor.state, ONE)) == []
    floor.begin(A, ONE)
    floor.begin(B, TWO)
    floor.scans(6)
    (note,) = stops(check_nobody_waits_for_it(floor.state, TWO))
    assert note.text == "BR-51 is kept for BAT-A, which has asked for a stirred_bioreactor"


def test_a_free_unit_that_may_not_be_given_is_said_once_and_given_once_it_may() -> None:
    floor = Floor(ONE, TWO)
    floor.begin(A, ONE)
    while not floor.state.batches[A].waiting:
        floor.note(engine.step(floor.state.batches[A], {}, floor.now))
        floor.note([each for each in arbitrate(floor.state) if isinstance(each, UnitAsked)])
        floor.now += timedelta(hours=0.5)

    def against(unit: UnitId, batch: object) -> list[Note]:
        return [Note("check_line", Severity.STOP, "the line is not cleared")]

    assert floor.state.batches[A].holds() == (ONE,)
    (alarm,) = arbitrate(floor.state, against=against)
    assert "none that is free may be given: BR-51: the line is not cleared" in alarm.what
    floor.note([alarm])
    assert arbitrate(floor.state, against=against) == []
    assert [type(each) for each in arbitrate(floor.state)] == [UnitAllocated]


def test_a_scan_gives_no_unit_that_no_master_file_names() -> None:
    floor = Floor(ONE, TWO)
    floor.begin(A, ONE)
    keys = [str(Signer.from_seed(name, name.encode().ljust(32)).verifying_key) for name in ("control", "witness")]
    floor.state = replace(floor.state, directory=Directory(NodeKeys(*keys)))
    seen = Frame(floor.now, TagIndex([]), np.array([]), np.array([], dtype=np.uint8))
    done: list[Payload] = []
    for _ in range(8):
        now = floor.now
        done += (facts := scan(Site(floor.state), replace(seen, at=now), Moment(now), mint=SeededMint(1)).facts)
        floor.note([each for each in facts if hasattr(each, "batch") and not isinstance(each, DeviationOpened)])
        floor.now += timedelta(hours=0.5)
    assert only(done, UnitAllocated) == []
    (alarm,) = [each for each in only(done, AlarmRaised) if "may be given" in each.what]
    assert "none that is free may be given: BR-51: no master file for SWAP has reached LEEDS" in alarm.what


def test_a_held_batch_keeps_its_place_in_the_line() -> None:
    floor = Floor(ONE, TWO, THREE)
    floor.begin(A, ONE)
    floor.scan()
    floor.begin(B, TWO)
    while not floor.state.batches[A].waiting:
        floor.note(engine.step(floor.state.batches[A], {}, floor.now))
        floor.note([each for each in arbitrate(floor.state) if isinstance(each, UnitAsked)])
        floor.now += timedelta(hours=0.5)
    floor.note(engine.command(floor.state.batches[A], Command.HOLD, why="a look"))
    done = floor.scans(12)
    assert only(done, UnitAllocated) == []  # the third vessel is kept for A; B waits behind it
    floor.note(engine.command(floor.state.batches[A], Command.RESTART, why="in order"))
    assert [each.batch for each in only(floor.scans(30), UnitAllocated)] == [A, B]


def test_set_points_go_to_the_units_that_a_batch_has() -> None:
    floor = Floor(ONE, TWO)
    floor.begin(A, ONE)
    floor.scans(7)
    assert floor.state.batches[A].current.name == "large"  # type: ignore[union-attr]
    assert floor.state.outputs() == {"BR-50.agitation_sp": 100.0, "BR-51.agitation_sp": 100.0}
    floor.scans(5)
    assert [each.phase for each in only([fact.payload for fact in floor.facts(A)], PhaseStarted)] == ["small", "large", "rinse"]
    assert floor.state.on_unit(TWO) is None
    assert floor.state.outputs()["BR-51.agitation_sp"] == 100.0  # the last stays in force until somebody else has the unit


@pytest.mark.parametrize("units", [(ONE,), (ONE, TWO)])
def test_a_recipe_whose_second_unit_nobody_has_is_not_started(units: tuple[UnitId, ...]) -> None:
    wrong = published(
        GENERAL.replace(
            "  main: {class: stirred_bioreactor, needs: {}}",
            "  main: {class: stirred_bioreactor, needs: {working_volume: {low: 900 L, high: 900 L}}}",
        )
    )
    control, notes = control_recipe(wrong, plant=plant(*units), unit=ONE, batch=A, lot=LotId("LOT-A"))
    assert control is None
    assert [note.check for note in stops(notes)] == ["check_every_role_has_a_unit"]
    assert "no unit can be the stirred_bioreactor main (BR-50: working_volume 900 to 900 L is needed" in stops(notes)[0].text


def test_the_line_of_a_released_unit_is_left_while_the_batch_goes_on() -> None:
    floor = Floor(ONE, TWO, general=GENERAL[: GENERAL.index("  - unit_procedure: clean")])
    floor.begin(A, ONE)
    while ONE in floor.state.batches[A].holds():
        floor.note(lines_due(floor.state), of=A)
        floor.scan()
    assert floor.state.lines[ONE].taken_by == A
    assert floor.state.running() == [floor.state.batches[A]]
    due = lines_due(floor.state)
    assert LineLeft(ONE, A) in due and not [each for each in due if isinstance(each, LineLeft) and each.unit != ONE]
    floor.note(due, of=A)
    assert floor.state.lines[ONE].taken_by is None
    assert LineLeft(ONE, A) not in lines_due(floor.state)
