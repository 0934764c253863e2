"""Studies that somebody ends: nothing under their names, nothing beside them, and no process that goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from isogenic.sim.studies import path_of

# A shell without a terminal starts what runs in the background with Ctrl-C ignored; here it counts.
PROGRAM = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from isogenic.cli import main; main()"
PATIENCE_S = 60.0


@contextmanager
def running(folder: Path, workers: int) -> Iterator[subprocess.Popen[bytes]]:
    """A long study in a session of its own, once its first batches are on the disk."""
    line = [sys.executable, "-c", PROGRAM, "sim", "run", "sparger-fouls", "--batches", "100000", "--workers", str(workers)]
    study = subprocess.Popen(
        [*line, "--out", str(folder / "a.parquet")], start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: any(each.stat().st_size > 10_000 for each in folder.glob("*.part/*")))
        yield study
    finally:
        for process in of_session(study.pid):
            os.kill(process, signal.SIGKILL)
        study.wait()


def wait_for(true: object) -> None:
    assert callable(true)
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def of_session(session: int) -> list[int]:
    """The processes of a session that still run."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            after = (each / "stat").read_text().rpartition(")")[2].split() if each.name.isdigit() else []
        except OSError:
            continue
        if after and int(after[3]) == session and after[0] != "Z":
            found.append(int(each.name))
    return found


@pytest.mark.nightly
@pytest.mark.parametrize("workers", [1, 2])
def test_a_study_that_is_interrupted_leaves_nothing(tmp_path: Path, workers: int) -> None:
    with running(tmp_path, workers) as study:
        os.killpg(study.pid, signal.SIGINT)  # as a terminal does: to all of them
        assert study.wait(PATIENCE_S) == 130
        wait_for(lambda: not of_session(study.pid))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.nightly
def test_a_study_that_is_ended_with_force_leaves_no_worker_and_no_table(tmp_path: Path) -> None:
    with running(tmp_path, 2) as study:
        assert len(of_session(study.pid)) >= 3
        study.kill()
        wait_for(lambda: not of_session(study.pid))
    assert not any(path_of(tmp_path / "a.parquet", table).exists() for table in ("trajectories", "batches", "results", "events", "operations"))
    assert [each.suffix for each in tmp_path.iterdir()] == [".part"]


@pytest.mark.nightly
def test_an_interrupt_while_workers_still_begin_is_one_line(tmp_path: Path) -> None:
    line = [
        sys.executable,
        "-c",
        PROGRAM,
        "sim",
        "run",
        "sparger-fouls",
        "--batches",
        "100000",
        "--workers",
        "2",
        "--out",
        str(tmp_path / "a.parquet"),
    ]
    study = subprocess.Popen(line, start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        wait_for(lambda: len(of_session(study.pid)) >= 3)  # the program, and those whom it has started
        os.killpg(study.pid, signal.SIGINT)
        said = study.communicate(timeout=PATIENCE_S)[1]
    finally:
        for process in of_session(study.pid):
            os.kill(process, signal.SIGKILL)
    assert study.returncode == 130
    assert said.rstrip().splitlines()[-1] == "isogenic: interrupted" and "Traceback" not in said
    wait_for(lambda: list(tmp_path.iterdir()) == [])
