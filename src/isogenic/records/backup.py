"""Backups of a node that runs, and their way back to an empty folder, as it was at any time.

    TO/2026-11-23T15-30-00.000Z/      one backup
        manifest                      signed note: node, time, digest of files.json, each ledger's origin, size and root
        files.json                    every file by its path: SHA-256 and size
        ledgers/… copies/… *.sqlite   each a consistent copy of its own, as SQLite's backup gives it while others write
        secrets                       private keys and accounts, only with a passphrase: scrypt, AES-256-GCM
    TO/files/ab/abcdef…               all other files by their digest, shared by all backups: kept once, however often backed up

Guarantees: a ledger is backed up only if all of its facts, hashed again in the copy, give the root that its writer signed; a
restore checks every digest before it writes a file, and writes into an empty folder only. Nothing of a restore decides
what a node may write: it comes back as an old one, so its witness returns what is missing (returning).
Never in a backup: the lock, the ballast, derived tables, the beacon, and, without a passphrase, private keys and accounts.
What `shred` names is left out of every backup: a key that was destroyed must not come back.
Leaves to others: when to back up, and carrying the folder elsewhere.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import takewhile
from pathlib import Path

import apsw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from isogenic.clock import Moment, text_of_time, time_of_text
from isogenic.errors import NotAllowed, NotFound, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.records import codec
from isogenic.records.blobs import BlobStore, DiskFiles
from isogenic.records.durable import make_folder, sync_folder, write_whole
from isogenic.records.facts import fact_in_place
from isogenic.records.keys import WriterKeys
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Checkpoint, Signer, VerifyingKey, claimed_checkpoint, first_key_id, open_note, sign_note
from isogenic.records.salvage import SqliteSalvage
from isogenic.records.sqlite import SqliteStore
from isogenic.records.store import Commit

__all__ = ["Backup", "Restored", "Until", "back_up", "backups", "restore"]

TITLE = "isogenic backup 1"
SECRET = ("keys", "tls", "accounts")
LEFT_OUT = ("node.lock", "equipment.lock", "ballast", "derived.sqlite")
SHRED = ("vault-keys",)  # the keys of persons: who was erased must not come back from a backup; their boxes alone open nothing
SCRYPT_N, SALT, NONCE = 1 << 15, 16, 12
FILE_BYTES_MAX = 1 << 30
PAGE = 512
COMMITS = 64

Until = datetime | int


@dataclass(frozen=True, slots=True)
class _Kept:
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup: where, of whom, when, and how far its ledgers go."""

    folder: Path
    node: str
    at: datetime
    key: VerifyingKey
    ledgers: Mapping[str, Checkpoint]
    files: Mapping[str, _Kept]
    copied: int = 0  # bytes that were not in an earlier backup

    def __str__(self) -> str:
        lines = [f"backup of {self.node} at {text_of_time(self.at)}: {len(self.files)} files, signed by {self.key.name} ({self.key.fingerprint})"]
        lines += [f"  {each.origin}: {each.size} facts, root {each.root.hex()[:16]}…" for each in self.ledgers.values()]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Restored:
    """What is in the restored folder."""

    backup: Backup
    folder: Path
    sizes: Mapping[str, int]  # facts of each ledger
    secrets: bool

    def __str__(self) -> str:
        lines = [f"{self.backup}", f"restored to {self.folder}"]
        lines += [f"  {origin}: {size} facts" for origin, size in self.sizes.items()]
        if not self.secrets:
            lines.append(f"  without private keys and accounts: put {', '.join(SECRET)} there before the node is started")
        lines.append("  the node writes nothing before its witness has returned what was noted since")
        return "\n".join(lines)


# ---- backing up ----


