"""Labels: the three forms, what is refused, and that no text does more than be refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isogenic.errors import NotValid
from isogenic.ids import BatchId, IdentityCode, SeededMint
from isogenic.materials.labels import Expects, Label, LabelForm, LabelKind, check_character, donation_number, gtin_check_digit, label_text, read_label

GTIN = "09506000134352"
IN_BRACKETS = f"(01){GTIN}(10)LOT7(17)261231(21)0042"
FNC1 = "\x1d"
SCANNED = f"]d201{GTIN}17261231" + f"10LOT7{FNC1}210042"
PATIENT = SeededMint(1).fresh(IdentityCode)


def test_a_gs1_label_reads_the_same_from_brackets_and_from_a_scanner():
    for text in (IN_BRACKETS, SCANNED, f"{FNC1}01{GTIN}10LOT7{FNC1}17261231" + "210042", SCANNED.replace(FNC1, "␝")):
        label = read_label(text)
        assert (label.form, label.kind, label.id, label.item) == (LabelForm.GS1, LabelKind.ASSEMBLY, "0042", GTIN)
        assert (label.lot, label.serial, label.expires) == ("LOT7", "0042", datetime(2027, 1, 1, tzinfo=UTC))  # good until the day is over


def test_every_statement_of_a_label_names_where_it_stands():
    said = {(part.name, part.value, part.source) for part in read_label(IN_BRACKETS).parts}
    assert said == {("gtin", GTIN, "GS1 (01)"), ("lot", "LOT7", "GS1 (10)"), ("expiry", "261231", "GS1 (17)"), ("serial", "0042", "GS1 (21)")}


def test_a_lot_without_a_serial_number_is_a_material():
    label = read_label(f"(01){GTIN}(10)ab/C-7")
    assert (label.kind, label.id, label.lot, label.expires) == (LabelKind.MATERIAL, "ab/C-7", "ab/C-7", None)


@pytest.mark.parametrize(
    ("element", "expires"),
    [
        ("(17)270200", datetime(2027, 3, 1, tzinfo=UTC)),  # day 00: the last of the month
        ("(17)280200", datetime(2028, 3, 1, tzinfo=UTC)),
        ("(17)991231", datetime(2000, 1, 1, tzinfo=UTC)),  # expired long ago, not good for seventy years
        ("(7003)2612311430", datetime(2026, 12, 31, 14, 30, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_the_first_moment_at_which_it_is_not_good(element, expires):
    assert read_label(f"(01){GTIN}(10)A{element}").expires == expires


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"(01){GTIN[:-1]}3(10)A", "the check digit of (01) is wrong"),
        (f"01{GTIN}10LOT717261231", "the scanner must send the symbology identifier and FNC1"),
        (f"(01){GTIN}(17)271301(10)A", "271301 is no day"),
        (f"(01){GTIN}(10)A(10)B", "(10) stands on it twice, with two values"),
        (f"(01){GTIN}", "it names an item, but no lot (10) and no serial number (21)"),
        ("(10)LOT7", "it names no trade item: there is no (01) on it"),
        (f"(01){GTIN}(10){'A' * 21}", "what follows (10) is not at most 20 signs"),
        (f"(01){GTIN}(10)A(7003)2612312460", "its expiry is no time of day"),
        ("", "nothing was scanned"),
        ("MED-0042", "it is neither a GS1 element string, nor a donation number, nor a label of ours"),
        ("MÜLLER", "it has characters that no label has"),
    ],
)
def test_what_is_no_label_is_refused_with_the_reason(text, why):
    with pytest.raises(NotValid) as refusal:
        read_label(text)
    assert refusal.value.why == why


def test_a_donation_number_has_the_check_character_that_the_guideline_works_out():
    # Guidelines for the Blood Transfusion Services in the UK, annex 2: G123 498 654 321, checksum 17, flags 77, character H.
    assert check_character("G123498654321") == "H"
    assert donation_number("G123498654321") == "G1234 98 654321 H"
    for text in ("=G12349865432177", "G1234 98 654321 H", "G123498654321H"):
        label = read_label(text)
        assert (label.form, label.kind, label.id) == (LabelForm.ISBT_128, LabelKind.DONATION, "G123498654321")
    assert read_label("=G12349865432100").id == "G123498654321"  # flags that are no check


@pytest.mark.parametrize("text", ["=G12349865432178", "G1234 98 654321 J", "=G123498654321", "=O12349865432100"])
def test_a_donation_number_that_does_not_fit_its_check_is_refused(text):
    with pytest.raises(NotValid):
        read_label(text)


def test_what_we_print_is_read_back_equal():
    text = label_text(
        LabelKind.ASSEMBLY,
        "SUA-0042",
        item="BAG-50",
        lot="A-17",
        expires=datetime(2027, 1, 1, 12, 30, tzinfo=UTC),
        patient=PATIENT,
        batch=BatchId("BAT-1"),
    )
    label = read_label(text)
    assert (label.form, label.kind, label.id, label.item, label.lot) == (LabelForm.ISOGENIC, LabelKind.ASSEMBLY, "SUA-0042", "BAG-50", "A-17")
    assert (label.expires, label.patient, label.batch) == (datetime(2027, 1, 1, 12, 30, tzinfo=UTC), PATIENT, BatchId("BAT-1"))
    assert read_label(label_text(LabelKind.PATIENT, PATIENT)).patient == PATIENT


@given(st.data())
def test_one_wrong_or_swapped_sign_of_our_own_label_never_reads_as_another_label(data):
    text = label_text(LabelKind.ASSEMBLY, "SUA-0042", item="BAG-50", lot="A-17")
    signs = [at for at, sign in enumerate(text) if sign.isalnum()]
    at = data.draw(st.sampled_from(signs[:-1]))
    if data.draw(st.booleans()):
        other = data.draw(st.sampled_from([sign for sign in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" if sign != text[at]]))
        changed = text[:at] + other + text[at + 1 :]
    else:
        neighbour = signs[signs.index(at) + 1]
        swapped = list(text)
        swapped[at], swapped[neighbour] = text[neighbour], text[at]
        changed = "".join(swapped)
    if changed != text:
        with pytest.raises(NotValid):
            read_label(changed)


def test_what_cannot_be_read_back_is_not_printed():
    for named, lot in (("lower", ""), ("A" * 41, ""), ("A", "x:y"), ("", "")):
        with pytest.raises(NotValid):
            label_text(LabelKind.MATERIAL, named, lot=lot)
    with pytest.raises(NotValid):
        label_text(LabelKind.PATIENT, "IDC-7K2M-Q0ZT-95RW-XA3D-0")


def test_a_refusal_never_repeats_what_may_be_a_name():
    with pytest.raises(NotValid) as refusal:
        read_label("Jane Doe 1970")
    assert "Jane" not in str(refusal.value)


def test_what_a_prompt_expects_takes_its_kinds_only():
    assert {kind for kind in LabelKind if Expects.ASSEMBLY.takes(kind)} == {LabelKind.ASSEMBLY}
    assert {kind for kind in LabelKind if Expects.PATIENT.takes(kind)} == {LabelKind.PATIENT, LabelKind.DONATION}


BITS = st.sampled_from(
    ["(01)", GTIN, "(10)", "(17)", "(21)", "261231", FNC1, "]d2", "01", "10", "=", "G123498654321", "ISOGENIC:", "LOT", ":", "A", " ", "H"]
)


@given(st.one_of(st.text(max_size=60), st.lists(BITS, max_size=12).map("".join)))
def test_any_text_gives_a_label_or_one_refusal(text):
    try:
        label = read_label(text)
    except NotValid:
        return
    assert isinstance(label, Label)
    assert label.id


@given(
    body=st.text("0123456789", min_size=13, max_size=13),
    lot=st.text("ABCabc019-/.", min_size=1, max_size=20),
    serial=st.text("ABCabc019-/.", min_size=1, max_size=20),
)
def test_lot_and_serial_number_come_out_of_any_order_of_elements(body, lot, serial):
    gtin = body + gtin_check_digit(body)
    orders = (f"]Q301{gtin}10{lot}{FNC1}21{serial}", f"]Q310{lot}{FNC1}21{serial}{FNC1}01{gtin}", f"(21){serial}(01){gtin}(10){lot}")
    assert {(read.item, read.lot, read.serial) for read in map(read_label, orders)} == {(gtin, lot, serial)}


def test_the_day_before_which_it_is_best_counts_as_its_expiry_and_the_earlier_of_two_days_holds() -> None:
    gtin = "0109506000134352"
    assert read_label(f"]d2{gtin}1527030110A-17").expires == datetime(2027, 3, 2, tzinfo=UTC)
    assert read_label(f"]d2{gtin}15270301" + "1727020110A-17").expires == datetime(2027, 2, 2, tzinfo=UTC)
    assert read_label(f"]d2{gtin}15270301" + "1727040110A-17").expires == datetime(2027, 3, 2, tzinfo=UTC)
