"""Secrets on a disk: one waiting name, overwritten before it is used again, and what a cut left swept away."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from isogenic.errors import NotReachable
from isogenic.records.durable import shred_unfinished, write_secret


def test_a_secret_is_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    waiting = tmp_path / ".a.key.part"
    waiting.write_bytes(b"an older secret that is longer")
    with waiting.open("rb") as left:
        write_secret(tmp_path / "a.key", b"new")
        assert left.read() == b"new"  # the same place on the disk, and nothing of the older one
    assert ((tmp_path / "a.key").read_bytes(), (tmp_path / "a.key").stat().st_mode & 0o777) == (b"new", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]


def test_a_secret_that_cannot_get_its_name_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.key").mkdir()
    with pytest.raises(NotReachable, match=r"cannot write a\.key"):
        write_secret(tmp_path / "a.key", b"secret")
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]


def test_what_a_cut_left_is_overwritten_and_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    left, busy = tmp_path / ".a.key.4711.part", tmp_path / ".b.key.part"
    left.write_bytes(b"secret")
    busy.write_bytes(b"secret")
    with left.open("rb") as read, busy.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert shred_unfinished(tmp_path) == 1
        assert (read.read(), held.read()) == (bytes(6), b"secret")
    assert [path.name for path in tmp_path.iterdir()] == [busy.name]
