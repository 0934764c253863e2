"""All bioreactors of a facility that hold one biology, moved together as arrays: one column a vessel.

Guarantees: a dose is executed once for each number that rises, however often it is written; actuators saturate; a
culture that leaves its physical range stops its unit, which then says why and reports nothing, and the others go on.
What a vessel does depends on its own past alone, never on its neighbours, to the last bits of rounding. All that a bank
remembers is plain data, so that a controller that restarts finds its vessels as they were.
Leaves to others: what grows (`live`), what instruments add (`instruments`), time (facility), the wire (servers).

    empty --first medium--> filled (a run begins: new bag, new probes, new bottle)
    filled --first seed---> growing (age counts from here)
    growing --harvest-----> drained --> empty

Doses flow at a rate, so that filling takes hours as it does in life; the totals count on from batch to batch, as
totalisers do. All rates and time constants are **illustrative**.

Controllers, doses and instruments move on a grid of minutes; the biology need not. While nothing around a culture
changes, it is planned to the next whole hour by one RK4 step, and every minute reads the cubic between the ends, which
has their values and their slopes. What changes (a set-point, a dose, a fault) ends the plan at that minute, and a
vessel in which something changes every minute is moved every minute. A few vessels are moved in plain floats, which
numpy would only slow down, and many as arrays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotFound, NotValid
from isogenic.ids import UnitId
from isogenic.plant.classes import DOSE_NUMBER
from isogenic.plant.model import Role, Unit
from isogenic.sim.drives import AMBIENT_C, GREATEST_RPM, LOOPS, Drives, Struck, broken_up, reaches, stepping
from isogenic.sim.faults import Fault, FaultKind
from isogenic.sim.instruments import Instrument, SensorFault, Sensors, instruments_of
from isogenic.sim.live import Biology, Conditions, Run, Stand

__all__ = ["BOTTLE_KG_PER_L", "DOSE_TOTALS", "Bank", "Harvest"]

SEED_C = 37.0
WARM_C = 37.0  # above, heat is summed up
BOTTLE_KG_PER_L = 0.5  # feed at the start, for each litre of working volume
BRIM = 1.5  # of the working volume: the level switch stops what flows in
DRY_L = 1e-6
HEEL = 0.02  # of the working volume: what stays in the tubing when a vessel is harvested
UNLED = np.array([AMBIENT_C, 7.0, 100.0])[:, None]  # what probes say in a dry bag
# Litres an hour for each litre of working volume.
DOSE_RATES = {"medium_dose": 0.5, "seed_dose": 0.2, "glucose_dose": 0.02, "harvest_dose": 0.5}
DOSE_TOTALS = {
    "medium_dose": ("medium_dosed_total", 1.0),
    "seed_dose": ("seed_dosed_total", 1.0),
    "glucose_dose": ("glucose_dosed_total", 1000.0),  # mL of L
    "harvest_dose": ("harvested_total", 1.0),
}
AT_REST = {"temperature_sp": AMBIENT_C, "ph_sp": 7.0, "dissolved_oxygen_sp": 40.0}  # all other set-points rest at zero
FEW = 4  # vessels that are moved one by one

Floats = NDArray[np.float64]


class Harvest(NamedTuple):
    """What a laboratory can know of a harvested batch: the pool and the way it was made."""

    unit: UnitId
    run: int
    grid: int  # the point of the facility's grid at which it was drained
    age_h: float
    litres: float
    culture: Any  # as the biology has it
    means: Mapping[str, float]  # over the culture: of the entries that the biology names, of pH, and of the heat above 37 degC
    process: str = "antibody"

    @property
    def ammonium_mean(self) -> float:
        """mM."""
        return self.means["ammonium"]

    @property
    def glucose_mean(self) -> float:
        """mM."""
        return self.means["glucose"]

    @property
    def ph_mean(self) -> float:
        """As it was, not as a probe had it."""
        return self.means["ph"]

    @property
    def heat_kelvin_h(self) -> float:
        """Above 37 degC, over the culture."""
        return self.means["heat"] * self.age_h


@dataclass(slots=True)
class Book:
    """What one vessel remembers beside its column."""

    setpoints: dict[str, float]
    run: int = 0
    begun: int = 0  # grid point of the first medium
    inoculated: int = -1  # grid point of the first seed
    pending: dict[str, float] = field(default_factory=lambda: dict.fromkeys(DOSE_RATES, 0.0))  # litres
    executed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DOSE_RATES, 0))  # last dose number
    totals: dict[str, float] = field(default_factory=lambda: {total: 0.0 for total, _ in DOSE_TOTALS.values()})
    harvested_before: float = 0.0  # the total when the run began
    stopped: str = ""  # why the unit gave up


@dataclass(slots=True)
class Columns:
    """What the vessels remember as arrays: one column each."""

    state: Floats  # at the newest grid point
    loops: Floats  # what is controlled; its actuators, what is asked of them, and the errors (`drives`)
    positions: Floats
    wanted: Floats
    errors: Floats
    bottle: Floats  # kg
    sums: Floats  # of what the laboratory averages, times hours
    # The plan: from where and when, to where and when, the slopes at both ends, and under which conditions.
    start: Floats
    end: Floats
    rise: Floats
    fall: Floats
    begun: Floats
    until: Floats
    under: Floats

    @classmethod
    def of(cls, entries: int, conditions: int, averaged: int, n: int, *, reach: Floats) -> Columns:
        """Empty vessels at rest."""
        state, start, end, rise, fall = (np.zeros((entries, n)) for _ in range(5))
        drives = Drives.settled(np.vstack([UNLED + np.zeros((3, n)), np.zeros((1, n))]), reach=reach)
        begun, until, bottle = (np.zeros((1, n)) for _ in range(3))
        under = np.full((conditions, n), np.nan)
        return cls(state, *drives, bottle, np.zeros((averaged, n)), start, end, rise, fall, begun, until, under)


class Bank:
    """The vessels of one biology, advanced on a grid of equal steps."""

    def __init__(self, units: Sequence[Unit], *, biology: Biology, site: str, seed: int, step_h: float, faults: Sequence[Fault] = ()) -> None:
        n = len(units)
        self.units, self.biology, self.site, self.seed, self.step_h = tuple(units), biology, site, seed, step_h
        self.row = {unit.id: at for at, unit in enumerate(units)}
        self.index = 0
        self.books = [Book({name: AT_REST.get(name, 0.0) for name, each in unit.signals.items() if each.cls.role is Role.SETPOINT}) for unit in units]
        self._working = np.array([unit.working_volume.to("L").value for unit in units])
        self._hour = max(1, round(1.0 / step_h))  # grid steps of a plan
        stirrers = [unit.capabilities["agitation"].high if "agitation" in unit.capabilities else GREATEST_RPM for unit in units]
        self._reach = reaches(np.array(stirrers))
        self._drive = stepping(step_h=step_h, reach=self._reach)
        self._columns = Columns.of(len(biology.entries), 5 + len(biology.strikes), len(biology.averaged) + 2, n, reach=self._reach)
        self._averaged = [biology.entries.index(name) for name in biology.averaged]
        self._aims, self._feed = np.zeros((len(LOOPS), n)), np.zeros(n)  # what the drives are asked for, as far as they can
        for row in range(n):
            self._aim(row)
        self._alive = np.ones(n, dtype=bool)
        self._begun, self._inoculated = np.zeros(n), np.full(n, -1.0)
        self._busy: set[int] = set()  # vessels into or out of which a dose flows
        self._runs: list[Run] = []
        self._constants = np.zeros((0, n))
        self.instruments = {**instruments_of("stirred_bioreactor"), **{total: Instrument() for total, _ in DOSE_TOTALS.values()}}
        names = [self._batch(row) for row in range(n)]
        self._sensors = Sensors(self.instruments, seed=seed, site=site, batches=names, step_h=step_h)
        self._truth = np.zeros((len(self.instruments), n))
        self._shown = np.full((len(self.instruments), n), np.nan)
        self._lane = {name: at for at, name in enumerate(self.instruments)}
        self._measured = [name for name in self.instruments if name not in {total for total, _ in DOSE_TOTALS.values()}]
        self.faults: tuple[Fault, ...] = ()
        self._depths: dict[str, Floats] = {}
        self._zero = np.zeros(n)
        self.strike(faults)
        for row in range(n):
            self._begin_dice(row)
        self._sense()

    # -- what the world sees -------------------------------------------------------------

    def age_h(self, row: int) -> float:
        """Hours since inoculation; negative when nothing grows."""
        book = self.books[row]
        return (self.index - book.inoculated) * self.step_h if book.inoculated >= 0 else -1.0

    def start_at(self, index: int) -> None:
        """Begin at this grid point: nothing has happened before."""
        self.index = index
        self._sense()

    def read(self, row: int, name: str) -> float:
        """A signal's value in its canonical unit; NaN for a sensor that is lost or a unit that has stopped."""
        book = self.books[row]
        if name in book.setpoints:
            return book.setpoints[name]
        if name not in self.units[row].signals or name not in self._lane:
            raise NotFound(f"no signal {name[:80]} at {self.units[row].id}", why="the plant document does not name it")
        return math.nan if book.stopped else float(self._shown[self._lane[name], row])

    def write(self, row: int, name: str, value: float) -> None:
        """Set a set-point. The value must be finite and within the signal's physical range."""
        unit, book = self.units[row], self.books[row]
        if name not in book.setpoints:
            raise NotFound(f"cannot write {name[:80]} of {unit.id}", why="it is not a set-point", possible=", ".join(book.setpoints))
        known = unit.signals[name].cls
        if not (math.isfinite(value) and known.low <= value <= known.high):
            raise NotValid(f"cannot write {value} to {unit.id}.{name}", why=f"the range is {known.low:g} to {known.high:g} {known.unit}")
        dose = name.removesuffix(DOSE_NUMBER)
        if name.endswith(DOSE_NUMBER) and value != int(value):
            raise NotValid(f"cannot write {value} to {unit.id}.{name}", why="a dose number is a whole number")
        book.setpoints[name] = value
        self._aim(row)
        if name.endswith(DOSE_NUMBER) and int(value) > book.executed[dose]:
            book.executed[dose] = int(value)
            book.pending[dose] += book.setpoints.get(dose, 0.0) / DOSE_TOTALS[dose][1]
            self._busy.add(row)

    def truth(self, row: int) -> dict[str, float]:
        """Every measured quantity as it really is."""
        return {name: float(self._truth[at, row]) for name, at in self._lane.items()}

    def inside(self, row: int) -> dict[str, float]:
        """What is in the vessel, by the biology's names."""
        return dict(zip(self.biology.entries, self._columns.state[:, row].tolist(), strict=True))

    def volume_l(self, row: int) -> float:
        """How much liquid is in a vessel."""
        return float(self._columns.state[-1, row])

    def pour(self, row: int, **entries: float) -> None:
        """Change what is in a vessel from outside, as a test or an accident would."""
        for name, value in entries.items():
            self._columns.state[self.biology.entries.index(name), row] = value
        self._columns.until[0, row] = self.index

    def loops(self, row: int) -> dict[str, tuple[float, float, float]]:
        """Each controlled quantity as it really is, where its controller wants it, as far as the plant allows, and how far its drive is open."""
        here, aims, at = (each[:, row].tolist() for each in (self._columns.loops, self._aims, self._columns.positions))
        return {each.name: (here[row], aims[row], at[row]) for row, each in enumerate(LOOPS)}

    # -- time ------------------------------------------------------------------------------

    def step(self, index: int) -> list[Harvest]:
        """Advance one step to the grid point `index`; gives the batches that were drained in it."""
        self.index = index
        if self.faults:
            self._weigh_faults()
        self._follow_setpoints()
        harvests: list[Harvest] = []
        for row in sorted(self._busy):
            if self._alive[row]:
                harvests += self._flow(row)
        self._grow()
        self._sense()
        return harvests

    def _depth(self, kind: FaultKind) -> Floats:
        return self._depths.get(kind, self._zero)

    def _weigh_faults(self) -> None:
        """How deep every fault is in the middle of this step."""
        self._depths = {}
        for fault in self.faults:
            if fault.kind.of_sensor or fault.kind in (FaultKind.MEDIUM_IS_WEAK, FaultKind.SETTING_CHANGES):
                continue
            row = self.row[fault.unit]
            age = self.age_h(row) - 0.5 * self.step_h
            if fault.hits(self.books[row].run, age):
                there = self._depths.setdefault(fault.kind, np.zeros(len(self.units)))
                depth = fault.depth(age)
                there[row] = depth if abs(depth) > abs(there[row]) else there[row]

    def _follow_setpoints(self) -> None:
        columns, dry = self._columns, self._columns.state[-1] <= DRY_L
        there, struck = self._aims, None
        if self._depths:
            there = there.copy()
            there[0] += self._depth(FaultKind.TEMPERATURE_EXCURSION)
            there[1] -= self._depth(FaultKind.PH_SENSOR_DRIFTS)
            if FaultKind.VALVE_STICKS in self._depths or FaultKind.DRIVE_IS_WEAK in self._depths:
                struck = Struck(self._depth(FaultKind.VALVE_STICKS), self._depth(FaultKind.DRIVE_IS_WEAK))
        if dry.any():
            there = there.copy()
            there[:3] = np.where(dry, UNLED, there[:3])
        before = Drives(columns.loops, columns.positions, columns.wanted, columns.errors)
        columns.loops, columns.positions, columns.wanted, columns.errors = self._drive(before, there, struck)

    def _aim(self, row: int) -> None:
        """Where a vessel's drives are asked to be, as far as its equipment can."""
        setpoints = self.books[row].setpoints
        for at, name in enumerate(each.name for each in LOOPS):
            self._aims[at, row] = self._saturated(row, name, setpoints.get(name + "_sp", 0.0))
        self._feed[row] = self._saturated(row, "feed_flow", setpoints.get("feed_flow_sp", 0.0)) / 1000.0

    def _saturated(self, row: int, name: str, value: float) -> float:
        able = self.units[row].capabilities.get(name)
        if able is None:
            return value
        low = 0.0 if name in ("agitation", "feed_flow") else able.low  # a drive can always stand still
        return min(max(value, low), able.high)

    # -- doses -----------------------------------------------------------------------------

    def _flow(self, row: int) -> list[Harvest]:
        book = self.books[row]
        state = self._columns.state[:, row].tolist()
        working = float(self._working[row])
        if book.pending["medium_dose"] > 0 and state[-1] <= DRY_L and book.inoculated < 0:
            self._begin_run(row)
        if book.pending["seed_dose"] > 0 and book.inoculated < 0 and state[-1] > DRY_L:
            book.inoculated = self.index
            self._inoculated[row] = self.index
            self._columns.sums[:, row] = 0.0
        run, skid = self._runs[row], 1.0 - float(self._depth(FaultKind.FEED_PUMP_STOPS)[row])
        for dose, liquid, warm, pumped in (
            ("medium_dose", run.medium, AMBIENT_C, 1.0),
            ("seed_dose", run.seed, SEED_C, 1.0),
            ("glucose_dose", run.glucose, AMBIENT_C, skid),
        ):
            litres = min(book.pending[dose], pumped * DOSE_RATES[dose] * working * self.step_h, BRIM * working - state[-1])
            if litres <= 0 or (dose != "medium_dose" and state[-1] <= DRY_L):
                continue
            state = list(self.biology.mixed(state, litres=litres, liquid=liquid))
            self._columns.loops[0, row] += (warm - self._columns.loops[0, row]) * litres / state[-1]
            self._count(row, dose, litres)
        harvest = self._drain(row, state)
        self._columns.state[:, row] = state
        self._columns.until[0, row] = -1.0  # no plan outlasts a dose
        if not any(litres > 0 for litres in book.pending.values()):
            self._busy.discard(row)
        return harvest

    def _drain(self, row: int, state: list[float]) -> list[Harvest]:
        book = self.books[row]
        pending = book.pending["harvest_dose"]
        if pending <= 0:
            return []
        if state[-1] <= DRY_L:
            book.pending["harvest_dose"] = 0.0  # nothing there to harvest
            return []
        pool = list(state)
        litres = min(pending, DOSE_RATES["harvest_dose"] * float(self._working[row]) * self.step_h, state[-1])
        state[-1] -= litres
        self._count(row, "harvest_dose", litres)
        return self._end_run(row, state, pool) if state[-1] <= HEEL * self._working[row] else []

    def _count(self, row: int, dose: str, litres: float) -> None:
        book, (total, per_litre) = self.books[row], DOSE_TOTALS[dose]
        left = book.pending[dose] - litres
        book.pending[dose] = left if left > 1e-9 else 0.0
        book.totals[total] += litres * per_litre
        self._truth[self._lane[total], row] = book.totals[total]

    # -- what grows --------------------------------------------------------------------------

    def _conditions(self) -> Floats:
        state, loops, columns = self._columns.state[-1], self._columns.loops, self._columns
        able = (state > HEEL * self._working) & (state < BRIM * self._working) & (columns.bottle[0] > 0)
        feed, transfer = self._feed * able, broken_up(loops[3])
        if self._depths:
            feed = feed * (1.0 - self._depth(FaultKind.FEED_PUMP_FOULS)) * (1.0 - self._depth(FaultKind.FEED_PUMP_STOPS))
            feed = feed * (1.0 + self._depth(FaultKind.FEED_PUMP_RUNS_HIGH))
            transfer = transfer * (1.0 - self._depth(FaultKind.SPARGER_FOULS))
        struck = [self._depths.get(name, self._zero) for name in self.biology.strikes]
        return np.array([feed, transfer, loops[2], loops[0], loops[1], *struck])

    def _grow(self) -> None:
        columns, before = self._columns, self.index - 1
        here = self._conditions()
        self._here = here
        changed = (here != columns.under).any(axis=0) | (columns.until[0] < 0)
        due = (changed | (columns.until[0] <= before)) & self._alive & (columns.state[-1] > DRY_L)
        if due.any():
            soon = (before // self._hour + 1) * self._hour
            self._plan(np.flatnonzero(due & changed), here, until=self.index)
            self._plan(np.flatnonzero(due & ~changed), here, until=soon)
        self._move()
        columns.bottle[0] = np.maximum(columns.bottle[0] - here[0] * (self.step_h * self.biology.feed_kg_l), 0.0)
        hours = self.step_h * (self._inoculated >= 0)
        columns.sums[:-2] += columns.state[self._averaged] * hours
        columns.sums[-2] += columns.loops[1] * hours
        columns.sums[-1] += np.maximum(columns.loops[0] - WARM_C, 0.0) * hours

    def _move(self) -> None:
        """Every vessel to this grid point, along its plan."""
        columns = self._columns
        length = np.maximum(columns.until - columns.begun, 1.0)
        at = np.minimum((self.index - columns.begun) / length, 1.0)
        rest = 1.0 - at
        span = length * self.step_h * (at * rest)
        path = (rest * rest * (1.0 + 2.0 * at)) * columns.start + (at * at * (1.0 + 2.0 * rest)) * columns.end
        path += span * (rest * columns.rise - at * columns.fall)
        moves = self._alive & (columns.state[-1] > DRY_L)
        columns.state = (
            np.where(at == 1.0, columns.end, path) if moves.all() else np.where(moves, np.where(at == 1.0, columns.end, path), columns.state)
        )

    def _plan(self, rows: NDArray[np.intp], here: Floats, *, until: int) -> None:
        """Move these vessels to the grid point `until`, in one step of the biology."""
        if not rows.size:
            return
        before = self.index - 1
        start, end, rise, fall = self._solved(rows, here, hours=(until - before) * self.step_h)
        lost = self.biology.broken(end)
        if lost and until > self.index:  # it will happen within the hour: minute by minute, to tell when
            going = np.ones(rows.size, dtype=bool)
            going[list(lost)] = False
            self._plan(rows[~going], here, until=self.index)
            rows, start, end, rise, fall = rows[going], *(each[:, going] for each in (start, end, rise, fall))
        else:
            for at, why in lost.items():
                self._stop(int(rows[at]), why)
        columns = self._columns
        columns.start[:, rows], columns.end[:, rows], columns.rise[:, rows], columns.fall[:, rows] = start, end, rise, fall
        columns.begun[0, rows], columns.until[0, rows] = before, until
        columns.under[:, rows] = here[:, rows]

    def _solved(self, rows: NDArray[np.intp], here: Floats, *, hours: float) -> tuple[Floats, Floats, Floats, Floats]:
        """Where these vessels are, where they will be, and the slopes at both ends."""
        biology, curved = self.biology, hours > 1.5 * self.step_h
        many = rows.size > FEW
        parts = []
        for part in [rows] if many else rows:
            state, constants = self._columns.state[:, part], self._constants[:, part]
            now = _conditions(here[:, part] if many else here[:, part].tolist())
            own = constants if many else constants.tolist()
            with np.errstate(all="ignore"):  # what leaves its range is found and said below
                try:
                    first = biology.invaded(state if many else state.tolist(), here=now)
                    last = biology.advance(first, hours=hours, constants=own, here=now)
                    slopes = [biology.rates(each, constants=own, here=now) for each in (first, last)] if curved else [first, first]
                except ArithmeticError:  # plain floats raise where arrays give infinity
                    first = state.tolist()
                    last, slopes = [math.nan] * len(first), [first, first]
            part_done = np.empty((4, len(biology.entries), *((rows.size,) if many else ())))
            for at, point in enumerate((first, last, *slopes)):
                for entry, value in enumerate(point):
                    part_done[at, entry] = value  # one that is the same for all vessels may be a plain float
            parts.append(part_done)
        done = parts[0] if many else np.stack(parts, axis=-1)
        return done[0], done[1], done[2], done[3]

    def _stop(self, row: int, why: str) -> None:
        self._alive[row] = False
        self.books[row].stopped = f"{self.units[row].id} stopped at age {self.age_h(row):.1f} h: {why}"

    # -- runs ------------------------------------------------------------------------------

    def _batch(self, row: int) -> str:
        return f"{self.units[row].id}-run{self.books[row].run}"

    def _begin_run(self, row: int) -> None:
        book = self.books[row]
        book.run += 1
        book.begun, book.inoculated = self.index, -1
        self._begun[row], self._inoculated[row] = self.index, -1.0
        self._columns.bottle[0, row] = BOTTLE_KG_PER_L * self._working[row]
        book.harvested_before = book.totals["harvested_total"]
        self._sensors.renew(row, batch=self._batch(row))
        self._begin_dice(row)
        self._strike_sensors()

    def _begin_dice(self, row: int) -> None:
        """The constants of this run: they follow from the seed, so they need not be remembered."""
        book, unit = self.books[row], self.units[row].id
        weak = sum(each.size for each in self.faults if each.kind is FaultKind.MEDIUM_IS_WEAK and each.unit == unit and each.run in (0, book.run))
        run = self.biology.begin(seed=self.seed, site=self.site, batch=self._batch(row), weak=min(weak, 1.0))
        if not self._runs:
            self._runs = [run] * len(self.units)
            self._constants = np.array([run.constants] * len(self.units)).T.copy()
        self._runs[row] = run
        self._constants[:, row] = run.constants

    def _end_run(self, row: int, state: list[float], pool: list[float]) -> list[Harvest]:
        book = self.books[row]
        hours = max(self.age_h(row), self.step_h)
        means = dict(zip((*self.biology.averaged, "ph", "heat"), (self._columns.sums[:, row] / hours).tolist(), strict=True))
        litres = book.totals["harvested_total"] - book.harvested_before
        done = Harvest(self.units[row].id, book.run, self.index, self.age_h(row), litres, self.biology.culture(pool), means, self.biology.name)
        grew = book.inoculated >= 0
        state[:] = [0.0] * len(state)
        book.inoculated, self._inoculated[row] = -1, -1.0
        book.pending = dict.fromkeys(book.pending, 0.0)
        return [done] if grew else []

    # -- faults and instruments --------------------------------------------------------------

    def strike(self, faults: Sequence[Fault]) -> None:
        """The faults from now on, in place of those before; each of a unit of this bank."""
        self.faults = tuple(fault for fault in faults if fault.unit in self.row)
        self._depths = {}
        self._strike_sensors()

    def _strike_sensors(self) -> None:
        """Tell the instruments which failures there are: each in its run alone."""
        told = []
        for fault in self.faults:
            row = self.row[fault.unit]
            if not fault.kind.of_sensor or fault.run not in (0, self.books[row].run):
                continue
            hit = np.zeros(len(self.units), dtype=bool)
            hit[row] = True
            told.append(SensorFault(str(fault.kind), fault.signal, fault.size, fault.start_h, fault.hours, hit))
        self._sensors.strike(told)

    def _observe(self) -> None:
        """What there is to measure."""
        columns = self._columns
        here = getattr(self, "_here", None)
        if here is None:
            here = self._here = self._conditions()
        stands = Stand(self._working, columns.loops[3], self._blocked(), columns.bottle[0])
        seen = self.biology.observe(columns.state, constants=self._constants, here=_conditions(here), around=stands)
        for name in self._measured:
            self._truth[self._lane[name]] = seen[name]

    def _sense(self) -> None:
        """What the instruments make of what there is to measure."""
        self._observe()
        drift = self._depths.get(FaultKind.PH_SENSOR_DRIFTS)
        shown = self._truth
        if drift is not None:  # the probe reads too much, and the controller has made the culture too acid by as much
            shown = shown.copy()
            shown[self._lane["ph"]] += drift
        since = self.index - self._begun
        ages = np.where(self._inoculated >= 0, (self.index - self._inoculated) * self.step_h, -1.0)
        self._shown = self._sensors.step(shown, index=since, age_h=since * self.step_h * (self._begun > 0), batch_h=ages)

    def _blocked(self) -> Floats:
        if not self._depths:
            return self._zero
        return 1.0 - (1.0 - self._depth(FaultKind.FEED_PUMP_FOULS)) * (1.0 - self._depth(FaultKind.FEED_PUMP_STOPS))

    # -- memory ------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """All that the bank remembers, as JSON would hold it."""
        columns = {name: _texts(getattr(self._columns, name)) for name in Columns.__dataclass_fields__}
        return {
            "index": self.index,
            "process": self.biology.name,
            "books": {str(unit.id): asdict(book) for unit, book in zip(self.units, self.books, strict=True)},
            "columns": columns,
            "sensors": self._sensors.snapshot(),
            "shown": _texts(self._shown),
            "here": _texts(self._here),
        }

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Go on from what `snapshot` gave; one of other vessels is refused."""
        try:
            if set(memory["books"]) != {str(each.id) for each in self.units} or memory["process"] != self.biology.name:
                raise NotValid(f"cannot restore {self.site}", why="the snapshot is of other vessels")
            index = int(memory["index"])
            books = [Book(**memory["books"][str(unit.id)]) for unit in self.units]
            held = {name: np.array(rows, dtype=np.float64) for name, rows in memory["columns"].items()}
            if "positions" not in held:  # what was remembered before drives were: they stand where they hold
                held["positions"], held["wanted"], held["errors"] = Drives.settled(held["loops"], reach=self._reach)[1:]
            columns = Columns(**held)
            shown, here = np.array(memory["shown"], dtype=np.float64), np.array(memory["here"], dtype=np.float64)
            shapes = [(name, getattr(columns, name).shape, getattr(self._columns, name).shape) for name in Columns.__dataclass_fields__]
            shapes += [("shown", shown.shape, self._shown.shape), ("here", here.shape, self._here.shape)]
            if wrong := [name for name, one, other in shapes if one != other]:
                raise NotValid(f"cannot restore {self.site}", why=f"{', '.join(wrong)} of the snapshot has another shape")
            self._sensors.restore(memory["sensors"])
        except (KeyError, TypeError, ValueError, AttributeError) as trouble:
            raise NotValid(f"cannot restore the vessels of {self.site}", why=str(trouble)[:120]) from trouble
        self.index, self.books, self._columns, self._shown, self._here = index, books, columns, shown, here
        self._begun = np.array([float(book.begun) for book in books])
        self._inoculated = np.array([float(book.inoculated) for book in books])
        self._alive = np.array([not book.stopped for book in books])
        self._busy = {row for row, book in enumerate(books) if any(litres > 0 for litres in book.pending.values())}
        for row in range(len(books)):
            self._aim(row)
            self._begin_dice(row)
            for total, value in self.books[row].totals.items():
                self._truth[self._lane[total], row] = value
        self.strike(self.faults)
        self._observe()


def _conditions(rows: Any) -> Conditions:
    return Conditions(rows[0], rows[1], rows[2], rows[3], rows[4], tuple(rows[5:]))


def _texts(array: Floats) -> list[list[float | None]]:
    """As JSON has it: NaN is nothing."""
    return [[None if value != value else value for value in row] for row in array.tolist()]
