"""The page where a whole site can be seen.

    read -> judge -> step -> open deviations -> append -> write -> wait

`scan` decides and touches nothing: readings in, facts out. The node notes the facts, folds
them, and only then writes the set-points that the folded facts give. So every command to
equipment is noted before it is sent, and after a crash the site goes on from its facts (I3).

Readings steer only while their quality is good; a monitor that cannot judge says so in
its judgement, and the count of what was not judged is noted when the batch is closed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.batches.counts import CountsNoted, Tally, due, follow, reconcile
from isogenic.batches.engine import BatchState, step
from isogenic.batches.facts import AlarmRaised, BatchClosed, PromptOverdue
from isogenic.batches.serials import Serials, unaccounted
from isogenic.checks import Note
from isogenic.clock import Moment
from isogenic.ids import BatchId, DeviationId, LotId, Mint, SiteId, UnitId
from isogenic.materials.changeover import Occupant
from isogenic.monitoring.diagnosis import Aide, Told, attend, attendant
from isogenic.monitoring.explanation import Finding
from isogenic.monitoring.facts import MonitoringEnded, MonitoringStarted
from isogenic.monitoring.lifecycle.facts import ModelAccepted, MonitoringRefused
from isogenic.monitoring.lifecycle.standing import answer_release
from isogenic.monitoring.model import Model
from isogenic.plant.classes import COUNTS
from isogenic.plant.model import Unit
from isogenic.plant.readings import Frame, Quality, Reading
from isogenic.quality.deviations import RECONCILIATION, DeviationOpened, Origin, Severity, open_from_finding
from isogenic.records.facts import Payload
from isogenic.sites.acceptance import answer_publication
from isogenic.sites.arbitration import arbitrate
from isogenic.sites.drift import check_runs_what_is_released
from isogenic.sites.materials import check_materials_allow, lines_due, patient_of, start_on_line
from isogenic.sites.safe_completion import check_may_take, safe_completion
from isogenic.sites.standing import answer_master_files
from isogenic.sites.state import SiteState

__all__ = ["INDICATOR", "Scan", "Site", "deviations", "maturity_hours", "monitored_values", "scan", "watch"]


HOURS = "h"  # of a model that goes by the age of the batch
INDICATOR = "maturity"  # the signal that says how far a batch is, where a model goes by that


@dataclass(frozen=True, slots=True)
class Site:
    """What one scan needs: the folded facts, and what the monitors remember of the running batches."""

    state: SiteState
    models: Mapping[str, Model] = field(default_factory=dict)  # released models held here, by digest
    watches: Mapping[BatchId, Aide] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scan:
    """What one scan decided."""

    facts: list[Payload]
    watches: Mapping[BatchId, Aide]
    judgements: Mapping[BatchId, Told]


def scan(site: Site, seen: Frame, now: Moment, *, mint: Mint) -> Scan:
    """One scan: everything that the site does of its own accord, as facts. Pure."""
    state = site.state
    facts: list[Payload] = [*answer_publications(state), *answer_models(state), *answer_master_files(state), *lines_due(state)]
    watches, judgements = dict(site.watches), {}
    for batch in state.running():
        if ended := safe_completion(state, batch, now):  # noted, and then in force; the engine goes on with the next scan
            facts += ended
            continue
        name = batch.control.batch
        watched, judgement = watch(site, batch, seen.unit(batch.monitored_unit), now.at, watches)
        units = {unit: seen.unit(unit) for unit in batch.holds()}
        counted = counts(site, batch, units)
        stepped = step(batch, units, now.at, noted_before=len(watched) + len(counted))
        facts += [*watched, *counted, *stepped, *deviations(site, batch, judgement, stepped, now.at, mint)]
        facts += not_reconciled(site, batch, counted, stepped, now.at, mint)
        if name in watches and any(isinstance(payload, BatchClosed) for payload in stepped):
            facts.append(_ended(name, watches.pop(name)))
        if judgement is not None:
            judgements[name] = judgement
    return Scan([*facts, *_units(site, facts, now, mint)], watches, judgements)


def _units(site: Site, facts: list[Payload], now: Moment, mint: Mint) -> list[Payload]:
    """Units asked for and given; nothing about a batch whose record closes in this scan."""
    state, closed = site.state, {payload.batch for payload in facts if isinstance(payload, BatchClosed)}

    def occupant(batch: BatchState) -> Occupant:
        return Occupant(batch.lot, batch.product, batch.sponsor, patient_of(state, batch.lot))

    def against(unit: UnitId, batch: BatchState) -> list[Note]:
        return [
            *check_may_take(state, batch, unit, now),
            *check_runs_what_is_released(state, unit),
            *check_materials_allow(state, unit, occupant(batch), now=now),
        ]

    def taking(unit: UnitId, batch: BatchState) -> list[Payload]:
        return start_on_line(state, unit, occupant(batch), batch=batch.batch)

    given = arbitrate(state, against=against, taking=taking, but=closed)
    alarms = [payload for payload in given if isinstance(payload, AlarmRaised)]
    subjects = {batch.batch: Subject(batch.batch, batch.lot, state.site) for batch in state.running()}
    return [*given, *(_from_alarm(each, subjects[each.batch], now.at, mint) for each in alarms)]


def answer_publications(state: SiteState) -> list[Payload]:
    """Verify what the control site published and say yes or no to it, once each."""
    answered = state.accepted.keys() | state.not_accepted.keys()
    return [
        answer_publication(
            publication, plant=state.plant, directory=state.directory, site_approvals=state.site_approvals.get(publication.site_digest, ())
        )
        for key, publication in sorted(state.published.items())
        if key not in answered and state.directory is not None
    ]


def watch(
    site: Site, batch: BatchState, readings: Mapping[str, Reading], now: datetime, watches: dict[BatchId, Aide]
) -> tuple[list[Payload], Told | None]:
    """Hold the readings of the unit of the monitored phase against the reference model; note the watch's begin and end."""
    name, hours = batch.control.batch, maturity_hours(batch, now)
    digest = site.state.watched.get(name)
    if hours is None:
        ended = watches.pop(name, None)
        if digest is None:
            return [], None
        return [_ended(name, ended)], None
    if digest is None and (why := refused_watch(site, batch)) is not None:
        released = site.state.released_models[batch.control.product]
        said = name in site.state.unwatched or released.digest not in site.state.model_answers  # the site's answer comes with this scan
        return ([] if said else [MonitoringRefused(name, released.model, released.digest, why)]), None
    model = _model(site, batch)
    if model is None:
        return [], None
    maturity = hours if model.maturity_unit == HOURS or model.placing is not None else _indicated(readings)
    unit = site.state.plant.unit(batch.monitored_unit)
    values = monitored_values(model, unit, readings)
    watches[name], judgement = attend(watches.get(name) or attendant(model), values, maturity=maturity, phases=(_monitored_phase(batch),))
    return [] if digest else [MonitoringStarted(name, model.name, model.digest)], judgement


