"""Signing in: who sits at the screen, for how long, and with whose key they sign.

Guarantees: a password is looked at in a thread, never on the scan loop, and for one person
one at a time, so that a hundred guesses at once count as a hundred; an unknown name costs as
long as a known one and is answered in the same words; every sign-in and every refusal is
noted (21 CFR 11.300(d)). A session is a random token that dies of inactivity and with its
node; it proves who reads, never who signs: to sign, the password is given again
(21 CFR 11.200(a)). Wrong passwords at the door and wrong passwords to sign are counted and
waited for apart: whoever has no session cannot keep anybody from signing.
Leaves to others: what the account's text means (authority), what the person may do (rules).

Time here is the wall's: a person is idle and an account is locked for minutes of life, however
fast the process time of a demonstration runs.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from isogenic.authority.accounts import (
    SAFE,
    Account,
    Attempts,
    Cost,
    Entropy,
    check_not_locked,
    check_sign_in,
    new_account,
    open_account,
    read_account,
)
from isogenic.authority.people import Directory, Person, Role
from isogenic.authority.rules import Act, require
from isogenic.clock import SystemClock, monotonic_seconds
from isogenic.errors import NotAllowed, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.ids import PersonId, SiteId
from isogenic.records import codec
from isogenic.records.durable import write_whole
from isogenic.records.facts import Actor, Payload
from isogenic.records.notes import Signer

__all__ = ["AccountFolder", "Door", "Session"]

IDLE_S = 15 * 60.0  # without a request, a session is over
SESSIONS_MAX = 1_000  # at one node; the one idle longest goes first
NAMES_MAX = 1_000  # names without an account whose wrong passwords are counted; names that are typed are not to fill the disk
WAITING_MAX = 32  # passwords waiting to be looked at
AT_ONCE = 2  # argon2id takes 64 MiB each
STORM_S, STORM_MAX = 60.0, 60  # refusals noted in a minute: whoever cannot sign in must not be able to fill the ledger
TOKEN_BYTES = 32
METHOD = "password"
ATTEMPTS = "attempts.list"  # not *.json: it is no account
_SIGNING = "/signing"  # after a name in that file; no id of a person has a slash
ACCOUNT_BYTES_MAX = 64 * 1024

log = logging.getLogger(__name__)


class At(StrEnum):
    """Where a password is given. The door is open to everybody; to sign, one must be inside."""

    DOOR = "door"
    SIGNING = "signing"


class AccountFolder:
    """The accounts of one node: `PERSON.json`, and the wrong passwords in a row, which outlive the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._attempts = self._read_attempts()

    def account(self, person: PersonId) -> Account | None:
        """The person's account here, read anew: who was given one today can sign in today."""
        path = self.folder / f"{person}.json"
        try:
            with path.open("rb") as file:
                data = file.read(ACCOUNT_BYTES_MAX)
        except FileNotFoundError:
            return None
        except OSError as trouble:
            raise NotReachable("cannot read the accounts", why=str(trouble.strerror or trouble)) from trouble
        account = read_account(data)
        if account.person != person:
            raise NotTrusted(f"account {path.name} refused", why=f"it is that of {account.person}")
        return account

    def attempts(self, person: PersonId, at: At = At.DOOR) -> Attempts:
        """Wrong passwords in a row."""
        return self._attempts.get((person, at), Attempts())

    def keep(self, person: PersonId, attempts: Attempts, at: At = At.DOOR, *, now: datetime) -> None:
        """Keep the count; a right password forgets it."""
        if attempts == self.attempts(person, at):
            return
        self._attempts.pop((person, at), None)
        if attempts.failures:
            self._attempts[person, at] = attempts
            self._forget_strangers(now)
        make_private_folder(self.folder)
        plain = {f"{name}{_SIGNING}" if where is At.SIGNING else str(name): codec.plain(each) for (name, where), each in self._attempts.items()}
        write_whole(self.folder / ATTEMPTS, codec.dumps(plain) + b"\n", mode=0o600)

    def _forget_strangers(self, now: datetime) -> None:
        """At most `NAMES_MAX` names without an account. They push out one another, never a person's count and never a lock that stands."""
        if len(self._attempts) <= NAMES_MAX:
            return
        strangers = [key for key in self._attempts if not (self.folder / f"{key[0]}.json").exists()]
        standing = {key for key in strangers if (until := self._attempts[key].locked_until) is not None and now < until}
        oldest = [key for key in strangers if key not in standing]  # the newest is last: where all others are locked, it is the one to go
        for key in (oldest or strangers[-1:])[: max(0, len(strangers) - NAMES_MAX)]:
            del self._attempts[key]

    def _read_attempts(self) -> dict[tuple[PersonId, At], Attempts]:
        try:
            plain = codec.read(dict[str, Attempts], codec.loads((self.folder / ATTEMPTS).read_bytes(), what=ATTEMPTS), what=ATTEMPTS)
            return {(PersonId(name.removesuffix(_SIGNING)), At.SIGNING if name.endswith(_SIGNING) else At.DOOR): each for name, each in plain.items()}
        except FileNotFoundError:
            return {}
        except NotValid as trouble:
            # A node that does not start helps nobody who can damage this file; that the locks of the last minutes are gone must be known.
            log.warning("%s cannot be read (%s): no wrong password from before this start is counted", ATTEMPTS, trouble.why)
            return {}
        except OSError as trouble:
            raise NotReachable(f"cannot read {ATTEMPTS}", why=str(trouble.strerror or trouble), possible="check the folder of accounts") from trouble


