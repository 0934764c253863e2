"""What laboratories report of a quality: every assay of four products, with its specification and its spreads.

Guarantees: a result depends on the seed, the site, the batch and the attribute alone; a laboratory's own bias belongs to
the building and not to the seed. One result and a thousand are the same numbers.
Leaves to others: the true quality (process models), verdicts (quality), documents (`laboratory`).

    reported = truth + laboratory's bias + run + repeat + shift

The spreads are the table's "batch / site / assay": the site's is the laboratory's bias, the assay's is divided between the
run (60 % of the variance) and the repeat. Where the table gives a coefficient of variation, the same is done to the
logarithm. Three results in a thousand are a laboratory's error: at least six standard deviations off, and beyond the
specification where that leaves room: a false out-of-specification. Who asks for results after the laboratory has looked
into them (`errors=False`) gets none.
Limits marked published are those of licences and pharmacopoeias; all spreads are **illustrative**.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isogenic.sim.processes.process import Floats, Mark
from isogenic.sim.streams import Dice, Stream

__all__ = ["ASSAYS", "Assay", "assay_of", "laboratory_bias", "reported"]

RUN_SHARE = 0.6
ERROR_SHARE = 0.003  # of results that are the laboratory's error
ERROR_SDS = 6.0  # and how far they lie off
ERROR_BEYOND = 0.02  # of the limit that an error passes, at least
RUN, REPEAT, ERRS, SIDE = range(4)
PUBLISHED, ASSUMED = Mark.PUBLISHED, Mark.ILLUSTRATIVE


@dataclass(frozen=True, slots=True)
class Assay:
    """One attribute: what is typical, what is allowed, and how batches, laboratories and results spread."""

    unit: str
    method: str
    typical: float
    low: float = -math.inf
    high: float = math.inf
    batch: float = 0.0
    site: float = 0.0
    assay: float = 0.0
    relative: bool = False  # the spreads are shares of the value
    mark: Mark = ASSUMED  # of the limits
    least: float = 0.0
    most: float = math.inf


def _percent(method: str, typical: float, low: float, high: float, batch: float, site: float, assay: float, *, mark: Mark = ASSUMED) -> Assay:
    return Assay("%", method, typical, low, high, batch, site, assay, mark=mark, most=100.0)


ANTIBODY: Mapping[str, Assay] = {
    "titre": Assay("g/L", "Protein A HPLC", 4.9, 3.5, batch=0.08, assay=0.015, relative=True),
    "harvest_viability": _percent("Trypan blue exclusion", 86.0, 70.0, 100.0, 2.0, 0.0, 0.8),
    "protein": Assay("g/L", "UV 280", 50.0, 45.0, 55.0, 0.8, 0.2, 0.7, mark=PUBLISHED),
    "monomer": _percent("SE-HPLC", 99.1, 98.3, 100.0, 0.12, 0.05, 0.05, mark=PUBLISHED),
    "hmw": _percent("SE-HPLC", 0.7, 0.0, 1.7, 0.12, 0.05, 0.05, mark=PUBLISHED),
    "main": _percent("Imaged cIEF", 72.0, 65.0, 100.0, 1.3, 0.7, 0.6, mark=PUBLISHED),
    "acidic": _percent("Imaged cIEF", 19.0, 0.0, 30.0, 1.3, 0.7, 0.6, mark=PUBLISHED),
    "basic": _percent("Imaged cIEF", 5.0, 0.0, 10.0, 1.3, 0.7, 0.6, mark=PUBLISHED),
    "purity": _percent("Non-reduced CGE", 99.2, 98.5, 100.0, 0.15, 0.05, 0.15, mark=PUBLISHED),
    "potency": Assay("%", "Cell-based potency", 100.0, 90.0, 125.0, 3.0, 1.5, 5.0, mark=PUBLISHED),
    "hcp": Assay("ng/mg", "HCP ELISA", 6.0, 0.0, 20.0, 0.35, 0.05, 0.10, relative=True, mark=PUBLISHED),
    "dna": Assay("pg/mg", "qPCR", 1.0, 0.0, 20.0, 0.35, 0.05, 0.10, relative=True, mark=PUBLISHED),
    "protein_a": Assay("ng/mg", "Protein A ELISA", 2.0, 0.0, 10.0, 0.35, 0.05, 0.10, relative=True, mark=PUBLISHED),
    "galactosylation": _percent("Released glycans, HILIC-FLR", 25.0, 15.0, 35.0, 1.5, 1.0, 0.5),
    "afucose": _percent("Released glycans, HILIC-FLR", 6.0, 3.0, 9.0, 0.5, 0.3, 0.2),
    "bioburden": Assay("CFU/100 mL", "Membrane filtration", 0.0, 0.0, 10.0, mark=PUBLISHED),
    "endotoxin": Assay("EU/mg", "LAL", 0.01, 0.0, 0.20, 0.3, 0.1, 0.2, relative=True, mark=PUBLISHED),
    "harvest_volume": Assay("L", "Load cells", 2160.0, batch=0.01, assay=0.003, relative=True),
    "harvest_mass": Assay("kg", "Titre times volume", 10.3, batch=0.08, assay=0.015, relative=True),
}
MRNA: Mapping[str, Assay] = {
    "integrity": _percent("CGE", 82.0, 70.0, 100.0, 2.0, 1.0, 1.5),
    "cap": _percent("LC-MS", 96.0, 90.0, 100.0, 1.0, 0.5, 1.0),
    "poly_a": _percent("LC-UV", 93.0, 85.0, 100.0, 1.0, 0.5, 1.0),
    "dsrna": Assay("%", "Dot blot", 0.15, 0.0, 0.5, 0.3, 0.05, 0.10, relative=True),
    "residual_dna": Assay("ug/mg", "qPCR", 0.1, 0.0, 1.0, 0.3, 0.05, 0.10, relative=True),
    "size": Assay("nm", "DLS", 82.0, 60.0, 110.0, 3.0, 1.5, 1.5),
    "pdi": Assay("1", "DLS", 0.09, 0.0, 0.20, 0.015, 0.005, 0.01),
    "encapsulation": _percent("Fluorescent dye", 95.0, 85.0, 100.0, 1.0, 0.3, 0.5),
    "rna_content": Assay("%", "UV 260", 100.0, 90.0, 110.0, 2.0, 0.5, 1.0),
    "product_integrity": _percent("CGE", 75.0, 60.0, 100.0, 2.0, 1.0, 1.5),
    "rna_yield": Assay("g/L", "UV 260", 4.2, batch=0.08, site=0.005, assay=0.02, relative=True),
    "drug_substance": Assay("g/L", "UV 260", 3.6, batch=0.08, site=0.005, assay=0.02, relative=True),
    "residual_nucleotides": Assay("%", "IP-RP HPLC", 0.036, 0.0, 1.0, 0.3, 0.05, 0.10, relative=True),
    "mixing_pressure": Assay("bar", "Pressure transmitter", 1.2, 0.0, 5.0, 0.05, 0.005, 0.01, relative=True),
}
CAR_T: Mapping[str, Assay] = {
    "viability": _percent("Flow cytometry", 93.0, 80.0, 100.0, 3.0, 1.0, 2.0, mark=PUBLISHED),
    "car_positive": _percent("Flow cytometry", 26.0, 10.0, 100.0, 5.0, 1.0, 1.5, mark=PUBLISHED),
    "vcn": Assay("1", "ddPCR", 1.9, 0.0, 5.0, 0.3, 0.1, 0.15, mark=PUBLISHED),
    "cd3_purity": _percent("Flow cytometry, CD3+", 98.0, 80.0, 100.0, 1.0, 0.3, 0.5, mark=PUBLISHED),
    "viable_cells": Assay("1e6 cell", "Automated count", 3300.0, batch=0.5, site=0.01, assay=0.05, relative=True),
    "dose": Assay("1e6 cell", "Count and flow cytometry", 500.0, 100.0, math.inf, 0.5, 0.0, 0.05, relative=True),
    "endotoxin": Assay("EU/mL", "LAL", 0.1, 0.0, 5.0, 0.3, 0.1, 0.2, relative=True, mark=PUBLISHED),
}
PENSIM: Mapping[str, Assay] = {
    "titre": Assay("g/L", "HPLC", 1.6, batch=0.08, assay=0.015, relative=True),
    "product": Assay("g", "Titre times volume", 150.0, batch=0.08, assay=0.016, relative=True),
    "switch_h": Assay("h", "Batch record", 44.0, batch=1.0),  # a clock's time, which nobody assays
}
INDPENSIM: Mapping[str, Assay] = {
    "titre": Assay("g/L", "HPLC", 27.0, batch=0.1, assay=0.015, relative=True),
    "yield": Assay("kg", "Titre times weight, all that was drawn", 3500.0, batch=0.2, assay=0.016, relative=True),
}
ASSAYS: Mapping[str, Mapping[str, Assay]] = {
    "antibody": ANTIBODY,
    "mrna": MRNA,
    "car_t": CAR_T,
    "pensim": PENSIM,
    "indpensim": INDPENSIM,
}
USUAL = Assay("", "", 0.0, assay=0.02, relative=True, least=-math.inf)


def assay_of(process: str, attribute: str) -> Assay:
    """The assay of an attribute; one that errs by 2 % where the tables know none."""
    return ASSAYS.get(process, {}).get(attribute, USUAL)


def laboratory_bias(process: str, attribute: str, *, site: str) -> float:
    """By how much a site's laboratory reads too much, in the attribute's unit, or as a share where spreads are shares."""
    return assay_of(process, attribute).site * Stream(0, "laboratory", site, process, attribute).normal(0)


def reported(
    process: str,
    attribute: str,
    truth: Floats,
    *,
    seed: int,
    sites: Sequence[str],
    batches: Sequence[str],
    shift: Floats | float = 0.0,
    replicate: int = 0,
    errors: bool = True,
) -> Floats:
    """What laboratories report of true values (n,); `shift` is a laboratory's that has gone off, `replicate` the next of the same run.

    Without `errors` the laboratory has looked into each result that it could not explain, and tested again.
    """
    how = assay_of(process, attribute)
    true = np.asarray(truth, dtype=np.float64)
    dice = Dice.of(seed, [("assay", process, site, batch, attribute) for site, batch in zip(sites, batches, strict=True)])
    known = {site: laboratory_bias(process, attribute, site=site) for site in dict.fromkeys(sites)}
    bias = np.array([known[site] for site in sites])
    sd = how.assay * (np.abs(true) if how.relative else 1.0)
    run, repeat = (RUN_SHARE**0.5, (1.0 - RUN_SHARE) ** 0.5)
    noise = run * dice.normals(0, purpose=RUN) + repeat * dice.normals(replicate, purpose=REPEAT)
    shown = true + bias * (true if how.relative else 1.0) + sd * noise + shift
    if errors:
        errs = dice.uniforms(replicate, purpose=ERRS) < ERROR_SHARE
        shown = np.where(errs, _erroneous(how, shown, sd, dice.uniforms(replicate, purpose=SIDE)), shown)
    return np.where(np.isfinite(true), np.clip(shown, how.least, how.most), np.nan)


def _erroneous(how: Assay, sound: Floats, sd: Floats | float, side: Floats) -> Floats:
    """The same results as errors: six standard deviations off, and beyond a limit that leaves room; `side` (0 to 1) says where."""
    off: Floats = np.clip(sound + np.where(side < 0.5, -ERROR_SDS, ERROR_SDS) * sd, how.least, how.most)
    below, above = how.low > how.least, how.high < how.most
    if not (below or above):
        return off
    down = side < 0.5 if below and above else np.full(np.shape(side), below)
    limit = np.where(down, how.low, how.high)
    beyond = (1.0 + 2.0 * (2.0 * side % 1.0)) * np.maximum(sd, ERROR_BEYOND * np.abs(limit))
    return np.where((off >= how.low) & (off <= how.high), np.where(down, limit - beyond, limit + beyond), off)
