"""A dossier: everything a stranger needs to verify a record, in one folder, and the same as a .zip.

    manifest.json             every other file with its SHA-256 and size; which files hold which ledger
    manifest.sig              signed note over the SHA-256 of manifest.json
    keys.txt                  public keys: role, name, key, title; a writer's with the sizes that it counts for, where it was revoked
    ledgers/N-NAME.jsonl      every fact of a ledger from the first on, one to a line: its exact bytes
    ledgers/N-NAME.leaves     the RFC 6962 leaf digest of each line, in hex, so that a changed fact can be named
    ledgers/N-NAME.note       the cosigned checkpoint over those facts
    blocks/DIGEST.parquet     reading blocks by SHA-256
    documents/…               pages for people

Guarantees: the files say all that `verify` needs; the same content gives the same bytes,
the .zip's too (entries stored, in order of name, without times), so that any changed byte
of either is found.
Leaves to others: verifying (verify.py), what the documents say.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import orjson

from isogenic.clock import text_of_time
from isogenic.errors import NotFound, NotValid
from isogenic.records.blobs import BlobStore
from isogenic.records.durable import write_whole
from isogenic.records.keys import Change, Era, WriterKeys
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Signer, VerifyingKey, sign_note
from isogenic.records.store import LedgerStore

__all__ = [
    "CONTROL",
    "FORMAT",
    "MANIFEST",
    "Key",
    "KeyRole",
    "LedgerPart",
    "audience_of",
    "pack",
    "parse_keys",
    "write_dossier",
    "writer_lines",
    "writers_of",
    "written_by",
]

FORMAT = "isogenic dossier 1"
CONTROL = "CONTROL"  # how origins name the control site
MANIFEST, MANIFEST_SIG, KEYS = "manifest.json", "manifest.sig", "keys.txt"
KEYS_HEAD = "# role name key title. Compare the fingerprints with a list that you got another way.\n"
KEYS_MAX = 10_000  # lines of a key file
READ_FACTS = 4_096  # facts read from a store at a time
_ROLE = re.compile(r"(-|writer|witness|dossier|person)(?::([0-9]{1,15})-([0-9]{1,15})?)?")
SAFE_PATH = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,119}/){0,3}[A-Za-z0-9_-][A-Za-z0-9._-]{0,119}")


class KeyRole(StrEnum):
    """What a public key of a dossier is for."""

    WRITER = "writer"  # signs the checkpoints of the ledger that the name says
    WITNESS = "witness"  # cosigns
    DOSSIER = "dossier"  # signed the manifest
    PERSON = "person"  # a person's signatures inside facts


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, what it is for, and whose it is. Without a role: trusted only as what its own name says.

    A key named `example.org/leeds` then signs ledgers whose origin begins with that name and a slash; one that ends in
    `/ANN` is ANN's. It never signs a manifest and never cosigns.
    """

    role: KeyRole | None
    name: str  # the origin of a writer's ledger, else the id of the node or person
    key: VerifyingKey
    title: str = ""
    first: int = 0  # of a writer: the sizes of checkpoints that it counts for, before any rotation in the ledger itself
    last: int | None = None

    def line(self) -> str:
        """One line of keys.txt."""
        sizes = f":{self.first}-{'' if self.last is None else self.last}" if self.first or self.last is not None else ""
        return f"{self.role or '-'}{sizes} {self.name or '-'} {self.key} {self.title}".rstrip() + "\n"

    def within(self, listed: Key) -> Key:
        """This key, for those sizes only that a reader's list has it for."""
        lasts = [last for last in (self.last, listed.last) if last is not None]
        return replace(self, first=max(self.first, listed.first), last=min(lasts, default=None))

    @property
    def counts(self) -> bool:
        """Whether it counts for any size at all."""
        return self.last is None or self.first <= self.last

    def trusts(self, used: Key) -> bool:
        """Whether this line of a reader's list allows what a dossier uses a key for."""
        if self.key != used.key or self.role not in (None, used.role) or self.name not in ("", used.name):
            return False
        if used.role is KeyRole.WRITER:
            return bool(self.name) or used.name.startswith(self.key.name + "/")
        if used.role is KeyRole.PERSON:
            return bool(self.name) or self.key.name.rpartition("/")[2] == used.name
        return self.role is not None


