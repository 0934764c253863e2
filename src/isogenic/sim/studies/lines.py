"""Who stands in line at a site: harvests for a crew, samples for the laboratory.

Guarantees: all processes of a site stand in one line, whoever comes first is served first; the lines are worked out once,
in the plan, so chunks only cut them. Where a site does not say how many crews or assays it has, nobody waits.
Leaves to others: suites and couriers (`calendar`), what is done then (`work`).

A crew takes one batch from its harvest to its last operation. A batch whose culture stops keeps its place: the plan
does not know of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.processes.process import Floats
from isogenic.sim.queueing import serve
from isogenic.sim.scenarios.model import Scenario, Site
from isogenic.sim.studies.part import Part
from isogenic.sim.studies.shifts import Shifts, shifts_of
from isogenic.sim.studies.work import Times

__all__ = ["in_line"]


def in_line(scenario: Scenario, parts: Sequence[Part]) -> list[Part]:
    """The parts, with the hours at which crews and laboratories take their batches."""
    limited = [each for each in scenario.sites if each.crews or each.assays]
    if not (limited and scenario.operations):
        return list(parts)
    out = [replace(each, finish_h=each.finish_h.copy(), tests_h=each.tests_h.copy()) for each in parts]
    for site in limited:
        here = [(part, at) for part in out if len(at := np.flatnonzero(np.array(part.sites, dtype=object) == site.name))]
        if here:
            _serve_site(scenario, site, here)
    return out


def _serve_site(scenario: Scenario, site: Site, here: Sequence[tuple[Part, NDArray[np.int64]]]) -> None:
    shifts = shifts_of(scenario, site)
    times = [Times(scenario, part.cut(at)) for part, at in here]
    if site.crews:
        for each, (part, at), begins in zip(times, here, _crews(times, shifts, crews=site.crews), strict=True):
            part.finish_h[at] = begins
            each.part = part.cut(at)
    for each in times:
        each.finish()
    if site.assays:
        samples = [each.samples() for each in times]
        for (part, at), begins in zip(here, _laboratory(samples, shifts, assays=site.assays), strict=True):
            part.tests_h[:, at] = begins


def _crews(times: Sequence[Times], shifts: Shifts, *, crews: int) -> list[Floats]:
    """When a crew takes each harvest."""
    comes = np.concatenate([np.where(each.counts[2], each.harvest, np.nan) for each in times])
    whose = [(each, at) for each in times for at in range(len(each.part))]
    there = np.flatnonzero(np.isfinite(comes))

    def works(place: int, hour: float) -> tuple[float, float]:
        each, at = whose[there[place]]
        hours, ends = (array[each.after, at : at + 1] for array in (each.dice.hours, each.dice.ends))
        starts, done = shifts.one_after_another(np.array([hour]), hours, ends)
        return float(starts[0, 0]), float(done[0])

    begins = np.full(comes.shape, np.nan)
    begins[there] = serve(comes[there], np.zeros(len(there)), servers=crews, works=works).begins_h
    return np.split(begins, np.cumsum([len(each.part) for each in times])[:-1])


def _laboratory(samples: Sequence[tuple[Floats, Floats]], shifts: Shifts, *, assays: int) -> list[Floats]:
    """When the laboratory begins each assay, (assays, n)."""
    comes, takes = (np.concatenate([each[at].ravel() for each in samples]) for at in (0, 1))
    there = np.flatnonzero(np.isfinite(comes))

    def works(place: int, hour: float) -> tuple[float, float]:
        begins = float(shifts.opens(np.float64(hour)))
        return begins, begins + float(takes[there[place]])

    begins = np.full(comes.shape, np.nan)
    begins[there] = serve(comes[there], takes[there], servers=assays, works=works).begins_h
    pieces = np.split(begins, np.cumsum([each[0].size for each in samples])[:-1])
    return [piece.reshape(each[0].shape) for piece, each in zip(pieces, samples, strict=True)]
