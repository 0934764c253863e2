"""What goes over the API: the bodies that are asked for and the answers that are given.

Guarantees: every text that comes in is bounded; every time is RFC 3339 in UTC, ending in Z;
a number that is not known is null, never NaN.
Leaves to others: what may be done (rules, rooms), what the words mean (glossary).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from isogenic.batches.serials import Fate
from isogenic.batches.states import Command as BatchCommand
from isogenic.clock import text_of_time
from isogenic.ids import BatchId, DeviationId, Id, LotId, PromptId, RecipeId, SampleId, SiteId, UnitId
from isogenic.quality.deviations import Disposition as DeviationDisposition
from isogenic.records.facts import Fact
from isogenic.records.ledger import Stage

__all__ = [
    "AccountLabels",
    "Asked",
    "BatchDetail",
    "BatchLine",
    "BatchText",
    "Body",
    "Command",
    "DeviationLine",
    "DeviationText",
    "FactLine",
    "FactsPage",
    "IssueLabels",
    "LedgerLine",
    "LotText",
    "Me",
    "NoteLine",
    "PhaseLine",
    "PromptText",
    "Reason",
    "Reasoned",
    "RecipeIdText",
    "ResultBody",
    "SignIn",
    "SignedInAs",
    "SiteText",
    "Start",
    "StatementAbout",
    "UnitText",
    "Version",
    "fact_line",
    "number",
    "shown",
    "time",
]


def _form(kind: type[Id]) -> StringConstraints:
    inner = Id.pattern.pattern
    return StringConstraints(pattern=f"^{kind.prefix}{inner}$" if kind.prefix else f"^{inner}$", max_length=40)


SiteText = Annotated[str, _form(SiteId)]
UnitText = Annotated[str, _form(UnitId)]
BatchText = Annotated[str, _form(BatchId)]
LotText = Annotated[str, _form(LotId)]
RecipeIdText = Annotated[str, _form(RecipeId)]
PromptText = Annotated[str, _form(PromptId)]
SampleText = Annotated[str, _form(SampleId)]
DeviationText = Annotated[str, _form(DeviationId)]
Version = Annotated[int, Field(ge=1, le=1_000_000)]
Words = Annotated[str, Field(min_length=1, max_length=500)]
Password = Annotated[str, Field(min_length=1, max_length=256)]
VALUE_TEXT_MAX = 4_000  # characters of one value of a fact's body on a screen; the whole is in the ledger


def time(at: datetime | None) -> str | None:
    """A time as text, or nothing."""
    return text_of_time(at) if at else None


def number(value: float | None) -> float | None:
    """A number as JSON has it: what is not finite is not known."""
    return value if value is not None and math.isfinite(value) else None


def shown(value: Any) -> Any:
    """A value of ours as JSON."""
    match value:
        case StrEnum():
            return str(value)
        case None | bool() | int():
            return value
        case str():
            return str(value) if len(value) <= VALUE_TEXT_MAX else str(value[:VALUE_TEXT_MAX]) + "…"
        case float():
            return number(value)
        case datetime():
            return text_of_time(value)
        case Mapping():
            return {str(key): shown(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [shown(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: shown(getattr(value, each.name)) for each in fields(value)}
    return str(value)


class Body(BaseModel):
    """A body from outside: no field that nobody asked for."""

    model_config = ConfigDict(extra="forbid")


# ---- asked for ----


class SignIn(Body):
    """Who signs in."""

    person: Annotated[str, Field(min_length=1, max_length=40)]
    password: Password


class Start(Body):
    """A batch is asked for."""

    recipe: RecipeIdText
    version: Version
    unit: UnitText
    lot: LotText
    patient: Annotated[str, Field(max_length=40, description="identity code, of a lot that is made for one patient")] = ""


class Command(Body):
    """A command of the state table, with the reason."""

    command: BatchCommand
    why: Words


class ResultBody(Body):
    """A laboratory result."""

    sample: SampleText
    lot: LotText
    attribute: Annotated[str, Field(min_length=1, max_length=40)]
    value: Annotated[float, Field(allow_inf_nan=False)]
    unit: Annotated[str, Field(max_length=40)]
    method: Annotated[str, Field(min_length=1, max_length=80)]
    qualifier: Literal["", "<"] = ""


class IssueLabels(Body):
    """How many serialised labels are printed."""

    count: Annotated[int, Field(ge=1, le=10_000)]


class AccountLabels(Body):
    """What became of labels, each by its code as it was scanned."""

    scanned: Annotated[list[Annotated[str, Field(min_length=1, max_length=400)]], Field(min_length=1, max_length=500)]
    fate: Fate
    why: Annotated[str, Field(max_length=300)] = ""


class RecipeText(Body):
    """A general recipe, as its document."""

    text: Annotated[str, Field(min_length=1, max_length=60_000)]


class PasskeyResponse(BaseModel):
    """What an authenticator answered, in base64url (WebAuthn level 3, 5.2): of signing, or of enrolling."""

    clientDataJSON: Annotated[str, Field(min_length=1, max_length=6_000)]  # noqa: N815 (the name in the standard)
    authenticatorData: Annotated[str, Field(max_length=6_000)] = ""  # noqa: N815 (the name in the standard)
    signature: Annotated[str, Field(max_length=3_000)] = ""
    userHandle: Annotated[str, Field(max_length=200)] | None = None  # noqa: N815 (the name in the standard)
    attestationObject: Annotated[str, Field(max_length=40_000)] = ""  # noqa: N815 (the name in the standard)


class PasskeyAnswer(BaseModel):
    """A browser's `PublicKeyCredential` as JSON; what else it holds is passed over."""

    id: Annotated[str, Field(min_length=1, max_length=1_364)]
    rawId: Annotated[str, Field(min_length=1, max_length=1_364)]  # noqa: N815 (the name in the standard)
    type: Literal["public-key"]
    response: PasskeyResponse


