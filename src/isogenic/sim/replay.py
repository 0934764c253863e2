"""A recorded batch, run through a real site node with a real control site beside it.

The record's other batches are screened and the good ones become the reference model; the
batch itself is never among them. The control site publishes the model, the site watches
the batch with it row by row, notes what it finds, seals the readings, and the control site
witnesses every fact: what is left in the folder is a complete, verifiable record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isogenic.authority.people import Directory, NodeKeys, SiteEntry
from isogenic.batches import engine
from isogenic.clock import ManualClock
from isogenic.errors import NotFound, NotValid
from isogenic.ids import BatchId, LotId, ModuleId, NodeId, ProductId, RecipeId, SeededMint, SiteId, SponsorId, UnitId
from isogenic.materials.lots import LotCreated
from isogenic.monitoring.fitting import fit
from isogenic.monitoring.screening import screen
from isogenic.monitoring.tables import BatchTable, Variable, table_batches
from isogenic.network import decisions
from isogenic.network.control import CONTROL, ControlNode
from isogenic.plant.model import EquipmentClass, Module, Role, Signal, SignalClass, SitePlant, Unit
from isogenic.quality.deviations import DeviationOpened
from isogenic.recipes.model import ControlPhase, ControlRecipe, Then, digest_of
from isogenic.records.blobs import BlobStore
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.notes import COSIGNER, Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.sim.lines import DirectLine
from isogenic.sites.drivers.replay import ReplayDriver
from isogenic.sites.hot import HotBuffer
from isogenic.sites.node import SiteNode
from isogenic.sites.state import SiteState
from isogenic.units import Quantity

__all__ = ["Replayed", "replay"]

SITE, UNIT, SPONSOR, PRODUCT = SiteId("REPLAY"), UnitId("RECORDED"), SponsorId("RECORD"), ProductId("RECORDED")
EVERY_S = 60.0  # a row without a time of its own counts as one minute
ROWS_MAX = 5_000_000  # of a file: what fits the memory of a small machine


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of it."""

    batch: str
    rows: int
    signals: int
    good: int
    left_out: dict[str, str]
    judged: int
    not_judged: int
    deviations: tuple[DeviationOpened, ...]
    facts: dict[str, int] = field(default_factory=dict)
    witnessed: bool = False
    folder: str = ""

    def __str__(self) -> str:
        lines = [
            f"batch {self.batch}: {self.rows} rows of {self.signals} signals",
            f"reference model: {self.good} good batches of the same file; {len(self.left_out)} left out as poor",
            f"judged {self.judged} scans, could not judge {self.not_judged}",
        ]
        if self.batch in self.left_out:
            lines.append(f"by the file alone this batch is poor: {self.left_out[self.batch]}")
        lines += [f"deviation {each.deviation} after {_hours(each)}: {each.statement}" for each in self.deviations] or ["no deviation"]
        counts = ", ".join(f"{origin} {count} facts" for origin, count in self.facts.items())
        lines.append(f"{counts}; {'all witnessed, roots equal' if self.witnessed else 'NOT all witnessed'}")
        return "\n".join(lines)


def _hours(deviation: DeviationOpened) -> str:
    return f"{float(deviation.evidence['maturity_h']):.2f} h"


