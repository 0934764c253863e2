"""People's steps at a site, decided: answers, scans, witnesses, corrections.

    look_at_scan     what a label says, and everything that stands against it here
    answer_prompt    the answer, and what it means for the lot's genealogy; or a refused scan, on record
    witness_answer   a second person signs the same, or declines
    correct_answer   a new answer that names the old one
    withdraw_answer  it was not done after all

Guarantees: whoever answers or witnesses is competent on the day, by signed grants that this site holds, link or no
link, and a refusal says who could do it instead; a wrong label is recorded as an attempt and does not
do the step; genealogy follows an answer only once it counts.
Leaves to others: noting (node), proving who signs (web), what a label's text says (materials).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from isogenic.authority.people import Person
from isogenic.authority.permission import check_is_trained, may_be_set
from isogenic.authority.rules import Act, may, require, roles_that_may
from isogenic.authority.signatures import MEANINGS, Pen, sign
from isogenic.batches import prompts
from isogenic.batches.facts import Entered, PromptAnswered, PromptAsked, ScanRefused
from isogenic.batches.prompts import Signs
from isogenic.batches.state import BatchState
from isogenic.batches.talk import Said, in_force
from isogenic.checks import Note, Severity, stops
from isogenic.clock import Moment
from isogenic.errors import NotAllowed, NotFound, NotValid, Refusal
from isogenic.ids import BatchId, PersonId, PromptId
from isogenic.materials.labels import Expects, Label, LabelKind, read_label
from isogenic.materials.lots import use
from isogenic.recipes.model import Answer, ControlRecipe
from isogenic.recipes.publishing import master_recipe
from isogenic.recipes.scaling import scaled
from isogenic.records.facts import Payload
from isogenic.records.notes import Signer
from isogenic.sites.materials import check_material_scan, check_typed_lot, patient_of, received_as, used_by
from isogenic.sites.standing import standing_of
from isogenic.sites.state import SiteState
from isogenic.sites.strangers import for_sponsor, names_strangers
from isogenic.units import Quantity

__all__ = [
    "Scan",
    "answer_prompt",
    "batch_here",
    "check_competence",
    "check_value_is_on_file",
    "correct_answer",
    "look_at_scan",
    "who_else",
    "withdraw_answer",
    "witness_answer",
]

LOT_PROMPT = "-LOT"  # how the id of a prompt that asks for a material's lot ends
WHO_ELSE_MAX = 5


def batch_here(state: SiteState, batch: BatchId) -> BatchState:
    """A batch of this site, or a refusal."""
    if batch not in state.batches:
        running = ", ".join(each.control.batch for each in state.running()) or "none is running"
        raise NotFound(f"no batch {batch} at {state.site}", why="no fact of this site names it", possible=running)
    return state.batches[batch]


def check_pictures_are_here(control: ControlRecipe | None, missing: Collection[str]) -> list[Note]:
    """Every picture that the batch will show is on this site's disk: it may have no link by then."""
    parts = control.unit_procedures if control is not None else ()
    asked = [prompt for part in parts for phase in part.phases for prompt in phase.prompts if prompt.how.picture in missing]
    text = "the picture of {} has not arrived at this site yet"
    return [Note("check_pictures_are_here", Severity.STOP, text.format(each.name), "process engineer") for each in asked]


# ---- competence ---------------------------------------------------------------------------------------


def check_competence(state: SiteState, person: Person, asked: PromptAsked, *, now: datetime) -> list[Note]:
    """Whoever answers or witnesses can do what the question needs, on the day (21 CFR 211.25(a))."""
    if not asked.how.competence or state.directory is None:  # without a directory nobody gets as far as here
        return []
    time = state.permission.span(Moment(now))  # as the gate: a clock that is set back revives no competence
    return check_is_trained(person.id, [asked.how.competence], held=state.competences, directory=state.directory, time=time)


def who_else(state: SiteState, act: Act, asked: PromptAsked, *, now: datetime, but: PersonId) -> list[str]:
    """People of this site who may do it, and are competent for it now."""
    if state.directory is None:
        return []
    return [
        f"{each.printed_name} ({each.id})"
        for each in state.directory.people.values()
        if each.id != but and not stops(may(each, act, site=state.site)) and not stops(check_competence(state, each, asked, now=now))
    ]


