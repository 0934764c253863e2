"""Services that phases run: started once, held and resumed with the batch; what goes wrong holds it and loses nothing."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from chart_floor import VESSEL, ChartFloor, part, phase, recipe

from isogenic.batches import engine
from isogenic.batches.facts import AlarmRaised, PhaseCompleted, ServiceCommanded, ServiceRefused, ServiceStateSeen, SignalLost, StateChanged
from isogenic.batches.states import Command, State
from isogenic.plant.mtp.states import AFTER, COMMANDS, NEXT, ServiceState
from isogenic.plant.services import ServiceOrder
from isogenic.recipes.model import ControlService, Then

S = ServiceState
MIX = phase(
    "mix",
    service=ControlService("mixing", "gentle", {"speed": 60.0}),
    until="completed",
    needs=("mixing_state",),
    lost_after_h=0.01,
    lost_then=Then.HOLD,
)


class Module:
    """One service by the standard's table, one step of its own with each scan; it hears each order once."""

    def __init__(self, *, runs: int = 3) -> None:
        self.state, self.runs, self.left = S.IDLE, runs, runs
        self.heard: list[ServiceOrder] = []

    def told(self, orders: Mapping[str, ServiceOrder]) -> None:
        for order in orders.values():
            if order in self.heard or COMMANDS[order.command] not in NEXT[self.state]:
                continue
            self.heard.append(order)
            self.state = NEXT[self.state][COMMANDS[order.command]]
            self.left = self.runs if order.command == "start" else self.left

    def go_on(self) -> None:
        if self.state is S.EXECUTE:
            self.left -= 1
            self.state = S.COMPLETING if self.left <= 0 else self.state
        elif self.state in AFTER:
            self.state = AFTER[self.state]


class ServiceFloor(ChartFloor):
    """A floor with one module that has the service."""

    def __init__(self, *phases: object, chart: str = "mix", **changes: object) -> None:
        self.module = Module()
        super().__init__(recipe(part("work", chart, *(phases or (MIX,)), **changes)))  # type: ignore[arg-type]

    def cycle(self, *, hours: float = 0.001) -> None:
        self.values["mixing_state"] = float(self.module.state)
        self.scan(hours=hours)
        self.module.told(engine.orders(self.batch))
        self.module.go_on()

    def cycles(self, count: int, **changes: float) -> None:
        for _ in range(count):
            self.cycle(**changes)

    def said(self) -> list[str]:
        return [each.command for each in self.of(ServiceCommanded)]


def test_a_phase_starts_its_service_and_ends_with_it():
    floor = ServiceFloor()
    floor.cycles(12)
    (order,) = floor.of(ServiceCommanded)
    assert (order.command, order.procedure, order.parameters, order.number, order.unit) == ("start", "gentle", {"speed": 60.0}, 1, VESSEL)
    assert [each.state for each in floor.of(ServiceStateSeen)] == ["idle", "execute", "completing", "completed"]
    assert [each.why for each in floor.of(PhaseCompleted)] == ["completed"]
    assert floor.batch.state is State.COMPLETE and engine.orders(floor.batch) == {}
    assert floor.refolded() == floor.batch


def test_an_order_stands_until_the_service_has_moved():
    floor = ServiceFloor()
    floor.values["mixing_state"] = 16.0
    floor.scan(hours=0.001)
    order = {"BR-1.mixing": ServiceOrder("mixing", "start", "gentle", {"speed": 60.0}, 1)}
    assert engine.orders(floor.batch) == order == engine.orders(floor.refolded())
    floor.scan(hours=0.001)
    assert engine.orders(floor.batch) == order  # told again after a restart; ordered once
    floor.values["mixing_state"] = 64.0
    floor.scan(hours=0.001)
    assert engine.orders(floor.batch) == {}


def test_the_same_service_is_reset_for_its_next_phase():
    again = phase("again", service=MIX.service, until="completed", needs=("mixing_state",))
    floor = ServiceFloor(MIX, again, chart="mix; again")
    floor.cycles(25)
    assert floor.said() == ["start", "reset", "start"]
    assert [each.number for each in floor.of(ServiceCommanded)] == [1, 2, 3]
    assert floor.batch.state is State.COMPLETE


def test_a_service_that_does_not_end_by_itself_is_told_to():
    floor = ServiceFloor(phase("mix", service=MIX.service, until="elapsed > 0.02 h", needs=("mixing_state",)))
    floor.module.runs = 10_000
    floor.cycles(40)
    assert floor.said() == ["start", "complete"]
    assert floor.batch.state is State.COMPLETE and floor.module.state is S.COMPLETED


@pytest.mark.parametrize(("told", "way"), [(Command.HOLD, ["start", "hold", "unhold"]), (Command.PAUSE, ["start", "pause", "resume"])])
def test_a_service_is_held_and_goes_on_with_its_batch(told, way):
    floor = ServiceFloor()
    floor.module.runs = 20
    floor.cycles(4)
    floor.note(engine.command(floor.batch, told, why="a look"))
    floor.cycles(6)
    assert floor.batch.state is (State.HELD if told is Command.HOLD else State.PAUSED)
    assert floor.module.state is (S.HELD if told is Command.HOLD else S.PAUSED)
    floor.note(engine.command(floor.batch, Command.RESTART if told is Command.HOLD else Command.RESUME, why="in order"))
    floor.cycles(40)
    assert floor.said() == way
    assert floor.batch.state is State.COMPLETE
    assert floor.of(AlarmRaised) == []


