"""Ledgers in a database that several processes use: one order, nothing doubled, and the truth about a commit whose answer was lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from records_setup import AT, NODE, ORIGIN, WITNESS, WRITER, steps

import postgres_here
from isogenic.errors import NotAllowed, NotReachable, NotTrusted, NotValid
from isogenic.records import migrations
from isogenic.records.database import Database, public_name
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.migrations import layout, migrate
from isogenic.records.postgres import PostgresStore, ledger_sizes
from isogenic.records.sync import next_page


@pytest.fixture
def place() -> str:
    return postgres_here.place()


_opened: list[Database] = []


@pytest.fixture(autouse=True)
def _closing() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def database(url: str) -> Database:
    _opened.append(Database(url))
    return _opened[-1]


def ledger(url: str) -> Ledger:
    """As another process would open it: over a connection of its own."""
    return Ledger(PostgresStore(database(url), origin=ORIGIN), signer=WRITER)


def copy(url: str) -> Copy:
    return Copy(PostgresStore(database(url), origin=ORIGIN), writer=WRITER.verifying_key, witness=WITNESS)


def words(one: Ledger | Copy) -> list[str]:
    return [fact.payload.step for fact in one.facts()]


# ---- several writers ----


def test_two_processes_append_in_one_order_and_each_sees_what_the_other_wrote(place: str) -> None:
    one, other = ledger(place), ledger(place)
    assert [fact.position for fact in one.append(steps(2), actor=NODE, moment=AT)] == [0, 1]
    assert [fact.position for fact in other.append(steps(2, first=2), actor=NODE, moment=AT)] == [2, 3]
    assert (one.size, one.follow(), one.size, one.follow()) == (2, True, 4, False)
    assert (one.root, words(one)) == (other.root, [f"step {at}" for at in range(4)])
    one.check()


def test_many_writers_at_once_leave_no_gap_and_double_nothing(place: str) -> None:
    def write(first: int) -> None:
        mine = ledger(place)
        for at in range(20):
            mine.append(steps(2, first=first + 2 * at), actor=NODE, moment=AT)

    writers = [threading.Thread(target=write, args=(1000 * number,)) for number in range(4)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    one = ledger(place)
    one.check()
    found = [int(word.split()[1]) for word in words(one)]
    assert sorted(found) == sorted(1000 * number + at for number in range(4) for at in range(40))
    for number in range(4):  # of each writer, in its own order
        mine = [each for each in found if each // 1000 == number]
        assert mine == sorted(mine)


def test_pages_of_one_ledger_are_taken_by_whichever_process_is_asked(place: str, tmp_path: Path) -> None:
    from records_setup import ledger as on_files

    one = on_files(tmp_path)
    for _ in range(6):
        one.append(steps(300), actor=NODE, moment=AT)
    held = [copy(place), copy(place), copy(place)]
    start = 0
    for turn in range(6):
        page = next_page(one.store, start=start)
        assert page is not None
        receipt = held[turn % 3].take(page, moment=AT)
        assert held[(turn + 1) % 3].take(page, moment=AT) == receipt  # the answer was lost, and another process is asked again
        one.take_receipt(receipt.line, size=receipt.size, witness=WITNESS.verifying_key)
        start = receipt.size
    for each in held:
        each.follow()
        each.check()
        assert (each.size, each.root) == (1800, one.root)
    assert one.witnessed == 1800


WRITE_UNTIL_KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
from isogenic.records.database import Database
from isogenic.records.ledger import Ledger
from isogenic.records.postgres import PostgresStore
from records_setup import AT, NODE, ORIGIN, WRITER, steps
one = Ledger(PostgresStore(Database(sys.argv[1]), origin=ORIGIN), signer=WRITER)
while True:
    print(" ".join(str(fact.position) for fact in one.append(steps(3), actor=NODE, moment=AT)), flush=True)
"""


