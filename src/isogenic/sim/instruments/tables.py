"""Which instruments stand on each process, by the name of what they measure, in its canonical unit.

Guarantees: every number has its mark. What is published is a limit; a limit is two standard deviations here.
Leaves to others: processes of one's own: a table is a plain mapping, `{**ANTIBODY, "ph": ...}` is another.

    pH glass           noise 0.01, +-0.02 fresh and +-0.1 after 14 days (published), t90 15 s; optical 60 s
    oxygen, optical    noise 0.4 %, +-1 % (published) and 1 to 2 % of drift, t90 30 s, bubbles
    temperature        Pt100, noise 0.02 K, +-0.1 K class A (published), t90 30 s
    capacitance        noise 3 %, +-5 to 10 % of the reading (published), t90 60 s, reads 15 % low late, as cells change
    weight             noise 0.1 %, drift 0.2 %, 1 s
    Raman, local       errors of 0.3 g/L glucose, 0.2 g/L lactate, 0.15 g/L product (illustrative), of which the lot of medium, the
                       same for all its batches at a site, 0.2 g/L of glucose and two thirds of each error; t90 10 min
    Raman, generic     errors of 0.65 and 0.48 g/L (published)
    off-gas, UV, flow cytometer, light scattering: 1 to 2 %

Marks are the table's; where it gives only some of an instrument's numbers, the others are illustrative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from isogenic.errors import NotFound
from isogenic.sim.instruments.instrument import Instrument
from isogenic.sim.processes.process import Mark

__all__ = [
    "ANTIBODY",
    "CAR_T",
    "GENERIC_RAMAN",
    "INDPENSIM",
    "INSTRUMENTS",
    "MRNA",
    "PENSIM",
    "PH_OPTICAL",
    "RECALIBRATED_PH",
    "STIRRED_BIOREACTOR",
    "instruments_of",
]

GLUCOSE_G_PER_MMOL, LACTATE_G_PER_MMOL = 0.180156, 0.090078
MIXING_S = 30.0  # t90 of mixing in a vessel of a few hundred litres, illustrative
RAMAN_S = 600.0  # an averaged spectrum


def _raman(g_per_l: float, g_per_mmol: float = 1.0, *, mark: Mark = Mark.ILLUSTRATIVE, source: str = "") -> Instrument:
    """A soft sensor whose error is so large in all: four ninths of its variance are the lot of medium's, a third is noise, the rest goes slowly."""
    error = g_per_l / g_per_mmol
    return Instrument(
        noise=0.60 * error,
        bias=0.15 * error,
        lot=0.667 * error,
        wander=0.35 * error,
        drift=0.35 * error,
        process_s=RAMAN_S,
        low=-10.0,
        high=300.0,
        other_unit=(g_per_mmol, 0.0),
        mark=mark,
        source=source,
    )


