"""People's steps over HTTP: answer, look first, witness, decline, correct; the notes of the gate before a batch is started.

    POST /api/batches/{batch}/prompts/{prompt}              an answer; signed where the question wants it
    POST /api/batches/{batch}/prompts/{prompt}/look         the same looked at, before anybody signs
    POST /api/batches/{batch}/prompts/{prompt}/witness      a second person signs
    POST /api/batches/{batch}/prompts/{prompt}/decline      ... or did not find it so
    POST /api/batches/{batch}/prompts/{prompt}/correction   a new answer that names the old one
    POST /api/batches/{batch}/prompts/{prompt}/withdrawal   it was not done after all
    POST /api/batches/look                                  every note of the gate; nothing is started
    GET  /pictures/{digest}                                 a picture of a recipe, from this site's disk

Guarantees: a wrong label is noted as an attempt before it is refused; the person of the request is the
one who signs, with their own password or passkey, so a second person signs in a session of their own.
Leaves to others: deciding (sites.answering), proving who signs (passkeys), the screen (screens.steps).
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import FastAPI, Response
from pydantic import Field

from isogenic.authority.rules import Act
from isogenic.authority.signatures import Pen
from isogenic.batches.facts import Entered, ScanRefused
from isogenic.batches.prompts import needs_signature, question
from isogenic.checks import stops
from isogenic.errors import NotAllowed, NotFound
from isogenic.ids import BatchId, PromptId
from isogenic.records.facts import Payload
from isogenic.records.notes import Signer
from isogenic.sites import requests
from isogenic.sites.answering import batch_here
from isogenic.web.guard import READER, Asker, Guest
from isogenic.web.messages import BatchText, Body, NoteLine, PromptText, Reasoned, Signing, Start, Words
from isogenic.web.passkeys import Pens
from isogenic.web.problems import PROBLEMS
from isogenic.web.site_desk import SiteDesk

__all__ = ["step_routes"]

Answered = Annotated[str, Field(min_length=1, max_length=400, description="what was answered, or read by the scanner")]


class AnswerBody(Signing):
    """The answer to a prompt. Where the question is signed or witnessed, with the meaning `performed` and id and password, or a passkey."""

    answer: Answered
    entered: Literal["typed", "scanned", "chosen"] = "typed"
    meaning: Annotated[str, Field(max_length=40)] = ""


class Look(Body):
    """An answer that is looked at first."""

    answer: Answered
    entered: Literal["typed", "scanned", "chosen"] = "typed"


class Decline(Body):
    """Why a second person did not find it so."""

    why: Words


class Correction(Signing):
    """Another answer, and why, signed."""

    answer: Answered
    entered: Literal["typed", "scanned", "chosen"] = "typed"
    why: Words


class Withdrawal(Signing):
    """Why it was not done after all, signed."""

    why: Words


def step_routes(app: FastAPI, desk: SiteDesk, pens: Pens) -> None:
    """Add them to a site's application."""
    node = desk.node

    def done(payloads: list[Payload], guest: Guest, act: Act, prompt: str) -> Reasoned:
        """Noted; and where it was a wrong label, refused."""
        noted = desk.note(payloads, by=guest, act=act)
        if payloads and isinstance(wrong := payloads[0], ScanRefused):
            raise NotAllowed(
                f"this label is refused at {prompt}", why="; ".join(wrong.why), possible="scan the right label; this attempt is on record"
            )
        return noted

    def answered(
        body: AnswerBody | Look, guest: Guest, batch: str, prompt: str, *, pen: Signer | Pen | None = None, look_only: bool = False
    ) -> Reasoned:
        """What came of an answer, or of a look at it."""
        with desk.asking(guest, Act.ANSWER_PROMPT):
            said = requests.answer_prompt(
                node.state,
                guest.person,
                batch=BatchId(batch),
                prompt=PromptId(prompt),
                answer=body.answer,
                entered=Entered(body.entered),
                now=node.clock.now().at,
                pen=pen,
                look_only=look_only,
            )
        return done(said, guest, Act.ANSWER_PROMPT, prompt)

    @app.post("/api/batches/{batch}/prompts/{prompt}", responses=PROBLEMS, tags=["acting"], summary="Answer a question")
    async def answer(batch: BatchText, prompt: PromptText, body: AnswerBody, guest: Asker) -> Reasoned:
        """An answer within its limits, in its time; signed where the question wants it."""
        with desk.asking(guest, Act.ANSWER_PROMPT):
            wants = needs_signature(question(batch_here(node.state, BatchId(batch)), PromptId(prompt)))
        pen = await pens.pen(guest, body, Act.ANSWER_PROMPT) if wants else None
        return answered(body, guest, batch, prompt, pen=pen)

    @app.post("/api/batches/{batch}/prompts/{prompt}/look", responses=PROBLEMS, tags=["acting"], summary="Look at an answer before it is signed")
    async def look(batch: BatchText, prompt: PromptText, body: Look, guest: Asker) -> Reasoned:
        """Whether the answer would be taken; a wrong label is noted as an attempt all the same."""
        return answered(body, guest, batch, prompt, look_only=True)

    @app.post("/api/batches/{batch}/prompts/{prompt}/witness", responses=PROBLEMS, tags=["acting"], summary="Witness an answer")
    async def witness(batch: BatchText, prompt: PromptText, body: Signing, guest: Asker) -> Reasoned:
        """A second, different person signs that it is so, with their own credentials (21 CFR 211.101(d))."""
        pen = await pens.pen(guest, body, Act.WITNESS_ANSWER)
        with desk.asking(guest, Act.WITNESS_ANSWER):
            said = requests.witness_answer(node.state, guest.person, batch=BatchId(batch), prompt=PromptId(prompt), now=node.clock.now().at, pen=pen)
        return desk.note(said, by=guest, act=Act.WITNESS_ANSWER)

    @app.post("/api/batches/{batch}/prompts/{prompt}/decline", responses=PROBLEMS, tags=["acting"], summary="Decline to witness")
    async def decline(batch: BatchText, prompt: PromptText, body: Decline, guest: Asker) -> Reasoned:
        """It is not so: the question is open again, and the reason is on record."""
        with desk.asking(guest, Act.WITNESS_ANSWER):
            said = requests.witness_answer(
                node.state, guest.person, batch=BatchId(batch), prompt=PromptId(prompt), now=node.clock.now().at, pen=None, declined=body.why
            )
        return desk.note(said, by=guest, act=Act.WITNESS_ANSWER)

    @app.post("/api/batches/{batch}/prompts/{prompt}/correction", responses=PROBLEMS, tags=["acting"], summary="Correct an answer")
    async def correct(batch: BatchText, prompt: PromptText, body: Correction, guest: Asker) -> Reasoned:
        """A new answer that names the old one, with the reason, by signature; the old one stays on record."""
        pen = await pens.pen(guest, body, Act.CORRECT_ANSWER)
        with desk.asking(guest, Act.CORRECT_ANSWER):
            said = requests.correct_answer(
                node.state,
                guest.person,
                batch=BatchId(batch),
                prompt=PromptId(prompt),
                answer=body.answer,
                why=body.why,
                now=node.clock.now().at,
                pen=pen,
                entered=Entered(body.entered),
            )
        return done(said, guest, Act.CORRECT_ANSWER, prompt)

    @app.post("/api/batches/{batch}/prompts/{prompt}/withdrawal", responses=PROBLEMS, tags=["acting"], summary="Take an answer back")
    async def withdraw(batch: BatchText, prompt: PromptText, body: Withdrawal, guest: Asker) -> Reasoned:
        """It was not done after all: the question is open again, while its phase runs. By signature, with the reason."""
        pen = await pens.pen(guest, body, Act.CORRECT_ANSWER)
        with desk.asking(guest, Act.CORRECT_ANSWER):
            said = requests.withdraw_answer(
                node.state, guest.person, batch=BatchId(batch), prompt=PromptId(prompt), why=body.why, now=node.clock.now().at, pen=pen
            )
        return desk.note(said, by=guest, act=Act.CORRECT_ANSWER)

    @app.post("/api/batches/look", responses=PROBLEMS, tags=["acting"], summary="Whether a batch may start")
    async def gate(body: Start, guest: Asker) -> list[NoteLine]:
        """Every note of every check, with its clause; nothing is started or noted."""
        _, notes = desk.gate(body, guest)
        against = stops(notes)
        notes = [each for each in notes if each.check != "start_batch"]  # that it is started is not so yet
        first = [*against, *(each for each in notes if each not in against)]
        return [NoteLine(check=each.check, severity=str(each.severity), text=each.text, owner=each.owner) for each in first]

    @app.get("/pictures/{digest}", responses=PROBLEMS, dependencies=READER, include_in_schema=False)
    async def picture(digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]) -> Response:
        """A picture of a recipe that was published to this site, from its disk."""
        published = node.state.pictures.get(digest)
        if published is None or not node.blobs.has(digest):
            raise NotFound("no such picture here", why="no recipe of this site names it, or it has not arrived yet")
        # The digest is its name, so it never changes.
        return Response(node.blobs.get(digest), media_type=published.media, headers={"Cache-Control": "private, max-age=31536000, immutable"})
