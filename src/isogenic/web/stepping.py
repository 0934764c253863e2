"""A running batch over HTTP, beside commands and answers: modes, transitions, steps by hand, parameters.

    GET  /api/batches/{batch}/progress            mode, units, what runs, what can be started, what waits for whom
    POST /api/batches/{batch}/mode                another mode
    POST /api/batches/{batch}/transitions         semi-automatic: let what was reached happen
    POST /api/batches/{batch}/phases/{phase}      manual: start or complete a phase
    POST /api/batches/{batch}/ways                manual: take a way, or judge a round
    POST /api/batches/{batch}/parameters/{name}   the value that a phase asks for
    POST /api/batches/{batch}/formula/{name}      another value, by signature

Guarantees: as in site_api; whoever changes the formula signs with their own password or passkey.
Leaves to others: deciding (sites.stepping), proving who signs (passkeys).
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import FastAPI
from fastapi import Path as InPath
from pydantic import Field

from isogenic.authority.rules import Act
from isogenic.batches.facts import Mode
from isogenic.batches.state import BatchState
from isogenic.ids import BatchId
from isogenic.sites import stepping
from isogenic.sites.answering import batch_here
from isogenic.units import Quantity
from isogenic.web.guard import READER, Asker
from isogenic.web.messages import BatchText, Body, Reasoned, Signing, Words
from isogenic.web.passkeys import Pens
from isogenic.web.problems import PROBLEMS
from isogenic.web.site_desk import SiteDesk

__all__ = ["stepping_routes"]

Named = Annotated[str, InPath(max_length=40, pattern=r"^[a-z][a-z0-9_]*$")]
Place = Annotated[str, Field(min_length=1, max_length=120, description="the phase, choice or loop, as `progress` names it")]


class ModeBody(Body):
    """Another mode, and why."""

    mode: Mode
    why: Words


class Transition(Body):
    """What is let happen, and why."""

    place: Place
    why: Words


class Step(Body):
    """What is done to a phase by hand, and why."""

    do: Literal["start", "complete"]
    why: Words


class Way(Body):
    """Which way is taken at a choice, or whether another round of a loop follows, and why."""

    place: Place
    way: Annotated[int | None, Field(ge=0, le=100, description="at a choice, from 0 in the order of the recipe")] = None
    again: Annotated[bool | None, Field(description="at a loop")] = None
    why: Words


class Entry(Body):
    """A value in the unit of the parameter."""

    value: Annotated[str, Field(min_length=1, max_length=60)]


class Change(Signing):
    """Another value with its unit, and why, signed."""

    value: Annotated[str, Field(min_length=1, max_length=100, description="as in 36.5 degC")]
    why: Words


class ParameterLine(Body):
    """A parameter of the batch as it is now."""

    name: str
    value: float
    unit: str
    low: float | None
    high: float | None
    adjustable: bool
    changed: bool


class ProgressLine(Body):
    """How far a batch has come, and what it waits for."""

    batch: str
    state: str
    mode: str
    units: dict[str, str] = Field(description="by role: the units that it has now")
    waits_for_units: dict[str, str] = Field(description="by role: the class that it has asked for")
    running: list[str] = Field(description="phases")
    ready: list[str] = Field(description="phases that the procedure has come to and that are not started")
    choices: dict[str, list[str]] = Field(description="by place: the conditions of the ways, in order")
    rounds: dict[str, str] = Field(description="by place: loops of which a round is over, and what ends them")
    reached: dict[str, str] = Field(description="by place: transitions that wait for a person, and why")
    parameters: list[ParameterLine]


def progress_of(state: BatchState) -> ProgressLine:
    """What the folded facts say."""
    charts = (state.procedure, *state.charts.values())
    return ProgressLine(
        batch=state.batch,
        state=str(state.state),
        mode=str(state.mode),
        units={role: held.unit for role, held in state.units.items() if held.unit in state.holds()},
        waits_for_units={role: asked.equipment_class for role, asked in state.waiting.items()},
        running=list(state.active),
        ready=[name for chart in state.charts.values() for name in chart.ready],
        choices={each.place: list(each.conditions) for chart in charts for each in chart.decisions},
        rounds={each.place: each.until for chart in charts for each in chart.loops},
        reached={place: each.why for place, each in state.reached.items() if not each.confirmed},
        parameters=[
            ParameterLine(
                name=each.name,
                value=state.values[each.name],
                unit=each.unit,
                low=each.low,
                high=each.high,
                adjustable=each.adjustable,
                changed=state.values[each.name] != each.value,
            )
            for each in state.control.parameters
        ],
    )


def stepping_routes(app: FastAPI, desk: SiteDesk, pens: Pens) -> None:
    """Add them to a site's application."""
    node = desk.node

    @app.get("/api/batches/{batch}/progress", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="How far a batch has come")
    async def progress(batch: BatchText) -> ProgressLine:
        """Mode, units, phases, transitions and parameters."""
        return progress_of(batch_here(node.state, BatchId(batch)))

    @app.post("/api/batches/{batch}/mode", responses=PROBLEMS, tags=["acting"], summary="Change the mode")
    async def mode(batch: BatchText, body: ModeBody, guest: Asker) -> Reasoned:
        """Automatic, semi-automatic or manual from here on."""
        with desk.asking(guest, Act.CHANGE_MODE):
            told = stepping.change_mode(node.state, guest.person, batch=BatchId(batch), mode=body.mode, why=body.why)
        return desk.note(told, by=guest, act=Act.CHANGE_MODE)

    @app.post("/api/batches/{batch}/transitions", responses=PROBLEMS, tags=["acting"], summary="Confirm a transition")
    async def confirm(batch: BatchText, body: Transition, guest: Asker) -> Reasoned:
        """In semi-automatic mode, let what was reached happen."""
        with desk.asking(guest, Act.STEP_BATCH):
            told = stepping.confirm(node.state, guest.person, batch=BatchId(batch), place=body.place, why=body.why)
        return desk.note(told, by=guest, act=Act.STEP_BATCH)

    @app.post("/api/batches/{batch}/phases/{phase}", responses=PROBLEMS, tags=["acting"], summary="Start or complete a phase by hand")
    async def step(batch: BatchText, phase: Named, body: Step, guest: Asker) -> Reasoned:
        """In manual mode."""
        act = stepping.start_phase if body.do == "start" else stepping.complete_phase
        with desk.asking(guest, Act.STEP_BATCH):
            told = act(node.state, guest.person, batch=BatchId(batch), phase=phase, why=body.why)
        return desk.note(told, by=guest, act=Act.STEP_BATCH)

    @app.post("/api/batches/{batch}/ways", responses=PROBLEMS, tags=["acting"], summary="Take a way by hand")
    async def way(batch: BatchText, body: Way, guest: Asker) -> Reasoned:
        """In manual mode: a way of a choice, or another round of a loop."""
        with desk.asking(guest, Act.STEP_BATCH):
            where = {"batch": BatchId(batch), "place": body.place, "why": body.why}
            if body.way is not None:
                told = stepping.choose(node.state, guest.person, way=body.way, **where)  # type: ignore[arg-type]
            else:
                told = stepping.end_round(node.state, guest.person, again=bool(body.again), **where)  # type: ignore[arg-type]
        return desk.note(told, by=guest, act=Act.STEP_BATCH)

    @app.post("/api/batches/{batch}/parameters/{name}", responses=PROBLEMS, tags=["acting"], summary="Enter a parameter")
    async def enter(batch: BatchText, name: Named, body: Entry, guest: Asker) -> Reasoned:
        """The value that a running phase asks for, within its limits."""
        with desk.asking(guest, Act.ANSWER_PROMPT):
            said = stepping.enter_parameter(node.state, guest.person, batch=BatchId(batch), parameter=name, value=body.value, now=node.clock.now().at)
        return desk.note(said, by=guest, act=Act.ANSWER_PROMPT)

    @app.post("/api/batches/{batch}/formula/{name}", responses=PROBLEMS, tags=["acting"], summary="Change a parameter of the running batch")
    async def change(batch: BatchText, name: Named, body: Change, guest: Asker) -> Reasoned:
        """Another value, within its limits, by signature; set-points and conditions that use it change from here on."""
        pen = await pens.pen(guest, body, Act.CHANGE_FORMULA)
        with desk.asking(guest, Act.CHANGE_FORMULA):
            told = stepping.change_formula(
                node.state,
                guest.person,
                batch=BatchId(batch),
                parameter=name,
                value=Quantity.parse(body.value),
                why=body.why,
                now=node.clock.now().at,
                pen=pen,
            )
        return desk.note(told, by=guest, act=Act.CHANGE_FORMULA)
