"""A second verifier of dossiers and ledger files, written from docs/format.md alone.

It shares no line with the software and imports nothing of it: what the page does not say, it
does not know. It is slow and plain on purpose. Section numbers are those of the page.

    python tests/second_verifier/verifier.py PATH [KEYS]

prints what is wrong and ends with 4, or says that nothing is and ends with 0.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import shutil
import sqlite3
import struct
import sys
import tempfile
import unicodedata
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key


class Fault(Exception):
    """Something is not as the page says."""


# ---- 1. facts ----

ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
ENVELOPE = {"actor", "at", "body", "clock", "kind", "ledger", "pos", "subject", "v"}
DEEP = 250


def _refuse(text: str) -> Any:
    raise Fault(f"a number is not whole: {text}")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise Fault("a key is there twice")
    return table


def canonical(value: Any, deep: int = 0) -> bytes:
    """The one form of a value."""
    if deep > DEEP:
        raise Fault("nested too deeply")
    if value is None or isinstance(value, bool):
        return {None: b"null", True: b"true", False: b"false"}[value]
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise Fault("a number has more than 64 bits")
        return str(value).encode()
    if isinstance(value, str):
        if unicodedata.normalize("NFC", value) != value:
            raise Fault("a text is not in NFC")
        escaped = "".join(ESCAPES.get(sign, sign if sign >= " " else f"\\u{ord(sign):04x}") for sign in value)
        return f'"{escaped}"'.encode()
    if isinstance(value, list):
        return b"[" + b",".join(canonical(each, deep + 1) for each in value) + b"]"
    items = sorted(value.items(), key=lambda item: item[0].encode())
    return b"{" + b",".join(canonical(key) + b":" + canonical(each, deep + 1) for key, each in items) + b"}"


def parse_canonical(data: bytes) -> Any:
    """Read JSON that must be in canonical form."""
    try:
        value = json.loads(data.decode(), parse_float=_refuse, parse_constant=_refuse, object_pairs_hook=_pairs)
        if canonical(value) != data:
            raise Fault("not in canonical form")
    except (UnicodeError, ValueError, RecursionError) as trouble:
        raise Fault(f"not JSON: {type(trouble).__name__}") from trouble
    return value


def is_time(text: object) -> bool:
    if not isinstance(text, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text, re.ASCII):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def read_fact(data: bytes, origin: str, position: int) -> dict[str, Any]:
    if len(data) > 65_535:
        raise Fault("longer than 65,535 bytes")
    fact = parse_canonical(data)
    if not isinstance(fact, dict) or set(fact) != ENVELOPE:
        raise Fault("not the nine keys of a fact")
    actor, clock = fact["actor"], fact["clock"]
    if not isinstance(actor, dict) or set(actor) != {"id", "role", "method"} or not all(isinstance(each, str) for each in actor.values()):
        raise Fault("its actor is not three texts")
    if not isinstance(clock, dict) or set(clock) != {"source", "quality", "offset_ms"} or not isinstance(clock["source"], str):
        raise Fault("its clock is not three values")
    if clock["quality"] not in ("good", "poor", "unknown", "simulated"):
        raise Fault("the quality of its clock is unknown")
    if clock["offset_ms"] is not None:
        try:
            if not abs(float(clock["offset_ms"])) < float("inf") or not isinstance(clock["offset_ms"], str):
                raise ValueError
        except (ValueError, TypeError) as trouble:
            raise Fault("the offset of its clock is no number") from trouble
    if not is_time(fact["at"]) or not isinstance(fact["body"], dict) or not isinstance(fact["kind"], str) or not isinstance(fact["subject"], str):
        raise Fault("its envelope holds values of the wrong kind")
    if type(fact["v"]) is not int or fact["v"] < 1:
        raise Fault("its version is not a number from 1")
    if type(fact["pos"]) is not int or (fact["ledger"], fact["pos"]) != (origin, position):
        raise Fault(f"it says that it is fact {fact['pos']} of {fact['ledger']}")
    return fact


# ---- 2. tree ----


def leaf(data: bytes) -> bytes:
    return sha256(b"\0" + data).digest()


def root_of(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\1" + root_of(leaves[:split]) + root_of(leaves[split:])).digest()


class Tree:
    """The same, growing: roots of perfect subtrees, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[tuple[int, bytes]] = []  # (leaves, root)

    def add(self, digest: bytes) -> None:
        peak = (1, digest)
        while self.peaks and self.peaks[-1][0] == peak[0]:
            other = self.peaks.pop()
            peak = (other[0] * 2, sha256(b"\1" + other[1] + peak[1]).digest())
        self.peaks.append(peak)
        self.size += 1

    def root(self) -> bytes:
        if not self.peaks:
            return sha256(b"").digest()
        digest = self.peaks[-1][1]
        for _, peak in reversed(self.peaks[:-1]):
            digest = sha256(b"\1" + peak + digest).digest()
        return digest

    def frontier(self) -> bytes:
        return struct.pack(">Q", self.size) + b"".join(peak for _, peak in self.peaks)


# ---- 3. keys and notes ----


def unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as trouble:
        raise Fault("not base64") from trouble
    if base64.b64encode(data).decode() != text:
        raise Fault("not the one base64 of these bytes")
    return data