def back_up(folder: Path, to: Path, *, moment: Moment, passphrase: str = "", entropy: Callable[[int], bytes]) -> Backup:
    """Back a node's folder up while it runs. Raises `NotTrusted` where a ledger is not what was signed: then no backup is made of it."""
    if to.resolve().is_relative_to(folder.resolve()):
        raise NotValid(f"cannot back up to {to}", why="it is in the folder itself", possible="another disk")
    before = _signers(folder)
    name = text_of_time(moment.at).replace(":", "-")
    target, growing = to / name, to / f".{name}.part"
    if target.exists():
        raise NotAllowed(f"cannot back up to {target}", why="there is a backup of that moment")
    make_folder(growing)
    try:
        files, ledgers, copied = dict[str, _Kept](), dict[str, Checkpoint](), 0
        for path in _plain_files(folder):
            kept, fresh = _shelve(path, to)
            files[path.relative_to(folder).as_posix()] = kept
            copied += kept.size if fresh else 0
        for path in _databases(folder):
            name_ = path.relative_to(folder)
            copy = growing / name_
            _copy_database(path, copy)
            head = _verified(copy)
            if head is not None:
                ledgers[name_.as_posix()] = head
            files[name_.as_posix()] = _Kept(DiskFiles().digest(copy), copy.stat().st_size)
            copied += copy.stat().st_size
        signer = _in_force(growing, {**before, **_signers(folder)}, folder)  # both: a key may be rotated, and destroyed, while this runs
        if passphrase:
            sealed = _seal(_secrets(folder), passphrase, entropy=entropy)
            write_whole(growing / "secrets", sealed, mode=0o600)
            files["secrets"] = _Kept(sha256(sealed).hexdigest(), len(sealed))
        listed = codec.dumps(codec.plain(files))
        write_whole(growing / "files.json", listed)
        write_whole(growing / "manifest", sign_note(_manifest(signer, moment.at, listed, ledgers), signer))
        growing.replace(target)
        sync_folder(to)
    except OSError as trouble:
        raise NotReachable(f"no backup of {folder.name}", why=str(trouble), possible="free the disk and try again") from trouble
    finally:
        shutil.rmtree(growing, ignore_errors=True)
    return Backup(target, signer.name, moment.at, signer.verifying_key, {each.origin: each for each in ledgers.values()}, files, copied)


def _signers(folder: Path) -> dict[bytes, Signer]:
    """The private ledger keys of a folder, by what marks their signatures."""
    found = dict[bytes, Signer]()
    for path in sorted((folder / "keys").glob("*.key")):
        with suppress(Refusal, OSError):  # a key of another kind, or one destroyed just now
            signer = Signer.load(path)
            found[signer.verifying_key.key_id] = signer
    return found


def _in_force(copies: Path, signers: Mapping[bytes, Signer], folder: Path) -> Signer:
    """The key that signed the newest checkpoint of a ledger written here, the house's first: rotations lead to it from any key before."""
    for path in sorted((copies / "ledgers").glob("*.sqlite"), key=lambda path: (path.stem != "HOUSE", path.stem)):
        kept = SqliteSalvage(path)
        try:
            for _, note in kept.checkpoints()[-1:]:
                if first_key_id(note) in signers:
                    return signers[first_key_id(note)]
        finally:
            kept.close()
    begun = folder / "keys" / "ledger.key"
    if begun.exists():  # nothing noted yet, or all of it under a key that is gone
        return Signer.load(begun)
    raise NotFound(
        f"no backup of {folder.name}", why="the key that signed its ledgers last is not in it", possible="isogenic renew-key, then back it up"
    )


def _plain_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_file() or name.parts[0] in (*SECRET, *SHRED, *LEFT_OUT) or name.name in LEFT_OUT or name.name.startswith("."):
            continue
        if ".sqlite" in name.name and name.parts[0] != "evidence" and not name.name.endswith(".wound"):
            continue
        yield path


