"""A twin that follows a running batch: what the site's node has kept of it, and the twin that is nearest to it.

Guarantees: the node's files are opened for reading only, while it runs; sealed blocks are hashed before they are used, and
what is not sealed yet is read from the node's buffer. The twin runs along the batch's own settings, as far as they were
read (`run_with`). Cost is bounded: so many readings, so many evaluations, and nothing is worked
out while nothing new was read. A batch that cannot be followed says why.
Leaves to others: the page (`sim.pages.following`), how constants are estimated (`estimation`).

A single batch cannot tell a site's part from its own, so its constants are followed with priors: the process's own spreads
of site, lot and batch together (**illustrative**); constants that are not followed scatter as they do.
Ages count from the first reading with cells in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pyarrow as pa

from isogenic.errors import NotFound, NotReachable, NotValid, Refusal
from isogenic.plant.model import SitePlant, Unit
from isogenic.plant.readings import Quality
from isogenic.records import codec
from isogenic.records.blocks import QUALITY, open_file
from isogenic.records.catalogue import BlockFile, Catalogue
from isogenic.sim.fitting.cautions import cautions_of
from isogenic.sim.fitting.comparison import Comparison, compared
from isogenic.sim.fitting.estimation import Method, Stopping, estimate
from isogenic.sim.fitting.problem import Batch, Problem, priors_of, scatter_of
from isogenic.sim.fitting.result import Fit, fit_of
from isogenic.sim.fitting.run_with import SETPOINTS, run_with
from isogenic.sim.processes.process import Floats, Process
from isogenic.sites.readings import HOUSE

__all__ = ["Followed", "Follower", "Recorded", "inoculated_at"]

CELLS = 0.2  # 1e6/mL: a reading above it is of a culture, not of medium
IN_A_ROW = 3
HOT_ROWS_MAX = 20_000
BLOCK_ROWS_MAX = 400  # of a sealed block that are kept; older ones are thinned evenly
POINTS_MAX = 60  # ages of a batch that are compared
AGES_MIN = 6
HOUR_MS = 3_600_000.0
BOUNDED = Stopping(rounds=5, evaluations=8)
# A culture's own readings: what controllers hold, and what pumps weigh, tells nothing of its constants.
METHOD = Method(profiles=False, scatter_is="given")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was kept of one batch on one unit: rows in the order of time, NaN where a reading was bad."""

    batch: str
    unit: str
    at: Floats  # milliseconds since 1970
    values: Mapping[str, Floats]  # by signal


@dataclass(frozen=True, slots=True)
class Followed:
    """A batch beside its twin, or why not."""

    batch: str
    unit: str
    age_h: float
    rows: int
    why: str = ""
    fit: Fit | None = None
    comparison: Comparison | None = None
    settings: Mapping[str, float] = field(default_factory=dict)
    unsure: Mapping[str, float] = field(default_factory=dict)  # by setting that a probe has read: SD of its error
    cautions: tuple[str, ...] = ()


