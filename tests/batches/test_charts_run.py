"""Any chart runs to its end, as often as it says, and a crash between any two facts changes none of them."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

from chart_floor import FILLER, VESSEL, ChartFloor, part, phase, recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.batches import engine
from isogenic.batches.facts import BatchClosed, PhaseCompleted, PhaseStarted, StateChanged, UnitReleased
from isogenic.batches.states import Command, State
from isogenic.recipes import charts
from isogenic.recipes.charts import All, Chart, Choice, Name, OneOf, Repeat, Sequence, sequence
from isogenic.recipes.model import ControlException

YES, NO = "level > 0.0 m", "level < 0.0 m"  # the level is one metre throughout
HOLDS = {YES: True, NO: False, f"not {NO}": True}
CONDITIONS = st.sampled_from(sorted(HOLDS))


def larger(inner: st.SearchStrategy[Chart]) -> st.SearchStrategy[Chart]:
    some = st.lists(inner, min_size=1, max_size=3).map(tuple)
    body = st.lists(inner, max_size=2).map(tuple).map(sequence)
    ways = st.lists(st.builds(Choice, CONDITIONS, body), max_size=2).map(tuple)
    return st.one_of(
        some.map(sequence),
        some.map(All),
        st.builds(lambda each, last: OneOf((*each, Choice("", last))), ways, body),
        st.builds(Repeat, body, CONDITIONS, st.integers(1, 3), st.just("alarm")),
    )


CHARTS = st.recursive(st.just(Name("x")), larger, max_leaves=7)


def numbered(chart: Chart, start: str) -> Chart:
    """Every name once in a recipe, because facts name phases."""
    count = iter(range(1, 100))
    return charts.mapped(chart, name=lambda _: Name(f"{start}{next(count)}"), condition=str)


def runs_of(chart: Chart) -> Counter[str]:
    """How often each phase runs, by the chart alone."""
    match chart:
        case Name():
            return Counter([chart.name])
        case Sequence():
            return sum((runs_of(each) for each in chart.parts), Counter())
        case All():
            return sum((runs_of(each) for each in chart.branches), Counter())
        case OneOf():
            return runs_of(next(each.do for each in chart.choices if not each.when or HOLDS[each.when]))
        case Repeat():
            rounds = 1 if HOLDS[chart.until] else chart.at_most
            return Counter({name: times * rounds for name, times in runs_of(chart.body).items()})


def in_order(chart: Chart, spans: dict[str, tuple[int, int]]) -> bool:
    """Whether everything of one part of a sequence is over before anything of the next begins; `spans` from first start to last end."""

    def span(inner: Chart) -> tuple[int, int] | None:
        found = [spans[name] for name in charts.names(inner) if name in spans]
        return (min(start for start, _ in found), max(end for _, end in found)) if found else None

    match chart:
        case Sequence():
            found = [each for each in map(span, chart.parts) if each is not None]
            ordered = all(one[1] < other[0] for one, other in itertools.pairwise(found))
            return ordered and all(in_order(each, spans) for each in chart.parts)
        case All():
            return all(in_order(each, spans) for each in chart.branches)
        case OneOf():
            return all(in_order(each.do, spans) for each in chart.choices)
    return True  # the rounds of a loop lie one after another: its spans overlap


def floor_of(first: Chart, second: Chart, *, beside: bool) -> ChartFloor:
    first, second = numbered(first, "a"), numbered(second, "b")
    safe = {"on_hold": "calm; wait", "on_restart": "check", "on_exception": {"cool": "cool_down"}}
    rule = ControlException("high", "level > 5.0 m", 0.0, "cool")
    plain = part("first", charts.text_of(first), role="main", **safe)
    watched = tuple(phase(each.name, exceptions=(rule,), setpoints={"level_sp": float(at)}) for at, each in enumerate(plain.phases))
    one = part("first", plain.chart, *watched, role="main", **safe)
    open_ = part("second", "", unit=None, role="other")
    later = {"other": (part("second", charts.text_of(second), unit=FILLER, role="other", on_hold="still"),)}
    floor = ChartFloor(recipe(one, open_, chart="all(first, second)" if beside else "first; second"), later=later)
    floor.values = {"level": 1.0}
    return floor


def trouble(floor: ChartFloor, dice: Random) -> None:
    """What people do to a batch now and then."""
    state = floor.batch.state
    if state is State.RUNNING and dice.random() < 0.15:
        floor.note(engine.command(floor.batch, dice.choice((Command.HOLD, Command.PAUSE)), why="a look"))
    elif state in (State.HELD, State.PAUSED) and dice.random() < 0.7:
        floor.note(engine.command(floor.batch, Command.RESTART if state is State.HELD else Command.RESUME, why="in order"))
    elif state in (State.RESTARTING, State.HOLDING) and dice.random() < 0.1 and state is State.RESTARTING:
        floor.note(engine.command(floor.batch, Command.HOLD, why="not yet"))
    floor.values["level"] = 6.0 if dice.random() < 0.1 else 1.0  # an exception, and over again: no way of the chart depends on it


def run(floor: ChartFloor, dice: Random, *, kills: bool) -> None:
    for _ in range(3_000):
        if floor.batch.closed:
            return
        trouble(floor, dice)
        floor.give_units()
        due = floor.due()
        if kills:
            for at in range(len(due)):  # a crash after each fact: what was noted goes on with exactly what was left
                state = floor.batch
                assert engine.step(state, floor.seen(), floor.now) == due[at:]
                floor.note([due[at]])
                assert floor.refolded() == floor.batch
        else:
            floor.note(due)
        floor.scan(hours=dice.choice((0.1, 0.5, 1.0)))
    raise AssertionError("the batch never ended")


@settings(max_examples=60, deadline=None)
@given(CHARTS, CHARTS, st.booleans(), st.integers(0, 10**6))
def test_any_chart_runs_to_its_end_as_often_as_it_says(first, second, beside, seed):
    floor = floor_of(first, second, beside=beside)
    run(floor, Random(seed), kills=False)
    wanted = runs_of(numbered(first, "a")) + runs_of(numbered(second, "b"))
    began = Counter(fact.phase for fact in floor.of(PhaseStarted) if fact.phase in wanted)
    assert began == wanted
    assert Counter(fact.phase for fact in floor.of(PhaseCompleted) if fact.phase in wanted) == wanted
    for name, times in wanted.items():
        assert [fact.run for fact in floor.of(PhaseStarted) if fact.phase == name] == list(range(1, times + 1))
    spans: dict[str, tuple[int, int]] = {}
    for at, payload in enumerate(floor.of(PhaseStarted, PhaseCompleted)):
        spans[payload.phase] = (spans[payload.phase][0] if payload.phase in spans else at, at)
    assert in_order(numbered(first, "a"), spans) and in_order(numbered(second, "b"), spans)
    if not beside:
        assert in_order(Sequence((numbered(first, "a"), numbered(second, "b"))), spans)
    assert floor.facts[-1].payload == BatchClosed(floor.batch.batch, floor.batch.lot, State.COMPLETE, len(floor.ledger))


@settings(max_examples=25, deadline=None)
@given(CHARTS, CHARTS, st.booleans(), st.integers(0, 10**6))
def test_every_beginning_of_the_facts_goes_on_to_the_same_facts(first, second, beside, seed):
    calm, rough = floor_of(first, second, beside=beside), floor_of(first, second, beside=beside)
    run(calm, Random(seed), kills=False)
    run(rough, Random(seed), kills=True)
    assert rough.ledger == calm.ledger


@settings(max_examples=25, deadline=None)
@given(CHARTS, CHARTS, st.integers(0, 10**6))
def test_what_holding_and_restarting_have_done_is_done_each_time(first, second, seed):
    floor = floor_of(first, second, beside=False)
    run(floor, Random(seed), kills=False)
    changes = [fact.state for fact in floor.of(StateChanged)]
    for at, state in enumerate(changes):
        if state is State.HOLDING:
            assert changes[at + 1] is State.HELD
    completed = Counter(fact.phase for fact in floor.of(PhaseCompleted))
    first_runs = bool(runs_of(numbered(first, "a")))
    if first_runs and changes.count(State.HOLDING) == changes.count(State.RESTARTING) == 0:
        assert completed["calm"] == completed["check"] == 0
    assert completed["wait"] == completed["calm"]  # each hold ran both to their end
    assert completed["wait"] <= changes.count(State.HELD)


class Alone(ChartFloor):
    """As at a site: only the units that the batch holds are seen."""

    def seen(self):
        return {unit: readings for unit, readings in super().seen().items() if unit in self.batch.holds()}


def test_a_unit_whose_readings_decide_a_way_that_is_ahead_is_kept_until_it_is_decided():
    second = {"unit": None, "role": "second"}
    later = {"second": (part("warm", "do_warm", unit=FILLER, role="second"), part("cold", "do_cold", unit=FILLER, role="second"))}
    parts = (part("first", "do_first"), part("warm", "do_warm", **second), part("cold", "do_cold", **second))
    chart = "first; one(when temperature < 30.0 degC: cold, when temperature > 100.0 degC: warm)"
    floor = Alone(recipe(*parts, chart=chart), later=later)
    floor.values = {"temperature": 37.0}
    for _ in range(6):
        floor.scan()
    assert floor.batch.holds() == (VESSEL,) and floor.of(UnitReleased) == []
    floor.values = {"temperature": 20.0}
    for _ in range(6):
        floor.scan()
        floor.give_units()
    assert [each.unit for each in floor.of(UnitReleased)] == [VESSEL]
    assert floor.batch.state is State.COMPLETE
    assert floor.refolded() == floor.batch
