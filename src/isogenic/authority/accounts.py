"""Accounts: how a person proves at a node to be that person. Kept in a file of the node, never in a ledger.

    password --argon2id, salt 1--> hash             compared at sign-in
    password --argon2id, salt 2--> key --ChaCha20-Poly1305--> the sealed private key, opened to sign

Guarantees: the account's text alone gives nobody the private key; a changed byte, a box
of another person or a wrong password opens nothing; guesses are slowed by argon2id and
stopped by a lock (21 CFR 11.300(d)); costs read from a file are bounded, so a planted
account cannot exhaust the machine.
Leaves to others: keeping the file, counting attempts per person, sessions. Random bytes
come by argument.
"""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import argon2
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from isogenic.checks import Note, Severity, stops
from isogenic.clock import text_of_time
from isogenic.errors import NotAllowed, NotTrusted, NotValid
from isogenic.ids import PersonId
from isogenic.records import codec
from isogenic.records.notes import Signer, VerifyingKey

__all__ = [
    "SAFE",
    "Account",
    "Attempts",
    "Cost",
    "Entropy",
    "SealedKey",
    "change_password",
    "check_in_force",
    "check_not_locked",
    "check_password_is_long",
    "check_password_is_not_obvious",
    "check_sign_in",
    "new_account",
    "open_account",
    "password_notes",
    "read_account",
    "renewal",
    "text_of_account",
]

Entropy = Callable[[int], bytes]  # n -> n random bytes; `secrets.token_bytes` in production

PASSWORD_MIN = 15  # NIST SP 800-63B-4, 3.1.1.2: where the password is the only factor
PASSWORD_MAX = 128  # the same clause asks for at least 64; a bound keeps hashing cheap
SIGNS_MIN = 6  # fewer different characters are one key held down
LOCK_AFTER = 5  # wrong passwords in a row
LOCK_FOR = timedelta(minutes=15)
SALT_BYTES, NONCE_BYTES, KEY_BYTES = 16, 12, 32
MEMORY_MAX_KIB, TIME_MAX, LANES_MAX = 2**20, 16, 16  # 1 GiB: what a node can spare for one sign-in


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess costs: argon2id's passes, memory and lanes."""

    time: int
    memory_kib: int
    lanes: int

    def __post_init__(self) -> None:
        if not (1 <= self.time <= TIME_MAX and 1 <= self.lanes <= LANES_MAX and 8 * self.lanes <= self.memory_kib <= MEMORY_MAX_KIB):
            raise NotValid(
                f"cannot use argon2id with {self.time} passes, {self.memory_kib} KiB and {self.lanes} lanes",
                why=f"at most {TIME_MAX}, {MEMORY_MAX_KIB} and {LANES_MAX}, and 8 KiB to a lane",
            )


SAFE = Cost(time=3, memory_kib=65_536, lanes=4)  # RFC 9106, second recommended option


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A private signing key in a box that the password opens."""

    key: str  # vkey of what is inside
    salt: str  # base64, as the others
    nonce: str
    box: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class Account:
    """One person's account at one node."""

    person: PersonId
    password_hash: str  # PHC string of argon2id
    sealed_key: SealedKey
    changed_at: datetime | None = None  # since when this password stands; accounts of before this was kept do not say
    temporary_until: datetime | None = None  # a password that somebody else gave out: changed at the first sign-in, and soon
    revoked: str = ""  # why this account opens to nobody: its password was lost or stolen


def check_password_is_long(password: str) -> list[Note]:
    """NIST SP 800-63B-4: length counts, composition rules do not help."""
    if PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        return []
    return [
        Note("check_password_is_long", Severity.STOP, f"a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters; this one has {len(password)}")
    ]


def check_password_is_not_obvious(password: str, person: PersonId) -> list[Note]:
    """Neither the person's id nor one key held down; nothing that a keyboard could not type again."""
    notes = []
    if person.lower() in password.lower():
        notes.append("a password does not contain the person's id")
    if len(set(password)) < SIGNS_MIN:
        notes.append(f"a password has at least {SIGNS_MIN} different characters")
    if not password.isprintable():
        notes.append("a password is made of characters that can be seen and typed")
    return [Note("check_password_is_not_obvious", Severity.STOP, text) for text in notes]


def password_notes(password: str, person: PersonId) -> list[Note]:
    """Everything that speaks against a new password."""
    return check_password_is_long(password) + check_password_is_not_obvious(password, person)


def new_account(
    person: PersonId,
    password: str,
    signer: Signer,
    *,
    entropy: Entropy,
    cost: Cost = SAFE,
    at: datetime | None = None,
    temporary_until: datetime | None = None,
) -> Account:
    """Seal a private key under a password. Raises `NotValid` with every rule that the password breaks."""
    against = stops(password_notes(password, person))
    if against:
        raise NotValid(
            "cannot use this password", why="; ".join(note.text for note in against), possible="four or five words that do not belong together"
        )
    secret = _secret(password)
    hashed = _hasher(cost).hash(secret, salt=entropy(SALT_BYTES))
    salt, nonce, key = entropy(SALT_BYTES), entropy(NONCE_BYTES), str(signer.verifying_key)
    box = ChaCha20Poly1305(_derived(secret, salt, cost)).encrypt(nonce, signer.seed(), _bound_to(person, key))
    return Account(person, hashed, SealedKey(key, _text(salt), _text(nonce), _text(box), cost), at, temporary_until)


