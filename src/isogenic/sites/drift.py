"""Drift at a site: in every polling cycle, what the equipment runs is held against what it must run.

Guarantees: a difference is noted in the cycle that reads it: the equipment's in the house, and for
every batch on that unit in its sponsor's ledger, with a deviation; a batch that starts while a drift
stands is marked as well. What was noted stands over a restart (it is folded), and ends with a fact.
A set-point counts once the module has shown it, or has not within `CONFIRM_POLLS`; after a start, or
while set-points are written again, there is nothing to compare. A setting that flaps is told
`RAISES_MAX` times in an hour, then it stands until the hour is over. Nothing is set back by itself:
who changed a tuning at the panel may have had a reason, and a person decides.
Leaves to others: the comparison (plant.drift), reading (drivers), noting (node).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from isogenic.authority.people import Role as PersonRole
from isogenic.batches.state import BatchState
from isogenic.checks import Note, Severity
from isogenic.ids import DeviationId, Mint, UnitId
from isogenic.plant.drift import (
    FLOAT32,
    UNREADABLE,
    UNREADABLE_POLLS,
    BatchDrifted,
    BatchDriftEnded,
    DriftEnded,
    DriftFound,
    differs,
    same_number,
    unreadable,
)
from isogenic.plant.model import Role, Signal, SitePlant
from isogenic.plant.readings import Frame, Quality, TagIndex
from isogenic.plant.settings import TEXT, Expected, ReleasedSet, SettingKind, expected_settings
from isogenic.quality.deviations import DeviationOpened, Origin, open_from_finding
from isogenic.quality.deviations import Severity as Weight
from isogenic.records.facts import Payload
from isogenic.sites.state import SiteState
from isogenic.units import converter

__all__ = ["CONFIRM_POLLS", "RAISES_MAX", "DriftWatch", "check_runs_what_is_released"]

CONFIRM_POLLS = 3  # a device that takes set-points by command or message shows them a poll or two later
RAISES_MAX = 12  # of one setting in an hour: a loose contact must not fill the ledger
HOUR_S = 3600.0
WHOLE_SPAN = 100.0  # a device that holds whole numbers only has at least so many of them: 1 of 14 would be no set-point of pH
SHOWN_MAX = 200
SHOWN_DIGITS = 1e-6  # what is shown has seven


def check_runs_what_is_released(state: SiteState, unit: UnitId) -> list[Note]:
    """No batch starts on a unit whose modules are known not to run what was released (21 CFR 211.68(a), (b))."""
    check = "check_runs_what_is_released"
    wrong = [
        Note(
            check,
            Severity.STOP,
            f"{drift.module} does not run what was released: {drift.setting} is {drift.found}, released is {drift.released}",
            PersonRole.QUALITY,
        )
        for drift in state.drifts.values()
        if drift.unit == unit
    ]
    return wrong or [Note(check, Severity.GOOD, f"no module of {unit} is known to run anything but what was released")]


@dataclass(slots=True)
class _Raises:
    """How often a setting was told lately."""

    since: datetime
    count: int = 0


@dataclass(slots=True)
class DriftWatch:
    """What one node remembers between two polls; all that is noted is in the state."""

    plant: SitePlant
    _setpoints: _Setpoints | None = None
    _expected: Mapping[str, Expected] = field(default_factory=dict)
    _released: ReleasedSet | None = None
    _loaded: bool = False
    _polls: dict[str, int] = field(default_factory=dict)
    _read: Mapping[str, str] | None = None
    _drifts: Mapping[str, DriftFound] | None = None
    _raises: dict[str, _Raises] = field(default_factory=dict)
    _kept_back: bool = False  # something was not told, because it had been told so often

    def look(self, state: SiteState, frame: Frame, read: Mapping[str, str], told: Mapping[str, float], *, now: datetime, mint: Mint) -> list[Payload]:
        """What one poll finds.

        `read` are the settings by key, empty where the module answers and cannot tell; `told` are the set-points written before.
        """
        facts = self._of_equipment(state, read, now)
        standing = dict(state.drifts)
        for each in facts:
            if isinstance(each, DriftFound):
                standing[f"{each.module}.{each.setting}"] = each
            elif isinstance(each, DriftEnded):
                standing.pop(f"{each.module}.{each.setting}", None)
        told_wrong = self._of_setpoints(frame, told)
        for unit in self.plant.units:
            batch = state.on_unit(unit)
            if batch is not None:
                facts += self._of_batch(state, batch, unit, standing, told_wrong, now, mint)
        return facts

    # ---- the equipment ----

    def _of_equipment(self, state: SiteState, read: Mapping[str, str], now: datetime) -> list[Payload]:
        expected = self._expect(state.released_settings)
        if read is self._read and state.drifts is self._drifts and not self._polls and not self._kept_back:  # nothing is new since the poll before
            return []
        self._kept_back = False
        self._read, self._drifts = read, state.drifts
        self._polls = unreadable(self._polls, read, expected)
        digest = self._released.digest if self._released is not None else ""
        facts: list[Payload] = []
        for key, each in expected.items():
            found, before = self._found(each, read), state.drifts.get(key)
            if found is None:  # not known in this poll: what stood stands
                continue
            if found == "":
                if before is not None and self._may_end(key, now):
                    facts.append(DriftEnded(before.unit, each.module, each.name))
            elif before is None:
                self._count(key, now)
                facts.append(DriftFound(each.unit_id, each.module, each.name, each.kind, each.released, found[:SHOWN_MAX], digest))
            elif (before.released != each.released or _another(before.found, found, each)) and self._may_change(key, now):
                facts.append(DriftFound(each.unit_id, each.module, each.name, each.kind, each.released, found[:SHOWN_MAX], digest))
        facts += [DriftEnded(old.unit, old.module, old.setting) for key, old in state.drifts.items() if key not in expected]
        return facts

    def _found(self, each: Expected, read: Mapping[str, str]) -> str | None:
        """What differs, as text; empty where nothing does, None where nobody knows."""
        if self._polls.get(each.key, 0) >= UNREADABLE_POLLS:
            return UNREADABLE
        answered = read.get(each.key, "")
        if not answered:
            return None
        return _shown(answered, each) if differs(each, answered) else ""

    def _expect(self, released: ReleasedSet | None) -> Mapping[str, Expected]:
        if not self._loaded or released is not self._released:
            where = {module: unit.id for unit in self.plant.units.values() for module in unit.modules}
            self._expected, self._released, self._loaded = expected_settings(self.plant.settings(), released, unit_of=where.get), released, True
        return self._expected

    def _count(self, key: str, now: datetime) -> None:
        """A difference where none stands is told always: what is kept back is its end, so it is never out of sight."""
        self._told(key, now).count += 1

    def _may_change(self, key: str, now: datetime) -> bool:
        """Whether another difference may be told where one stands."""
        return self._may(key, now, room=1)

    def _may_end(self, key: str, now: datetime) -> bool:
        """Whether an end may be told, which leaves room for the next difference."""
        return self._may(key, now, room=2)

    def _may(self, key: str, now: datetime, *, room: int) -> bool:
        told = self._told(key, now)
        if told.count + room > RAISES_MAX:
            self._kept_back = True
            return False
        told.count += 1
        return True

    def _told(self, key: str, now: datetime) -> _Raises:
        told = self._raises.get(key)
        if told is None or not 0 <= (now - told.since).total_seconds() < HOUR_S:
            told = self._raises[key] = _Raises(now)
        return told

    # ---- set-points ----

    def _of_setpoints(self, frame: Frame, told: Mapping[str, float]) -> Mapping[str, tuple[float, float] | None]:
        if self._setpoints is None or self._setpoints.index is not frame.index:
            self._setpoints = _Setpoints(self.plant, frame.index)
        return self._setpoints.look(frame, told)

    # ---- batches ----

    def _of_batch(
        self,
        state: SiteState,
        batch: BatchState,
        unit: UnitId,
        standing: Mapping[str, DriftFound],
        setpoints: Mapping[str, tuple[float, float] | None],
        now: datetime,
        mint: Mint,
    ) -> list[Payload]:
        """Mark one batch with what stands on its unit, and say what does not stand any more."""
        name = batch.control.batch
        marked = {key: each for key, each in state.batch_drifts.get(name, {}).items() if each.unit == unit}
        now_wrong: dict[str, BatchDrifted] = {}
        unknown: set[str] = set()
        for key, drift in standing.items():
            if drift.unit == unit:
                now_wrong[key] = BatchDrifted(name, unit, drift.module, drift.setting, drift.kind, drift.released, drift.found)
        for tag, wrong in setpoints.items():
            if not tag.startswith(f"{unit}."):
                continue
            signal = self.plant.units[unit].signals[tag.removeprefix(f"{unit}.")]
            key = f"{signal.module}.{signal.cls.name}"
            if wrong is None:
                unknown.add(key)
            else:
                wanted, found = (f"{value:.7g} {signal.cls.unit}" for value in wrong)
                now_wrong[key] = BatchDrifted(name, unit, signal.module, signal.cls.name, SettingKind.SETPOINT, wanted, found)
        facts: list[Payload] = []
        known = {deviation.evidence.get("leading", "") for deviation in state.deviations.get(name, ())}
        for key, drifted in now_wrong.items():
            before = marked.get(key)
            if before == drifted or not (before is None or key in standing or self._may_change(f"{name} {key}", now)):
                continue
            if before is None and key not in standing:
                self._count(f"{name} {key}", now)
            facts.append(drifted)
            if key not in known:
                facts.append(_deviation(batch, drifted, state, now, mint))
        ended = [
            each
            for key, each in marked.items()
            if key not in now_wrong and key not in unknown and (key in state.drifts or self._may_end(f"{name} {key}", now))
        ]
        return facts + [BatchDriftEnded(name, unit, each.module, each.setting) for each in ended]


class _Setpoints:
    """The set-points of a site as columns, so that comparing hundreds costs what comparing one does."""

    def __init__(self, plant: SitePlant, index: TagIndex) -> None:
        self.index = index
        signals = [signal for signal in plant.signals() if signal.cls.role is Role.SETPOINT and signal.tag in index.column]
        self._tags = [signal.tag for signal in signals]
        self._columns = np.array([index.column[tag] for tag in self._tags], dtype=np.intp)
        self._slope, self._offset = _native(signals)
        spans = np.array([signal.cls.high - signal.cls.low for signal in signals]) * np.abs(self._slope)
        self._whole = spans >= WHOLE_SPAN  # may hold whole numbers only: until it has shown another one
        self._told: Mapping[str, float] = {}
        self._wanted = np.full(len(signals), np.nan)  # canonical, NaN where nothing was told
        self._pending = np.zeros(len(signals), dtype=np.int64)  # polls since it was told and not yet shown; 0: it was shown

    def look(self, frame: Frame, told: Mapping[str, float]) -> Mapping[str, tuple[float, float] | None]:
        """By tag, what was told and what is read; None where that is not known. What agrees is left out."""
        if told != self._told:
            before, self._told = self._wanted, dict(told)
            self._wanted = np.array([told.get(tag, np.nan) for tag in self._tags])
            self._pending = np.where(self._wanted == before, self._pending, 1)
        if not self._told:
            return dict.fromkeys(self._tags)
        found, good = frame.values[self._columns], frame.quality[self._columns] == Quality.GOOD
        wanted_native, found_native = self._wanted * self._slope + self._offset, found * self._slope + self._offset
        with np.errstate(invalid="ignore"):
            room = FLOAT32 * np.maximum(np.abs(wanted_native), np.abs(found_native))
            self._whole &= ~(good & (np.abs(found_native - np.round(found_native)) > room))
            same = (np.abs(wanted_native - found_native) <= room) | (self._whole & (found_native == np.round(wanted_native)))
        known = good & np.isfinite(self._wanted)
        self._pending = np.where(known & same, 0, np.where(known & (self._pending > 0), self._pending + 1, self._pending))
        waiting = (self._pending > 0) & (self._pending <= CONFIRM_POLLS + 1)  # it counts this poll already
        odd = np.flatnonzero(~(known & same))
        return {self._tags[at]: (float(self._wanted[at]), float(found[at])) if known[at] and not waiting[at] else None for at in odd}


def _native(signals: list[Signal]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How canonical numbers become the module's own: a module rounds what it holds, in its own unit."""
    converters = [converter(signal.cls.unit, signal.native_unit) for signal in signals]
    offset = np.array([each(0.0) for each in converters])
    return np.array([each(1.0) for each in converters]) - offset, offset