class Follower:
    """One site's batches, looked at again and again."""

    def __init__(self, folder: Path, plant: SitePlant, process: Process, *, constants: Sequence[str], batch: str = "") -> None:
        if not folder.is_dir():
            raise NotFound(f"cannot follow {folder}", why="there is no such folder", possible="a site node's folder")
        for name in constants:
            if name not in process.constants:
                raise NotFound(
                    f"no constant {name[:60]}", why=f"the process {process.name} has none of that name", possible=", ".join(process.constants)[:600]
                )
        self.folder, self.plant, self.process = folder, plant, process
        self.constants, self.batch = tuple(constants), batch
        self._blocks: dict[str, tuple[Floats, dict[str, Floats]]] = {}
        self._last: Followed | None = None
        self._key: tuple[object, ...] = ()
        self._begin: Floats | None = None

    def look(self) -> Followed:
        """The batch beside its twin, as far as it is kept now."""
        try:
            recorded = self._recorded()
            key = (recorded.batch, len(recorded.at), float(recorded.at[-1]))
            if self._last is None or key != self._key:
                self._last, self._key = self._follow(recorded), key
            return self._last
        except Refusal as refused:
            return Followed(self.batch, "", 0.0, 0, why=str(refused))

    def _follow(self, recorded: Recorded) -> Followed:
        unit = next(each for each in self.plant.units.values() if str(each.id) == recorded.unit)
        try:
            start = inoculated_at(recorded)
            batch, age = _batch(recorded, unit, self.process, start=start)
            variables = [name for name in batch.values if name not in SETPOINTS and not name.startswith(("feed_", "agitation"))]
            others = {name: cv for name, cv in scatter_of(self.process).items() if name not in self.constants}
            priors = priors_of(self.process, self.constants, batch=True)
            problem = Problem.of(self.process, [batch], constants=self.constants, scatter=others, variables=variables, priors=priors)
            found = fit_of(estimate(problem, method=METHOD, stopping=BOUNDED, begin=self._begin), method=METHOD)
        except Refusal as refused:
            return Followed(recorded.batch, recorded.unit, 0.0, len(recorded.at), why=str(refused))
        self._begin = None if found.doubt else found.solution.theta  # nothing begins at what means nothing
        beside = compared(found)[0]
        cautions = cautions_of(found, beside)
        return Followed(
            recorded.batch,
            recorded.unit,
            age,
            len(recorded.at),
            fit=found,
            comparison=beside,
            settings=batch.settings,
            unsure=batch.unsure,
            cautions=cautions,
        )

    def _recorded(self) -> Recorded:
        """Everything that is kept of the batch: sealed blocks, then what is not sealed yet."""
        catalogue = Catalogue.open(str(self.folder))
        hot = _hot(self.folder / "hot.sqlite", self.batch)
        sealed = [each for each in catalogue.blocks if each.sponsor]
        names = list(dict.fromkeys([*(each.about for each in sealed), *(stream for stream, _, _ in hot)]))
        if not names:
            raise NotFound("no batch to follow", why="the node has kept no readings of one yet")
        wanted = self.batch or (hot[-1][0] if hot else max(sealed, key=lambda each: str(each.last)).about)
        if wanted not in names:
            raise NotFound(f"no readings of {wanted[:60]}", why="the node has kept none", possible=", ".join(names)[:300])
        parts = [self._block(catalogue, each) for each in sealed if each.about == wanted]
        parts += [(at, values) for stream, at, values in hot if stream == wanted]
        if not parts:
            raise NotFound(f"no readings of {wanted[:60]}", why="the node has kept none yet")
        return _joined(wanted, parts, self.plant)

    def _block(self, catalogue: Catalogue, block: BlockFile) -> tuple[Floats, dict[str, Floats]]:
        if block.digest not in self._blocks:
            self._blocks[block.digest] = _columns(catalogue.data(block))
        return self._blocks[block.digest]


def inoculated_at(recorded: Recorded) -> float:
    """When cells were first read, some readings in a row: the batch's age begins there."""
    cells = recorded.values.get("viable_cells")
    if cells is None:
        raise NotValid(
            f"cannot follow {recorded.batch}", why=f"{recorded.unit} has no reading of viable cells, so nobody knows when it was inoculated"
        )
    there = np.flatnonzero(np.isfinite(cells))
    runs = np.convolve((cells[there] > CELLS).astype(np.intp), np.ones(IN_A_ROW, dtype=np.intp), mode="valid") == IN_A_ROW if len(there) else []
    if not np.any(runs):
        raise NotValid(f"cannot follow {recorded.batch} yet", why="no cells were read so far: it is not inoculated")
    return float(recorded.at[there[int(np.argmax(runs))]])


