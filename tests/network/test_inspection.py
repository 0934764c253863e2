"""An inspector verifies a node's own folder, a backup of it, one ledger file or a whole network, and is told where the fault lies."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import apsw
import pytest
from typer.testing import CliRunner

from isogenic.checks import Severity
from isogenic.cli import app
from isogenic.clock import ManualClock
from isogenic.errors import NotFound, NotValid
from isogenic.network.inspection import inspect
from isogenic.records.backup import back_up
from isogenic.records.dossier import Key, KeyRole
from isogenic.records.lock import sole_process
from isogenic.records.report import Finding, VerifyReport
from released_lot import copy_of, released
from small_network import START

SPONSOR = "aster/LEEDS/ASTER-BIO"
LEDGER = "ledgers/ASTER-BIO.sqlite"


def stops(report: VerifyReport) -> list[Finding]:
    return [each for each in report.findings if each.severity is Severity.STOP]


def spoil(path: Path, *statements: str) -> None:
    """Change a ledger file as whoever has it can: triggers are no obstacle."""
    db = apsw.Connection(str(path))
    for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        db.execute(statement)
    db.close()


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", ["net/LEEDS", "net/CONTROL", "net", "net/LEEDS/ledgers/ASTER-BIO.sqlite", "dossier", "dossier.zip"])
def test_what_nobody_has_touched_verifies_and_is_not_touched(name: str) -> None:
    path = released() / name
    before = state_of(released())
    report = inspect(path)
    if name.endswith(".sqlite"):  # alone, it does not say whose keys to believe
        assert {each.check for each in stops(report)} == {"check_checkpoint", "check_receipt"}
        assert stops(report)[0].text.endswith(f": no key of the writer of {SPONSOR} can be used")
    else:
        assert stops(report) == []
        assert any(each.origin == SPONSOR and each.witnessed == each.size > 50 for each in report.ledgers)
        assert (report.blocks > 0, report.readings > 1000) == (True, True)
    assert state_of(released()) == before


def test_one_ledger_file_verifies_with_a_list_of_keys() -> None:
    keys = "".join(key.line() for key in inspect(released() / "net/LEEDS").keys)
    report = inspect(released() / "net/LEEDS" / LEDGER, keys=keys)
    assert (report.kind, report.ok, [each.origin for each in report.ledgers]) == ("ledger", True, [SPONSOR])


def test_a_list_without_the_writers_key_is_told_so() -> None:
    known = inspect(released() / "net/LEEDS").keys
    keys = "".join(key.line() for key in known if not (key.role is KeyRole.WRITER and key.name == SPONSOR))
    report = inspect(released() / "net/LEEDS", keys=keys)
    assert {each.ledger for each in stops(report)} == {SPONSOR}


def test_a_forger_who_signs_everything_anew_fails_against_a_list(tmp_path: Path) -> None:
    known = inspect(released() / "net/LEEDS").keys
    swapped = [Key(key.role, key.name, next(each.key for each in known if each.name == "PORTO"), key.title) for key in known]
    assert not inspect(released() / "net/LEEDS", keys="".join(key.line() for key in swapped)).ok


NEWEST = "WHERE size = (SELECT max(size) FROM checkpoint)"
ENDLESS = "CREATE VIEW log AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS pos, x'' AS body FROM n"
CHANGES: list[tuple[list[str], tuple[int, int] | None, str]] = [
    (["UPDATE log SET body = CAST(body AS TEXT) WHERE pos = 8"], (0, 8), "is not a number and bytes"),
    (["UPDATE log SET body = CAST(body || ' ' AS BLOB) WHERE pos = 8"], (5, 20), "what is stored is not what was signed"),
    (["DELETE FROM log WHERE pos = 8"], (8, 8), "facts 8 to 8 of aster/LEEDS/ASTER-BIO are missing"),
    ([f"UPDATE log SET pos = {new} WHERE pos = {old}" for old, new in ((8, -1), (9, 8), (-1, 9))], (8, 8), "says in its own bytes"),
    (["INSERT INTO log SELECT 1 + max(pos), (SELECT body FROM log WHERE pos = 3) FROM log"], None, "under no checkpoint that can be believed"),
    (["DELETE FROM log WHERE pos >= 50"], None, "what is stored is not what was signed"),
    (["DELETE FROM log WHERE pos >= 50", "DELETE FROM checkpoint WHERE size > 50"], None, "the end of it was taken away"),
    ([f"UPDATE checkpoint SET note = (SELECT note FROM checkpoint ORDER BY size LIMIT 1) {NEWEST}"], None, "it is for"),
    (["UPDATE receipt SET note = (SELECT note FROM checkpoint WHERE checkpoint.size = receipt.size)"], None, "has cosigned it"),
    ([f"UPDATE checkpoint SET frontier = zeroblob(length(frontier)) {NEWEST}"], None, "the tree stored with it"),
    (["UPDATE meta SET value = 'aster/LEEDS/OTHER' WHERE key = 'origin'"], None, "does not belong under this name"),
    (["DROP TABLE log", ENDLESS], None, "its table log is missing"),
    (["UPDATE log SET body = zeroblob(3000000) WHERE pos = 4"], None, "cannot be read"),
]


@pytest.mark.parametrize(("statements", "span", "said"), CHANGES)
def test_a_changed_ledger_file_is_named_with_the_range_at_fault(
    tmp_path: Path, statements: list[str], span: tuple[int, int] | None, said: str
) -> None:
    folder = copy_of("net/LEEDS", tmp_path)
    spoil(folder / LEDGER, *statements)
    found = stops(inspect(folder))
    about = [each for each in found if said in each.text]
    assert about, found
    if span is not None and about[0].first is not None:
        assert about[0].ledger == SPONSOR
        assert span[0] <= about[0].first <= 8 <= (about[0].last or 8) <= span[1]


def test_the_range_is_that_of_one_commit_and_later_facts_are_judged_by_themselves(tmp_path: Path) -> None:
    folder = copy_of("net/LEEDS", tmp_path)
    change = 'UPDATE log SET body = CAST(replace(CAST(body AS TEXT), \'"role":"node"\', \'"role":"nodf"\') AS BLOB) WHERE pos IN (21, 41)'
    spoil(folder / LEDGER, change)
    found = [each for each in stops(inspect(folder)) if each.check == "check_facts"]
    db = apsw.Connection(str(folder / LEDGER))
    sizes = [0, *(row[0] for row in db.execute("SELECT size FROM checkpoint ORDER BY size").fetchall())]
    db.close()
    wanted = [(low, high - 1) for low, high in pairwise(sizes) if low <= 21 < high or low <= 41 < high]
    assert [(each.ledger, each.first, each.last) for each in found] == [(SPONSOR, *span) for span in wanted]


def test_files_in_each_others_place_and_missing_ones_are_named(tmp_path: Path) -> None:
    folder = copy_of("net/LEEDS", tmp_path)
    one, other, aside = folder / LEDGER, folder / "ledgers/HOUSE.sqlite", folder / "ledgers/aside"
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    assert {"check_files"} <= {each.check for each in stops(inspect(folder))}
    (folder / "ledgers/CONTROL.sqlite").unlink()
    assert any("ledgers/CONTROL.sqlite, the ledger aster/CONTROL/LEEDS, is missing" in each.text for each in stops(inspect(folder)))


def test_two_histories_and_a_lost_end_show_where_both_sides_are_at_hand(tmp_path: Path) -> None:
    folder = copy_of("net", tmp_path)
    spoil(
        folder / "LEEDS" / LEDGER,
        "DELETE FROM log WHERE pos >= 50",
        "DELETE FROM checkpoint WHERE size > 50",
        "DELETE FROM receipt WHERE size > 50",
    )
    assert any("LEEDS/ledgers/ASTER-BIO.sqlite ends after 50 facts" in each.text and each.first == 50 for each in stops(inspect(folder)))
    other = copy_of("net", tmp_path / "other") if (tmp_path / "other").mkdir() is None else folder
    spoil(other / "CONTROL/copies/LEEDS.ASTER-BIO.sqlite", "UPDATE log SET body = CAST(body || ' ' AS BLOB) WHERE pos = 30")
    assert any(each.check == "check_twins" and (each.first, each.last) == (30, 30) for each in stops(inspect(other)))


def change_a_block(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:700] + bytes([data[700] ^ 1]) + data[701:])


@pytest.mark.parametrize("change", [change_a_block, lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_changed_or_lost_block_is_named(tmp_path: Path, change: Callable[[Path], object]) -> None:
    folder = copy_of("net/LEEDS", tmp_path)
    path = next(each for each in (folder / "blobs").glob("*/*") if each.read_bytes()[:4] == b"PAR1")
    change(path)
    assert any(path.name in each.text for each in stops(inspect(folder)))


def test_a_release_for_another_record_is_named(tmp_path: Path) -> None:
    """The site's ledger is cut back to an old state of it, consistently; the release that the control site signed is for more."""
    folder = copy_of("net/LEEDS", tmp_path)
    db = apsw.Connection(str(folder / LEDGER))
    (size,) = db.execute("SELECT max(size) FROM checkpoint WHERE size < 40").fetchall()[0]
    db.close()
    spoil(
        folder / LEDGER,
        f"DELETE FROM log WHERE pos >= {size}",
        f"DELETE FROM checkpoint WHERE size > {size}",
        f"DELETE FROM receipt WHERE size > {size}",
    )
    assert [each.check for each in stops(inspect(folder))] == ["check_record_roots"]


