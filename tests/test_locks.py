"""One process to a folder: a second one is refused, and the first goes on as if nothing had been asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from isogenic.clock import Moment
from isogenic.errors import NotAllowed, NotReachable
from isogenic.ids import PersonId, SiteId
from isogenic.records import codec
from isogenic.records.facts import Actor
from isogenic.records.ledger import Ledger
from isogenic.records.lock import EQUIPMENT_LOCK, sole_process
from isogenic.records.notes import Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.sim.world import World, build_world
from isogenic.sites.facts import SignedIn

NOW = Moment(datetime(2026, 3, 2, 6, tzinfo=UTC))
LEEDS = SiteId("LEEDS")
HOLDS = """
import sys, time
from pathlib import Path
from isogenic.records.lock import sole_process
folder = Path(sys.argv[1])
with sole_process(folder, who="A"):
    (folder / "held").touch()
    time.sleep(600)
"""
NOWHERE = "https://127.0.0.1:9"  # nobody answers there: a site works without its control site


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = build_world(tmp_path_factory.mktemp("locks") / "world", seed=1, now=NOW)
    nobody = {str(module): "opc.tcp://127.0.0.1:9" for unit in made.plants[LEEDS].units.values() for module in unit.modules}
    (made.home(LEEDS) / "endpoints.json").write_bytes(codec.dumps(nobody))
    return made


def isogenic(*words: object) -> list[str]:
    return [sys.executable, "-m", "isogenic.cli", *map(str, words)]


@contextmanager
def running(*words: object, ready: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the command line, once it answers; ended as a supervisor ends it."""
    ready.unlink(missing_ok=True)
    process = subprocess.Popen(isogenic(*words), stderr=subprocess.DEVNULL)
    try:
        while not ready.exists():
            assert process.poll() is None, f"it ended with {process.returncode}"
            time.sleep(0.05)
        yield process
        assert process.poll() is None, "the first process did not go on"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def refused(*words: object) -> tuple[int, str]:
    done = subprocess.run(isogenic(*words), capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr.strip()


def kinds(folder: Path) -> list[str]:
    ledger = Ledger(SqliteStore(folder / "ledgers" / "HOUSE.sqlite", origin="aster/LEEDS/HOUSE"), signer=Signer.load(folder / "keys" / "ledger.key"))
    try:
        return [fact.kind for fact in ledger.facts()]
    finally:
        ledger.store.close()


def test_a_second_site_on_a_folder_is_refused_and_the_first_goes_on(world: World) -> None:
    folder = world.home(LEEDS)
    site = ["site", folder, "--control-url", NOWHERE, "--no-screens"]
    with running(*site, "--ready", folder / "ready.json", ready=folder / "ready.json"):
        before = kinds(folder)
        code, said = refused(*site)
        assert (code, said) == (3, "isogenic: cannot run LEEDS: another process runs on this folder; possible now: end that process first")
        assert kinds(folder)[: len(before)] == before
        assert kinds(folder).count("sites.node_started") == before.count("sites.node_started") == 1
    assert kinds(folder)[-1] == "sites.node_stopped"  # it could still note


def test_a_second_control_site_on_a_folder_is_refused(world: World) -> None:
    control = ["control", world.control, "--no-screens"]
    with running(*control, "--ready", world.control / "ready.json", ready=world.control / "ready.json"):
        code, said = refused(*control)
    assert (code, said) == (3, "isogenic: cannot run CONTROL: another process runs on this folder; possible now: end that process first")


def test_equipment_runs_beside_its_node_and_only_once(world: World) -> None:
    folder = world.home(LEEDS)
    with sole_process(folder, who="LEEDS"), sole_process(folder, EQUIPMENT_LOCK, who="the equipment of LEEDS"):
        code, said = refused("facility", folder)
    assert (code, said.partition(";")[0]) == (3, "isogenic: cannot run the equipment of LEEDS: another process runs on this folder")


def test_a_process_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)])
    while not (tmp_path / "held").exists():
        time.sleep(0.05)
    with pytest.raises(NotAllowed, match="cannot run B: another process runs on this folder"), sole_process(tmp_path, who="B"):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    with sole_process(tmp_path, who="B"):
        pass
    with sole_process(tmp_path, who="B"):  # and one that ended leaves none either
        pass


def test_a_folder_that_cannot_be_locked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReachable, match=r"cannot run A: node\.lock: No such file or directory"), sole_process(tmp_path / "none", who="A"):
        pass


def test_another_writer_is_told_as_another_writer_and_not_as_a_full_disk(tmp_path: Path) -> None:
    signer = Signer.from_seed("aster/LEEDS", bytes(32))

    def opened() -> Ledger:
        return Ledger(SqliteStore(tmp_path / "HOUSE.sqlite", origin="aster/LEEDS/HOUSE"), signer=signer)

    first, second = opened(), opened()
    second.append([SignedIn(PersonId("LEA"), "password")], actor=Actor.node("LEEDS"), moment=NOW)
    for _ in range(2):
        with pytest.raises(NotReachable) as refusal:
            first.append([SignedIn(PersonId("ANA"), "password")], actor=Actor.node("LEEDS"), moment=NOW)
        assert refusal.value.why == "another process has written to this ledger"
        assert "disk" not in str(refusal.value)
    assert [codec.plain(fact.payload)["person"] for fact in opened().facts()] == ["LEA"]
