"""What a module must be set to, and what is the same setting."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotValid
from isogenic.ids import ModuleId, SiteId, UnitId
from isogenic.plant.documents import load_plant
from isogenic.plant.drift import differs, same_number
from isogenic.plant.model import Protocol
from isogenic.plant.settings import TEXT_MAX, Expected, Setting, SettingKind, expected_settings, load_settings, read_text, short_text
from isogenic.sim.world import document

UNIT, MODULE = UnitId("BR-200"), ModuleId("BR-200-VESSEL")
RELEASED = """isogenic: module-settings/1
site: GHENT
version: 2
title: As qualified
modules:
  BR-200-VESSEL:
    firmware: "4.3.0"
    temperature_high: 104 degF
"""
GHENT = document("ghent.plant.yaml")


def setting(name: str = "temperature_high", unit: str = "K", released: str = "40 degC", within: float = 0.0) -> Setting:
    return Setting(UNIT, MODULE, name, SettingKind.LIMIT, "ns=2;s=A", unit, released, within)


def expected(*, unit: str = "K", released: str = "40 degC", within: float = 0.0) -> Expected:
    return expected_settings([setting(unit=unit, released=released, within=within)])[f"{MODULE}.temperature_high"]


def test_a_plant_document_says_where_settings_are_read_and_what_they_must_be() -> None:
    plant = load_plant(GHENT, name="ghent")
    known = {each.key: each for each in plant.settings()}
    assert known["BR-200-VESSEL.firmware"] == Setting(UNIT, MODULE, "firmware", SettingKind.FIRMWARE, "ns=2;s=CPU.Firmware", "", "4.2.1", 0.0)
    assert {module.protocol for module in plant.units[UNIT].modules.values()} == {Protocol.OPCUA}
    assert expected_settings(plant.settings())["BR-200-FEED.feed_high"].number == 600.0


def test_a_published_set_goes_before_the_plant_document_and_keeps_the_rest() -> None:
    plant, released = load_plant(GHENT, name="ghent"), load_settings(RELEASED, name="r")
    assert (released.site, released.version, len(released.digest)) == (SiteId("GHENT"), 2, 64)
    said = expected_settings(plant.settings(), released)
    assert said["BR-200-VESSEL.firmware"].released == "4.3.0"
    assert said["BR-200-VESSEL.temperature_high"].number == pytest.approx(40.0)
    assert said["BR-200-VESSEL.temperature_gain"].number == 12.5


def test_a_released_setting_that_nobody_knows_where_to_read_is_kept_as_such() -> None:
    text = RELEASED.replace("firmware:", "colour:")
    said = expected_settings(load_plant(GHENT, name="ghent").settings(), load_settings(text, name="r"), unit_of={MODULE: UNIT}.get)
    assert (said["BR-200-VESSEL.colour"].kind, said["BR-200-VESSEL.colour"].unit_id) == (None, UNIT)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("site: GHENT", "site is missing"),
        ("version: 2", "version is missing"),
        ('    firmware: "4.3.0"\n', "is not a text"),
        ("  BR-200-VESSEL:", "cannot read"),
    ],
)
def test_a_released_set_with_faults_is_refused_by_line(wrong: str, said: str) -> None:
    other = {"  BR-200-VESSEL:": "  br 200:", '    firmware: "4.3.0"\n': "    firmware: {a: b}\n"}.get(wrong, "")
    with pytest.raises(NotValid, match=said):
        load_settings(RELEASED.replace(wrong, other), name="r")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: firmware, ", "", "kind is missing"),
        ("kind: limit, ", "kind: wish, ", "'wish' is not one of"),
        ('unit: "degC", released: 40 degC', 'unit: "degC", released: 40 L', "is not a quantity in degC"),
        ('node: "ns=2;s=TIC101.HH"', 'node: "TIC101.HH"', "is not an OPC UA node id"),
        ("          firmware:", "          Firmware:", "lower case"),
        ("      BR-200-FEED:\n", "      BR-200-FEED:\n        protocol: fax\n", "'fax' is not one of opcua, mtp, sila, sparkplug"),
        ("      BR-200-FEED:\n", "      BR-200-FEED:\n        security: {policy: Basic128Rsa15}\n", "is not one of Aes256Sha256RsaPss"),
        ("      BR-200-FEED:\n", "      BR-200-FEED:\n        security: {fingerprint: abc}\n", "sha256: and 64"),
        ("      BR-200-FEED:\n", "      BR-200-FEED:\n        endpoint: mqtt://a:1/b/c\n", "not of the form opc.tcp"),
    ],
)
def test_what_a_plant_document_says_of_modules_is_checked(old: str, new: str, said: str) -> None:
    with pytest.raises(NotValid, match=said):
        load_plant(GHENT.replace(old, new, 1), name="ghent")


def test_a_number_is_compared_in_the_unit_in_which_the_module_holds_it() -> None:
    limit = expected()
    assert limit.number == pytest.approx(313.15)
    assert not differs(limit, repr(float(np.float32(313.15))))
    assert differs(limit, "313.16")
    assert differs(limit, "warm") and differs(limit, "nan") and differs(limit, "inf") and differs(limit, "")


def test_what_a_plant_document_allows_is_no_drift() -> None:
    assert not differs(expected(within=0.05), "313.19")
    assert differs(expected(within=0.05), "313.21")


def test_a_text_is_compared_letter_by_letter() -> None:
    firmware = expected(unit="", released="4.2.1")
    assert not differs(firmware, "4.2.1")
    assert differs(firmware, "4.2.10") and differs(firmware, "4.2.1 ") and differs(firmware, "4.2.l")


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e12, 1e12, allow_subnormal=False), st.floats(1e-6, 1e6), st.floats(-1e4, 1e4))
def test_rounding_to_32_bits_in_any_unit_is_never_drift(value: float, slope: float, offset: float) -> None:
    native = value * slope + offset
    held = float(np.float32(native))
    assert same_number(native, held) or not math.isfinite(held) or abs(native) < 1e-30


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-6, 1e9), st.floats(1e-6, 0.5))
def test_a_millionth_is_a_difference(value: float, share: float) -> None:
    assert not same_number(value, value * (1 + share))


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(st.text(max_size=2000), st.floats(), st.integers(), st.booleans(), st.none(), st.binary(max_size=9), st.lists(st.floats(), max_size=3))
)
def test_whatever_a_module_answers_becomes_a_short_text_or_nothing(raw: object) -> None:
    text = read_text(raw)
    assert len(text) <= TEXT_MAX and text.isprintable()
    if isinstance(raw, float) and math.isfinite(raw):
        assert float(text) == raw


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_released_set_or_refused(text: str) -> None:
    for draft in (text, RELEASED + text, RELEASED.replace("4.3.0", text)):
        with suppress(NotValid):
            assert load_settings(draft, name="r").version == 2


def test_a_limit_that_was_taken_away_is_told_as_such() -> None:
    limit = Expected(None, ModuleId("M-1"), "temperature_high", SettingKind.LIMIT, "40 degC", 40.0, 0.0, "degC")
    for raw in (math.inf, -math.inf, math.nan):
        assert read_text(raw) == repr(raw)
        assert differs(limit, read_text(raw))


def test_whole_numbers_are_compared_exactly_and_the_ends_of_long_texts_too() -> None:
    serial = Expected(None, ModuleId("M-1"), "model", SettingKind.MODEL, "20261123", 20261123.0, 0.0, "1")
    assert [differs(serial, read_text(raw)) for raw in (20261123, 20261124, 20261123.0)] == [False, True, False]
    big = replace(serial, released="9007199254740993", number=float(9007199254740993))
    assert [differs(big, read_text(raw)) for raw in (9007199254740993, 9007199254740992)] == [False, True]
    assert not differs(replace(serial, within=5.0), "20261125")
    long = Expected(None, ModuleId("M-1"), "method", SettingKind.METHOD, short_text("a" * 250))
    assert [differs(long, read_text("a" * 249 + end)) for end in "ab"] == [False, True]
    assert differs(replace(long, released=short_text("a" * 5_000)), read_text("a" * 4_999 + "b"))
