"""The vault's keys, in a folder of their own: `vault.key`, and one small file for each person.

    vault key (32 bytes; in a file for the node's user only, or in a box that a passphrase opens by argon2id)
      wraps, AES-256-GCM        each person's key (32 bytes), bound to the code and to the vault key's generation
        encrypts, AES-256-GCM   that person's fields, bound to code, field and version

The folder lies beside the data, not in it, so that a copy of the data alone opens nothing, and can be put on another disk.

Guarantees: a wrapped key opens under its own code and generation only; `destroy` overwrites a person's key file with random bytes,
syncs, unlinks and syncs the folder, and what a cut left of a file that was being written goes the same way, then and whenever
the folder is opened; so it is safe to cut anywhere and to do again; `rotate` can be cut anywhere and goes on
at the next start, and destroys the old vault key last, when no person's key needs it any more. A person's key file that does
not open closes no other: a rotation is refused as long as there is one, and one that was begun ends when it is mended or destroyed.
What no program can promise: that a disk which never writes twice in one place (flash, copy-on-write) has no copy of an overwritten
block. That is what rotation is for: an old copy of a wrapped key opens nothing once its vault key is gone.
Leaves to others: what is encrypted (store), who may (acts), facts.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from isogenic.authority.accounts import SAFE, Cost, Entropy
from isogenic.errors import NotFound, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.ids import IdentityCode
from isogenic.records import codec
from isogenic.records.durable import make_folder, shred_unfinished, sync_folder, write_secret

__all__ = ["KeyFolder", "VaultKey", "new_vault_key"]

KEY_BYTES, NONCE_BYTES, SALT_BYTES = 32, 12, 16
PASSPHRASE_MIN = 15  # as for passwords that stand alone
FORMAT = "isogenic-vault-key/1"
KEY_FILE, NEXT_FILE, PERSONS = "vault.key", "vault.key.next", "persons"


@dataclass(frozen=True, slots=True)
class VaultKey:
    """The key that wraps the others. Never shown: `repr` names its generation only."""

    generation: int
    secret: bytes

    def __repr__(self) -> str:
        return f"VaultKey(generation={self.generation})"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A vault key as its file has it: bare, or in a box that a passphrase opens."""

    isogenic: str
    generation: int
    key: str = ""
    salt: str = ""
    nonce: str = ""
    box: str = ""
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class _Wrapped:
    """A person's key as its file has it."""

    generation: int
    nonce: str
    box: str


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as trouble:
        raise NotTrusted("cannot read a key of the vault", why="a field of its file is not base64") from trouble


