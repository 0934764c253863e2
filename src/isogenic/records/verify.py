"""Verifying a dossier from its files and public keys: no server, no database, no trust in who wrote it.

Guarantees: every file is checked against the signed manifest, every fact against its leaf,
its place and its form, every ledger against its signed and cosigned root, every reading
block against the fact that names it; any changed byte ends in a note that names the place.
A hostile dossier costs bounded memory and ends in notes, never in a crash.
Leaves to others: which keys deserve trust (without a list of yours, compare fingerprints),
people's signatures inside facts (handed in as `extra_checks`), what the facts mean.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from isogenic.errors import NotFound, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.records import codec
from isogenic.records.blocks import ReadingsSealed
from isogenic.records.dossier import (
    CONTROL,
    FORMAT,
    KEYS,
    MANIFEST,
    MANIFEST_SIG,
    Key,
    KeyRole,
    check_path,
    manifest_text,
    pack,
    parse_keys,
    root_of,
    written_by,
)
from isogenic.records.evidence import batches_about, block_faults, named_blocks, read_fact, rotation_faults, signed_checkpoint, writer_keys
from isogenic.records.facts import Fact
from isogenic.records.gaps import ReadingsGap, readings_faults
from isogenic.records.keys import WriterKeys
from isogenic.records.merkle import Frontier, leaf_hash, leaf_hashes
from isogenic.records.notes import open_note
from isogenic.records.report import CheckedLedger, ExtraCheck, Findings, RootCheck, VerifyReport, run_checks

__all__ = ["CheckedLedger", "ExtraCheck", "VerifyReport", "verify_dossier"]

DOSSIER_BYTES_MAX = 2 * 1024**3  # all files together, unpacked: what fits the memory of an inspector's machine
FILES_MAX = 10_000
REVOKED = "authority.key_revoked"  # by name: records do not know what facts mean


def verify_dossier(
    path: Path, *, keys: str | None = None, extra_checks: Sequence[ExtraCheck] = (), root_checks: Sequence[RootCheck] = ()
) -> VerifyReport:
    """Verify the dossier in a folder or a .zip. `keys` is the text of your own key file; without it the dossier's keys are used."""
    found = Findings()
    report = VerifyReport(name=path.name)
    trusted = None if keys is None else parse_keys(keys)
    bodies: dict[str, list[bytes]] = {}
    try:
        files = _read_zip(path, found) if path.is_file() else _read_folder(path, found)
        used = _keys(files, trusted, found)
        report = replace(report, files=len(files), bytes=sum(map(len, files.values())), keys=used, keys_from_dossier=trusted is None)
        manifest = _manifest(files, used, found)
        _check_files(files, manifest, found)
        report = replace(report, about=str(manifest.get("about", ""))[:200], made_at=str(manifest.get("made_at", ""))[:40])
        ledgers = [_ledger(files, said, used, found, bodies) for said in _ledgers(manifest, found)]
        report = replace(report, ledgers=tuple(each for each in ledgers if each is not None))
        _check_revoked(report.ledgers, used, found)
        blocks, readings = _check_blocks(files, report.facts, report.about, found)
        report = replace(report, blocks=blocks, readings=readings)
    except NotTrusted as trouble:
        found.stop("check_form", f"{trouble}")

    def root_at(origin: str, size: int) -> bytes | None:
        held = bodies.get(origin, [])
        return root_of(held[:size]) if 0 < size <= len(held) else None

    if not found.stopped:
        wanted = batches_about(report.facts, report.about)
        run_checks(report.facts, trusted, root_at, extra_checks=extra_checks, root_checks=root_checks, wanted=wanted, found=found)
    return replace(report, findings=tuple(found.found))


# ---- files ----


def _read_folder(folder: Path, found: Findings) -> dict[str, bytes]:
    if not folder.is_dir():
        raise NotFound(f"no dossier at {folder}", why="there is neither a folder nor a .zip")
    files: dict[str, bytes] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() and not path.is_symlink():
            continue
        if path.is_symlink() or not path.is_file():
            found.stop("check_files", f"{name[:200]} is not a plain file")
            continue
        total += path.stat().st_size
        _within_limits(len(files) + 1, total)
        try:
            files[name] = path.read_bytes()
        except OSError as trouble:
            raise NotReachable(f"cannot read {name}", why=str(trouble)) from trouble
    return files


