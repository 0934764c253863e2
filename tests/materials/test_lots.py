"""Lots: the state table, every pair of it, and what went into what."""

import pytest

from isogenic.clock import EPOCH, Moment
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, LotId
from isogenic.materials.lots import NEXT, LotCommand, LotState, fold, next_state, use
from isogenic.records.facts import Actor, Fact, FactRef

LOT, BATCH = LotId("LOT-1"), BatchId("BAT-1")
ALLOWED = {
    (LotState.QUARANTINE, LotCommand.RELEASE): LotState.RELEASED,
    (LotState.QUARANTINE, LotCommand.REJECT): LotState.REJECTED,
}


@pytest.mark.parametrize("state", LotState)
@pytest.mark.parametrize("command", LotCommand)
def test_every_state_and_command(state, command):
    if (state, command) in ALLOWED:
        assert next_state(state, command, lot=LOT) == ALLOWED[state, command]
    else:
        with pytest.raises(NotAllowed, match=f"cannot {command} LOT-1: the lot is {state}; possible now: nothing"):
            next_state(state, command, lot=LOT)


def test_every_state_has_its_row():
    assert set(NEXT) == set(LotState)


def noted(*uses):
    return [Fact(FactRef("l", at), "materials.used", 1, each.lot, Actor.node("LEEDS"), Moment(EPOCH), each) for at, each in enumerate(uses)]


def test_genealogy_follows_material_through_lots():
    seed = use(LotId("LOT-SEED"), batch=BatchId("BAT-0"), material="vial", used_lot="WCB-7")
    ours = [use(LOT, batch=BATCH, material="medium", used_lot="M-4711"), use(LOT, batch=BATCH, material="seed", used_lot="LOT-SEED")]
    other = use(LotId("LOT-2"), batch=BatchId("BAT-2"), material="medium", used_lot="M-4711")
    genealogy = fold(noted(seed, *ours, other))
    assert [each.used_lot for each in genealogy.made_of("LOT-1")] == ["LOT-SEED", "M-4711", "WCB-7"]
    assert genealogy.went_into("M-4711") == (LOT, LotId("LOT-2"))
    assert genealogy.made_of("LOT-9") == ()


def test_genealogy_that_goes_in_a_circle_ends():
    one = use(LOT, batch=BATCH, material="pool", used_lot="LOT-2")
    two = use(LotId("LOT-2"), batch=BATCH, material="pool", used_lot="LOT-1")
    assert len(fold(noted(one, two)).made_of("LOT-1")) == 2


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * 61, "LOT-1"])
def test_a_lot_number_that_no_label_carries_is_refused(text):
    with pytest.raises(NotValid, match="cannot note"):
        use(LOT, batch=BATCH, material="medium", used_lot=text)