def test_a_log_that_was_not_folded_in_is_read_and_left_alone(tmp_path: Path) -> None:
    """As after a kill: what was committed last stands in the write-ahead log only."""
    live, folder = copy_of("net/LEEDS", tmp_path), tmp_path / "killed"
    db = apsw.Connection(str(live / LEDGER))
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("INSERT INTO log SELECT 1 + max(pos), (SELECT body FROM log WHERE pos = 3) FROM log")
    shutil.copytree(live, folder)
    db.close()
    before = state_of(folder)
    assert (folder / (LEDGER + "-wal")).stat().st_size > 0
    assert any("under no checkpoint" in each.text for each in stops(inspect(folder)))
    assert state_of(folder) == before


def test_a_running_nodes_folder_can_be_inspected(tmp_path: Path) -> None:
    folder = copy_of("net/LEEDS", tmp_path)
    with sole_process(folder, who="a site"):
        assert inspect(folder).ok


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\x00", b"SQLite format 3\x00" + bytes(4080), b"nonsense" * 600])
def test_a_file_that_is_no_database_ends_in_findings(tmp_path: Path, data: bytes) -> None:
    folder = copy_of("net/LEEDS", tmp_path)
    (folder / LEDGER).write_bytes(data)
    assert any(LEDGER in each.text for each in stops(inspect(folder)))


