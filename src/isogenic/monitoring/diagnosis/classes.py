"""Classes: which known fault an alarm resembles, how sure that is, and "none known" as an honest answer.

A fault's *signature* is the direction in which it takes the readings: their scaled deviations, averaged over the newest
readings, brought to length 1. Of each known fault some examples are given. Around the mean direction of each class examples
scatter (von Mises and Fisher, one concentration for all), and

    none known   the signature is further from the nearest class than nearly all of its examples are when they are left out
    undecided    it is near to several: the likeliest has less than the stated confidence

Guarantees: the same examples in the same order give the same bytes; examples that were altered are refused. Confidence is
kept: it is calibrated on examples that were left out in turn, never on those that the class was learnt from.
Leaves to others: which faults there are, and making examples of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from isogenic.errors import NotTrusted, NotValid
from isogenic.monitoring.tables import Floats
from isogenic.records import codec

__all__ = ["NONE_KNOWN", "UNDECIDED", "Library", "Resemblance", "direction", "learn"]

FORMAT = b"isogenic fault library 1\n"
DIGEST_BYTES = 32
NONE_KNOWN, UNDECIDED = "none known", "undecided"
EXAMPLES_MIN, CLASSES_MAX, EXAMPLES_MAX = 3, 200, 100_000
ACCEPTED = 0.99  # of new examples are accepted as something known
CONFIDENCE = 0.7
KAPPA_MIN, KAPPA_MAX = 1.0, 1e4
FARTHEST = 1.2  # radians: what points further aside resembles nothing
SHORT = 1e-9


@dataclass(frozen=True, slots=True)
class Resemblance:
    """What an alarm resembles. `name` may be "none known" or "undecided"; `likeliest` is then still the nearest."""

    name: str
    confidence: float  # of the likeliest, among all that are known
    likeliest: str
    cosine: float  # to the likeliest: 1 is the very direction
    accepted: float  # cosine to it below which it is not that


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """Known faults of one model: their mean directions float64[classes, p], unit length."""

    model: str  # digest
    names: tuple[str, ...]
    directions: Floats
    kappa: float
    accepted: tuple[float, ...]  # of each: the cosine that nearly all of its examples reach
    confidence: float
    examples: tuple[int, ...]
    correct: float  # share of the examples that were named rightly when left out

    def resembles(self, signature: Floats) -> Resemblance:
        """Which of them a signature resembles; the signature is float64[p], of any length."""
        size = float(np.linalg.norm(signature))
        if not np.isfinite(size) or size < SHORT:
            return Resemblance(NONE_KNOWN, 0.0, "", 0.0, 1.0)
        cosines = self.directions @ (signature / size)
        weights = np.exp(self.kappa * (cosines - cosines.max()))
        best = int(np.argmax(cosines))
        share = float(weights[best] / weights.sum())
        return Resemblance(self.named(cosines), share, self.names[best], float(cosines[best]), self.accepted[best])

    def named(self, cosines: Floats) -> str:
        """The answer to cosines with every class."""
        weights = np.exp(self.kappa * (cosines - cosines.max()))
        best = int(np.argmax(cosines))
        if cosines[best] < self.accepted[best]:
            return NONE_KNOWN
        return self.names[best] if weights[best] / weights.sum() >= self.confidence else UNDECIDED

    def to_bytes(self) -> bytes:
        """The library's file."""
        header = _Header(self.model, self.names, self.kappa, self.accepted, self.confidence, self.examples, self.correct)
        data = FORMAT + codec.dumps(codec.plain(header)) + b"\n" + np.ascontiguousarray(self.directions, dtype="<f8").tobytes()
        return data + hashlib.sha256(data).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> Library:
        """Read a library's file; altered bytes are refused."""
        what = "cannot read a fault library"
        if len(data) <= DIGEST_BYTES or not data.startswith(FORMAT):
            raise NotValid(what, why="the bytes are not one")
        if hashlib.sha256(data[:-DIGEST_BYTES]).digest() != data[-DIGEST_BYTES:]:
            raise NotTrusted(what, why="its bytes were altered or cut short", possible="fetch it again")
        text, _, body = data[len(FORMAT) : -DIGEST_BYTES].partition(b"\n")
        header = codec.read(_Header, codec.loads(text, what="a fault library"), what="fault library")
        count = len(header.names)
        if not 1 <= count <= CLASSES_MAX or len(header.examples) != count or len(header.accepted) != count or len(body) % (8 * count) or not body:
            raise NotValid(what, why="its sizes make no sense")
        directions = np.frombuffer(body, dtype="<f8").astype(np.float64).reshape(count, -1)
        if not np.isfinite(directions).all() or not KAPPA_MIN <= header.kappa <= KAPPA_MAX:
            raise NotValid(what, why="a number of it makes no sense")
        return cls(header.model, header.names, directions, header.kappa, header.accepted, header.confidence, header.examples, header.correct)