@pytest.mark.parametrize(("told", "end"), [(Command.STOP, S.STOPPED), (Command.ABORT, S.ABORTED)])
def test_a_service_ends_with_its_batch(told, end):
    floor = ServiceFloor()
    floor.module.runs = 10_000
    floor.cycles(4)
    floor.note(engine.command(floor.batch, told, why="spoilt"))
    if told is Command.ABORT:  # the order is noted before the batch is closed; nobody waits for the module
        due = floor.due()
        assert [type(each).__name__ for each in due] == ["ServiceCommanded", "StateChanged", "BatchClosed"]
        return
    floor.cycles(6)
    assert floor.batch.closed and floor.module.state is end


def test_an_impossible_state_holds_the_batch():
    floor = ServiceFloor()
    floor.cycles(3)
    floor.module.state = 77  # type: ignore[assignment]
    floor.module.go_on = lambda: None  # type: ignore[method-assign]
    floor.cycles(4)
    assert [(each.what, each.then, each.about) for each in floor.of(AlarmRaised)] == [
        ("mixing reports state 77, which is none", "hold", "service BR-1.mixing")
    ]
    assert floor.batch.state is State.HELD
    assert floor.of(ServiceStateSeen)[-1].state == ""


def test_a_way_that_nobody_told_it_to_go_holds_the_batch():
    floor = ServiceFloor()
    floor.module.runs = 10_000
    floor.cycles(4)
    floor.module.state = S.ABORTED  # somebody at the module
    floor.cycles(4)
    assert [each.what for each in floor.of(AlarmRaised)] == ["mixing went from execute to aborted, and nobody here told it"]
    assert floor.batch.state is State.HELD
    floor.note(engine.command(floor.batch, Command.RESTART, why="looked at the module"))
    floor.module.runs = 3
    floor.cycles(20)
    assert floor.said() == ["start", "reset", "start"]  # from the beginning, because a person let it
    assert floor.batch.state is State.COMPLETE
    assert [each.run for each in floor.of(PhaseCompleted)] == [1]


def test_a_service_that_runs_already_is_not_taken_over():
    floor = ServiceFloor()
    floor.module.state = S.EXECUTE
    floor.cycles(3)
    assert [each.what for each in floor.of(AlarmRaised)] == ["mixing is in execute, and nobody here started it"]
    assert "start" not in floor.said()
    assert floor.batch.state in (State.HOLDING, State.HELD)


def test_a_refused_order_holds_the_batch_and_is_given_again_after_a_restart():
    floor = ServiceFloor()
    floor.values["mixing_state"] = 16.0
    floor.scan(hours=0.001)
    floor.note([ServiceRefused(floor.batch.batch, VESSEL, "mixing", 1, "the lid is open")])
    assert engine.orders(floor.batch) == {}
    for _ in range(3):
        floor.scan(hours=0.001)
    assert [each.what for each in floor.of(AlarmRaised)] == ["mixing does not start: the lid is open"]
    assert floor.batch.state is State.HELD
    floor.note(engine.command(floor.batch, Command.RESTART, why="lid closed"))
    floor.cycles(12)
    assert [(each.command, each.number) for each in floor.of(ServiceCommanded)] == [("start", 1), ("start", 2)]
    assert floor.batch.state is State.COMPLETE


def test_a_module_that_does_not_answer_for_a_minute_holds_the_batch():
    floor = ServiceFloor()
    floor.values["mixing_state"] = 16.0
    for _ in range(8):
        floor.scan(hours=0.005)
    assert [each.what for each in floor.of(AlarmRaised)] == ["mixing was told to start and has not moved for a minute"]
    assert floor.batch.state is State.HELD
    assert floor.said() == ["start"]


def test_a_module_that_vanishes_in_its_phase_holds_the_batch_and_nothing_is_lost():
    floor = ServiceFloor()
    floor.module.runs = 30
    floor.cycles(4)
    before = floor.batch.active["mix"]
    del floor.values["mixing_state"]
    floor.bad = {"mixing_state"}
    for _ in range(30):
        floor.scan(hours=0.001)
        floor.module.go_on()  # it goes on where nobody sees it
    assert [each.signal for each in floor.of(SignalLost)] == ["mixing_state"]
    assert [(each.signal, each.then) for each in floor.of(AlarmRaised)] == [("mixing_state", "hold")]
    assert floor.batch.state is State.HELD  # nobody waits for a state that cannot be read
    assert (floor.batch.active["mix"].run, floor.batch.active["mix"].since) == (before.run, before.since)
    floor.bad = set()
    floor.module.state = S.EXECUTE
    floor.cycle()
    floor.note(engine.command(floor.batch, Command.RESTART, why="the module is back"))
    floor.cycles(40)
    assert [each.command for each in floor.of(ServiceCommanded) if each.command == "start"] == ["start"]  # it was never started twice
    assert floor.batch.state is State.COMPLETE
    assert [each.run for each in floor.of(PhaseCompleted)] == [1]
    assert floor.refolded() == floor.batch


def test_a_crash_after_any_fact_starts_no_service_twice():
    calm, rough = ServiceFloor(), ServiceFloor()
    for floor in (calm, rough):
        floor.module.runs = 4
    calm.cycles(14)
    for _ in range(14):
        rough.values["mixing_state"] = float(rough.module.state)
        while due := rough.due():
            rough.note(due[:1])
            rough.state = rough.refolded()
        rough.now = rough.now  # the clock goes on as in the calm run
        rough.cycle()
    assert rough.ledger == calm.ledger
    assert [order.command for order in rough.module.heard] == ["start"]
    assert StateChanged in {type(fact.payload) for fact in rough.facts}
