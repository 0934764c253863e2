"""A folder that lasts as long as the test process: made once, copied by many tests, removed at its end (conftest)."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

__all__ = ["own_folder", "remove_own_folders"]

_FOLDERS: list[Path] = []


def own_folder(prefix: str) -> Path:
    _FOLDERS.append(Path(mkdtemp(prefix=prefix)))
    return _FOLDERS[-1]


def remove_own_folders() -> None:
    for folder in _FOLDERS:
        shutil.rmtree(folder, ignore_errors=True)
