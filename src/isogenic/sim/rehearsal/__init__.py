"""Rehearsals: the real nodes on a simulated clock, disk and lines, with everything that may go wrong, from a seed.

    rehearse(seed, hours=72)               one night; prints as a paragraph, raises `InvariantBroken`
    rehearse(seed, hours=12, sites=100)    the same of a large network

Guarantees: the same seed replays the same night, fact by fact; a night that ends has held
I1, I3, I4, I6 and I8 of the design. What runs is the product's own code: site nodes, couriers,
control site, desk, ledgers, stores, engine, scan; only time, disk, lines, equipment and
people are simulated.
Leaves to others: OPC UA, HTTPS and processes, which the demonstration runs for real.
"""

from __future__ import annotations

from isogenic.sim.rehearsal.broken import InvariantBroken
from isogenic.sim.rehearsal.night import Night
from isogenic.sim.rehearsal.rehearsed import Rehearsed

__all__ = ["InvariantBroken", "Night", "Rehearsed", "rehearse"]


def rehearse(seed: int, *, hours: float, sites: int = 0) -> Rehearsed:
    """One night of so many simulated hours; at two or three sites, unless it says at how many."""
    return Night(seed, hours=hours, sites=sites).run()
