"""One ledger on one disk: commits are whole, what is acknowledged stays, nothing is changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from records_setup import AT, NODE, ORIGIN, WITNESS, WRITER, StepDone, copy, ledger, of_files, signer, steps, store

from isogenic.errors import NotReachable, NotTrusted, NotValid
from isogenic.ids import BatchId
from isogenic.records.facts import FACT_BYTES_MAX
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Checkpoint, cosign, open_checkpoint, sign_checkpoint
from isogenic.records.sync import next_page


def test_facts_are_in_order_and_a_reopened_ledger_goes_on(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    noted = one.append(steps(3), actor=NODE, moment=AT) + one.append(steps(2, first=3), actor=NODE, moment=AT)
    assert [fact.position for fact in noted] == [0, 1, 2, 3, 4]
    assert [fact.payload for fact in noted] == steps(5)
    one.store.close()
    again = ledger(tmp_path)
    assert list(again.facts()) == noted
    assert list(again.facts(2, 4)) == noted[2:4]
    assert (again.size, again.root) == (5, one.root)
    again.append(steps(1, first=5), actor=NODE, moment=AT)
    assert [fact.payload for fact in again.facts()] == steps(6)


def test_root_and_checkpoint_cover_the_stored_bytes(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    for count in (1, 2, 700):
        one.append(steps(count), actor=NODE, moment=AT)
    bodies = one.store.bodies(0, one.size)
    assert one.root == Frontier().extend(leaf_hashes(bodies)).root()
    head = one.store.head()
    assert head is not None
    assert open_checkpoint(head.note, WRITER.verifying_key)[0] == Checkpoint(ORIGIN, 703, one.root)


def test_many_facts_go_in_commits_that_each_fit_a_page(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    one.append(steps(1100), actor=NODE, moment=AT)
    sizes, size = [], 0
    while (found := one.store.checkpoint_after(size)) is not None:
        size = found[0]
        sizes.append(size)
    assert sizes == [512, 1024, 1100]


def test_nothing_is_noted_when_one_of_many_cannot_be_written(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    bad = StepDone(BatchId("BAT-1"), "x" * FACT_BYTES_MAX)
    with pytest.raises(NotValid):
        one.append([*steps(600), bad], actor=NODE, moment=AT)
    assert (one.size, one.store.head()) == (0, None)


@of_files
def test_nothing_is_noted_when_the_disk_refuses_one_of_many_commits(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    one.append(steps(1), actor=NODE, moment=AT)
    root = one.root
    one.store._db.execute("PRAGMA max_page_count=30")
    with pytest.raises(NotReachable, match="nothing was noted"):
        one.append(steps(1100), actor=NODE, moment=AT)
    assert (one.size, one.root, len(one.store.bodies(0, 9999))) == (1, root, 1)
    one.store._db.execute("PRAGMA max_page_count=100000")
    one.append(steps(1), actor=NODE, moment=AT)
    assert one.size == 2


def test_appending_nothing_notes_nothing(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    assert one.append([], actor=NODE, moment=AT) == []
    one.append_bytes([])
    assert one.store.head() is None
    with pytest.raises(NotValid):
        one.append_bytes([b"x"] * 513)


@of_files
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log SET body = x'00' WHERE pos = 0",
        "DELETE FROM log WHERE pos = 1",
        "INSERT OR REPLACE INTO log VALUES (0, x'00')",
        "UPDATE checkpoint SET note = x'00'",
        "DELETE FROM checkpoint",
    ],
)
def test_the_file_itself_refuses_to_change_what_was_noted(tmp_path: Path, statement: str) -> None:
    one = ledger(tmp_path)
    one.append(steps(2), actor=NODE, moment=AT)
    with pytest.raises(apsw.ConstraintError, match="are never"):
        one.store._db.execute(statement)
    assert [fact.payload for fact in one.facts()] == steps(2)


@of_files
def test_a_file_of_another_ledger_is_refused(tmp_path: Path) -> None:
    ledger(tmp_path).store.close()
    with pytest.raises(NotTrusted, match=r"it is the ledger example\.org/leeds/acme"):
        ledger(tmp_path, origin="example.org/leeds/other")


def test_a_ledger_signed_by_another_key_is_refused(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    one.append(steps(1), actor=NODE, moment=AT)
    one.store.close()
    with pytest.raises(NotTrusted, match="not signed by"):
        ledger(tmp_path, by=signer("example.org/ghent"))


def test_a_checkpoint_that_does_not_match_its_tree_is_refused(tmp_path: Path) -> None:
    kept = store(tmp_path)
    bodies = [b"one"]
    note = sign_checkpoint(Checkpoint(ORIGIN, 1, bytes(32)), WRITER)
    kept.commit(bodies, frontier=Frontier().extend(leaf_hashes(bodies)), note=note)
    with pytest.raises(NotTrusted, match="does not match its tree"):
        Ledger(kept, signer=WRITER)


@of_files
def test_a_damaged_file_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(NotReachable, match="cannot open ledger"):
        ledger(tmp_path)
    one = ledger(tmp_path, name="second")
    one.append(steps(400), actor=NODE, moment=AT)
    one.store.close()
    data = bytearray((tmp_path / "second.db").read_bytes())
    data[8192:] = bytes(len(data) - 8192)
    (tmp_path / "second.db").write_bytes(data)
    with pytest.raises(NotReachable):
        list(ledger(tmp_path, name="second").facts())


def test_a_receipt_is_kept_once_it_verifies(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    one.append(steps(3), actor=NODE, moment=AT)
    page = next_page(one.store, start=0)
    assert page is not None
    receipt = held.take(page, moment=AT)
    assert one.witnessed == 0
    one.take_receipt(receipt.line, size=receipt.size, witness=WITNESS.verifying_key)
    assert one.witnessed == 3
    kept = one.store.receipt()
    assert kept is not None and kept == held.store.receipt()
    assert open_checkpoint(kept[1], WRITER.verifying_key, witnesses=(WITNESS.verifying_key,))[1][0].witness == WITNESS.name


def test_a_receipt_that_does_not_verify_is_refused(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    one.append(steps(3), actor=NODE, moment=AT)
    head = one.store.head()
    assert head is not None
    line = cosign(head.note, witness=WITNESS, time=5)
    stranger = cosign(head.note, witness=signer("example.org/stranger", algorithm=4), time=5)
    for bad, size in ((line, 2), (line, 4), (line, 0), (line, -1), (line, 1 << 70), (stranger, 3), (b"", 3)):
        with pytest.raises(NotTrusted):
            one.take_receipt(bad, size=size, witness=WITNESS.verifying_key)
    with pytest.raises(NotValid):
        one.take_receipt(b"nonsense\n", size=3, witness=WITNESS.verifying_key)
    assert one.witnessed == 0
    one.take_receipt(line, size=3, witness=WITNESS.verifying_key)
    assert [size for size, _ in one.store.receipts()] == [3]


WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from records_setup import AT, NODE, ledger, steps
one = ledger(Path(sys.argv[1]))
while True:
    noted = one.append(steps(3, first=one.size), actor=NODE, moment=AT)
    print(noted[-1].position + 1, flush=True)
"""