class Signing(Body):
    """An electronic signature: who, with what, and meaning what (21 CFR 11.50, 11.200).

    With a password: `password`, and at the first signature of a session `person`, too. With a passkey: first `passkey` is
    `ask`, and the answer (202) says what is signed and what the authenticator is to be asked; then the same again with its answer.
    """

    meaning: Annotated[str, Field(min_length=1, max_length=40, description="what the signature means, said by who signs")]
    person: Annotated[str, Field(max_length=40)] = ""
    password: Annotated[str, Field(max_length=256)] = ""
    passkey: Literal["", "ask"] | PasskeyAnswer = ""


class SignRecipe(Signing):
    """A signature under a recipe: as its author, or as its approver."""

    act: Literal["sign_recipe_as_author", "approve_recipe"]


class Disposition(Signing):
    """What a deviation means for its lot, by signature."""

    disposition: DeviationDisposition
    justification: Words


class Release(Signing):
    """A lot is released by signature. `digest` is that of the page that was looked at."""

    digest: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Rejection(Signing):
    """A lot is rejected by signature."""

    reason: Words


class ReviewTrail(Signing):
    """The review of a batch's audit trail. `digest` is that of the lines that were looked at."""

    digest: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    remark: Annotated[str, Field(max_length=500)] = ""


class EnrolPasskey(Body):
    """A passkey is put on file, signed with the personal key."""

    title: Annotated[str, Field(min_length=1, max_length=80)]
    person: Annotated[str, Field(max_length=40)] = ""
    password: Password
    passkey: PasskeyAnswer


class PasskeySignIn(Body):
    """Somebody signs in with a passkey."""

    passkey: PasskeyAnswer


class NewPassword(Body):
    """A person renews the password."""

    password: Password
    new_password: Password


class Reason(Body):
    """Why, and the password again."""

    why: Words
    password: Password
    person: Annotated[str, Field(max_length=40)] = ""


class StatementAbout(Body):
    """What to state to strangers: of a lot, a batch, a product, or a recipe and its version."""

    kind: Literal["recipe_release", "batch_complete", "lot_decision", "model_release"]
    about: Annotated[str, Field(min_length=1, max_length=48, pattern=r"^[A-Z0-9][A-Z0-9-]*(/[0-9]{1,6})?$")]


# ---- answered ----


class SignedInAs(BaseModel):
    """A session. The token is for programs; a browser gets it as a cookie that scripts cannot read."""

    person: str
    printed_name: str
    roles: list[str]
    token: str
    renew: str = Field(default="", description="why the password must be changed before anything else is done")


class Me(BaseModel):
    """Who is signed in."""

    person: str
    printed_name: str
    roles: list[str]


class Reasoned(BaseModel):
    """What was done: how many facts were noted, and where."""

    noted: list[str] = Field(description="the facts, each as ledger#position")


class NoteLine(BaseModel):
    """One sentence of one check."""

    check: str
    severity: str
    text: str
    owner: str