PH_GLASS = Instrument(
    noise=0.01,
    bias=0.007,
    drift=0.049,
    wander=0.007,
    memory_h=48.0,
    lag_s=15.0,
    process_s=MIXING_S,
    low=2.0,
    high=12.0,
    working=(6.5, 7.5),
    mark=Mark.PUBLISHED,
    source="+-0.02 fresh to +-0.1 after 14 days",
)
PH_OPTICAL = replace(PH_GLASS, lag_s=60.0, drift_share=0.002, low=5.5, high=8.5)  # less accurate on large drifts (PMC10873650)
RECALIBRATED_PH = replace(PH_GLASS, recalibrated_h=168.0)  # against a sample, once a week
OXYGEN = Instrument(
    noise=0.4,
    bias=0.5,
    drift=0.75,
    wander=0.3,
    lag_s=30.0,
    process_s=MIXING_S,
    low=-5.0,
    high=300.0,
    spikes_per_h=0.02,
    spike=3.0,
    working=(0.0, 200.0),
    mark=Mark.PUBLISHED,
    source="+-1 % of air saturation",
)
PT100 = Instrument(
    noise=0.02,
    bias=0.05,
    drift=0.01,
    wander=0.01,
    lag_s=30.0,
    process_s=MIXING_S,
    low=0.0,
    high=80.0,
    other_unit=(1.8, 32.0),
    working=(36.0, 38.0),
    mark=Mark.PUBLISHED,
    source="class A, +-0.1 K",
)
CAPACITANCE = Instrument(
    noise_share=0.03,
    bias_share=0.03,
    drift_share=0.02,
    wander_share=0.01,
    lag_s=60.0,
    low=-2.0,
    high=200.0,
    late_share=-0.15,
    working=(0.0, 40.0),
    mark=Mark.PUBLISHED,
    source="+-5 to 10 % of the reading",
)
WEIGHT = Instrument(noise=0.01, noise_share=0.001, drift_share=0.001, lag_s=1.0, other_unit=(2.20462, 0.0))
OFFGAS = Instrument(noise_share=0.015, bias_share=0.005, drift_share=0.01, lag_s=30.0, process_s=60.0, low=-1.0, high=100.0)
FLOW = Instrument(noise_share=0.005, drift_share=0.003, lag_s=1.0, low=0.0)
PERCENT_METER = Instrument(noise_share=0.015, drift_share=0.01, lag_s=5.0)

STIRRED_BIOREACTOR: Mapping[str, Instrument] = {
    "temperature": PT100,
    "ph": PH_GLASS,
    "dissolved_oxygen": OXYGEN,
    "agitation": Instrument(noise_share=0.002, low=-1.0, high=1000.0),
    "oxygen_flow": Instrument(noise_share=0.01, drift_share=0.01, low=-1.0, high=500.0),
    "vessel_weight": WEIGHT,
    "viable_cells": CAPACITANCE,
    "viability": Instrument(noise=0.4, drift=0.3, lag_s=60.0, low=-1.0, high=105.0),
    "glucose": _raman(0.30, GLUCOSE_G_PER_MMOL),
    "lactate": _raman(0.20, LACTATE_G_PER_MMOL),
    "offgas_co2": OFFGAS,
    "feed_flow": Instrument(noise=0.02, noise_share=0.005, drift_share=0.003, low=-10.0, high=20_000.0),
    "feed_pressure": Instrument(noise=0.002, noise_share=0.01, drift_share=0.01, low=-1.0, high=10.0, other_unit=(14.5038, 0.0)),
    "feed_bottle_weight": Instrument(noise=0.005, noise_share=0.001, lag_s=1.0, other_unit=(2.20462, 0.0)),
}
GENERIC_RAMAN: Mapping[str, Instrument] = {
    "glucose": _raman(0.65, GLUCOSE_G_PER_MMOL, mark=Mark.PUBLISHED, source="Biotechnol Bioeng 10.1002/bit.28717"),
    "lactate": _raman(0.48, LACTATE_G_PER_MMOL, mark=Mark.PUBLISHED, source="Biotechnol Bioeng 10.1002/bit.28717"),
}

