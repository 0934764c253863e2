"""Room on the disk: a ballast file, given up when the disk is full, so that this can still be noted and running batches go on.

    free bytes                   the site
    above the floor              works
    below the floor              stops taking new work, gives up the ballast, notes `sites.disk_filled`; running batches go on
    above the floor, and the     takes the ballast up again, notes `sites.disk_freed`, takes new work
     ballast, and a little more

The floor is as large as the ballast: some thirty thousand facts fit into 16 MiB, more than a batch writes. What no longer
fits is not noted, and what is not noted is not done: commits are whole or not there.

Guarantees: the ballast is really on the disk (allocated, not a hole); looking costs one call to the operating system.
Leaves to others: noting (node), refusing new work (requests, from the folded fact).
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from isogenic.records.durable import make_folder, sync_folder

__all__ = ["BALLAST_BYTES", "Ballast", "DiskBallast", "Room"]

BALLAST_BYTES = 16 * 1024 * 1024
AGAIN = 1.25  # of the floor and the ballast together must be free before it is taken up again: no flapping at the edge


class Ballast(Protocol):
    """A file that only takes up room, and what is left beside it."""

    def take(self) -> bool:
        """Take the room up; False where there is none."""
        ...

    def give(self) -> None:
        """Give it up."""
        ...

    def taken(self) -> bool:
        """Whether it is there."""
        ...

    def free(self) -> int | None:
        """How many bytes are left; None where nobody can say."""
        ...


class DiskBallast:
    """The ballast as a file."""

    def __init__(self, path: Path, *, size: int = BALLAST_BYTES) -> None:
        self.path, self.size = path, size

    def take(self) -> bool:
        make_folder(self.path.parent)
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(handle, 0, self.size)
                os.fsync(handle)
            finally:
                os.close(handle)
            sync_folder(self.path.parent)
        except OSError:
            self.give()
            return False
        return True

    def give(self) -> None:
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)

    def taken(self) -> bool:
        return self.path.is_file() and self.path.stat().st_size >= self.size

    def free(self) -> int | None:
        try:
            found = os.statvfs(self.path.parent)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize


class Room:
    """Whether there is room for new work."""

    def __init__(self, ballast: Ballast, *, size: int = BALLAST_BYTES) -> None:
        self.ballast, self.floor = ballast, size

    def look(self, *, full: bool) -> tuple[bool, int] | None:
        """Look once. `full` is what was noted last; gives what is to be noted now, if that changed: full or not, and how many bytes are free."""
        free = self.ballast.free()
        if free is None:
            return None
        if not full and free < self.floor:
            self.ballast.give()  # first: the fact needs the room
            return True, free
        needed = self.floor if self.ballast.taken() else 2 * self.floor
        if full and free >= AGAIN * needed and (self.ballast.taken() or self.ballast.take()):
            return False, free
        if not full and not self.ballast.taken() and free >= 2 * self.floor:
            self.ballast.take()  # a first start, or one after somebody took it away
        return None