def parse_keys(text: str) -> tuple[Key, ...]:
    """Read a key file: `role name vkey title` to a line, or a bare vkey; empty lines and `#` comments are passed over."""
    lines = text.split("\n")
    if len(lines) > KEYS_MAX:
        raise NotValid("cannot read keys", why=f"{len(lines)} lines are more than {KEYS_MAX}")
    keys = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            parts = line.split(None, 3)
            if len(parts) == 1:
                keys.append(Key(None, "", VerifyingKey.parse(parts[0])))
            elif len(parts) < 3:
                raise NotValid("cannot read a key", why="the form is role, name, key and title, or a key alone")
            else:
                keys.append(_key(parts[0], parts[1], parts[2], "".join(parts[3:]).strip()))
        except (NotValid, ValueError) as trouble:
            raise NotValid(f"cannot read keys, line {number}", why=str(trouble)) from trouble
    return tuple(keys)


def _key(role: str, name: str, key: str, title: str) -> Key:
    found = _ROLE.fullmatch(role)
    if found is None or (found[2] and found[1] != KeyRole.WRITER):
        raise NotValid("cannot read a key", why=f"{role[:40]!r} is not a role, or -; a writer's may name sizes, as in writer:1-4711")
    first, last = int(found[2] or 0), int(found[3]) if found[3] else None
    return Key(None if found[1] == "-" else KeyRole(found[1]), "" if name == "-" else name, VerifyingKey.parse(key), title, first, last)


def writer_lines(keys: WriterKeys, title: str) -> list[Key]:
    """What a key file must say of a ledger's writer: its keys and what was revoked. Rotations stand in the ledger itself."""
    said = [era for era in keys.eras if era.change is not Change.ROTATED]
    ends = [*(era.after for era in said[1:]), None]
    return [
        Key(KeyRole.WRITER, keys.origin, era.key, title, max(era.after + 1, 0), last)
        for era, last in zip(said, ends, strict=True)
        if era.key is not None and (last is None or last > era.after)
    ]


def writers_of(origin: str, keys: Sequence[Key]) -> list[WriterKeys]:
    """What a list of keys says of the writer of a ledger: the lines with sizes together, each line without them by itself."""
    lines = [key for key in keys if key.role is KeyRole.WRITER and key.name == origin]
    found = [WriterKeys.first(origin, line.key) for line in lines if not line.first and line.last is None]
    eras: list[Era] = []
    for line in sorted((line for line in lines if line.first or line.last is not None), key=lambda line: line.first):
        change = Change.REVOKED if line.first > 1 else Change.FIRST
        after = line.first - 1 if line.first > 1 else -1
        eras = [*(era for era in eras if era.after < after), Era(after, line.key, change)]
        if line.last is not None:
            eras.append(Era(line.last, None, Change.REVOKED))
    if eras:
        begin = [] if eras[0].after < 0 else [Era(-1, None)]
        found.append(WriterKeys(origin, (*begin, *eras)))
    return found


def written_by(origin: str) -> str:
    """The node that writes a ledger: the second part of its origin (network, node, audience)."""
    return (*origin.split("/"), "")[1]


def audience_of(origin: str) -> str:
    """Whom a ledger is for: the last part of its origin."""
    return origin.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class LedgerPart:
    """One ledger of a dossier: its facts from the first to a checkpoint."""

    store: LedgerStore
    size: int
    note: bytes

    @classmethod
    def newest(cls, store: LedgerStore) -> LedgerPart:
        """Up to the newest receipt (witnessed); where there is none, up to the newest checkpoint."""
        found = store.receipt()
        if found is None:
            head = store.head()
            if head is None:
                raise NotFound(f"nothing of {store.origin} for a dossier", why="the ledger is empty")
            found = head.size, head.note
        return cls(store, found[0], found[1])


