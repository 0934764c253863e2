"""People's credentials over HTTP: passkeys to sign in and to sign, and what administrators do with accounts.

Guarantees: whoever changes a credential gives the password again, and says why; what administrators do is in the
ledger of every site. A temporary password is shown once, to the administrator who asked.
Leaves to others: the ceremonies (passkeys), the facts (network.credentials), sessions (signin).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Path
from pydantic import BaseModel, Field

from isogenic.authority.accounts import renewal, text_of_account
from isogenic.authority.identities import AccountLocked, AttemptsAcknowledged
from isogenic.authority.people import Passkey, Person
from isogenic.authority.rules import Act, require
from isogenic.clock import text_of_time
from isogenic.errors import NotFound, NotTrusted
from isogenic.ids import PersonId
from isogenic.network import credentials
from isogenic.network.control import HOUSE, ControlNode
from isogenic.network.decisions import directory
from isogenic.network.facts import PersonSignInRefused
from isogenic.web.guard import READER, Asker, Guest
from isogenic.web.messages import EnrolPasskey, Reason, time
from isogenic.web.passkeys import Pens
from isogenic.web.problems import PROBLEMS
from isogenic.web.signin import At, Door

__all__ = ["AttemptLine", "PersonLine", "Watch", "credential_routes", "person_lines"]

PersonText = Annotated[str, Path(pattern="^[A-Z][A-Z0-9-]{0,39}$")]
CredentialText = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{16,1364}$")]
TEMPORARY_H = 24.0  # a temporary password is used within a day, or it is none
ATTEMPTS_SHOWN = 100


class PasskeyLine(BaseModel):
    """A passkey on file."""

    id: str
    title: str
    domain: str
    removed_at: str | None


class PersonLine(BaseModel):
    """A person on file, and what lets them in here."""

    person: str
    printed_name: str
    roles: list[str]
    sites: list[str]
    state: str = Field(description="active, inactive, disabled, locked, revoked, temporary password, password to renew, or no account here")
    why: str = ""
    password_changed_at: str | None = None
    failures: int = 0
    passkeys: list[PasskeyLine]


class AttemptLine(BaseModel):
    """Somebody tried to get in, or to sign, and was refused."""

    at: str
    person: str
    what: str
    position: int
    acknowledged: bool


class Replacement(BaseModel):
    """A temporary password, shown this once."""

    person: str
    password: str
    until: str
    account: str = Field(description="the account file, sealed under that password: for a site at which the person works")


class Watch:
    """The unauthorised attempts that the house's ledger tells of, followed as it grows (21 CFR 11.300(d))."""

    def __init__(self, node: ControlNode) -> None:
        self.node = node
        self._read, self._up_to = 0, 0
        self._lines: list[tuple[int, str, str, str, bool]] = []

    def lines(self) -> list[AttemptLine]:
        """Newest first."""
        house = self.node.ledgers[HOUSE]
        for fact in house.facts(self._read):
            self._read = fact.position + 1
            match fact.payload:
                case PersonSignInRefused(person, why):
                    self._lines.append((fact.position, text_of_time(fact.at), person, why, False))
                case AccountLocked(person, means, failures, until):
                    words = f"locked until {until:%Y-%m-%d %H:%M}Z after {failures} failures in a row ({means})"
                    self._lines.append((fact.position, text_of_time(fact.at), person, words, True))
                case AttemptsAcknowledged(_, up_to, _):
                    self._up_to = max(self._up_to, up_to)
        self._lines = self._lines[-ATTEMPTS_SHOWN:]
        return [
            AttemptLine(at=at, person=person, what=what, position=position, acknowledged=position < self._up_to)
            for position, at, person, what, _ in reversed(self._lines)
        ]

    def alarm(self) -> str:
        """What those who answer for it are told on every screen until they have looked, or nothing: a lock is what no slip of the finger makes."""
        self.lines()
        locked = sorted({person for position, _, person, _, lock in self._lines if lock and position >= self._up_to})
        if not locked:
            return ""
        return f"Unauthorised attempts: {', '.join(locked[:5])}{' and others' if len(locked) > 5 else ''} locked after failures in a row"


