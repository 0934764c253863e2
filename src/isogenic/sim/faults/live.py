"""Faults to rehearse, as named and typed values read from a line of text.

    feed_pump_fouls:unit=SB-200,start=150h,hours=24,size=0.6

`start` is the batch's age (hours since inoculation), `hours` how long it lasts, `size` how
bad it is, `run` which batch on that unit (1 is the first; without it, every batch).

What happens to the process, its pumps and its heating, with what `size` means:

    sparger_fouls            oxygen transfer (kLa) * (1 - size)
    feed_pump_fouls          the feed line clogs: flow is set-point * (1 - size), the pump's pressure rises
    feed_pump_stops          this share of the feed is lost, and boluses wait
    feed_pump_runs_high      the pump gives (1 + size) of what it should
    temperature_excursion    the culture is so many kelvin warmer
    ph_sensor_drifts         the pH probe comes to read so much too high, and the controller follows it: the true pH is lower
    valve_sticks             the jacket's valve moves by no less than this share of its travel, or not at all
    drive_is_weak            the stirrer gives no more than (1 - size) of its greatest speed
    culture_is_contaminated  so many g/L of bacteria come in
    lactate_is_high          lactate made of glucose * (1 + size)
    product_rate_is_low      specific productivity * (1 - size)
    medium_is_weak           growth * (1 - size), the whole batch: a bad lot of medium

What happens to the instrument of one signal (`signal` names it; a controller goes on by the true value):

    sensor_biased, sensor_drifts, sensor_freezes, sensor_spikes, sensor_drops, sensor_is_noisy, sensor_is_late,
    sensor_is_fouled, sensor_in_wrong_unit: as `instruments/failures.py` says

What somebody does:

    setting_changes   a module's setting is changed at the panel: `signal` names it; a number becomes (1 + size) times
                      what it was, a text is another one. With `at` instead of `start`, hours are counted from when the
                      equipment was started, whether anything grows or not

Guarantees: what `parse_fault` accepts can be simulated; all else is `NotValid`.
A fault that fouls or drifts comes gradually, over the first quarter of its hours, and is gone at
their end, as if the tubing had been changed; where no hours are given, it comes at once and stays.
`text_of_fault` gives back what `parse_fault` reads.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from isogenic.errors import NotValid, Refusal
from isogenic.ids import UnitId
from isogenic.plant.model import Role, SitePlant
from isogenic.sim.faults.modules import parse_module_fault
from isogenic.sim.instruments.failures import FAILURES, MOST, Failure
from isogenic.sim.processes.antibody_tables import FAULTS as ANTIBODY_FAULTS

__all__ = ["SIZES", "Fault", "FaultKind", "check_faults", "parse_fault", "read_faults", "text_of_fault"]

FILE_BYTES_MAX = 64 * 1024  # a few hundred faults
FAULT_TEXT_MAX = 300  # characters
HOURS_MAX = 10_000.0  # more than a year: a slip of the pen
RISE_SHARE = 0.25
_FORM = re.compile(r"([a-z_]+):([a-z_]+=[A-Za-z0-9_.+-]+(?:,[a-z_]+=[A-Za-z0-9_.+-]+)*)")
EXAMPLE = "feed_pump_fouls:unit=SB-200,start=150h,hours=24,size=0.6"


class FaultKind(StrEnum):
    """What goes wrong."""

    SPARGER_FOULS = "sparger_fouls"
    FEED_PUMP_FOULS = "feed_pump_fouls"
    FEED_PUMP_STOPS = "feed_pump_stops"
    FEED_PUMP_RUNS_HIGH = "feed_pump_runs_high"
    TEMPERATURE_EXCURSION = "temperature_excursion"
    PH_SENSOR_DRIFTS = "ph_sensor_drifts"
    VALVE_STICKS = "valve_sticks"
    DRIVE_IS_WEAK = "drive_is_weak"
    CULTURE_IS_CONTAMINATED = "culture_is_contaminated"
    LACTATE_IS_HIGH = "lactate_is_high"
    PRODUCT_RATE_IS_LOW = "product_rate_is_low"
    MEDIUM_IS_WEAK = "medium_is_weak"
    SENSOR_BIASED = "sensor_biased"
    SENSOR_DRIFTS = "sensor_drifts"
    SENSOR_FREEZES = "sensor_freezes"
    SENSOR_SPIKES = "sensor_spikes"
    SENSOR_DROPS = "sensor_drops"
    SENSOR_IS_NOISY = "sensor_is_noisy"
    SENSOR_IS_LATE = "sensor_is_late"
    SENSOR_IS_FOULED = "sensor_is_fouled"
    SENSOR_IN_WRONG_UNIT = "sensor_in_wrong_unit"
    SETTING_CHANGES = "setting_changes"

    @property
    def of_sensor(self) -> bool:
        """Whether it happens to one signal, not to the process."""
        return self.value.startswith("sensor_")

    @property
    def sized(self) -> bool:
        """Whether a size must be given."""
        return self not in (FaultKind.SENSOR_FREEZES, FaultKind.SENSOR_DROPS)

    @property
    def gradual(self) -> bool:
        """Whether it rises over the first quarter of its hours."""
        return self in (FaultKind.SPARGER_FOULS, FaultKind.FEED_PUMP_FOULS, FaultKind.PH_SENSOR_DRIFTS)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one unit, in hours of the batch's age."""

    kind: FaultKind
    unit: UnitId
    start_h: float = 0.0
    hours: float = HOURS_MAX
    size: float = 0.0
    signal: str = ""
    run: int = 0  # 0: every batch
    at_h: float | None = None  # hours since the equipment was started, instead of the batch's age

    def stands(self, running_h: float) -> bool:
        """Whether it is there, so long after the equipment was started; only for one that does not go by the batch's age."""
        return self.at_h is not None and self.at_h <= running_h < self.at_h + self.hours

    def hits(self, run: int, age_h: float) -> bool:
        """Whether it is there at this age of this batch."""
        return self.at_h is None and self.run in (0, run) and self.start_h <= age_h < self.start_h + self.hours

    def depth(self, age_h: float) -> float:
        """How much of `size` has come by now."""
        gradual = self.kind.gradual and self.hours < HOURS_MAX  # without an end there is no first quarter: at once, as in a study
        return self.size * min(1.0, (age_h - self.start_h) / (RISE_SHARE * self.hours)) if gradual else self.size


