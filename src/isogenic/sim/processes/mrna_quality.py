"""What transcribed RNA is worth: its purification, the lipid nanoparticles made of it, and how long they keep.

Guarantees: plain functions of floats or arrays; nothing is remembered.
Leaves to others: the reaction (ivt), who sets what (mrna, live: mrna_line), scatter (variation).

**Illustrative** but for the activation energy of hydrolysis (31.5 kcal/mol for each phosphodiester, Chheda 2023) and the
washing-out of a diafiltration, C/C0 = exp(-N S).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "CAPTURE_BROKEN",
    "CAPTURE_WHOLE",
    "GRAMS_PER_NT",
    "Particles",
    "capped",
    "captured",
    "double_stranded",
    "encapsulated",
    "hydrolysis_factor",
    "kept_whole",
    "lane_pressure",
    "particles",
    "polyadenylated",
    "residual_dna",
    "washed",
]

Number = Any

GRAMS_PER_NT = 330.0  # g/mol
GRAMS_PER_BP, PLASMID_BP = 618.0, 3000  # of the template beside the transcribed part
GAS_KCAL, HYDROLYSIS_KCAL = 1.987e-3, 31.5
CAPTURE_WHOLE, CAPTURE_BROKEN = 0.87, 0.76  # together 0.85 where 82 % are whole: a broken RNA has lost its tail the more often
LATE_MIN, LATE_NM, THAWED_NM = 10.0, 5.0, 40.0


def hydrolysis_factor(celsius: Number, *, beside: float) -> Number:
    """How much faster RNA is hydrolysed than at `beside` degC, by Arrhenius."""
    return np.exp(HYDROLYSIS_KCAL / GAS_KCAL * (1.0 / (beside + 273.15) - 1.0 / (celsius + 273.15)))


def kept_whole(whole: Number, *, days: Number, celsius: Number, at_5c: Number = 2.5e-3) -> Number:
    """The share of whole RNA in the drug product after so many days; `at_5c` in 1/d."""
    return whole * np.exp(-at_5c * hydrolysis_factor(celsius, beside=5.0) * days)


def double_stranded(polymerase_nm: Number, template_nm: Number, *, celsius: Number, base: Number = 0.30) -> Number:
    """% of the RNA that is double-stranded: it rises where polymerase is in excess of template, and falls with warmth."""
    excess = np.maximum(0.0, (polymerase_nm / template_nm - 3.0) / 3.0)
    return base * (1.0 + 0.6 * excess) * np.exp(-0.1 * (celsius - 37.0))


def capped(cap_to_gtp: Number, *, power: Number = 3.2) -> Number:
    """% of the RNA that carries a cap (a trinucleotide, taken up as transcription begins)."""
    return 100.0 * (1.0 - np.exp(-power * cap_to_gtp))


def polyadenylated(whole: Number) -> Number:
    """% of the RNA with its whole tail, `whole` being the share of full length."""
    return 95.0 * (1.0 - 0.1 * (1.0 - whole))


def captured(rna: Number, whole: Number, *, recovery: Number = 0.85) -> tuple[Number, Number]:
    """What an oligo-dT column keeps of RNA and of whole RNA; `recovery` where 82 % are whole."""
    factor = recovery / 0.85
    kept = np.minimum(CAPTURE_WHOLE * factor, 1.0) * whole
    return kept + np.minimum(CAPTURE_BROKEN * factor, 1.0) * (rna - whole), kept


def washed(volumes: Number, *, sieving: Number = 0.99) -> Number:
    """The share of a small solute that is left after so many diafiltration volumes."""
    return np.exp(-volumes * sieving)


def residual_dna(template_nm: Number, rna_g_l: Number, *, length: Number, left: Number) -> Number:
    """ug of DNA for each mg of RNA; `left`: the share that digestion and capture leave."""
    grams = template_nm * 1e-9 * (length + PLASMID_BP) * GRAMS_PER_BP
    return 1e3 * grams * left / np.maximum(rna_g_l, 1e-6)


class Particles(NamedTuple):
    """Lipid nanoparticles."""

    size_nm: Number
    pdi: Number
    encapsulation: Number  # %


def particles(
    *,
    flow_ml_min: Number,
    flow_ratio: Number,
    lipid_mm: Number,
    n_to_p: Number,
    ph: Number,
    clog: Number = 0.0,
    dilution_min: Number = 0.0,
    thawed_bare: Number = 0.0,
    base_nm: Number = 80.0,
    base_pdi: Number = 0.085,
) -> Particles:
    """What a lane of a T-mixer makes. `flow_ratio`: aqueous to ethanol; `thawed_bare`: freeze-thaws without a cryoprotectant."""
    size = base_nm * (flow_ml_min / 60.0) ** -0.12 * (flow_ratio / 3.0) ** -0.20 * (lipid_mm / 12.5) ** 0.10 * (1.0 + 0.6 * clog)
    size = size + LATE_NM * (dilution_min > LATE_MIN) + THAWED_NM * thawed_bare
    mixing = 0.02 * (flow_ml_min / 60.0) ** -1.5  # mixing beside assembly
    return Particles(size, base_pdi + 0.25 * mixing, encapsulated(n_to_p, ph))


def encapsulated(n_to_p: Number, ph: Number) -> Number:
    """% of the RNA inside the particles."""
    return 100.0 / (1.0 + np.exp(-(2.9 + 1.1 * (n_to_p - 6.0) / 2.0 - 2.5 * (ph - 4.0))))


def lane_pressure(flow_ml_min: Number, *, clog: Number = 0.0) -> Number:
    """bar before the mixer: a clogged lane is a narrower one."""
    return 1.2 * flow_ml_min / 60.0 / (1.0 - clog) ** 2
