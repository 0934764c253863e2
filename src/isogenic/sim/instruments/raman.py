"""Raman-like spectra of a culture, for soft sensors to learn from: 1,800 channels, 400 to 2,199 1/cm.

    counts = gain * (sum of concentration * band + (water and glass + fluorescence) * (1 + 0.02 * sum of concentrations)) + shot noise + rays

Guarantees: a spectrum depends on the seed, the site's instrument, the medium lot, the batch, its number and what is in
the culture alone; one spectrum and a thousand have the same bits up to the order of a sum.
Leaves to others: what the spectrum says (monitoring.soft_sensors), where the concentrations come from (process models).

Bands: glucose 1125 and 1060, lactate 855, phenylalanine 1003, CH2 1450, amide I 1655 1/cm; the product and the cells
share the last three, as they do in life. Heights, widths, fluorescence and how instruments differ are **illustrative**,
set so that a soft sensor calibrated and used on one instrument errs by about 0.3 g/L of glucose, 0.2 g/L of lactate and
0.15 g/L of product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isogenic.errors import NotFound, NotValid
from isogenic.sim.processes.process import Floats
from isogenic.sim.streams import Dice, Stream

__all__ = ["BANDS", "CHANNELS", "Spectrometer", "spectra", "spectrometer_of"]

CHANNELS = np.arange(400.0, 2200.0)
# what is in the culture -> (1/cm, counts for each g/L (cells: 1e9/L), half width at half height)
BANDS: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "glucose": ((1125.0, 260.0, 11.0), (1060.0, 180.0, 12.0), (915.0, 60.0, 12.0), (518.0, 120.0, 12.0), (1365.0, 80.0, 16.0)),
    "lactate": ((855.0, 340.0, 9.0), (1045.0, 90.0, 11.0), (1420.0, 120.0, 14.0), (1455.0, 70.0, 12.0)),
    "product": ((1003.0, 360.0, 5.0), (1450.0, 420.0, 16.0), (1655.0, 620.0, 20.0), (1240.0, 300.0, 18.0)),
    "cells": ((1003.0, 12.0, 5.5), (1450.0, 24.0, 18.0), (1655.0, 20.0, 22.0), (785.0, 14.0, 9.0), (1340.0, 14.0, 15.0)),
    "medium": ((1003.0, 60.0, 6.0), (1410.0, 90.0, 14.0), (1095.0, 50.0, 22.0), (880.0, 40.0, 18.0)),  # what differs from lot to lot
}
CROWDING = 0.02  # of the background, for each g/L that is dissolved
WATER, GLASS, FLUORESCENCE = 6_000.0, 5_000.0, 14_000.0  # counts
GLOW_PER_WEEK = 0.25  # by which fluorescence grows as the culture ages
GLOW_SD = 0.06  # from one hour to another
LOT_SD = 0.12  # of the medium's own bands, and of its fluorescence
MEDIUM = 1.0
RAYS = 0.03  # spectra with a cosmic ray
RAY_COUNTS = 20_000.0
NOISE, GLOW, RAY = range(3)


@dataclass(frozen=True, slots=True)
class Spectrometer:
    """How one site's instrument differs from the drawing."""

    shift: float = 0.0  # 1/cm
    gain: float = 1.0
    tilt: float = 0.0  # of the gain, from one end to the other
    width: float = 1.0  # of every band: resolution


def spectrometer_of(site: str) -> Spectrometer:
    """The instrument that stands at a site. It does not depend on the seed: it belongs to the building."""
    draws = Stream(0, "spectrometer", site).normals(0, 4)
    return Spectrometer(
        shift=float(2.0 * draws[0]), gain=float(np.exp(0.1 * draws[1])), tilt=float(0.1 * draws[2]), width=float(np.exp(0.08 * draws[3]))
    )


