"""What robots do with one patient's cells, before, during and after the culture, and how long the laboratory takes.

Guarantees: chains for `operate`: `BEFORE_CULTURE`, `CULTURE_CARE`, `AFTER_CULTURE`, `LABORATORY` (in parallel: the
longest counts). The first failure of identity ends a batch.
Leaves to others: the cells themselves (`processes.car_t`), transport (`couriers`).

All numbers are **illustrative**.
"""

from __future__ import annotations

from isogenic.sim.operations import Failure, Operation

__all__ = ["AFTER_CULTURE", "BEFORE_CULTURE", "CARE_DAYS", "CRYOFILL", "CULTURE_CARE", "LABORATORY", "RAPID", "THAW_LOSES", "THAW_LOSES_SD"]

CRYOFILL = "harvest_and_cryofill"
THAW_LOSES, THAW_LOSES_SD = 8.0, 3.0  # points of viability
REPEATED_ASSAY = 0.03

BEFORE_CULTURE = (
    Operation("receive_and_verify_the_apheresis", 1.0, 1.3, failure=1e-5, on_failure=Failure.LOST, what="identity or custody do not match"),
    Operation("enrich_and_activate", 3.0, 1.2, recovery=0.85, recovery_sd=0.07, failure=0.015, on_failure=Failure.MARKED, what="the set clogs"),
    Operation("transduce", 2.0, 1.2, failure=0.005, on_failure=Failure.MARKED, what="a pump or a valve"),
)
CARE_DAYS = range(3, 9)
CULTURE_CARE = tuple(Operation(f"exchange_medium_day_{day}", 20.0 / 60.0, 1.1) for day in CARE_DAYS)
AFTER_CULTURE = (
    Operation(
        CRYOFILL,
        4.0,
        1.2,
        recovery=0.90,
        recovery_sd=0.04,
        failure=0.002,
        on_failure=Failure.MARKED,
        what="formulated, frozen; the seal of a bag",
    ),
)


def _assay(name: str, hours: float, spread: float) -> Operation:
    return Operation(name, hours, spread, failure=REPEATED_ASSAY, on_failure=Failure.REPEATED, what="repeated where the assay is not valid")


LABORATORY = (
    _assay("sterility", 24.0 * 10.0, 1.2),
    _assay("copies_of_the_vector", 24.0, 1.2),
    _assay("flow_cytometry", 4.0, 1.2),
    _assay("potency", 48.0, 1.2),
)
RAPID = (_assay("rapid_sterility", 24.0 * 4.6, 1.25), *LABORATORY[1:])
