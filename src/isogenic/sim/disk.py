"""A disk that loses power: SQLite databases and whole files in memory, with the faults of real ones.

Guarantees: what was synced stays; what was written and not synced survives a power cut
in part, by the dice: whole sectors are lost, kept in any order, or torn in the middle;
names made or removed without syncing their folder may come or go. The same seed gives the
same remains. `kill` is the end of a process: nothing is lost but its open files.
A disk that records keeps every step that a process took; a second disk takes them again up to
any of them (`take`, `become`), so that the power can be cut at every single one.
Leaves to others: deciding when the power goes (`cut_after` lets it go in the middle of a commit).

It assumes what SQLite's own layer assumes of real disks: a write that is torn leaves the
bytes beside it alone ("powersafe overwrite"), and a sync that returned is true.
"""

# ruff: noqa: N802 - the names are SQLite's

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Literal

import apsw

from isogenic.errors import NotReachable

__all__ = ["SECTOR", "SimDisk", "Step"]

SECTOR = 512  # of older disks; newer ones write 4,096 bytes at a time
TORN = 0.2  # of the sectors that were under way: real disks tear rarely, rehearsals should meet it every night


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a process did to its disk. Files go by number, because a name can stand for one after another."""

    kind: Literal["write", "truncate", "sync", "name", "remove", "names"]
    file: int = 0
    at: int = 0  # offset of a write, size of a truncation
    data: bytes = b""
    path: str = ""  # of a name, or of the folder whose names were synced


@dataclass(slots=True)
class _File:
    """`data` is what a process reads; `stable` what is on the platter; `pending` the writes between the two."""

    data: bytearray = field(default_factory=bytearray)
    stable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, bytes), or (size, None) for a truncation
    number: int = 0

    def write(self, offset: int, chunk: bytes) -> None:
        _put(self.data, offset, chunk)
        self.pending.append((offset, chunk))

    def truncate(self, size: int) -> None:
        _resize(self.data, size)
        self.pending.append((size, None))

    def sync(self) -> None:
        for offset, chunk in self.pending:
            _apply(self.stable, offset, chunk)
        self.pending.clear()

    def lose(self, dice: Random, *, sector: int) -> None:
        """Keep a part of what was not synced."""
        share = dice.choice([0.0, 1.0, dice.random()])
        prefix = dice.random() < 0.5  # written in order up to some moment, or in any order
        stop = int(len(self.pending) * share) if prefix else len(self.pending)
        for offset, chunk in self.pending[: stop + 1]:
            last = prefix and (stop == 0 or (offset, chunk) is self.pending[min(stop, len(self.pending) - 1)])
            self._keep(offset, chunk, share=0.5 if last else 1.0 if prefix else share, dice=dice, sector=sector)
        self.pending.clear()
        self.data[:] = self.stable

    def _keep(self, offset: int, chunk: bytes | None, *, share: float, dice: Random, sector: int) -> None:
        if chunk is None:
            if dice.random() < share:
                _apply(self.stable, offset, None)
            return
        start = 0
        while start < len(chunk):
            stop = min(len(chunk), start + sector - (offset + start) % sector)
            if dice.random() < share:
                kept = dice.randrange(1, stop - start + 1) if share < 1 and dice.random() < TORN else stop - start
                _put(self.stable, offset + start, chunk[start : start + kept])
            start = stop


def _put(data: bytearray, offset: int, chunk: bytes) -> None:
    if offset > len(data):
        data.extend(bytes(offset - len(data)))  # a hole reads as zeros
    data[offset : offset + len(chunk)] = chunk


def _resize(data: bytearray, size: int) -> None:
    if size < len(data):
        del data[size:]
    else:
        data.extend(bytes(size - len(data)))


def _apply(data: bytearray, offset: int, chunk: bytes | None) -> None:
    if chunk is None:
        _resize(data, offset)
    else:
        _put(data, offset, chunk)


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0] or "/"


class _Handle:
    """One open file of one process. After a power cut or a kill it is dead."""

    def __init__(self, disk: SimDisk, file: _File, *, folder: str) -> None:
        self._disk, self._file, self._life, self._folder = disk, file, disk._life, folder

    def _alive(self) -> None:
        if self._life != self._disk._life or self._disk.dark:
            raise apsw.exception_for(apsw.SQLITE_IOERR)

    def xRead(self, amount: int, offset: int) -> bytes:
        if self._disk.dark:
            return b""  # to SQLite a short read is an error too; a second exception within one call would only make noise
        self._alive()
        return bytes(self._file.data[offset : offset + amount])

    def xWrite(self, data: Any, offset: int) -> None:
        self._alive()
        self._disk._room_for(max(0, offset + len(data) - len(self._file.data)))
        self._disk._step()
        self._disk._do(Step("write", self._file.number, offset, bytes(data)), self._file)

    def xTruncate(self, newsize: int) -> None:
        self._alive()
        self._disk._step()
        self._disk._do(Step("truncate", self._file.number, newsize), self._file)

    def xSync(self, flags: int) -> None:
        self._alive()
        self._disk._step()
        self._disk._do(Step("sync", self._file.number), self._file)
        self._disk._sync_names(self._folder)  # SQLite syncs the folder with the first sync of a new file

    def xFileSize(self) -> int:
        return len(self._file.data)

    def xLock(self, level: int) -> None:
        self._alive()  # so that a dead database, closing, does not tidy up the files of the living

    def xUnlock(self, level: int) -> None:
        pass

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return self._disk.sector

    def xDeviceCharacteristics(self) -> int:
        return int(apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE)

    def xClose(self) -> None:
        pass


class _Layer(apsw.VFS):
    """SQLite's way to the disk."""

    def __init__(self, disk: SimDisk, name: str) -> None:
        self._disk = disk
        super().__init__(name, "", exclude={"xSetSystemCall", "xGetSystemCall", "xNextSystemCall"})

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        flags[1] = flags[0]
        if name is None:
            return _Handle(self._disk, self._disk._new(), folder="")
        path = name if isinstance(name, str) else name.filename()
        return self._disk._open(path, create=bool(flags[0] & apsw.SQLITE_OPEN_CREATE))

    def xAccess(self, pathname: str, flags: int) -> bool:
        return pathname in self._disk._files

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self._disk._delete(filename, sync=syncdir)

    def xFullPathname(self, name: str) -> str:
        return name