def _within_limits(count: int, total: int) -> None:
    if count > FILES_MAX or total > DOSSIER_BYTES_MAX:
        raise NotTrusted("dossier refused", why=f"it has more than {FILES_MAX} files or {DOSSIER_BYTES_MAX} bytes")


def _read_zip(path: Path, found: Findings) -> dict[str, bytes]:
    """Only stored entries are taken, so nothing unpacks to more than the archive's own size; nothing is written anywhere."""
    if path.stat().st_size > DOSSIER_BYTES_MAX:
        raise NotTrusted("dossier refused", why=f"the archive is larger than {DOSSIER_BYTES_MAX} bytes")
    data = path.read_bytes()
    files: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _within_limits(len(entries), sum(entry.file_size for entry in entries))
            for entry in entries:
                _check_entry(entry, files, len(data))
                try:
                    files[entry.filename] = archive.read(entry)
                except zipfile.BadZipFile:
                    # the archive's own checksum of this file fails; take the bytes as they are, so that the place can be named
                    files[entry.filename] = _stored_bytes(data, entry)
    except (zipfile.BadZipFile, NotImplementedError, NotValid, RuntimeError, ValueError, OSError, EOFError, struct.error) as trouble:
        raise NotTrusted("dossier refused", why=f"the archive cannot be read: {trouble}"[:300]) from trouble
    again = pack(files)
    if again != data:
        _name_difference(data, again, files, found)
    return files


def _check_entry(entry: zipfile.ZipInfo, files: Mapping[str, bytes], size: int) -> None:
    check_path(entry.filename)
    if entry.filename in files:
        raise NotValid(f"two files are called {entry.filename}")
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size or entry.flag_bits & 0x1:
        raise NotValid(f"{entry.filename} is compressed or encrypted; entries are stored", possible="unpack it and verify the folder")


def _stored_bytes(data: bytes, entry: zipfile.ZipInfo) -> bytes:
    start = entry.header_offset + 30
    name, extra = (int.from_bytes(data[entry.header_offset + at : entry.header_offset + at + 2], "little") for at in (26, 28))
    return data[start + name + extra : start + name + extra + entry.file_size]


def _name_difference(data: bytes, again: bytes, files: Mapping[str, bytes], found: Findings) -> None:
    at = next((place for place, (one, other) in enumerate(zip(data, again, strict=False)) if one != other), min(len(data), len(again)))
    found.stop("check_archive", f"the archive differs at byte {at} from the one form that these {len(files)} files have: changed, or packed anew")


# ---- manifest and keys ----


def _keys(files: Mapping[str, bytes], trusted: Sequence[Key] | None, found: Findings) -> tuple[Key, ...]:
    try:
        own = parse_keys(files.get(KEYS, b"").decode())
    except (NotValid, UnicodeDecodeError) as trouble:
        found.stop("check_keys", f"{KEYS} is not readable: {trouble}")
        own = ()
    if trusted is None:
        return own
    used = tuple(narrow for key in own for each in trusted if each.trusts(key) and (narrow := key.within(each)).counts)
    for key in own:
        if not any(key.key == each.key and (key.role, key.name) == (each.role, each.name) for each in used):
            found.warn("check_keys", f"the key of {key.role or '-'} {key.name} is not on your list and is not used")
    return tuple(dict.fromkeys(used))


def _of(keys: Sequence[Key], role: KeyRole) -> list[Key]:
    return [key for key in keys if key.role is role]


def _manifest(files: Mapping[str, bytes], keys: Sequence[Key], found: Findings) -> dict[str, Any]:
    for name in (MANIFEST, MANIFEST_SIG):
        if name not in files:
            raise NotTrusted("dossier refused", why=f"{name} is missing")
    signed, why = False, "no key of the role dossier can be used"
    for key in _of(keys, KeyRole.DOSSIER):
        try:
            text = open_note(files[MANIFEST_SIG], key.key)
        except Refusal as trouble:
            why = f"{MANIFEST_SIG} is not good: {trouble}"
            continue
        signed = text == manifest_text(files[MANIFEST])
        why = f"{MANIFEST} is not the one that {key.name} signed"
    if not signed:
        found.stop("check_manifest", why)
    try:
        manifest = codec.loads(files[MANIFEST], what=MANIFEST)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or not isinstance(manifest.get("files"), dict):
            raise NotValid("cannot read a manifest", why=f"it is not of the form {FORMAT}")
    except NotValid as trouble:
        raise NotTrusted("dossier refused", why=f"{MANIFEST}: {trouble}") from trouble
    return manifest