def _databases(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.sqlite")):
        name = path.relative_to(folder)
        if name.name not in LEFT_OUT and name.parts[0] not in (*SECRET, *SHRED, "evidence"):
            yield path


def _shelve(path: Path, to: Path) -> tuple[_Kept, bool]:
    """Keep a file under its digest, once; whether it was not there."""
    digest, files = DiskFiles().digest(path), DiskFiles()
    shelf = _shelf(to, digest)
    if files.has(shelf) and shelf.stat().st_size == path.stat().st_size:
        return _Kept(digest, path.stat().st_size), False
    data = path.read_bytes()
    if sha256(data).hexdigest() != digest:
        raise NotReachable(f"no backup of {path.name}", why="it is being written", possible="try again")
    if (path.parent.parent.name == "blobs" and path.name != digest) or (path.suffix == ".parquet" and digest not in path.name):
        raise NotTrusted(f"no backup of {path.name}", why="the blob no longer has its digest", possible="let the scrub mend it, then back up")
    write_whole(shelf, data)
    return _Kept(digest, len(data)), True


def _shelf(to: Path, digest: str) -> Path:
    return BlobStore(to / "files").path(digest)


def _copy_database(path: Path, copy: Path) -> None:
    """One database as it is at one moment, while others write it."""
    make_folder(copy.parent)
    try:
        source, target = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE), apsw.Connection(str(copy))
        try:
            source.set_busy_timeout(5_000)
            with target.backup("main", source, "main") as work:
                while not work.done:
                    work.step(-1)
            target.execute("PRAGMA journal_mode=DELETE")
            target.execute("PRAGMA synchronous=FULL")
        finally:
            source.close()
            target.close()
    except apsw.Error as trouble:
        raise NotReachable(f"no backup of {path.name}", why=str(trouble), possible="try again, or let the node heal it first") from trouble
    with copy.open("rb") as file:
        os.fsync(file.fileno())


def _verified(copy: Path) -> Checkpoint | None:
    """The newest checkpoint of a copied ledger, all of its facts hashed again; None where it is no ledger, or an empty one."""
    kept = SqliteSalvage(copy)
    try:
        checkpoints = kept.checkpoints()
        if not checkpoints:
            return None
        head = claimed_checkpoint(checkpoints[-1][1])
        if _frontier(kept, head.size).root() != head.root or kept.count() != head.size:
            raise NotTrusted(
                f"no backup of {head.origin}", why="what is stored is not what was signed", possible="let the node heal it first, then back up"
            )
        return head
    finally:
        kept.close()


def _frontier(kept: SqliteSalvage, size: int) -> Frontier:
    frontier = Frontier()
    while frontier.size < size:
        bodies = kept.bodies(frontier.size, min(size, frontier.size + PAGE))
        if None in bodies:
            break
        frontier = frontier.extend(leaf_hashes([body for body in bodies if body is not None]))
    return frontier


def _manifest(signer: Signer, at: datetime, listed: bytes, ledgers: Mapping[str, Checkpoint]) -> bytes:
    lines = [TITLE, signer.name, str(signer.verifying_key), text_of_time(at), sha256(listed).hexdigest()]
    lines += [f"{each.origin} {each.size} {base64.b64encode(each.root).decode()} {path}" for path, each in sorted(ledgers.items())]
    return ("\n".join(lines) + "\n").encode()


# ---- secrets ----


def _secrets(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for top in SECRET
        for path in sorted((folder / top).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def _seal(files: Mapping[str, bytes], passphrase: str, *, entropy: Callable[[int], bytes]) -> bytes:
    salt, nonce = entropy(SALT), entropy(NONCE)
    plain = codec.dumps({path: base64.b64encode(data).decode() for path, data in files.items()})
    sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, plain, TITLE.encode())
    return codec.dumps({"salt": salt.hex(), "nonce": nonce.hex(), "sealed": base64.b64encode(sealed).decode()})


def _unseal(data: bytes, passphrase: str) -> dict[str, bytes]:
    said = codec.read(dict[str, str], codec.loads(data, what="secrets"), what="secrets")
    try:
        key = _key(passphrase, bytes.fromhex(said["salt"]))
        plain = AESGCM(key).decrypt(bytes.fromhex(said["nonce"]), base64.b64decode(said["sealed"]), TITLE.encode())
    except (InvalidTag, KeyError, ValueError) as trouble:
        raise NotTrusted("secrets of the backup not opened", why="the passphrase is another one, or they were changed") from trouble
    files = codec.read(dict[str, str], codec.loads(plain, what="secrets"), what="secrets")
    return {path: base64.b64decode(text) for path, text in files.items()}


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=SCRYPT_N, r=8, p=1).derive(passphrase.encode())


