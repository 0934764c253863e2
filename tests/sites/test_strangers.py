"""Two sponsors on one floor: no fact, and no reason, of one names a batch, a lot or anything else of the other (I7)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clear_lines import assign, release_matrix
from isogenic.batches import engine
from isogenic.batches.facts import AlarmRaised
from isogenic.checks import stops
from isogenic.errors import NotValid
from isogenic.ids import BatchId, LotId, RecipeId, SponsorId, UnitId
from isogenic.recipes.derive import derive_control
from isogenic.recipes.publishing import master_recipe
from isogenic.records.facts import Actor, Payload
from isogenic.sites import requests
from isogenic.sites.arbitration import check_nobody_waits_for_it
from isogenic.sites.strangers import for_sponsor, notes_for_sponsor
from sites.test_arbitration import ONE, THREE, TWO, Floor, only
from small_network import LEEDS, OPERATORS, RECIPE, UNITS, Network
from two_sponsors import ASTER, BORAGE, OF_ASTER, OF_BORAGE, OTHER_RECIPE, publish_both, start, two_sponsors

FOUR = BatchId("BAT-A"), BatchId("BAT-B"), BatchId("BAT-C"), BatchId("BAT-D")
SPONSORS = (SponsorId(ASTER), SponsorId(BORAGE))


class SharedFloor(Floor):
    """A floor on which batches of two sponsors ask for each other's units."""

    def __init__(self, *units: UnitId) -> None:
        super().__init__(*units)
        both = replace(self.state.plant, sponsor=SPONSORS[0], further_sponsors=SPONSORS[1:])
        self.state = self.empty = replace(self.empty, plant=both)

    def begin_for(self, sponsor: SponsorId, batch: BatchId, unit: UnitId) -> None:
        (publication,) = self.empty.published.values()
        master = master_recipe(publication, plant=self.empty.plant)
        control = derive_control(master, self.empty.plant.unit(unit), batch=batch, lot=LotId(f"LOT-{batch[-1]}"))
        self.note(engine.begin(control, sponsor=sponsor), of=batch)


@settings(max_examples=40, deadline=None)
@given(st.permutations(FOUR), st.lists(st.sampled_from(SPONSORS), min_size=4, max_size=4), st.integers(2, 4), st.lists(st.integers(0, 8), min_size=4))
def test_no_fact_of_one_sponsor_names_anything_of_the_other(order: list[BatchId], whose: list[SponsorId], count: int, waits: list[int]) -> None:
    units = (ONE, TWO, THREE, UnitId("BR-53"))[:count]
    floor, mine = SharedFloor(*units), dict(zip(FOUR, whose, strict=True))
    for batch, pause in zip(order, waits, strict=False):
        free = [unit for unit in units if floor.state.on_unit(unit) is None]
        if free:
            for note in notes_for_sponsor(floor.state, check_nobody_waits_for_it(floor.state, free[0]), mine[batch]):
                assert not _named(note.text, {other for other in FOUR if mine[other] != mine[batch]})
            floor.begin_for(mine[batch], batch, free[0])
        floor.scans(pause)
    floor.scans(10)
    for batch, bodies in floor.ledgers.items():
        written = b"".join(bodies).decode(errors="replace")
        assert not _named(written, {other for other in FOUR if mine[other] != mine[batch]})


def _named(text: str, batches: set[BatchId]) -> set[str]:
    names = {str(name) for batch in batches for name in (batch, f"LOT-{batch[-1]}")}
    return {name for name in names if re.search(rf"{name}(?![A-Za-z0-9])", text)}


def test_a_wait_that_never_ends_says_so_without_naming_the_other_sponsors_batch() -> None:
    floor = SharedFloor(ONE, TWO)
    for sponsor, batch, unit in ((SPONSORS[0], FOUR[0], ONE), (SPONSORS[1], FOUR[1], TWO)):
        floor.begin_for(sponsor, batch, unit)
    alarms = only(floor.scans(12), AlarmRaised)
    assert alarms[0].what == "BAT-A waits for a stirred_bioreactor as main: BR-50 held by BAT-A, BR-51 held by another batch; nobody can go on"
    assert alarms[1].what == "BAT-B waits for a stirred_bioreactor as main: BR-50 held by another batch, BR-51 held by BAT-B; nobody can go on"


@pytest.fixture
def shared(tmp_path: Path) -> Network:
    net = two_sponsors(tmp_path / "network")
    asyncio.run(publish_both(net))
    return net


def refused(net: Network, recipe: RecipeId, lot: LotId) -> tuple[list[Payload], list[str]]:
    node = net.nodes[LEEDS]
    person = requests.person_here(node.state, OPERATORS[LEEDS])
    said, notes = requests.start_batch(node.state, person, recipe=recipe, version=1, unit=UNITS[LEEDS], lot=lot, mint=node.mint, now=node.clock.now())
    node.note(said, actor=Actor(str(person.id), "operator", "password"))
    return said, [note.text for note in stops(notes)]


def test_a_refused_start_says_another_batch_and_another_lot(shared: Network) -> None:
    node = shared.nodes[LEEDS]
    aster = start(shared, RECIPE, OF_ASTER)
    _, why = refused(shared, OTHER_RECIPE, OF_BORAGE)
    assert "BR-50 is taken by another batch" in why
    with pytest.raises(NotValid, match=r"^cannot start this lot: another batch has that lot number") as taken:
        refused(shared, OTHER_RECIPE, OF_ASTER)
    assert aster not in str(taken.value)
    person = requests.person_here(node.state, OPERATORS[LEEDS])
    node.note(requests.command_batch(node.state, person, batch=aster, command="abort", why="needed"))  # type: ignore[arg-type]
    while not node.state.batches[aster].closed:
        asyncio.run(shared.scan(hours=1))
    asyncio.run(shared.scan(hours=1))
    release_matrix(shared)
    asyncio.run(shared.carry())
    assign(shared, LotId("LOT-A2"), recipe=RECIPE)
    _, why = refused(shared, OTHER_RECIPE, OF_BORAGE)
    assert any("it is being made ready for another lot" in each for each in why)
    with pytest.raises(NotValid, match="another batch has that lot number"):
        refused(shared, OTHER_RECIPE, LotId("LOT-A2"))
    written = b"".join(node.ledgers[BORAGE].store.bodies(0, node.ledgers[BORAGE].size))
    assert [name for name in (aster, OF_ASTER, "LOT-A2", RECIPE) if str(name).encode() in written] == []


def test_words_stand_for_what_is_anothers_and_for_nothing_else(shared: Network) -> None:
    aster = start(shared, RECIPE, OF_ASTER)
    state = shared.nodes[LEEDS].state
    text = f"{aster} yields {OF_ASTER}, and {OF_ASTER}X is no lot; {RECIPE}"
    assert for_sponsor(state, text, SponsorId(ASTER)) == text
    assert for_sponsor(state, text, SponsorId(BORAGE)) == f"another batch yields another lot, and {OF_ASTER}X is no lot; another recipe"
