"""Units: what is read as one, and that no text keeps the node computing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from isogenic.errors import NotValid
from isogenic.units import Quantity, converter

TOWERS = [
    "m^9^9^9",
    "m**9**9**9",
    "m^9 ^9 ^9",
    "(m^9)^9",
    "((m)^9)^9",
    "m^-9^9^9",
    "m cubed cubed cubed cubed cubed",
    "cubic m cubed cubed cubed cubed",
    "sq m^9^9",
    "square m squared squared squared squared squared",
    "1 ^9^9^9",
]


@pytest.mark.parametrize("text", TOWERS)
def test_a_power_of_a_power_is_no_unit_and_is_refused_at_once(text: str) -> None:
    # In a process of its own: should it compute after all, it can be ended.
    asked = "import sys; from isogenic.units import Quantity; Quantity.parse('1 ' + sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", asked, text], capture_output=True, text=True, timeout=60, check=False)
    assert "NotValid" in done.stderr.splitlines()[-1]
    assert "a unit is a short text such as mL/h" in done.stderr


@pytest.mark.parametrize(
    ("one", "other", "factor"),
    [
        ("m^3", "L", 1000.0),
        ("m**3", "L", 1000.0),
        ("cm^3/h", "mL/h", 1.0),
        ("1e6 cell/mL", "cell/mL", 1e6),
        ("1/d", "1/h", 1 / 24),
        ("kg*m^2/s^3", "W", 1.0),
        ("m^-1", "1/m", 1.0),
        ("kg/(m s^2)", "Pa", 1.0),
        ("rpm", "turn_count/s", 1 / 60),
    ],
)
def test_a_unit_may_have_one_power_for_each_name(one: str, other: str, factor: float) -> None:
    assert converter(one, other)(1.0) == pytest.approx(factor)


@pytest.mark.parametrize("text", ["m^", "^2", "m^22", "m^2m", "m^2x^2", "2 m", "m;", "m" * 61])
def test_what_is_no_unit_is_refused(text: str) -> None:
    with pytest.raises(NotValid):
        converter(text, "m")


def test_a_quantity_is_read_with_its_unit() -> None:
    assert Quantity.parse("37.0 degC") == Quantity(37.0, "degC")
