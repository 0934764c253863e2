"""Files that a power cut leaves whole or not at all.

Guarantees: when `write_whole` returns, the file is on the disk under its name with all of
its bytes; if the power goes before, the name holds what it held. The order is: write a
temporary file beside it, fsync it, rename it over the name, fsync the folder. A secret waits under
one fixed name, `.NAME.part`, so a power cut leaves no copy that nobody knows of: what waits there is
overwritten before the next is written, and by `shred_unfinished`, which leaves alone what a running
writer holds locked.
Leaves to others: what the bytes are; when to sweep a folder of secrets.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from isogenic.errors import NotReachable

__all__ = ["make_folder", "shred", "shred_unfinished", "sync_folder", "write_secret", "write_whole"]


def sync_folder(folder: Path) -> None:
    """Put a folder's list of names on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            sync_folder(each.parent)
    except OSError as trouble:
        raise NotReachable(f"cannot make folder {folder}", why=str(trouble), possible="free the disk, or choose another folder") from trouble


def write_whole(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that its name never stands for half of it."""
    make_folder(path.parent)
    waiting = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        handle = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            waiting.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                waiting.unlink()
            raise
        sync_folder(path.parent)
    except OSError as trouble:
        raise NotReachable(f"cannot write {path.name}", why=str(trouble), possible="free the disk and try again") from trouble


# ---- secrets ----


def write_secret(path: Path, data: bytes) -> None:
    """Write a private key, for its owner's eyes only, so that no cut leaves a second copy under a name that nobody looks at."""
    make_folder(path.parent)
    waiting = path.with_name(f".{path.name}.part")
    try:
        handle = _locked(waiting)
        try:
            _blank(handle)
            os.ftruncate(handle, 0)
            os.fchmod(handle, 0o600)
            os.pwrite(handle, data, 0)
            os.fsync(handle)
            waiting.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                _blank(handle)
                waiting.unlink()
            raise
        finally:
            os.close(handle)
        sync_folder(path.parent)
    except OSError as trouble:
        raise NotReachable(f"cannot write {path.name}", why=str(trouble), possible="free the disk and try again") from trouble


def shred(path: Path) -> bool:
    """Overwrite a file, then remove it; False where there was none."""
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        _blank(handle)
    finally:
        os.close(handle)
    path.unlink()
    sync_folder(path.parent)
    return True


def shred_unfinished(folder: Path) -> int:
    """Overwrite and remove what a cut left of secrets in a folder, under today's fixed names or any other; how many there were."""
    count = 0
    for path in sorted(folder.glob(".*.part")):
        with contextlib.suppress(FileNotFoundError, BlockingIOError):  # its writer ended it, or is at it now
            handle = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(handle, path):  # not what its writer has renamed since
                    _blank(handle)
                    path.unlink()
                    count += 1
            finally:
                os.close(handle)
    if count:
        sync_folder(folder)
    return count


def _locked(waiting: Path) -> int:
    """The waiting file, held against other writers and sweepers."""
    while True:
        handle = os.open(waiting, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(handle, waiting):  # else another has renamed or removed it while we waited
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _blank(handle: int) -> None:
    size = os.fstat(handle).st_size
    if size:
        os.pwrite(handle, bytes(size), 0)
        os.fsync(handle)
