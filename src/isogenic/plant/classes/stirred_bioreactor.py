"""A stirred bioreactor, single use: the vessel, its gassing and its feed skid."""

from __future__ import annotations

from isogenic.plant.classes.signals import dose, equipment_class, measured, set_point

__all__ = ["STIRRED_BIOREACTOR"]

# The physical ranges leave room for noise around zero: -1 kg on an empty vessel is a scale's noise, -50 kg is a broken scale.
_SIGNALS = (
    measured("temperature", "degC", "Temperature", 0.0, 80.0, monitored=True),
    measured("ph", "pH", "pH", 2.0, 12.0, monitored=True),
    measured("dissolved_oxygen", "%", "Dissolved oxygen", -5.0, 300.0, monitored=True),
    measured("agitation", "rpm", "Agitation", -1.0, 1_000.0),
    measured("oxygen_flow", "L/min", "Oxygen flow", -1.0, 500.0, monitored=True, extensive=True),
    measured("vessel_weight", "kg", "Vessel weight", -5.0, 3_000.0, monitored=True, extensive=True),
    measured("viable_cells", "1e6 cell/mL", "Viable cells (capacitance)", -2.0, 200.0, monitored=True),
    measured("viability", "%", "Viability", -1.0, 105.0),
    measured("glucose", "mM", "Glucose (Raman)", -10.0, 300.0, monitored=True),
    measured("lactate", "mM", "Lactate (Raman)", -10.0, 300.0, monitored=True),
    measured("offgas_co2", "%", "Off-gas carbon dioxide", -1.0, 100.0, monitored=True),
    measured("feed_flow", "mL/h", "Feed flow", -10.0, 20_000.0, monitored=True, extensive=True),
    measured("feed_pressure", "bar", "Feed pump discharge pressure", -1.0, 10.0, monitored=True),
    measured("feed_bottle_weight", "kg", "Feed bottle weight", -1.0, 500.0),
    measured("glucose_dosed_total", "mL", "Glucose dosed so far", -1.0, 1e6),
    measured("seed_dosed_total", "L", "Seed dosed so far", -1.0, 1e5),
    measured("medium_dosed_total", "L", "Medium dosed so far", -1.0, 1e5),
    measured("harvested_total", "L", "Harvested so far", -1.0, 1e5),
    set_point("temperature_sp", "degC", "Temperature set-point", 60.0),
    set_point("ph_sp", "pH", "pH set-point", 12.0, 2.0),
    set_point("dissolved_oxygen_sp", "%", "Dissolved oxygen set-point", 200.0),
    set_point("agitation_sp", "rpm", "Agitation set-point", 1_000.0),
    set_point("feed_flow_sp", "mL/h", "Feed flow set-point", 20_000.0),
    *dose("glucose_dose", "mL", "Glucose dose", 1e5),
    *dose("medium_dose", "L", "Medium dose", 5_000.0),
    *dose("seed_dose", "L", "Seed dose", 5_000.0),
    *dose("harvest_dose", "L", "Harvest dose", 5_000.0),
)

STIRRED_BIOREACTOR = equipment_class(
    "stirred_bioreactor",
    "Stirred bioreactor, single use",
    _SIGNALS,
    capabilities={
        "temperature": "degC",
        "ph": "pH",
        "dissolved_oxygen": "%",
        "agitation": "rpm",
        "feed_flow": "mL/h",
        "working_volume": "L",
    },
)
