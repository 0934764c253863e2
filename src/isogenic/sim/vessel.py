"""One simulated bioreactor with its feed skid: controllers, doses, faults and the culture inside.

Guarantees: a dose is executed once for each number that rises, however often it is
written; actuators saturate; a culture that leaves its physical range stops the unit, which
then says why and reports nothing. All that a vessel remembers is plain data in
`VesselState`, so a controller that restarts finds its vessel as it was.
Leaves to others: time (facility), the wire (servers).

    empty --first medium--> filled (a run begins: new bag, new probes, new bottle)
    filled --first seed---> growing (age counts from here)
    growing --harvest-----> drained --> empty

Doses flow at a rate, so that filling takes hours as it does in life; the totals count on from
batch to batch, as totalisers do. **Illustrative.**
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import fields as fields_of
from typing import Any, NamedTuple

from isogenic.errors import NotFound, NotValid
from isogenic.ids import UnitId
from isogenic.plant.classes import DOSE_NUMBER
from isogenic.plant.model import Role, Unit
from isogenic.sim.faults import Fault, FaultKind
from isogenic.sim.instruments import STIRRED_BIOREACTOR, Sensor
from isogenic.sim.instruments.bioreactor import FEED_KG_PER_L, Surroundings, observe
from isogenic.sim.processes import cho
from isogenic.sim.processes.cho import Culture, Drive, Liquid
from isogenic.sim.variation import batch_of

__all__ = ["Harvest", "Vessel", "VesselState"]

AMBIENT_C = 21.0
SEED_C = 37.0
ENOUGH_STIRRING_RPM = 40.0  # below, the sparger's bubbles are not broken up; illustrative
BOTTLE_KG_PER_L = 0.5  # feed at the start, for each litre of working volume
BRIM = 1.5  # of the working volume: the level switch stops what flows in
DRY_L = 1e-6
HEEL = 0.02  # of the working volume: what stays in the tubing when a vessel is harvested
# Time constants of the closed loops, hours.
LOOPS_H = {"temperature": 0.75, "ph": 0.2, "dissolved_oxygen": 0.1, "agitation": 0.02}
# Litres an hour for each litre of working volume.
DOSE_RATES = {"medium_dose": 0.5, "seed_dose": 0.2, "glucose_dose": 0.02, "harvest_dose": 0.5}
DOSE_TOTALS = {
    "medium_dose": ("medium_dosed_total", 1.0),
    "seed_dose": ("seed_dosed_total", 1.0),
    "glucose_dose": ("glucose_dosed_total", 1000.0),  # mL of L
    "harvest_dose": ("harvested_total", 1.0),
}
AT_REST = {"temperature_sp": AMBIENT_C, "ph_sp": 7.0, "dissolved_oxygen_sp": 40.0}  # all other set-points rest at zero


class Harvest(NamedTuple):
    """What a laboratory can know of a harvested batch: the pool and the way it was made."""

    unit: UnitId
    run: int
    grid: int  # the point of the facility's grid at which it was drained
    age_h: float
    litres: float
    culture: Culture
    ammonium_mean: float  # mM over the culture
    glucose_mean: float  # mM
    ph_mean: float
    heat_kelvin_h: float = 0.0  # above 37 degC


@dataclass(slots=True)
class VesselState:
    """All that a vessel remembers, as plain data."""

    setpoints: dict[str, float]
    culture: Culture = cho.EMPTY
    temperature: float = AMBIENT_C
    ph: float = 7.0
    dissolved_oxygen: float = 100.0
    agitation: float = 0.0
    bottle_kg: float = 0.0
    run: int = 0
    begun: int = 0  # grid point of the first medium
    inoculated: int = -1  # grid point of the first seed
    pending: dict[str, float] = field(default_factory=lambda: dict.fromkeys(DOSE_RATES, 0.0))  # litres
    executed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DOSE_RATES, 0))  # last dose number
    totals: dict[str, float] = field(default_factory=lambda: {total: 0.0 for total, _ in DOSE_TOTALS.values()})
    harvested_before: float = 0.0  # the total when the run began
    brought: dict[str, float] = field(default_factory=dict)  # true values behind what brings them to the instruments
    lagged: dict[str, float] = field(default_factory=dict)  # and behind the instruments' own lag
    frozen: dict[str, float] = field(default_factory=dict)
    sums: list[float] = field(default_factory=lambda: [0.0] * 4)  # ammonium, glucose, pH and what is above 37 degC, times hours
    stopped: str = ""  # why the unit gave up


class Vessel:
    """One unit, advanced on a grid of equal steps."""

    def __init__(self, unit: Unit, *, site: str, seed: int, step_h: float, faults: Sequence[Fault] = ()) -> None:
        self.unit, self.site, self.seed, self.step_h = unit, site, seed, step_h
        self.faults = tuple(fault for fault in faults if fault.unit == unit.id)
        self.index = 0
        setpoints = {name: AT_REST.get(name, 0.0) for name, each in unit.signals.items() if each.cls.role is Role.SETPOINT}
        self.state = VesselState(setpoints)
        self._working_l = unit.working_volume.to("L").value
        self._lag_shares = {name: each.lag_shares(step_h) for name, each in STIRRED_BIOREACTOR.items()}
        self._begin_dice()
        self._readings: dict[str, float] = {}

    # -- what the world sees -------------------------------------------------------------

    @property
    def age_h(self) -> float:
        """Hours since inoculation; negative when nothing grows."""
        return (self.index - self.state.inoculated) * self.step_h if self.state.inoculated >= 0 else -1.0

    def read(self, name: str) -> float:
        """A signal's value in its canonical unit; NaN for a sensor that is lost or a unit that has stopped."""
        if name in self.state.setpoints:
            return self.state.setpoints[name]
        if name not in self.unit.signals:
            raise NotFound(f"no signal {name[:80]} at {self.unit.id}", why="the plant document does not name it")
        if name not in self._readings:
            self._readings[name] = self._sense(name)
        return self._readings[name]

    def write(self, name: str, value: float) -> None:
        """Set a set-point. The value must be finite and within the signal's physical range."""
        if name not in self.state.setpoints:
            raise NotFound(f"cannot write {name[:80]} of {self.unit.id}", why="it is not a set-point", possible=", ".join(self.state.setpoints))
        known = self.unit.signals[name].cls
        if not (math.isfinite(value) and known.low <= value <= known.high):
            raise NotValid(f"cannot write {value} to {self.unit.id}.{name}", why=f"the range is {known.low:g} to {known.high:g} {known.unit}")
        dose = name.removesuffix(DOSE_NUMBER)
        if name.endswith(DOSE_NUMBER) and value != int(value):
            raise NotValid(f"cannot write {value} to {self.unit.id}.{name}", why="a dose number is a whole number")
        self.state.setpoints[name] = value
        if name.endswith(DOSE_NUMBER) and int(value) > self.state.executed[dose]:
            self.state.executed[dose] = int(value)
            self.state.pending[dose] += self._litres(dose)

    # -- time ------------------------------------------------------------------------------

    def step(self, index: int) -> Harvest | None:
        """Advance one step to the grid point `index`; a batch that was drained in it is returned."""
        self.index = index
        self._readings.clear()
        if self.state.stopped:
            return None
        try:
            self._follow_setpoints()
            self._flow_in()
            harvest = self._flow_out()
            self._grow()
        except (NotValid, ArithmeticError) as trouble:
            self.state.stopped = f"{self.unit.id} stopped at age {self.age_h:.1f} h: {trouble}"
            return None
        self._follow_truth()
        self._freeze()
        return harvest

    def _follow_setpoints(self) -> None:
        state = self.state
        for name, hours in LOOPS_H.items():
            here = getattr(state, name)
            if name != "agitation" and state.culture.volume <= DRY_L:
                there = {"temperature": AMBIENT_C, "ph": 7.0, "dissolved_oxygen": 100.0}[name]  # probes in a dry bag
            else:
                there = self._saturated(name, state.setpoints.get(name + "_sp", here))
            setattr(state, name, here + (there - here) * (1.0 - math.exp(-self.step_h / hours)))

    def _saturated(self, name: str, value: float) -> float:
        able = self.unit.capabilities.get(name)
        if able is None:
            return value
        low = 0.0 if name in ("agitation", "feed_flow") else able.low  # a drive can always stand still
        return min(max(value, low), able.high)

    def _flow_in(self) -> None:
        state = self.state
        if state.pending["medium_dose"] > 0 and state.culture.volume <= DRY_L and not self._growing:
            self._begin_run()
        if state.pending["seed_dose"] > 0 and not self._growing and state.culture.volume > DRY_L:
            state.inoculated = self.index
            state.sums = [0.0] * 4
        for dose, liquid, warm in (
            ("medium_dose", self._medium, AMBIENT_C),
            ("seed_dose", self._seed, SEED_C),
            ("glucose_dose", cho.GLUCOSE_STOCK, AMBIENT_C),
        ):
            litres = min(state.pending[dose], DOSE_RATES[dose] * self._working_l * self.step_h, BRIM * self._working_l - state.culture.volume)
            if litres <= 0 or (dose != "medium_dose" and state.culture.volume <= DRY_L):
                continue
            state.culture = cho.mixed(state.culture, litres=litres, liquid=liquid)
            state.temperature += (warm - state.temperature) * litres / state.culture.volume
            self._count(dose, litres)

    def _flow_out(self) -> Harvest | None:
        state = self.state
        pending = state.pending["harvest_dose"]
        if pending <= 0:
            return None
        if state.culture.volume <= DRY_L:
            state.pending["harvest_dose"] = 0.0  # nothing there to harvest
            return None
        litres = min(pending, DOSE_RATES["harvest_dose"] * self._working_l * self.step_h, state.culture.volume)
        pool = state.culture
        state.culture = pool._replace(volume=pool.volume - litres)
        self._count("harvest_dose", litres)
        dry = state.culture.volume <= HEEL * self._working_l
        return self._end_run(pool) if dry else None

    def _grow(self) -> None:
        state = self.state
        drive = self._drive()
        if state.culture.volume <= DRY_L:
            return
        state.culture = cho.check(cho.advance(state.culture, hours=self.step_h, theta=self._theta, drive=drive))
        state.bottle_kg = max(0.0, state.bottle_kg - drive.feed_l_h * self.step_h * FEED_KG_PER_L)
        if self._growing:
            for at, value in enumerate((state.culture.ammonium, state.culture.glucose, state.ph, max(0.0, state.temperature - 37.0))):
                state.sums[at] += value * self.step_h

    # -- runs ------------------------------------------------------------------------------

    @property
    def _growing(self) -> bool:
        return self.state.inoculated >= 0

    def _begin_run(self) -> None:
        state = self.state
        state.run += 1
        state.begun, state.inoculated = self.index, -1
        state.bottle_kg = BOTTLE_KG_PER_L * self._working_l
        state.harvested_before = state.totals["harvested_total"]
        state.brought, state.lagged, state.frozen = {}, {}, {}
        self._begin_dice()

    def _begin_dice(self) -> None:
        """The constants and the instruments of this run: they follow from the seed, so they need not be remembered."""
        batch = f"{self.unit.id}-run{self.state.run}"
        dice = batch_of(self.seed, site=self.site, batch=batch)
        weak = sum(fault.size for fault in self.faults if fault.kind is FaultKind.MEDIUM_IS_WEAK and fault.run in (0, self.state.run))
        self._theta = dice.theta.varied(growth=math.log(max(1e-3, 1.0 - weak)))
        self._medium = cho.MEDIUM._replace(glutamine=cho.MEDIUM.glutamine * max(0.0, 1.0 - 3.0 * weak))  # what is aged has lost it first
        train = cho.seed_train(medium=self._medium)
        self._seed: Liquid = train._replace(viable=train.viable * dice.seed_density, dead=train.dead * dice.seed_density)
        self._sensors = {
            name: Sensor(each, seed=self.seed, site=self.site, batch=batch, name=name, step_h=self.step_h)
            for name, each in STIRRED_BIOREACTOR.items()
        }

    def _end_run(self, pool: Culture) -> Harvest | None:
        state = self.state
        hours = max(self.age_h, self.step_h)
        ammonium, glucose, ph, heat = (each / hours for each in state.sums)
        litres = state.totals["harvested_total"] - state.harvested_before
        harvest = Harvest(self.unit.id, state.run, self.index, self.age_h, litres, pool, ammonium, glucose, ph, heat * hours)
        was_growing = self._growing
        state.culture, state.inoculated = cho.EMPTY, -1
        state.pending = dict.fromkeys(state.pending, 0.0)
        return harvest if was_growing else None

    def _litres(self, dose: str) -> float:
        return self.state.setpoints.get(dose, 0.0) / DOSE_TOTALS[dose][1]

    def _count(self, dose: str, litres: float) -> None:
        total, per_litre = DOSE_TOTALS[dose]
        left = self.state.pending[dose] - litres
        self.state.pending[dose] = left if left > 1e-9 else 0.0
        self.state.totals[total] += litres * per_litre

    # -- physics and instruments -------------------------------------------------------------

    def _depth(self, kind: FaultKind) -> float:
        age = self.age_h
        return max((fault.depth(age) for fault in self.faults if fault.kind is kind and fault.hits(self.state.run, age)), default=0.0)

    def _feed_l_h(self) -> float:
        wanted = self._saturated("feed_flow", self.state.setpoints.get("feed_flow_sp", 0.0)) / 1000.0
        able = self.state.culture.volume > HEEL * self._working_l and self.state.bottle_kg > 0 and self.state.culture.volume < BRIM * self._working_l
        return wanted * (1.0 - self._depth(FaultKind.FEED_PUMP_FOULS)) if able else 0.0

    def _drive(self) -> Drive:
        stirred = min(1.0, self.state.agitation / ENOUGH_STIRRING_RPM)
        return Drive(
            feed_l_h=self._feed_l_h(),
            transfer_factor=stirred * (1.0 - self._depth(FaultKind.SPARGER_FOULS)),
            oxygen_sp_percent=self.state.dissolved_oxygen,
            temperature_c=self.state.temperature,
            ph=self.state.ph,
        )

    def truth(self) -> dict[str, float]:
        """Every measured quantity as it really is."""
        drive = self._drive()
        around = Surroundings(
            self._working_l,
            self.state.temperature,
            cho.true_ph(self.state.ph, self.state.culture.lactate),
            self.state.dissolved_oxygen,
            self.state.agitation,
            drive.feed_l_h,
            self._depth(FaultKind.FEED_PUMP_FOULS),
            self.state.bottle_kg,
        )
        return observe(self.state.culture, theta=self._theta, drive=drive, around=around)

    def _follow_truth(self) -> None:
        brought, lagged = self.state.brought, self.state.lagged
        for name, value in self.truth().items():
            brings, follows = self._lag_shares[name]
            before = brought.get(name, value)
            brought[name] = before + (value - before) * brings
            seen = lagged.get(name, value)
            lagged[name] = seen + (brought[name] - seen) * follows

    def _sense(self, name: str) -> float:
        state = self.state
        if state.stopped or self._broken(FaultKind.SENSOR_DROPS, name):
            return math.nan
        if name in state.frozen:
            return state.frozen[name]
        bias = self._broken(FaultKind.SENSOR_BIASED, name)
        return self._instrument(name) + (bias.size if bias else 0.0)

    def _instrument(self, name: str) -> float:
        """What a sound instrument says."""
        state = self.state
        if name in state.totals:
            return state.totals[name]
        truth = state.lagged[name] if name in state.lagged else self.truth()[name]
        hours = max(0.0, (self.index - state.begun) * self.step_h) if state.run else 0.0
        return self._sensors[name].read(truth, index=max(0, self.index - state.begun), age_h=hours)

    def _broken(self, kind: FaultKind, name: str) -> Fault | None:
        hits = (fault for fault in self.faults if fault.kind is kind and fault.signal == name and fault.hits(self.state.run, self.age_h))
        return next(hits, None)

    def _freeze(self) -> None:
        """Keep what an instrument said at the step in which it froze, whether or not anybody read it then."""
        for name in {fault.signal for fault in self.faults if fault.kind is FaultKind.SENSOR_FREEZES}:
            if not self._broken(FaultKind.SENSOR_FREEZES, name):
                self.state.frozen.pop(name, None)
            elif name not in self.state.frozen:
                self.state.frozen[name] = self._instrument(name)

    # -- memory ------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """All that the vessel remembers, as JSON would hold it."""
        return {"index": self.index, **{each.name: getattr(self.state, each.name) for each in fields_of(VesselState)}}

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Go on from what `snapshot` gave."""
        known = dict(memory)
        try:
            self.index = int(known.pop("index"))
            if len(known["culture"]) == 10:  # written before there were amino acids, bacteria and heat
                known["culture"] = [*known["culture"][:7], cho.MEDIUM.amino_acids, known["culture"][7], 0.0, *known["culture"][8:]]
                known["sums"] = [*known["sums"], 0.0]
            known["culture"] = Culture(*known["culture"])
            self.state = VesselState(**known)
        except (KeyError, TypeError, ValueError) as trouble:
            raise NotValid(f"cannot restore {self.unit.id}", why=str(trouble)[:120]) from trouble
        self._begin_dice()
        self._readings.clear()
