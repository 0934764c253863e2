"""The audit trail's tables: the same in SQLite and in PostgreSQL, however they were made, and found the same way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lot_story import noted, story

from isogenic.quality.trail import TRAIL, Wanted, all_lines, exported, find_trail
from isogenic.records.derived import FACTS, Derived
from isogenic.records.derived_postgres import PostgresDerived
from isogenic.records.facts import Fact, encode_fact
from postgres_here import empty_place

VIEWS = (FACTS, TRAIL)
ASKED = (
    Wanted(),
    Wanted(changes=True),
    Wanted(who="INES-DUARTE"),
    Wanted(what="laboratory.*"),
    Wanted(thing="LOT-7K2M"),
    Wanted(field="set-point"),
    Wanted(old="none", new="open"),
    Wanted(why="TUBING"),
    Wanted(since="2026-11-10T00:00:00.000Z", until="2026-11-20T00:00:00.000Z"),
    Wanted(batch="BAT-7K2M", below=9),
    Wanted(text="wcb-7"),
    Wanted(text="100%_!"),
    Wanted(new="Ä%_!'"),
)


def fed(derived: Derived, facts: list[Fact], *, page: int) -> Derived:
    for ledger in dict.fromkeys(fact.ref.ledger for fact in facts):
        bodies = [encode_fact(fact.payload, ref=fact.ref, actor=fact.actor, moment=fact.moment) for fact in facts if fact.ref.ledger == ledger]
        for at in range(0, len(bodies), page):
            derived.feed(bodies[at : at + page], ledger=ledger, start=at)
    return derived


def test_both_databases_hold_and_find_the_same(tmp_path: Path) -> None:
    facts = noted(story())
    small, whole = (
        fed(Derived(tmp_path / "a.sqlite", views=VIEWS), facts, page=1),
        fed(Derived(tmp_path / "b.sqlite", views=VIEWS), facts, page=1_000),
    )
    server = fed(PostgresDerived(empty_place(), views=VIEWS), facts, page=7)
    assert small.digest() == whole.digest() == server.digest()
    for wanted in ASKED:
        found = [exported(all_lines(each.db, wanted), wanted, whole=True) for each in (small, server)]
        assert found[0] == found[1], wanted
    pages = []
    for derived in (small, server):
        place, lines = None, []
        while True:
            page = find_trail(derived.db, Wanted(), after=place, limit=3)
            lines += page.lines
            place = page.next
            if place is None:
                break
        pages.append(lines)
    assert pages[0] == pages[1] == all_lines(small.db, Wanted())
    for derived in (small, whole, server):
        derived.close()


def test_a_sample_that_is_reported_again_shows_the_value_before(tmp_path: Path) -> None:
    told = story()
    again = [(ledger, actor, replace(payload, value=9.9)) for ledger, actor, payload in told if getattr(payload, "attribute", "") == "titre"]
    derived = fed(Derived(tmp_path / "a.sqlite", views=VIEWS), noted([*told, *again]), page=50)
    assert [(line.old, line.new) for line in all_lines(derived.db, Wanted(field="titre"))] == [("4.83 g/L", "9.9 g/L"), ("", "4.83 g/L")]


@pytest.mark.parametrize("most", [0, 3])
def test_an_export_that_is_not_whole_can_be_told(tmp_path: Path, most: int) -> None:
    derived = fed(Derived(tmp_path / "a.sqlite", views=VIEWS), noted(story()), page=50)
    assert len(all_lines(derived.db, Wanted(), most=most)) == most + 1
