"""Phases: maturity by what is being done, not by the clock.

Each phase takes as much of the maturity axis as it usually lasts (the median of the good
batches, in their own unit). Within a phase maturity runs with the clock; a phase that lasts longer
than usual waits at its end, and one that ends early leaps to the next. So batches whose phases are
of unlike length meet at every change of phase.

A phase that is unknown, or missing in a reading, is the one before.

Guarantees: maturity never falls; an earlier phase that comes again does not take a batch back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isogenic.errors import NotValid
from isogenic.monitoring.tables import BatchTable, Floats

__all__ = ["PHASES_MAX", "phases_of"]

PHASES_MAX = 50
PHASE_SAMPLES_MIN = 3  # of a usual phase: fewer make no model of their own


def phases_of(batches: Sequence[BatchTable]) -> tuple[tuple[str, ...], Floats]:
    """The phases of good batches in their order, and how long each usually lasts."""
    order: list[str] = []
    for table in batches:
        if table.phases is None or len(table.phases) != len(table.maturity):
            raise NotValid(f"cannot use batch {table.batch[:40]}", why="it does not say of each sample in which phase it is")
        seen = list(dict.fromkeys(each for each in table.phases if each))
        if not order:
            order = seen
        if seen != order:
            raise NotValid(
                f"cannot use batch {table.batch[:40]}",
                why=f"its phases are {', '.join(seen)[:120] or 'none'}, those of {batches[0].batch[:40]} {', '.join(order)[:120]}",
                possible="leave it out, or give batches of one recipe",
            )
    if not 1 <= len(order) <= PHASES_MAX:
        raise NotValid("cannot align by phase", why=f"there are {len(order)} phases", possible=f"1 to {PHASES_MAX}")
    lengths = np.array([_lengths(table, order) for table in batches])
    samples = np.array([[sum(each == phase for each in table.phases or ()) for phase in order] for table in batches])
    short = [phase for phase, count in zip(order, np.median(samples, axis=0).tolist(), strict=True) if count < PHASE_SAMPLES_MIN]
    if short:
        raise NotValid(f"cannot align by phase {short[0][:40]}", why=f"batches usually have fewer than {PHASE_SAMPLES_MIN} samples of it")
    usual: Floats = np.median(lengths, axis=0)
    if not (usual > 0).all():
        raise NotValid("cannot align by phase", why="a phase usually lasts no time")
    return tuple(order), usual


def _lengths(table: BatchTable, order: Sequence[str]) -> list[float]:
    """From the first sample of each phase to the first of the next; of the last, to the end."""
    phases = table.phases or ()
    at = np.maximum.accumulate(table.maturity)
    starts = [float(at[phases.index(phase)]) for phase in order] + [float(at[-1])]
    return np.diff(starts).tolist()