def _derived(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    return hash_secret_raw(passphrase.encode(), salt, cost.time, cost.memory_kib, cost.lanes, KEY_BYTES, Type.ID)


def _save(path: Path, key: VaultKey, *, passphrase: str, entropy: Entropy, cost: Cost) -> None:
    if not passphrase:
        kept = _Kept(FORMAT, key.generation, key=_text(key.secret))
    else:
        if len(passphrase) < PASSPHRASE_MIN:
            raise NotValid("cannot use this passphrase", why=f"it has at least {PASSPHRASE_MIN} characters")
        salt, nonce = entropy(SALT_BYTES), entropy(NONCE_BYTES)
        box = AESGCM(_derived(passphrase, salt, cost)).encrypt(nonce, key.secret, f"{FORMAT}\n{key.generation}\n".encode())
        kept = _Kept(FORMAT, key.generation, salt=_text(salt), nonce=_text(nonce), box=_text(box), cost=cost)
    write_secret(path, codec.dumps(codec.plain(kept)))


def _load(path: Path, passphrase: str) -> VaultKey:
    try:
        kept = codec.read(_Kept, codec.loads(path.read_bytes(), what=path.name), what=path.name)
    except FileNotFoundError as missing:
        raise NotFound("no vault here", why=f"{path.parent.name}/{path.name} is not there", possible="isogenic vault new") from missing
    except OSError as trouble:
        raise NotReachable(f"cannot read {path.name}", why=str(trouble.strerror)) from trouble
    if kept.isogenic != FORMAT or kept.generation < 1:
        raise NotValid(f"cannot read {path.name}", why=f"it does not say that it is {FORMAT}")
    if kept.cost is None:
        secret = _bytes(kept.key)
    else:
        aad = f"{FORMAT}\n{kept.generation}\n".encode()
        try:
            secret = AESGCM(_derived(passphrase, _bytes(kept.salt), kept.cost)).decrypt(_bytes(kept.nonce), _bytes(kept.box), aad)
        except (InvalidTag, ValueError) as trouble:
            raise NotTrusted("cannot open the vault", why="the passphrase is wrong, or its key file was changed") from trouble
    if len(secret) != KEY_BYTES:
        raise NotValid(f"cannot read {path.name}", why="it does not hold a key")
    return VaultKey(kept.generation, secret)


def new_vault_key(folder: Path, *, entropy: Entropy, passphrase: str = "", cost: Cost = SAFE) -> VaultKey:
    """A fresh vault key in a folder that has none: a key that is there is never overwritten."""
    path = folder / KEY_FILE
    if path.exists() or (folder / PERSONS).exists():
        raise NotValid("cannot make a vault here", why="there is one already; its keys would be lost", possible="isogenic vault rotate")
    make_folder(folder / PERSONS)
    folder.chmod(0o700)
    key = VaultKey(1, entropy(KEY_BYTES))
    _save(path, key, passphrase=passphrase, entropy=entropy, cost=cost)
    return key


class KeyFolder:
    """An opened key folder."""

    def __init__(self, folder: Path, *, entropy: Entropy, passphrase: str = "", cost: Cost = SAFE) -> None:
        self.folder, self._entropy, self._passphrase, self._cost = folder, entropy, passphrase, cost
        waiting = folder / NEXT_FILE
        self._sweep()
        self._keys: dict[int, bytes] = {}
        try:
            found = _load(folder / KEY_FILE, passphrase)
            self._keys[found.generation] = found.secret
            self.generation = found.generation
        except Refusal:
            if not waiting.exists():  # the old one may be half destroyed where a rotation was cut at its very end
                raise
        if waiting.exists():
            self._resume(_load(waiting, passphrase))

    def _path(self, code: IdentityCode) -> Path:
        return self.folder / PERSONS / f"{code}.key"

    def codes(self) -> Iterator[IdentityCode]:
        """Whose keys are here."""
        for path in sorted((self.folder / PERSONS).glob("*.key")):
            with contextlib.suppress(NotValid):
                yield IdentityCode(path.name.removesuffix(".key"))

    def has(self, code: IdentityCode) -> bool:
        """Whether the key of a person is here."""
        return self._path(code).exists()

    def make(self, code: IdentityCode) -> bytes:
        """A fresh key for a person, kept wrapped."""
        if self.has(code):
            raise NotValid(f"cannot make a key for {code}", why="it has one")
        secret = self._entropy(KEY_BYTES)
        self._wrap(code, secret, self.generation)
        return secret

    def _wrap(self, code: IdentityCode, secret: bytes, generation: int) -> None:
        nonce = self._entropy(NONCE_BYTES)
        box = AESGCM(self._keys[generation]).encrypt(nonce, secret, _bound(code, generation))
        write_secret(self._path(code), codec.dumps(codec.plain(_Wrapped(generation, _text(nonce), _text(box)))))

    def key(self, code: IdentityCode) -> bytes:
        """The key of a person, or `NotFound`: nobody of that code, or erased; which of the two is not said here."""
        try:
            wrapped = codec.read(_Wrapped, codec.loads(self._path(code).read_bytes(), what="a key"), what="a key")
        except FileNotFoundError as missing:
            raise NotFound(f"no record of {code}", why="the vault has no key for it") from missing
        except OSError as trouble:
            raise NotReachable(f"cannot read the key of {code}", why=str(trouble.strerror)) from trouble
        try:
            return AESGCM(self._keys[wrapped.generation]).decrypt(_bytes(wrapped.nonce), _bytes(wrapped.box), _bound(code, wrapped.generation))
        except (InvalidTag, ValueError, KeyError) as trouble:
            raise NotTrusted(f"key of {code} refused", why="it was not wrapped for this code under this vault key") from trouble

    def destroy(self, code: IdentityCode) -> bool:
        """Destroy a person's key; False where there was none. Durable when this returns."""
        self._sweep()
        return _destroy(self._path(code), self._entropy)

    def _sweep(self) -> None:
        shred_unfinished(self.folder)
        shred_unfinished(self.folder / PERSONS)

    def damaged(self) -> list[IdentityCode]:
        """Whose key files do not open: changed, half written by somebody else, or put back from before a rotation."""
        found = []
        for code in self.codes():
            try:
                self.key(code)
            except Refusal:
                found.append(code)
        return found

    # ---- rotation ----

    def rotate(self) -> tuple[int, int]:
        """A fresh vault key; every person's key wrapped anew; the old one destroyed. Gives the generation and how many persons."""
        if damaged := self.damaged():
            raise NotTrusted(
                "cannot rotate the vault's key",
                why=f"the key of {', '.join(damaged[:10])} does not open, and could never be mended afterwards",
                possible="put the key file back from a copy, or erase the person; then rotate",
            )
        fresh = VaultKey(self.generation + 1, self._entropy(KEY_BYTES))
        _save(self.folder / NEXT_FILE, fresh, passphrase=self._passphrase, entropy=self._entropy, cost=self._cost)
        return self._resume(fresh)

    def _resume(self, fresh: VaultKey) -> tuple[int, int]:
        self._keys[fresh.generation] = fresh.secret
        self.generation = fresh.generation
        damaged = self.damaged()
        codes = [code for code in self.codes() if code not in damaged]
        for code in codes:
            self._wrap(code, self.key(code), fresh.generation)
        if damaged:  # the old vault key stays: a copy of their key files may still come back, and the next start ends the rotation
            return fresh.generation, len(codes)
        with contextlib.suppress(FileNotFoundError):
            _overwrite(self.folder / KEY_FILE, self._entropy)
        (self.folder / NEXT_FILE).replace(self.folder / KEY_FILE)
        sync_folder(self.folder)
        self._keys = {fresh.generation: fresh.secret}
        return fresh.generation, len(codes)


def _bound(code: IdentityCode, generation: int) -> bytes:
    return f"isogenic-person-key/1\n{code}\n{generation}\n".encode()


def _overwrite(path: Path, entropy: Entropy) -> None:
    handle = os.open(path, os.O_WRONLY)
    try:
        size = os.fstat(handle).st_size
        os.pwrite(handle, entropy(max(size, 1)), 0)
        os.fsync(handle)
    finally:
        os.close(handle)


def _destroy(path: Path, entropy: Entropy) -> bool:
    try:
        _overwrite(path, entropy)
        path.unlink()
        sync_folder(path.parent)
    except FileNotFoundError:
        return False
    except OSError as trouble:
        raise NotReachable("key not destroyed", why=str(trouble.strerror), possible="free the disk; it is tried again at the next start") from trouble
    return True
