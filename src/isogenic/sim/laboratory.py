"""The quality-control laboratory that does not exist: assay results of a harvested batch.

Guarantees: results follow from the true pool and the way it was made, plus assay noise that
depends on the seed, the site and the batch alone; attributes, units and methods are those of
the product's specification. A result that was the laboratory's own error was found to be one, and tested again.
Leaves to others: samples, suitability, specifications and verdicts.

How a batch was made decides its quality in `processes/antibody_quality.py`; assays are **illustrative**.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from isogenic.clock import text_of_time
from isogenic.sim.assays import assay_of, reported
from isogenic.sim.processes.antibody_quality import Past, harvest_quality
from isogenic.sim.vessel import Harvest

__all__ = ["Result", "assay", "sample_document", "true_quality"]

ANTIBODY = "antibody"
ATTRIBUTES = ("titre", "harvest_viability", "galactosylation", "hmw", "acidic", "hcp")  # what is asked of a harvested pool


@dataclass(frozen=True, slots=True)
class Result:
    """One attribute as the laboratory reports it."""

    attribute: str
    value: float
    unit: str
    method: str


def true_quality(harvest: Harvest) -> dict[str, float]:
    """The quality of the pool as it is, before any assay."""
    if harvest.process != ANTIBODY:
        return {"titre": harvest.culture["penicillin"]}
    past = Past(harvest.age_h, harvest.ammonium_mean, harvest.glucose_mean, harvest.ph_mean, harvest.heat_kelvin_h)
    return harvest_quality(harvest.culture, past)


def assay(harvest: Harvest, *, seed: int, site: str) -> tuple[Result, ...]:
    """What the site's laboratory reports of one harvest. No assay reports less than nothing."""
    batch = f"{harvest.unit}-run{harvest.run}"
    results = []
    true = true_quality(harvest)
    for name in ATTRIBUTES if harvest.process == ANTIBODY else true:
        how = assay_of(harvest.process, name)
        shown = float(reported(harvest.process, name, np.array([true[name]]), seed=seed, sites=[site], batches=[batch], errors=False)[0])
        results.append(Result(name, float(f"{shown:.4g}"), how.unit, how.method))  # four figures: no assay knows more
    return tuple(results)


def sample_document(harvest: Harvest, *, at: datetime, seed: int, site: str) -> dict[str, object]:
    """One harvested batch with its results, as a JSON object."""
    return {
        "site": site,
        "unit": str(harvest.unit),
        "run": harvest.run,
        "harvested_at": text_of_time(at),
        "age_h": round(harvest.age_h, 3),
        "litres": round(harvest.litres, 3),
        "illustrative": True,
        "results": [
            {"attribute": each.attribute, "value": each.value, "unit": each.unit, "method": each.method}
            for each in assay(harvest, seed=seed, site=site)
        ],
    }
