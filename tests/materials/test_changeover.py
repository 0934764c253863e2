"""The changeover matrix: what it says, and that nothing is allowed by silence."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from materials_setup import ANNE, BORIS, CART, LOT, MAB, MATRIX, SPONSOR

from isogenic.errors import NotValid
from isogenic.ids import LotId, ProductId, SponsorId
from isogenic.materials.changeover import Occupant, Relation, StepKind, read_matrix

ONE = Occupant(LOT, MAB, SPONSOR)
OTHER = Occupant(LotId("LOT-2"), ProductId("MAB-B"), SPONSOR)
ANNES, BORISS = (Occupant(LOT, CART, SPONSOR, patient) for patient in (ANNE, BORIS))
BIOREACTOR = "stirred_bioreactor"


def test_a_cell_says_its_steps_and_how_long_they_hold():
    cell = read_matrix(MATRIX).cell(BIOREACTOR, ONE, OTHER)
    assert [(step.kind, step.people) for step in cell.steps] == [(StepKind.CLEAR, 2), (StepKind.CHANGE, 1), (StepKind.CLEAN, 1), (StepKind.HOLD, 1)]
    clear, _, clean, hold = cell.steps
    assert clear.checklist == ("Nothing of the last batch is on the line", "No label of the last batch is in the room")
    assert (clean.result, clean.at_most, clean.unit, hold.hours, cell.valid_h) == ("toc", 500.0, "ug/L", 2.0, 24.0)


def test_the_relation_of_two_batches():
    matrix = read_matrix(MATRIX)
    assert matrix.relation(None, ONE) is Relation.FIRST
    assert matrix.relation(ONE, ONE) is Relation.SAME_PRODUCT
    assert matrix.relation(ONE, OTHER) is Relation.OTHER_PRODUCT
    assert matrix.relation(ONE, Occupant(LOT, MAB, SponsorId("OTHER"))) is Relation.OTHER_PRODUCT  # a product of that name of somebody else
    assert matrix.relation(ANNES, ANNES) is Relation.SAME_PATIENT
    assert matrix.relation(ANNES, BORISS) is Relation.OTHER_PATIENT


@pytest.mark.parametrize(
    ("equipment", "last", "following", "why"),
    [
        (BIOREACTOR, ONE, ANNES, "cells are not made where a culture grew"),
        (BIOREACTOR, ANNES, ONE, "the matrix has no rule for stirred_bioreactor from cells to antibody"),
        ("filler", None, ONE, "the matrix has no rule for filler from nothing to antibody"),
        (BIOREACTOR, None, Occupant(LOT, ProductId("X"), SPONSOR), "the matrix puts X in no class"),
        (BIOREACTOR, None, Occupant(LOT, CART, SPONSOR), "CART-1 is made for one patient, and LOT-0001 names none"),
        (BIOREACTOR, None, Occupant(LOT, MAB, SPONSOR, ANNE), "MAB-A is made for nobody in particular, and LOT-0001 names a patient"),
    ],
)
def test_what_the_matrix_does_not_name_is_forbidden(equipment, last, following, why):
    assert read_matrix(MATRIX).cell(equipment, last, following).forbidden == why


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("valid: 8 h", "valid: 0 h", "a cleared line stays cleared for some time"),
        ("to: [antibody, cells]", "to: [antibody, vaccine]", "no class 'vaccine'; known are antibody, cells"),
        ("{clear: clearance}, {change: disposables}], valid: 8 h", "{clear: nothing_known}], valid: 8 h", "no checklist 'nothing_known'"),
        ("when: other_product", "when: same_patient", "same_patient cannot be from antibody to antibody"),
        ("when: other_product", "when: same_product", "there is a rule for stirred_bioreactor from antibody to antibody, same_product already"),
        ("products: [CART-1]", "products: [CART-1, MAB-A]", "MAB-A is in antibody already"),
        ("{hold: 2 h}", "{hold: 2 h, clean: X}", "a step is one of clear, change, clean, hold"),
        ("forbidden: cells", "steps: [], forbidden: cells", "what is forbidden has no steps"),
        ("items:", "parts: [], items:", "unknown key"),
        ("at_most: 500 ug/L", "at_most: 500 parrots", "cannot read unit"),
        ("version: 1", "version: 0", "version"),
    ],
)
def test_a_matrix_that_is_not_whole_is_refused_by_line(old, new, why):
    assert old in MATRIX
    with pytest.raises(NotValid, match=re.escape(why)) as refusal:
        read_matrix(MATRIX.replace(old, new, 1))
    assert "line " in str(refusal.value)


@given(
    st.one_of(
        st.text(max_size=80),
        st.integers(0, len(MATRIX)).flatmap(lambda at: st.text(max_size=4).map(lambda text: MATRIX[:at] + text + MATRIX[at + 3 :])),
    )
)
def test_any_text_gives_a_matrix_or_one_refusal(text):
    try:
        matrix = read_matrix(text)
    except NotValid:
        return
    for equipment in (BIOREACTOR, "filler"):
        for last in (None, ONE, ANNES):
            cell = matrix.cell(equipment, last, BORISS)
            assert cell.forbidden or cell.valid_h > 0