def test_a_writer_that_is_killed_loses_nothing_it_acknowledged_and_holds_up_nobody(place: str) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITE_UNTIL_KILLED, place, str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said: list[list[str]] = []
    for process in processes:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        said.append([*lines, *process.stdout.read().splitlines(keepends=True)])
        process.wait()
        process.stdout.close()
    acknowledged = [int(word) for lines in said for line in lines if line.endswith("\n") for word in line.split()]
    one = ledger(place)
    one.check()
    assert len(set(acknowledged)) == len(acknowledged)
    assert max(acknowledged) < one.size and one.size % 3 == 0
    one.append(steps(1), actor=NODE, moment=AT)


# ---- what the database refuses ----


@pytest.mark.parametrize("table", ["log", "checkpoint", "ledger"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_database_refuses_to_delete_what_was_noted(place: str, table: str, statement: str) -> None:
    ledger(place).append(steps(2), actor=NODE, moment=AT)
    with psycopg.connect(place, autocommit=True) as connection, pytest.raises(psycopg.errors.RestrictViolation, match="are never changed or deleted"):
        connection.execute(statement.format(table))
    assert words(ledger(place)) == ["step 0", "step 1"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log SET body = ''",
        "UPDATE checkpoint SET note = ''",
        "INSERT INTO log VALUES (1, 0, '') ON CONFLICT (ledger, pos) DO UPDATE SET body = ''",
    ],
)
def test_the_database_refuses_to_change_what_was_noted(place: str, statement: str) -> None:
    ledger(place).append(steps(2), actor=NODE, moment=AT)
    with psycopg.connect(place, autocommit=True) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(statement)
    assert words(ledger(place)) == ["step 0", "step 1"]


def test_a_process_needs_no_right_to_change_or_delete(place: str) -> None:
    schema = f"writer_{os.getpid()}"
    with psycopg.connect(place, autocommit=True) as connection:
        here = connection.execute("SELECT current_schema()").fetchone()
        assert here is not None
        connection.execute(f"DROP ROLE IF EXISTS {schema}")
        connection.execute(f"CREATE ROLE {schema} LOGIN")
        connection.execute(f"GRANT USAGE ON SCHEMA {here[0]} TO {schema}")
        connection.execute(f"GRANT SELECT, INSERT ON ledger, log, checkpoint, receipt TO {schema}")
        connection.execute(f"GRANT UPDATE ON receipt TO {schema}")
        connection.execute(f"GRANT SELECT ON isogenic_layout TO {schema}")
    limited = place.replace("//postgres:", f"//{schema}:")
    assert migrate(database(limited)) == []
    one = ledger(limited)
    one.append(steps(2), actor=NODE, moment=AT)
    assert words(one) == ["step 0", "step 1"]
    with pytest.raises(NotReachable, match="must be owner"):
        database(limited).do("ALTER TABLE log DISABLE TRIGGER ALL")


def test_a_changed_row_is_found_with_its_place(place: str) -> None:
    one = ledger(place)
    for at in range(4):
        one.append(steps(3, first=3 * at), actor=NODE, moment=AT)
    with psycopg.connect(place, autocommit=True) as owner:
        owner.execute("ALTER TABLE log DISABLE TRIGGER ALL")
        owner.execute("UPDATE log SET body = body || ' ' WHERE pos = 7")
    with pytest.raises(NotTrusted, match="positions 6 to 8"):
        ledger(place).check()


def test_rows_of_another_form_are_damage_and_not_facts(place: str) -> None:
    ledger(place).append(steps(2), actor=NODE, moment=AT)
    with psycopg.connect(place, autocommit=True) as owner:
        owner.execute("ALTER TABLE log ALTER COLUMN body TYPE text USING encode(body, 'hex')")
    with pytest.raises(NotReachable, match="not of the form that was written"):
        list(ledger(place).facts())


def test_a_store_that_lost_its_end_is_refused_by_whoever_had_read_it(place: str) -> None:
    """A standby was promoted that had not yet got everything."""
    one, other = ledger(place), ledger(place)
    for at in range(3):
        one.append(steps(2, first=2 * at), actor=NODE, moment=AT)
    other.follow()
    with psycopg.connect(place, autocommit=True) as owner:
        for table, column in (("log", "pos"), ("checkpoint", "size - 1")):
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            owner.execute(f"DELETE FROM {table} WHERE {column} >= 4")
    for each in (one, other):
        with pytest.raises(NotTrusted, match="has read 6 facts of it, and its store now holds 4"):
            each.append(steps(1), actor=NODE, moment=AT)
    with pytest.raises(NotTrusted, match="the end of it was lost"):
        other.follow()
    assert ledger(place).size == 4


# ---- a line that breaks ----


@contextmanager
def door() -> Iterator[postgres_here.Door]:
    made = postgres_here.Door()
    try:
        yield made
    finally:
        made.close()


def break_at(made: postgres_here.Door, word: bytes, how: str) -> None:
    """Break the line once, at the first message that has this word."""

    def watch(data: bytes) -> str:
        if word in data:
            made.watch = lambda data: "on"
            return how
        return "on"

    made.watch = watch


def test_a_commit_whose_answer_was_lost_is_found_done_and_not_done_again(place: str) -> None:
    with door() as made:
        one = ledger(made.url(place))
        one.append(steps(1), actor=NODE, moment=AT)
        break_at(made, b"COMMIT", "after")
        noted = one.append(steps(2, first=1), actor=NODE, moment=AT)
        assert [fact.position for fact in noted] == [1, 2]
        one.append(steps(1, first=3), actor=NODE, moment=AT)
    assert words(ledger(place)) == [f"step {at}" for at in range(4)]


@pytest.mark.parametrize("word", [b"COMMIT", b"COPY", b"BEGIN", b"INSERT INTO checkpoint"])
def test_a_commit_that_never_arrived_is_told_and_can_be_tried_again(place: str, word: bytes) -> None:
    with door() as made:
        one = ledger(made.url(place))
        one.append(steps(1), actor=NODE, moment=AT)
        break_at(made, word, "cut")
        with pytest.raises(NotReachable, match="nothing was noted"):
            one.append(steps(2, first=1), actor=NODE, moment=AT)
        assert [fact.position for fact in one.append(steps(2, first=1), actor=NODE, moment=AT)] == [1, 2]
    assert words(ledger(place)) == ["step 0", "step 1", "step 2"]


def test_a_database_that_stays_away_after_a_commit_leaves_it_open_and_says_so(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isogenic.records.postgres.OUTCOME_S", 0.5)
    with door() as made:
        one = ledger(made.url(place))
        break_at(made, b"COMMIT", "after")
        made.shut()
        with pytest.raises(NotReachable, match="it is not known whether this was noted") as refused:
            one.append(steps(2), actor=NODE, moment=AT)
    assert refused.value.possible == "look before you do it again"
    assert words(ledger(place)) == ["step 0", "step 1"]


def test_a_line_that_broke_is_made_again_by_the_next_who_asks(place: str) -> None:
    with door() as made:
        one = ledger(made.url(place))
        one.append(steps(1), actor=NODE, moment=AT)
        made.cut()
        with pytest.raises(NotReachable):
            one.store.head()
        assert words(one) == ["step 0"]


def test_who_was_to_be_alone_and_lost_the_line_writes_nothing_more(place: str) -> None:
    with door() as made:
        one, other = ledger(made.url(place)), ledger(place)
        with one.store.database.alone(1, what="deciding"):
            made.cut()
            for _ in range(2):
                with pytest.raises(NotReachable):
                    one.append(steps(1), actor=NODE, moment=AT)
            with other.store.database.alone(1, what="deciding"):  # the lock went with the line
                other.append(steps(1, first=7), actor=NODE, moment=AT)
        one.append(steps(1, first=8), actor=NODE, moment=AT)
    assert words(other) == ["step 7", "step 8"]


def test_one_after_the_other_is_alone_and_nobody_waits_for_ever(place: str) -> None:
    one, other = database(place), database(place)
    other.do("SET lock_timeout = '50ms'")
    with one.alone(1, what="deciding"), one.alone(1, what="deciding"):
        with pytest.raises(NotReachable, match="cannot decide: canceling statement due to lock timeout"), other.alone(1, what="cannot decide"):
            pass
        with other.alone(2, what="something else"):
            pass
    with other.alone(1, what="deciding"):
        pass


def test_who_starts_waits_longer_for_the_one_who_decides_than_for_anything_else(place: str) -> None:
    one, other = database(place), database(place)
    other.do("SET lock_timeout = '1ms'")
    began: list[object] = []

    def start() -> None:
        with other.alone(1, what="starting", wait_s=60):
            began.extend(other.rows("SHOW lock_timeout"))

    with one.alone(1, what="deciding"):
        starting = threading.Thread(target=start)
        starting.start()
        while not one.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND classid = %s", (one.key,)):
            assert starting.is_alive()
        starting.join(0.05)
        assert began == []
    starting.join()
    assert began == [("5s",)]  # its patience was for that one lock


# ---- which databases are taken ----


@contextmanager
def server_set(place: str, name: str, value: str) -> Iterator[None]:
    with psycopg.connect(place, autocommit=True) as owner:
        owner.execute(f"ALTER SYSTEM SET {name} = {value}")
        owner.execute("SELECT pg_reload_conf()")
        try:
            while owner.execute(f"SHOW {name}").fetchone() != (value,):
                pass
            yield
        finally:
            owner.execute(f"ALTER SYSTEM RESET {name}")
            owner.execute("SELECT pg_reload_conf()")
            while owner.execute(f"SHOW {name}").fetchone() == (value,):
                pass


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_a_database_that_can_lose_what_it_acknowledged_is_refused(place: str, name: str) -> None:
    with server_set(place, name, "off"), pytest.raises(NotValid, match=f"{name} is off: what it acknowledges may be lost"):
        database(place)
    database(place)


@pytest.mark.parametrize(
    ("setting", "why"),
    [("synchronous_commit=off", "synchronous_commit is off"), ("default_transaction_read_only=on", "it is a standby, or read-only")],
)
def test_a_database_that_would_not_keep_is_refused(place: str, setting: str, why: str) -> None:
    with pytest.raises(NotValid, match=why):
        database(f"{place}%20-c{setting.replace('=', '%3D')}")


def test_a_password_is_in_no_message() -> None:
    secret = "postgresql://writer:hunter2hunter2@127.0.0.1:1/ledgers?connect_timeout=1"
    with pytest.raises(NotReachable) as refused:
        database(secret)
    assert "postgresql://127.0.0.1:1/ledgers" in str(refused.value) and "hunter2" not in str(refused.value)
    assert "hunter2" not in public_name(secret) and "writer" not in public_name(secret)
    with pytest.raises(NotValid, match="the form is postgresql:"):
        database("mysql://somebody@somewhere/else")


def test_a_node_without_the_driver_says_how_to_get_it(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(NotValid, match="psycopg is not installed") as refused:
        database(place)
    assert "isogenic[scale]" in refused.value.possible


# ---- layouts ----


def test_a_new_database_gets_todays_layout_once_however_many_processes_start(place: str) -> None:
    url = postgres_here.empty_place()
    taken: list[list[str]] = []
    starts = [threading.Thread(target=lambda: taken.append(migrate(database(url)))) for _ in range(3)]
    for each in starts:
        each.start()
    for each in starts:
        each.join()
    assert layout(database(url)) == migrations._known()[-1]
    assert ledger_sizes(database(url)) == {}
    assert len(taken) == 3
    assert migrate(database(url)) == []


def test_every_older_layout_becomes_todays_and_keeps_every_fact() -> None:
    for step in migrations._known():
        url = postgres_here.empty_place()
        migrate(database(url), to=step)
        one = ledger(url)
        noted = one.append(steps(5), actor=NODE, moment=AT)
        migrate(database(url))
        again = ledger(url)
        again.check()
        assert (list(again.facts()), again.root) == (noted, one.root)


def test_a_database_of_a_newer_program_is_refused_and_left_as_it_is(place: str) -> None:
    with psycopg.connect(place, autocommit=True) as owner:
        owner.execute("UPDATE isogenic_layout SET version_num = '9999'")
    with pytest.raises(NotAllowed, match="its layout 9999 is of a newer program") as refused:
        migrate(database(place))
    assert refused.value.possible == "run the newer program"
    assert layout(database(place)) == "9999"
