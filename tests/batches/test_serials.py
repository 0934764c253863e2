"""Each serialised label is used once or accounted for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.batches.serials import Fate, LabelsAccounted, LabelsIssued, Serials, account, follow, issue, label_of, number_on, unaccounted
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import BatchId, LotId, PersonId

BATCH, LOT, OLA = BatchId("BAT-1"), LotId("LOT-0001"), PersonId("OLA-BERG")


def issued(count: int, *, before: Serials | None = None) -> Serials:
    serials = before or Serials()
    return follow(serials, issue(serials, batch=BATCH, lot=LOT, count=count, by=OLA))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.lists(st.tuples(st.sampled_from(Fate), st.sets(st.integers(1, 24), min_size=1))))
def test_every_label_is_accounted_for_exactly_once_or_named(counts, said):
    serials = Serials()
    for count in counts:
        serials = issued(count, before=serials)
    taken: set[int] = set()
    for fate, numbers in said:
        fits = numbers <= set(range(1, sum(counts) + 1)) and not numbers & taken
        if fits:
            serials = follow(serials, account(serials, sorted(numbers), fate, batch=BATCH, why="torn", by=OLA))
            taken |= numbers
        else:
            with pytest.raises((NotFound, NotAllowed)):
                account(serials, sorted(numbers), fate, batch=BATCH, why="torn", by=OLA)
    assert sum(serials.counted(fate) for fate in Fate) == len(taken)
    assert bool(unaccounted(serials)) == (len(taken) < sum(counts))


def test_a_label_used_twice_is_refused_and_a_fact_that_says_so_is_a_finding():
    serials = follow(issued(3), account(issued(3), [2], Fate.APPLIED, batch=BATCH, by=OLA))
    with pytest.raises(NotAllowed, match="label 2 was applied before: each is used once"):
        account(serials, [1, 2], Fate.APPLIED, batch=BATCH, by=OLA)
    forged = follow(serials, LabelsAccounted(BATCH, (1, 2, 3, 9), Fate.APPLIED, "", OLA))
    assert unaccounted(forged) == ["label 2 was applied, and applied before", "label 9 was applied, and never issued"]


def test_what_is_left_over_is_named():
    serials = follow(issued(30), account(issued(30), [1, 2], Fate.APPLIED, batch=BATCH, by=OLA))
    assert unaccounted(serials) == ["28 of 30 issued labels are not accounted for: 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 18 more"]


def test_numbers_that_are_issued_twice_are_a_finding():
    assert unaccounted(follow(issued(1), LabelsIssued(BATCH, LOT, 1, 1, OLA)))[0] == "labels 1 to 1 of LOT-0001 were issued after 1 of LOT-0001"


def test_a_label_is_destroyed_for_a_reason():
    with pytest.raises(NotValid, match="destroyed for a reason"):
        account(issued(1), [1], Fate.DESTROYED, batch=BATCH, by=OLA)


def test_the_code_of_a_label_gives_its_number_back_and_another_lots_is_refused():
    assert number_on(label_of(LOT, 7, batch=BATCH), lot=LOT) == 7
    with pytest.raises(NotAllowed, match="it is of LOT-0001, and the line fills LOT-0002"):
        number_on(label_of(LOT, 7, batch=BATCH), lot=LotId("LOT-0002"))
    with pytest.raises(NotValid):
        number_on("not a label", lot=LOT)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_scan_is_a_number_or_one_refusal(text):
    with pytest.raises((NotValid, NotAllowed)):
        number_on(text, lot=LOT)
