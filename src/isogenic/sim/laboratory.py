"""The quality-control laboratory that does not exist: assay results of a harvested batch.

Guarantees: results follow from the true pool and the way it was made, plus assay noise that
depends on the seed, the site and the batch alone; attributes, units and methods are those of
the product's specification.
Leaves to others: samples, suitability, specifications and verdicts.

How a batch was made decides its quality in `processes/antibody_quality.py`; assays are **illustrative**.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from isogenic.clock import text_of_time
from isogenic.sim.processes.antibody_quality import Past, harvest_quality
from isogenic.sim.streams import Stream
from isogenic.sim.vessel import Harvest

__all__ = ["ASSAY_SD", "Result", "assay", "sample_document", "true_quality"]

# attribute -> unit, method, standard deviation (absolute, and as a share of the value)
ASSAYS = {
    "titre": ("g/L", "Protein A HPLC", 0.0, 0.015),
    "harvest_viability": ("%", "Trypan blue exclusion", 0.8, 0.0),
    "galactosylation": ("%", "Released glycans, HILIC-FLR", 0.5, 0.0),
    "hmw": ("%", "SE-HPLC", 0.05, 0.0),
    "acidic": ("%", "Imaged cIEF", 0.6, 0.0),
    "hcp": ("ng/mg", "HCP ELISA", 0.0, 0.10),
}
ASSAY_SD = {name: (sd, share) for name, (_, _, sd, share) in ASSAYS.items()}


@dataclass(frozen=True, slots=True)
class Result:
    """One attribute as the laboratory reports it."""

    attribute: str
    value: float
    unit: str
    method: str


def true_quality(harvest: Harvest) -> dict[str, float]:
    """The quality of the pool as it is, before any assay."""
    past = Past(harvest.age_h, harvest.ammonium_mean, harvest.glucose_mean, harvest.ph_mean, harvest.heat_kelvin_h)
    return harvest_quality(harvest.culture, past)


def assay(harvest: Harvest, *, seed: int, site: str) -> tuple[Result, ...]:
    """What the site's laboratory reports of one harvest. No assay reports less than nothing."""
    results = []
    quality = true_quality(harvest)
    for name, (unit, method, sd, share) in ASSAYS.items():
        value = quality[name]
        noise = Stream(seed, "assay", site, f"{harvest.unit}-run{harvest.run}", name).normal(0)
        reported = max(0.0, value + noise * math.hypot(sd, share * value))
        results.append(Result(name, float(f"{reported:.4g}"), unit, method))  # four figures: no assay knows more
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
