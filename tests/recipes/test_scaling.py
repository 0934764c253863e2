"""Scale rules against numbers worked out by hand from the published formulae."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipe_desk import GENERAL, changed, plant_of, text, unit_of

from isogenic.errors import NotAllowed, NotValid
from isogenic.plant.documents import load_plant
from isogenic.plant.model import Geometry, OxygenTransfer
from isogenic.recipes.general import load_general
from isogenic.recipes.scaling import kla_at, scaled, speed_for_kla, speed_for_tip, tip_speed, values_for
from isogenic.units import Quantity

# van't Riet 1979, equation for coalescing liquids: kLa = 2.6e-2 (P/V)^0.4 v_s^0.5.
COALESCING = OxygenTransfer(vessel_m=1.0, power_number=5.0, a=2.6e-2, alpha=0.4, beta=0.5)
VESSEL = Geometry(impeller_m=0.3, oxygen_transfer=COALESCING)


def parameters(lines: str) -> str:
    return changed("formula:\n", "formula:\n" + lines)


def test_a_tip_speed_is_pi_n_d():
    """One turn a second of 0.3 m: 0.942478 m/s. 1 m/s of an impeller of 0.13 m: 146.91 rpm."""
    assert tip_speed(1.0, VESSEL) == pytest.approx(0.942478, rel=1e-6)
    assert 60 * speed_for_tip(1.0, Geometry(0.13)) == pytest.approx(146.912, rel=1e-5)


def test_kla_follows_vant_riet():
    """P/V = 1000 W/m3 and v_s = 0.01 m/s give 2.6e-2 x 15.8489 x 0.1 = 0.0412072 1/s (148 1/h)."""
    turns = (1000.0 / (5.0 * 1000.0 * 0.3**5)) ** (1 / 3)  # 1 m3 with P = Np rho N^3 D^5
    gas = 0.01 * math.pi / 4  # m3/s through a vessel of 1 m
    assert kla_at(turns, gas, 1.0, geometry=VESSEL, transfer=COALESCING) == pytest.approx(0.0412072, rel=1e-5)
    assert speed_for_kla(0.0412072, gas, 1.0, geometry=VESSEL, transfer=COALESCING) == pytest.approx(turns, rel=1e-5)


def test_the_non_coalescing_constants_give_the_published_magnitude():
    """van't Riet 1979: 2.0e-3 (P/V)^0.7 v_s^0.2; 1000 W/m3 and 0.01 m/s: 2.0e-3 x 125.893 x 0.398107 = 0.100238 1/s."""
    salty = OxygenTransfer(vessel_m=1.0, power_number=5.0, a=2.0e-3, alpha=0.7, beta=0.2)
    turns = (1000.0 / (5.0 * 1000.0 * 0.3**5)) ** (1 / 3)
    assert kla_at(turns, 0.01 * math.pi / 4, 1.0, geometry=VESSEL, transfer=salty) == pytest.approx(0.100238, rel=1e-5)


@given(st.floats(1e-4, 1e-1), st.floats(1e-6, 1e-1), st.floats(1e-3, 2.0))
def test_a_speed_for_a_kla_gives_that_kla_back(kla, gas, volume):
    turns = speed_for_kla(kla, gas, volume, geometry=VESSEL, transfer=COALESCING)
    assert kla_at(turns, gas, volume, geometry=VESSEL, transfer=COALESCING) == pytest.approx(kla, rel=1e-9)


TIP = "  agitation: {title: Agitation, value: 0.8 m/s, low: 0.5 m/s, high: 1.2 m/s, per: tip_speed}\n"
AGITATION = next(line for line in GENERAL.splitlines() if line.startswith("  agitation: {title")) + "\n"


def test_one_tip_speed_gives_each_vessel_its_own_stirrer_speed():
    recipe = load_general(changed(AGITATION, TIP))
    leeds = replace(unit_of("leeds"), geometry=Geometry(0.13))
    porto = replace(unit_of("porto"), geometry=Geometry(0.2))
    assert values_for(recipe.formula, leeds)["agitation"] == Quantity(117.529804, "rpm")
    assert values_for(recipe.formula, porto)["agitation"] == Quantity(76.3943727, "rpm")


