"""One process to a folder: whoever writes ledgers there holds it while they run.

Guarantees: while `sole_process` is held, no second process on this machine gets it for the
same folder; the operating system lets go of it when the process ends, however it ends, so a
crash leaves no lock behind. The file itself means nothing and stays.
Leaves to others: a folder shared between machines, where locks may not reach: a node's
folder belongs on a disk of its own.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isogenic.errors import NotAllowed, NotReachable

__all__ = ["EQUIPMENT_LOCK", "NODE_LOCK", "sole_process"]

NODE_LOCK = "node.lock"
EQUIPMENT_LOCK = "equipment.lock"  # simulated equipment runs beside its node, on the same folder


@contextmanager
def sole_process(folder: Path, name: str = NODE_LOCK, *, who: str, among_others: bool = False) -> Iterator[None]:
    """Hold the folder for `who`. Raises `NotAllowed` where another process holds it, and disturbs nothing of that one's.

    `among_others`: several may hold it so together, because what they write is not in the folder; never beside one that is alone.
    """
    try:
        handle = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as trouble:
        raise NotReachable(f"cannot run {who}", why=f"{name}: {trouble.strerror}", possible="check the folder") from trouble
    try:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if among_others else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise NotAllowed(f"cannot run {who}", why="another process runs on this folder", possible="end that process first") from held
        except OSError as trouble:
            raise NotReachable(f"cannot run {who}", why=f"{name}: {trouble.strerror}", possible="a folder on a local disk") from trouble
        yield
    finally:
        os.close(handle)  # lets go of the lock, too
