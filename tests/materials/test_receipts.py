"""Received lots: the state table, every pair of it, and what a delivery must say of itself."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations, product

import pytest
from materials_setup import BILL, DIGEST, NOW, received

from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import ReceiptId
from isogenic.materials.receipts import NEXT, Part, PartKind, ReceiptCommand, ReceiptState, check_bill, check_received, next_state, standing
from isogenic.units import Quantity

SAID = [command for command in ReceiptCommand if command is not ReceiptCommand.EXPIRE]
SOON = NOW + timedelta(days=1)


@pytest.mark.parametrize(("state", "command"), list(product(ReceiptState, ReceiptCommand)))
def test_every_state_and_command(state, command):
    if command in NEXT[state]:
        assert next_state(state, command, receipt=ReceiptId("RCV-1")) == NEXT[state][command]
    else:
        with pytest.raises(NotAllowed, match=f"the lot is {state.replace('_', ' ')}"):
            next_state(state, command, receipt=ReceiptId("RCV-1"))


def walk(commands):
    """The states of a lot that these commands were given to in this order; None where one was refused."""
    state = ReceiptState.QUARANTINE
    for command in commands:
        if command not in NEXT[state]:
            return None
        state = NEXT[state][command]
    return state


def test_where_a_lot_stands_is_the_state_that_the_table_leads_to_in_whatever_order_decisions_are_folded():
    ways = {order: walk(order) for length in range(5) for order in permutations(ReceiptCommand, length)}
    allowed = {order: state for order, state in ways.items() if state is not None}
    assert len(allowed) > 15
    for order, state in allowed.items():
        late = ReceiptCommand.EXPIRE in order
        decisions = frozenset(order) - {ReceiptCommand.EXPIRE}
        assert standing(decisions, SOON, now=SOON if late else NOW) == state, order


def test_a_lot_that_nobody_decided_on_is_in_quarantine_and_expires_by_the_clock():
    assert standing((), SOON, now=NOW) is ReceiptState.QUARANTINE
    assert standing((ReceiptCommand.RELEASE,), SOON, now=SOON) is ReceiptState.EXPIRED
    assert standing((ReceiptCommand.RELEASE,), None, now=SOON) is ReceiptState.RELEASED


def test_a_whole_delivery_is_received():
    check_received(received())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"certificate": "yes"}, "the certificate is not given by its SHA-256, 64 hex digits"),
        ({"quantity": Quantity(2.0, "1")}, "2 1 are not the 3 pieces that have a serial number"),
        (
            {"serials": (), "quantity": Quantity(3.0, "1")},
            "a bill of components and a claim of sterility are of assemblies, and assemblies have serial numbers",
        ),
        ({"serials": ("1", "1", "2")}, "there are serial numbers twice, or more than 500"),
        ({"supplier": "a\nb"}, r"the supplier 'a\nb' is not one line of 1 to 80 printable characters"),
        ({"quantity": Quantity(0.0, "1"), "serials": (), "parts": (), "sterility": None}, "more than nothing must have arrived"),
    ],
)
def test_a_delivery_that_does_not_say_what_it_must_is_refused(changes, why):
    with pytest.raises(NotValid) as refusal:
        check_received(received(**changes))
    assert refusal.value.why == why


def test_a_bill_is_a_tree_without_gaps():
    assert check_bill(BILL) == []
    film = Part("1", PartKind.FILM, "F", "L")
    assert check_bill((film, film)) == ["two components have the same place"]
    assert check_bill((film, Part("1.1", PartKind.FILM, "F", "L"))) == ["component 1.1 is in 1, which is no sub-assembly of the bill"]
    assert check_bill((Part("3.1", PartKind.FILM, "F", "L"),)) == ["component 3.1 is in 3, which is no sub-assembly of the bill"]
    assert check_bill((Part("0", PartKind.FILM, "F", "L"),)) == ["'0' is no place in the tree, as in 2.1, at most 6 deep"]
    assert check_bill(tuple(Part(str(at), PartKind.FILM, "F", "L") for at in range(1, 203))) == ["202 component lots are more than 200"]
    assert len(DIGEST) == 64
