"""A simulated filling line and cell processor, driven by their services: what goes in comes out, and what goes wrong shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.batches.counts import Tally, due, follow, reconcile
from isogenic.errors import NotFound
from isogenic.ids import BatchId, UnitId
from isogenic.plant.classes import COUNTS
from isogenic.plant.mtp.states import Command, ServiceState
from isogenic.plant.readings import Quality, Reading
from isogenic.sim.cell_processor import CellProcessor, Cells
from isogenic.sim.filler import FillingLine
from isogenic.sim.pea import Pea
from isogenic.sim.processes.car_t import CAR_T
from isogenic.sim.processes.t_cells import car_positive

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
BATCH, UNIT = BatchId("BAT-1"), UnitId("FR-1")


class Floor:
    """Whoever orders the services, and the clock."""

    def __init__(self, *peas: Pea) -> None:
        self.peas, self.at = list(peas), AT
        for each in self.peas:
            each.advance(AT)

    def pea_of(self, service: str) -> Pea:
        return next(each for each in self.peas if f"{service}.StateCur" in each.variables)

    def state(self, service: str) -> ServiceState:
        return ServiceState(int(self.pea_of(service).values[f"{service}.StateCur"]))

    def command(self, service: str, command: Command) -> None:
        self.pea_of(service).write(f"{service}.CommandExt", int(command))

    def start(self, service: str, *, procedure: int = 1, **parameters: float) -> None:
        pea = self.pea_of(service)
        if self.state(service) is ServiceState.COMPLETED:
            self.command(service, Command.RESET)
            self.wait(1.0)
        for name, value in parameters.items():
            pea.write(f"{service}.{name}.VExt", value)
        pea.write(f"{service}.ProcedureExt", procedure)
        self.command(service, Command.START)

    def wait(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        for each in self.peas:
            each.advance(self.at)

    def run(self, service: str, *, procedure: int = 1, step: float = 5.0, steps: int = 3000, **parameters: float) -> ServiceState:
        """Until the service rests; gives the state in which it does."""
        self.start(service, procedure=procedure, **parameters)
        for _ in range(steps):
            self.wait(step)
            if self.state(service) in (ServiceState.COMPLETED, ServiceState.HELD, ServiceState.ABORTED, ServiceState.STOPPED):
                return self.state(service)
        raise AssertionError(f"{service} is still {self.state(service)}")


class Watched(Floor):
    """A filling line that a site watches: its counts are noted as the loop does it."""

    def __init__(self, line: FillingLine) -> None:
        super().__init__(line.fill, line.finish)
        self.line, self.tally = line, Tally()
        self.look()

    def look(self) -> None:
        seen = {}
        for pea in self.peas:
            for key, value in pea.values.items():
                name, _, word = key.rpartition(".")
                if word == "V" and name in COUNTS:
                    seen[name] = Reading(float(value), Quality.GOOD)
                if word == "StateCur":
                    seen[f"{name}_state"] = Reading(float(value), Quality.GOOD)
        modules = {each.name: pea.definition.name for pea in self.peas for each in pea.definition.assemblies}
        for noted in due(BATCH, UNIT, self.tally, seen, modules=modules):
            self.tally = follow(self.tally, noted)

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        self.look()

    def through(self, containers: int, *, samples: int = 0) -> None:
        """All four services, going on after each hold."""
        for service, parameters in (
            ("fill", {"containers": containers, "fill_weight": 10.0, "tolerance": 4.0}),
            ("stopper", {"containers": containers}),
            ("inspect", {"containers": containers, "samples": samples}),
            ("label", {"containers": containers}),
        ):
            state = self.run(service, **parameters)
            while state is ServiceState.HELD:
                self.command(service, Command.UNHOLD)
                for _ in range(500):
                    self.wait(5.0)
                    if self.state(service) in (ServiceState.COMPLETED, ServiceState.HELD):
                        break
                state = self.state(service)
            assert state is ServiceState.COMPLETED, (service, state)


def test_a_good_run_gives_good_containers_samples_and_labels():
    floor = Watched(FillingLine(seed=7))
    floor.through(8, samples=2)
    found = reconcile(floor.tally)
    assert (found.taken_in, found.good, found.sampled, sum(found.rejected.values())) == (8, 6, 2, 0)
    assert (found.printed, found.applied, found.destroyed, found.findings) == (6, 6, 0, ())


FAULTS = st.dictionaries(
    st.sampled_from(["underfill", "no_stopper", "particle", "bad_seal", "bad_label", "jam", "dust"]),
    st.sets(st.integers(1, 10), max_size=3).map(tuple),
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(FAULTS, st.integers(1, 10), st.integers(0, 3), st.sampled_from([None, "FILL", "FINISH"]))
def test_whatever_goes_wrong_everything_is_accounted_for(faults, containers, samples, restarted):
    line = FillingLine(seed=3, faults=faults)
    floor = Watched(line)
    floor.through(containers, samples=samples)
    if restarted:
        line.restart(restarted)
        floor.peas = [line.fill, line.finish]
        floor.wait(1.0)
        floor.through(2)
    found = reconcile(floor.tally)
    assert found.findings == () and found.taken_in == containers + (2 if restarted else 0)


def test_a_container_that_vanishes_is_found():
    floor = Watched(FillingLine(seed=3, faults={"vanish": (4,)}))
    floor.through(6)
    assert reconcile(floor.tally).findings == ("containers do not reconcile: 6 taken in, 5 good, 0 rejected, 0 sampled; 1 are not accounted for",)


def test_two_underfills_in_a_row_hold_the_line():
    floor = Watched(FillingLine(seed=3, faults={"underfill": (2, 3)}))
    assert floor.run("fill", containers=6, fill_weight=10.0, tolerance=4.0) is ServiceState.HELD
    assert (floor.line.counts["containers_in"], floor.line.counts["rejected_fill_weight"]) == (3, 2)


def test_a_jam_holds_the_line_and_costs_the_container():
    floor = Watched(FillingLine(seed=3, faults={"jam": (2,)}))
    floor.run("fill", containers=3, fill_weight=10.0, tolerance=4.0)
    assert floor.run("stopper", containers=3) is ServiceState.HELD
    assert floor.line.counts["rejected_handling"] == 1


def test_dust_shows_in_the_particles():
    line = FillingLine(seed=3, faults={"dust": (1,)})
    floor = Watched(line)
    floor.start("fill", containers=2, fill_weight=10.0, tolerance=4.0)
    floor.wait(6.0)
    assert line.fill.values["particles_0_5.V"] == 9_000.0
    floor.wait(6.0)
    assert line.fill.values["particles_0_5.V"] == 180.0


def test_an_unknown_fault_is_refused():
    with pytest.raises(ValueError, match="has no fault fire"):
        FillingLine(seed=1, faults={"fire": (1,)})
    with pytest.raises(NotFound, match="has no fault fire"):
        CellProcessor(faults=["fire"])
    with pytest.raises(NotFound, match="has no fault fire"):
        FillingLine(seed=1, struck={"fire": 1.0})


def processed(cells: Cells | None = None, *, faults: tuple[str, ...] = ()) -> tuple[CellProcessor, Floor]:
    made = CellProcessor(cells, faults=faults)
    floor = Floor(made.pea)
    assert floor.run("prime", test_pressure=200.0, minutes=5.0, step=30.0) is ServiceState.COMPLETED
    assert floor.run("wash", volume=200.0, cycles=2.0, step=60.0) is ServiceState.COMPLETED
    assert floor.run("select", beads_per_cell=3.0, minutes=30.0, step=60.0) is ServiceState.COMPLETED
    assert floor.run("activate", beads_per_cell=3.0, minutes=60.0, step=600.0) is ServiceState.COMPLETED
    assert floor.run("transduce", moi=3.0, minutes=120.0, step=600.0) is ServiceState.COMPLETED
    return made, floor


def test_a_patients_cells_are_expanded_to_the_target_sooner_or_later():
    times = {}
    for name, cells in {"usual": None, "slow": Cells(growth=0.6)}.items():
        made, floor = processed(cells)
        began = floor.at
        assert floor.run("expand", target_cells=5_000.0, minutes=14_400.0, exchange_per_day=0.5, step=3600.0) is ServiceState.COMPLETED
        times[name] = (floor.at - began).total_seconds() / 86_400
        assert made.cells.total >= 5_000.0 and made.transduced == pytest.approx(float(car_positive(3.0 * 0.142 * 0.85, 0.5)))
        assert floor.run("harvest", volume=100.0, cycles=2.0, step=60.0) is ServiceState.COMPLETED
        assert made.pea.values["cells_harvested.V"] == pytest.approx(0.92 * 5_000.0, rel=0.1)
    assert times["slow"] > 1.5 * times["usual"]


def test_cells_in_the_processor_live_by_the_equations_of_the_study_model():
    made = CellProcessor(Cells(total=93.0, viability=93.0, wanted=93.0))
    made.activate()
    made.volume = 200.0
    made.live(24 * 3600.0)
    made.transduce(2.0)
    for hours, exchange in ((48, 0.0), (48, 0.25), (48, 0.5), (48, 0.9)):
        made.live(hours * 3600.0, exchange_per_day=exchange)
    study = CAR_T.run(1, constants={"activation": np.array(0.85), "viability": np.array(0.93)})
    assert (made.cells.total, made.cells.viability) == pytest.approx([study.values[name][-1, 0] for name in ("viable_cells", "viability")], rel=1e-9)
    assert made.transduced == pytest.approx(study.quality["car_positive"][0])


@pytest.mark.parametrize(
    ("fault", "size", "seen", "days"),
    [("perfusion_is_lost", 1.0, "viability", 9.0), ("incubator_is_cold", 3.0, "total", 4.0), ("activation_is_weak", 0.5, "total", 3.0)],
)
def test_faults_of_the_culture_show_live(fault, size, seen, days):
    usual, struck = (CellProcessor(Cells(total=900.0), faults=faults) for faults in ({}, {fault: size}))
    for made in (usual, struck):
        made.activate()
        made.live(days * 86_400.0, exchange_per_day=0.5)
    assert getattr(struck.cells, seen) < 0.8 * getattr(usual.cells, seen)


def test_a_needle_that_drifts_holds_the_line_by_its_weights():
    line = FillingLine(seed=3, struck={"needle_drifts": 0.10})
    assert Watched(line).run("fill", containers=60, fill_weight=10.0, tolerance=4.0) is ServiceState.HELD
    weights = [each.weight for each in line.containers]
    assert weights[-1] < weights[0] - 0.1 and 20 <= len(weights) < 50


def test_stoppers_that_jam_stop_the_line_more_often_and_are_accounted_for():
    floor = Watched(FillingLine(seed=3, struck={"stopper_jams": 300.0}))
    floor.through(60)
    found = reconcile(floor.tally)
    assert found.findings == () and 1 <= found.rejected["handling"] <= 15


def test_particles_that_rise_show_in_the_air_and_in_what_is_rejected():
    line = FillingLine(seed=3, struck={"particles_rise": 0.2})
    floor = Watched(line)
    floor.through(60)
    found = reconcile(floor.tally)
    assert found.findings == () and 4 <= found.rejected["particles"] <= 24


def test_a_leaking_set_aborts_itself():
    made = CellProcessor(faults=["leak"])
    assert Floor(made.pea).run("prime", test_pressure=200.0, minutes=5.0, step=30.0) is ServiceState.ABORTED
    assert made.pea.values["set_pressure.V"] == 40.0


def test_a_clot_holds_the_wash_once():
    made = CellProcessor(faults=["clot"])
    floor = Floor(made.pea)
    assert floor.run("wash", volume=200.0, cycles=2.0, step=60.0) is ServiceState.HELD
    floor.command("wash", Command.UNHOLD)
    for _ in range(40):
        floor.wait(60.0)
    assert floor.state("wash") is ServiceState.COMPLETED


def test_cells_that_die_show_it():
    made, floor = processed(faults=("dead",))
    floor.run("expand", target_cells=5_000.0, minutes=2_880.0, exchange_per_day=0.5, step=3600.0)
    assert made.pea.values["viability.V"] < 75.0
