"""The antibody process: many fed-batches of CHO cells at once, and what is purified of them.

Guarantees: `run` moves n batches by the equations of `cho` with RK4 on a grid of whole hours (and the points that are
asked for); the feeding rule, the maps to quality and the equations are those of the live facility. A batch alone and
among others is the same to 1e-9; the same arguments give the same bytes. A batch whose state leaves its physical range
stops with a `Stop`; the others go on.
Leaves to others: scatter (constants come by argument), instruments, purification (`antibody_downstream`).

What is switched (feed, temperature shift, faults) is switched at the grid point nearest its time. Batches are worked
through in chunks that fit the processor's cache; one alone goes in plain floats, which numpy would only slow down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.sim import drives
from isogenic.sim.instruments.bioreactor import FEED_KG_PER_L, Surroundings, observe
from isogenic.sim.operations import Operation
from isogenic.sim.processes import cho, feeding
from isogenic.sim.processes.antibody_downstream import OPERATIONS
from isogenic.sim.processes.antibody_quality import Levels, Past, harvest_quality
from isogenic.sim.processes.antibody_tables import CONSTANTS, FAULTS, QUALITIES, SETTINGS, VARIABLES
from isogenic.sim.processes.arithmetic import Number, greater
from isogenic.sim.processes.cho import Culture, Drive, Pace, Theta
from isogenic.sim.processes.process import Constant, Fault, Floats, Mechanism, Outcome, Setting, Stop, Variable, check_faults, depth, filled
from isogenic.sim.processes.ranges import judged, outside

__all__ = ["ANTIBODY", "Antibody"]

CHUNK_MAX = 6144  # batches at once: their arrays fit the second-level cache, and numpy is asked seldom enough
CONTAMINATED_STEPS = 20  # an hour
BATCHES_MAX = 1_000_000
VALUES_MAX = 250_000_000  # of all trajectories: 2 GB
AGITATION_RPM = 100.0
BOTTLE_KG_PER_L = 0.5
SAFE = cho.EMPTY._replace(volume=1.0)  # what stands in for a batch that stopped


class Antibody:
    """The process, as `Process` has it."""

    name = "antibody"
    title = "Antibody from fed-batches of CHO cells"
    duration_h = 336.0
    every_h = 12.0
    constants: Mapping[str, Constant] = CONSTANTS
    settings: Mapping[str, Setting] = SETTINGS
    variables: Mapping[str, Variable] = VARIABLES
    qualities: Mapping[str, Variable] = QUALITIES
    faults: Mapping[str, Mechanism] = FAULTS
    operations: tuple[Operation, ...] = OPERATIONS

    def run(
        self,
        n: int,
        *,
        constants: Mapping[str, Floats] | None = None,
        settings: Mapping[str, Floats] | None = None,
        faults: Sequence[Fault] = (),
        every_h: float | None = None,
        compiled: bool = False,
    ) -> Outcome:
        """`n` batches from inoculation to harvest; `compiled` asks for the extra `fast`, which pays where one or a few batches are run often."""
        compile_for = _compiled() if compiled else None
        if not 1 <= n <= BATCHES_MAX:
            raise NotValid(f"cannot run {n} batches", why=f"there are 1 to {BATCHES_MAX} in one run")
        known = filled(self.constants, constants, n=n, what="constant")
        set_to = filled(self.settings, settings, n=n, what="setting")
        _check_settings(set_to)
        end_h = float(set_to["duration"].max())
        check_faults(faults, FAULTS, n=n, end_h=end_h)
        every = self.every_h if every_h is None else every_h
        if not (1.0 / 60.0 <= every <= end_h and n * (end_h / every + 1) * len(VARIABLES) <= VALUES_MAX):
            raise NotValid(f"cannot give {n} batches every {every} h", why=f"at least a minute, and at most {VALUES_MAX} values in all")
        # glibc gives what is freed back to the system unless it once freed something large: a third of the time otherwise.
        np.empty(2**21)
        age: Floats = np.arange(math.floor(end_h / every + 1e-9) + 1, dtype=np.float64) * every
        values = {name: np.full((len(age), n), np.nan) for name in VARIABLES}
        quality = {name: np.full(n, np.nan) for name in QUALITIES}
        stopped: dict[int, Stop] = {}
        for part in _parts(faults, n):
            batches = _Batches(
                n=len(part),
                constants={name: _plain(array[part]) for name, array in known.items()},
                settings={name: _plain(array[part]) for name, array in set_to.items()},
                faults=_within(faults, part),
                compiled=compile_for,
            )
            with np.errstate(all="ignore"):
                seen, judged = batches.run(age)
            for name, rows in seen.items():
                values[name][:, part] = rows
            for name, row in judged.items():
                quality[name][part] = row
            stopped.update({int(part[at]): stop for at, stop in batches.stopped.items()})
        return Outcome(age, values, quality, dict(sorted(stopped.items())))


class _Look(NamedTuple):
    """What is there to be seen at one age."""

    age_h: Number
    culture: Culture
    drive: Drive
    blocked: Number  # share of the feed line
    bottle: Number  # kg
    rpm: Number


class _Batches:
    """One chunk of batches on its way; numbers that are the same for all are plain floats, and one batch is all floats."""

    def __init__(self, *, n: int, constants: Mapping[str, Number], settings: Mapping[str, Number], faults: Sequence[Fault], compiled: Any) -> None:
        self.n, self.set, self.faults, self.compiled = n, settings, faults, compiled
        self._paces: tuple[Pace, Any] | None = None  # the newest pace, as compiled code has it
        self.theta = Theta(**{each.name: constants[each.name] for each in fields(Theta)})
        self.levels = Levels(**{name: constants.get(f"{name}_level", constants["manganese"]) for name in Levels._fields})
        weak = self.depth("medium_is_weak", 0.0)
        self.theta = self._varied(growth=1.0 - weak)
        start = feeding.inoculated(settings["start_volume"], density=constants["seed_density"], weak=weak)
        self.contaminated = any(fault.name == "culture_is_contaminated" for fault in faults)
        self.culture = start if n == 1 else Culture(*[np.full(n, each) for each in start])
        if not self.contaminated:
            self.culture = self.culture._replace(bacteria=0.0)
        self.bottle = BOTTLE_KG_PER_L * settings["working_volume"]
        self.sums = [self._zeros() for _ in range(4)]  # ammonium, glucose, pH and heat, times hours
        self.stopped: dict[int, Stop] = {}
        self._warmth = self._jacket() if any(fault.name == "valve_sticks" for fault in faults) else None
        self._pace: Pace | None = None
        self._driven = Drive()
        self._key = (-1, -1)
        self._sour = False
        self._looks: list[_Look] = []  # of one batch alone, which are shown together: numpy is slow for one number

    def run(self, age: Floats) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """The trajectories and the qualities."""
        values = {name: np.full((len(age), self.n), np.nan) for name in VARIABLES}
        end_h = float(np.max(self.set["duration"]))
        age = age[age <= end_h + 1e-9]  # other batches of the run may last longer
        grid = sorted({*map(float, range(math.ceil(end_h))), *(float(each) for each in age), end_h})
        seen, moved = 0, 0.0  # ages seen; how far the culture has been moved
        leaps = self._leaps(grid, age) if self.compiled else {}
        for here, there in zip(grid, [*grid[1:], math.inf], strict=True):
            if seen < len(age) and here >= age[seen] - 1e-9:
                if self.n > 1:
                    self._show(self._look(here), {name: array[seen] for name, array in values.items()})
                elif here >= moved:  # else the leap looked in passing
                    self._looks.append(self._look(here))
                seen += 1
            if here and here % 24.0 == 0.0 and here < end_h:
                self._bolus(here)
            if self.compiled is not None:
                if here >= moved and here in leaps:
                    steps = leaps[here]
                    self._leap(here, there - here, steps, seen=age[seen:])
                    moved = here + steps * (there - here) - 1e-9
            elif math.isfinite(there):
                self._step(here, there - here)
        if self.n == 1:
            self._show_all({name: array[:, 0] for name, array in values.items()})
        return values, self._judge()

    def _leaps(self, grid: Sequence[float], age: Floats) -> dict[float, int]:
        """From which points of the grid how many equal steps can be made in one call.

        That is while nothing is added or switched, and nothing is seen; one batch alone is seen in passing.
        """
        points = np.array(grid)
        length, middle = np.diff(points), 0.5 * (points[1:] + points[:-1])
        switched = [np.searchsorted(np.sort(np.atleast_1d(self.set[name])), middle, side="right") for name in ("feed_start", "shift_at", "duration")]
        same = np.ones(len(length), dtype=bool)  # this step goes on like the one before it
        same[0] = False
        same[1:] = np.abs(np.diff(length)) < 1e-12
        for each in switched:
            same[1:] &= np.diff(each) == 0
        same &= (points[:-1] % 24.0 != 0.0) & (not self.faults)
        if self.n > 1:
            same &= ~np.isin(points[:-1], age)
        starts = np.flatnonzero(~same)
        return {grid[int(at)]: int(end - at) for at, end in zip(starts, [*starts[1:], len(length)], strict=True)}

    def _leap(self, age_h: float, h: float, steps: int, *, seen: Floats) -> None:
        """As `_step`, many times in one call of compiled code; of a batch alone what is `seen` on the way, by its age, is noted."""
        mid = age_h + 0.5 * h
        if self.contaminated:
            came = self.depth("culture_is_contaminated", mid)
            self.culture = self.culture._replace(bacteria=greater(self.culture.bacteria, came))
        now = self._paced(mid)
        if self._paces is None or self._paces[0] is not now:
            self._paces = (now, self.compiled.paces(now, self.n))
        drive = self._driven
        grows = np.atleast_1d(np.asarray(mid < self.set["duration"])) & np.ones(self.n, dtype=bool)
        moves = grows.copy()
        moves[list(self.stopped)] = False
        state = np.empty((len(Culture._fields), self.n))
        for row, entry in zip(state, self.culture, strict=True):
            row[:] = entry
        after, sums, failed = np.empty_like(state), np.zeros((2, self.n)), np.zeros(self.n)
        way = np.empty((steps, len(state)) if self.n == 1 else (0, 0))
        parts = CONTAMINATED_STEPS if self.contaminated else 1
        sour = self._sour and steps > 1
        if sour or self.compiled.advanced(state, self._paces[1], moves, h, steps, parts, after, sums, failed, way):
            for step in range(steps):  # acid moves the pH, so each step has a pace of its own
                if step and self.n == 1 and bool(np.any(np.abs(seen - (age_h + step * h)) < 1e-9)):
                    self._looks.append(self._look(age_h + step * h))
                self._leap(age_h + step * h, h, 1, seen=seen[:0])
            return
        if self.n == 1:
            self._pass(way, age_h, h, seen=seen)
        hours = h * steps * (float(grows[0]) if self.n == 1 else grows)
        ph = cho.true_ph(drive.ph, self.culture.lactate) if self._sour else drive.ph
        warm = greater(drive.temperature_c - 37.0, 0.0)
        more = [float(each[0]) for each in sums] if self.n == 1 else list(sums)
        self.sums = [one + other for one, other in zip(self.sums, (*more, ph * hours, warm * hours), strict=True)]
        self.bottle = self.bottle - drive.feed_l_h * hours * FEED_KG_PER_L
        if failed.any():
            why = cho.broken(Culture(*after))
            for at in np.flatnonzero(failed):
                self.stopped[int(at)] = Stop(age_h + float(failed[at]) * h, why[int(at)])
                after[:, at] = SAFE
        self.culture = Culture(*after[:, 0].tolist()) if self.n == 1 else Culture(*after)

    def _pass(self, way: Floats, age_h: float, h: float, *, seen: Floats) -> None:
        """Notes what is `seen` on the way of a batch alone, but for its end, where the culture will stand."""
        blocked, fed, rpm = (
            self._blocked(age_h),
            self._driven.feed_l_h * FEED_KG_PER_L,
            self._rpm(age_h),
        )  # nothing is struck in a leap of several steps
        for each in seen.tolist():
            step = round((each - age_h) / h)
            if not step < len(way):
                break
            self._looks.append(_Look(each, Culture(*way[step - 1].tolist()), self._driven, blocked, self.bottle - fed * step * h, rpm))

    def _step(self, age_h: float, h: float) -> None:
        mid = age_h + 0.5 * h
        if self.contaminated:
            came = self.depth("culture_is_contaminated", mid)
            self.culture = self.culture._replace(bacteria=greater(self.culture.bacteria, came))
        now = self._paced(mid)
        drive, before = self._driven, self.culture
        after = self._stepped(now, age_h, h)
        grows = mid < self.set["duration"]
        if isinstance(grows, np.ndarray) and not grows.all():
            after = Culture(*[np.where(grows, new, old) for new, old in zip(after, before, strict=True)])
        hours = h * grows
        ph = cho.true_ph(drive.ph, before.lactate) if self._sour else drive.ph
        warm = greater(drive.temperature_c - 37.0, 0.0)
        self.sums[0] = self.sums[0] + (before.ammonium + after.ammonium) * (0.5 * hours)
        self.sums[1] = self.sums[1] + (before.glucose + after.glucose) * (0.5 * hours)
        self.sums[2] = self.sums[2] + ph * hours
        self.sums[3] = self.sums[3] + warm * hours
        self.bottle = self.bottle - drive.feed_l_h * hours * FEED_KG_PER_L
        self.culture = self._whole(after, age_h + h)

    def _stepped(self, now: Pace, age_h: float, h: float) -> Culture:
        """The culture after h; bacteria that eat the last glucose are faster than cells, and go in short steps."""
        culture, steps = self.culture, CONTAMINATED_STEPS if self.contaminated else 1
        try:
            for _ in range(steps):
                culture = cho.stepped(culture, now, h / steps)
        except ArithmeticError as trouble:  # of floats, where arrays have infinity or NaN
            self.stopped.setdefault(0, Stop(age_h + h, f"cannot go on: {trouble}"))
            return SAFE
        return culture

    def _paced(self, mid: float) -> Pace:
        """The pace of this step; the last one while nothing has changed, because to work it out costs as much as half a slope."""
        sour = _largest(self.culture.lactate) > cho.LACTATE_OF_BASE_MM
        key = (_count(mid >= self.set["feed_start"]), _count(mid >= self.set["shift_at"]))
        if self._pace is None or self.faults or sour or self._sour or key != self._key:
            self._driven = self._drive(mid)
            theta = self.theta
            if self.faults:
                theta = self._varied(
                    lactate_of_glucose=1.0 + self.depth("lactate_is_high", mid), product=1.0 - self.depth("product_rate_is_low", mid)
                )
            self._pace = cho.pace(theta, drive=self._driven, lactate=self.culture.lactate, contaminated=self.contaminated)
        self._key, self._sour = key, sour
        # Compiled code makes many steps in which nobody looks, so it asks always.
        near = self.compiled is not None or self.contaminated or cho.near_limits(self.culture, self._pace.carbon_dioxide)
        if near is not self._pace.near_limits:
            self._pace = self._pace._replace(near_limits=near)
        return self._pace

    def _drive(self, age_h: float) -> Drive:
        here = self.set
        flow = feeding.feed_l_h(age_h, start_l=here["start_volume"], share_per_day=here["feed_share"], start_h=here["feed_start"])
        flow = flow * (1.0 - self.depth("feed_pump_fouls", age_h)) * (1.0 - self.depth("feed_pump_stops", age_h))
        return Drive(
            feed_l_h=flow * (1.0 + self.depth("feed_pump_runs_high", age_h)),
            transfer_factor=self._stirred(age_h) * (1.0 - self.depth("sparger_fouls", age_h)),
            oxygen_sp_percent=here["dissolved_oxygen"],
            temperature_c=self._asked_c(age_h) if self._warmth is None else self._held_c(self._warmth, age_h),
            ph=here["ph"] - self.depth("ph_sensor_drifts", age_h),
            feed=cho.FEED._replace(glucose=here["feed_glucose"], glutamine=here["feed_glutamine"], amino_acids=here["feed_amino_acids"]),
        )

    def _asked_c(self, age_h: float) -> Number:
        """Where the temperature is led; an hour's step makes a sound loop ideal."""
        here = self.set
        shift = (here["temperature_shift"] - here["temperature"]) * (age_h >= here["shift_at"])
        return here["temperature"] + shift + self.depth("temperature_excursion", age_h)

    def _jacket(self) -> Floats:
        """The temperature of every hour, its mean, where a valve sticks: the loop itself on the grid of a live facility."""
        hours = math.ceil(float(np.max(self.set["duration"])))
        ages = (np.arange(hours * drives.GRID_STEPS) + 0.5) * drives.GRID_H
        none = np.zeros(self.n)
        asked, sticks = (np.array([each(age) + none for age in ages]) for each in (self._asked_c, lambda age: self.depth("valve_sticks", age)))
        held: Floats = drives.jacket(asked, sticks).reshape(hours, drives.GRID_STEPS, self.n).mean(axis=1)
        return held

    def _held_c(self, warmth: Floats, age_h: float) -> Number:
        found = warmth[min(int(age_h), len(warmth) - 1)]
        return float(found[0]) if self.n == 1 else found

    def _rpm(self, age_h: float) -> Number:
        """The stirrer's speed: as asked, as far as a weak drive can."""
        weak = self.depth("drive_is_weak", age_h)
        if type(weak) is float and weak == 0.0:
            return AGITATION_RPM
        return np.minimum(AGITATION_RPM, drives.GREATEST_RPM * (1.0 - weak)) if np.any(weak) else AGITATION_RPM

    def _stirred(self, age_h: float) -> Number:
        rpm = self._rpm(age_h)
        return 1.0 if rpm is AGITATION_RPM else float(drives.broken_up(rpm)) if self.n == 1 else drives.broken_up(rpm)

    def _bolus(self, age_h: float) -> None:
        litres = feeding.bolus_litres(
            self.culture.glucose, volume_l=self.culture.volume, below_mm=self.set["bolus_below"], to_mm=self.set["bolus_to"]
        ) * ((1.0 - self.depth("feed_pump_stops", age_h)) * (age_h < self.set["duration"]))
        if np.any(litres):
            self.culture = cho.mixed(self.culture, litres=litres, liquid=cho.GLUCOSE_STOCK)

    def depth(self, name: str, age_h: float) -> Number:
        """How much of a fault there is: a plain 0 where there is none."""
        standing = [fault for fault in self.faults if fault.name == name and fault.start_h <= age_h < fault.start_h + fault.duration_h]
        if not standing:
            return 0.0
        found = depth(standing, name, age_h=age_h, n=self.n)
        return float(found[0]) if self.n == 1 else found

    def _varied(self, **factors: Number) -> Theta:
        return Theta(**{each.name: getattr(self.theta, each.name) * factors.get(each.name, 1.0) for each in fields(Theta)})

    def _zeros(self) -> Number:
        return 0.0 if self.n == 1 else np.zeros(self.n)

    def _whole(self, culture: Culture, age_h: float) -> Culture:
        """The culture, with batches that left the physical range taken out."""
        if self.n == 1:
            if 0 in self.stopped:
                return SAFE
            try:
                return cho.check(culture)
            except NotValid as trouble:
                self.stopped[0] = Stop(age_h, str(trouble))
                return SAFE
        broken = cho.broken(culture)
        if not broken and not self.stopped:
            return culture
        self._stop(broken, age_h)
        return self._without(culture)

    def _stop(self, why: Mapping[int, str], age_h: float) -> None:
        self.stopped.update({at: Stop(age_h, each) for at, each in why.items() if at not in self.stopped})

    def _without(self, culture: Culture) -> Culture:
        """The culture, with something harmless for the batches that stopped."""
        if self.n == 1:
            return SAFE if self.stopped else culture
        out = np.zeros(self.n, dtype=bool)
        out[list(self.stopped)] = True
        return Culture(*[np.where(out, safe, each) for each, safe in zip(culture, SAFE, strict=True)])

    def _gone(self) -> Floats:
        """NaN for each batch that stopped, else 0."""
        gone = np.zeros(self.n)
        gone[list(self.stopped)] = np.nan
        return gone

    def _blocked(self, age_h: float) -> Number:
        return 1.0 - (1.0 - self.depth("feed_pump_fouls", age_h)) * (1.0 - self.depth("feed_pump_stops", age_h))

    def _look(self, age_h: float) -> _Look:
        return _Look(age_h, self.culture, self._drive(age_h), self._blocked(age_h), self.bottle, self._rpm(age_h))

    def _seen(self, look: _Look) -> dict[str, Number]:
        """Every variable, by its name."""
        drive, culture = look.drive, look.culture
        around = Surroundings(
            working_volume_l=self.set["working_volume"],
            temperature_c=drive.temperature_c,
            ph=cho.true_ph(drive.ph, culture.lactate),
            oxygen_percent=drive.oxygen_sp_percent,
            agitation_rpm=look.rpm,
            feed_l_h=drive.feed_l_h,
            blocked=look.blocked,
            bottle_kg=greater(look.bottle, 0.0),
        )
        return observe(culture, theta=self.theta, drive=drive, around=around) | {
            "glutamine": culture.glutamine,
            "ammonium": culture.ammonium,
            "amino_acids": culture.amino_acids,
            "titre": culture.antibody,
            "dead_cells": culture.dead,
            "lysed_cells": culture.lysed,
            "carbon_dioxide": cho.carbon_dioxide(culture.viable, theta=self.theta, drive=drive, bacteria=culture.bacteria),
            "osmolality": cho.osmolality(culture),
            "volume": culture.volume,
            "bacteria": culture.bacteria,
        }

    def _show(self, look: _Look, values: Mapping[str, Floats]) -> None:
        """What is seen of many batches at one age, (n,) for each variable; who left a range is stopped."""
        seen = self._seen(look)
        if broken := outside(seen, VARIABLES, n=self.n):
            self._stop(broken, look.age_h)
            self.culture = self._without(look.culture)
        gone = np.where(look.age_h > np.asarray(self.set["duration"]) + 1e-9, np.nan, self._gone())
        for name, row in values.items():
            row[:] = seen[name] + gone

    def _show_all(self, values: Mapping[str, Floats]) -> None:
        """What was seen of one batch at all ages, (T,) for each variable: ages stand where batches would."""
        looks = self._looks
        ages = np.array([look.age_h for look in looks])
        several = _Look(
            ages,
            Culture(*np.array([look.culture for look in looks]).T),
            Drive(*[_together([look.drive[at] for look in looks]) for at in range(len(Drive._fields) - 1)]),  # what is in the feed is not seen
            _together([look.blocked for look in looks]),
            _together([look.bottle for look in looks]),
            _together([look.rpm for look in looks]),
        )
        seen = self._seen(several)
        if broken := outside(seen, VARIABLES, n=len(looks)):
            first = min(broken)
            if 0 not in self.stopped or ages[first] < self.stopped[0].age_h - 1e-9:
                self.stopped[0] = Stop(float(ages[first]), broken[first])
        end_h = min(self.stopped[0].age_h - 2e-9 if self.stopped else math.inf, self.set["duration"])
        gone = np.where(ages > end_h + 1e-9, np.nan, 0.0)
        for name, row in values.items():
            row[:] = seen[name] + gone

    def _judge(self) -> dict[str, Floats]:
        hours = self.set["duration"]
        ammonium, glucose, ph, heat = self.sums
        past = Past(hours, ammonium / hours, glucose / hours, ph / hours, heat)
        found = harvest_quality(self.culture, past, levels=self.levels)
        found["harvest_volume"] = self.culture.volume
        found["harvest_mass"] = self.culture.volume * self.culture.antibody / 1000.0
        return judged({name: np.broadcast_to(found[name], (self.n,)) for name in QUALITIES}, QUALITIES, self.stopped, age_h=hours)