@dataclass(frozen=True, slots=True)
class _Header:
    model: str
    names: tuple[str, ...]
    kappa: float
    accepted: tuple[float, ...]
    confidence: float
    examples: tuple[int, ...]
    correct: float


def direction(signature: Floats) -> Floats:
    """A signature at length 1; zeros where it has none."""
    size = np.linalg.norm(signature, axis=-1, keepdims=True)
    out: Floats = np.where(size > SHORT, signature / np.maximum(size, SHORT), 0.0)
    return out


def learn(model: str, examples: Mapping[str, Sequence[Floats]], *, confidence: float = CONFIDENCE) -> Library:
    """A library of known faults of the model with this digest, from the signatures of some examples of each."""
    if not 1 <= len(examples) <= CLASSES_MAX or not 0.0 < confidence < 1.0:
        raise NotValid("cannot learn faults", why=f"there are 1 to {CLASSES_MAX} of them, and confidence lies between 0 and 1")
    stacks = {}
    for name, each in examples.items():
        if not EXAMPLES_MIN <= len(each) <= EXAMPLES_MAX:
            raise NotValid(f"cannot learn {name[:60]}", why=f"{len(each)} examples are too few or too many", possible=f"at least {EXAMPLES_MIN}")
        if not name or name in (NONE_KNOWN, UNDECIDED):
            raise NotValid("cannot learn a fault", why=f"{name!r} is not a name of one")
        rows = [np.asarray(one, dtype=np.float64) for one in each]
        stack = direction(np.array(rows)) if len({row.shape for row in rows}) == 1 else np.empty(0)
        if stack.ndim != 2 or not np.isfinite(rows).all():
            raise NotValid(f"cannot learn {name[:60]}", why="its signatures are not rows of finite numbers of one length")
        stacks[name] = stack
    if len({stack.shape[1] for stack in stacks.values()}) != 1:
        raise NotValid("cannot learn faults", why="their signatures are of unlike lengths")
    names = tuple(stacks)
    sums = np.array([stack.sum(axis=0) for stack in stacks.values()])
    directions = direction(sums)
    left_out, own = _left_out(stacks, sums)
    kappa = _concentration(left_out[np.arange(len(own)), own], dimensions=directions.shape[1])
    accepted = tuple(_reach(left_out[[at for at, mine in enumerate(own) if mine == each], each]) for each in range(len(names)))
    found = Library(model, names, directions, kappa, accepted, confidence, tuple(map(len, stacks.values())), 0.0)
    named = [found.named(row) == names[at] for row, at in zip(left_out, own, strict=True)]
    return Library(model, names, directions, kappa, accepted, confidence, found.examples, float(np.mean(named)))


def _left_out(stacks: Mapping[str, Floats], sums: Floats) -> tuple[Floats, list[int]]:
    """Each example's cosine to every class, its own learnt without it: float64[examples, classes], and which class is its own."""
    rows, own = [], []
    for at, stack in enumerate(stacks.values()):
        for example in stack:
            without = sums.copy()
            without[at] -= example
            rows.append(direction(without) @ example)
            own.append(at)
    return np.array(rows), own


def _reach(cosines: Floats) -> float:
    """The cosine that nearly all new examples reach, by Student's t on the angles of those that were left out."""
    angles, n = np.arccos(np.clip(cosines, -1.0, 1.0)), len(cosines)
    reach = float(stdtrit(n - 1, ACCEPTED)) * np.sqrt(1.0 + 1.0 / n)
    return float(np.cos(min(angles.mean() + reach * angles.std(ddof=1), FARTHEST)))


def _concentration(cosines: Floats, *, dimensions: int) -> float:
    """Of directions around their mean (Banerjee and others 2005), from cosines to a mean that was learnt without them."""
    r = float(np.clip(cosines.mean(), 1e-3, 0.9999))
    return float(np.clip(r * (dimensions - r * r) / (1.0 - r * r), KAPPA_MIN, KAPPA_MAX))