def make_private_folder(folder: Path) -> None:
    """A folder that only the node's own user can look into."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as trouble:
        raise NotReachable(f"cannot make folder {folder.name}", why=str(trouble.strerror or trouble)) from trouble


@dataclass(frozen=True, slots=True)
class Session:
    """One person at one screen."""

    token: str
    person: PersonId
    roles: tuple[Role, ...]  # as on file when they signed in; what they may do is asked anew each time
    used: float  # wall seconds of a clock that never steps


@dataclass(slots=True)
class _Queue:
    """Passwords are looked at `AT_ONCE`; one person's one after the other. Those who sign do not wait behind the door."""

    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    people: dict[str, asyncio.Lock] = field(default_factory=dict)
    waiting: int = 0


@dataclass(slots=True)
class _Storm:
    """Refusals of the minute that runs."""

    since: float
    noted: int = 0
    unsaid: int = 0


class Door:
    """The sign-in of one node."""

    def __init__(
        self,
        accounts: AccountFolder,
        *,
        directory: Callable[[], Directory | None],
        note: Callable[[Payload, Actor | None], None],
        signed_in: Callable[[PersonId, str], Payload],
        refused: Callable[[str, str], Payload],
        site: SiteId | None = None,
        entropy: Entropy = secrets.token_bytes,
        wall: Callable[[], datetime] = lambda: SystemClock().now().at,
        monotonic: Callable[[], float] = monotonic_seconds,
        cost: Cost = SAFE,
    ) -> None:
        """`note` writes a fact of this node; `signed_in` and `refused` make its facts. `site`: None at the control site."""
        self.accounts, self.site = accounts, site
        self._directory, self._note, self._signed_in, self._refused = directory, note, signed_in, refused
        self._entropy, self._wall, self._monotonic = entropy, wall, monotonic
        self._sessions: dict[str, Session] = {}  # by digest of the token: a list of sessions gives nobody a session
        self._queues, self._storm = {at: _Queue() for at in At}, _Storm(since=monotonic())
        nobody = PersonId("NOBODY")
        self._nobody = new_account(nobody, entropy(16).hex(), Signer.from_seed("NOBODY", entropy(32)), entropy=entropy, cost=cost)

    @property
    def cookie(self) -> str:
        """The name of this node's cookie. Browsers do not tell ports apart: two nodes on one host must not sign each other's people out."""
        return f"isogenic-{self.site or 'CONTROL'}"

    # ---- signing in and out ----

    async def sign_in(self, name: str, password: str) -> Session:
        """A session for this person, or a refusal in the same words whatever was wrong."""
        try:
            person_id = PersonId(name.strip().upper())
        except NotValid:
            self._note_refused(_printable(name), "no such form of a person's id")
            raise NotTrusted("cannot sign in", why="the person or the password is wrong") from None
        await self._look(person_id, At.DOOR, lambda account: check_sign_in(account, password))
        try:
            person = self._may_enter(person_id)
        except Refusal as refusal:
            self._note_refused(person_id, refusal.why[:200])
            raise
        session = Session(_token(self._entropy), person.id, person.roles, self._monotonic())
        self._sessions[_key(session.token)] = session
        self._drop_idle()
        self._note(self._signed_in(person.id, METHOD), Actor(person.id, str(person.roles[0]), METHOD))
        return session

    def session(self, token: str | None) -> Session:
        """The session of a token, and one more sign of life in it."""
        now = self._monotonic()
        found = self._sessions.get(_key(token)) if token else None
        if found is None or now - found.used > IDLE_S:
            if token:
                self._sessions.pop(_key(token), None)
            raise NotTrusted("you are not signed in", why="there is no session, or it was idle for too long", possible="sign in")
        found = replace(found, used=now)
        self._sessions[_key(found.token)] = found
        return found

    def alive(self, session: Session) -> bool:
        """Whether a session goes on; asking is no sign of life."""
        found = self._sessions.get(_key(session.token))
        return found is not None and self._monotonic() - found.used <= IDLE_S

    def person(self, session: Session) -> Person:
        """The person of a session as on file now: who left is out at once."""
        return self._may_enter(session.person)

    def sign_out(self, session: Session) -> None:
        """End a session."""
        self._sessions.pop(_key(session.token), None)

    # ---- signing ----

    async def signer(self, session: Session, password: str) -> Signer:
        """The person's private key, opened with the password given again: wrong ones are counted, apart from those at the door."""
        try:
            return await self._look(session.person, At.SIGNING, lambda account: open_account(account, password))
        except NotTrusted as wrong:
            raise NotTrusted(
                "cannot sign", why="the password is wrong", possible="type it again; after five wrong ones in a row you cannot sign for a while"
            ) from wrong
        except NotAllowed as locked:
            raise NotAllowed("cannot sign", why=locked.why, possible=locked.possible) from locked

    # ---- the password ----

    async def _look(self, person: PersonId, at: At, with_it: Callable[[Account], Signer | None]) -> Signer:
        queue = self._queues[at]
        if queue.waiting >= WAITING_MAX:
            raise NotReachable("cannot look at a password now", why=f"{WAITING_MAX} others are waiting", possible="try again in a moment")
        queue.waiting += 1
        lock = queue.people.setdefault(person, asyncio.Lock())
        try:
            async with lock, queue.slots:
                return await self._look_alone(person, at, with_it)
        finally:
            queue.waiting -= 1
            if queue.waiting == 0:
                queue.people.clear()

    async def _look_alone(self, person: PersonId, at: At, with_it: Callable[[Account], Signer | None]) -> Signer:
        attempts = self.accounts.attempts(person, at)
        try:
            check_not_locked(attempts, self._wall())
        except NotAllowed as locked:
            self._note_refused(person, locked.why)
            raise
        account = self.accounts.account(person)
        try:
            opened = await asyncio.to_thread(with_it, account or self._nobody)
            if account is None:
                raise NotTrusted("cannot sign in", why="the person or the password is wrong")
        except NotTrusted as wrong:
            now = self._wall()
            self.accounts.keep(person, attempts.after_failure(now), at, now=now)
            self._note_refused(person, wrong.why)
            raise
        self.accounts.keep(person, Attempts(), at, now=self._wall())
        return opened  # type: ignore[return-value]  # None where only the password was looked at

    def _note_refused(self, person: str, why: str) -> None:
        """Every refusal is noted; in a storm the first of each minute, and how many more there were."""
        now = self._monotonic()
        if now - self._storm.since >= STORM_S:
            unsaid, self._storm = self._storm.unsaid, _Storm(since=now)
            if unsaid:
                self._note(self._refused("", f"and {unsaid} more refusals in the minute before"), None)
        self._storm.noted += 1
        if self._storm.noted > STORM_MAX:
            self._storm.unsaid += 1
        else:
            self._note(self._refused(person, why), None)

    def _may_enter(self, person_id: PersonId) -> Person:
        directory = self._directory()
        if directory is None:
            raise NotAllowed("cannot sign in", why="the directory of people has not reached this node yet", possible="wait for the link")
        person = directory.person(person_id)
        require(person, Act.READ, site=self.site)
        return person

    def _drop_idle(self) -> None:
        now = self._monotonic()
        self._sessions = {key: each for key, each in self._sessions.items() if now - each.used <= IDLE_S}
        while len(self._sessions) > SESSIONS_MAX:
            self._sessions.pop(min(self._sessions, key=lambda key: self._sessions[key].used))


def _key(token: str) -> str:
    return sha256(token.encode("utf-8", "replace")).hexdigest()


def _token(entropy: Entropy) -> str:
    return entropy(TOKEN_BYTES).hex()


def _printable(name: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in name.encode("utf-8", "replace").decode())[:40]
