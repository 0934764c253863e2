"""What an older program wrote: files of its layout, facts of its forms. They are read, verified and searched, and nothing of them is rewritten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest
from records_setup import AT, NODE, ORIGIN, WITNESS, WRITER, copy, derived_at, ledger, of_files, steps

from isogenic.errors import NotAllowed
from isogenic.ids import BatchId
from isogenic.records import facts as registry
from isogenic.records.aside import LedgerFiles
from isogenic.records.facts import decode_fact, fact
from isogenic.records.ledger import Ledger
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Checkpoint, sign_checkpoint
from isogenic.records.sqlite import FORMAT, SqliteStore
from isogenic.records.sync import Page, next_page

# ---- a file of the first layout, as its program made it ----

FIRST_LAYOUT = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE log (pos INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note BLOB NOT NULL, frontier BLOB NOT NULL);
CREATE TABLE receipt (size INTEGER PRIMARY KEY, note BLOB NOT NULL);
CREATE TRIGGER log_is_never_changed BEFORE UPDATE ON log BEGIN SELECT raise(ABORT, 'facts are never changed'); END;
CREATE TRIGGER log_is_never_deleted BEFORE DELETE ON log BEGIN SELECT raise(ABORT, 'facts are never deleted'); END;
CREATE TRIGGER checkpoint_is_never_changed BEFORE UPDATE ON checkpoint BEGIN SELECT raise(ABORT, 'checkpoints are never changed'); END;
CREATE TRIGGER checkpoint_is_never_deleted BEFORE DELETE ON checkpoint BEGIN SELECT raise(ABORT, 'checkpoints are never deleted'); END;
"""


def of_the_first_layout(path: Path, bodies: list[bytes]) -> bytes:
    """A ledger file of format 1; gives its root."""
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(FIRST_LAYOUT)
    db.execute("INSERT INTO meta VALUES ('origin', ?), ('format', '1')", (ORIGIN,))
    db.executemany("INSERT INTO log VALUES (?, ?)", enumerate(bodies))
    frontier = Frontier().extend(leaf_hashes(bodies))
    note = sign_checkpoint(Checkpoint(ORIGIN, len(bodies), frontier.root()), WRITER)
    db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (len(bodies), note, frontier.to_bytes()))
    db.execute("INSERT INTO receipt VALUES (?, ?)", (len(bodies), note))
    db.close()
    return frontier.root()


def format_of(path: Path) -> str:
    with apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE) as db:
        return str(db.execute("SELECT value FROM meta WHERE key = 'format'").fetchall()[0][0])


@of_files
def test_a_file_of_the_first_layout_opens_goes_on_and_keeps_every_byte(tmp_path: Path) -> None:
    model = ledger(tmp_path, name="model")
    model.append(steps(5), actor=NODE, moment=AT)
    bodies = model.store.bodies(0, 5)
    root = of_the_first_layout(tmp_path / "old.db", bodies)
    for _ in range(2):
        old = ledger(tmp_path, name="old")
        old.check()
        assert (old.size, old.root, old.store.bodies(0, 9)) == (5, root, bodies)
        old.store.close()
    assert format_of(tmp_path / "old.db") == FORMAT
    again = ledger(tmp_path, name="old")
    again.append(steps(1, first=5), actor=NODE, moment=AT)
    again.check()
    for statement in ("DELETE FROM receipt", "DELETE FROM meta", "UPDATE meta SET value = 'x' WHERE key = 'origin'"):
        with pytest.raises(apsw.ConstraintError, match="never"):
            again.store._db.execute(statement)  # type: ignore[attr-defined]


@of_files
def test_the_step_is_taken_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_the_first_layout(tmp_path / "old.db", [b"{}"])
    monkeypatch.setitem(__import__("isogenic.records.sqlite", fromlist=["_STEPS"])._STEPS, "1", "CREATE TABLE half (x); CREATE TABLE half (x)")
    with pytest.raises(Exception, match="cannot open ledger"):
        SqliteStore(tmp_path / "old.db", origin=ORIGIN)
    assert format_of(tmp_path / "old.db") == "1"
    monkeypatch.undo()
    assert SqliteStore(tmp_path / "old.db", origin=ORIGIN).bodies(0, 2) == [b"{}"]