def _together(numbers: list[Number]) -> Number:
    """Numbers of several ages as an array; one number where all are the same."""
    return numbers[0] if all(each == numbers[0] for each in numbers) else np.array(numbers)


def _compiled() -> Any:
    """The compiled equations, imported when first asked for: that takes half a second."""
    try:
        return import_module("isogenic.sim.processes.cho_compiled")
    except ImportError as trouble:
        raise NotValid(
            "cannot run compiled", why=f"{trouble.name or 'numba'} is not installed", possible="the extra `fast`, or not compiled"
        ) from trouble


def _check_settings(here: Mapping[str, Floats]) -> None:
    for low, high, why in (
        ("start_volume", "working_volume", "a vessel is not filled beyond its working volume"),
        ("bolus_below", "bolus_to", "a bolus raises glucose"),
    ):
        if np.any(here[low] > here[high]):
            raise NotValid(f"cannot set {low} above {high}", why=why)


def _struck(fault: Fault, n: int) -> NDArray[np.bool_]:
    return np.ones(n, dtype=bool) if fault.batches is None else fault.batches


def _parts(faults: Sequence[Fault], n: int) -> list[NDArray[np.intp]]:
    """Which batches go together: contaminated ones by themselves, for they need short steps; chunks of one size, because a small one is slow."""
    foul = np.zeros(n, dtype=bool)
    for fault in faults:
        if fault.name == "culture_is_contaminated":
            foul |= _struck(fault, n)
    groups = [np.flatnonzero(~foul), np.flatnonzero(foul)]
    return [part for group in groups if len(group) for part in np.array_split(group, math.ceil(len(group) / CHUNK_MAX))]


def _within(faults: Sequence[Fault], part: NDArray[np.intp]) -> list[Fault]:
    """The faults that strike any batch of the part, cut to it."""
    cut = [fault if fault.batches is None else replace(fault, batches=fault.batches[part]) for fault in faults]
    return [fault for fault in cut if fault.batches is None or fault.batches.any()]


def _plain(array: Floats) -> Number:
    """One number where all are the same."""
    return float(array[0]) if array.min() == array.max() else array


def _largest(value: Number) -> float:
    return value if type(value) is float else float(value.max())


def _count(condition: bool | NDArray[np.bool_]) -> int:
    return int(condition) if isinstance(condition, bool) else int(np.count_nonzero(condition))


ANTIBODY = Antibody()
