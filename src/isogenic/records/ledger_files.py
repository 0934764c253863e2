"""Verifying ledgers where they stand: one ledger file, a node's folder, a backup of it, or a folder of several.

Guarantees: nothing is written, in no file and beside none; every stored fact is checked in
its place, every stored checkpoint and receipt against the root of the facts under it and
the keys that may sign it, every blob against its name, every reading block against the
facts that name it, and two files of one ledger against each other. A fault is named with
its ledger and the positions between which it lies: between two signed checkpoints, at most
one commit. A hostile file costs bounded memory and ends in findings, never in a crash.
Leaves to others: dossiers (verify), which keys deserve trust, what facts mean.

A folder that a running node holds is read through the database, as any reader would; one
that stands still is read without touching it, the write-ahead log included.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import apsw

from isogenic.errors import NotFound, NotReachable, NotTrusted, NotValid
from isogenic.records.blobs import BLOB_BYTES_MAX
from isogenic.records.dossier import CONTROL, Key, parse_keys, written_by
from isogenic.records.evidence import Signed, block_faults, named_blocks, read_fact, rotation_faults, signed_checkpoint, writer_keys
from isogenic.records.facts import FACT_BYTES_MAX, Fact
from isogenic.records.keys import WriterKeys
from isogenic.records.lock import NODE_LOCK
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.report import CheckedLedger, ExtraCheck, Findings, RootCheck, VerifyReport, run_checks

__all__ = ["KeysIn", "holds_ledgers", "verify_files"]

READ_FACTS = 512
ABOUT_KEYS = (b'"authority.directory_published"', b'"authority.key_revoked"')  # by name: records do not know what facts mean
ROW_BYTES_MAX = 2_000_000  # a signed note has at most 1,000,000 bytes, a fact fewer
FILES_MAX = 2_000  # ledger files in one verification
DEPTH_MAX = 5  # folders: a network of nodes, a node, its ledgers
MAGIC = b"SQLite format 3\x00"
TABLES = {"meta", "log", "checkpoint", "receipt"}
PLACES = {"ledgers", "copies", "mirror"}  # where a node keeps ledgers and nothing else
ROTATION = b'"kind":"records.key_rotated"'  # in canonical form every such fact says it so
DIGEST = re.compile(r"[0-9a-f]{64}")
TRIES = 3  # at a file that changes while it is copied

KeysIn = Callable[[Sequence[Fact], Sequence[str]], Sequence[Key]]  # the keys that facts name, for these ledgers
Keep = Callable[[Fact], bool]
BlobOf = Callable[[Fact], str]  # the digest of a blob that a fact names, if it does


def holds_ledgers(path: Path) -> bool:
    """Whether there is a ledger file here, or one in the folders below."""
    return (path.is_file() and _is_database(path)) or any(True for _ in _ledger_paths(path))


@dataclass(slots=True)
class _File:
    """One ledger file, opened for reading."""

    path: Path
    name: str  # as it is shown
    db: apsw.Connection
    origin: str = ""
    keep: list[Fact] = field(default_factory=list)


def verify_files(
    path: Path,
    *,
    keys: str | None = None,
    keys_in: KeysIn = lambda facts, origins: (),
    keep: Keep = lambda fact: True,
    blob_of: BlobOf = lambda fact: "",
    expected: Mapping[str, str] | None = None,
    extra_checks: Sequence[ExtraCheck] = (),
    root_checks: Sequence[RootCheck] = (),
) -> VerifyReport:
    """Verify the ledger file or the folder at `path`.

    `keys` is the text of your own key file. `keys_in` gives the public keys that facts of the control site name; without a
    list they are used as they are, and with one only those that it allows. `keep` says which facts the extra checks need,
    `blob_of` which blobs facts name besides reading blocks.
    `expected` names ledger files (path within the folder -> origin) that must be there.
    """
    found, trusted = Findings(), None if keys is None else parse_keys(keys)
    root = path.parent if path.is_file() else path
    paths = [path] if path.is_file() else list(_ledger_paths(path))
    if not paths:
        raise NotFound(f"no ledger at {path}", why="there is no ledger file in it", possible="a dossier, a ledger file, or a node's folder")
    report = VerifyReport(name=path.name, kind="ledger" if path.is_file() else "folder", keys_from_dossier=trusted is None)
    with tempfile.TemporaryDirectory(prefix="isogenic-verify-") as scratch:
        files = [file for at, each in enumerate(paths) if (file := _open(each, root, Path(scratch) / str(at), found)) is not None]
        try:
            _check_places(files, expected or {}, found)
            used = _keys(files, trusted, keys_in, found)
            report = replace(report, keys=used, files=len(paths), bytes=sum(each.stat().st_size for each in paths))
            held = [_check_ledger(file, used, keep, found) for file in files]
            report = replace(report, ledgers=tuple(held))
            _check_twins(files, found)
            blobs = _Blobs(root, found)
            blocks, readings = blobs.check(report.facts, blob_of, own={each.origin for each in files if _is_own(each) and path.is_dir()})
            report = replace(report, blocks=blocks, readings=readings, files=report.files + blobs.files, bytes=report.bytes + blobs.bytes)

            def root_at(origin: str, size: int) -> bytes | None:
                file = next((each for each in files if each.origin == origin), None)
                return _root(file, size) if file is not None else None

            if not found.stopped:
                run_checks(report.facts, trusted, root_at, extra_checks=extra_checks, root_checks=root_checks, found=found)
        finally:
            for file in files:
                file.db.close(True)
    return replace(report, findings=tuple(found.found))


# ---- finding and opening files ----


def _ledger_paths(folder: Path) -> Iterator[Path]:
    """Every database that holds a ledger, and every file where only ledgers belong."""
    if not folder.is_dir():
        return
    count = 0
    for path in sorted(folder.rglob("*.sqlite")):
        if len(path.relative_to(folder).parts) > DEPTH_MAX or (path.is_dir() and not path.is_symlink()):
            continue
        if path.parent.name in PLACES or (_is_database(path) and _has_log(path)):
            count += 1
            if count > FILES_MAX:
                raise NotValid("cannot verify this folder", why=f"it has more than {FILES_MAX} ledger files")
            yield path


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _has_log(path: Path) -> bool:
    """Whether this is a ledger and not another of a node's databases; by its layout, which may still be in the write-ahead log."""
    try:
        db = apsw.Connection(_uri(path, immutable=True), flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        with closing(db):
            return bool(db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'log'").fetchall())
    except apsw.Error:
        return False


def _uri(path: Path, *, immutable: bool) -> str:
    return f"file:{quote(str(path.absolute()))}?mode=ro" + ("&immutable=1" if immutable else "")


def _open(path: Path, root: Path, scratch: Path, found: Findings) -> _File | None:
    name = path.relative_to(root).as_posix()
    if path.is_symlink() or not path.is_file():
        found.stop("check_files", f"{name} is not a plain file")
        return None
    try:
        file = _File(path, name, _connect(path, scratch))
    except (apsw.Error, OSError) as trouble:
        found.stop("check_files", f"{name} cannot be opened as a ledger: {trouble}"[:300])
        return None
    try:
        file.db.limit(apsw.SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX)
        for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "query_only=ON", "mmap_size=0"):
            file.db.execute(f"PRAGMA {pragma}")
        # A view or a virtual table under one of our names could be made to run for ever.
        rows = file.db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0").fetchall()
        missing = TABLES - {row[0] for row in rows}
        if missing:
            raise apsw.CorruptError(f"its table {min(missing)} is missing")
        meta: dict[object, object] = dict(file.db.execute("SELECT key, value FROM meta LIMIT 100").fetchall())  # type: ignore[arg-type]
        origin = meta.get("origin")
        if not isinstance(origin, str) or not origin or len(origin) > 600:
            raise apsw.CorruptError("it does not say which ledger it is")
        file.origin = origin
        damage = [str(row[0]) for row in file.db.execute("PRAGMA quick_check(3)").fetchall()]
        if damage != ["ok"]:
            found.stop("check_files", f"{name} is damaged as a database: {'; '.join(damage)}"[:300], ledger=origin)
    except apsw.Error as trouble:
        found.stop("check_files", f"{name} cannot be read as a ledger: {trouble}"[:300])
        file.db.close(True)
        return None
    return file


def _connect(path: Path, scratch: Path) -> apsw.Connection:
    """A connection that changes nothing: neither the file nor those beside it."""
    flags, log = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, path.with_name(path.name + "-wal")
    if _is_running(path):
        return apsw.Connection(_uri(path, immutable=False), flags=flags)
    if not log.exists() or log.stat().st_size == 0:
        return apsw.Connection(_uri(path, immutable=True), flags=flags)
    for _ in range(TRIES):  # a log that was not folded in yet: the node was killed, or this is a copy of its files
        before = [(each.stat().st_size, each.stat().st_mtime_ns) for each in (path, log)]
        scratch.mkdir(exist_ok=True)
        for each in (path, log):
            shutil.copyfile(each, scratch / each.name)
        if before == [(each.stat().st_size, each.stat().st_mtime_ns) for each in (path, log)]:
            return apsw.Connection(str(scratch / path.name))
    raise NotReachable(f"cannot read {path.name}", why="it changes all the time", possible="stop the node, or verify a backup")


def _is_running(path: Path) -> bool:
    """Whether a node runs on the folder that this file is in."""
    for folder in list(path.parents)[:2]:
        try:
            handle = os.open(folder / NODE_LOCK, os.O_RDONLY)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            continue
        finally:
            os.close(handle)
    return False


def _check_places(files: Sequence[_File], expected: Mapping[str, str], found: Findings) -> None:
    """A node names its files after their ledgers: one that was put in another's place is seen even where all of it is signed."""
    names = {file.name: file for file in files}
    for name, origin in expected.items():
        if name not in names:
            found.stop("check_files", f"{name}, the ledger {origin}, is missing", ledger=origin)
        elif names[name].origin != origin:
            found.stop("check_files", f"{name} is the ledger {names[name].origin[:200]}, and {origin} belongs there", ledger=origin)
    for file in files:
        stem, audience = file.path.name.removesuffix(".sqlite"), file.origin.rpartition("/")[2]
        node = written_by(file.origin)
        allowed = {"ledgers": {audience, node}, "copies": {f"{node}.{audience}"}}.get(file.path.parent.name)
        if allowed is not None and stem not in allowed and file.name not in expected:
            found.stop("check_files", f"{file.name} holds the ledger {file.origin[:200]}, which does not belong under this name", ledger=file.origin)


def _keys(files: Sequence[_File], trusted: Sequence[Key] | None, keys_in: KeysIn, found: Findings) -> tuple[Key, ...]:
    """The keys that the control site's own facts name; with a list, only those that it allows, and what it says itself."""
    said: list[Fact] = []
    for file in files:
        if written_by(file.origin) == CONTROL:
            said += [fact for _, fact in _facts(file)]
    own = tuple(dict.fromkeys(keys_in(said, sorted({file.origin for file in files}))))
    if trusted is None:
        return own
    used = [narrow for key in own for each in trusted if each.trusts(key) and (narrow := key.within(each)).counts]
    for key in own:
        if not any(key.key == each.key and (key.role, key.name) == (each.role, each.name) for each in used):
            found.warn("check_keys", f"the key of {key.role or '-'} {key.name} is not on your list and is not used")
    return tuple(dict.fromkeys((*used, *(key for key in trusted if key.role is not None and key.name))))


def _facts(file: _File) -> Iterator[tuple[int, Fact]]:
    with suppress(apsw.Error):  # what cannot be read is named when the ledger is checked
        for position, body in _rows(file, "SELECT pos, body FROM log ORDER BY pos"):
            fact, _ = read_fact(body, ledger=file.origin, position=position) if any(each in body for each in ABOUT_KEYS) else (None, [])
            if fact is not None:
                yield position, fact


def _rows(file: _File, sql: str, values: tuple[int, ...] = ()) -> Iterator[tuple[int, bytes]]:
    """Rows of a number and bytes; others are damage."""
    for row in file.db.execute(sql, values):
        number, body = row[0], row[1]
        if type(number) is not int or type(body) is not bytes or number < 0:
            raise apsw.CorruptError(f"row {str(number)[:40]} is not a number and bytes")
        yield number, body


# ---- one ledger ----


@dataclass(slots=True)
class _Walk:
    """How far a ledger has been read, and what of it is proven."""

    frontier: Frontier = field(default_factory=Frontier)  # over what is stored
    position: int = 0  # of the next fact
    proven: int = 0  # facts under the last checkpoint that fits
    signed: Signed | None = None  # that checkpoint
    roots: dict[int, bytes] = field(default_factory=dict)  # by size, at every checkpoint that fits
    writers: list[WriterKeys] = field(default_factory=list)  # after the facts read so far


def _check_ledger(file: _File, keys: Sequence[Key], keep: Keep, found: Findings) -> CheckedLedger:
    walk = _Walk(writers=writer_keys(file.origin, keys))
    witnesses: tuple[tuple[str, datetime], ...] = ()
    witnessed = 0
    try:
        checkpoints = file.db.execute("SELECT size, note, frontier FROM checkpoint ORDER BY size")
        for row in checkpoints:
            size, note, peaks = row[0], row[1], row[2]
            if type(size) is not int or type(note) is not bytes or type(peaks) is not bytes:
                raise apsw.CorruptError("a checkpoint is not a number and bytes")
            _read_to(file, size, walk, keep, found)
            _check_checkpoint(file, size, note, peaks, keys=keys, walk=walk, found=found)
        _read_to(file, 1 << 62, walk, keep, found)
        if walk.position > walk.proven:
            last = walk.position - 1
            text = f"{file.name}: facts {walk.proven} to {last} of {file.origin} are under no checkpoint that can be believed"
            found.stop("check_checkpoint", text, ledger=file.origin, first=walk.proven, last=last)
        witnessed, witnesses = _check_receipts(file, keys, walk, found)
    except (apsw.Error, OverflowError) as trouble:
        text = f"{file.name} cannot be read from fact {walk.position} of {file.origin} on: {trouble}"[:400]
        found.stop("check_files", text, ledger=file.origin, first=walk.position)
    size, writer = walk.position, walk.signed.writer if walk.signed else ""
    if not size and not walk.signed:
        found.warn("check_facts", f"{file.origin} holds no facts", ledger=file.origin)
    elif witnessed < size:
        text = f"facts {witnessed} to {size - 1} of {file.origin} are not cosigned by another node: its writer could still change them"
        found.warn("check_witness", text, ledger=file.origin, first=witnessed, last=size - 1)
    return CheckedLedger(file.origin, size, walk.frontier.root(), tuple(file.keep), writer, witnesses, witnessed, file.name)


def _read_to(file: _File, stop: int, walk: _Walk, keep: Keep, found: Findings) -> None:
    """Read and check the facts up to position `stop`."""
    while walk.position < stop:
        upper = min(stop, walk.position + READ_FACTS)
        rows = list(_rows(file, "SELECT pos, body FROM log WHERE pos >= ? ORDER BY pos LIMIT ?", (walk.position, upper - walk.position)))
        rows = [row for row in rows if row[0] < stop]
        if not rows:
            return
        for position, body in rows:
            if position > walk.position:
                text = f"{file.name}: facts {walk.position} to {position - 1} of {file.origin} are missing"
                found.stop("check_facts", text, ledger=file.origin, first=walk.position, last=position - 1)
            walk.position = position + 1
            _check_fact(file, position, body, keep, found)
            if ROTATION in body:
                _follow_key(file, position, body, walk, [each for at, each in rows if at < position], found)
        walk.frontier = walk.frontier.extend(leaf_hashes([body for _, body in rows]))


def _follow_key(file: _File, position: int, body: bytes, walk: _Walk, before: list[bytes], found: Findings) -> None:
    """From a rotation on, another key counts; `before` are the facts of this page ahead of it."""
    after = [each.after_fact(body, position) for each in walk.writers]
    tree = walk.frontier.extend(leaf_hashes(before))
    for why in rotation_faults(walk.writers, after, lambda size: tree.root() if tree.size == size else b""):
        text = f"{file.name}: fact {position} of {file.origin} {why}"
        found.stop("check_rotations", text, ledger=file.origin, first=0, last=position)
    walk.writers = after


def _check_fact(file: _File, position: int, body: bytes, keep: Keep, found: Findings) -> None:
    if len(body) > FACT_BYTES_MAX:
        fact, wrong = None, [f"has {len(body)} bytes, more than {FACT_BYTES_MAX}"]
    else:
        fact, wrong = read_fact(body, ledger=file.origin, position=position)
    for why in wrong:
        name = f" ({fact.kind}, {fact.subject})" if fact else ""
        found.stop("check_facts", f"{file.name}: fact {position} of {file.origin}{name} {why}", ledger=file.origin, first=position, last=position)
    if fact is not None and keep(fact):
        file.keep.append(fact)


def _check_checkpoint(file: _File, size: int, note: bytes, peaks: bytes, *, keys: Sequence[Key], walk: _Walk, found: Findings) -> None:
    where = f"{file.name}, checkpoint of {size} facts of {file.origin}"
    try:
        signed = signed_checkpoint(note, origin=file.origin, keys=keys, writers=walk.writers)
    except NotTrusted as trouble:
        if any(each.of_revoked(note) for each in walk.writers):  # noted before its writer went on with a new key, which signs later
            found.warn("check_checkpoint", f"{where}: {trouble.why}", ledger=file.origin, first=walk.proven, last=max(size - 1, walk.proven))
            if walk.frontier.size == size:
                walk.roots[size] = walk.frontier.root()  # what a receipt for it, under the new key, is held against
            return
        found.stop("check_checkpoint", f"{where}: {trouble.why}", ledger=file.origin, first=walk.proven, last=max(size - 1, walk.proven))
        return
    if (signed.checkpoint.origin, signed.checkpoint.size) != (file.origin, size):
        said = f"{signed.checkpoint.size} facts of {signed.checkpoint.origin[:200]}"
        found.stop("check_checkpoint", f"{where}: it is for {said}", ledger=file.origin, first=walk.proven, last=max(size - 1, walk.proven))
        return
    stored = _frontier(peaks)
    if stored is None or stored.size != size or stored.root() != signed.checkpoint.root:
        found.stop(
            "check_checkpoint", f"{where}: the tree stored with it is not the signed one", ledger=file.origin, first=walk.proven, last=size - 1
        )
        stored = None
    if walk.frontier.size != size or walk.frontier.root() != signed.checkpoint.root:
        text = f"{where}: what is stored is not what was signed; the fault is among the facts at positions {walk.proven} to {size - 1}"
        found.stop("check_facts", text, ledger=file.origin, first=walk.proven, last=size - 1)
        if stored is not None:  # the signed tree goes on from here, so that what comes after is judged by itself
            walk.frontier = stored
    walk.position, walk.proven, walk.signed = max(walk.position, size), size, signed
    walk.roots[size] = signed.checkpoint.root


def _frontier(data: bytes) -> Frontier | None:
    try:
        return Frontier.from_bytes(data)
    except NotValid:
        return None


def _check_receipts(file: _File, keys: Sequence[Key], walk: _Walk, found: Findings) -> tuple[int, tuple[tuple[str, datetime], ...]]:
    """Every receipt is the checkpoint that the writer signed, cosigned by another node."""
    newest: tuple[int, tuple[tuple[str, datetime], ...]] = (0, ())
    for size, note in _rows(file, "SELECT size, note FROM receipt ORDER BY size"):
        where = f"{file.name}, receipt for {size} facts of {file.origin}"
        last = max(size - 1, 0)
        try:
            signed = signed_checkpoint(note, origin=file.origin, keys=keys, writers=walk.writers)
        except NotTrusted as trouble:
            found.stop("check_receipt", f"{where}: {trouble.why}", ledger=file.origin, first=0, last=last)
            continue
        said = signed.checkpoint
        if size > walk.position:
            text = f"{where}: only {walk.position} facts are here; the end of it was taken away"
            found.stop("check_receipt", text, ledger=file.origin, first=walk.position, last=last)
        elif (said.origin, said.size) != (file.origin, size) or walk.roots.get(size) != said.root:
            found.stop("check_receipt", f"{where}: it is not for what is stored here", ledger=file.origin, first=0, last=last)
        elif not signed.witnesses and file.path.parent.name == "mirror":
            continue  # a second copy that the writer itself keeps: no witness, and never counted as one
        elif not signed.witnesses:
            found.stop("check_receipt", f"{where}: no other node whose key can be used has cosigned it", ledger=file.origin, first=0, last=last)
        else:
            newest = size, signed.witnesses
    return newest


def _root(file: _File, size: int) -> bytes | None:
    frontier = Frontier()
    while frontier.size < size:
        rows = list(_rows(file, "SELECT pos, body FROM log WHERE pos >= ? ORDER BY pos LIMIT ?", (frontier.size, min(8_192, size - frontier.size))))
        if not rows:
            return None
        frontier = frontier.extend(leaf_hashes([body for _, body in rows]))
    return frontier.root()


def _is_own(file: _File) -> bool:
    """Whether this file stands with its ledger's writer, and is not a copy."""
    return file.path.parent.name == "ledgers" and file.path.name.removesuffix(".sqlite") != written_by(file.origin)


def _check_twins(files: Sequence[_File], found: Findings) -> None:
    """Two files of one ledger are one history: where they differ, the first fact that does is named."""
    first: dict[str, _File] = {}
    for file in files:
        other = first.setdefault(file.origin, file)
        if other is file:
            continue
        with suppress(apsw.Error):
            pairs = zip(
                _rows(other, "SELECT pos, body FROM log ORDER BY pos"),
                _rows(file, "SELECT pos, body FROM log ORDER BY pos"),
                strict=False,
            )
            at = next((one[0] for one, two in pairs if one != two), None)
            if at is not None:
                text = f"{other.name} and {file.name} hold two histories of {file.origin}: they differ from fact {at} on"
                found.stop("check_twins", text, ledger=file.origin, first=at, last=at)
            promised = max(_promised(each) for each in (other, file))
            for each in (other, file):
                held = _count(each)
                if held < promised:
                    text = f"{each.name} ends after {held} facts of {file.origin}, and {promised} were cosigned: the end of it was taken away"
                    found.stop("check_twins", text, ledger=file.origin, first=held, last=promised - 1)
            sizes = {_is_own(each): (_count(each), each) for each in (other, file)}
            if len(sizes) == 2 and sizes[True][0] < sizes[False][0]:
                (here, own), (there, copy) = sizes[True], sizes[False]
                text = f"{own.name} ends after {here} facts of {file.origin}, and {copy.name} holds {there}: the end of it was taken away"
                found.stop("check_twins", text, ledger=file.origin, first=here, last=there - 1)


def _promised(file: _File) -> int:
    """How many facts another node has said to hold, by the receipts here: each of them was checked before."""
    newest = file.db.execute("SELECT max(size) FROM receipt").fetchall()[0][0]
    return newest if isinstance(newest, int) else 0


def _count(file: _File) -> int:
    count = file.db.execute("SELECT count(*) FROM log").fetchall()[0][0]
    assert isinstance(count, int)
    return count


# ---- blobs ----


class _Blobs:
    """The blobs of every node folder: each is what its name says, and each block what its facts say."""

    def __init__(self, root: Path, found: Findings) -> None:
        self.found, self.files, self.bytes = found, 0, 0
        self.root = root

    def _paths(self, wanted: set[str]) -> Iterator[tuple[Path, str]]:
        """Every blob, and the digest that its name says: in `blobs/ab/`, and reading blocks as `readings/…/NUMBER-DIGEST.parquet`."""
        for place in (self.root, *sorted(each for each in self.root.iterdir() if each.is_dir())):
            for path in sorted((place / "blobs").glob("*/*")):
                if not path.name.startswith("."):  # such a file a power cut left unfinished
                    yield path, path.name if path.parent.name == path.name[:2] else ""
            for path in sorted((place / "readings").rglob("*.parquet")):
                yield path, path.name.removesuffix(".parquet").rpartition("-")[2]
        if (self.root / "files.json").is_file():  # a backup keeps all other files by digest, beside it and shared with others
            for digest in sorted(wanted):
                path = self.root.parent / "files" / digest[:2] / digest
                if DIGEST.fullmatch(digest) and path.exists():
                    yield path, digest

    def check(self, facts: Sequence[Fact], blob_of: BlobOf, *, own: set[str]) -> tuple[int, int]:
        """How many blocks were checked, and how many readings are in them. `own`: the ledgers that are here with their writer."""
        named = named_blocks(facts)
        others = {digest: fact for fact in facts if (digest := blob_of(fact))}
        seen: dict[str, int] = {}
        for path, digest in self._paths(set(named) | set(others)):
            data = self._read(path, digest)
            if data is None:
                continue
            if digest not in named and digest not in others:
                self.found.warn("check_blobs", f"no fact here names the blob {digest}")
            wrong, readings = block_faults(data, digest, named[digest]) if digest in named else ([], 0)
            seen[digest] = readings
            for why in wrong:
                fact = named[digest][0][0]
                self.found.stop("check_blocks", f"block {digest}{why}", ledger=fact.ref.ledger, first=fact.position, last=fact.position)
        for digest in sorted((set(named) | set(others)) - set(seen)):
            fact = named[digest][0][0] if digest in named else others[digest]
            # A writer keeps what it names before it names it; to a copy the blob may still be on its way.
            tell = self.found.stop if fact.ref.ledger in own else self.found.warn
            text = f"the blob {digest}, which {fact.kind} at {fact.ref} names, is not here"
            tell("check_blobs", text, ledger=fact.ref.ledger, first=fact.position, last=fact.position)
        return len(set(seen) & set(named)), sum(seen.values())

    def _read(self, path: Path, digest: str) -> bytes | None:
        name = path.as_posix().removeprefix(f"{self.root.as_posix()}/")
        if path.is_symlink() or not path.is_file() or path.stat().st_size > BLOB_BYTES_MAX:
            self.found.stop("check_blobs", f"{name} is not a plain file of at most {BLOB_BYTES_MAX} bytes")
            return None
        data = path.read_bytes()
        self.files, self.bytes = self.files + 1, self.bytes + len(data)
        if sha256(data).hexdigest() != digest:
            self.found.stop("check_blobs", f"{name} has other bytes than its name says")
            return None
        return data
