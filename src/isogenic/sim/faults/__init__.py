"""Faults to rehearse: the catalogue of all there are, and the ones that strike live equipment.

catalogue()          every fault by name: what it is, its size, what is seen of it, where that is shown
parse_fault(text)    one fault of live equipment, from a line of text
"""

from __future__ import annotations

from isogenic.sim.faults.catalogue import Entry, Place, catalogue, entry_of
from isogenic.sim.faults.live import EXAMPLE, SIZES, Fault, FaultKind, check_faults, parse_fault, read_faults, text_of_fault

__all__ = [
    "EXAMPLE",
    "SIZES",
    "Entry",
    "Fault",
    "FaultKind",
    "Place",
    "catalogue",
    "check_faults",
    "entry_of",
    "parse_fault",
    "read_faults",
    "text_of_fault",
]