# ---- finding ----


def backups(at: Path) -> list[Backup]:
    """The backups in a folder, or the one that the folder is, oldest first; their manifests verified."""
    found = [at] if (at / "manifest").is_file() else sorted(each.parent for each in at.glob("*/manifest") if not each.parent.name.startswith("."))
    return [_open(each) for each in found]


def _open(folder: Path) -> Backup:
    try:
        note, listed = (folder / "manifest").read_bytes(), (folder / "files.json").read_bytes()
    except OSError as trouble:
        raise NotFound(f"no backup in {folder.name}", why=str(trouble)) from trouble
    said = note.split(b"\n\n")[0].decode(errors="replace").split("\n")
    if len(said) < 5 or said[0] != TITLE:
        raise NotValid(f"cannot read the manifest of {folder.name}", why=f"it does not begin with {TITLE}")
    key = VerifyingKey.parse(said[2])
    lines = open_note(note, key).decode().splitlines()
    if sha256(listed).hexdigest() != lines[4]:
        raise NotTrusted(f"backup {folder.name} refused", why="its list of files is not the one that was signed")
    ledgers = {}
    for line in lines[5:]:
        origin, size, root, _ = line.split(" ", 3)
        ledgers[origin] = Checkpoint(origin, int(size), base64.b64decode(root))
    files = codec.read(dict[str, _Kept], codec.loads(listed, what="files.json"), what="files.json")
    return Backup(folder, lines[1], time_of_text(lines[3]), key, ledgers, files)


# ---- restoring ----


def restore(source: Path, folder: Path, *, until: Until | None = None, passphrase: str = "", keys: str = "") -> Restored:
    """Restore the newest backup (not younger than `until`, where that is a time) into an empty folder.

    `until` cuts every ledger after the last checkpoint whose facts are all that old, or of at most that many facts.
    `keys`: public keys that you trust; the manifest must be signed by one of them, or by one that a ledger in it was rotated to from one of them.
    """
    if folder.exists() and any(folder.iterdir()):
        raise NotAllowed(f"cannot restore to {folder}", why="it is not empty", possible="an empty folder; keep the old one as evidence")
    backup = _chosen(source, until)
    if keys and not _trusted(backup, keys):
        raise NotTrusted(f"backup {backup.folder.name} refused", why=f"its key {backup.key.fingerprint} is none of those you trust")
    shelf = backup.folder.parent
    for name, kept in backup.files.items():
        _check_name(name)
        if name != "secrets":
            own = backup.folder / name
            _restore_file(own if own.is_file() else _shelf(shelf, kept.sha256), kept, folder / name)
    sizes = {}
    for path in _databases(folder):
        size = _cut(path, until)
        if size is not None:
            sizes[path.relative_to(folder).as_posix()] = size
    if "secrets" in backup.files and passphrase:
        sealed = (backup.folder / "secrets").read_bytes()
        if sha256(sealed).hexdigest() != backup.files["secrets"].sha256:
            raise NotTrusted("secrets of the backup not opened", why="they are not those that were signed")
        for name, data in _unseal(sealed, passphrase).items():
            _check_name(name)
            write_whole(folder / name, data, mode=0o600)
            (folder / name).parent.chmod(0o700)
    return Restored(backup, folder, sizes, secrets=bool("secrets" in backup.files and passphrase))