def _batch(recorded: Recorded, unit: Unit, process: Process, *, start: float) -> tuple[Batch, float]:
    """The batch as a problem has it, and its age."""
    since = recorded.at >= start
    age = (recorded.at[since] - start) / HOUR_MS
    values = {name: each[since] for name, each in recorded.values.items() if name in process.variables}
    settings, unsure = run_with(age, values, unit, process)
    grid = 1.0 if age[-1] <= POINTS_MAX else float(np.ceil(age[-1] / POINTS_MAX))
    kept: list[int] = []
    hours: list[float] = []
    for hour in np.arange(0.0, np.floor(age[-1]) + 0.5, grid):  # the reading nearest to each whole hour
        at = int(np.argmin(np.abs(age - hour)))
        if abs(age[at] - hour) <= 0.26 and (not kept or at > kept[-1]):
            kept.append(at)
            hours.append(hour)
    if len(kept) < AGES_MIN:
        raise NotValid(f"cannot follow {recorded.batch} yet", why=f"it has {len(kept)} readings at whole hours", possible=f"wait for {AGES_MIN}")
    read = {name: each[kept] for name, each in values.items() if np.isfinite(each[kept]).any()}
    return Batch(recorded.batch, recorded.unit, np.array(hours), read, settings, unsure=unsure), float(age[-1])


def _columns(data: bytes) -> tuple[Floats, dict[str, Floats]]:
    try:
        table = open_file(pa.BufferReader(data)).read(use_threads=False)
        at = table.column("at").cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy().astype(np.float64)
        every = max(1, -(-len(at) // BLOCK_ROWS_MAX))
        out = {}
        for tag in table.column_names:
            if tag.endswith(QUALITY) or tag + QUALITY not in table.column_names:
                continue
            good = table.column(tag + QUALITY).to_numpy() != Quality.BAD
            out[tag] = np.where(good, table.column(tag).to_numpy(), np.nan)[::every]
        return at[::every], out
    except (pa.ArrowException, KeyError, OSError, ValueError) as trouble:
        raise NotValid("cannot read a block of readings", why=str(trouble)[:120]) from trouble


def _hot(path: Path, batch: str) -> list[tuple[str, Floats, dict[str, Floats]]]:
    """What the node has not sealed yet, by batch and shape; the newest rows where there are very many."""
    if not path.is_file():
        return []
    try:
        database = apsw.Connection(f"file:{path}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            database.set_busy_timeout(2000)
            known = database.execute("SELECT id, columns FROM shape").fetchall()
            shapes = {number: codec.loads(str(columns).encode(), what="a shape")[0] for number, columns in known}
            sql = "SELECT stream, shape, at, vals, quality FROM reading WHERE stream NOT LIKE ? AND (? = '' OR stream = ?) ORDER BY at DESC LIMIT ?"
            rows = database.execute(sql, (f"{HOUSE}%", batch, batch, HOT_ROWS_MAX)).fetchall()[::-1]
        finally:
            database.close()
    except apsw.Error as trouble:
        raise NotReachable("cannot read the node's buffer", why=str(trouble)) from trouble
    groups: dict[tuple[str, int], list[Any]] = {}
    for stream, shape, at, values, quality in rows:
        groups.setdefault((str(stream), int(str(shape))), []).append((at, values, quality))
    out = []
    for (stream, shape), each in groups.items():
        tags = shapes[shape]
        values = np.frombuffer(b"".join(one[1] for one in each), dtype=np.float64).reshape(len(each), -1)
        bad = np.frombuffer(b"".join(one[2] for one in each), dtype=np.uint8).reshape(len(each), -1) == Quality.BAD
        values = np.where(bad, np.nan, values)
        out.append((stream, np.array([one[0] for one in each], dtype=np.float64), {tag: values[:, at] for at, tag in enumerate(tags)}))
    return out


def _joined(batch: str, parts: Sequence[tuple[Floats, Mapping[str, Floats]]], plant: SitePlant) -> Recorded:
    tags = [tag for _, values in parts for tag in values]
    unit = next((str(each) for each in plant.units if any(tag.startswith(f"{each}.") for tag in tags)), "")
    if not unit:
        raise NotFound(f"cannot follow {batch}", why="its readings are of no unit of the plant document", possible=", ".join(map(str, plant.units)))
    at = np.concatenate([each for each, _ in parts])
    order = np.argsort(at, kind="stable")
    order = order[np.concatenate([[True], np.diff(at[order]) > 0])]
    signals = dict.fromkeys(tag.removeprefix(f"{unit}.") for tag in tags if tag.startswith(f"{unit}."))
    values = {signal: np.concatenate([each.get(f"{unit}.{signal}", np.full(len(here), np.nan)) for here, each in parts])[order] for signal in signals}
    return Recorded(batch, unit, at[order], values)
