"""Soft sensors: a concentration from a spectrum, with how far it can be believed.

    sensor = fit_soft_sensor(Spectra(batches, channels, values, reference), name="RAMAN-GLC", quantity="glucose", unit="g/L")
    sensor.predict(values)                                  # value, interval, and whether the spectrum is of the known kind
    there = standardise(sensor, first, second, site="PORTO")  # the same standards on both instruments
    there = corrected(there, samples, site="PORTO")           # a few samples with reference values
    watch = DriftWatch.of(there).after(residual)              # one for each batch

Guarantees: a sensor is a value with a digest; judged only by batches that it never saw. Fitting, moving and watching are
separate modules over the same value.
Leaves to others: files (cli), who may release a sensor (authority), what a spectrum is made of (sim, in tests).
"""

from __future__ import annotations

from isogenic.monitoring.soft_sensors.drift import DriftWatch, height_of, run_length
from isogenic.monitoring.soft_sensors.fitting import Spectra, fit_soft_sensor
from isogenic.monitoring.soft_sensors.model import CrossValidation, Prediction, SoftSensor, Transfer
from isogenic.monitoring.soft_sensors.preprocessing import Preprocessing
from isogenic.monitoring.soft_sensors.regression import Regression, regress
from isogenic.monitoring.soft_sensors.transfer import corrected, standardise

__all__ = [
    "CrossValidation",
    "DriftWatch",
    "Prediction",
    "Preprocessing",
    "Regression",
    "SoftSensor",
    "Spectra",
    "Transfer",
    "corrected",
    "fit_soft_sensor",
    "height_of",
    "regress",
    "run_length",
    "standardise",
]