class LedgerLine(BaseModel):
    """How far one ledger has come, in facts."""

    ledger: str
    noted: int
    sent: int
    witnessed: int
    refused: str = Field(default="", description="why the control site refuses this ledger")


class Asked(BaseModel):
    """A question to a person."""

    batch: str
    unit: str
    prompt: str
    phase: str
    text: str
    kind: str
    measured_in: str
    low: float | None
    high: float | None
    asked_at: str | None = None
    answer: str | None = None
    answered_by: str | None = None
    answered_at: str | None = None
    choices: list[str] = []
    expects: str = Field(default="", description="of a scan: what the label is to be of")
    picture: str = Field(default="", description="its digest: /pictures/{digest}")
    signed: bool = Field(default=False, description="who answers signs")
    witness: bool = Field(default=False, description="a second person signs")
    competence: str = ""
    opens_at: str | None = Field(default=None, description="not to be answered before, by the site's clock")
    closes_at: str | None = Field(default=None, description="late after that")
    after: str | None = Field(default=None, description="the question that is to be answered first")
    given: str | None = Field(default=None, description="answered, and waits for a witness")
    given_by: str | None = None
    refused: list[str] = Field(default=[], description="why the newest scan was refused")
    declined: str = Field(default="", description="why the witness did not find it so")
    entered: str = ""
    witnessed_by: str | None = None
    corrections: int = 0
    current: bool = Field(default=False, description="its phase runs, so an answer can be taken back")
    place: int = Field(default=0, description="in the order of asking")


class PhaseLine(BaseModel):
    """One phase of a batch: planned, running or done."""

    phase: str
    title: str
    state: str
    run: int = 0
    started_at: str | None = None
    ended_at: str | None = None
    why: str = ""


class DeviationLine(BaseModel):
    """A deviation as it stands."""

    deviation: str
    batch: str
    lot: str
    site: str
    severity: str
    origin: str
    state: str
    statement: str
    evidence: dict[str, str]
    detected_at: str
    disposition: str | None = None
    justification: str | None = None
    disposed_by: str | None = None
    disposed_at: str | None = None
    disposed_meaning: str | None = None
    disposed_role: str | None = None
    disposed_method: str | None = None


class BatchLine(BaseModel):
    """One batch on one line."""

    batch: str
    lot: str
    product: str
    site: str
    unit: str
    recipe: str
    version: int
    state: str
    phase: str | None
    elapsed_h: float | None
    started_at: str | None
    closed_at: str | None
    open_deviations: int


class BatchDetail(BatchLine):
    """One batch in full."""

    phases: list[PhaseLine]
    setpoints: dict[str, float]
    prompts: list[Asked]
    events: list[str]
    deviations: list[DeviationLine]
    possible: list[str] = Field(description="commands that its state takes")


class TrailReviewLine(BaseModel):
    """Somebody reviewed the audit trail of a batch."""

    printed_name: str
    role: str
    meaning: str
    at: str
    method: str
    start: int
    stop: int
    root: str
    lines: int
    digest: str
    remark: str


class TrailReviewPage(BaseModel):
    """The audit trail of a batch as it stands, and its reviews."""

    batch: str
    ledger: str
    stop: int = Field(description="facts from 0 up to here, under `root`")
    root: str
    lines: int
    digest: str = Field(description="SHA-256 of the lines as they are exported: what a review is over")
    reviews: list[TrailReviewLine]


class FactLine(BaseModel):
    """One fact, with how far it has come."""

    ledger: str
    position: int
    kind: str
    subject: str
    actor: str
    role: str
    at: str
    clock: str = Field(description="quality of the clock that claimed the time")
    stage: str = Field(description="noted, sent, witnessed or archived")
    body: dict[str, Any]


class FactsPage(BaseModel):
    """Some facts, and where to go on."""

    facts: list[FactLine]
    next: str | None = Field(default=None, description="hand this in as `after` for the page that follows")


def fact_line(fact: Fact, stage: Stage) -> FactLine:
    """A fact as a line."""
    return FactLine(
        ledger=fact.ref.ledger,
        position=fact.position,
        kind=fact.kind,
        subject=fact.subject,
        actor=fact.actor.id,
        role=fact.actor.role,
        at=text_of_time(fact.at),
        clock=str(fact.moment.quality),
        stage=str(stage),
        body=shown(fact.body()),
    )
