"""What people ask of a site, decided: may they, and which facts follow.

Each function is pure: state and request in, payloads out, or a refusal with every reason.
The node notes the payloads with the person as actor.
"""

from __future__ import annotations

from collections.abc import Collection

from isogenic.authority.gate import RecipeAtSite, UnitAtSite, may_start
from isogenic.authority.people import Person
from isogenic.authority.permission import may_be_made
from isogenic.authority.rules import Act, require
from isogenic.batches import engine
from isogenic.batches.commands import note_result
from isogenic.batches.states import Command
from isogenic.checks import Note, Severity, stops
from isogenic.clock import Moment
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import BatchId, IdentityCode, LotId, Mint, PersonId, RecipeId, SampleId, UnitId
from isogenic.laboratory.results import draw, report
from isogenic.materials.changeover import Occupant
from isogenic.materials.lots import LotCreated
from isogenic.recipes.publishing import control_recipe, recipe_digest
from isogenic.records.facts import Payload
from isogenic.sites.answering import answer_prompt, batch_here, check_pictures_are_here, correct_answer, withdraw_answer, witness_answer
from isogenic.sites.arbitration import check_nobody_waits_for_it
from isogenic.sites.audiences import check_works_for
from isogenic.sites.drift import check_runs_what_is_released
from isogenic.sites.facts import BatchRefused
from isogenic.sites.materials import check_materials_allow, product_of, start_on_line
from isogenic.sites.safe_completion import check_may_restart
from isogenic.sites.standing import standing_of
from isogenic.sites.state import SiteState
from isogenic.sites.strangers import is_strangers_lot, notes_for_sponsor

__all__ = ["answer_prompt", "command_batch", "correct_answer", "person_here", "report_result", "start_batch", "withdraw_answer", "witness_answer"]


def person_here(state: SiteState, person: PersonId) -> Person:
    """The person on file, or a refusal: a site that has not yet heard who is who trusts nobody."""
    if state.directory is None:
        raise NotAllowed(f"{person} cannot act at {state.site}", why="the directory of people has not reached this site yet")
    return state.directory.person(person)


def check_there_is_room(state: SiteState) -> list[Note]:
    """A batch that cannot be recorded is not begun."""
    if not state.disk_full:
        return []
    return [Note("check_there_is_room", Severity.STOP, f"the disk of {state.site} is full: what a batch notes may not fit", owner="site engineer")]


def start_batch(
    state: SiteState,
    person: Person,
    *,
    recipe: RecipeId,
    version: int,
    unit: UnitId,
    lot: LotId,
    mint: Mint,
    now: Moment,
    patient: IdentityCode | None = None,
    missing_pictures: Collection[str] = (),
) -> tuple[list[Payload], list[Note]]:
    """The gate (I2), then the batch: its facts, or one `BatchRefused`, and every note of every check."""
    asked = state.plant.unit(unit)
    publication = state.published.get((recipe, version))
    if publication is None or state.directory is None:
        known = ", ".join(f"{name} version {number}" for name, number in sorted(state.published)) or "none has been published"
        raise NotFound(f"no recipe {recipe} version {version} at {state.site}", why="it has not been published to this site", possible=known)
    sponsor = check_works_for(publication, state.plant)
    if is_strangers_lot(state, lot, sponsor):  # before anything is noted in this sponsor's ledger (I7)
        raise NotValid("cannot start this lot", why="another batch has that lot number", possible="use a new lot number")
    if lot in state.lots:
        raise NotValid(f"cannot start {lot}", why=f"{state.lots[lot].batch} yields that lot already", possible="use a new lot number")
    accepted = state.accepted.get((recipe, version))
    newest = max(number for name, number in state.published if name == recipe)
    batch = mint.fresh(BatchId)
    control, misfits = control_recipe(publication, plant=state.plant, unit=unit, batch=batch, lot=lot)
    holder = state.on_unit(unit)
    notes = may_start(
        person,
        site=state.site,
        recipe=RecipeAtSite(
            recipe=recipe,
            version=version,
            digest=recipe_digest(publication),
            published_digest=publication.digest,
            effective=version == newest,
            accepted=accepted is not None and accepted.digest == publication.digest,
            approvals=publication.approvals,
        ),
        unit=UnitAtSite(unit, occupied_by=holder.control.batch if holder else "", misfits=tuple(note.text for note in stops(misfits))),
        directory=state.directory,
    )
    notes += may_be_made(standing_of(state, publication, unit=unit, now=now), person=person.id)
    notes += check_there_is_room(state)
    notes += check_pictures_are_here(control, missing_pictures)
    notes += check_nobody_waits_for_it(state, unit)
    notes += check_runs_what_is_released(state, unit)
    occupant = Occupant(lot, product_of(publication.text), sponsor, patient)
    if holder is None:  # else it is said already that the unit is taken
        notes += check_materials_allow(state, unit, occupant, now=now)
    notes = notes_for_sponsor(state, notes, sponsor)
    against = stops(notes)
    if against or control is None:
        reasons = tuple(note.text for note in against)
        return [BatchRefused(lot, recipe, unit, person.id, reasons)], notes
    created = LotCreated(lot=lot, product=control.product, batch=batch, site=state.site, patient=patient)
    begun = engine.begin(control, sponsor=sponsor, recipe_digest=publication.digest, by=person.id)
    taken = start_on_line(state, unit, occupant, batch=batch)
    return [created, *begun, *taken], [*notes, Note("start_batch", notes[0].severity, f"{batch} started on {asked.id}")]


def command_batch(state: SiteState, person: Person, *, batch: BatchId, command: Command, why: str, now: Moment | None = None) -> list[Payload]:
    """A command of the ISA-88 state table, with the person's reason."""
    asked = batch_here(state, batch)
    require(person, Act.COMMAND_BATCH, site=state.site)
    if not why.strip():
        raise NotValid(f"cannot {command} {batch}", why="a command by a person needs a reason", possible="say why")
    against = stops(check_may_restart(state, batch, now)) if command is Command.RESTART and now is not None else []
    if against:
        raise NotAllowed(f"cannot {command} {batch}", why="; ".join(note.text for note in against), possible="stop, abort; the control site decides")
    return engine.command(asked, command, why=why.strip())


def report_result(
    state: SiteState, person: Person, *, sample: SampleId, lot: LotId, attribute: str, value: float, unit: str, method: str, qualifier: str = ""
) -> list[Payload]:
    """A laboratory result for a lot of this site; the sample is noted with its first result."""
    require(person, Act.REPORT_RESULT, site=state.site)
    created = state.lots.get(lot)
    if created is None:
        raise NotFound(f"no lot {lot} at {state.site}", why="no batch of this site yields it", possible=", ".join(state.lots) or "none yet")
    specification = state.specifications.get(created.product)
    if specification is None:
        raise NotAllowed(f"cannot report {attribute[:40]} of {lot}", why=f"no specification of {created.product} has reached this site yet")
    drawn = state.samples.get(sample) or draw(sample, batch=created.batch, lot=lot, what="harvest")
    if drawn.lot != lot:
        raise NotValid(f"cannot report {attribute[:40]} of {lot}", why=f"sample {sample} was drawn from {drawn.lot}")
    result = report(
        drawn,
        attribute,
        value=value,
        unit=unit,
        method=method,
        qualifier=qualifier,
        expected_unit=specification.attribute(attribute).unit,
        already=[each for each in state.results if each.sample == sample],
    )
    running = state.batches.get(created.batch)
    noted = note_result(running, sample, attribute, result.value, unit=result.unit) if running is not None and not qualifier else []
    return [*([] if sample in state.samples else [drawn]), result, *noted]