def _require_competence(state: SiteState, person: Person, act: Act, asked: PromptAsked, *, now: datetime, but: PersonId) -> None:
    against = stops(check_competence(state, person, asked, now=now))
    if against:
        others = [each for each in who_else(state, act, asked, now=now, but=person.id) if f"({but})" not in each]
        possible = f"ask {' or '.join(others[:WHO_ELSE_MAX])}" if others else "nobody on file here can now: quality grants the competence"
        raise NotAllowed(f"{person.id} cannot {act.words} {asked.prompt}", why="; ".join(note.text for note in against), possible=possible)


# ---- scans --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scan:
    """A label that was scanned, and what stands against it here."""

    label: Label | None
    notes: list[Note]

    @property
    def against(self) -> tuple[str, ...]:
        """Every reason why it does not do the step."""
        return tuple(note.text for note in stops(self.notes))


def look_at_scan(state: SiteState, batch: BatchState, asked: PromptAsked, text: str, *, now: datetime) -> Scan:
    """What a label says, and every reason that speaks against it here."""
    try:
        label = read_label(text)
    except Refusal as refusal:
        return Scan(None, [Note("read_label", Severity.STOP, f"it cannot be read: {refusal.why or refusal.what}", "operator")])
    expects = Expects(asked.how.expects)
    wrong = [
        *_of_another_kind(label, expects),
        *_expired(label, state.permission.latest(now)),
        *_of_somebody_else(state, batch, label),
        *_elsewhere(state, batch, asked, label, expects),
        *_used(state, batch, asked, label),
        *(note.text for note in check_material_scan(state, batch, label, expects, material=asked.how.material, now=now, phase=asked.phase)),
    ]
    stop = [Note("check_scan", Severity.STOP, for_sponsor(state, text, batch.sponsor), "operator") for text in wrong]
    return Scan(label, stop or [Note("check_scan", Severity.GOOD, label.words)])


def _refused(state: SiteState, batch: BatchState, prompt: PromptId, scan: Scan, text: str, *, entered: Entered, by: PersonId) -> ScanRefused:
    """The attempt. What is no label is not repeated: it may be a name, and a ledger keeps it for ever (I5); nor is another sponsor's (I7)."""
    shown = prompts.one_line(text) if scan.label is not None else f"not a label, {len(text)} characters"
    if names_strangers(state, shown, batch.sponsor):
        shown = f"a label of another sponsor, {len(text)} characters"
    return ScanRefused(batch.batch, prompt, shown, entered, scan.against, by)


def _of_another_kind(label: Label, expects: Expects) -> Iterator[str]:
    if not expects.takes(label.kind):
        yield f"it is the label of a {label.kind}, a {expects} is asked for"


def _expired(label: Label, now: datetime) -> Iterator[str]:
    if label.expires is not None and now >= label.expires:
        yield f"{label.kind} {label.id} expired at {label.expires:%Y-%m-%d %H:%M} UTC"


def _of_somebody_else(state: SiteState, batch: BatchState, label: Label) -> Iterator[str]:
    """One patient's material never joins another's batch (I5): the first patient that a batch names is its patient."""
    if label.batch is not None and label.batch != batch.batch:
        yield f"it is of {label.batch}, this is {batch.batch}"
    known = patient_of(state, batch.lot) or next((other.patient for other in _labels(batch) if other.patient is not None), None)
    if label.patient is not None and known is not None and label.patient != known:
        yield "it is another patient's"


def _elsewhere(state: SiteState, batch: BatchState, asked: PromptAsked, label: Label, expects: Expects) -> Iterator[str]:
    unit = batch.unit_of(asked.phase)
    if label.kind is LabelKind.LINE and label.id != unit:
        yield f"it is the label of {label.id}, this step is on {unit}"
    drawn = next((each for name, each in state.samples.items() if str(name) == label.id), None)
    if expects is Expects.SAMPLE and drawn is not None and drawn.batch != batch.batch:
        yield f"sample {label.id} is of {drawn.batch}"


