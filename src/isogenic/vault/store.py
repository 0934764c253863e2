"""Records of persons: each field a box that only that person's key opens.

Guarantees: what is on the disk is code, name of the field, version, and a box: AES-256-GCM under the person's key, bound to code, field
and version, so that no box can be moved to another person, field or time; values are padded to 64 bytes, so that a box's length
says little; deleted rows are overwritten (SQLite secure_delete), which is tidiness, not the erasure: that is the key's end.
No refusal here repeats a value.
Leaves to others: keys, who may, facts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

import apsw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from isogenic.authority.accounts import Entropy
from isogenic.errors import NotReachable, NotTrusted, NotValid
from isogenic.ids import IdentityCode
from isogenic.records.durable import make_folder
from isogenic.vault.keys import NONCE_BYTES, KeyFolder

__all__ = ["Field", "Vault", "checked"]

VALUE_MAX = 500  # characters
PAD = 64  # bytes
_LAYOUT = """
CREATE TABLE IF NOT EXISTS field (
    code TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, nonce BLOB NOT NULL, box BLOB NOT NULL, PRIMARY KEY (code, name)
) WITHOUT ROWID;
"""


class Field(StrEnum):
    """What may be kept of a person: a closed list, so that the name of a field never is a value."""

    GIVEN_NAMES = "given_names"
    FAMILY_NAME = "family_name"
    DATE_OF_BIRTH = "date_of_birth"
    SEX = "sex"
    NATIONAL_NUMBER = "national_number"
    HOSPITAL = "hospital"
    HOSPITAL_NUMBER = "hospital_number"
    CLINICIAN = "clinician"
    BLOOD_GROUP = "blood_group"
    TELEPHONE = "telephone"
    EMAIL = "email"
    ADDRESS = "address"
    REMARK = "remark"


def checked(fields: Mapping[str, str]) -> dict[Field, str]:
    """Fields as they may be kept, or `NotValid` that names at most the field."""
    if not fields:
        raise NotValid("cannot enter nobody", why="no field was given", possible=", ".join(Field))
    found: dict[Field, str] = {}
    for name, value in fields.items():
        if name not in list(Field):
            raise NotValid("cannot keep this of a person", why="the field is not one of those that the vault has", possible=", ".join(Field))
        if not isinstance(value, str) or not value.strip() or len(value) > VALUE_MAX or not value.isprintable():
            raise NotValid(f"cannot keep the {Field(name)}", why=f"it is one line of 1 to {VALUE_MAX} printable characters")
        found[Field(name)] = value.strip()
    return found


def _padded(value: str) -> bytes:
    data = value.encode()
    return data + b"\x00" * (-len(data) % PAD or (PAD if not data else 0))


class Vault:
    """Records by code. One process at a time, as with the node's other files."""

    def __init__(self, folder: Path, keys: KeyFolder, *, entropy: Entropy) -> None:
        self.keys, self._entropy = keys, entropy
        make_folder(folder)
        folder.chmod(0o700)
        path = folder / "persons.sqlite"
        path.touch(mode=0o600)
        try:
            self._db = apsw.Connection(str(path))
            for pragma in ("journal_mode=DELETE", "synchronous=FULL", "secure_delete=ON", "temp_store=MEMORY"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.execute(_LAYOUT)
        except apsw.Error as trouble:
            raise NotReachable("cannot open the vault", why=type(trouble).__name__, possible="check the disk, or restore the file") from trouble

    def codes(self) -> list[IdentityCode]:
        """Everybody of whom there is a record."""
        return [IdentityCode(str(row[0])) for row in self._rows("SELECT DISTINCT code FROM field ORDER BY code")]

    def keep(self, code: IdentityCode, fields: Mapping[Field, str]) -> None:
        """Keep fields of a person; a field that is there gets its next version, and the one before is overwritten."""
        secret = AESGCM(self.keys.key(code) if self.keys.has(code) else self.keys.make(code))
        versions = {str(row[0]): int(str(row[1])) for row in self._rows("SELECT name, version FROM field WHERE code = ?", (str(code),))}
        rows = []
        for name, value in fields.items():
            version, nonce = versions.get(name, 0) + 1, self._entropy(NONCE_BYTES)
            rows.append((str(code), str(name), version, nonce, secret.encrypt(nonce, _padded(value), _bound(code, name, version))))
        with self._writing():
            for row in rows:
                self._db.execute("INSERT OR REPLACE INTO field VALUES (?, ?, ?, ?, ?)", row)

    def read(self, code: IdentityCode) -> dict[Field, str]:
        """A person's record. Raises `NotFound` where there is no key, `NotTrusted` where a box was changed or moved."""
        secret = AESGCM(self.keys.key(code))
        found: dict[Field, str] = {}
        for name, version, nonce, box in self._rows("SELECT name, version, nonce, box FROM field WHERE code = ?", (str(code),)):
            try:
                field = Field(str(name))
                data = secret.decrypt(nonce, box, _bound(code, field, version))  # type: ignore[arg-type]
                found[field] = data.rstrip(b"\x00").decode()
            except (InvalidTag, ValueError, TypeError) as trouble:
                raise NotTrusted(f"record of {code} refused", why="a field was changed, or was written for another place") from trouble
        return {field: found[field] for field in Field if field in found}

    def erase(self, code: IdentityCode) -> None:
        """Destroy the person's key, then delete what it had encrypted. Safe to do again."""
        self.keys.destroy(code)
        with self._writing():
            self._db.execute("DELETE FROM field WHERE code = ?", (str(code),))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._db:
                yield
        except apsw.Error as trouble:  # its words may hold a value: only its kind is told
            raise NotReachable("nothing was kept in the vault", why=type(trouble).__name__, possible="free the disk and try again") from None

    def _rows(self, sql: str, values: tuple[str, ...] = ()) -> list[tuple[object, ...]]:
        try:
            return list(self._db.execute(sql, values))
        except apsw.Error as trouble:
            raise NotReachable("cannot read the vault", why=type(trouble).__name__, possible="check the disk, or restore the file") from trouble

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _bound(code: IdentityCode, field: str, version: object) -> bytes:
    return f"isogenic-person-field/1\n{code}\n{field}\n{version}\n".encode()