def parse_fault(text: str) -> Fault:
    """Read one fault; see the module's text for the form."""
    found = _FORM.fullmatch(text) if isinstance(text, str) and len(text) <= FAULT_TEXT_MAX else None
    if not found:
        raise NotValid(f"cannot read fault {str(text)[:60]!r}", why="the form is name:key=value,key=value", possible=EXAMPLE)
    if found[1] not in set(FaultKind):
        raise NotValid(f"cannot read fault {found[1]!r}", why="no such fault", possible=", ".join(FaultKind))
    kind = FaultKind(found[1])
    pairs = [part.partition("=") for part in found[2].split(",")]
    given = {key: value for key, _, value in pairs}
    if len(given) != len(pairs):
        raise NotValid(f"cannot read fault {text!r}", why="a key is given twice")
    allowed = _keys(kind)
    if unknown := sorted(set(given) - allowed):
        raise NotValid(f"cannot read fault {text!r}", why=f"{kind} has no {', '.join(unknown)}", possible=", ".join(sorted(allowed)))
    if missing := sorted((allowed & {"unit", "size", "signal"}) - set(given)):
        raise NotValid(f"cannot read fault {text!r}", why=f"{', '.join(missing)} must be given", possible=EXAMPLE)
    if "at" in given and given.keys() & {"start", "run"}:
        raise NotValid(f"cannot read fault {text!r}", why="at counts from the start of the equipment, start and run from a batch's; one of them")
    return Fault(
        kind=kind,
        unit=UnitId(given["unit"]),
        start_h=_hours(given.get("start", "0"), "start"),
        hours=_hours(given.get("hours", f"{HOURS_MAX}"), "hours", above=0.0),
        size=_size(kind, given.get("size", "0")),
        signal=given.get("signal", ""),
        run=_run(given.get("run", "0")),
        at_h=_hours(given["at"], "at") if "at" in given else None,
    )