def test_what_is_for_each_cell_is_multiplied_by_the_cells():
    """10 uL for each million cells of 0.5e6/mL in 40 L are 20,000 million cells: 200 mL."""
    recipe = load_general(parameters("  beads: {title: Beads, value: 10 uL, low: 8 uL, high: 12 uL, per: cells, of: inoculum_density}\n"))
    assert scaled(recipe.formula["beads"], unit_of("leeds"), formula=recipe.formula).to("mL").value == pytest.approx(200.0)


def test_a_number_of_cells_counts_as_it_is():
    dose = "  dose: {title: Cells, value: 100 1e6 cell, low: 50 1e6 cell, high: 200 1e6 cell}\n"
    recipe = load_general(parameters(dose + "  beads: {title: Beads, value: 10 uL, low: 8 uL, high: 12 uL, per: cells, of: dose}\n"))
    assert scaled(recipe.formula["beads"], unit_of("leeds"), formula=recipe.formula).to("mL").value == pytest.approx(1.0)


KLA = (
    "  gas: {title: Gas, value: 0.02 vvm, low: 0.01 vvm, high: 0.05 vvm}\n"
    "  agitation: {title: Agitation, value: 6 1/h, low: 4 1/h, high: 9 1/h, per: kla, of: gas}\n"
)


def test_equal_kla_gives_each_vessel_the_speed_that_reaches_it():
    recipe = load_general(changed(AGITATION, KLA))
    transfer = OxygenTransfer(vessel_m=0.35, power_number=1.3, a=0.026, alpha=0.4, beta=0.5)
    unit = replace(unit_of("leeds"), geometry=Geometry(0.14, 1, 1000.0, transfer))
    rpm = values_for(recipe.formula, unit)["agitation"].value
    found = kla_at(rpm / 60, 0.02 / 60 * 0.04, 0.04, geometry=unit.geometry, transfer=transfer)
    assert found * 3600 == pytest.approx(6.0, rel=1e-6)


def test_a_unit_without_geometry_is_refused_with_what_is_missing():
    recipe = load_general(changed(AGITATION, TIP))
    with pytest.raises(NotAllowed, match="agitation: by tip_speed, and the plant document gives BR-50 no geometry"):
        values_for(recipe.formula, unit_of("leeds"))
    recipe = load_general(changed(AGITATION, KLA))
    with pytest.raises(NotAllowed, match="BR-50 no oxygen_transfer"):
        values_for(recipe.formula, replace(unit_of("leeds"), geometry=Geometry(0.13)))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("  x: {title: X, value: 1 rpm, low: 1 rpm, high: 2 rpm, per: tip_speed}\n", "per: tip_speed takes a speed such as 1 m/s, not rpm"),
        ("  x: {title: X, value: 1 1/h, low: 1 1/h, high: 2 1/h, per: kla}\n", "per: kla needs of: the parameter that says the gas flow"),
        ("  x: {title: X, value: 1 mL, low: 1 mL, high: 2 mL, per: cells, of: feed_rat}\n", "no parameter feed_rat; did you mean feed_rate"),
        ("  x: {title: X, value: 1 mL, low: 1 mL, high: 2 mL, per: cells, of: ph}\n", "of: pH does not say how many cells there are"),
        ("  x: {title: X, value: 1 mL, low: 1 mL, high: 2 mL, of: ph}\n", "of: goes with per: cells or kla"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_when_it_is_read(line, why):
    with pytest.raises(NotValid, match=why):
        load_general(parameters(line))


GEOMETRY = "    geometry: {impeller: 130 mm, impellers: 2, oxygen_transfer: {vessel: 0.35 m, power_number: 1.3, a: 0.026, alpha: 0.4, beta: 0.5}}\n"


def test_geometry_stands_in_the_plant_document():
    plant = load_plant(text("leeds.plant.yaml").replace("    modules:\n", GEOMETRY + "    modules:\n", 1), name="leeds")
    unit = next(iter(plant.units.values()))
    assert unit.geometry == Geometry(0.13, 2, 1000.0, OxygenTransfer(0.35, 1.3, 0.026, 0.4, 0.5))
    assert next(iter(plant_of("leeds").units.values())).geometry is None


@pytest.mark.parametrize(("old", "new"), [("130 mm", "0 mm"), ("130 mm", "130 rpm"), ("alpha: 0.4", "alpha: 0"), ("a: 0.026, ", "")])
def test_a_geometry_that_cannot_be_is_refused(old, new):
    with pytest.raises(NotValid):
        load_plant(text("leeds.plant.yaml").replace("    modules:\n", GEOMETRY.replace(old, new) + "    modules:\n", 1), name="leeds")
