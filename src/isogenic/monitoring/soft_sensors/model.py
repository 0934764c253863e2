"""A soft sensor as it is released: frozen, with a digest that whatever it says carries.

The bytes are one line naming the format and its version, one line of canonical JSON, the arrays as little-endian
float64, and the SHA-256 of all that; the *digest* is the SHA-256 of the whole file.

Guarantees: the same sensor gives the same bytes; altered bytes are refused (`NotTrusted`), bytes of an unknown version
or that make no sense are `NotValid`. A prediction says how far it can be believed: an interval with a stated coverage,
and whether the spectrum is one of the kind that the sensor was calibrated on.
Leaves to others: fitting, transfer, drift (their modules), who may release it.

The interval is `t * sqrt(rmse^2 * (1 + leverage) + line^2)`: `rmse` is the error of batches that were left out of the
calibration, `line` what is not known of the slope and bias by which the answer was corrected on another instrument. The
errors of one batch go together, so what differs between batches has as many degrees of freedom as there were batches
less one, what differs within them as many as there were rows besides (Satterthwaite 1946, Biometrics Bull. 2:110).
It is the interval of a sample's result: samples have errors of their own, and of the truth it holds somewhat more.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from isogenic.errors import NotTrusted, NotValid
from isogenic.monitoring.soft_sensors.preprocessing import Preprocessing
from isogenic.monitoring.soft_sensors.regression import Regression
from isogenic.monitoring.tables import Floats
from isogenic.records import codec

__all__ = ["LATENT_MAX", "CrossValidation", "Prediction", "SoftSensor", "Transfer"]

FORMAT, VERSION, DIGEST_BYTES = b"isogenic soft sensor ", 1, 32
CHANNELS_MAX, LATENT_MAX, WINDOW_MAX = 20_000, 40, 101


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """What batches that were left out in turn said of the sensor."""

    batches: tuple[str, ...]
    groups: int  # how many times some were left out
    rmse: tuple[float, ...]  # with 1, 2, ... latent variables
    error: float  # root mean square error with those chosen; batches count alike
    batch_error: float  # standard deviation of a batch's mean error
    bias: float


@dataclass(frozen=True, slots=True, eq=False)
class Transfer:
    """How spectra of another instrument are made into those of the first, and what is still done to the answer."""

    parent: str  # digest of the sensor that was transferred
    site: str
    standards: int
    channels: Floats  # (p, 2 w + 1): each first channel from a window of the other's; empty: nothing is done
    offset: Floats  # (p,) or empty
    slope: float = 1.0
    bias: float = 0.0
    error: float = 0.0  # after, by standards that were left out or by samples; 0: too few to tell
    line: tuple[float, ...] = ()  # SD of the corrected answer at its centre, SD of its slope, and that centre, before correction

    def doubt(self, said: Floats) -> Floats:
        """The variance of what slope and bias make of an answer."""
        if not self.line:
            return np.zeros(len(said))
        level, slope, centre = self.line
        return np.asarray(level**2 + np.square(slope * (said - centre)))

    @property
    def half(self) -> int:
        """Channels to either side."""
        return self.channels.shape[1] // 2 if self.channels.size else 0

    def __call__(self, spectra: Floats) -> Floats:
        """Treated spectra as the first instrument would have given them."""
        if not self.channels.size:
            return spectra
        wide = np.pad(spectra, ((0, 0), (self.half, self.half)), mode="edge")
        out = np.broadcast_to(self.offset, spectra.shape).copy()
        for at in range(self.channels.shape[1]):
            out += wide[:, at : at + spectra.shape[1]] * self.channels[:, at]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a sensor says of rows: value, interval, and whether it may be believed."""

    value: Floats
    low: Floats
    high: Floats
    t2: Floats  # Hotelling's, in units of its limit: above 1 the spectrum lies outside what was calibrated
    q: Floats  # residual, in units of its limit: above 1 there is something in it that was never seen
    sensor: str  # digest
    coverage: float

    @property
    def applicable(self) -> NDArray[np.bool_]:
        """Where the spectrum is of the kind that the sensor knows."""
        inside: NDArray[np.bool_] = (self.t2 <= 1.0) & (self.q <= 1.0)
        return inside


