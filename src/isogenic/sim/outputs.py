"""Where a verb may write: asked before it works, so that nobody waits for a refusal, and nothing that is read is written over."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from isogenic.errors import NotReachable, NotValid

__all__ = ["check_file", "check_folder"]


def check_file(out: Path, *, reads: Iterable[Path], what: str) -> None:
    """That a file can be written under this name, and is none of those that are read. `what` is what would not be done."""
    _check_apart(out, reads, what=what)
    if out.is_dir():
        raise NotValid(what, why=f"{out} is a folder", possible="the name of a file")
    if not out.parent.is_dir():
        raise NotReachable(what, why=f"there is no folder {out.parent}", possible="make it, or choose another")
    _check_open(out.parent, what=what)


def check_folder(out: Path, *, names: Iterable[str], what: str) -> None:
    """That files of these names can be written into this folder, which need not be there yet."""
    if out.exists() and not out.is_dir():
        raise NotValid(what, why=f"{out} is a file", possible="the name of a folder")
    for name in names:
        if (out / name).is_dir():
            raise NotValid(what, why=f"{out / name} is a folder", possible="another folder to write into")
    there = next(each for each in (out, *out.absolute().parents) if each.exists())
    if not there.is_dir():
        raise NotValid(what, why=f"{there} is a file", possible="the name of a folder")
    _check_open(there, what=what)


def _check_apart(out: Path, reads: Iterable[Path], *, what: str) -> None:
    for each in reads:
        if out.exists() and each.exists() and out.samefile(each):
            raise NotValid(what, why=f"{each} would be written over itself", possible="another name for what is written")


def _check_open(folder: Path, *, what: str) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NotReachable(what, why=f"nothing may be written into {folder}", possible="another folder")
