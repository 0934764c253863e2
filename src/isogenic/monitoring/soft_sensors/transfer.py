"""A soft sensor calibrated on one site's instrument, used on another's.

Guarantees: what comes out is another sensor, with the first's digest in it and a digest of its own; the first is unchanged.
Leaves to others: who may release it, and drift after.

`standardise` needs the same standards measured on both instruments. Piecewise direct standardisation (Wang, Veltkamp &
Kowalski 1991, Anal. Chem. 63, 2750): each channel of the first instrument is regressed on a window of the second's.
Shift, gain and resolution all fit into a window. Few standards hold few directions: what is regressed is the difference
from a common gain, on the principal components of the window that stand out of the noise, so that where the standards
say nothing a channel stays what it is. It is done on spectra as they are regressed (derivative, SNV): on raw ones the
background, a hundred times a band, would carry every small error of a channel's window into the answer. What is left is
told by standards left out in turn, and widens the interval.
`corrected` needs reference values only: a slope and a bias of the answer, or the bias alone where fewer than four
samples cannot tell a slope. What so few samples leave open of both widens the interval: the error of batches left out (or
of these samples, where it is larger) over their number, and what differs between batches over the number of theirs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.signal import savgol_coeffs, savgol_filter

from isogenic.errors import NotValid
from isogenic.monitoring.soft_sensors.fitting import Spectra
from isogenic.monitoring.soft_sensors.model import WINDOW_MAX, SoftSensor, Transfer
from isogenic.monitoring.soft_sensors.preprocessing import Preprocessing, despiked
from isogenic.monitoring.tables import Floats, present

__all__ = ["STANDARDS_MIN", "corrected", "standardise"]

STANDARDS_MIN = 3
FOLDS = 4  # in which standards are left out in turn
SLOPE_SAMPLES_MIN = 4
SLOPES = (0.5, 2.0)  # beyond, the instrument is broken, not different
ABOVE_NOISE = 4.0  # times the largest variance that noise alone would give a window


def standardise(sensor: SoftSensor, first: Floats, second: Floats, *, site: str, half: int = 8) -> SoftSensor:
    """The sensor for the second instrument, from standards measured on both, row by row the same."""
    p = len(sensor.channels)
    if first.shape != second.shape or first.shape[1:] != (p,):
        raise NotValid(f"cannot transfer {sensor.name}", why=f"standards are {first.shape} and {second.shape}; both must be rows of {p} channels")
    whole = present(first).all(axis=1) & present(second).all(axis=1)
    first, second = first[whole], second[whole]
    if len(first) < STANDARDS_MIN or not 0 <= half <= WINDOW_MAX // 2:
        raise NotValid(
            f"cannot transfer {sensor.name}",
            why=f"{len(first)} whole standards with a window of {half}",
            possible=f"at least {STANDARDS_MIN} standards",
        )
    if sensor.transfer is not None:
        raise NotValid(f"cannot transfer {sensor.name}", why="it is a transferred one", possible="transfer the sensor that it came from")
    noise = _noise(second, sensor.preprocessing)
    first, second = sensor.preprocessing(first), sensor.preprocessing(second)
    channels, offset = _bridge(first, second, half=half, noise=noise)
    moved = Transfer(sensor.digest, site, len(first), channels, offset)
    return replace(sensor, transfer=replace(moved, error=_left_out(sensor, first, second, moved, noise=noise)))


def _bridge(first: Floats, second: Floats, *, half: int, noise: Floats) -> tuple[Floats, Floats]:
    """Each channel of the first, from a window of the second: weights and offsets."""
    p = first.shape[1]
    centre_first, centre_second = first.mean(axis=0), second.mean(axis=0)
    one, two = first - centre_first, np.pad(second - centre_second, ((0, 0), (half, half)), mode="edge")
    width = 2 * half + 1
    windows = np.lib.stride_tricks.sliding_window_view(two, width, axis=1).transpose(1, 0, 2)  # (p, standards, width)
    left, sizes, right = np.linalg.svd(windows, full_matrices=False)
    middle = two[:, half : half + p]
    gain = float((one * middle).sum()) / max(float(np.square(middle).sum()), 1e-300)
    edge = (np.sqrt(len(second)) + np.sqrt(width)) ** 2  # Marchenko and Pastur
    kept = np.square(sizes) > ABOVE_NOISE * edge * noise[:, None]
    inverse = np.where(kept, 1.0 / np.where(kept, sizes, 1.0), 0.0)
    projected = np.einsum("pnk,np->pk", left, one - gain * middle)
    channels = np.einsum("pkw,pk->pw", right, inverse * projected)
    channels[:, half] += gain
    at = np.clip(np.arange(p)[:, None] + np.arange(-half, half + 1), 0, p - 1)
    return channels, centre_first - np.sum(channels * centre_second[at], axis=1)


def _left_out(sensor: SoftSensor, first: Floats, second: Floats, moved: Transfer, *, noise: Floats) -> float:
    """The sensor's error with what standards that were left out differ by; 0 where they are too few to tell."""
    fold = np.arange(len(first)) % FOLDS
    if len(first) - np.bincount(fold).max() < STANDARDS_MIN:
        return 0.0
    off = []
    for at in range(FOLDS):
        channels, offset = _bridge(first[fold != at], second[fold != at], half=moved.half, noise=noise)
        said = sensor.regression.predict(replace(moved, channels=channels, offset=offset)(second[fold == at]))
        off.append(said - sensor.regression.predict(first[fold == at]))
    return float(np.hypot(sensor.validation.error, np.sqrt(np.mean(np.square(np.concatenate(off))))))


