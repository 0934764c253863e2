"""Units as a manifest counts them, and by the names that recipes use.

VUnit is a number from the list of units that PROFIBUS PA and FOUNDATION fieldbus devices
share (VDI/VDE/NAMUR 2658-3 takes it over). Only units that recipes speak of are here; a
code that is not known is no unit, so that nothing is ever converted on a guess.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["NO_UNIT", "code_of", "unit_of"]

NO_UNIT = 1998  # "unknown": what a value of a unit outside the list is published with
_UNITS: Mapping[int, str] = {
    1000: "K",
    1001: "degC",
    1010: "m",
    1012: "cm",
    1013: "mm",
    1018: "µm",
    1034: "m^3",
    1038: "L",
    1040: "mL",
    1054: "s",
    1056: "ms",
    1058: "min",
    1059: "h",
    1060: "d",
    1061: "m/s",
    1077: "Hz",
    1085: "rpm",
    1088: "kg",
    1089: "g",
    1090: "mg",
    1130: "Pa",
    1132: "MPa",
    1133: "kPa",
    1137: "bar",
    1138: "mbar",
    1186: "W",
    1190: "kW",
    1209: "A",
    1211: "mA",
    1240: "V",
    1243: "mV",
    1342: "%",
    1349: "m^3/h",
    1351: "L/s",
    1352: "L/min",
    1353: "L/h",
    1422: "pH",
    1577: "mL/s",
    1578: "mL/min",
    1579: "mL/h",
    1997: "1",
}
_CODES: Mapping[str, int] = {unit: code for code, unit in _UNITS.items()}


def unit_of(code: int) -> str | None:
    """The unit of a code; None for one that is not known here."""
    return _UNITS.get(code)


def code_of(unit: str) -> int:
    """The code of a unit; `NO_UNIT` where the list has none."""
    return _CODES.get(unit, NO_UNIT)