def _read(file: Path, *, batch_column: str) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """The file's columns: every column of decimal numbers is a signal."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowException) as trouble:
        raise NotValid(f"cannot read {file.name}", why=str(trouble).splitlines()[0][:200], possible="a Parquet file") from trouble
    if table.num_rows > ROWS_MAX:
        raise NotValid(f"cannot replay {file.name}", why=f"{table.num_rows} rows are more than {ROWS_MAX}")
    if batch_column not in table.column_names:
        raise NotValid(f"cannot replay {file.name}", why=f"it has no column {batch_column!r}", possible=", ".join(table.column_names))
    signals = [each.name for each in table.schema if pa.types.is_floating(each.type) and each.name != batch_column]
    if not signals:
        raise NotValid(f"cannot replay {file.name}", why="no column holds decimal numbers")
    return {name: table[name].to_numpy() for name in (batch_column, *signals)}, signals


async def replay(file: Path, *, batch: str, batch_column: str, out: Path) -> Replayed:
    """Run one recorded batch; ledgers, blocks and the copies of the control site are left in `out`."""
    columns, signals = _read(file, batch_column=batch_column)
    variables = [Variable(name, "1") for name in signals]
    tables = [_in_hours(each) for each in table_batches(columns, batch_column=batch_column, maturity_column=None, variables=variables)]
    chosen = next((each for each in tables if each.batch == batch), None)
    if chosen is None:
        names = ", ".join(each.batch for each in tables[:12])
        raise NotFound(
            f"no batch {batch[:40]!r} in {file.name}", why=f"it has {len(tables)} batches", possible=f"{names}{', …' if len(tables) > 12 else ''}"
        )
    screening = screen(tables, variables=variables)
    good = [each for each in screening.good if each.batch != batch]
    model = fit(good, variables=variables, name=f"{file.stem} without {batch}", product=PRODUCT)
    node, control, clock = _nodes(chosen, signals, out)
    decisions.publish_model(control, model.to_bytes(), product=PRODUCT)
    while await node.courier.download_once(wait=0):
        pass
    _begin(node, chosen)
    while node.state.running():
        clock.advance(EVERY_S)
        await node.cycle()
        while await node.courier.upload_once():
            pass
    judged = [fact.payload for fact in _sponsor(node).facts() if fact.kind == "monitoring.ended"]
    return Replayed(
        batch=batch,
        rows=len(chosen.values),
        signals=len(signals),
        good=len(good),
        left_out={each.batch: each.reason for each in screening.left_out},
        judged=sum(each.judged for each in judged),
        not_judged=sum(each.not_judged for each in judged),
        deviations=tuple(each for opened in node.state.deviations.values() for each in opened),
        facts={ledger.origin: ledger.size for ledger in node.ledgers.values()},
        witnessed=all(ledger.witnessed == ledger.size and ledger.root == control.copies[ledger.origin][1].root for ledger in node.ledgers.values()),
        folder=str(out),
    )


def _in_hours(table: BatchTable) -> BatchTable:
    return BatchTable(table.batch, table.maturity * EVERY_S / 3600, table.values)


def _sponsor(node: SiteNode) -> Ledger:
    return node.ledgers[str(SPONSOR)]


def _plant(signals: list[str]) -> SitePlant:
    classes = {name: SignalClass(name, "1", Role.MEASUREMENT, name, -np.inf, np.inf, monitored=True) for name in signals}
    recorded = EquipmentClass("recorded", "Recorded equipment", classes, {})
    module = Module(ModuleId("RECORD"), "")
    bound = {name: Signal(UNIT, cls, module.id, "", "1") for name, cls in classes.items()}
    unit = Unit(UNIT, recorded, "Recorded unit", "unknown", Quantity(1.0, "L"), {}, {module.id: module}, bound)
    return SitePlant(SITE, "Replay", SPONSOR, 0.0, 0.0, {UNIT: unit})


def _nodes(table: BatchTable, signals: list[str], out: Path) -> tuple[SiteNode, ControlNode, ManualClock]:
    """A site node and a control site in one process, with keys that live only here."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC), source="replay")
    plant, network = _plant(signals), "replay"
    site_key, control_key = Signer.generate(f"{network}/{SITE}"), Signer.generate(f"{network}/{CONTROL}")
    site_witness = Signer.generate(f"{network}/{SITE}/witness", algorithm=COSIGNER)
    control_witness = Signer.generate(f"{network}/{CONTROL}/witness", algorithm=COSIGNER)
    directed = f"{network}/{CONTROL}/{SITE}"

    def store(node: str, name: str, origin: str) -> SqliteStore:
        return SqliteStore(out / node / f"{name}.sqlite", origin=origin)

    origins = {audience: f"{network}/{SITE}/{audience}" for audience in ("HOUSE", str(SPONSOR))}
    control = ControlNode(
        ledgers={
            "HOUSE": Ledger(store(CONTROL, "HOUSE", f"{network}/{CONTROL}/HOUSE"), signer=control_key),
            str(SITE): Ledger(store(CONTROL, str(SITE), directed), signer=control_key),
        },
        copies={
            origin: (SITE, Copy(store(CONTROL, f"copy-{audience}", origin), writer=site_key.verifying_key, witness=control_witness))
            for audience, origin in origins.items()
        },
        witnesses={SITE: site_witness.verifying_key},
        blobs=BlobStore(out / CONTROL / "blobs"),
        derived=None,
        clock=clock,
        mint=SeededMint("replay control"),
        software="replay",
    )
    node = SiteNode(
        SiteState(plant),
        ledgers={audience: Ledger(store(SITE, audience, origin), signer=site_key) for audience, origin in origins.items()},
        control=Copy(store(SITE, "CONTROL", directed), writer=control_key.verifying_key, witness=site_witness),
        witness=control_witness.verifying_key,
        blobs=BlobStore(out / SITE / "blobs"),
        hot=HotBuffer(out / SITE / "hot.sqlite"),
        clock=clock,
        mint=SeededMint(f"replay {table.batch}"),
        equipment=ReplayDriver([signal.tag for signal in plant.signals()], table.values),
        link=DirectLine(control.desk, NodeId(SITE)),
        software="replay",
    )
    keys = NodeKeys(str(site_key.verifying_key), str(site_witness.verifying_key))
    directory = Directory(NodeKeys(str(control_key.verifying_key), str(control_witness.verifying_key)), {SITE: SiteEntry(SITE, "Replay", keys)}, {})
    control.start()
    decisions.publish_directory(control, directory)
    node.start()
    return node, control, clock


def _begin(node: SiteNode, table: BatchTable) -> None:
    """Take the batch up, under a recipe of one monitored phase that lasts as long as the record."""
    hours = float(table.maturity[-1] - table.maturity[0])
    batch, lot = BatchId(f"BAT-{_plain(table.batch)}"), LotId(f"LOT-{_plain(table.batch)}")
    phase = ControlPhase(
        name="recorded",
        title="As recorded",
        operation="replay",
        setpoints={},
        held={},
        dose=None,
        prompts=(),
        until=f"elapsed >= {hours:.6f} h",
        needs=(),
        timeout_h=None,
        timeout_then=Then.ALARM,
        lost_after_h=hours + 1.0,
        lost_then=Then.ALARM,
        monitored=True,
    )
    digest = digest_of(f"replay of {table.batch}")
    recipe = ControlRecipe(
        recipe=RecipeId("REPLAY"),
        version=1,
        product=PRODUCT,
        title=f"Replay of batch {table.batch}",
        site=SITE,
        unit=UNIT,
        batch=batch,
        lot=lot,
        language="en",
        working_volume=1.0,
        parameters=(),
        phases=(phase,),
        general_digest=digest,
        site_digest=digest,
        master_digest=digest,
    )
    node.note([LotCreated(lot=lot, product=PRODUCT, batch=batch, site=SITE), *engine.begin(recipe, sponsor=SPONSOR)])


def _plain(name: str) -> str:
    """A batch name of the file as part of an id."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.upper()).strip("-")
    return kept[:30] or "X"