def _noise(rows: Floats, preprocessing: Preprocessing) -> Floats:
    """The variance of the noise around each channel after preprocessing: what second differences leave of a smooth curve, carried through."""
    rows = despiked(rows)
    around = np.mean(np.square(np.diff(rows, 2, axis=1)), axis=0) / 6.0  # 1 + 4 + 1 times the noise's
    found = np.convolve(np.pad(around, 11, mode="edge"), np.ones(21) / 21.0, mode="valid") + 1e-300
    if preprocessing.window:
        taps = savgol_coeffs(preprocessing.window, preprocessing.order, deriv=preprocessing.derivative)
        rows = savgol_filter(rows, preprocessing.window, preprocessing.order, deriv=preprocessing.derivative, axis=1)
        found = found * float(taps @ taps) * min(preprocessing.window, 5)  # and neighbours go together
    if preprocessing.snv:
        found = found / float(np.mean(rows.var(axis=1)))
    return np.asarray(found, dtype=np.float64)


def corrected(sensor: SoftSensor, samples: Spectra, *, site: str) -> SoftSensor:
    """The sensor with its answers corrected by a few samples with reference values, measured on the instrument that it will be used on."""
    rows = samples.sampled()
    if rows.channels != sensor.channels:
        raise NotValid(f"cannot correct {sensor.name}", why="the samples have other channels")
    n = len(rows.batches)
    if n < 2:
        raise NotValid(f"cannot correct {sensor.name}", why=f"{n} samples are too few", possible="at least 2")
    before = sensor.transfer or Transfer(sensor.digest, site, n, np.empty((0, 1)), np.empty(0))
    plain = replace(sensor, transfer=replace(before, slope=1.0, bias=0.0, line=()))
    said = plain.predict(rows.values).value
    slope = 1.0
    varies = float(np.square(said - said.mean()).sum())
    if n >= SLOPE_SAMPLES_MIN and varies > 0:
        slope = float((said - said.mean()) @ (rows.reference - rows.reference.mean())) / varies
        if not SLOPES[0] <= slope <= SLOPES[1]:
            raise NotValid(
                f"cannot correct {sensor.name}", why=f"a slope of {slope:.2f} is no difference between instruments", possible="look at the instrument"
            )
    bias = float(rows.reference.mean() - slope * said.mean())
    off = slope * said + bias - rows.reference
    freedom = n - (2 if slope != 1.0 else 1)
    error = float(np.sqrt(np.square(off).sum() / freedom)) if freedom >= SLOPE_SAMPLES_MIN else before.error
    own = max(sensor.validation.error, error)
    level = float(np.hypot(own / np.sqrt(n), sensor.validation.batch_error / np.sqrt(len(set(rows.batches)))))
    line = (level, own / float(np.sqrt(varies)) if slope != 1.0 else 0.0, float(said.mean()))
    return replace(sensor, transfer=replace(before, slope=slope, bias=bias, error=error, line=line))