def _check_files(files: Mapping[str, bytes], manifest: Mapping[str, Any], found: Findings) -> None:
    listed = manifest["files"]
    for name in sorted(set(files) - set(listed) - {MANIFEST, MANIFEST_SIG}):
        found.stop("check_files", f"{name[:200]} is not in the manifest")
    for name, said in listed.items():
        if name not in files:
            found.stop("check_files", f"{name[:200]} is missing")
        elif not isinstance(said, dict) or said.get("sha256") != sha256(files[name]).hexdigest() or said.get("bytes") != len(files[name]):
            found.stop("check_files", f"{name[:200]} is not the file that the manifest names: its SHA-256 or size differs")


# ---- ledgers ----


def _ledgers(manifest: Mapping[str, Any], found: Findings) -> list[dict[str, Any]]:
    said = manifest.get("ledgers")
    good = [each for each in said if isinstance(each, dict)] if isinstance(said, list) else []
    if not good or len(good) > FILES_MAX:
        found.stop("check_ledgers", f"{MANIFEST} names no ledger")
        return []
    return good


def _ledger(
    files: Mapping[str, bytes], said: Mapping[str, Any], keys: Sequence[Key], found: Findings, held: dict[str, list[bytes]]
) -> CheckedLedger | None:
    origin, size = said.get("origin"), said.get("size")
    paths = [said.get(part) for part in ("facts", "leaves", "note")]
    if not isinstance(origin, str) or type(size) is not int or any(not isinstance(path, str) or path not in files for path in paths):
        found.stop("check_ledgers", f"a ledger ({str(origin)[:120]}) is not whole: facts, leaves or note are missing")
        return None
    facts_path, leaves_path, note_path = map(str, paths)
    bodies = files[facts_path].split(b"\n")
    if bodies.pop() != b"":
        found.stop("check_facts", f"{facts_path} does not end with a line feed")
    if len(bodies) != size:
        found.stop("check_facts", f"{facts_path} has {len(bodies)} facts, and the manifest says {size}")
    if origin in held:
        found.stop("check_ledgers", f"{origin[:120]} is there twice", ledger=origin)
    held[origin] = bodies
    facts = _check_facts(bodies, files[leaves_path], origin=origin, path=facts_path, leaves_path=leaves_path, found=found)
    root = root_of(bodies)
    begun = writer_keys(origin, keys)
    writers = [each.after_facts(bodies, start=0) for each in begun]
    for why in rotation_faults(begun, writers, _roots(bodies)):
        found.stop("check_rotations", f"{origin} {why}", ledger=origin)
    writer, witnesses = _check_note(
        files[note_path], origin=origin, size=len(bodies), root=root, path=note_path, keys=keys, writers=writers, found=found
    )
    return CheckedLedger(origin, len(bodies), root, tuple(facts), writer, witnesses, len(bodies) if witnesses else 0)


def _check_facts(bodies: Sequence[bytes], leaves: bytes, *, origin: str, path: str, leaves_path: str, found: Findings) -> list[Fact]:
    listed = leaves.split(b"\n")[:-1]
    if len(listed) != len(bodies):
        found.stop("check_facts", f"{leaves_path} has {len(listed)} leaves for {len(bodies)} facts", ledger=origin)
    facts = []
    for position, body in enumerate(bodies):
        fact, wrong = read_fact(body, ledger=origin, position=position)
        place = f"{path}, line {position + 1}: fact {position} of {origin}"
        name = f"{place} ({fact.kind}, {fact.subject})" if fact else place
        if position < len(listed) and listed[position] != leaf_hash(body).hex().encode():
            wrong.insert(0, f"is not as it was noted: its leaf is not line {position + 1} of {leaves_path}")
        for why in wrong:
            found.stop("check_facts", f"{name} {why}", ledger=origin, first=position, last=position)
        if fact is not None:
            facts.append(fact)
    return facts