def _model(site: Site, batch: BatchState) -> Model | None:
    """The model that watches a batch, or would: the newest of its product, where its bytes are here."""
    product = batch.control.product
    published = site.state.released_models.get(product) or site.state.models.get(product)  # what two people released comes first
    return site.models.get(site.state.watched.get(batch.control.batch) or (published.digest if published else ""))


def _monitored_phase(batch: BatchState) -> str:
    """The monitored phase that began first of those that run, for a model that places batches by phase."""
    return next((name for name in batch.active if batch.phases[name].monitored), "")


def answer_models(state: SiteState) -> list[Payload]:
    """Verify what was released for this site to watch with, and say yes or no to it, once each."""
    if state.directory is None:
        return []
    waiting = [each for _, each in sorted(state.released_models.items()) if each.digest not in state.model_answers]
    return [answer_release(each, plant=state.plant, directory=state.directory) for each in waiting]


def refused_watch(site: Site, batch: BatchState) -> str | None:
    """Why the model that was released for the batch's product may not judge it here, if it may not."""
    product = batch.control.product
    released = site.state.released_models.get(product)
    if released is None:
        return None
    answer, unit, held = site.state.model_answers.get(released.digest), str(batch.monitored_unit), site.models.get(released.digest)
    if held is not None and held.product != product:
        return f"it was fitted for {held.product or 'no product'}, not {product}"
    if isinstance(answer, ModelAccepted) and unit in answer.units:
        return None
    return "this site has not verified it yet" if answer is None else "; ".join(answer.reasons) or f"it was not accepted for {unit}"


def _indicated(readings: Mapping[str, Reading]) -> float:
    """How far a batch is by its own indicator, for a model that was fitted along one; NaN while that is not good."""
    reading = readings.get(INDICATOR)
    return reading.value if reading is not None and reading.good else math.nan


def _ended(batch: BatchId, last: Aide | None) -> MonitoringEnded:
    """What the watch has judged since the node started; a restart in between begins a new count."""
    if last is None:
        return MonitoringEnded(batch, 0, 0, 0)
    return MonitoringEnded(batch, int(last.watch.judged[0]), int(last.watch.not_judged[0]), int(last.watch.alarms[0]))


def maturity_hours(batch: BatchState, now: datetime) -> float | None:
    """Hours since the first monitored phase began; None outside the monitored phases."""
    if not batch.monitored or batch.monitored_since is None:
        return None
    return (now - batch.monitored_since).total_seconds() / 3600


def monitored_values(model: Model, unit: Unit, readings: Mapping[str, Reading]) -> NDArray[np.float64]:
    """The model's variables from a unit's readings; what grows with the vessel is taken per litre, so that unlike sizes compare."""
    litres = unit.working_volume.to("L").value
    values = np.full(len(model.variables), np.nan)
    for at, variable in enumerate(model.variables):
        reading = readings.get(variable.name)
        if reading is not None and reading.quality is not Quality.BAD:
            values[at] = reading.value / litres if unit.signals[variable.name].cls.extensive else reading.value
    return values