class SimDisk:
    """One machine's disk. `name` is the SQLite file layer to open databases with; it is also a `Files` for blobs."""

    def __init__(self, name: str, *, quota: int | None = None, sector: int = SECTOR, recording: bool = False) -> None:
        """`name` is unique in this process. `quota` is how many bytes fit. `recording`: keep every step in `steps`."""
        self.name, self.quota, self.sector = name, quota, sector
        self.steps: list[Step] = []
        self._recording, self._numbers = recording, 0
        self._taken: dict[int, _File] = {}  # files of another disk's steps
        self.dark = False  # the power is gone, and `power_cut` has not yet said what is left
        self._files: dict[str, _File] = {}
        self._names: dict[str, _File | None] = {}  # names changed since the folder was synced: what they stood for before
        self._life = 0
        self._fuse: int | None = None
        self._layer: _Layer | None = _Layer(self, name)
        self._databases: list[weakref.ref[apsw.Connection]] = []
        apsw.connection_hooks.append(self._opened)

    # ---- faults ----

    def cut_after(self, steps: int) -> None:
        """Let the power go after so many further writes and syncs; then everything fails until `power_cut`."""
        self._fuse = steps

    def power_cut(self, dice: Random) -> None:
        """The power was gone and is back: of what was not synced a part is left. Open files are dead."""
        for path in sorted(self._names):
            if dice.random() < 0.5:
                before = self._names[path]
                if before is None:
                    self._files.pop(path, None)
                else:
                    self._files[path] = before
        self._names.clear()
        for path in sorted(self._files):
            self._files[path].lose(dice, sector=self.sector)
        self._restart()

    def kill(self) -> None:
        """The process ends (kill -9), the machine goes on: open files are dead, nothing written is lost."""
        self._restart()

    def flip(self, path: Path | str, *, at: int, bit: int = 0) -> None:
        """Damage one bit of a file, as rot does."""
        file = self._files[str(path)]
        for data in (file.data, file.stable):
            data[at] ^= 1 << bit

    # ---- a recorded life, lived again ----

    def take(self, step: Step) -> None:
        """Do what another disk's process did."""
        if step.kind == "name":
            self._name(step.path, self._known(step.file))
        elif step.kind == "remove":
            self._name(step.path, None)
        elif step.kind == "names":
            self._sync_names(step.path)
        else:
            self._do(step, self._known(step.file))

    def become(self, other: SimDisk) -> None:
        """Hold what another disk holds at this moment, synced or not; whatever was open here is dead."""
        self._restart()
        self._files, self._names = deepcopy((other._files, other._names))

    def _known(self, number: int) -> _File:
        return self._taken.setdefault(number, _File(number=number))

    def settle_all(self) -> None:
        """Put everything on the platter, as copying files to a backup does."""
        for file in self._files.values():
            file.sync()
        self._names.clear()

    def become_but(self, other: SimDisk, *kept: str) -> None:
        """Hold what another disk holds, but for these files, which stay as they are."""
        mine = {path: self._files[path] for path in kept if path in self._files}
        self.become(other)
        for path in kept:
            self._files.pop(path, None)
            self._names.pop(path, None)
        self._files |= mine

    def _new(self) -> _File:
        self._numbers += 1
        return _File(number=self._numbers)

    def _do(self, step: Step, file: _File) -> None:
        if step.kind == "write":
            file.write(step.at, step.data)
        elif step.kind == "truncate":
            file.truncate(step.at)
        else:
            file.sync()
        self._record(step)

    def _record(self, step: Step) -> None:
        if self._recording:
            self.steps.append(step)

    # ---- open databases ----

    def _opened(self, database: apsw.Connection) -> None:
        if database.open_vfs == self.name:
            self._databases.append(weakref.ref(database))

    def _restart(self) -> None:
        self._life += 1
        for each in self._databases:  # closed now, while they cannot touch a file, and not whenever they are collected
            database = each()
            if database is not None:
                with suppress(apsw.Error):
                    database.close(True)
        self._databases.clear()
        self._fuse, self.dark = None, False

    def _step(self) -> None:
        if self._fuse is not None:
            self._fuse -= 1
            if self._fuse < 0:
                self.dark = True
                raise apsw.exception_for(apsw.SQLITE_IOERR)

    def _room_for(self, growth: int) -> None:
        if self.quota is not None and growth and self.used() + growth > self.quota:
            raise apsw.exception_for(apsw.SQLITE_FULL)

    def used(self) -> int:
        """How many bytes are taken."""
        return sum(len(file.data) for file in self._files.values())

    def paths(self, start: str) -> list[str]:
        """Every file whose name starts so, in order."""
        return sorted(path for path in self._files if path.startswith(start))

    def size(self, path: Path | str) -> int:
        """How large a file is."""
        return len(self._files[str(path)].data)

    # ---- names ----

    def _open(self, path: str, *, create: bool) -> _Handle:
        if self.dark or (path not in self._files and not create):
            raise apsw.exception_for(apsw.SQLITE_CANTOPEN)
        if path not in self._files:
            self._name(path, self._new())
        return _Handle(self, self._files[path], folder=_folder_of(path))

    def _name(self, path: str, file: _File | None) -> None:
        self._names.setdefault(path, self._files.get(path))
        if file is None:
            del self._files[path]
            self._record(Step("remove", path=path))
        else:
            self._files[path] = file
            self._record(Step("name", file.number, path=path))

    def _delete(self, path: str, *, sync: bool) -> None:
        if self.dark:
            raise apsw.exception_for(apsw.SQLITE_IOERR)
        if path not in self._files:
            raise apsw.exception_for(apsw.SQLITE_IOERR_DELETE_NOENT)
        self._step()
        self._name(path, None)
        if sync:
            self._sync_names(_folder_of(path))

    def _sync_names(self, folder: str) -> None:
        changed = [path for path in self._names if _folder_of(path) == folder]
        for path in changed:
            del self._names[path]
        if changed:
            self._record(Step("names", path=folder))

    # ---- whole files (records.blobs.Files) ----

    def write_whole(self, path: Path, data: bytes) -> None:
        """As durable.write_whole does it: beside, synced, renamed, folder synced."""
        try:
            if self.dark:
                raise apsw.exception_for(apsw.SQLITE_IOERR)
            self._room_for(len(data))
            file = self._new()
            self._step()
            self._do(Step("write", file.number, 0, data), file)
            self._step()
            self._do(Step("sync", file.number), file)
            self._step()
            self._name(str(path), file)
            self._step()
            self._sync_names(str(path.parent))
        except apsw.Error as trouble:
            raise NotReachable(f"cannot write {path.name}", why=str(trouble), possible="free the disk and try again") from trouble

    def read(self, path: Path, limit: int) -> bytes | None:
        """A file's bytes, at most `limit` + 1 of them."""
        if self.dark:
            raise NotReachable(f"cannot read {path.name}", why="the power is gone")
        file = self._files.get(str(path))
        return bytes(file.data[: limit + 1]) if file else None

    def has(self, path: Path) -> bool:
        """Whether there is such a file."""
        return str(path) in self._files

    def settle(self, path: Path) -> None:
        """Sync the folder of a file that is there."""
        try:
            if self.dark:
                raise apsw.exception_for(apsw.SQLITE_IOERR)
            self._step()
        except apsw.Error as trouble:
            raise NotReachable(f"cannot keep {path.name}", why="the power is gone") from trouble
        self._sync_names(str(path.parent))

    def names(self, folder: Path) -> list[str]:
        """What is in a folder, in order."""
        start = f"{folder}/"
        return sorted({path[len(start) :].split("/")[0] for path in self._files if path.startswith(start)})

    def move(self, path: Path, to: Path) -> None:
        """Rename a file and sync the folder."""
        if str(path) in self._files:
            self._whole(path, lambda: self._renamed(str(path), str(to)))
            self._sync_names(str(to.parent))

    def _renamed(self, path: str, to: str) -> None:
        file = self._files[path]
        self._name(to, file)
        self._name(path, None)

    def remove(self, path: Path) -> None:
        """Take a file away and sync the folder."""
        if str(path) in self._files:
            self._whole(path, lambda: self._name(str(path), None))

    def digest(self, path: Path) -> str:
        """The SHA-256 of a file."""
        if self.dark or str(path) not in self._files:
            raise NotReachable(f"cannot read {path.name}", why="the power is gone" if self.dark else "no such file")
        return sha256(self._files[str(path)].data).hexdigest()

    def _whole(self, path: Path, change: Callable[[], None]) -> None:
        """Change names: one step, all of it or nothing, and then on the platter."""
        try:
            if self.dark:
                raise apsw.exception_for(apsw.SQLITE_IOERR)
            self._step()
        except apsw.Error as trouble:
            raise NotReachable(f"cannot move {path.name}", why=str(trouble)) from trouble
        change()
        self._sync_names(str(path.parent))

    def free(self, path: Path | str = "/") -> int | None:
        """How many bytes are left; None where there is no limit."""
        return None if self.quota is None else max(0, self.quota - self.used())

    def close(self) -> None:
        """Take the file layer out of SQLite again."""
        if self._layer is not None:
            self._restart()
            apsw.connection_hooks.remove(self._opened)
            self._layer.unregister()
            self._layer = None
