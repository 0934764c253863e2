"""A closed automated cell processor: one patient's cells in one single-use set, from leukapheresis to harvest.

Its work is done by services (VDI/VDE/NAMUR 2658-4), started one after the other by the
recipe; what they did is read from counts of cells and totals of volume. The quality of a
step (viability, purity, transduced share) is measured in line on a cytometer; the numbers
are illustrative ranges of benchtop processors, of no particular make.
"""

from __future__ import annotations

from isogenic.plant.classes.signals import equipment_class, measured, parameter, service, set_point

__all__ = ["CELL_PROCESSOR"]

_MINUTES = parameter("minutes", "min", "Duration", 0.0, 20_160.0)
_VOLUME = parameter("volume", "mL", "Volume", 0.0, 5_000.0)

_SERVICES = (
    service("prime", "Prime and leak test", parameter("test_pressure", "mbar", "Test pressure", 0.0, 500.0), _MINUTES),
    service("wash", "Wash", _VOLUME, parameter("cycles", "1", "Cycles", 1.0, 12.0), procedures=("density", "membrane")),
    service("select", "Select", parameter("beads_per_cell", "1", "Beads for each cell", 0.0, 10.0), _MINUTES, procedures=("magnetic",)),
    service("activate", "Activate", parameter("beads_per_cell", "1", "Beads for each cell", 0.0, 10.0), _MINUTES),
    service("transduce", "Transduce", parameter("moi", "1", "Vector for each cell", 0.0, 50.0), _MINUTES, procedures=("static", "spinoculation")),
    service(
        "expand",
        "Expand",
        parameter("target_cells", "1e6 cell", "Viable cells wanted", 0.0, 1e6),
        _MINUTES,
        parameter("exchange_per_day", "1/d", "Medium exchanged each day", 0.0, 4.0),
        procedures=("perfusion", "batch"),
    ),
    service("harvest", "Harvest", _VOLUME, parameter("cycles", "1", "Wash cycles", 0.0, 12.0)),
)

_SIGNALS = (
    measured("temperature", "degC", "Temperature", 0.0, 80.0),
    measured("chamber_co2", "%", "Carbon dioxide of the chamber", -0.5, 25.0),
    measured("ph", "pH", "pH", 2.0, 12.0),
    measured("dissolved_oxygen", "%", "Dissolved oxygen", -5.0, 300.0),
    measured("set_pressure", "mbar", "Pressure of the closed set", -600.0, 600.0),
    measured("pump_flow", "mL/min", "Pump flow", -1.0, 500.0),
    measured("culture_volume", "mL", "Volume in the chamber", -5.0, 10_000.0),
    measured("total_viable_cells", "1e6 cell", "Viable cells in the chamber", -1.0, 1e6),
    measured("viability", "%", "Viability", -1.0, 105.0),
    measured("selected_purity", "%", "Share of the wanted cells", -1.0, 105.0),
    measured("transduced_share", "%", "Share of transduced cells", -1.0, 105.0),
    measured("waste_total", "mL", "Waste so far", -1.0, 1e5),
    measured("medium_used_total", "mL", "Medium used so far", -1.0, 1e5),
    measured("cells_harvested", "1e6 cell", "Viable cells harvested", -1.0, 1e6),
    measured("volume_harvested", "mL", "Volume harvested", -1.0, 10_000.0),
    set_point("temperature_sp", "degC", "Temperature set-point", 60.0),
    set_point("chamber_co2_sp", "%", "Carbon dioxide set-point", 20.0),
    set_point("dissolved_oxygen_sp", "%", "Dissolved oxygen set-point", 200.0),
)

CELL_PROCESSOR = equipment_class(
    "cell_processor",
    "Closed automated cell processor",
    _SIGNALS,
    capabilities={"temperature": "degC", "chamber_co2": "%", "pump_flow": "mL/min", "working_volume": "L"},
    services=_SERVICES,
)
