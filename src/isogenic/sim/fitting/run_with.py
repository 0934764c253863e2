"""What a batch was run with, out of its own readings, and how far that is known.

Guarantees: every setting that a probe has read comes with the standard deviation of what the probe adds on average over
those readings (bias, drift and wander as of `noise`, hardly any noise); it is held within the process's own range.
Leaves to others: which readings are a batch's (`following`), what an error of a setting does to the constants (`estimation`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from isogenic.plant.model import Unit
from isogenic.sim.fitting.noise import covariance
from isogenic.sim.instruments import INSTRUMENTS
from isogenic.sim.processes.process import Floats, Process

__all__ = ["SETPOINTS", "run_with"]

CULTURE_KG_PER_L = 1.02
FIRST = 3  # readings of the weight that tell the start
SETPOINTS = ("temperature", "ph", "dissolved_oxygen")  # readings of what a controller holds: settings of the same name
LOOKED_AT = 100  # readings, evenly, for an average's error


def run_with(age_h: Floats, values: Mapping[str, Floats], unit: Unit, process: Process) -> tuple[dict[str, float], dict[str, float]]:
    """The settings, and the standard deviations of those that were read."""
    known, out, off = process.settings, dict[str, float](), dict[str, float]()
    if "working_volume" in known:
        out["working_volume"] = unit.working_volume.to("L").value
    weight = values.get("vessel_weight")
    if weight is not None and "start_volume" in known and np.isfinite(weight[:FIRST]).any():
        litres = float(np.nanmedian(weight[:FIRST])) / CULTURE_KG_PER_L
        out["start_volume"] = min(litres, out.get("working_volume", np.inf))
        off["start_volume"] = _error("vessel_weight", weight, age_h, process, where=np.arange(len(weight)) < FIRST) / CULTURE_KG_PER_L
    for name in SETPOINTS:
        if name in values and name in known and np.isfinite(values[name]).any():
            out[name], off[name] = float(np.nanmedian(values[name])), _error(name, values[name], age_h, process)
    if "temperature" in out and "shift_at" in known:  # a median over the batch: nobody saw a shift
        out["shift_at"] = known["shift_at"].high
    flow = values.get("feed_flow")
    if flow is not None and "feed_share" in known and "start_volume" in out:
        out |= _fed(age_h, flow, start=out["start_volume"], process=process)
        fed = _feeding(flow)
        if fed.sum() >= FIRST:
            own = _error("feed_flow", flow, age_h, process, where=fed) / float(np.mean(flow[fed]))
            off["feed_share"] = out["feed_share"] * math.hypot(own, off["start_volume"] / out["start_volume"])
    held = {name: min(max(value, known[name].low), known[name].high) for name, value in out.items()}
    return held, {name: sd for name, sd in off.items() if sd > 0}


def _fed(age_h: Floats, flow: Floats, *, start: float, process: Process) -> dict[str, float]:
    """Start and rate of the feed; one that was not seen to begin begins later."""
    fed, begins = _feeding(flow), process.settings["feed_start"]
    if fed.sum() < FIRST:
        return {"feed_start": min(begins.high, max(float(age_h[-1]) + 1.0, begins.value))}
    return {"feed_start": float(age_h[np.argmax(fed)]), "feed_share": float(np.mean(flow[fed])) / 1000.0 * 24.0 / start}


def _feeding(flow: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(flow) & (flow > 0.05 * max(float(np.nanmax(flow, initial=0.0)), 1e-9)) & (flow > 0.1))


def _error(name: str, read: Floats, age_h: Floats, process: Process, *, where: NDArray[np.bool_] | None = None) -> float:
    """Of the average of one signal's readings: the root of its covariance's mean."""
    how = INSTRUMENTS.get(process.name, {}).get(name)
    there = np.flatnonzero(np.isfinite(read) if where is None else np.isfinite(read) & where)
    if how is None or not len(there):
        return 0.0
    kept = there[:: max(1, len(there) // LOOKED_AT)]
    return math.sqrt(float(np.mean(covariance(how, read[kept], age_h=age_h[kept]))))