def _roots(bodies: Sequence[bytes]) -> Callable[[int], bytes]:
    """The root of the first so many facts; cheap where it is asked in order."""
    grown = Frontier()

    def root(size: int) -> bytes:
        nonlocal grown
        grown = grown if grown.size <= size else Frontier()
        grown = grown.extend(leaf_hashes(bodies[grown.size : size]))
        return grown.root()

    return root


def _check_revoked(ledgers: Sequence[CheckedLedger], keys: Sequence[Key], found: Findings) -> None:
    """A list of keys that is older than a revocation does not make a revoked key count again."""
    said = [fact for ledger in ledgers if written_by(ledger.origin) == CONTROL for fact in ledger.facts if fact.kind == REVOKED]
    for ledger in ledgers:
        for fact in said:
            after = (fact.body().get("ledgers") or {}).get(ledger.origin)
            if type(after) is not int or ledger.size <= after:
                continue
            if not any(key.first > after for key in keys if key.role is KeyRole.WRITER and key.name == ledger.origin):
                text = f"{ledger.origin}: its writer's key was revoked by {fact.ref} and counts for {after} facts, not for {ledger.size}"
                found.stop("check_revoked", text, ledger=ledger.origin, first=after, last=ledger.size - 1)


def _check_note(
    note: bytes, *, origin: str, size: int, root: bytes, path: str, keys: Sequence[Key], writers: Sequence[WriterKeys], found: Findings
) -> tuple[str, tuple[tuple[str, datetime], ...]]:
    try:
        signed = signed_checkpoint(note, origin=origin, keys=keys, writers=writers)
    except NotTrusted as trouble:
        found.stop("check_checkpoint", trouble.why if trouble.why.startswith("no key") else f"{path} is not good: {trouble.why}", ledger=origin)
        return "", ()
    said, last = signed.checkpoint, max(size - 1, 0)
    if (said.origin, said.size) != (origin, size):
        found.stop("check_checkpoint", f"{path} is for {said.size} facts of {said.origin[:120]}, and here are {size} of {origin}", ledger=origin)
    elif said.root != root:
        found.stop("check_checkpoint", f"{path}: the signed root is not the root of the {size} facts", ledger=origin, first=0, last=last)
    elif not signed.witnesses:
        # What a site wrote counts once the control site holds it; what the control site wrote may not have come back yet.
        tell = found.warn if written_by(origin) == CONTROL else found.stop
        tell("check_witness", f"{origin} is not cosigned by another node whose key can be used", ledger=origin, first=0, last=last)
        return signed.writer, ()
    else:
        return signed.writer, signed.witnesses
    return "", ()


# ---- readings ----


def _check_blocks(files: Mapping[str, bytes], facts: Sequence[Fact], about: str, found: Findings) -> tuple[int, int]:
    present = {name.removeprefix("blocks/").removesuffix(".parquet"): name for name in files if name.startswith("blocks/")}
    named, readings = named_blocks(facts), 0
    for digest, name in sorted(present.items()):
        if digest not in named or name != f"blocks/{digest}.parquet":
            found.stop("check_blocks", f"{name} is not named by any fact")
            continue
        wrong, count = block_faults(files[name], digest, named[digest])
        fact = named[digest][0][0]
        for why in wrong:
            found.stop("check_blocks", name + why, ledger=fact.ref.ledger, first=fact.position, last=fact.position)
        readings += count
    missing = [each for digest in sorted(set(named) - set(present)) for each in named[digest]]
    batches = batches_about(facts, about)
    for fact, sealed in missing:
        if sealed.batch in batches:
            text = f"blocks/{sealed.digest}.parquet, the readings of {sealed.batch} that {fact.ref} sealed, is missing"
            found.stop("check_blocks", text, ledger=fact.ref.ledger, first=fact.position, last=fact.position)
    for batch in sorted(batches):
        mine = [fact for fact in facts if getattr(fact.payload, "batch", "") == batch]
        blocks = [fact.payload for fact in mine if isinstance(fact.payload, ReadingsSealed)]
        gaps = [fact.payload for fact in mine if isinstance(fact.payload, ReadingsGap)]
        for why in readings_faults(blocks, gaps):
            found.stop("check_blocks", f"readings of {batch}: {why}")
    others = sum(sealed.batch not in batches for _, sealed in missing)
    if others:
        found.warn("check_blocks", f"{others} reading blocks of these ledgers (of other batches) are not part of this dossier")
    return len(present), readings