@of_files
def test_a_file_of_a_newer_program_is_refused_and_is_not_laid_aside_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "ledgers" / "HOUSE.sqlite"
    one = LedgerFiles().ledger(path, origin=ORIGIN, signer=WRITER)
    one.append(steps(3), actor=NODE, moment=AT)
    one.store._db.execute("UPDATE meta SET value = '99' WHERE key = 'format'")  # type: ignore[attr-defined]
    one.store.close()
    for _ in range(2):
        with pytest.raises(NotAllowed, match="it has format 99, and this program knows up to") as refused:
            LedgerFiles().ledger(path, origin=ORIGIN, signer=WRITER)
    assert refused.value.possible == "run the newer program"
    assert not (tmp_path / "evidence").exists()
    with apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE) as db:
        assert db.execute("SELECT count(*) FROM log").fetchall() == [(3,)]


# ---- facts of an older form ----


@dataclass(frozen=True, slots=True)
class Weighed:
    batch: BatchId
    grams: float


def _in_kilograms(body: dict[str, Any]) -> dict[str, Any]:
    return {"batch": body["batch"], "kilograms": repr(float(body["grams"]) / 1000), "scale": "unknown"}


class _Newer:
    @dataclass(frozen=True, slots=True)
    class Weighed:
        batch: BatchId
        kilograms: float
        scale: str


_Newer.Weighed.__qualname__ = "Weighed"
Before = Weighed
Now = _Newer.Weighed


def old_program() -> None:
    fact("testing.weighed", subject="batch")(Before)


def new_program() -> None:
    fact("testing.weighed", subject="batch", version=2, upgrades={1: _in_kilograms})(Now)


@pytest.fixture(autouse=True)
def _programs() -> Iterator[None]:
    yield
    registry._KINDS.pop("testing.weighed", None)


def test_a_ledger_with_facts_of_an_older_form_verifies_travels_folds_and_is_searched(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    old_program()
    one.append([Before(BatchId("BAT-1"), 1500.0), Before(BatchId("BAT-2"), 20.0)], actor=NODE, moment=AT)
    old_bodies = one.store.bodies(0, 2)
    first = next_page(one.store, start=0)
    assert first is not None
    held.take(first, moment=AT)  # the other side was older, too
    new_program()
    one.append([Now(BatchId("BAT-3"), 0.75, "SC-2")], actor=NODE, moment=AT)
    for each in (one, held):
        each.check()
    assert [(each.version, each.payload) for each in one.facts()] == [
        (1, Now(BatchId("BAT-1"), 1.5, "unknown")),
        (1, Now(BatchId("BAT-2"), 0.02, "unknown")),
        (2, Now(BatchId("BAT-3"), 0.75, "SC-2")),
    ]
    assert one.store.bodies(0, 2) == old_bodies  # upgraded where they are read, never where they are kept
    page = next_page(one.store, start=held.size)
    assert page is not None
    receipt = held.take(Page.from_bytes(page.to_bytes()), moment=AT)
    one.take_receipt(receipt.line, size=receipt.size, witness=WITNESS.verifying_key)
    assert (held.root, one.witnessed) == (one.root, 3)
    derived = derived_at(tmp_path / "derived.sqlite")
    derived.catch_up(held)
    assert [found.ref.position for found in derived.find(text="kilograms").facts] == [2, 1, 0]
    assert [found.subject for found in derived.find(text="unknown").facts] == ["BAT-2", "BAT-1"]
    followed = derived.digest()
    derived.rebuild([held])
    assert derived.digest() == followed


def test_tables_that_an_older_program_fed_are_built_anew_where_their_form_changed(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    old_program()
    one.append([Before(BatchId("BAT-1"), 1500.0)], actor=NODE, moment=AT)
    old = derived_at(tmp_path / "derived.sqlite")
    old.catch_up(one)
    assert "grams" in old.find().facts[0].body
    old.close()
    new_program()
    newer = derived_at(tmp_path / "derived.sqlite")  # what following along gave is what a rebuild gives, across programs too
    assert newer.size(ORIGIN) == 0
    newer.catch_up(one)
    assert "kilograms" in newer.find().facts[0].body


def test_a_program_that_is_older_than_the_facts_keeps_and_shows_them_whole(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    new_program()
    one.append([Now(BatchId("BAT-3"), 0.75, "SC-2")], actor=NODE, moment=AT)
    registry._KINDS.pop("testing.weighed")
    old_program()
    again = Ledger(one.store, signer=WRITER)
    again.check()
    read = decode_fact(one.store.bodies(0, 1)[0])
    assert (read.kind, read.version, read.body()) == ("testing.weighed", 2, {"batch": "BAT-3", "kilograms": "0.75", "scale": "SC-2"})
    derived = derived_at(tmp_path / "derived.sqlite")
    derived.catch_up(again)
    assert [found.ref.position for found in derived.find(text="SC-2").facts] == [0]