ANTIBODY: Mapping[str, Instrument] = {
    **STIRRED_BIOREACTOR,
    "titre": _raman(0.15),
    "ammonium": Instrument(noise_share=0.03, bias_share=0.02, process_s=RAMAN_S, low=0.0, high=100.0),
    "glutamine": Instrument(noise_share=0.03, bias_share=0.02, process_s=RAMAN_S, low=0.0, high=100.0),
    "osmolality": Instrument(noise=3.0, bias=2.0, low=0.0, high=2000.0),
    "carbon_dioxide": Instrument(noise_share=0.02, bias_share=0.03, drift_share=0.02, lag_s=120.0, low=0.0, high=400.0),
    "volume": Instrument(noise_share=0.001, drift_share=0.001, lag_s=1.0),
}
MRNA: Mapping[str, Instrument] = {
    "ph": replace(PH_GLASS, working=(6.5, 8.5)),
    "rna": PERCENT_METER,
    **{name: Instrument(noise=0.05, noise_share=0.015, low=0.0) for name in ("atp", "utp", "ctp", "gtp")},  # chromatography at line
    "pyrophosphate": Instrument(noise=0.03, noise_share=0.03, low=0.0),
    "phosphate": Instrument(noise=0.1, noise_share=0.02, low=0.0),
    "precipitate": Instrument(noise_share=0.04, bias_share=0.03, low=0.0),  # turbidity
    "integrity": Instrument(noise=1.0, bias=0.5, low=0.0, high=100.0),  # capillary electrophoresis
}
CAR_T: Mapping[str, Instrument] = {
    "viable_cells": Instrument(noise_share=0.03, bias_share=0.03),  # a counter of samples
    "viability": Instrument(noise=1.0, bias=0.5, low=0.0, high=100.0),
    "cd3_purity": Instrument(noise=0.3, bias=0.3, low=0.0, high=100.0),  # flow cytometer
    "glucose": Instrument(noise_share=0.02, bias_share=0.02, low=0.0, other_unit=(GLUCOSE_G_PER_MMOL, 0.0)),
    "lactate": Instrument(noise_share=0.02, bias_share=0.02, low=0.0, other_unit=(LACTATE_G_PER_MMOL, 0.0)),
    "exchange": FLOW,
}
PENSIM: Mapping[str, Instrument] = {
    "oxygen": OXYGEN,
    "substrate": Instrument(noise=0.05, noise_share=0.02, bias_share=0.02, process_s=RAMAN_S),
    "biomass": Instrument(noise_share=0.03, bias_share=0.03, drift_share=0.02, lag_s=60.0),
    "penicillin": Instrument(noise_share=0.02, bias_share=0.02, process_s=RAMAN_S),
    "volume": Instrument(noise_share=0.001, drift_share=0.001, lag_s=1.0),
    "coolant": FLOW,
    "base": FLOW,
    "feed_rate": FLOW,
}
INDPENSIM: Mapping[str, Instrument] = {
    **{name: PENSIM[name] for name in ("substrate", "biomass", "penicillin", "volume", "coolant", "base")},
    "temperature": replace(PT100, working=(20.0, 40.0)),  # in degC
    "ph": replace(PH_GLASS, working=(4.0, 7.0)),
    "oxygen": Instrument(noise_share=0.005, bias_share=0.005, drift_share=0.0075, lag_s=30.0, low=0.0),
    "off_gas_oxygen": OFFGAS,
    "off_gas_carbon_dioxide": OFFGAS,
    "weight": Instrument(noise_share=0.001, drift_share=0.001, lag_s=1.0),
    "phenylacetate": Instrument(noise_share=0.03, bias_share=0.02, low=0.0),
    "ammonia": Instrument(noise_share=0.03, bias_share=0.02, low=0.0),
    "aeration": Instrument(noise_share=0.01, low=0.0),
    "back_pressure": Instrument(noise_share=0.005, low=0.0),
    "viscosity": Instrument(noise_share=0.02, bias_share=0.02),
    **dict.fromkeys(("sugar_feed", "oil_feed", "phenylacetate_feed", "water", "discharge", "acid", "heating"), FLOW),
}

INSTRUMENTS: Mapping[str, Mapping[str, Instrument]] = {
    "stirred_bioreactor": STIRRED_BIOREACTOR,
    "antibody": ANTIBODY,
    "mrna": MRNA,
    "car_t": CAR_T,
    "pensim": PENSIM,
    "indpensim": INDPENSIM,
}


def instruments_of(process: str) -> Mapping[str, Instrument]:
    """The instruments that usually stand on this process."""
    if process not in INSTRUMENTS:
        raise NotFound(f"no instruments for {process[:60]}", why="no table has this name", possible=", ".join(INSTRUMENTS))
    return INSTRUMENTS[process]