def test_a_folder_without_ledgers_is_told_to_be_no_dossier(tmp_path: Path) -> None:
    with pytest.raises(NotValid, match="it is no record"):
        inspect(tmp_path)
    with pytest.raises(NotFound):
        inspect(tmp_path / "none")


def test_the_command_prints_for_people_and_for_programs(tmp_path: Path) -> None:
    folder = copy_of("net/LEEDS", tmp_path)
    run = CliRunner()
    good = run.invoke(app, ["verify", str(folder)])
    assert (good.exit_code, good.stdout.startswith("VERIFIED: folder LEEDS is whole and unaltered.")) == (0, True)
    spoil(folder / LEDGER, "DELETE FROM log WHERE pos = 8")
    bad = run.invoke(app, ["verify", str(folder), "--json"])
    said = json.loads(bad.stdout)
    assert (bad.exit_code, said["verified"], said["format"]) == (4, False, "isogenic verification 1")
    missing = {"check": "check_facts", "severity": "stop", "ledger": SPONSOR, "first": 8, "last": 8}
    text = f"{LEDGER}: facts 8 to 8 of {SPONSOR} are missing"
    assert {**missing, "text": text} in said["findings"]
    assert run.invoke(app, ["verify", str(tmp_path / "none")]).exit_code != 0


@pytest.mark.parametrize("node", ["LEEDS", "CONTROL"])
def test_one_backup_of_a_node_verifies_as_it_is_kept_and_a_change_in_it_is_named(tmp_path: Path, node: str) -> None:
    made = back_up(copy_of(f"net/{node}", tmp_path), tmp_path / "kept", moment=ManualClock(START).now(), entropy=os.urandom)
    folder = next(path for path in (tmp_path / "kept").iterdir() if path.name != "files")
    report = inspect(folder)
    assert (stops(report), report.blocks > 0, str(made) != "") == ([], True, True)
    digest = next(path for path in (tmp_path / "kept/files").glob("*/*") if path.read_bytes()[:4] == b"PAR1")
    change_a_block(digest)
    assert any(digest.name in each.text for each in stops(inspect(folder)))


@pytest.mark.parametrize("name", ["empty", "plant.yaml", "notes.txt"])
def test_what_is_no_record_is_not_called_altered(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.mkdir() if name == "empty" else path.write_text("site: LEEDS\n")
    with pytest.raises(NotValid, match="it is no record"):
        inspect(path)