def credential_routes(app: FastAPI, node: ControlNode, door: Door, pens: Pens) -> None:
    """What people do with their own credentials, and administrators with everybody's."""
    watch = app.state.watch = Watch(node)

    async def proven(guest: Guest, body: Reason) -> Person:
        await pens.password_again(guest, body.person, body.password)
        return guest.person

    @app.post("/api/passkeys/question", responses=PROBLEMS, tags=["credentials"], summary="Begin to enrol a passkey")
    async def question(guest: Asker) -> dict[str, Any]:
        """What the browser asks an authenticator to make."""
        return pens.ask_to_enrol(guest)

    @app.post("/api/passkeys", status_code=201, responses=PROBLEMS, tags=["credentials"], summary="Enrol a passkey")
    async def enrol(body: EnrolPasskey, guest: Asker) -> PasskeyLine:
        """Put on file what the authenticator made, signed with the personal key that the password opens."""
        signer = await pens.password_again(guest, body.person, body.password)
        passkey = pens.enrol(guest, body.passkey, title=body.title)
        credentials.enrol_passkey(node, guest.person, signer, passkey)
        return _passkey(passkey)

    @app.post(
        "/api/people/{person}/passkeys/{credential}/removal", status_code=204, responses=PROBLEMS, tags=["credentials"], summary="Remove a passkey"
    )
    async def remove(person: PersonText, credential: CredentialText, body: Reason, guest: Asker) -> None:
        """Its person, or an administrator: it was lost, or is not used any more."""
        by = await proven(guest, body)
        credentials.remove_passkey(node, by, person=PersonId(person), credential=credential, why=body.why)
        door.put_out(PersonId(person)) if by.id != person else None

    @app.get("/api/people", responses=PROBLEMS, dependencies=READER, tags=["credentials"], summary="People")
    async def people() -> list[PersonLine]:
        """Everybody on file, with roles, passkeys and the state of the account at this node."""
        return person_lines(node, door)

    @app.get("/api/attempts", responses=PROBLEMS, dependencies=READER, tags=["credentials"], summary="Unauthorised attempts")
    async def attempts() -> list[AttemptLine]:
        """Refused sign-ins and locked accounts, newest first."""
        return watch.lines()

    @app.post("/api/attempts/acknowledgement", status_code=204, responses=PROBLEMS, tags=["credentials"], summary="Acknowledge attempts")
    async def acknowledge(body: Reason, guest: Asker) -> None:
        """Somebody who answers for it has looked at them."""
        credentials.acknowledge_attempts(node, await proven(guest, body), why=body.why)

    @app.post("/api/people/{person}/disabling", status_code=204, responses=PROBLEMS, tags=["credentials"], summary="Shut a person out")
    async def disable(person: PersonText, body: Reason, guest: Asker) -> None:
        """At every node; nothing is deleted."""
        credentials.disable(node, await proven(guest, body), person=PersonId(person), why=body.why)
        door.put_out(PersonId(person))

    @app.post("/api/people/{person}/enabling", status_code=204, responses=PROBLEMS, tags=["credentials"], summary="Let a person in again")
    async def enable(person: PersonText, body: Reason, guest: Asker) -> None:
        """Who was shut out."""
        credentials.enable(node, await proven(guest, body), person=PersonId(person), why=body.why)

    @app.post("/api/people/{person}/replacement", status_code=201, responses=PROBLEMS, tags=["credentials"], summary="Replace a lost password")
    async def replace(person: PersonText, body: Reason, guest: Asker) -> Replacement:
        """The old password and the key behind it are revoked at once; a temporary password opens a new key, for a day, and only to be changed."""
        by, lost = await proven(guest, body), PersonId(person)
        require(by, Act.KEEP_ACCOUNTS)
        directory(node).person(lost)
        password, account, signer = await door.issue(lost, hours=TEMPORARY_H)
        credentials.replace_key(node, by, person=lost, key=str(signer.verifying_key), why=body.why)
        door.accounts.put(account)
        door.put_out(lost)
        assert account.temporary_until is not None
        return Replacement(person=lost, password=password, until=text_of_time(account.temporary_until), account=text_of_account(account).decode())


def person_lines(node: ControlNode, door: Door) -> list[PersonLine]:
    """Everybody on file, by id."""
    return [_person(each, door) for _, each in sorted(directory(node).people.items())]


def _person(person: Person, door: Door) -> PersonLine:
    try:
        account = door.accounts.account(person.id)
    except (NotTrusted, NotFound):
        account = None
    now, failed = door.now(), {at: door.accounts.attempts(person.id, at) for at in At}
    locked = [each.locked_until for each in failed.values() if each.locked_until is not None and now < each.locked_until]
    state, why = "active", ""
    if not person.active:
        state = "inactive"
    elif person.disabled:
        state, why = "disabled", person.disabled
    elif account is None:
        state = "no account here"
    elif account.revoked:
        state, why = "revoked", account.revoked
    elif locked:
        state, why = "locked", f"until {text_of_time(max(locked))}"
    elif account.temporary_until is not None:
        state, why = "temporary password", f"until {text_of_time(account.temporary_until)}"
    elif renewal(account, now, days=door.keeping.password_days):
        state, why = "password to renew", renewal(account, now, days=door.keeping.password_days)
    return PersonLine(
        person=person.id,
        printed_name=person.printed_name,
        roles=[role.words for role in person.roles],
        sites=list(person.sites),
        state=state,
        why=why,
        password_changed_at=time(account.changed_at) if account else None,
        failures=sum(each.failures for each in failed.values()),
        passkeys=[_passkey(each) for each in person.passkeys],
    )


def _passkey(passkey: Passkey) -> PasskeyLine:
    return PasskeyLine(id=passkey.id, title=passkey.title, domain=passkey.domain, removed_at=time(passkey.removed_at))