def write_dossier(
    folder: Path,
    *,
    ledgers: Sequence[LedgerPart],
    blobs: BlobStore,
    blocks: Sequence[str],
    documents: Mapping[str, bytes],
    keys: Sequence[Key],
    signer: Signer,
    about: str,
    made_at: datetime,
) -> Path:
    """Write the folder and, beside it, the .zip, whose path is returned. `blocks` are digests in `blobs`; `signer` is the control site's key."""
    if folder.exists() and any(folder.iterdir()):
        raise NotValid(f"cannot write a dossier to {folder.name}", why="the folder is not empty", possible="choose another folder")
    files: dict[str, bytes] = {}
    said = []
    for number, part in enumerate(ledgers, 1):
        base = f"ledgers/{number}-{re.sub(r'[^a-z0-9]+', '-', part.store.origin.lower()).strip('-')[:80]}"
        files |= _ledger_files(part, base)
        said.append({"origin": part.store.origin, "size": part.size, "facts": f"{base}.jsonl", "leaves": f"{base}.leaves", "note": f"{base}.note"})
    for digest in blocks:
        files[f"blocks/{digest}.parquet"] = blobs.get(digest)
    for name, data in documents.items():
        files[f"documents/{name}"] = data
    files[KEYS] = (KEYS_HEAD + "".join(key.line() for key in keys)).encode()
    for path in files:
        check_path(path)
    manifest = orjson.dumps(
        {
            "format": FORMAT,
            "about": about,
            "made_at": text_of_time(made_at),
            "ledgers": said,
            "files": {path: {"bytes": len(data), "sha256": sha256(data).hexdigest()} for path, data in files.items()},
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS,
    )
    files[MANIFEST] = manifest + b"\n"
    files[MANIFEST_SIG] = sign_note(manifest_text(files[MANIFEST]), signer)
    for path, data in files.items():
        write_whole(folder / path, data)
    packed = folder.with_name(folder.name + ".zip")
    write_whole(packed, pack(files))
    return packed


def _ledger_files(part: LedgerPart, base: str) -> dict[str, bytes]:
    lines: list[bytes] = []
    while len(lines) < part.size:
        found = part.store.bodies(len(lines), min(part.size, len(lines) + READ_FACTS))
        if not found:
            raise NotFound(f"fact {len(lines)} of {part.store.origin} is not in its store", why="the dossier needs every fact from the first on")
        lines += found
    for position, body in enumerate(lines):
        if b"\n" in body:
            raise NotValid(f"cannot put fact {position} of {part.store.origin} on one line", why="its bytes are not in canonical form")
    return {
        f"{base}.jsonl": b"".join(body + b"\n" for body in lines),
        f"{base}.leaves": "".join(leaf.hex() + "\n" for leaf in leaf_hashes(lines)).encode(),
        f"{base}.note": part.note,
    }


def manifest_text(manifest: bytes) -> bytes:
    """What manifest.sig signs."""
    return f"{FORMAT}\n{sha256(manifest).hexdigest()}\n".encode()


def check_path(path: str) -> str:
    """A path inside a dossier: relative, short, of plain characters; refused otherwise."""
    if not isinstance(path, str) or not SAFE_PATH.fullmatch(path):
        raise NotValid(f"cannot use path {str(path)[:80]!r} in a dossier", why="parts are letters, digits, '.', '_' and '-', at most four deep")
    return path


def pack(files: Mapping[str, bytes]) -> bytes:
    """The one .zip of these files: stored, in order of name, all times 1980-01-01, no comments."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[path])
    return sink.getvalue()


def root_of(bodies: Sequence[bytes]) -> bytes:
    """The Merkle root over facts."""
    return Frontier().extend(leaf_hashes(bodies)).root()