def change_password(account: Account, old: str, new: str, *, at: datetime, entropy: Entropy, cost: Cost = SAFE) -> Account:
    """The same person and the same key behind another password (21 CFR 11.300(b))."""
    signer = open_account(account, old)
    if _secret(new) == _secret(old):
        raise NotValid(
            "cannot use this password", why="it is the one that it is to replace", possible="four or five words that do not belong together"
        )
    return new_account(account.person, new, signer, entropy=entropy, cost=cost, at=at)


def renewal(account: Account, now: datetime, *, days: float) -> str:
    """Why the password must be changed before anything else is done, or nothing."""
    if account.temporary_until is not None:
        return "it is a temporary one"
    if account.changed_at is not None and now - account.changed_at > timedelta(days=days):
        return f"it is older than {days:g} days"
    return ""


def check_in_force(account: Account, now: datetime) -> None:
    """Raise `NotAllowed` for a revoked account, and for a temporary password that nobody used in time."""
    ask = "an administrator gives out a new one"
    if account.revoked:
        raise NotAllowed("cannot sign in", why=f"the password was revoked: {account.revoked}", possible=ask)
    if account.temporary_until is not None and now > account.temporary_until:
        raise NotAllowed("cannot sign in", why=f"the temporary password ended at {text_of_time(account.temporary_until)}", possible=ask)


def check_sign_in(account: Account, password: str) -> None:
    """Raise `NotTrusted` unless this is the password. The words are the same whatever was wrong."""
    try:
        argon2.PasswordHasher().verify(account.password_hash, _secret(password))  # costs come from the hash itself
    except (VerifyMismatchError, VerificationError, InvalidHashError) as trouble:
        raise _wrong() from trouble


def open_account(account: Account, password: str) -> Signer:
    """The person's private key, to sign with; 21 CFR 11.200(a)(1): the password is given again at each signing."""
    sealed = account.sealed_key
    key = VerifyingKey.parse(sealed.key)
    salt, nonce, box = (_bytes(text) for text in (sealed.salt, sealed.nonce, sealed.box))
    try:
        seed = ChaCha20Poly1305(_derived(_secret(password), salt, sealed.cost)).decrypt(nonce, box, _bound_to(account.person, sealed.key))
    except (InvalidTag, ValueError) as trouble:
        raise _wrong() from trouble
    signer = Signer.from_seed(key.name, seed, algorithm=key.algorithm)
    if signer.verifying_key != key:
        raise NotTrusted(f"account of {account.person} refused", why="the key in its box is not the one it names")
    return signer


@dataclass(frozen=True, slots=True)
class Attempts:
    """Wrong passwords in a row for one person. A right one goes back to `Attempts()`."""

    failures: int = 0
    locked_until: datetime | None = None

    def after_failure(self, now: datetime) -> Attempts:
        """One more; every `LOCK_AFTER` of them the account is locked for a while."""
        failures = self.failures + 1
        return Attempts(failures, now + LOCK_FOR if failures % LOCK_AFTER == 0 else self.locked_until)


def check_not_locked(attempts: Attempts, now: datetime) -> None:
    """Raise `NotAllowed` while the account is locked. Asked before the password is looked at, so that guessing learns nothing."""
    if attempts.locked_until is not None and now < attempts.locked_until:
        raise NotAllowed(
            "cannot sign in", why=f"{attempts.failures} wrong passwords in a row", possible=f"try again after {text_of_time(attempts.locked_until)}"
        )


def text_of_account(account: Account) -> bytes:
    """The account as JSON, for the node's file."""
    return codec.dumps({"isogenic": "account/1", **codec.plain(account)}) + b"\n"


def read_account(data: bytes) -> Account:
    """Read what `text_of_account` wrote; refuses costs that the machine could not bear."""
    plain = codec.loads(data, what="an account")
    if not isinstance(plain, dict) or plain.pop("isogenic", None) != "account/1":
        raise NotValid("cannot read an account", why="it does not say that it is account/1")
    account = codec.read(Account, plain, what="account")
    VerifyingKey.parse(account.sealed_key.key)
    sizes = [len(_bytes(text)) for text in (account.sealed_key.salt, account.sealed_key.nonce, account.sealed_key.box)]
    if sizes != [SALT_BYTES, NONCE_BYTES, KEY_BYTES + 16]:
        raise NotValid("cannot read an account", why="its sealed key is not of the right size")
    try:
        found = argon2.extract_parameters(account.password_hash)
        Cost(found.time_cost, found.memory_cost, found.parallelism)
    except (InvalidHashError, ValueError) as trouble:
        raise NotValid("cannot read an account", why="its password hash is not an argon2id hash") from trouble
    if found.type is not Type.ID:
        raise NotValid("cannot read an account", why="its password hash is not an argon2id hash")
    return account


def _wrong() -> NotTrusted:
    return NotTrusted("cannot sign in", why="the person or the password is wrong")


def _secret(password: str) -> bytes:
    # RFC 8265 OpaqueString: the same characters typed on another keyboard give the same bytes.
    if len(password) > PASSWORD_MAX:
        raise _wrong()
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _hasher(cost: Cost) -> argon2.PasswordHasher:
    return argon2.PasswordHasher(time_cost=cost.time, memory_cost=cost.memory_kib, parallelism=cost.lanes, hash_len=32, salt_len=SALT_BYTES)


def _derived(secret: bytes, salt: bytes, cost: Cost) -> bytes:
    return hash_secret_raw(secret, salt, time_cost=cost.time, memory_cost=cost.memory_kib, parallelism=cost.lanes, hash_len=KEY_BYTES, type=Type.ID)


def _bound_to(person: PersonId, key: str) -> bytes:
    return f"isogenic-account/1\n{person}\n{key}\n".encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as trouble:
        raise NotValid("cannot read an account", why="a field of its sealed key is not base64") from trouble
