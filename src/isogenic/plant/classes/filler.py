"""A robotic filler in an isolator: containers in, filled, closed, inspected and labelled containers out.

The unit may be one skid or several (a filler and an inspection and labelling cell); each
skid is a module with services of its own. Every container that is taken in is counted out
again once: good, rejected for one reason, or sampled. The counts are kept by the modules
and read as signals, so that they can be reconciled from readings and facts alone
(`batches/counts.py`). The isolator's particle counts stand for the cubic metre, as
the limits of EU GMP Annex 1 do.
"""

from __future__ import annotations

from isogenic.plant.classes.signals import counted, equipment_class, measured, parameter, service, set_point

__all__ = ["COUNTS", "FILLER", "REJECTED"]

REJECTED = "rejected_"  # a count of rejected containers; the rest of its name is the reason

_CONTAINERS = parameter("containers", "1", "Containers", 0.0, 100_000.0)

_SAMPLES = parameter("samples", "1", "Containers set aside as samples", 0.0, 1_000.0)

_SERVICES = (
    service(
        "fill",
        "Fill",
        _CONTAINERS,
        parameter("fill_weight", "g", "Fill weight", 0.0, 1_000.0),
        parameter("tolerance", "%", "Tolerance of the fill weight", 0.0, 20.0),
        procedures=("peristaltic", "gravimetric"),
    ),
    service("stopper", "Close", _CONTAINERS, procedures=("press_fit", "crimp")),
    service(
        "inspect",
        "Inspect",
        _CONTAINERS,
        _SAMPLES,
        procedures=("camera", "camera_and_headspace"),
    ),
    service("label", "Label", _CONTAINERS),
)

_SIGNALS = (
    measured("isolator_pressure", "Pa", "Overpressure of the isolator", -200.0, 500.0),
    measured("airflow", "m/s", "Air velocity at the working position", -0.1, 5.0),
    measured("particles_0_5", "1/m^3", "Particles of 0.5 µm and larger", 0.0, 1e8),
    measured("particles_5_0", "1/m^3", "Particles of 5 µm and larger", 0.0, 1e8),
    measured("fill_weight", "g", "Net weight of the newest fill", -5.0, 1_000.0),
    measured("product_left", "g", "Product left in the bag", -5.0, 100_000.0),
    counted("containers_in", "Containers taken in"),
    counted("containers_filled", "Containers filled"),
    counted("containers_closed", "Containers closed"),
    counted("containers_inspected", "Containers inspected"),
    counted("containers_sampled", "Containers sampled"),
    counted("containers_good", "Containers good"),
    counted("rejected_fill_weight", "Rejected for fill weight"),
    counted("rejected_closure", "Rejected for closure"),
    counted("rejected_particles", "Rejected for particles"),
    counted("rejected_seal", "Rejected for seal"),
    counted("rejected_label", "Rejected for label"),
    counted("rejected_handling", "Rejected for handling"),
    counted("labels_printed", "Labels printed"),
    counted("labels_applied", "Labels applied"),
    counted("labels_destroyed", "Labels destroyed"),
    set_point("isolator_pressure_sp", "Pa", "Overpressure set-point", 200.0),
    set_point("airflow_sp", "m/s", "Air velocity set-point", 2.0),
)

FILLER = equipment_class(
    "filler",
    "Filler in an isolator",
    _SIGNALS,
    capabilities={"fill_weight": "g", "containers": "1", "working_volume": "L"},
    services=_SERVICES,
)
COUNTS = frozenset(each.name for each in _SIGNALS if each.unit == "1" and each.name.startswith(("containers_", REJECTED, "labels_")))
