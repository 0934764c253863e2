"""The quality-control laboratory that does not exist: assay results of a harvested batch.

Guarantees: results follow from the true pool and the way it was made, plus assay noise that
depends on the seed, the site and the batch alone; attributes, units and methods are those of
the product's specification.
Leaves to others: samples, suitability, specifications and verdicts.

The maps are linear around the nominal batch (galactosylation falls with ammonium: Chen 2019;
acidic variants rise with glucose and time: Sissolak 2019); every slope and spread is
**illustrative**.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from isogenic.clock import text_of_time
from isogenic.sim.streams import Stream
from isogenic.sim.vessel import Harvest

__all__ = ["ASSAY_SD", "Result", "assay", "sample_document", "true_quality"]

HCP_NG_PER_MG = 120_000.0  # at harvest of the nominal batch
HCP_CELLS_PER_TITRE = 0.63  # lysed cells (1e9/L) for each g/L there
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
    pool = harvest.culture
    titre = pool.antibody
    days = harvest.age_h / 24.0
    return {
        "titre": titre,
        "harvest_viability": 100.0 * pool.viable / (pool.viable + pool.dead + 1e-9),
        "galactosylation": 25.0 - 1.6 * (harvest.ammonium_mean - 4.0) - 10.0 * (harvest.ph_mean - 7.0),
        "hmw": 1.5 + 0.4 * (titre - 4.8),
        "acidic": 18.0 + 0.9 * (days - 14.0) + 0.15 * (harvest.glucose_mean - 20.0),
        "hcp": HCP_NG_PER_MG * pool.lysed / (HCP_CELLS_PER_TITRE * max(titre, 1e-3)),
    }


def assay(harvest: Harvest, *, seed: int, site: str) -> tuple[Result, ...]:
    """What the site's laboratory reports of one harvest. No assay reports less than nothing."""
    results = []
    for name, value in true_quality(harvest).items():
        unit, method, sd, share = ASSAYS[name]
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