@dataclass(frozen=True)
class VKey:
    name: str
    kind: int
    public: bytes

    @property
    def mark(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def signed(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def __str__(self) -> str:
        return f"{self.name}+{self.mark.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"


def vkey(text: str) -> VKey:
    parts = text.split("+", 2)
    if len(parts) != 3 or not re.fullmatch(r"[!-*,-~]{1,200}", parts[0]):
        raise Fault("not a vkey")
    material = unbase64(parts[2])
    if len(material) != 33 or material[0] not in (1, 4):
        raise Fault("not an Ed25519 vkey")
    key = VKey(parts[0], material[0], material[1:])
    if key.mark.hex() != parts[1]:
        raise Fault("the hash of a vkey is not its own")
    return key


def read_note(note: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    """The text, and (name, bytes) of each signature line."""
    if len(note) > 1_000_000 or re.search(rb"[\x00-\x09\x0b-\x1f]", note):
        raise Fault("not a note: too long, or control characters")
    text, gap, lines = note.rpartition(b"\n\n")
    if not gap or not lines.endswith(b"\n"):
        raise Fault("not a note: no text, empty line and signatures")
    try:
        text.decode()
        rows = lines.decode()[:-1].split("\n")
    except UnicodeError as trouble:
        raise Fault("not a note: not UTF-8") from trouble
    if len(rows) > 16:
        raise Fault("not a note: more than 16 signatures")
    found = []
    for row in rows:
        match = re.fullmatch(r"— ([^\s+]+) (\S+)", row)
        if not match:
            raise Fault("not a signature line")
        found.append((match[1], unbase64(match[2])))
    return text + b"\n", found


def open_note(note: bytes, key: VKey) -> bytes:
    text, lines = read_note(note)
    ours = [data[4:] for name, data in lines if name == key.name and data[:4] == key.mark]
    if not ours or key.kind != 1 or not all(key.signed(text, signature) for signature in ours):
        raise Fault(f"not signed by {key.name}")
    return text


# ---- 4. checkpoints ----


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes
    witnesses: int


def claimed(text: bytes) -> tuple[str, int, bytes]:
    lines = text.decode().split("\n")
    if len(lines) < 4 or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1], re.ASCII):
        raise Fault("not a checkpoint")
    root = unbase64(lines[2])
    if len(root) != 32:
        raise Fault("not a checkpoint: its root is not 32 bytes")
    return lines[0], int(lines[1]), root


class Writer:
    """The keys of one ledger's writer: which counts for which sizes."""

    def __init__(self, origin: str, eras: list[tuple[int, VKey | None]]) -> None:
        """`eras`: a key (or none) counts for checkpoints of more than so many facts, until the next."""
        self.origin, self.eras = origin, eras
        self.revoked = [after for after, _ in eras[1:]]

    @property
    def name(self) -> str:
        return next(key.name for _, key in self.eras if key is not None)

    def at(self, size: int) -> VKey | None:
        return next((key for after, key in reversed(self.eras) if after < size), self.eras[0][1])

    def was_revoked(self, lines: list[tuple[str, bytes]], size: int) -> bool:
        """Whether a note is by a key that was revoked for so many facts."""
        ended = max((after for after in self.revoked if after < size), default=None)
        return ended is not None and lines[0][1][:4] in {key.mark for after, key in self.eras if key is not None and after < ended}

    def follow(self, fact: dict[str, Any], root: bytes) -> None:
        """A rotation that the key in force has signed; with another root it condemns the ledger."""
        body, position = fact["body"], fact["pos"]
        if fact["kind"] != "records.key_rotated" or fact["v"] != 1 or set(body) != {"ledger", "key", "note"}:
            return
        by = self.at(position + 1)
        if by is None:
            return
        try:
            new = vkey(body["key"])
            text = open_note(body["note"].encode(), by)
            lines = text.decode().split("\n")
            said = unbase64(lines[3])
        except (Fault, AttributeError, IndexError, UnicodeError):
            return
        told = f"isogenic key rotation 1\n{self.origin}\n{position}\n{base64.b64encode(said).decode()}\n{new}\n"
        if body["ledger"] != self.origin or new.name != by.name or text != told.encode() or new in [key for _, key in self.eras]:
            return
        if said != root:
            raise Fault(f"the key is handed on at {position} over another root")
        self.eras = sorted([*self.eras, (position, new)], key=lambda era: era[0])


def open_checkpoint(note: bytes, origin: str, writers: list[Writer], keys: list[Key]) -> Checkpoint:
    text, lines = read_note(note)
    said = claimed(text)
    if not writers:
        raise Fault(f"no key of the writer of {origin}")
    for writer in writers:
        key = writer.at(said[1])
        if key is None:
            continue
        ours = [data[4:] for name, data in lines if (name, data[:4]) == (key.name, key.mark)]
        if not ours or key.kind != 1 or not all(key.signed(text, each) for each in ours):
            continue
        count = 0
        for name, data in lines:
            for witness in {each.key for each in keys if each.role == "witness" and each.key.kind == 4}:
                if (name, data[:4]) != (witness.name, witness.mark):
                    continue
                holders = [each.name for each in keys if each.role == "witness" and each.key == witness]
                if all(_same_node(holder, witness, origin, writer.name) for holder in holders):
                    continue
                time = int.from_bytes(data[4:12], "big")
                if not witness.signed(b"cosignature/v1\ntime %d\n" % time + text, data[12:]):
                    raise Fault(f"the cosignature of {name} does not verify")
                count += 1
        return Checkpoint(*said, count)
    raise Fault(f"not signed by the writer of {origin}")


def _same_node(holder: str, witness: VKey, origin: str, writer: str) -> bool:
    return holder == node_of(origin) or (witness.name + "/").startswith(writer + "/")


def node_of(origin: str) -> str:
    parts = origin.split("/")
    return parts[1] if len(parts) > 1 else ""


# ---- 6. reading blocks ----


def check_block(data: bytes, digest: str, facts: list[dict[str, Any]]) -> None:
    if sha256(data).hexdigest() != digest:
        raise Fault("its bytes have another SHA-256")
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        table = file.read()
        said = file.metadata.metadata or {}
        moments = table.column("at").cast(pa.int64()).to_pylist()
        names = table.column_names
        kind = table.schema.field("at").type
        number, start = int(said.get(b"number", b"1")), int(said.get(b"start", b"0"))
    except Exception as trouble:
        raise Fault(f"cannot be read as Parquet: {type(trouble).__name__}") from trouble
    tags = [name for name in names[1:] if not name.endswith("__quality")]
    wanted = ["at", *(name for tag in tags for name in (tag, tag + "__quality"))]
    if said.get(b"format") not in (b"isogenic readings 1", b"isogenic readings 2") or names != wanted or kind != pa.timestamp("ms", tz="UTC"):
        raise Fault("not of a form of isogenic readings")
    for fact in facts:
        body = fact["body"]
        inside = (said.get(b"batch", b"").decode(), len(data), len(moments), tags, moments[:1], moments[-1:])
        if inside != (body["batch"], body["bytes"], body["rows"], body["tags"], [_ms(body["first"])], [_ms(body["last"])]):
            raise Fault(f"holds other readings than fact {fact['pos']} of {fact['ledger']} says")
        if fact["v"] > 1 and ((number, start) != (body["number"], body["start"]) or _counts(table, tags) != [body[key] for key in QUALITIES]):
            raise Fault(f"has another place, or other counts, than fact {fact['pos']} of {fact['ledger']} says")


QUALITIES = ("good", "uncertain", "bad")


def _counts(table: Any, tags: list[str]) -> list[list[int]]:
    """Good, uncertain and bad readings of each tag: what is null is bad."""
    counts: list[list[int]] = [[], [], []]
    for tag in tags:
        values, qualities = table.column(tag).to_pylist(), table.column(tag + "__quality").to_pylist()
        seen = [quality if value is not None else 2 for value, quality in zip(values, qualities, strict=True)]
        for column, quality in zip(counts[:2], (0, 1), strict=True):
            column.append(seen.count(quality))
        counts[2].append(len(seen) - counts[0][-1] - counts[1][-1])
    return counts


def readings_faults(batch: str, facts: list[dict[str, Any]]) -> list[str]:
    """Blocks that follow each other, and bad readings that a gap names, tag by tag."""
    blocks = [fact for fact in facts if fact["kind"] == "records.readings_sealed" and fact["body"]["batch"] == batch]
    faults, rows = [], 0
    for number, fact in enumerate(blocks, 1):
        body = fact["body"]
        if fact["v"] == 1:
            return [] if len(blocks) == 1 else [f"a block of {batch} is not the only one"]
        if (body["number"], body["start"]) != (number, rows):
            faults.append(f"block {number} of {batch} is missing, or there twice")
            break
        rows += body["rows"]
    bad: dict[str, int] = {}
    for fact in blocks:
        for tag, count in zip(fact["body"]["tags"], fact["body"]["bad"], strict=True):
            bad[tag] = bad.get(tag, 0) + count
    for fact in facts:
        if fact["kind"] == "records.readings_gap" and fact["body"]["batch"] == batch and fact["body"]["why"] == "lost":
            for tag in fact["body"]["tags"]:
                bad[tag] = bad.get(tag, 0) - fact["body"]["missing"]
    return faults + [f"bad readings of {tag} in {batch} and its gaps do not agree" for tag, left in bad.items() if left]


def _ms(text: str) -> int:
    at = datetime.fromisoformat(text)
    return int(at.replace(microsecond=0).timestamp()) * 1000 + at.microsecond // 1000


# ---- 7. keys of a dossier, or of one's own ----


@dataclass(frozen=True)
class Key:
    role: str  # empty: a key alone on a line
    name: str
    key: VKey
    first: int = 0  # of a writer: the sizes that it counts for
    last: int | None = None

    def within(self, listed: Key) -> Key:
        lasts = [each for each in (self.last, listed.last) if each is not None]
        return Key(self.role, self.name, self.key, max(self.first, listed.first), min(lasts, default=None))

    def allows(self, used: Key) -> bool:
        if self.key != used.key:
            return False
        if self.role:
            return (self.role, self.name) == (used.role, used.name)
        if used.role == "writer":
            return used.name.startswith(self.key.name + "/")
        return used.role == "person" and self.key.name.rpartition("/")[2] == used.name


def read_keys(text: str) -> list[Key]:
    keys = []
    for line in text.split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split(None, 3)
        if len(parts) == 1:
            keys.append(Key("", "", vkey(parts[0])))
            continue
        match = re.fullmatch(r"(writer|witness|dossier|person|-)(?::(\d{1,15})-(\d{1,15})?)?", parts[0], re.ASCII)
        if len(parts) < 3 or not match or (match[2] and match[1] != "writer"):
            raise Fault("a line of keys is not ROLE NAME VKEY TITLE")
        role, name = match[1].replace("-", ""), "" if parts[1] == "-" else parts[1]
        keys.append(Key(role, name, vkey(parts[2]), int(match[2] or 0), int(match[3]) if match[3] else None))
    return keys


def narrowed(keys: list[Key], own: list[Key]) -> list[Key]:
    """Those that one's own list allows, for the sizes that both have."""
    both = [key.within(each) for key in keys for each in own if each.allows(key)]
    return [key for key in both if key.last is None or key.first <= key.last]


def writers_of(origin: str, keys: list[Key]) -> list[Writer]:
    lines = [key for key in keys if (key.role, key.name) == ("writer", origin)]
    found = [Writer(origin, [(-1, key.key)]) for key in lines if not key.first and key.last is None]
    eras: list[tuple[int, VKey | None]] = []
    for key in sorted((key for key in lines if key.first or key.last is not None), key=lambda key: key.first):
        after = key.first - 1 if key.first > 1 else -1
        eras = [*(era for era in eras if era[0] < after), (after, key.key)]
        if key.last is not None:
            eras.append((key.last, None))
    if eras:
        found.append(Writer(origin, eras if eras[0][0] < 0 else [(-1, None), *eras]))
    return found


# ---- 8. what people sign ----

SIGNATURE = {"person", "printed_name", "role", "meaning", "at", "digest", "key", "signature"}
ROLES = {"operator", "process_engineer", "quality", "qualified_person", "analyst", "planner", "inspector", "administrator"}
ROLES |= {"privacy_officer", "regulatory_affairs"}
WITH_METHOD = SIGNATURE | {"method", "evidence"}
MAY = {
    "reviewed": {"quality", "qualified_person"},
    "enrolled": ROLES,
    "released": {"qualified_person"},
    "rejected": {"quality", "qualified_person"},
    "disposed": {"quality", "qualified_person"},
    "authored": {"process_engineer"},
    "approved": {"quality", "qualified_person"},
    "revoked": {"quality", "qualified_person", "administrator"},
    "erasure ordered": {"privacy_officer"},
    "entitlement decided": {"quality", "qualified_person"},
    "released for use": {"quality", "qualified_person"},
    "rejected for use": {"quality", "qualified_person"},
    "performed": {"operator"},
    "witnessed": {"operator", "process_engineer", "quality"},
    "corrected": {"operator"},
    "formula changed": {"process_engineer", "quality"},
    "competence granted": {"quality", "qualified_person"},
    "competence withdrawn": {"quality", "qualified_person"},
    "file authored": {"regulatory_affairs", "process_engineer"},
    "file approved": {"quality", "qualified_person"},
    "commitments stated": {"regulatory_affairs"},
    "licence applied for": {"regulatory_affairs"},
    "site qualified": {"quality", "qualified_person"},
    "licence activated": {"qualified_person"},
    "licence paused": {"quality", "qualified_person", "regulatory_affairs", "planner"},
    "licence resumed": {"quality", "qualified_person"},
    "licence suspended": {"quality", "qualified_person", "regulatory_affairs"},
    "licence reinstated": {"quality", "qualified_person"},
    "licence ceased": {"qualified_person", "regulatory_affairs"},
}
COMMANDS = {
    "apply": "licence applied for",
    "qualify": "site qualified",
    "activate": "licence activated",
    "pause": "licence paused",
    "resume": "licence resumed",
    "suspend": "licence suspended",
    "reinstate": "licence reinstated",
    "cease": "licence ceased",
}
SIGNED = {
    "authority.key_revoked",
    "authority.passkey_enrolled",
    "quality.trail_reviewed",
    "quality.lot_released",
    "quality.lot_rejected",
    "quality.deviation_disposed",
    "recipe.approved",
    "recipe.published",
    "recipe.site_document_approved",
    "vault.erasure_ordered",
    "authority.commitments_published",
    "authority.competence_granted",
    "authority.competence_withdrawn",
    "authority.licence_applied",
    "authority.licence_changed",
    "authority.master_file_approved",
    "authority.master_file_published",
    "materials.changeover_approved",
    "materials.changeover_published",
    "monitoring.model_released",
    "monitoring.model_signed",
}
PUBLISHED = {
    "recipe.published": {"authored", "approved"},
    "materials.changeover_published": {"authored", "approved"},
    "authority.master_file_published": {"file authored", "file approved"},
}
ENTITLED = {"authority.entitlement_granted": "grant", "authority.entitlement_ended": "end"}  # signed unless it was derived


def signatures_in(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        if SIGNATURE <= set(value) <= WITH_METHOD:
            return [{"method": "password", "evidence": None, **value}]
        return [found for each in value.values() for found in signatures_in(each)]
    return [found for each in value for found in signatures_in(each)] if isinstance(value, list) else []


def looks_signed(value: Any) -> bool:
    """Whether something of a signature's form is in it, whatever else is there."""
    if isinstance(value, dict):
        return {"person", "role", "meaning", "digest", "signature"} <= set(value) or any(map(looks_signed, value.values()))
    return isinstance(value, list) and any(map(looks_signed, value))


def states_of(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every state that the people of the directory were in, by the facts of the control site, ledger by ledger."""
    now: dict[str, dict[str, Any]] = {}
    states = []
    for fact in facts:
        if node_of(fact["ledger"]) != "CONTROL":
            continue
        body, before = fact["body"], now.get(fact["ledger"], {})
        if fact["kind"] == "authority.directory_published":
            people = {person: carried(before.get(person), each) for person, each in body["directory"]["people"].items()}
        elif body.get("person") in before and fact["kind"] in CHANGES:
            people = {**before, body["person"]: CHANGES[fact["kind"]](before[body["person"]], body)}
        else:
            continue
        now[fact["ledger"]] = people
        states.append(people)
    return states


def enrolled(person: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    known = person.get("passkeys", [])
    return (
        person
        if any(each["id"] == body["passkey"]["id"] for each in known)
        else {**person, "passkeys": [*known, {**body["passkey"], "removed_at": None}]}
    )


def removed(person: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    def one(each: dict[str, Any]) -> dict[str, Any]:
        return {**each, "removed_at": each.get("removed_at") or body["at"]} if each["id"] == body["credential"] else each

    return {**person, "passkeys": [one(each) for each in person.get("passkeys", [])]}


def replaced(person: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    if body["former"]["key"] != person["key"]:
        return person
    return {**person, "key": body["key"], "former_keys": [*person.get("former_keys", []), body["former"]]}


CHANGES = {"authority.passkey_enrolled": enrolled, "authority.passkey_removed": removed, "authority.key_replaced": replaced}


def carried(was: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    if was is None:
        return now
    former = {each["key"]: each for each in (*was.get("former_keys", []), *now.get("former_keys", []))}
    key = was["key"] if now["key"] in former else now["key"]
    gone = {each["id"]: each["removed_at"] for each in was.get("passkeys", []) if each.get("removed_at")}
    passkeys = {each["id"]: each for each in (*was.get("passkeys", []), *now.get("passkeys", []))}
    return {
        **now,
        "key": key,
        "former_keys": [each for each in former.values() if each["key"] != key],
        "former_names": [*was.get("former_names", []), *now.get("former_names", [])],
        "passkeys": [{**each, "removed_at": gone.get(each["id"], each.get("removed_at"))} for each in passkeys.values()],
    }


def check_person(signature: dict[str, Any], states: list[dict[str, Any]], own: list[Key] | None) -> None:
    if not all(isinstance(signature[part], str) for part in (*SIGNATURE, "method")):
        raise Fault("a signature holds what is no text")
    why = f"no directory names {signature['person']}"
    for state in states:
        if signature["person"] in state:
            try:
                check_against(signature, state[signature["person"]])
            except Fault as trouble:
                why = str(trouble)
            else:
                break
    else:
        raise Fault(why)
    if own is not None and not any(each.allows(Key("person", signature["person"], vkey(signature["key"]))) for each in own):
        raise Fault(f"the key of {signature['person']} is not on the list")


def check_against(signature: dict[str, Any], person: dict[str, Any]) -> None:
    at, former = signature["at"], person.get("former_keys", [])
    if signature["key"] != person["key"] and not any(each["key"] == signature["key"] and at <= each["until"] for each in former):
        raise Fault(f"the key is not that of {signature['person']}")
    if signature["printed_name"] not in (person["printed_name"], *person.get("former_names", [])) or signature["role"] not in person["roles"]:
        raise Fault(f"the printed name or the role is not that of {signature['person']}")
    lines = ["isogenic-signature/1", *(signature[part] for part in ("person", "role", "meaning", "at", "digest"))]
    signed = unbase64(signature["signature"])
    if signature["method"] == "password" and signature["evidence"] is None:
        if not vkey(signature["key"]).signed("".join(f"{line}\n" for line in lines).encode(), signed):
            raise Fault(f"the signature of {signature['person']} does not verify")
        return
    evidence = signature["evidence"]
    if signature["method"] != "passkey" or not isinstance(evidence, dict) or not re.fullmatch(r"[0-9a-f]{32}", evidence["nonce"]):
        raise Fault("neither a password nor a passkey")
    passkey = next((each for each in person.get("passkeys", []) if each["id"] == evidence["credential"]), None)
    if passkey is None or (passkey.get("removed_at") and at > passkey["removed_at"]):
        raise Fault("the passkey is not on file, or was removed")
    lines = ["isogenic-signature/2", *lines[1:], evidence["nonce"]]
    check_passkey(passkey, evidence, signed, sha256("".join(f"{line}\n" for line in lines).encode()).digest())


def check_passkey(passkey: dict[str, Any], evidence: dict[str, Any], signed: bytes, challenge: bytes) -> None:
    data, client = unbase64(evidence["authenticator_data"]), unbase64(evidence["client_data"])
    said, domain = json.loads(client), passkey["domain"]
    page = re.fullmatch(r"(?:https://([a-z0-9.-]+)|http://(localhost))(?::\d+)?", said["origin"])
    host = (page[1] or page[2]) if page else ""
    if said["type"] != "webauthn.get" or said["challenge"] != base64.urlsafe_b64encode(challenge).decode().rstrip("="):
        raise Fault("the passkey answered another challenge")
    if said.get("crossOrigin", False) is not False or not (host == domain or host.endswith("." + domain)):
        raise Fault("the passkey was used on another page")
    if len(data) < 37 or data[:32] != sha256(domain.encode()).digest() or data[32] & 5 != 5:
        raise Fault("the authenticator was asked by another domain, or did not verify the person")
    key, message = load_der_public_key(unbase64(passkey["key"])), data + sha256(client).digest()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1":
            key.verify(signed, message, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, Ed25519PublicKey):
            key.verify(signed, message)
        elif isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
            key.verify(signed, message, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise Fault("the passkey's key is of no known kind")
    except InvalidSignature as trouble:
        raise Fault("the passkey's signature does not verify") from trouble


def check_signed(fact: dict[str, Any], facts: list[dict[str, Any]]) -> None:
    body, kind = fact["body"], fact["kind"]
    if fact["v"] != 1:
        raise Fault("its version is not known")
    signatures = body["approvals"] if kind in PUBLISHED else [body["signature"]]
    site, digest, meanings = body.get("site"), "", set()
    if kind == "quality.lot_released":
        parts = ("batch", "lot", "notes", "product", "record_root", "record_size", "site")
        digest, meanings = _digest("release/1", {part: body[part] for part in parts}), {"released"}
    elif kind == "quality.lot_rejected":
        digest, meanings = _digest("rejection/1", {"batch": body["batch"], "lot": body["lot"], "reason": body["reason"].strip()}), {"rejected"}
    elif kind == "quality.deviation_disposed":
        opened = [each["body"] for each in facts if each["kind"] == "quality.deviation_opened" and each["body"]["deviation"] == body["deviation"]]
        if len(opened) != 1 or (opened[0]["batch"], opened[0]["lot"]) != (body["batch"], body["lot"]):
            raise Fault("there is not one such deviation of that batch and lot")
        site = opened[0]["site"]
        said = {"disposition": body["disposition"], "justification": body["justification"].strip(), "opened": opened[0]}
        digest, meanings = _digest("disposition/1", said), {"disposed"}
    elif kind == "quality.trail_reviewed":
        parts = ("batch", "digest", "filter", "ledger", "lines", "lot", "remark", "root", "site", "start", "stop")
        digest, meanings = _digest("trail-review/1", {part: body[part] for part in parts}), {"reviewed"}
    elif kind == "authority.passkey_enrolled":
        said = {part: body["passkey"][part] for part in ("domain", "id", "key", "title")}
        digest, meanings = _digest("passkey/1", {**said, "person": body["person"]}), {"enrolled"}
        if signatures[0]["person"] != body["person"] or signatures[0].get("method", "password") != "password":
            raise Fault("a passkey is enrolled by its person, with the key on file")
    elif kind == "authority.key_revoked":
        digest, meanings = _digest("revocation/1", {part: body[part] for part in ("key", "ledgers", "reason", "site")}), {"revoked"}
    elif kind == "vault.erasure_ordered":
        digest, meanings = sha256(b"isogenic-erasure/1\n" + canonical({"code": body["code"], "why": body["why"]})).hexdigest(), {"erasure ordered"}
    elif kind in ENTITLED:
        said = {"act": ENTITLED[kind], "ledger": body["ledger"], "party": body["party"], "since": body.get("since"), "why": body["why"]}
        digest, meanings = sha256(b"isogenic-entitlement/1\n" + canonical(said)).hexdigest(), {"entitlement decided"}
    elif kind in ("recipe.approved", "recipe.site_document_approved", "materials.changeover_approved"):
        digest, meanings = body["digest"], {"authored", "approved"}
    elif kind == "monitoring.model_signed":
        digest, meanings = body["release"], {"authored", "approved"}
    elif kind == "monitoring.model_released":
        document = sha256(body["text"].encode()).hexdigest()
        said = ("isogenic monitoring model release 1", f"document {document}", f"model {body['digest']}", f"report {body['report']}")
        digest, meanings = sha256("".join(f"{line}\n" for line in said).encode()).hexdigest(), {"authored", "approved"}
        if {each["meaning"] for each in signatures} != meanings or len({each["person"] for each in signatures}) < 2:
            raise Fault("it takes an author and an approver, two people")
    elif kind == "authority.master_file_approved":
        digest, meanings = body["digest"], {"file authored", "file approved"}
    elif kind in PUBLISHED:
        digest, meanings = sha256(body["text"].encode()).hexdigest(), PUBLISHED[kind]
        if {each["meaning"] for each in signatures} != meanings or len({each["person"] for each in signatures}) < 2:
            raise Fault("it takes an author and an approver, two people")
        if kind == "authority.master_file_published" and body["digest"] != digest:
            raise Fault("its text is not the one that its digest names")
    elif kind == "authority.commitments_published":
        digest, meanings = sha256(body["text"].encode()).hexdigest(), {"commitments stated"}
    elif kind == "authority.competence_granted":
        parts = ("basis", "competence", "person", "since", "until")
        digest, meanings = _after("isogenic-competence/1", {part: body[part] for part in parts}), {"competence granted"}
        if signatures[0]["person"] == body["person"]:
            raise Fault("nobody grants a competence to themselves")
    elif kind == "authority.competence_withdrawn":
        parts = ("competence", "person", "why")
        digest, meanings = _after("isogenic-competence-withdrawn/1", {part: body[part] for part in parts}), {"competence withdrawn"}
    elif kind == "authority.licence_applied":
        about = f"{body['master_file']} {body['product']} {body['reference']}"
        said = {"about": about, "command": "apply", "number": 0, **{part: body[part] for part in ("licence", "site", "why")}}
        digest, meanings = _after("isogenic-licence/1", said), {COMMANDS["apply"]}
    elif kind == "authority.licence_changed":
        said = {"about": "", **{part: body[part] for part in ("command", "licence", "number", "site", "why")}}
        digest, meanings = _after("isogenic-licence/1", said), {COMMANDS[body["command"]]}
    for signature in signatures:
        check_means(signature, meanings, digest)
    audience = fact["ledger"].rpartition("/")[2]
    if node_of(fact["ledger"]) != "CONTROL" or (site is not None and audience not in (site, "HOUSE")):
        raise Fault("it stands where it does not count")


def _digest(form: str, said: dict[str, Any]) -> str:
    return sha256(canonical({"isogenic": form, **said})).hexdigest()


def _after(line: str, said: Any) -> str:
    return sha256(line.encode() + b"\n" + canonical(said)).hexdigest()


def check_means(signature: dict[str, Any], meanings: set[str], digest: str) -> None:
    meaning = signature["meaning"]
    if meaning not in meanings or signature["role"] not in MAY[meaning] or signature["digest"] != digest:
        raise Fault(f"the signature of {signature['person']} is over something else, or means it not")


# What people said about a batch, at its site; its newest version.
SAID = {"batch.prompt_answered": 2, "batch.answer_corrected": 1, "batch.prompt_witnessed": 1, "batch.formula_changed": 1}


def said_of(fact: dict[str, Any]) -> dict[str, Any]:
    """An answer or a correction in its newest form, without its signature."""
    body = {part: value for part, value in fact["body"].items() if part != "signature"}
    return {**body, "entered": "typed", "scanned": ""} if (fact["kind"], fact["v"]) == ("batch.prompt_answered", 1) else body


class Steps:
    """What people were asked and have said, so that a signature under a step can be held against it."""

    def __init__(self, facts: list[dict[str, Any]]) -> None:
        self.asked: dict[tuple[str, str], bool] = {}  # by batch and prompt: whether the answer is signed
        self.said: dict[str, dict[str, Any]] = {}  # by digest
        for fact in facts:
            body, known = fact["body"], fact["v"] <= SAID.get(fact["kind"], 0)
            if fact["kind"] == "batch.prompt_asked" and fact["v"] <= 2:
                how = body.get("how", {})
                self.asked[body["batch"], body["prompt"]] = bool(how.get("sign") or how.get("witness"))
            elif known and fact["kind"] in ("batch.prompt_answered", "batch.answer_corrected"):
                self.said[sha256(canonical(said_of(fact))).hexdigest()] = body

    def wants(self, fact: dict[str, Any]) -> bool:
        body = fact["body"]
        if body.get("signature") is not None or fact["kind"] == "batch.formula_changed":
            return True
        if fact["v"] > SAID[fact["kind"]]:
            return False
        return fact["kind"] != "batch.prompt_answered" or self.asked.get((body["batch"], body["prompt"]), False)

    def check(self, fact: dict[str, Any]) -> None:
        body, kind = fact["body"], fact["kind"]
        if fact["v"] > SAID[kind]:
            raise Fault("its version is not known")
        signature = body.get("signature")
        if signature is None:
            raise Fault("nobody signed it")
        if node_of(fact["ledger"]) == "CONTROL":
            raise Fault("it stands where it does not count")
        if signature["person"] != body["by"]:
            raise Fault("it is signed by another than did it")
        if kind == "batch.formula_changed":
            changed = [body[part] for part in ("batch", "parameter", "was", "now", "unit", "why", "by")]
            check_means(signature, {"formula changed"}, sha256(canonical(changed)).hexdigest())
        elif kind == "batch.prompt_witnessed":
            check_means(signature, {"witnessed"}, body["answered"])
            first = self.said.get(body["answered"])
            if first is None or (first["batch"], first["prompt"], first["by"] == body["by"]) != (body["batch"], body["prompt"], False):
                raise Fault("it witnesses no answer that another gave")
        else:
            meaning = "performed" if kind == "batch.prompt_answered" else "corrected"
            check_means(signature, {meaning}, sha256(canonical(said_of(fact))).hexdigest())
            if meaning == "corrected" and body["corrects"] not in self.said:
                raise Fault("it corrects no answer that was given")


def check_decided(fact: dict[str, Any], facts: list[dict[str, Any]]) -> None:
    """A decision on a received lot: only that it is used up needs no signature."""
    body, signature = fact["body"], fact["body"].get("signature")
    if fact["v"] != 1:
        if looks_signed(body):
            raise Fault("its version is not known")
        return
    if signature is None:
        if body["command"] != "use_up":
            raise Fault("nobody signed it")
        return
    received = [
        each["body"] for each in facts if (each["kind"], each["v"], each["body"].get("receipt")) == ("materials.received", 1, body["receipt"])
    ]
    if len(received) != 1:
        raise Fault("there is not one such receipt")
    meaning = "released for use" if body["command"] == "release" else "rejected for use"
    decided = {"command": body["command"], "received": received[0], "why": body["why"]}
    check_means(signature, {meaning}, _after("isogenic-material-decision/1", decided))
    if signature["person"] != body["by"] or (body["command"] == "release" and received[0]["by"] == body["by"]):
        raise Fault("it is signed by another than decided, or released by who received it")


# ---- 7. dossiers ----


@dataclass
class Evidence:
    """What was read and verified, and what is wrong."""

    faults: list[str] = field(default_factory=list)
    facts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by origin
    leaves: dict[str, list[bytes]] = field(default_factory=dict)

    @contextlib.contextmanager
    def at(self, place: str) -> Any:
        try:
            yield
        except Fault as trouble:
            self.faults.append(f"{place}: {trouble}")
        except (LookupError, TypeError, AttributeError, ValueError) as trouble:  # a body that is not of its form
            self.faults.append(f"{place}: not of its form ({type(trouble).__name__} {trouble})"[:300])

    def all_facts(self) -> list[dict[str, Any]]:
        return [fact for facts in self.facts.values() for fact in facts]


def check_people(found: Evidence, own: list[Key] | None, wanted: set[str]) -> None:
    """7.5 to 7.7."""
    facts, states = found.all_facts(), []
    for fact in facts:
        if fact["kind"] == "authority.directory_published" and node_of(fact["ledger"]) != "CONTROL":
            found.faults.append(f"a directory at {fact['pos']} of {fact['ledger']}")
    with found.at("directories"):
        states = states_of(facts)
    steps = Steps([])
    with found.at("questions"):
        steps = Steps(facts)
    ended: dict[str, str] = {}
    for fact in facts:
        with found.at(f"fact {fact['pos']} of {fact['ledger']}"):
            if node_of(fact["ledger"]) == "CONTROL" and fact["kind"] == "authority.key_replaced":
                ended.setdefault(fact["body"]["former"]["key"], fact["body"]["former"]["until"])
            elif node_of(fact["ledger"]) == "CONTROL" and fact["kind"] == "authority.passkey_removed":
                ended.setdefault(fact["body"]["credential"], fact["body"]["at"])
    for fact in facts:
        with found.at(f"fact {fact['pos']} of {fact['ledger']}"):
            for signature in signatures_in(fact["body"]):
                check_person(signature, states, own)
                used = (signature["key"], (signature["evidence"] or {}).get("credential", ""))
                if any(signature["at"] > ended.get(each, "9") for each in used):
                    raise Fault(f"the key or passkey of {signature['person']} had ended by then")
            if fact["kind"] in SIGNED or (fact["kind"] in ENTITLED and fact["body"].get("signature") is not None):
                check_signed(fact, facts)
            elif fact["kind"] in SAID and steps.wants(fact):
                steps.check(fact)
            elif fact["kind"] == "materials.decided":
                check_decided(fact, facts)
            elif looks_signed(fact["body"]):
                raise Fault("nobody signs facts of this kind")
            if fact["kind"] == "quality.lot_released":
                check_record(fact, found, wanted)


def check_record(fact: dict[str, Any], found: Evidence, wanted: set[str]) -> None:
    body, seen = fact["body"], False
    for origin, facts in found.facts.items():
        if node_of(origin) == body["site"] and any(each["kind"] == "batch.started" and each["body"]["batch"] == body["batch"] for each in facts):
            seen, held = True, found.leaves[origin][: body["record_size"]]
            if len(held) < body["record_size"] or root_of(held).hex() != body["record_root"]:
                raise Fault("the record has not the root that was released")
    if not seen and body["batch"] in wanted:
        raise Fault("the record that was released is not here")


def verify_dossier(files: dict[str, bytes], own: list[Key] | None, found: Evidence) -> None:
    keys = read_keys(files["keys.txt"].decode())
    if own is not None:
        keys = narrowed(keys, own)
    wanted = f"isogenic dossier 1\n{sha256(files['manifest.json']).hexdigest()}\n".encode()
    signed = False
    for key in keys:
        if key.role == "dossier":
            with contextlib.suppress(Fault):
                signed = signed or open_note(files["manifest.sig"], key.key) == wanted
    if not signed:
        found.faults.append("manifest.sig is not good for manifest.json")
    manifest = json.loads(files["manifest.json"].decode())
    if manifest["format"] != "isogenic dossier 1":
        raise Fault("not of the form isogenic dossier 1")
    listed = manifest["files"]
    for name in sorted(set(files) ^ set(listed) - {"manifest.json", "manifest.sig"}):
        if name not in ("manifest.json", "manifest.sig"):
            found.faults.append(f"{name} is missing, or not listed")
    for name, said in listed.items():
        if not PATH.fullmatch(name):
            found.faults.append(f"{name} is not a path of a dossier")
        if name in files and (said["sha256"], said["bytes"]) != (sha256(files[name]).hexdigest(), len(files[name])):
            found.faults.append(f"{name} is not the file that is listed")
    if not manifest["ledgers"]:
        raise Fault("no ledger is listed")
    for said in manifest["ledgers"]:
        with found.at(str(said.get("origin"))):
            check_ledger(files, said, keys, found)
    for origin, facts in found.facts.items():
        check_revoked(origin, len(facts), keys, found)
    with found.at("blocks"):
        check_blocks(files, str(manifest.get("about", "")), found)
    check_people(found, own, batches_about(found.all_facts(), str(manifest.get("about", ""))))


PATH = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]{0,119}/){0,3}[A-Za-z0-9_-][A-Za-z0-9._-]{0,119}")


def check_revoked(origin: str, size: int, keys: list[Key], found: Evidence) -> None:
    """7.8."""
    begins = [key.first for key in keys if (key.role, key.name) == ("writer", origin)]
    for fact in found.all_facts():
        if fact["kind"] == "authority.key_revoked" and node_of(fact["ledger"]) == "CONTROL":
            with found.at(f"revocation at {fact['pos']} of {fact['ledger']}"):
                after = fact["body"]["ledgers"].get(origin, size)
                if size > after and not any(first > after for first in begins):
                    raise Fault(f"the key of {origin} counts for {after} facts")


def check_ledger(files: dict[str, bytes], said: dict[str, Any], keys: list[Key], found: Evidence) -> None:
    origin = said["origin"]
    if origin in found.facts:
        raise Fault("listed twice")
    lines = files[said["facts"]].split(b"\n")
    if lines.pop() != b"" or len(lines) != said["size"]:
        raise Fault(f"not {said['size']} lines of facts")
    writers = writers_of(origin, keys)
    found.facts[origin], found.leaves[origin] = [], [leaf(line) for line in lines]
    if files[said["leaves"]] != b"".join(each.hex().encode() + b"\n" for each in found.leaves[origin]):
        found.faults.append(f"{origin}: the leaves are not those of the facts")
    tree = Tree()
    for position, line in enumerate(lines):
        with found.at(f"fact {position} of {origin}"):
            fact = read_fact(line, origin, position)
            found.facts[origin].append(fact)
            for writer in writers:
                writer.follow(fact, tree.root())
        tree.add(leaf(line))
    checkpoint = open_checkpoint(files[said["note"]], origin, writers, keys)
    if (checkpoint.origin, checkpoint.size, checkpoint.root) != (origin, said["size"], tree.root()):
        raise Fault("the signed checkpoint is for other facts")
    if not checkpoint.witnesses and node_of(origin) != "CONTROL":
        raise Fault("not cosigned by another node")


def check_blocks(files: dict[str, bytes], about: str, found: Evidence) -> None:
    facts = found.all_facts()
    sealed = [fact for fact in facts if fact["kind"] == "records.readings_sealed"]
    for name, data in files.items():
        if not name.startswith("blocks/"):
            continue
        digest = name.removeprefix("blocks/").removesuffix(".parquet")
        named = [fact for fact in sealed if fact["body"]["digest"] == digest]
        with found.at(name):
            if not named or name != f"blocks/{digest}.parquet":
                raise Fault("named by no fact")
            check_block(data, digest, named)
    batches = batches_about(facts, about)
    for batch in sorted(batches):
        found.faults += readings_faults(batch, facts)
    for fact in sealed:
        if fact["body"]["batch"] in batches and f"blocks/{fact['body']['digest']}.parquet" not in files:
            found.faults.append(f"the block {fact['body']['digest']} of {fact['body']['batch']} is missing")


def batches_about(facts: list[dict[str, Any]], about: str) -> set[str]:
    words = set(re.findall(r"[A-Za-z0-9-]+", about))
    pairs = [(fact["kind"], fact["body"].get("batch"), fact["body"].get("lot")) for fact in facts]
    batches = {batch for _, batch, lot in pairs if batch and (batch in words or lot in words)}
    return batches or {batch for kind, batch, _ in pairs if kind == "quality.lot_released"}


def read_folder(folder: Path) -> dict[str, bytes]:
    files = {}
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise Fault(f"{path.name} is not a plain file")
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def read_zip(data: bytes) -> dict[str, bytes]:
    """The files of an archive that is in the one form: read by its local headers, and written again."""
    files: dict[str, bytes] = {}
    at = 0
    while data[at : at + 4] == b"PK\x03\x04":
        size, name = struct.unpack_from("<I", data, at + 18)[0], struct.unpack_from("<H", data, at + 26)[0]
        path = data[at + 30 : at + 30 + name].decode("ascii", "strict")
        if not PATH.fullmatch(path) or path in files:
            raise Fault("a path of the archive is not one of a dossier, or is there twice")
        files[path] = data[at + 30 + name : at + 30 + name + size]
        at += 30 + name + size
    if write_zip(files) != data:
        raise Fault("the archive is not in the one form of its files")
    return files


def write_zip(files: dict[str, bytes]) -> bytes:
    bodies, central = b"", b""
    for path in sorted(files):
        data, name = files[path], path.encode()
        common = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0x21, zlib.crc32(data), len(data), len(data), len(name), 0)
        central += b"PK\x01\x02" + bytes([20, 3]) + common + struct.pack("<HHHII", 0, 0, 0, 0o644 << 16, len(bodies)) + name
        bodies += b"PK\x03\x04" + common + name + data
    count = len(files)
    return bodies + central + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(central), len(bodies), 0)


# ---- 9. a node's own files ----


@contextlib.contextmanager
def database(path: Path) -> Any:
    """A copy is read, so that nothing is touched."""
    with tempfile.TemporaryDirectory() as scratch:
        for each in (path, path.with_name(path.name + "-wal")):
            if each.exists():
                shutil.copyfile(each, Path(scratch) / each.name)
        db = sqlite3.connect(Path(scratch) / path.name)
        try:
            yield db
        finally:
            db.close()


def verify_node(folder: Path, own: list[Key] | None, found: Evidence) -> None:
    paths = sorted(path for path in folder.rglob("*.sqlite") if path.parent.name in ("ledgers", "copies", "mirror"))
    if not paths:
        raise Fault("no ledger is here")
    keys = keys_of(paths, own)
    held: dict[str, list[tuple[bool, list[bytes], str]]] = {}
    promised: dict[str, int] = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        with found.at(name):
            try:
                origin, bodies, receipts = check_file(path, keys, found)
            except sqlite3.Error as trouble:
                raise Fault(f"cannot be read: {trouble}") from trouble
            ours = path.parent.name == "ledgers" and path.stem != node_of(origin)
            held.setdefault(origin, []).append((ours, bodies, name))
            promised[origin] = max([promised.get(origin, 0), *receipts])
    for origin, twins in held.items():
        if any(len(bodies) < promised[origin] for _, bodies, _ in twins):
            found.faults.append(f"{origin}: there are fewer facts than were cosigned")
        for ours, bodies, name in twins[1:]:
            first_ours, first, first_name = twins[0]
            common = min(len(first), len(bodies))
            if first[:common] != bodies[:common]:
                found.faults.append(f"{first_name} and {name}: two histories of {origin}")
            if (first_ours and len(first) < len(bodies)) or (ours and len(bodies) < len(first)):
                found.faults.append(f"{origin}: the writer's own file is the shorter")
    check_blobs(folder, {origin for origin, twins in held.items() if any(ours for ours, _, _ in twins)}, found)
    check_people(found, own, set())


def keys_of(paths: list[Path], own: list[Key] | None) -> list[Key]:
    """The keys that the control site's directories name; with a list, those that it allows and what it names itself."""
    keys, origins = [], []
    directories, revoked = [], []
    for path in paths:
        with contextlib.suppress(sqlite3.Error, Fault, ValueError, TypeError, LookupError), database(path) as db:
            (origin,) = db.execute("SELECT value FROM meta WHERE key = 'origin'").fetchone()
            origins.append(origin)
            if node_of(origin) != "CONTROL":
                continue
            for (body,) in db.execute("SELECT body FROM log ORDER BY pos"):
                if b'"authority.directory_published"' in body or b'"authority.key_revoked"' in body:
                    fact = json.loads(body)
                    if fact["kind"] == "authority.directory_published":
                        directories.append(fact["body"]["directory"])
                    elif fact["kind"] == "authority.key_revoked" and fact["body"] not in revoked:
                        revoked.append(fact["body"])
    begun: dict[str, str] = {}
    for directory in directories:
        nodes = {"CONTROL": directory["control"], **{site: each["keys"] for site, each in directory["sites"].items()}}
        keys += [Key("witness", node, vkey(each["witness"])) for node, each in nodes.items()]
        for origin in origins:
            if node_of(origin) in nodes:
                begun.setdefault(origin, nodes[node_of(origin)]["ledger"])
                if not any(origin in each["ledgers"] for each in revoked):
                    keys.append(Key("writer", origin, vkey(nodes[node_of(origin)]["ledger"])))
        keys += [Key("person", person, vkey(each["key"])) for person, each in directory["people"].items()]
    for origin, first in begun.items():
        keys += lines_of(origin, first, [(each["ledgers"][origin], each["key"]) for each in revoked if origin in each["ledgers"]])
    if own is not None:
        keys = narrowed(keys, own) + [key for key in own if key.role and key.name]
    return keys


def lines_of(origin: str, first: str, revoked: list[tuple[int, str]]) -> list[Key]:
    """What a file of keys would say of a writer whose keys were revoked for so many facts, each with the key that counts beyond."""
    eras = [(-1, first)]
    for after, key in revoked:
        eras = [*(era for era in eras if era[0] < after), (after, key)]
    ends = [*(after for after, _ in eras[1:]), None]
    return [
        Key("writer", origin, vkey(key), max(after + 1, 0), last)
        for (after, key), last in zip(eras, ends, strict=True)
        if revoked and key and (last is None or last > after)
    ]


def check_file(path: Path, keys: list[Key], found: Evidence) -> tuple[str, list[bytes], list[int]]:
    if path.is_symlink() or not path.is_file():
        raise Fault("not a plain file")
    with database(path) as db:
        meta = dict(db.execute("SELECT key, value FROM meta").fetchall())
        origin = meta.get("origin")
        if meta.get("format") not in ("1", "2") or not isinstance(origin, str):
            raise Fault("not a ledger of format 1 or 2")
        last, node = origin.rpartition("/")[2], node_of(origin)
        if path.stem not in ({f"{node}.{last}"} if path.parent.name == "copies" else {last, node}):
            raise Fault(f"holds the ledger {origin}")
        rows = db.execute("SELECT pos, body FROM log ORDER BY pos").fetchall()
        checkpoints = db.execute("SELECT size, note, frontier FROM checkpoint ORDER BY size").fetchall()
        receipts = db.execute("SELECT size, note FROM receipt ORDER BY size").fetchall()
    if [row[0] for row in rows] != list(range(len(rows))) or not all(isinstance(row[1], bytes) for row in rows):
        raise Fault("its positions have gaps, or a fact is not bytes")
    bodies = [row[1] for row in rows]
    writers = writers_of(origin, keys)
    tree, roots, facts, proven = Tree(), {}, [], 0
    due = {size: (note, frontier) for size, note, frontier in checkpoints}
    for position, body in enumerate(bodies):
        fact = read_fact(body, origin, position)
        facts.append(fact)
        for writer in writers:
            writer.follow(fact, tree.root())
        tree.add(leaf(body))
        if tree.size in due:
            note, frontier = due.pop(tree.size)
            try:
                said = open_checkpoint(note, origin, writers, keys)
            except Fault:
                if not any(writer.was_revoked(read_note(note)[1], tree.size) for writer in writers):
                    raise
                roots[tree.size] = tree.root()  # signed anew later, by the key that counts now
                continue
            proven = tree.size
            if (said.origin, said.size, said.root) != (origin, tree.size, tree.root()) or frontier != tree.frontier():
                raise Fault(f"the checkpoint of {tree.size} facts is for others")
            roots[tree.size] = tree.root()
    if due or proven != len(bodies):
        raise Fault("there are checkpoints beyond the facts, or facts beyond the checkpoints")
    for size, note in receipts if path.parent.name != "mirror" else []:
        said = open_checkpoint(note, origin, writers, keys)
        if (said.origin, said.size, said.root) != (origin, size, roots.get(size)) or not said.witnesses:
            raise Fault(f"the receipt for {size} facts is for others, or nobody else has cosigned it")
    if len(facts) > len(found.facts.get(origin, [])):
        found.facts[origin], found.leaves[origin] = facts, [leaf(body) for body in bodies]
    return origin, bodies, [size for size, _ in receipts]


def check_blobs(folder: Path, own: set[str], found: Evidence) -> None:
    sealed: dict[str, list[dict[str, Any]]] = {}
    others: dict[str, list[dict[str, Any]]] = {}
    for fact in found.all_facts():
        if fact["kind"] == "records.readings_sealed":
            sealed.setdefault(fact["body"]["digest"], []).append(fact)
        elif fact["kind"] in ("monitoring.model_published", "network.page_refused", "records.house_readings_sealed"):
            others.setdefault(fact["body"]["digest"], []).append(fact)
    seen = set()
    paths = [(path, path.name if path.parent.name == path.name[:2] else "") for path in folder.glob("blobs/*/*")]
    paths += [(path, path.name if path.parent.name == path.name[:2] else "") for path in folder.glob("*/blobs/*/*")]
    paths += [(path, path.stem.rpartition("-")[2]) for path in folder.rglob("*.parquet") if "readings" in path.parts]
    if (folder / "files.json").exists():
        shared = [(folder.parent / "files" / digest[:2] / digest, digest) for digest in (*sealed, *others)]
        paths += [(path, digest) for path, digest in shared if path.exists()]
    for path, digest in paths:
        if path.name.startswith("."):
            continue
        with found.at(f"blob {path.name}"):
            if path.is_symlink() or sha256(path.read_bytes()).hexdigest() != digest:
                raise Fault("not what its name says")
            seen.add(digest)
            if digest in sealed:
                check_block(path.read_bytes(), digest, sealed[digest])
    for digest, facts in (*sealed.items(), *others.items()):
        if digest not in seen and any(fact["ledger"] in own for fact in facts):
            found.faults.append(f"the blob {digest} is missing")


# ---- all of it ----


def verify(path: Path, keys: str | None = None) -> list[str]:
    """Everything that is wrong with the dossier or the node's folder at `path`; nothing where it verifies."""
    found = Evidence()
    with found.at(path.name):
        own = None if keys is None else read_keys(keys)
        if path.is_file():
            verify_dossier(read_zip(path.read_bytes()), own, found)
        elif any(each.parent.name in ("ledgers", "copies") for each in path.rglob("*.sqlite")):
            verify_node(path, own, found)
        else:
            verify_dossier(read_folder(path), own, found)
    return found.faults


if __name__ == "__main__":
    wrong = verify(Path(sys.argv[1]), Path(sys.argv[2]).read_text() if len(sys.argv) > 2 else None)
    print("\n".join(wrong) if wrong else "nothing is wrong")
    sys.exit(4 if wrong else 0)
