"""Instruments: a minute of a hundred vessels, a thousand batches at once, a spectrum.

python -m bench.instruments
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from bench.report import Row
from isogenic.sim.instruments import STIRRED_BIOREACTOR, Sensors, measured
from isogenic.sim.instruments.raman import CHANNELS, spectra, spectrometer_of

VESSELS, MINUTES, BATCHES, READINGS, SPECTRA = 100, 1000, 200, 337, 1000
STEP_MS = 0.5  # of a whole live minute


def run() -> list[Row]:
    names = [f"B{at}" for at in range(BATCHES)]
    live = Sensors(STIRRED_BIOREACTOR, seed=1, site="LEEDS", batches=names[:VESSELS], step_h=1 / 60)
    truth = np.full((len(STIRRED_BIOREACTOR), VESSELS), 30.0)
    live.step(truth, index=0, age_h=0.0)
    begun = perf_counter()
    for at in range(MINUTES):
        live.step(truth, index=at, age_h=at / 60)
    step = 1e3 * (perf_counter() - begun) / MINUTES
    past = {name: np.full((READINGS, BATCHES), 30.0) for name in STIRRED_BIOREACTOR}
    begun = perf_counter()
    measured(past, instruments=STIRRED_BIOREACTOR, seed=1, site="LEEDS", batches=names, age_h=np.arange(float(READINGS)))
    count = READINGS * BATCHES * len(STIRRED_BIOREACTOR)
    each = 1e9 * (perf_counter() - begun) / count
    dice = np.random.default_rng(1)
    begun = perf_counter()
    plain = dice.normal(size=count) + 30.0
    peer = 1e9 * (perf_counter() - begun) / len(plain)
    rows = np.arange(SPECTRA)
    begun = perf_counter()
    spectra({"glucose": np.full(SPECTRA, 5.0)}, instrument=spectrometer_of("LEEDS"), seed=1, batches=["B"] * SPECTRA, index=rows, age_h=rows / 1.0)
    one = 1e6 * (perf_counter() - begun) / SPECTRA
    begun = perf_counter()
    dice.poisson(20_000.0, size=(SPECTRA, len(CHANNELS)))
    shot = 1e6 * (perf_counter() - begun) / SPECTRA
    return [
        Row("14 instruments of 100 vessels, one minute", f"{step:.3f} ms", f"{STEP_MS} ms for all of a live minute", step / STEP_MS, "", None),
        Row(f"a reading, {BATCHES} batches of 14 days at once", f"{each:.0f} ns", f"{peer:.0f} ns numpy's noise alone", each / peer, "", None),
        Row(
            "a spectrum of 1,800 channels",
            f"{one:.0f} us",
            f"{shot:.0f} us numpy's Poisson draws alone",
            one / shot,
            "",
            None,
        ),
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