@of_files
def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(tmp_path: Path) -> None:
    acknowledged = 0
    for round_ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE_UNTIL_KILLED, str(tmp_path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(5 + 20 * round_):
            acknowledged = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        rest = [int(line) for line in process.stdout.read().split("\n")[:-1]]  # what it still said before it died
        acknowledged = rest[-1] if rest else acknowledged
        process.wait()
        process.stdout.close()
        again = ledger(tmp_path)
        assert again.size >= acknowledged
        assert again.size % 3 == 0  # a commit is there whole or not at all
        assert [fact.payload for fact in again.facts()] == steps(again.size)
        assert again.root == Frontier().extend(leaf_hashes(again.store.bodies(0, again.size))).root()
        again.store.close()


def test_a_fact_that_cannot_be_read_does_not_end_reading(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    one.append(steps(2), actor=NODE, moment=AT)
    one.append_bytes([b"no fact at all"])
    one.append_bytes(one.store.bodies(0, 1))
    one.append(steps(1), actor=NODE, moment=AT)
    found = list(one.facts())
    assert [fact.ref for fact in found] == [(ORIGIN, position) for position in range(5)]
    assert [fact.kind for fact in found] == ["testing.step_done"] * 2 + ["unreadable"] * 2 + ["testing.step_done"]
    assert found[3].body()["why"] == f"its bytes say that it is {ORIGIN}#0"


def altered(one: Ledger | Copy, *statements: str) -> None:
    """What somebody with the file and a database tool can do."""
    for trigger in ("log_is_never_changed", "log_is_never_deleted", "checkpoint_is_never_changed", "checkpoint_is_never_deleted"):
        one.store._db.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        one.store._db.execute(statement)
    one.store.close()


CHANGE_SEVEN = "UPDATE log SET body = CAST(replace(CAST(body AS TEXT), 'step 7', 'step 8') AS BLOB) WHERE pos = 7"


@of_files
@pytest.mark.parametrize(
    ("statements", "why"),
    [
        ([CHANGE_SEVEN], "positions 6 to 8"),
        ([CHANGE_SEVEN, "UPDATE checkpoint SET note = x'00' WHERE size IN (6, 9)"], "positions 3 to 11"),
        (["DELETE FROM log WHERE pos = 7"], "positions 6 to 8"),
        (["DELETE FROM log WHERE pos = 11"], "positions 9 to 11"),
        (["INSERT INTO log SELECT 12, body FROM log WHERE pos = 0"], "beyond its 12 signed ones"),
        (["DELETE FROM log WHERE pos > 8", "DELETE FROM checkpoint WHERE size > 9"], "cosigned 12 facts, and 9 are here"),
    ],
)
def test_a_file_that_was_altered_is_refused_with_the_place(tmp_path: Path, statements: list[str], why: str) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    for at in range(4):
        one.append(steps(3, first=3 * at), actor=NODE, moment=AT)
        page = next_page(one.store, start=3 * at)
        assert page is not None
        receipt = held.take(page, moment=AT)
        one.take_receipt(receipt.line, size=receipt.size, witness=WITNESS.verifying_key)
    one.check()
    held.check()
    for each in (one, held):
        altered(each, *statements)
    for again in (ledger(tmp_path), copy(tmp_path)):
        with pytest.raises(NotTrusted, match=why) as refused:
            again.check()
        assert "restore the file" in refused.value.possible