def _shown(answered: str, each: Expected) -> str:
    """What was read, with the unit in which the module reports it: the last digits of a 32-bit float say nothing."""
    try:
        return answered if each.unit == TEXT else f"{float(answered):.7g} {each.unit}".removesuffix(" 1")
    except ValueError:
        return answered


def _another(before: str, found: str, each: Expected) -> bool:
    """Whether what is read now is another difference than the one that was told."""
    if before == found[:SHOWN_MAX]:
        return False
    try:
        return not same_number(float(before.split(" ")[0]), float(found.split(" ")[0]), within=max(each.within, SHOWN_DIGITS * abs(each.number)))
    except ValueError:
        return True


def _deviation(batch: BatchState, drifted: BatchDrifted, state: SiteState, now: datetime, mint: Mint) -> DeviationOpened:
    what = "was told" if drifted.kind is SettingKind.SETPOINT else "is released with"
    return open_from_finding(
        mint.fresh(DeviationId),
        f"{drifted.module} {what} {drifted.setting} {drifted.released}, and runs {drifted.found}",
        batch=batch.control.batch,
        lot=batch.control.lot,
        site=state.site,
        origin=Origin.DRIFT,
        severity=Weight.MAJOR,
        evidence={
            "leading": f"{drifted.module}.{drifted.setting}",
            "kind": str(drifted.kind or "unknown"),
            "released": drifted.released,
            "found": drifted.found,
            "unit": str(drifted.unit),
        },
        detected_at=now,
    )
