"""Every kind of fact about a batch in one sentence.

Guarantees: a kind that this version knows has a sentence of its own here (a test lists the
kinds); one that it does not know is still told, with its fields, and is an exception.
Leaves to others: what is put into tables besides (fold, layout).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from isogenic.batches.states import State
from isogenic.plant.classes import CLASSES
from isogenic.quality.executed.model import Exceptional, Part
from isogenic.recipes.model import Then
from isogenic.records import codec
from isogenic.records.facts import Fact, UnknownPayload

__all__ = ["SAYS", "Said", "amount", "minute", "one_line", "say", "signal_title", "signal_unit", "unit_words"]

TEXT_MAX = 2_000  # characters of one sentence; the whole is in the fact
UNITS = {"degC": "°C", "1e6 cell/mL": "×10⁶ cells/mL", "1e6 cell": "×10⁶ cells", "1": "", "pH": "", "1/m^3": "per m³"}
_SIGNALS = {name: signal for cls in CLASSES.values() for name, signal in cls.signals.items()}
_STANDSTILL = frozenset({State.HOLDING, State.HELD, State.STOPPING, State.STOPPED, State.ABORTING, State.ABORTED})


@dataclass(frozen=True, slots=True)
class Said:
    """What a fact says."""

    text: str
    part: Part = Part.STEP
    exception: Exceptional | None = None


def one_line(text: object) -> str:
    """A text of a person on one line, without a sign that a page could take for anything but a sign."""
    said = " ".join("".join(sign if sign.isprintable() else " " for sign in str(text)).split())
    return said if len(said) <= TEXT_MAX else said[: TEXT_MAX - 1] + "…"


def signal_title(name: str) -> str:
    """`feed_flow_sp` -> `Feed flow`."""
    signal = _SIGNALS.get(name.removesuffix("_sp")) or _SIGNALS.get(name)
    return signal.title if signal is not None else name.removesuffix("_sp").replace("_", " ").capitalize()


def signal_unit(name: str) -> str:
    """The unit of a signal, as people write it."""
    signal = _SIGNALS.get(name)
    return unit_words(signal.unit) if signal is not None else ""


def unit_words(unit: str) -> str:
    """`degC` -> `°C`."""
    return UNITS.get(unit, unit)


def amount(value: float, unit: str = "") -> str:
    """A number as people read it: six digits at most, and no exponent where nobody expects one."""
    if value != value or value in (float("inf"), float("-inf")):
        return "not a number"
    shown = f"{float(f'{value:.6g}'):.12g}"
    return f"{shown} {unit_words(unit)}".rstrip()


def minute(at: datetime) -> str:
    """A time to the minute."""
    return f"{at:%Y-%m-%d %H:%M}"


def _names(names: Iterable[object]) -> str:
    return ", ".join(str(each) for each in names)


def _state(f: Any) -> Said:
    command = f" by {f.command}" if f.command else ""
    return Said(f"{f.state}{command}: {f.why}", Part.STATE, Exceptional.STATE if f.state in _STANDSTILL and f.command else None)


def _alarm(f: Any) -> Said:
    then = "" if f.then in ("", Then.ALARM) else f", so {f.then}"
    return Said(f"{f.what}{then}", Part.STEP, Exceptional.ALARM)


def _setpoints(f: Any) -> Said:
    told = ", ".join(f"{signal_title(name)} {amount(value)} {signal_unit(name)}".strip() for name, value in f.setpoints.items())
    return Said(f"set {told}", Part.SETPOINT)


def _dose(f: Any) -> Said:
    return Said(f"{signal_title(f.dose)} {amount(f.amount, f.unit)}, number {f.number}: {f.why}", Part.DOSE)


def _gap(f: Any) -> Said:
    tags = _names(f.tags) or "every signal"
    missing = f"{f.missing} readings of each" if f.missing else "an unknown number of readings"
    return Said(f"{tags}: {missing} missing from {minute(f.first)} to {minute(f.last)} ({f.why})", Part.READINGS, Exceptional.GAP)


def _sealed(f: Any) -> Said:
    return Said(f"block {f.number} sealed: {f.rows} rows from {minute(f.first)} to {minute(f.last)}, SHA-256 {f.digest}", Part.READINGS)


def _result(f: Any) -> Said:
    return Said(f"{f.attribute} of {f.sample}: {f.qualifier} {amount(f.value, f.unit)} by {f.method}".replace(":  ", ": "), Part.SAMPLE)


def _counts(f: Any) -> Said:
    told = ", ".join(f"{signal_title(name).lower()} {amount(value)}" for name, value in sorted(f.counts.items()))
    told += f"; began from nought: {_names(f.restarted)}" if f.restarted else ""
    return Said(f"{f.unit} shows {told}" + (f"; not read: {_names(f.unread)}" if f.unread else ""), Part.COUNTED)


def _prompt_asked(f: Any) -> Said:
    return Said(f"asked {f.prompt}: {f.text}", Part.TOLD)


def _prompt_answered(f: Any) -> Said:
    return Said(f"answer to {f.prompt}: {f.answer}, by {f.by}", Part.TOLD)


def _by(f: Any) -> str:
    """What a person did by hand that the recipe would have done."""
    return f", by hand, by {f.by}" if f.by else ""


def _hand(f: Any) -> Exceptional | None:
    return Exceptional.OVERRIDE if f.by else None


def _service_commanded(f: Any) -> Said:
    given = ", ".join(f"{name.replace('_', ' ')} {amount(value)}" for name, value in f.parameters.items())
    how = f" as {f.procedure}" if f.procedure else ""
    return Said(f"{f.service} of {f.unit}: {f.command}{how}{f' with {given}' if given else ''}; {f.why}", Part.SERVICE)


def _service_seen(f: Any) -> Said:
    return Said(f"{f.service} of {f.unit} is {f.state or f'in a state that does not exist ({amount(f.code)})'}", Part.SERVICE)


def _formula(f: Any) -> Said:
    told = f"{f.parameter.replace('_', ' ')} changed from {amount(f.was, f.unit)} to {amount(f.now, f.unit)} by {f.by}: {f.why}"
    return Said(told, Part.BATCH, Exceptional.FORMULA)


def _entered(f: Any) -> Said:
    return Said(f"{f.parameter.replace('_', ' ')} entered as {amount(f.now, f.unit)} by {f.by}, it was {amount(f.was, f.unit)}", Part.STEP)


def _installed(f: Any) -> Said:
    patient = f", for {f.patient}" if f.patient else ""
    return Said(f"{f.item} number {f.serial} of receipt {f.receipt} installed at {f.position} of {f.unit} by {f.by}{patient}", Part.MATERIAL)


def _line_step(f: Any) -> Said:
    result = f", {amount(f.value, f.unit_of_value)}" if f.value is not None else ""
    ticked = f", {len(f.ticked)} points ticked" if f.ticked else ""
    evidence = f", evidence {f.evidence}" if f.evidence else ""
    return Said(f"changeover of {f.unit}: {f.step} done by {f.by}{ticked}{result}{evidence}", Part.LINE)


def _drifted(f: Any) -> Said:
    return Said(f"{f.setting} of {f.module} on {f.unit} was {f.found}, released is {f.released}", Part.BATCH, Exceptional.DRIFT)


# By name, so that this room states in one place which facts it can tell; the test of completeness compares it with all that are registered.
SAYS: Mapping[str, Callable[[Any], Said]] = {
    "batch.started": lambda f: Said(f"started on {f.unit} with {f.recipe} version {f.version}", Part.BATCH),
    "batch.phase_started": lambda f: Said(f"{f.phase} began, run {f.run}{_by(f)}{f': {f.why}' if f.why else ''}", Part.TOLD, _hand(f)),
    "batch.phase_completed": lambda f: Said(f"{f.phase} ended{_by(f)}: {f.why}", Part.TOLD, _hand(f)),
    "batch.branch_chosen": lambda f: Said(f"{f.place}: way {f.way + 1} was taken{_by(f)}: {f.why}", Part.BATCH, _hand(f)),
    "batch.round_ended": lambda f: Said(
        f"{f.place}: round {f.round} is over, {'another follows' if f.again else 'none follows'}{_by(f)}: {f.why}", Part.BATCH, _hand(f)
    ),
    "batch.mode_changed": lambda f: Said(f"{f.was} to {f.mode} by {f.by}: {f.why}", Part.BATCH, Exceptional.MODE),
    "batch.transition_reached": lambda f: Said(f"{f.place}, run {f.run}: waits for a person: {f.why}", Part.BATCH),
    "batch.transition_confirmed": lambda f: Said(f"{f.place}, run {f.run}: let on by {f.by}{f': {f.why}' if f.why else ''}", Part.BATCH),
    "batch.unit_asked": lambda f: Said(f"needs a {f.equipment_class.replace('_', ' ')} as {f.role}, number {f.number} in the line", Part.BATCH),
    "batch.unit_allocated": lambda f: Said(f"{f.unit} was given to it as {f.role}", Part.BATCH),
    "batch.unit_released": lambda f: Said(f"{f.unit} is not needed any more as {f.role}", Part.BATCH),
    "batch.parameter_entered": _entered,
    "batch.formula_changed": _formula,
    "batch.sample_due": lambda f: Said(f"sampling point {f.sample} reached: {f.what}", Part.STEP),
    "batch.result_noted": lambda f: Said(f"{f.attribute} of {f.sample} is {amount(f.value, f.unit)}: the batch may steer by it", Part.SAMPLE),
    "batch.service_commanded": _service_commanded,
    "batch.service_state_seen": _service_seen,
    "batch.service_refused": lambda f: Said(f"{f.service} of {f.unit} did not take order {f.number}: {f.why}", Part.SERVICE, Exceptional.REFUSED),
    "batch.exception_began": lambda f: Said(f"{f.name}: {f.why}", Part.STEP, Exceptional.ALARM),
    "batch.exception_ended": lambda f: Said(f"{f.name} is over", Part.STEP),
    "plant.batch_drifted": _drifted,
    "plant.batch_drift_ended": lambda f: Said(f"{f.setting} of {f.module} on {f.unit} is as released again", Part.BATCH),
    "materials.assembly_installed": _installed,
    "materials.assembly_removed": lambda f: Said(f"{f.piece} taken off {f.unit} by {f.by}: {f.why}", Part.MATERIAL),
    "materials.line_assigned": lambda f: Said(f"changeover {f.change} of {f.unit} began for {f.lot} of {f.product}, by {f.by}", Part.LINE),
    "materials.line_step_done": _line_step,
    "materials.line_taken": lambda f: Said(f"{f.unit} taken by {f.taken_by} for {f.lot}", Part.LINE),
    "materials.line_left": lambda f: Said(f"{f.unit} left by {f.left_by}", Part.LINE),
    "sites.module_lost": lambda f: Said(f"{f.module} of {f.unit} does not answer: {f.why}", Part.BATCH, Exceptional.SIGNAL),
    "sites.module_restored": lambda f: Said(f"{f.module} of {f.unit} answers again", Part.BATCH),
    "sites.setpoint_refused": lambda f: Said(f"{f.tag} was not taken: {f.why}", Part.BATCH, Exceptional.REFUSED),
    "network.claim_refused": lambda f: Said(
        f"{f.site} claimed it a second time in {f.ledger}: it stays with {f.held_by}", Part.DECISION, Exceptional.RECORD
    ),
    "batch.state_changed": _state,
    "batch.prompt_asked": _prompt_asked,
    "batch.prompt_answered": _prompt_answered,
    "batch.answer_corrected": lambda f: Said(
        f"answer to {f.prompt} {f'corrected to {f.answer}' if f.answer else 'taken back'}, by {f.by}; it was {f.was}. {f.why}",
        Part.TOLD,
        Exceptional.CORRECTION,
    ),
    "batch.prompt_witnessed": lambda f: Said(f"answer to {f.prompt} witnessed by {f.by}", Part.TOLD),
    "batch.witness_declined": lambda f: Said(f"{f.by} did not find the answer to {f.prompt} so: {f.why}", Part.TOLD, Exceptional.REFUSED),
    "batch.scan_refused": lambda f: Said(
        f"{f.scanned} ({f.entered}) refused for {f.prompt}, by {f.by}: {'; '.join(f.why)}", Part.STEP, Exceptional.REFUSED
    ),
    "batch.prompt_overdue": lambda f: Said(f.what, Part.STEP, Exceptional.LATE),
    "batch.setpoints_commanded": _setpoints,
    "batch.dose_commanded": _dose,
    "batch.dose_not_needed": lambda f: Said(f"{signal_title(f.dose)} not needed: {f.why}", Part.DOSE),
    "batch.total_restarted": lambda f: Said(f"{signal_title(f.signal)} counts from {amount(f.total)} again", Part.DOSE, Exceptional.SIGNAL),
    "batch.signal_lost": lambda f: Said(f"{signal_title(f.signal)} is not good", Part.STEP, Exceptional.SIGNAL),
    "batch.signal_returned": lambda f: Said(f"{signal_title(f.signal)} is good again"),
    "batch.alarm_raised": _alarm,
    "batch.clock_corrected": lambda f: Said(
        f"the clock stepped by {amount(f.by_s)} s: times from here on are by the new clock", Part.BATCH, Exceptional.CLOCK
    ),
    "batch.manifest_noted": lambda f: Said(
        f"the site lists its record: {f.facts} facts, {len(f.blocks)} blocks with {f.rows} rows, {len(f.samples)} samples, "
        f"{f.answered} of {f.asked} questions answered, {f.deviations} deviations",
        Part.BATCH,
    ),
    "batch.counts_noted": _counts,
    "batch.labels_issued": lambda f: Said(f"labels {f.first} to {f.last} of {f.lot} issued by {f.by}", Part.COUNTED),
    "batch.labels_accounted": lambda f: Said(
        f"{'label' if len(f.numbers) == 1 else 'labels'} {_names(f.numbers)} {f.fate}, by {f.by}{f': {f.why}' if f.why else ''}", Part.COUNTED
    ),
    "batch.closed": lambda f: Said(f"closed as {f.outcome} with {f.facts} facts", Part.BATCH),
    "monitoring.started": lambda f: Said(f"watched by reference model {f.model}, SHA-256 {f.digest}", Part.BATCH),
    "monitoring.refused": lambda f: Said(f"runs unwatched: {f.model} may not judge it: {f.why}", Part.BATCH, Exceptional.REFUSED),
    "monitoring.ended": lambda f: Said(f"watch ended: {f.judged} scans judged, {f.not_judged} not judged, {f.alarms} alarms", Part.BATCH),
    "lot.created": lambda f: Said(f"{f.lot} of {f.product} created, in quarantine", Part.BATCH),
    "materials.used": lambda f: Said(f"{f.material}: lot {f.used_lot}", Part.MATERIAL),
    "laboratory.sample_drawn": lambda f: Said(f"{f.sample} drawn: {f.what}", Part.SAMPLE),
    "laboratory.result_reported": _result,
    "records.readings_sealed": _sealed,
    "records.readings_gap": _gap,
    "quality.deviation_opened": lambda f: Said(f"{f.deviation} ({f.severity}): {f.statement}", Part.DECISION, Exceptional.DEVIATION),
    "quality.deviation_disposed": lambda f: Said(f"{f.deviation} disposed of: {f.disposition}. {f.justification}", Part.DECISION),
    "quality.trail_reviewed": lambda f: Said(
        f"audit trail reviewed, {f.lines} lines from {f.start} to {f.stop}: {f.remark or 'no remark'}", Part.DECISION
    ),
    "quality.lot_released": lambda f: Said(f"{f.lot} released on {f.record_size} facts, root {f.record_root}", Part.DECISION),
    "quality.lot_rejected": lambda f: Said(f"{f.lot} rejected: {f.reason}", Part.DECISION),
    "quality.release_refused": lambda f: Said(
        f"release of {f.lot} refused, asked for by {f.asked_by}: {'; '.join(f.reasons)}", Part.DECISION, Exceptional.REFUSED
    ),
    "authority.safe_completion_begun": lambda f: Said(
        f"the permission to make it ended ({f.cause}, licence {f.licence}): {f.rule} from here on"
        f"{f', handed over to {f.hand_over_to}' if f.hand_over_to else ''}. {f.why}",
        Part.BATCH,
        Exceptional.STATE,
    ),
    "sites.batch_refused": lambda f: Said(
        f"start on {f.unit} refused, asked for by {f.asked_by}: {'; '.join(f.reasons)}", Part.BATCH, Exceptional.REFUSED
    ),
}


def say(fact: Fact) -> Said:
    """The sentence of a fact. A kind without one is told by its fields; a kind that is not known is an exception."""
    if isinstance(fact.payload, UnknownPayload):
        told = f"{fact.payload.kind} version {fact.payload.version}, not known to this version: {_fields(fact.payload.body)}"
        return Said(one_line(told), Part.BATCH, Exceptional.RECORD)
    tell = SAYS.get(fact.kind)
    said = tell(fact.payload) if tell is not None else Said(f"{fact.kind}: {_fields(fact.body())}", Part.BATCH)
    return Said(one_line(said.text), said.part, said.exception)


def _fields(body: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value if isinstance(value, str) else codec.dumps(value).decode()}" for name, value in body.items())
