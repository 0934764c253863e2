"""Plant documents: three real ones load, and every fault of a document is named with its line."""

from __future__ import annotations

from contextlib import suppress
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotFound, NotValid
from isogenic.ids import ModuleId, UnitId
from isogenic.plant.classes import STIRRED_BIOREACTOR
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.model import Role
from isogenic.units import Quantity, converter

DOCUMENTS = files("isogenic.sim") / "documents"


def text_of(site: str) -> str:
    return (DOCUMENTS / f"{site}.plant.yaml").read_text()


@pytest.mark.parametrize(("site", "unit", "volume"), [("leeds", "BR-50", 40.0), ("ghent", "BR-200", 160.0), ("porto", "SB-200", 160.0)])
def test_each_site_binds_every_signal_of_the_class(site, unit, volume):
    plant = load_plant(text_of(site), name=site)
    found = plant.unit(UnitId(unit))
    assert found.working_volume == Quantity(volume, "L")
    assert set(found.signals) == set(STIRRED_BIOREACTOR.signals)
    assert {str(module) for module in found.modules} == {f"{unit}-VESSEL", f"{unit}-FEED"}
    assert len({(signal.module, signal.node) for signal in found.signals.values()}) == len(found.signals)


def test_porto_measures_in_its_own_units():
    signals = load_plant(text_of("porto"), name="porto").unit(UnitId("SB-200")).signals
    assert signals["temperature"].native_unit == "K"
    assert converter("K", "degC")(310.15) == pytest.approx(37.0)
    assert converter(signals["agitation"].native_unit, "rpm")(2.0) == pytest.approx(120.0)


def test_extensive_signals_are_those_that_grow_with_the_vessel():
    signals = STIRRED_BIOREACTOR.signals.values()
    assert {signal.name for signal in signals if signal.extensive} == {"vessel_weight", "feed_flow", "oxygen_flow"}
    assert {signal.name for signal in signals if signal.monitored} == {
        *("temperature", "ph", "dissolved_oxygen", "oxygen_flow", "vessel_weight", "viable_cells"),
        *("glucose", "lactate", "offgas_co2", "feed_flow", "feed_pressure"),
    }
    assert all(signal.role is Role.MEASUREMENT for signal in signals if signal.monitored)


def test_endpoints_belong_to_the_installation():
    plant = load_plant(text_of("leeds"), name="leeds")
    there = with_endpoints(plant, {ModuleId("BR-50-FEED"): "opc.tcp://127.0.0.1:4841"})
    modules = there.unit(UnitId("BR-50")).modules
    assert modules[ModuleId("BR-50-FEED")].endpoint == "opc.tcp://127.0.0.1:4841"
    assert modules[ModuleId("BR-50-VESSEL")].endpoint == ""
    with pytest.raises(NotFound):
        with_endpoints(plant, {ModuleId("BR-9"): "opc.tcp://127.0.0.1:1"})
    with pytest.raises(NotValid):
        with_endpoints(plant, {ModuleId("BR-50-FEED"): "http://127.0.0.1"})


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("site: LEEDS", "site: leeds", "line 3: site: cannot read 'leeds' as SiteId"),
        ("working_volume: 40 L", "working_volume: 40 kg", "line 14: units.BR-50.working_volume: 40 kg does not measure"),
        ("class: stirred_bioreactor", "class: kettle", "line 11: units.BR-50.class: no equipment class 'kettle'"),
        ('unit: "bar"', 'unit: "degC"', "unit: 'degC' does not measure the same as 'bar'"),
        ("          glucose: ", "          glucos: ", "stirred_bioreactor has no such signal; did you mean glucose"),
        ("ns=2;s=TIC101.PV", "TIC101.PV", "is not an OPC UA node id"),
        ("ns=2;s=AIC102.PV", "ns=2;s=TIC101.PV", "is already temperature"),
        ("low: 20 degC, high: 42 degC", "low: 42 degC, high: 20 degC", "its highest 20 degC is below its lowest 42 degC"),
        ("latitude: 53.80", "latitude: 153.80", "line 6: latitude: 153.8 is not within -90 to 90"),
        ("          feed_pressure:", "          feed_flow:", "key 'feed_flow' is given twice"),
        ("      BR-50-FEED:", "      BR-50-VESSEL:", "key 'BR-50-VESSEL' is given twice"),
    ],
)
def test_each_fault_is_named_with_its_line(old, new, why):
    text = text_of("leeds")
    assert old in text
    with pytest.raises(NotValid, match=why):
        load_plant(text.replace(old, new, 1), name="leeds")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_only_not_valid_comes_out_of_a_damaged_document(data):
    lines = text_of("leeds").splitlines()[:30]
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = data.draw(st.one_of(st.text(max_size=40), st.sampled_from([lines[at] + ": 1", "", "  x: y", lines[at][: len(lines[at]) // 2]])))
    with suppress(NotValid):
        load_plant("\n".join(lines), name="damaged")
