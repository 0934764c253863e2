"""A simulated module's controller: every state with every command, modes, inputs, parameters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from isogenic.errors import NotFound, NotValid
from isogenic.plant.classes import CLASSES
from isogenic.plant.mtp.states import AFTER, NEXT, Command, ServiceState, command_of, enabled, state_of
from isogenic.sim.pea import (
    Behaviour,
    Lasting,
    Mode,
    Pea,
    PeaDefinition,
    PeaParameter,
    PeaProcedure,
    PeaService,
    PeaValue,
    Run,
    Source,
    Wire,
    definition_of,
)

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
S, C = ServiceState, Command

DOSER = PeaDefinition(
    "DOSER",
    services=(
        PeaService(
            "dose",
            procedures=(
                PeaProcedure(
                    "volume",
                    1,
                    parameters=(PeaParameter("seconds", "s", 1.0, 3600.0, 10.0), PeaParameter("volume", "L", 0.0, 50.0)),
                    reports=(PeaValue("dosed", "L"),),
                ),
                PeaProcedure("continuous", 2, self_completing=False, parameters=(PeaParameter("rate", "L/h", 0.0, 9.0, adjustable=True),)),
            ),
            configuration=(PeaParameter("pump", wire=Wire.WHOLE, low=1, high=2, default=1),),
        ),
    ),
    assemblies=(
        PeaValue("level", "L", 0.0, 100.0),
        PeaValue("temperature_sp", "degC", 0.0, 60.0, settable=True),
        PeaValue("label", wire=Wire.TEXT, default=""),
    ),
)


class Slow(Behaviour):
    """No state is left by itself until told."""

    def __init__(self) -> None:
        self.done = False
        self.seen: list[ServiceState] = []

    def entered(self, run: Run) -> None:
        self.seen.append(run.state)

    def going(self, run: Run, seconds: float) -> bool:
        return self.done


def automatic(behaviour: Behaviour | None = None) -> Pea:
    return Pea(DOSER, {"dose": behaviour} if behaviour else {}, mode=Mode.AUTOMATIC, source=Source.EXTERNAL)


def start(pea: Pea, number: int = 1) -> None:
    pea.write("dose.ProcedureExt", number)
    pea.write("dose.CommandExt", int(C.START))


def brought_to(state: ServiceState, behaviour: Slow) -> Pea:
    """A module in a state, by the shortest way through the table."""
    pea = automatic(behaviour)
    ways: dict[ServiceState, list[Command | None]] = {S.IDLE: []}
    queue = [S.IDLE]
    for at in queue:
        onward: list[tuple[Command | None, ServiceState]] = [*NEXT[at].items(), *([(None, AFTER[at])] if at in AFTER else [])]
        for command, then in onward:
            if then not in ways:
                ways[then] = [*ways[at], command]
                queue.append(then)
    pea.write("dose.ProcedureExt", 1)
    for command in ways[state]:
        if command is None:
            behaviour.done = True
            pea._services["dose"]._enter(AFTER[pea.run("dose").state])
            behaviour.done = False
        else:
            pea.write("dose.CommandExt", int(command))
    assert pea.run("dose").state is state
    pea.write("dose.ProcedureExt", 1)
    return pea


@pytest.mark.parametrize("state", list(S), ids=lambda each: each.name.lower())
@pytest.mark.parametrize("command", list(C), ids=lambda each: each.name.lower())
def test_every_command_in_every_state_does_what_the_table_says(state, command):
    behaviour = Slow()
    pea = brought_to(state, behaviour)
    assert pea.values["dose.CommandEn"] == sum(NEXT[state])
    pea.write("dose.CommandExt", int(command))
    assert pea.values["dose.StateCur"] == NEXT[state].get(command, state)
    assert pea.values["dose.CommandExt"] == 0


def test_the_codes_are_those_of_the_standard():
    assert sorted(S) == [4 << at for at in range(16)]
    assert sorted(C) == [2 << at for at in range(10)]
    assert [state_of(word) for word in (0, 1, 2, 3, 12, 16, 262144, 16.5, float("nan"))] == [None, None, None, None, None, S.IDLE, None, None, None]
    assert [command_of(word) for word in (0, 1, 4, 6, 2048)] == [None, None, C.START, None, None]
    assert enabled(S.IDLE, procedure=0) == 264  # a real module's CommandEn in idle with nothing requested: stop and abort


def test_a_procedure_that_completes_itself_goes_through_every_state_and_a_reset_leads_back():
    behaviour = Slow()
    pea = automatic(behaviour)
    behaviour.done = True
    start(pea)
    assert behaviour.seen == [S.STARTING, S.EXECUTE, S.COMPLETING, S.COMPLETED]
    assert pea.values["dose.ReportValueFreeze"] is True
    pea.write("dose.CommandExt", int(C.RESET))
    assert behaviour.seen[4:] == [S.RESETTING, S.IDLE]


def test_a_continuous_procedure_runs_until_it_is_told():
    pea = automatic()
    start(pea, 2)
    pea.advance(AT)
    pea.advance(AT + timedelta(hours=5))
    assert pea.values["dose.StateCur"] == S.EXECUTE
    pea.write("dose.CommandExt", int(C.COMPLETE))
    assert pea.values["dose.StateCur"] == S.COMPLETED


def test_held_time_does_not_count_and_the_work_goes_on_after_it():
    pea = automatic(Lasting("seconds"))
    pea.advance(AT)
    pea.write("dose.seconds.VExt", 30.0)
    start(pea)
    pea.advance(AT + timedelta(seconds=20))
    pea.write("dose.CommandExt", int(C.HOLD))
    assert pea.values["dose.StateCur"] == S.HELD
    pea.advance(AT + timedelta(hours=1))
    pea.write("dose.CommandExt", int(C.UNHOLD))
    pea.advance(AT + timedelta(hours=1, seconds=9))
    assert pea.values["dose.StateCur"] == S.EXECUTE
    pea.advance(AT + timedelta(hours=1, seconds=10))
    assert pea.values["dose.StateCur"] == S.COMPLETED


def test_a_command_word_is_one_bit_or_nothing_and_is_set_back():
    pea = automatic()
    pea.write("dose.ProcedureExt", 2)
    for word in (0, 1, 4 | 8, 2048):
        pea.write("dose.CommandExt", word)
        assert (pea.values["dose.StateCur"], pea.values["dose.CommandExt"]) == (S.IDLE, 0)


def test_only_the_input_that_the_modes_open_is_heard():
    pea = Pea(DOSER)  # offline
    assert pea.values["dose.CommandEn"] == 0
    start(pea)
    assert pea.values["dose.ProcedureReq"] == 0
    pea.write("dose.StateAutOp", True)
    assert (pea.values["dose.StateAutAct"], pea.values["dose.StateOffAct"], pea.values["dose.StateAutOp"]) == (True, False, False)
    start(pea)  # automatic, but the module's own program
    assert pea.values["dose.StateCur"] == S.IDLE
    pea.write("dose.SrcExtOp", True)
    assert (pea.values["dose.SrcExtAct"], pea.values["dose.volume.SrcExtAct"]) == (True, True)
    pea.write("dose.ProcedureOp", 2)
    assert pea.values["dose.ProcedureReq"] == 0
    start(pea, 2)
    assert pea.values["dose.StateCur"] == S.EXECUTE
    pea.write("dose.StateOpOp", True)  # a person takes over: the state stays
    pea.write("dose.CommandExt", int(C.STOP))
    assert pea.values["dose.StateCur"] == S.EXECUTE
    pea.write("dose.CommandOp", int(C.STOP))
    assert pea.values["dose.StateCur"] == S.STOPPED


def test_a_service_goes_offline_in_idle_only():
    pea = automatic()
    start(pea, 2)
    pea.write("dose.StateOffOp", True)
    assert (pea.values["dose.StateAutAct"], pea.values["dose.StateOffOp"]) == (True, False)


def test_nothing_starts_without_a_procedure_that_exists():
    pea = automatic()
    pea.write("dose.CommandExt", int(C.START))
    assert pea.values["dose.StateCur"] == S.IDLE
    pea.write("dose.ProcedureExt", 7)
    assert pea.values["dose.ProcedureReq"] == 0
    start(pea, 2)
    assert (pea.values["dose.ProcedureCur"], pea.values["dose.ProcedureReq"], pea.values["dose.ProcedureExt"]) == (2, 0, 0)


def test_parameters_are_taken_over_at_the_start_and_only_within_their_range():
    pea = automatic(Slow())
    pea.write("dose.volume.VExt", 12.5)
    pea.write("dose.volume.VExt", 51.0)
    assert (pea.values["dose.volume.VReq"], pea.values["dose.volume.VOut"]) == (12.5, 0.0)
    start(pea)
    assert (pea.values["dose.volume.VOut"], pea.values["dose.volume.VFbk"], pea.run("dose").parameters["volume"]) == (12.5, 12.5, 12.5)
    pea.write("dose.volume.VExt", 13.0)
    pea.write("dose.volume.ApplyExt", True)  # not adjustable while it runs
    assert (pea.values["dose.volume.ApplyEn"], pea.values["dose.volume.VOut"], pea.values["dose.volume.ApplyExt"]) == (False, 12.5, False)


def test_an_adjustable_parameter_is_applied_while_the_service_runs():
    pea = automatic()
    start(pea, 2)
    pea.write("dose.rate.VExt", 3.0)
    assert pea.values["dose.rate.VOut"] == 0.0
    pea.write("dose.ProcParamApplyExt", True)
    assert (pea.values["dose.rate.VOut"], pea.values["dose.ProcParamApplyExt"]) == (3.0, False)


def test_a_configuration_parameter_is_applied_in_idle():
    pea = automatic()
    pea.write("dose.pump.VExt", 2)
    pea.write("dose.ConfigParamApplyExt", True)
    assert pea.values["dose.pump.VOut"] == 2


def test_the_module_may_decide_by_itself():
    class Faulty(Behaviour):
        def going(self, run, seconds):
            if run.state is S.EXECUTE:
                run.command(C.HOLD)
            return run.state is not S.EXECUTE

    pea = automatic(Faulty())
    start(pea)
    assert pea.values["dose.StateCur"] == S.HELD


def test_values_are_shown_lost_and_set():
    pea = automatic()
    pea.changed()
    pea.show("level", 42.0)
    pea.lose("level.WQC")
    assert (pea.changed(), pea.bad) == (["level.V", "level.WQC"], {"level.WQC"})
    pea.write("temperature_sp.VMan", 37.0)
    pea.write("temperature_sp.VMan", 99.0)
    assert pea.asked("temperature_sp") == 37.0
    assert pea.write("level.V", 1.0) is False
    assert pea.write("nothing.V", 1.0) is False
    with pytest.raises(NotValid):
        pea.show("level", float("nan"))
    with pytest.raises(NotFound):
        Pea(DOSER, {"pour": Behaviour()})


def test_a_definition_comes_from_an_equipment_class():
    made = definition_of(CLASSES["filler"], name="FILL-1", services=("fill", "stopper"), signals=("containers_filled", "isolator_pressure_sp"))
    assert [(each.name, [way.name for way in each.procedures]) for each in made.services] == [
        ("fill", ["peristaltic", "gravimetric"]),
        ("stopper", ["press_fit", "crimp"]),
    ]
    assert [(each.name, each.unit, each.settable) for each in made.assemblies] == [
        ("containers_filled", "1", False),
        ("isolator_pressure_sp", "Pa", True),
    ]