def _used(state: SiteState, batch: BatchState, asked: PromptAsked, label: Label) -> Iterator[str]:
    """What has a serial number goes into one batch, at one step."""
    if not label.serial:
        return
    for other in state.batches.values():
        for prompt, each in _scanned(other):
            if each.serial == label.serial and each.item == label.item and (other.batch, prompt) != (batch.batch, asked.prompt):
                yield f"{label.kind} {label.id} is used already, in {other.batch}"
                return


def _labels(batch: BatchState) -> Iterator[Label]:
    for _, label in _scanned(batch):
        yield label


def _scanned(batch: BatchState) -> Iterator[tuple[PromptId, Label]]:
    """The labels behind the answers of a batch, those that wait for a witness included."""
    for said in (*batch.talk.newest.values(), *batch.talk.given.values()):
        if said.scanned and batch.asked[said.prompt].kind is Answer.SCAN:
            yield said.prompt, read_label(said.scanned)


# ---- answers ------------------------------------------------------------------------------------------


def _signs(person: Person, act: Act, pen: Signer | Pen | None, now: datetime) -> Signs | None:
    if pen is None:
        return None
    role = next((role for role in roles_that_may(act) if role in person.roles), person.roles[0])
    return lambda digest: sign(pen, person, role=role, meaning=MEANINGS[act], at=now, digest=digest)


def answer_prompt(
    state: SiteState,
    person: Person,
    *,
    batch: BatchId,
    prompt: PromptId,
    answer: str,
    entered: Entered = Entered.TYPED,
    now: datetime | None = None,
    pen: Signer | Pen | None = None,
    look_only: bool = False,
) -> list[Payload]:
    """An answer to an open question of a batch, within its limits. A wrong label gives one `ScanRefused`, which does not do the step.

    `look_only`: everything is checked, and nothing follows but a refused scan: before somebody signs.
    """
    asking = batch_here(state, batch)
    now = now or asking.at
    require(person, Act.ANSWER_PROMPT, site=state.site)
    asked = prompts.question(asking, prompt)
    _require_competence(state, person, Act.ANSWER_PROMPT, asked, now=now, but=person.id)
    said, scanned = answer, ""
    if asked.kind is Answer.SCAN:
        prompts.check_answer(asking, prompt, "label", now=now)  # that it is open, and in time: before a label counts as wrong
        scan = look_at_scan(state, asking, asked, answer, now=now)
        if scan.label is None or scan.against:
            return [_refused(state, asking, prompt, scan, answer, entered=entered, by=person.id)]
        said, scanned = scan.label.id, answer
    _require_received(state, asking, asked, said, now)
    _require_on_file(state, asking, asked, said, now)
    if look_only:
        prompts.check_answer(asking, prompt, said, now=now)
        return []
    noted = prompts.answer(
        asking, prompt, said, by=person.id, entered=entered, scanned=scanned, now=now, signs=_signs(person, Act.ANSWER_PROMPT, pen, now)
    )
    return [*noted, *([] if asked.how.witness else _material(state, asking, asked, noted[0], now))]


def witness_answer(
    state: SiteState, person: Person, *, batch: BatchId, prompt: PromptId, now: datetime, pen: Signer | Pen | None, declined: str = ""
) -> list[Payload]:
    """A second person signs that it is so; with `declined`, the reason, says that it is not."""
    asking = batch_here(state, batch)
    require(person, Act.WITNESS_ANSWER, site=state.site)
    asked = prompts.question(asking, prompt)
    given = asking.talk.given.get(prompt)
    if declined:
        return prompts.decline(asking, prompt, by=person.id, why=declined)
    _require_competence(state, person, Act.WITNESS_ANSWER, asked, now=now, but=given.by if given else person.id)
    witnessed = prompts.witness(asking, prompt, by=person.id, signs=_signs(person, Act.WITNESS_ANSWER, pen, now))
    return [*witnessed, *(_material(state, asking, asked, given, now) if given else [])]


