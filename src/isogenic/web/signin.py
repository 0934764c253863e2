"""Signing in: who sits at the screen, for how long, and with whose key they sign.

Guarantees: a password is looked at in a thread, never on the scan loop, and for one person
one at a time, so that a hundred guesses at once count as a hundred; an unknown name costs as
long as a known one and is answered in the same words; every sign-in, every refusal and every lock is
noted (21 CFR 11.300(d)). A session is a random token that dies of inactivity and with its
node; it proves who reads, never who signs: to sign, the password is given again
(21 CFR 11.200(a)). Failures at the door, failures to sign and failures of passkeys are counted and
waited for apart: whoever has no session cannot keep anybody from signing. A password that is temporary or
too old opens a session in which it can be renewed, and nothing else be done (11.300(b)).
Leaves to others: what the account's text means (authority), what the person may do (rules), passkeys (web.passkeys).

Time here is the wall's: a person is idle and an account is locked for minutes of life, however
fast the process time of a demonstration runs.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from isogenic.authority.accounts import (
    SAFE,
    Account,
    Attempts,
    Cost,
    Entropy,
    change_password,
    check_in_force,
    check_not_locked,
    check_sign_in,
    new_account,
    open_account,
    read_account,
    renewal,
    text_of_account,
)
from isogenic.authority.identities import AccountLocked, PasswordChanged
from isogenic.authority.passkeys import LOCAL
from isogenic.authority.people import Directory, Person, Role
from isogenic.authority.rules import Act, require
from isogenic.clock import SystemClock, monotonic_seconds
from isogenic.errors import NotAllowed, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.ids import NodeId, PersonId, SiteId
from isogenic.records import codec
from isogenic.records.durable import write_whole
from isogenic.records.facts import Actor, Payload
from isogenic.records.notes import Signer
from isogenic.records.signatures import PASSWORD

__all__ = ["AccountFolder", "Door", "Keeping", "Session"]

IDLE_S = 15 * 60.0  # without a request, a session is over
SESSIONS_MAX = 1_000  # at one node; the one idle longest goes first
NAMES_MAX = 1_000  # names without an account whose wrong passwords are counted; names that are typed are not to fill the disk
WAITING_MAX = 32  # passwords waiting to be looked at
AT_ONCE = 2  # argon2id takes 64 MiB each
UNKNOWN = "an unknown name"
SAFE_ID = PersonId.pattern
STORM_S, STORM_MAX = 60.0, 60  # refusals noted in a minute: whoever cannot sign in must not be able to fill the ledger
TOKEN_BYTES = 32
METHOD = PASSWORD
ATTEMPTS = "attempts.list"  # not *.json: it is no account
COUNTERS = "counters.list"  # how often each passkey says that it was used
ACCOUNT_BYTES_MAX = 64 * 1024

log = logging.getLogger(__name__)


class At(StrEnum):
    """Where somebody proves who they are. The door is open to everybody; to sign, one must be inside; a passkey cannot be guessed at all."""

    DOOR = "door"
    SIGNING = "signing"
    PASSKEY = "passkey"


@dataclass(frozen=True, slots=True)
class Keeping:
    """How this node keeps its door."""

    domain: str = LOCAL  # the WebAuthn RP ID: the name under which people open the screens, or what its end is
    idle_s: float = IDLE_S
    password_days: float = 365.0  # after which a password is renewed (21 CFR 11.300(b))


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
        # No id of a person has a slash.
        plain = {str(name) if where is At.DOOR else f"{name}/{where}": codec.plain(each) for (name, where), each in self._attempts.items()}
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
            split = {name.partition("/"): each for name, each in plain.items()}
            return {(PersonId(name), At(where) if where in set(At) else At.DOOR): each for (name, _, where), each in split.items()}
        except FileNotFoundError:
            return {}
        except NotValid as trouble:
            # A node that does not start helps nobody who can damage this file; that the locks of the last minutes are gone must be known.
            log.warning("%s cannot be read (%s): no wrong password from before this start is counted", ATTEMPTS, trouble.why)
            return {}
        except OSError as trouble:
            raise NotReachable(f"cannot read {ATTEMPTS}", why=str(trouble.strerror or trouble), possible="check the folder of accounts") from trouble

    # ---- what a person was given ----

    def everybody(self) -> list[PersonId]:
        """Who has an account here."""
        names = (path.stem for path in sorted(self.folder.glob("*.json")))
        return [PersonId(name) for name in names if PersonId.pattern.fullmatch(name)]

    def put(self, account: Account) -> None:
        """Keep an account instead of the one before it."""
        make_private_folder(self.folder)
        write_whole(self.folder / f"{account.person}.json", text_of_account(account), mode=0o600)

    def counter(self, credential: str) -> int:
        """How often a passkey said that it was used when it was last heard."""
        return self._counters().get(credential, 0)

    def count(self, credential: str, uses: int) -> None:
        """Keep what a passkey said."""
        known = self._counters()
        if known.get(credential) != uses:
            make_private_folder(self.folder)
            write_whole(self.folder / COUNTERS, codec.dumps({**known, credential: uses}) + b"\n", mode=0o600)

    def _counters(self) -> dict[str, int]:
        try:
            return codec.read(dict[str, int], codec.loads((self.folder / COUNTERS).read_bytes(), what=COUNTERS), what=COUNTERS)
        except FileNotFoundError:
            return {}
        except OSError as trouble:
            raise NotReachable(f"cannot read {COUNTERS}", why=str(trouble.strerror or trouble), possible="check the folder of accounts") from trouble


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
    method: str = METHOD
    signed: bool = False  # 21 CFR 11.200(a)(1)(i): the first signing takes both components
    renew: str = ""  # why the password is renewed before anything else is done


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
        keeping: Keeping | None = None,
    ) -> None:
        """`note` writes a fact of this node; `signed_in` and `refused` make its facts. `site`: None at the control site."""
        self.accounts, self.site, self.entropy, self.now = accounts, site, entropy, wall
        self.keeping, self._cost = keeping or Keeping(), cost
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
            self._note_refused("", "no such form of a person's id")
            raise NotTrusted("cannot sign in", why="the person or the password is wrong") from None
        await self._look(person_id, At.DOOR, lambda account: check_sign_in(account, password))
        account, now = self.accounts.account(person_id), self._wall()
        assert account is not None  # its password was the right one
        try:
            check_in_force(account, now)
        except NotAllowed as refusal:
            self._note_refused(person_id, refusal.why)
            raise
        return self.enter(person_id, METHOD, renew=renewal(account, now, days=self.keeping.password_days))

    def enter(self, person_id: PersonId, method: str, *, renew: str = "") -> Session:
        """A session for a person who has proved who they are, if they may come in."""
        try:
            person = self._may_enter(person_id)
        except Refusal as refusal:
            self._note_refused(person_id, refusal.why[:200])
            raise
        session = Session(_token(self._entropy), person.id, person.roles, self._monotonic(), method, renew=renew)
        self._sessions[_key(session.token)] = session
        self._drop_idle()
        self._note(self._signed_in(person.id, method), Actor(person.id, str(person.roles[0]), method))
        return session

    def session(self, token: str | None) -> Session:
        """The session of a token, and one more sign of life in it."""
        now = self._monotonic()
        found = self._sessions.get(_key(token)) if token else None
        if found is None or now - found.used > self.keeping.idle_s:
            if token:
                self._sessions.pop(_key(token), None)
            raise NotTrusted("you are not signed in", why="there is no session, or it was idle for too long", possible="sign in")
        found = replace(found, used=now)
        self._sessions[_key(found.token)] = found
        return found

    def seen(self, token: str | None) -> Session:
        """The session of a token, without a sign of life in it: a page that asks by itself keeps nobody signed in."""
        found = self._sessions.get(_key(token)) if token else None
        if found is None or not self.alive(found):
            return self.session(token)  # refuses
        return found

    def alive(self, session: Session) -> bool:
        """Whether a session goes on; asking is no sign of life."""
        found = self._sessions.get(_key(session.token))
        return found is not None and self._monotonic() - found.used <= self.keeping.idle_s

    def person(self, session: Session) -> Person:
        """The person of a session as on file now: who left is out at once."""
        return self._may_enter(session.person)

    def sign_out(self, session: Session) -> None:
        """End a session."""
        self._sessions.pop(_key(session.token), None)

    def put_out(self, person: PersonId) -> None:
        """End every session of a person: what opened them was lost, or they are shut out."""
        self._sessions = {key: each for key, each in self._sessions.items() if each.person != person}

    def holder(self, credential: str) -> Person | None:
        """Whose passkey this is, removed or not."""
        directory = self._directory()
        people = directory.people.values() if directory is not None else ()
        return next((person for person in people if person.passkey(credential) is not None), None)

    def has_signed(self, session: Session) -> bool:
        """Whether somebody has signed in this session with both components."""
        found = self._sessions.get(_key(session.token))
        return found is not None and found.signed

    def signed(self, session: Session) -> None:
        """Both components were given."""
        found = self._sessions.get(_key(session.token))
        if found is not None and not found.signed:
            self._sessions[_key(session.token)] = replace(found, signed=True)

    @contextmanager
    def noting(self, person: PersonId | str, at: At) -> Iterator[None]:
        """Count and note a failure of what is done inside; a success forgets the failures before it. No success while they lock."""
        known = PersonId(person) if person else None
        attempts = self.accounts.attempts(known, at) if known else Attempts()
        try:
            check_not_locked(attempts, self._wall())
            yield
        except NotAllowed as locked:
            self._note_refused(person, locked.why)
            raise
        except NotTrusted as wrong:
            if known:
                self._count_failure(known, attempts, at)
            self._note_refused(person, wrong.why)
            raise
        if known:
            self.accounts.keep(known, Attempts(), at, now=self._wall())

    def _count_failure(self, person: PersonId, attempts: Attempts, at: At) -> None:
        now = self._wall()
        after = attempts.after_failure(now)
        self.accounts.keep(person, after, at, now=now)
        if after.locked_until is not None and after.locked_until != attempts.locked_until and self._storm.noted <= STORM_MAX:
            self._note(AccountLocked(person, str(at), after.failures, after.locked_until), None)  # 21 CFR 11.300(d): told at once

    # ---- renewing ----

    async def renew(self, session: Session, old: str, new: str) -> None:
        """Another password for the same key, by the person who knows the one before it."""
        account = self.accounts.account(session.person)
        if account is None:
            raise NotAllowed("cannot renew the password", why="you have no account at this node")
        await self.signer(session, old)
        now = self._wall()
        made = await asyncio.to_thread(lambda: change_password(account, old, new, at=now, entropy=self._entropy, cost=self._cost))
        self.accounts.put(made)
        found = self._sessions.get(_key(session.token))
        why = session.renew or "renewed by the person"
        self.put_out(session.person)  # whoever knew the old one is out
        if found is not None:
            self._sessions[_key(session.token)] = replace(found, renew="")
        self._note(PasswordChanged(session.person, NodeId(self.site or "CONTROL"), why), Actor(session.person, str(session.roles[0]), session.method))

    async def issue(self, person: PersonId, *, hours: float) -> tuple[str, Account, Signer]:
        """A temporary password, the account that it opens, and the new key in it. Nothing is kept yet."""
        password = "-".join(self._entropy(4).hex() for _ in range(4))
        signer = Signer.from_seed(f"person/{person}", self._entropy(32))
        now = self._wall()
        until = now + timedelta(hours=hours)
        account = await asyncio.to_thread(
            lambda: new_account(person, password, signer, entropy=self._entropy, cost=self._cost, at=now, temporary_until=until)
        )
        return password, account, signer

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
            self._count_failure(person, attempts, at)
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
            self._note(self._refused(self._name_on_file(person), why), None)

    def _name_on_file(self, typed: str) -> str:
        """The id, if it is somebody's. What else is typed into that field may be a password or a patient's name, and a ledger keeps it for ever."""
        directory = self._directory()
        known = directory is not None and any(str(each) == typed for each in directory.people)
        return typed if known or (SAFE_ID.fullmatch(typed) and self.accounts.account(PersonId(typed)) is not None) else UNKNOWN

    def _may_enter(self, person_id: PersonId) -> Person:
        directory = self._directory()
        if directory is None:
            raise NotAllowed("cannot sign in", why="the directory of people has not reached this node yet", possible="wait for the link")
        person = directory.person(person_id)
        require(person, Act.READ, site=self.site)
        return person

    def _drop_idle(self) -> None:
        now = self._monotonic()
        self._sessions = {key: each for key, each in self._sessions.items() if now - each.used <= self.keeping.idle_s}
        while len(self._sessions) > SESSIONS_MAX:
            self._sessions.pop(min(self._sessions, key=lambda key: self._sessions[key].used))


def _key(token: str) -> str:
    return sha256(token.encode("utf-8", "replace")).hexdigest()


def _token(entropy: Entropy) -> str:
    return entropy(TOKEN_BYTES).hex()