def read_faults(file: Path) -> list[str]:
    """The faults of a file, one a line; each is read, so that a slip is refused with its line."""
    with file.open("rb") as opened:
        data = opened.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise NotValid(f"cannot read {file.name}", why=f"it is longer than {FILE_BYTES_MAX} bytes")
    told = []
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            (parse_fault if text.partition(":")[0] in set(FaultKind) else parse_module_fault)(text)
        except Refusal as refusal:
            raise NotValid(f"cannot read {file.name}, line {number}", why=str(refusal)[:300]) from refusal
        told.append(text)
    return told


def text_of_fault(fault: Fault) -> str:
    """The line of text that `parse_fault` reads as this fault."""
    parts = [f"unit={fault.unit}"]
    if fault.signal:
        parts.append(f"signal={fault.signal}")
    if fault.at_h is not None:
        parts.append(f"at={fault.at_h!r}")
    elif "start" in _keys(fault.kind):
        parts.append(f"start={fault.start_h!r}")
    if "hours" in _keys(fault.kind):
        parts.append(f"hours={fault.hours!r}")
    if fault.kind.sized:
        parts.append(f"size={fault.size!r}")
    if fault.run:
        parts.append(f"run={fault.run}")
    return f"{fault.kind}:{','.join(parts)}"


def check_faults(faults: Sequence[Fault], plant: SitePlant) -> tuple[Fault, ...]:
    """The faults, or `NotValid`/`NotFound` where one names a unit or a signal that the plant lacks."""
    for fault in faults:
        unit = plant.unit(fault.unit)
        if fault.kind.of_sensor and (fault.signal not in unit.signals or unit.signals[fault.signal].cls.role is not Role.MEASUREMENT):
            raise NotValid(f"cannot break {fault.unit}.{fault.signal}", why="the unit has no such measurement")
        if fault.kind is FaultKind.SETTING_CHANGES and not any(fault.signal in module.settings for module in unit.modules.values()):
            raise NotValid(f"cannot change {fault.signal} of {fault.unit}", why="no module of the unit has such a setting")
    return tuple(faults)


def _keys(kind: FaultKind) -> set[str]:
    keys = {"unit", "run"}
    if kind is not FaultKind.MEDIUM_IS_WEAK:
        keys |= {"start", "hours"}
    if kind.sized:
        keys |= {"size"}
    if kind is FaultKind.SETTING_CHANGES:
        keys |= {"at"}
    return keys | {"signal"} if kind.of_sensor or kind is FaultKind.SETTING_CHANGES else keys


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise NotValid(f"cannot read {what}={text!r}", why="it is not a finite number")
    return value


def _hours(text: str, what: str, *, above: float = -1.0) -> float:
    value = _number(text.removesuffix("h"), what)
    if not max(above, -1e-12) < value <= HOURS_MAX:
        raise NotValid(f"cannot use {what}={text!r}", why=f"hours lie between 0 and {HOURS_MAX:g}", possible=f"0 to {HOURS_MAX:g}")
    return value


def _sizes(kind: FaultKind) -> tuple[float, float]:
    if kind in ANTIBODY_FAULTS:
        return ANTIBODY_FAULTS[kind].low, ANTIBODY_FAULTS[kind].high
    return FAILURES[Failure(kind)][1:3] if kind.of_sensor else (-MOST, MOST)


# Least and greatest sizes: those of a study.
SIZES: dict[FaultKind, tuple[float, float]] = {kind: _sizes(kind) for kind in FaultKind}


def _size(kind: FaultKind, text: str) -> float:
    value = _number(text, "size")
    low, high = SIZES[kind]
    if not low <= value <= high:
        raise NotValid(f"cannot use size={text!r}", why=f"the size of {kind} lies between {low:g} and {high:g}", possible=f"{low:g} to {high:g}")
    return value


def _run(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise NotValid(f"cannot use run={text!r}", why="a run is 1, 2, 3, ...")
    return int(text)
