"""Nothing that is changed in a dossier, a ledger file or a block passes unnoticed: neither by the verifier nor by the second one.

A change passes only where it changes nothing that is signed, as the files themselves show when read with other eyes.
Each turn has dice of its own, so that a turn that failed is replayed by its number.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path
from random import Random

import pytest
import tampering
from verifier import verify

from isogenic.network.inspection import inspect
from released_lot import released

TURNS = {"dossier": 150, "archive": 90, "folder": 60}  # 300 in every test run
NIGHTLY = {"dossier": 4_000, "archive": 2_000, "folder": 4_000}


def make(kind: str, folder: Path) -> Path:
    """What is tampered with: the lot's dossier, its archive, or the folders of the site and the control site."""
    source, target = released(), folder / "subject"
    if kind == "dossier":
        return Path(shutil.copytree(source / "dossier", target))
    if kind == "archive":
        return Path(shutil.copy(source / "dossier.zip", folder / "subject.zip"))
    for part in ("LEEDS/ledgers", "LEEDS/blobs", "CONTROL/copies"):
        shutil.copytree(source / "net" / part, target / part)
    for path in (target / "CONTROL/copies").iterdir():
        if not path.name.startswith("LEEDS."):
            path.unlink()
    (target / "CONTROL/ledgers").mkdir()
    shutil.copy(source / "net/CONTROL/ledgers/LEEDS.sqlite", target / "CONTROL/ledgers/LEEDS.sqlite")
    return target


def restore(subject: Path, kept: dict[str, bytes]) -> None:
    base = subject if subject.is_dir() else subject.parent
    for path in tampering.plain_files(base) + [path for path in base.rglob("*") if path.is_symlink()]:
        name = path.relative_to(base).as_posix()
        if name not in kept or path.is_symlink():
            path.unlink(missing_ok=True)
    for name, data in kept.items():
        path = base / name
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)


def keep(subject: Path) -> dict[str, bytes]:
    if subject.is_file():
        return {subject.name: subject.read_bytes()}
    return {path.relative_to(subject).as_posix(): path.read_bytes() for path in tampering.plain_files(subject)}


def tamper(kind: str, folder: Path, turns: int) -> list[str]:
    """Tamper so many times; gives what passed unnoticed."""
    subject = make(kind, folder)
    ways = {"dossier": tampering.DOSSIER, "archive": tampering.ARCHIVE, "folder": tampering.FOLDER}[kind]
    listed = "".join(key.line() for key in dict.fromkeys((*inspect(released() / "dossier").keys, *inspect(released() / "net").keys)))
    kept = keep(subject)
    views = [tampering.ledgers_of(subject, library) for library in (tampering.with_apsw, tampering.with_sqlite3)] if kind == "folder" else []
    passed, harmless = [], 0
    for turn in range(turns):
        dice = Random(f"{kind} {turn}")
        way = dice.choice(ways)
        way(dice, subject)
        if kind == "folder":
            untouched = [
                tampering.same(view, tampering.ledgers_of(subject, library))
                for view, library in zip(views, (tampering.with_apsw, tampering.with_sqlite3), strict=True)
            ]
        else:
            untouched = [keep(subject) == kept and not any(path.is_symlink() for path in subject.rglob("*"))] * 2
        keys = listed if dice.random() < 0.5 else None
        found = [not inspect(subject, keys=keys).ok, bool(verify(subject, keys))]
        harmless += all(untouched)
        passed += [
            f"{kind}, turn {turn}, {way.__name__}: {who} saw nothing"
            for who, saw, same in zip(("the verifier", "the second verifier"), found, untouched, strict=True)
            if not saw and not same
        ]
        restore(subject, kept)
    assert (inspect(subject).ok, verify(subject)) == (True, [])
    assert harmless < turns // 4, f"{harmless} of {turns} changed nothing"
    return passed


@pytest.mark.parametrize("kind", TURNS)
def test_no_tampering_passes_either_verifier(tmp_path: Path, kind: str) -> None:
    assert tamper(kind, tmp_path, TURNS[kind]) == []


@pytest.mark.nightly
@pytest.mark.parametrize("kind", NIGHTLY)
def test_no_tampering_of_ten_thousand_passes_either_verifier(tmp_path: Path, kind: str) -> None:
    assert tamper(kind, tmp_path, NIGHTLY[kind]) == []


def test_the_second_verifier_imports_nothing_of_ours() -> None:
    text = (Path(__file__).parent / "verifier.py").read_text()
    assert not re.findall(r"^\s*(?:import|from)\s+(?:isogenic|tests)\b|import_module|__import__", text, re.MULTILINE)


def test_both_read_the_same_sqlite_files() -> None:
    """Two libraries of different age: that both agree is worth something."""
    assert sqlite3.sqlite_version_info < tuple(map(int, tampering.apsw.sqlite_lib_version().split(".")))