@dataclass(frozen=True, slots=True, eq=False)
class SoftSensor:
    """One quantity from spectra."""

    name: str
    quantity: str
    unit: str
    channels: tuple[float, ...]  # wave numbers
    preprocessing: Preprocessing
    regression: Regression
    validation: CrossValidation
    t2_limit: float
    q_limit: float
    low: float  # least and greatest calibrated value
    high: float
    transfer: Transfer | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        for array in _arrays(self):
            array.flags.writeable = False
        object.__setattr__(self, "digest", hashlib.sha256(self.to_bytes()).hexdigest())

    @property
    def error(self) -> float:
        """Root mean square error on batches that were left out; on the other instrument, where it is larger there."""
        return max(self.validation.error, self.transfer.error if self.transfer else 0.0)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the error: one less than there were batches where batches differ, more where rows of a batch do."""
        found, rows = self.validation, self.regression.rows
        between = min(found.batch_error**2, found.error**2)
        batches = len(found.batches)
        spread = between**2 / max(batches - 1, 1) + (found.error**2 - between) ** 2 / max(rows - batches, 1)
        return max(1.0, float(found.error**4 / spread))

    def predict(self, spectra: Floats, *, coverage: float = 0.95) -> Prediction:
        """The quantity in rows of spectra over this sensor's channels; NaN where a spectrum has gaps."""
        if spectra.ndim != 2 or spectra.shape[1] != len(self.channels):
            raise NotValid(f"cannot use {self.name}", why=f"it has {len(self.channels)} channels, the spectra {spectra.shape[-1]}")
        if not 0.0 < coverage < 1.0:
            raise NotValid(f"cannot state a coverage of {coverage}", why="it lies between 0 and 1")
        rows = self.preprocessing(spectra)
        if self.transfer is not None:
            rows = self.transfer(rows)
        scores = self.regression.scores(rows)
        value = self.regression.level + scores @ self.regression.answers
        variance = self.error**2 * (1.0 + 1.0 / self.regression.rows + np.square(scores).sum(axis=1))
        if self.transfer is not None:
            variance = variance + self.transfer.doubt(value)
            value = self.transfer.slope * value + self.transfer.bias
        half = float(student.ppf(0.5 + coverage / 2.0, self.freedom)) * np.sqrt(variance)
        t2 = (self.regression.rows - 1) * np.square(scores).sum(axis=1) / self.t2_limit
        q = residual(self.regression, rows, scores) / self.q_limit
        return Prediction(value, value - half, value + half, t2, q, self.digest, coverage)

    def to_bytes(self) -> bytes:
        """The sensor's file."""
        moved = self.transfer
        header = _Header(
            self.name,
            self.quantity,
            self.unit,
            self.channels,
            self.preprocessing,
            self.regression.latent,
            self.regression.rows,
            self.regression.level,
            self.validation,
            (self.t2_limit, self.q_limit, self.low, self.high),
            _Moved(
                moved.parent, moved.site, moved.standards, moved.half if moved.channels.size else -1, moved.slope, moved.bias, moved.error, moved.line
            )
            if moved
            else None,
        )
        content = codec.plain(header)
        if moved and not moved.line:  # as it was written before there was one: the same sensor gives the same bytes
            del content["moved"]["line"]
        body = b"".join(np.ascontiguousarray(array, dtype="<f8").tobytes() for array in _arrays(self))
        data = FORMAT + str(VERSION).encode() + b"\n" + codec.dumps(content) + b"\n" + body
        return data + hashlib.sha256(data).digest()

    @classmethod
    def from_bytes(cls, data: bytes, *, digest: str | None = None) -> SoftSensor:
        """Read a sensor's file. With a `digest` it must be that very sensor."""
        if len(data) <= DIGEST_BYTES:
            raise NotValid("cannot read a soft sensor", why="the bytes are not one")
        if hashlib.sha256(data[:-DIGEST_BYTES]).digest() != data[-DIGEST_BYTES:]:
            raise NotTrusted("cannot use this soft sensor", why="its bytes were altered or cut short, or never were one", possible="fetch it again")
        if digest is not None and hashlib.sha256(data).hexdigest() != digest:
            raise NotTrusted("cannot use this soft sensor", why=f"it is not the one with digest {digest[:16]}")
        return _parsed(data[:-DIGEST_BYTES])


