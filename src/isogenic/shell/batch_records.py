"""The executed batch record from a node's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from isogenic.errors import NotFound
from isogenic.ids import BatchId
from isogenic.quality.executed.model import ExecutedRecord
from isogenic.quality.executed.source import record_of
from isogenic.records.catalogue import Catalogue
from isogenic.records.ledger import Copy, Ledger

__all__ = ["record_in"]

HOUSE = "HOUSE"


def record_in(folder: Path, batch: BatchId, *, readings: bool = True) -> ExecutedRecord:
    """The record of a batch whose ledger this folder holds. The node may run meanwhile; signatures are left to `isogenic verify`."""
    import isogenic.shell.kinds  # noqa: F401 (registers every kind of fact)

    theirs, control_of = _of_control(folder) if (folder / "directory.json").exists() else _of_site(folder)
    houses = {each.origin.rpartition("/")[0]: each for each in theirs if each.origin.endswith(f"/{HOUSE}")}
    try:
        sponsors = [each for each in theirs if not each.origin.endswith(f"/{HOUSE}")]
        blocks = _bytes_in(folder) if readings else None
        return record_of(batch, sponsors, lambda each: control_of.get(each.origin), lambda each: houses.get(each.origin.rpartition("/")[0]), blocks)
    finally:
        for each in {id(found): found for found in (*theirs, *control_of.values())}.values():
            each.store.close()


def _of_site(folder: Path) -> tuple[list[Ledger | Copy], dict[str, Ledger | Copy]]:
    from isogenic.sites.home import SiteHome

    home = SiteHome.open(folder)
    theirs = list(home.ledgers().values())
    control = home.control()
    return list(theirs), {each.origin: control for each in theirs}


def _of_control(folder: Path) -> tuple[list[Ledger | Copy], dict[str, Ledger | Copy]]:
    from isogenic.network.home import ControlHome

    copies, directed = ControlHome.open(folder).readable()
    theirs: list[Ledger | Copy] = [copy for _, copy in copies.values()]
    return theirs, {origin: directed[site] for origin, (site, _) in copies.items()}


def _bytes_in(folder: Path) -> Callable[[str], bytes]:
    catalogue = Catalogue.open(str(folder))
    blocks = {each.digest: each for each in catalogue.blocks}

    def bytes_of(digest: str) -> bytes:
        if digest not in blocks:
            raise NotFound(f"block {digest[:16]}… is not here", why="no ledger of this folder names it")
        return catalogue.data(blocks[digest])

    return bytes_of