def correct_answer(
    state: SiteState,
    person: Person,
    *,
    batch: BatchId,
    prompt: PromptId,
    answer: str,
    why: str,
    now: datetime,
    pen: Signer | Pen | None,
    entered: Entered = Entered.TYPED,
) -> list[Payload]:
    """A new fact that names the old answer; a label is looked at as at first."""
    asking = batch_here(state, batch)
    require(person, Act.CORRECT_ANSWER, site=state.site)
    asked = prompts.question(asking, prompt)
    _require_competence(state, person, Act.CORRECT_ANSWER, asked, now=now, but=person.id)
    said, scanned = answer, ""
    if asked.kind is Answer.SCAN:
        scan = look_at_scan(state, asking, asked, answer, now=now)
        if scan.label is None or scan.against:
            return [_refused(state, asking, prompt, scan, answer, entered=entered, by=person.id)]
        said, scanned = scan.label.id, answer
    _require_received(state, asking, asked, said, now)
    _require_on_file(state, asking, asked, said, now)
    signs = _signs(person, Act.CORRECT_ANSWER, pen, now)
    noted = prompts.correct(asking, prompt, said, why=why, by=person.id, signs=signs, entered=entered, scanned=scanned)
    return [*noted, *([] if asked.how.witness else _material(state, asking, asked, noted[0], now))]


def withdraw_answer(
    state: SiteState, person: Person, *, batch: BatchId, prompt: PromptId, why: str, now: datetime, pen: Signer | Pen | None
) -> list[Payload]:
    """It was not done after all: the question is open again."""
    asking = batch_here(state, batch)
    require(person, Act.CORRECT_ANSWER, site=state.site)
    return prompts.withdraw(asking, prompt, why=why, by=person.id, signs=_signs(person, Act.CORRECT_ANSWER, pen, now))


def check_value_is_on_file(state: SiteState, batch: BatchState, parameter: str, value: Quantity, *, now: datetime) -> list[Note]:
    """A value that a person gives a running batch stays in the range of the master file, as the gate asks at its start (I2)."""
    publication = state.published.get((batch.control.recipe, batch.control.version))
    if publication is None or state.directory is None:
        return []
    unit, formula = state.plant.unit(batch.control.unit), master_recipe(publication, plant=state.plant).formula
    rule = formula.get(parameter)
    if rule is None:
        return []

    def on_unit(limit: Quantity) -> Quantity:
        return scaled(replace(rule, value=limit.to(rule.value.unit)), unit, formula=formula)

    return may_be_set(standing_of(state, publication, unit=unit.id, now=Moment(now)), parameter, value, on_unit=on_unit)


def _require_on_file(state: SiteState, batch: BatchState, asked: PromptAsked, said: str, now: datetime) -> None:
    """The same for the value of a parameter that a phase asks for."""
    parameter = prompts.parameter_of(batch, asked)
    if parameter is None:
        return
    one = next(each for each in batch.control.parameters if each.name == parameter)
    try:
        value = Quantity(float(said), one.unit)
    except (ValueError, NotValid):  # that it is no number is said with the other limits
        return
    against = stops(check_value_is_on_file(state, batch, parameter, value, now=now))
    if against:
        raise NotAllowed(f"cannot take {said[:40]!r} for {asked.prompt}", why="; ".join(note.text for note in against))


def _require_received(state: SiteState, batch: BatchState, asked: PromptAsked, said: str, now: datetime) -> None:
    """A lot number that was typed is that of a lot that may be used, where stock is kept."""
    if asked.kind is Answer.SCAN or not asked.prompt.rpartition("-")[0].endswith(LOT_PROMPT):
        return
    against = stops(check_typed_lot(state, batch, said, now=now))
    if against:
        raise NotAllowed(f"cannot take {said[:40]!r} for {asked.prompt}", why="; ".join(note.text for note in against), possible="use a released lot")


def _material(state: SiteState, batch: BatchState, asked: PromptAsked, said: Said, now: datetime) -> list[Payload]:
    """Which lot went in: by a scan of a material, or by a prompt called `medium_lot`. A corrected lot joins the genealogy; the wrong one stays."""
    answered: PromptAnswered = in_force(said)
    name, _, _run = asked.prompt.rpartition("-")
    if asked.kind is Answer.SCAN and asked.how.expects == Expects.MATERIAL:
        label = read_label(answered.scanned)
        return [use(batch.lot, batch=batch.batch, material=asked.how.material or name.lower(), used_lot=received_as(state, batch, label, now=now))]
    if not name.endswith(LOT_PROMPT):
        return []
    return [use(batch.lot, batch=batch.batch, material=name.removesuffix(LOT_PROMPT).lower(), used_lot=used_by(state, answered.answer))]
