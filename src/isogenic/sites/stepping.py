"""What people do to a running batch beside commands and answers, decided: modes, transitions, steps by hand, parameters.

    change_mode       who may run the batch how
    confirm           semi-automatic: let what was reached happen
    start_phase, complete_phase, choose, end_round     manual
    enter_parameter   the value that a phase asks for
    change_formula    another value in the running batch, by signature

Guarantees: pure; the person is asked for the right first; a refusal changes nothing.
Leaves to others: what a batch allows (batches.commands), noting (node), proving who signs (web).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from isogenic.authority.people import Person
from isogenic.authority.rules import Act, require, roles_that_may
from isogenic.authority.signatures import MEANINGS, Pen, sign
from isogenic.batches import commands
from isogenic.batches.facts import Mode
from isogenic.batches.prompts import ENTERED, prompt_id
from isogenic.batches.state import BatchState
from isogenic.checks import stops
from isogenic.errors import NotAllowed
from isogenic.ids import BatchId
from isogenic.records.facts import Payload
from isogenic.records.notes import Signer
from isogenic.records.signatures import Signature
from isogenic.sites.answering import answer_prompt, batch_here, check_value_is_on_file
from isogenic.sites.state import SiteState
from isogenic.units import Quantity

__all__ = ["change_formula", "change_mode", "choose", "complete_phase", "confirm", "end_round", "enter_parameter", "start_phase"]


def _stepped(state: SiteState, person: Person, batch: BatchId) -> BatchState:
    asked = batch_here(state, batch)
    require(person, Act.STEP_BATCH, site=state.site)
    return asked


def change_mode(state: SiteState, person: Person, *, batch: BatchId, mode: Mode, why: str) -> list[Payload]:
    """Another mode from here on."""
    asked = batch_here(state, batch)
    require(person, Act.CHANGE_MODE, site=state.site)
    return commands.change_mode(asked, mode, why=why, by=person.id)


def confirm(state: SiteState, person: Person, *, batch: BatchId, place: str, why: str) -> list[Payload]:
    """Let a transition happen."""
    return commands.confirm(_stepped(state, person, batch), place, why=why, by=person.id)


def start_phase(state: SiteState, person: Person, *, batch: BatchId, phase: str, why: str) -> list[Payload]:
    """Begin a phase by hand."""
    return commands.start_phase(_stepped(state, person, batch), phase, why=why, by=person.id)


def complete_phase(state: SiteState, person: Person, *, batch: BatchId, phase: str, why: str) -> list[Payload]:
    """End a phase by hand."""
    return commands.complete_phase(_stepped(state, person, batch), phase, why=why, by=person.id)


def choose(state: SiteState, person: Person, *, batch: BatchId, place: str, way: int, why: str) -> list[Payload]:
    """Take a way by hand."""
    return commands.choose(_stepped(state, person, batch), place, way, why=why, by=person.id)


def end_round(state: SiteState, person: Person, *, batch: BatchId, place: str, again: bool, why: str) -> list[Payload]:
    """Judge a round by hand."""
    return commands.end_round(_stepped(state, person, batch), place, again=again, why=why, by=person.id)


def enter_parameter(state: SiteState, person: Person, *, batch: BatchId, parameter: str, value: str, now: datetime) -> list[Payload]:
    """The value that a running phase asks for: an answer to its question, within the limits of the parameter."""
    asked = batch_here(state, batch)
    entering = [name for name in asked.active if any(each.parameter == parameter for each in asked.phases[name].enter)]
    if not entering:
        there = ", ".join(each.parameter for name in asked.active for each in asked.phases[name].enter) or "no phase asks for a parameter now"
        raise NotAllowed(f"cannot enter {parameter[:60]!r} of {batch}", why="no running phase asks for it", possible=there)
    prompt = prompt_id(asked, entering[0], ENTERED + parameter)
    return list(answer_prompt(state, person, batch=batch, prompt=prompt, answer=value, now=now))


def change_formula(
    state: SiteState, person: Person, *, batch: BatchId, parameter: str, value: Quantity, why: str, now: datetime, pen: Signer | Pen | None
) -> list[Payload]:
    """Another value of an adjustable parameter in the running batch."""
    asked = batch_here(state, batch)
    require(person, Act.CHANGE_FORMULA, site=state.site)
    against = stops(check_value_is_on_file(state, asked, parameter, value, now=now))
    if against:
        raise NotAllowed(f"cannot change {parameter[:60]!r} of {batch}", why="; ".join(note.text for note in against), possible="a value on file")
    return commands.change_formula(asked, parameter, value, why=why, by=person.id, signs=_signs(person, Act.CHANGE_FORMULA, pen, now))


def _signs(person: Person, act: Act, pen: Signer | Pen | None, now: datetime) -> Callable[[str], Signature] | None:
    if pen is None:
        return None
    role = next(role for role in roles_that_may(act) if role in person.roles)
    return lambda digest: sign(pen, person, role=role, meaning=MEANINGS[act], at=now, digest=digest)