def spectra(
    concentrations: Mapping[str, Floats],
    *,
    instrument: Spectrometer,
    seed: int,
    batches: Sequence[str],
    index: Floats,
    age_h: Floats,
    lots: Sequence[str] | None = None,
    exposure: float = 1.0,
) -> Floats:
    """One spectrum for each row, (rows, channels): g/L of glucose, lactate and product, 1e9/L of cells; what is not named is not there.

    `index` numbers a batch's spectra; `exposure` is the time of one in units of the usual one.
    """
    rows = len(batches)
    if unknown := sorted(set(concentrations) - set(BANDS)):
        raise NotFound(f"no band of {unknown[0][:60]}", why="nothing of that name scatters here", possible=", ".join(BANDS))
    given = {name: np.asarray(each, dtype=np.float64) for name, each in concentrations.items()}
    ages, numbers = np.asarray(age_h, dtype=np.float64), np.asarray(index)
    if any(each.shape != (rows,) for each in (*given.values(), ages, numbers)) or not exposure > 0:
        raise NotValid("cannot make spectra", why=f"every concentration, age and number must have one entry for each of the {rows} rows")
    present = [*given, *(["medium"] if "medium" not in given else [])]
    shapes, background, glow = _drawn(instrument)
    medium, bright = _of_lots(lots or ["MEDIUM-1"] * rows)
    held = np.column_stack([given.get(name, MEDIUM * medium) for name in present])
    unique = {batch: at for at, batch in enumerate(dict.fromkeys(batches))}
    lanes = Dice.of(seed, [("raman", batch) for batch in unique])[np.array([unique[batch] for batch in batches], dtype=np.intp)]
    fluoresces = bright * (1.0 + GLOW_PER_WEEK * ages / 168.0) * np.exp(GLOW_SD * lanes.normals(numbers, purpose=GLOW))
    dissolved = sum((given[name] for name in ("glucose", "lactate", "product") if name in given), np.zeros(rows))
    counts: Floats = held @ np.array([shapes[name] for name in present])
    counts += (background + fluoresces[:, None] * glow) * (1.0 + CROWDING * dissolved)[:, None]
    channel = np.arange(len(CHANNELS))
    noise = lanes[:, None].normals(numbers[:, None] * len(CHANNELS) + channel, purpose=NOISE)
    counts += noise * np.sqrt(np.maximum(counts, 0.0) / exposure)
    _add_rays(counts, lanes, numbers)
    return counts


def _drawn(instrument: Spectrometer) -> tuple[dict[str, Floats], Floats, Floats]:
    """Every band, the background of water and glass, and the fluorescence, as this instrument sees them."""
    real = CHANNELS - instrument.shift
    gain = instrument.gain * (1.0 + instrument.tilt * (CHANNELS - 1300.0) / 1800.0)
    shapes = {
        name: gain * sum((height / (1.0 + ((real - at) / (width * instrument.width)) ** 2) for at, height, width in bands), np.zeros(len(real)))
        for name, bands in BANDS.items()
    }
    water = WATER * np.exp(-0.5 * ((real - 1640.0) / 60.0) ** 2) + GLASS * (
        0.5 * np.exp(-0.5 * ((real - 480.0) / 60.0) ** 2) + 0.3 * np.exp(-0.5 * ((real - 800.0) / 50.0) ** 2) + 0.3
    )
    glow = FLUORESCENCE * np.exp(-((real - 400.0) / 1400.0)) * (1.0 + 0.2 * np.sin(real / 420.0))
    return shapes, gain * water, gain * glow


def _of_lots(lots: Sequence[str]) -> tuple[Floats, Floats]:
    """How much of the medium's own bands and of its fluorescence each row's lot has."""
    known = {lot: Stream(0, "raman lot", lot).normals(0, 2) for lot in dict.fromkeys(lots)}
    draws = np.array([known[lot] for lot in lots])
    return np.exp(LOT_SD * draws[:, 0]), np.exp(LOT_SD * draws[:, 1])


def _add_rays(counts: Floats, lanes: Dice, numbers: Floats) -> None:
    struck = np.flatnonzero(lanes.uniforms(4 * numbers, purpose=RAY) < RAYS)
    if struck.size:
        where = lanes[struck].integers(4 * numbers[struck] + 1, below=len(CHANNELS) - 1, purpose=RAY)
        height = RAY_COUNTS * lanes[struck].uniforms(4 * numbers[struck] + 2, purpose=RAY)
        counts[struck, where] += height
        counts[struck, where + 1] += 0.4 * height