def _trusted(backup: Backup, keys: str) -> bool:
    """Whether the key of the manifest is one of these, or follows from one by the rotations that a ledger of the backup holds."""
    words = set(keys.split())
    if str(backup.key) in words:
        return True
    known = list[VerifyingKey]()
    for word in words:
        with suppress(NotValid):
            known.append(VerifyingKey.parse(word))
    known = [each for each in known if each.name == backup.key.name]
    ledgers = {backup.folder / name: kept for name, kept in backup.files.items() if Path(name).parent == Path("ledgers") and known}
    return any(
        any(era.key == backup.key for each in _eras(path, known) for era in each.eras)
        for path, kept in ledgers.items()
        if path.is_file() and DiskFiles().digest(path) == kept.sha256
    )


def _eras(path: Path, known: Sequence[VerifyingKey]) -> list[WriterKeys]:
    """What each of these keys leads to in a ledger file: every rotation carries the word of the key before."""
    kept = SqliteSalvage(path)
    try:
        found, start, heads = list[WriterKeys](), 0, list(kept.checkpoints())[-1:]
        for _, note in heads:
            found = [WriterKeys.first(claimed_checkpoint(note).origin, key) for key in known]
        while found:
            bodies = list(takewhile(bool, kept.bodies(start, start + PAGE)))
            if not bodies:
                break
            found = [each.after_facts((body for body in bodies if body), start=start) for each in found]
            start += len(bodies)
        return found
    finally:
        kept.close()


def _chosen(source: Path, until: Until | None) -> Backup:
    found = backups(source)
    if not found:
        raise NotFound(f"no backup in {source}", why="no folder there has a manifest")
    if isinstance(until, datetime):  # the first that holds everything up to then; what is younger is cut off
        return next((each for each in found if each.at >= until), found[-1])
    return found[-1]


def _check_name(name: str) -> None:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise NotTrusted(f"file {name[:80]!r} of the backup refused", why="it would be written outside the folder")


def _restore_file(source: Path, kept: _Kept, target: Path) -> None:
    data = DiskFiles().read(source, FILE_BYTES_MAX)
    if data is None or sha256(data).hexdigest() != kept.sha256:
        raise NotTrusted(f"{target.name} not restored", why="the file in the backup is gone, or is not the one that was signed")
    write_whole(target, data)


def _cut(path: Path, until: Until | None) -> int | None:
    """Cut a restored ledger to a point in time; gives its size, or None where the file is no ledger."""
    kept = SqliteSalvage(path)
    try:
        checkpoints = list(kept.checkpoints())
        if not checkpoints:
            return None
        origin = claimed_checkpoint(checkpoints[-1][1]).origin
        held = [size for size, _ in checkpoints if until is None or _within(kept, origin, size, until)]
        size = held[-1] if held else 0
        if size == checkpoints[-1][0]:
            return size
        shorter = path.with_name(f".{path.name}.cut")
        store = SqliteStore(shorter, origin=origin)
        try:
            _refill(store, kept, held)
        finally:
            store.close()
    finally:
        kept.close()
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    DiskFiles().move(shorter, path)
    return size


def _within(kept: SqliteSalvage, origin: str, size: int, until: Until) -> bool:
    if isinstance(until, int):
        return size <= until
    (body,) = kept.bodies(size - 1, size)
    return body is not None and fact_in_place(body, ledger=origin, position=size - 1).at <= until


def _refill(store: SqliteStore, kept: SqliteSalvage, sizes: list[int]) -> None:
    notes, receipts, frontier = dict(kept.checkpoints()), dict(kept.receipts()), Frontier()
    waiting: list[Commit] = []
    for size in sizes:
        bodies = [body for body in kept.bodies(frontier.size, size) if body is not None]
        frontier = frontier.extend(leaf_hashes(bodies))
        waiting.append(Commit(bodies, frontier, notes[size], receipts.get(size, b"")))
        if len(waiting) == COMMITS or size == sizes[-1]:
            store.commit_all(waiting)
            waiting = []
