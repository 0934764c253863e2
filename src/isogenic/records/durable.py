"""Files that a power cut leaves whole or not at all.

Guarantees: when `write_whole` returns, the file is on the disk under its name with all of
its bytes; if the power goes before, the name holds what it held. The order is: write a
temporary file beside it, fsync it, rename it over the name, fsync the folder.
Leaves to others: what the bytes are.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from isogenic.errors import NotReachable

__all__ = ["make_folder", "sync_folder", "write_whole"]


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
