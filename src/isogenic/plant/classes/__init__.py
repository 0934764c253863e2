"""The equipment classes that plants and recipes speak of, one module for each.

Guarantees: one name, one canonical unit and one meaning for each signal, whoever made the
unit and whatever its class; one physical range within a class. The flags say which signals
a multivariate model reads and which of them grow with the vessel.
Leaves to others: which make names a signal how (plant documents, MTP manifests), and what
it should be (recipes).
"""

from __future__ import annotations

from collections.abc import Mapping

from isogenic.plant.classes.cell_processor import CELL_PROCESSOR
from isogenic.plant.classes.filler import COUNTS, FILLER, REJECTED
from isogenic.plant.classes.mrna import MIXING_SKID, PURIFICATION_SKID, TRANSCRIPTION_REACTOR
from isogenic.plant.classes.signals import DOSE_NUMBER, STATE
from isogenic.plant.classes.stirred_bioreactor import STIRRED_BIOREACTOR
from isogenic.plant.model import EquipmentClass

__all__ = [
    "CELL_PROCESSOR",
    "CLASSES",
    "COUNTS",
    "DOSE_NUMBER",
    "FILLER",
    "MIXING_SKID",
    "PURIFICATION_SKID",
    "REJECTED",
    "STATE",
    "STIRRED_BIOREACTOR",
    "TRANSCRIPTION_REACTOR",
]

CLASSES: Mapping[str, EquipmentClass] = {
    each.name: each for each in (STIRRED_BIOREACTOR, CELL_PROCESSOR, FILLER, TRANSCRIPTION_REACTOR, PURIFICATION_SKID, MIXING_SKID)
}