def deviations(site: Site, batch: BatchState, judgement: Told | None, stepped: list[Payload], now: datetime, mint: Mint) -> list[DeviationOpened]:
    """Open a deviation for each new finding and alarm; one that was opened for the same leading variable is not opened twice."""
    about = Subject(batch.control.batch, batch.control.lot, site.state.site)
    opened: list[DeviationOpened] = []
    known = {deviation.evidence.get("leading", "") for deviation in site.state.deviations.get(about.batch, ())}
    finding = None if judgement is None else judgement.findings.finding()
    if judgement is not None and finding is not None and finding.leading[0].variable not in known:
        model = _model(site, batch)
        unit = f"_{HOURS}" if model is None or model.maturity_unit == HOURS else ""
        probes = "; ".join(each.sentence for each in judgement.troubles())
        digest = "" if model is None else model.digest
        opened.append(_from_finding(finding, about, now, mint, unit=unit, probes=probes, model=digest))
    opened += [_from_overdue(payload, about, now, mint) for payload in stepped if isinstance(payload, PromptOverdue)]
    opened += [_from_alarm(payload, about, now, mint) for payload in stepped if isinstance(payload, AlarmRaised)]
    return opened


class Subject(NamedTuple):
    """What a deviation is about."""

    batch: BatchId
    lot: LotId
    site: SiteId


def _from_finding(finding: Finding, about: Subject, now: datetime, mint: Mint, *, unit: str, probes: str, model: str) -> DeviationOpened:
    evidence = {
        "leading": finding.leading[0].variable,
        "statistic": str(finding.statistic),
        "value": f"{finding.value:.4g}",
        "limit": f"{finding.limit:.4g}",
        f"maturity{unit}": f"{finding.maturity:.4g}",
        f"since{unit}": f"{finding.since:.4g}",
        "contributions": ", ".join(f"{each.variable} {each.share:.0%}" for each in finding.leading),
        "model": model,
    }
    if probes:  # whatever is wrong with single probes: the first thing to look at
        evidence["probes"] = probes[:400]
    return open_from_finding(
        mint.fresh(DeviationId),
        finding.sentence,
        **about._asdict(),
        origin=Origin.MONITOR,
        severity=Severity.MAJOR,
        evidence=evidence,
        detected_at=now,
    )


def _from_alarm(alarm: AlarmRaised, about: Subject, now: datetime, mint: Mint) -> DeviationOpened:
    evidence = {"phase": alarm.phase, "signal": alarm.signal, "then": alarm.then}
    return open_from_finding(
        mint.fresh(DeviationId),
        alarm.what,
        **about._asdict(),
        origin=Origin.ENGINE,
        severity=Severity.MAJOR,
        evidence=evidence,
        detected_at=now,
    )


def counts(site: Site, batch: BatchState, seen: Mapping[UnitId, Mapping[str, Reading]]) -> list[CountsNoted]:
    """What the modules of the batch's units show as counted, while nothing of them moves."""
    tally, found = site.state.tallies.get(batch.batch, Tally()), []
    for unit in _counting(site, batch.holds()):
        modules = {name: str(signal.module) for name, signal in unit.signals.items()}
        found += due(batch.batch, unit.id, tally, seen[unit.id], modules=modules)
    return found


def _counting(site: Site, units: Iterable[UnitId]) -> list[Unit]:
    """Those of the units that count containers or labels."""
    known = [site.state.plant.units[each] for each in units if each in site.state.plant.units]
    return [unit for unit in known if not COUNTS.isdisjoint(unit.signals)]


def not_reconciled(
    site: Site, batch: BatchState, counted: list[CountsNoted], stepped: list[Payload], now: datetime, mint: Mint
) -> list[DeviationOpened]:
    """At the end of a batch: a deviation where what was counted does not reconcile (21 CFR 211.125(c), 211.192)."""
    if not any(isinstance(payload, BatchClosed) for payload in stepped):
        return []
    tally = site.state.tallies.get(batch.batch, Tally())
    for each in counted:
        tally = follow(tally, each)
    findings = [*reconcile(tally).findings, *unaccounted(site.state.serials.get(batch.batch, Serials()))]
    used = _counting(site, [held.unit for held in batch.units.values()])
    findings += [f"the counts of {unit.id} were never read while nothing moved" for unit in used if unit.id not in tally.shown]
    if not findings:
        return []
    about = Subject(batch.control.batch, batch.control.lot, site.state.site)
    said = "; ".join(findings)
    opened = open_from_finding(
        mint.fresh(DeviationId),
        said,
        **about._asdict(),
        origin=Origin.ENGINE,
        severity=Severity.MAJOR,
        evidence={RECONCILIATION: said},
        detected_at=now,
    )
    return [opened]


def _from_overdue(late: PromptOverdue, about: Subject, now: datetime, mint: Mint) -> DeviationOpened:
    """A hold time that ran out: what it means for the lot is for quality to say."""
    evidence = {"phase": late.phase, "prompt": str(late.prompt)}
    return open_from_finding(
        mint.fresh(DeviationId),
        late.what,
        **about._asdict(),
        origin=Origin.ENGINE,
        severity=Severity.MAJOR,
        evidence=evidence,
        detected_at=now,
    )