def residual(regression: Regression, rows: Floats, scores: Floats) -> Floats:
    """What of each row the latent variables do not hold, squared."""
    # A score has unit sum of squares over the rows, so a row is its scores times the loadings.
    left = rows - regression.mean - scores @ regression.loadings.T
    squares: Floats = np.square(left).sum(axis=1)
    return squares


@dataclass(frozen=True, slots=True)
class _Moved:
    parent: str
    site: str
    standards: int
    half: int  # -1: the spectra stay as they are
    slope: float
    bias: float
    error: float
    line: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    quantity: str
    unit: str
    channels: tuple[float, ...]
    preprocessing: Preprocessing
    latent: int
    rows: int
    level: float
    validation: CrossValidation
    limits: tuple[float, ...]
    moved: _Moved | None


def _arrays(sensor: SoftSensor) -> tuple[Floats, ...]:
    inner = sensor.regression
    moved = (sensor.transfer.channels, sensor.transfer.offset) if sensor.transfer else ()
    return (inner.mean, inner.weights, inner.loadings, inner.answers, *moved)


def _parsed(data: bytes) -> SoftSensor:
    what = "cannot read a soft sensor"
    first, _, rest = data.partition(b"\n")
    if not first.startswith(FORMAT):
        raise NotValid(what, why="the bytes are not one")
    if first != FORMAT + str(VERSION).encode():
        raise NotValid(what, why=f"version {first[len(FORMAT) :][:20]!r} is not known", possible=f"version {VERSION}")
    text, _, body = rest.partition(b"\n")
    header = codec.read(_Header, codec.loads(text, what="a soft sensor"), what="sensor")
    p, a, moved = len(header.channels), header.latent, header.moved
    if not (5 <= p <= CHANNELS_MAX and 1 <= a <= LATENT_MAX and header.rows > a and len(header.limits) == 4 and header.validation.batches):
        raise NotValid(what, why="its sizes make no sense")
    if moved and not (-1 <= moved.half <= WINDOW_MAX // 2 and moved.standards >= 1 and len(moved.line) in (0, 3)):
        raise NotValid(what, why="its transfer makes no sense")
    shapes: list[tuple[int, ...]] = [(p,), (p, a), (p, a), (a,)]
    if moved:
        shapes += [(p, 2 * moved.half + 1), (p,)] if moved.half >= 0 else [(0, 1), (0,)]
    if len(body) != 8 * sum(math.prod(shape) for shape in shapes):
        raise NotValid(what, why="its arrays are of another size than it says")
    flat = np.frombuffer(body, dtype="<f8").astype(np.float64)
    numbers = (header.level, *header.limits, header.validation.error, *((moved.slope, moved.bias, moved.error, *moved.line) if moved else ()))
    if not (np.isfinite(flat).all() and all(map(math.isfinite, numbers)) and min(header.limits[0], header.limits[1], header.validation.error) > 0):
        raise NotValid(what, why="a limit is not above 0, or a number is not finite")
    arrays, start = [], 0
    for shape in shapes:
        arrays.append(flat[start : start + math.prod(shape)].reshape(shape).copy())
        start += math.prod(shape)
    regression = Regression(arrays[0], header.level, arrays[1], arrays[2], arrays[3], header.rows)
    transfer = None
    if moved:
        transfer = Transfer(moved.parent, moved.site, moved.standards, arrays[4], arrays[5], moved.slope, moved.bias, moved.error, moved.line)
    return SoftSensor(
        header.name,
        header.quantity,
        header.unit,
        header.channels,
        header.preprocessing,
        regression,
        header.validation,
        *header.limits,
        transfer=transfer,
    )
