"""Derived tables follow the ledgers, and a rebuild gives the same."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records_setup import AT, NODE, ORIGIN, WRITER, StepDone, derived_at, kept_in, of_files, steps

from isogenic.errors import NotTrusted, NotValid
from isogenic.ids import BatchId
from isogenic.records.derived import FACTS, Derived, Place, Tables, View
from isogenic.records.facts import Actor, Fact, FactRef
from isogenic.records.ledger import Ledger
from isogenic.records.sqlite import SqliteStore


def _count(db: Tables, fact: Fact) -> None:
    db.execute("INSERT INTO counted VALUES (?, 1) ON CONFLICT (subject) DO UPDATE SET times = counted.times + 1", (fact.subject,))


COUNTED = View("counted", "CREATE TABLE counted (subject TEXT PRIMARY KEY, times INTEGER)", _count)
VIEWS = (FACTS, COUNTED)


def ledger_on_file(folder: Path, *, name: str = "ledger", origin: str = ORIGIN) -> Ledger:
    """These tests are about tables: the ledgers they follow are files."""
    return Ledger(SqliteStore(folder / f"{name}.db", origin=origin), signer=WRITER)


def two(tmp_path: Path) -> tuple[Ledger, Ledger]:
    one, other = ledger_on_file(tmp_path, name="one"), ledger_on_file(tmp_path, name="other", origin="example.org/leeds/house")
    one.append(steps(5), actor=NODE, moment=AT)
    other.append(steps(3, first=10), actor=Actor("ANN", "operator", "password"), moment=AT.plus(1))
    return one, other


def test_following_along_in_any_order_equals_rebuilding(tmp_path: Path) -> None:
    one, other = two(tmp_path)
    digests = set()
    for at, order in enumerate(itertools.permutations([one, other])):
        derived = derived_at(tmp_path / f"{at}.sqlite", views=VIEWS)
        for each in order:
            derived.catch_up(each)
        digests.add(derived.digest())
        derived.rebuild(reversed(order))
        digests.add(derived.digest())
    assert len(digests) == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4)), max_size=12))
@settings(max_examples=30, deadline=None)
def test_any_interleaving_equals_rebuilding(tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[bool, int]]) -> None:
    folder = tmp_path_factory.mktemp("derived")
    ledgers = two(folder)
    derived = derived_at(folder / "derived.sqlite", views=VIEWS)
    for which, count in runs:
        each = ledgers[which]
        start = derived.size(each.origin)
        derived.feed(each.store.bodies(start, start + count), ledger=each.origin, start=start)
    for each in ledgers:
        derived.catch_up(each)
    followed = derived.digest()
    derived.rebuild(ledgers)
    assert derived.digest() == followed
    assert derived.db.execute("SELECT * FROM counted").fetchall() == [("BAT-7K2M", 8)]


def test_digest_tells_a_changed_cell(tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    derived = derived_at(tmp_path / "derived.sqlite")
    derived.catch_up(one)
    before = derived.digest()
    derived.db.execute("UPDATE facts SET subject = 'BAT-X' WHERE position = 2")
    assert derived.digest() != before


def test_catching_up_goes_on_where_it_stopped(tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    derived = derived_at(tmp_path / "derived.sqlite", views=VIEWS)
    assert (derived.catch_up(one), derived.catch_up(one)) == (5, 0)
    one.append(steps(2), actor=NODE, moment=AT)
    derived.close()
    again = derived_at(tmp_path / "derived.sqlite", views=VIEWS)
    assert (again.catch_up(one), again.size(ORIGIN)) == (2, 7)


def test_a_gap_and_a_repeat_are_refused_and_change_nothing(tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    derived = derived_at(tmp_path / "derived.sqlite")
    derived.feed(one.store.bodies(0, 2), ledger=ORIGIN, start=0)
    before = derived.digest()
    for start in (0, 1, 3) if kept_in[0] == "files" else (3,):  # where others feed, too, a repeat is what they have done already
        with pytest.raises(NotValid, match="go on from 2"):
            derived.feed(one.store.bodies(start, start + 1), ledger=ORIGIN, start=start)
    if kept_in[0] == "postgres":
        derived.feed(one.store.bodies(0, 2), ledger=ORIGIN, start=0)
    assert derived.digest() == before
    derived.feed(one.store.bodies(2, 3), ledger=ORIGIN, start=2)
    if kept_in[0] == "postgres":
        derived.feed(one.store.bodies(1, 5), ledger=ORIGIN, start=1)
        assert (derived.size(ORIGIN), [fact.ref.position for fact in derived.find().facts]) == (5, [4, 3, 2, 1, 0])


def test_a_view_that_fails_leaves_the_page_undone(tmp_path: Path) -> None:
    def trip(db: Tables, fact: Fact) -> None:
        if fact.position == 3:
            raise ZeroDivisionError

    one, _ = two(tmp_path)
    derived = derived_at(tmp_path / "derived.sqlite", views=(FACTS, View("trip", "", trip)))
    with pytest.raises(ZeroDivisionError):
        derived.catch_up(one)
    assert (derived.size(ORIGIN), derived.find().facts) == (0, ())


def test_a_ledger_shorter_than_its_tables_is_refused(tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    derived = derived_at(tmp_path / "derived.sqlite")
    derived.catch_up(one)
    restored = ledger_on_file(tmp_path, name="restored")
    with pytest.raises(NotTrusted, match="they cover 5 facts, and the ledger has 0"):
        derived.catch_up(restored)


def test_facts_that_cannot_be_read_are_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    one = ledger_on_file(tmp_path)
    one.append(steps(1), actor=NODE, moment=AT)
    one.append_bytes([b"not json", one.store.bodies(0, 1)[0]])
    one.append(steps(1), actor=NODE, moment=AT)
    derived = derived_at(tmp_path / "derived.sqlite")
    derived.catch_up(one)
    assert [fact.ref.position for fact in derived.find().facts] == [3, 0]
    assert [ref for ref, _ in derived.unreadable()] == [FactRef(ORIGIN, 1), FactRef(ORIGIN, 2)]
    assert "it says that it is example.org/leeds/acme#0" in derived.unreadable()[1][1]


@of_files
def test_a_damaged_file_or_one_of_other_views_is_built_anew(tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    path = tmp_path / "derived.sqlite"
    path.write_bytes(b"nonsense" * 1000)
    derived = Derived(path)
    derived.catch_up(one)
    derived.close()
    for views in (VIEWS, (FACTS, replace(COUNTED, version=2)), (FACTS,)):
        other = Derived(path, views=views)
        assert other.size(ORIGIN) == 0
        assert other.catch_up(one) == 5
        other.close()


def test_facts_are_found_newest_first_page_by_page(tmp_path: Path) -> None:
    one, other = two(tmp_path)
    derived = derived_at(tmp_path / "derived.sqlite")
    derived.catch_up(one)
    derived.catch_up(other)
    refs: list[FactRef] = []
    after: Place | None = None
    while True:
        page = derived.find(limit=3, after=after)
        refs += [fact.ref for fact in page.facts]
        after = page.next
        if after is None:
            break
    assert refs == [FactRef("example.org/leeds/house", at) for at in (2, 1, 0)] + [FactRef(ORIGIN, at) for at in (4, 3, 2, 1, 0)]


def test_facts_are_found_by_what_they_say(tmp_path: Path) -> None:
    one, other = two(tmp_path)
    one.append([StepDone(BatchId("BAT-2"), "Harvest 100% of it", 1.0)], actor=NODE, moment=AT)
    derived = derived_at(tmp_path / "derived.sqlite")
    derived.catch_up(one)
    derived.catch_up(other)

    def places(**asked: str) -> list[int]:
        return [fact.ref.position for fact in derived.find(**asked).facts]

    assert places(ledger="example.org/leeds/house") == [2, 1, 0]
    assert places(actor="ANN") == [2, 1, 0]
    assert places(subject="BAT-2") == [5]
    assert places(text="harvest 100%") == [5]
    assert places(text="'; DROP TABLE facts") == []
    assert len(places(kind="testing.step_done")) == len(places(kind="testing.*")) == 9
    assert places(kind="other.*") == []
    assert derived.kinds() == {"testing.step_done": 9}
    for wrong in ({"limit": 0}, {"limit": 501}, {"text": "x" * 201}, {"text": "\ud800"}):
        with pytest.raises(NotValid):
            derived.find(**wrong)


def test_both_databases_have_the_same_tables_whatever_the_facts_say(tmp_path: Path) -> None:
    """Long subjects, NUL, letters beyond ASCII, damage: the same digest, the same search."""
    one = ledger_on_file(tmp_path)
    odd = ["plain", "", "ÄÖ Straße 🧬", "x" * 30_000, "a%b_c?d'e", "tab\tand\nline", "Z", "a", "ä"]
    one.append([StepDone(BatchId("BAT-1"), word, at / 3) for at, word in enumerate(odd)], actor=Actor("ÅSA", "operator", "password"), moment=AT)
    one.append_bytes([b"not json"])
    on_file = Derived(tmp_path / "file.sqlite", views=VIEWS)
    here = derived_at(tmp_path / "here.sqlite", views=VIEWS)
    for each in (on_file, here):
        each.catch_up(one)
    assert here.digest() == on_file.digest()
    for asked in ({"text": "STRASSE"}, {"text": "straße"}, {"text": "%b_"}, {"text": "?"}, {"text": "äö"}, {"actor": "ÅSA"}, {"kind": "t*"}, {}):
        assert here.find(**asked) == on_file.find(**asked), asked
    assert (here.kinds(), here.unreadable()) == (on_file.kinds(), on_file.unreadable())


def test_a_name_too_long_for_an_index_is_found_by_its_beginning(tmp_path: Path) -> None:
    one = ledger_on_file(tmp_path)
    long = "who" * 10_000
    one.append(steps(1), actor=Actor(long, "operator", "password"), moment=AT)
    one.append(steps(1), actor=Actor("N\0UL", "operator", "password"), moment=AT)
    derived = derived_at(tmp_path / "derived.sqlite")
    derived.catch_up(one)
    assert [fact.ref.position for fact in derived.find(actor=long).facts] == [0]
    assert [fact.actor[:4] for fact in derived.find().facts] == ["N\0UL" if kept_in[0] == "files" else "N\ufffdUL", "whow"]
