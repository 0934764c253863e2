"""A node does not run on facts that somebody has altered on its disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest

from isogenic.errors import NotTrusted
from isogenic.sites.home import SiteHome
from small_network import LEEDS, Network

CHANGE = "UPDATE log SET body = CAST(replace(CAST(body AS TEXT), 'LEEDS', 'GHENT') AS BLOB) WHERE pos = 0"


def alter(folder: Path, origin: str) -> None:
    """Change the first fact of the ledger of this origin, as anybody with the file can."""
    for path in folder.rglob("*.sqlite"):
        db = apsw.Connection(str(path))
        if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'log'").fetchall():
            ((found,),) = db.execute("SELECT value FROM meta WHERE key = 'origin'").fetchall()
            if found == origin:
                db.execute("DROP TRIGGER log_is_never_changed")
                db.execute(CHANGE)
                db.close()
                return
        db.close()
    raise AssertionError(origin)


@pytest.mark.parametrize(("node", "origin"), [("CONTROL", "aster/LEEDS/HOUSE"), ("LEEDS", "aster/LEEDS/HOUSE"), ("LEEDS", "aster/CONTROL/LEEDS")])
def test_a_node_does_not_run_on_an_altered_fact_and_keeps_it_as_evidence(tmp_path: Path, node: str, origin: str) -> None:
    network = Network(tmp_path / "network")
    asyncio.run(network.carry())
    network.close_control()
    network.close_site(LEEDS)
    alter(network.folder / node, origin)
    control = network.open_control()
    network.lines[LEEDS].desk = control.desk
    site = network.open_site(LEEDS)
    held = control.copies.get(origin, (LEEDS, None))[1] if node == "CONTROL" else {**site.courier.ledgers, site.control.origin: site.control}[origin]
    assert held is not None
    assert held.size == 0  # nothing after the altered fact can be believed before it is mended
    assert [path.name.split(".sqlite.")[0] for path in (network.folder / node / "evidence").iterdir()] != []
    asyncio.run(network.carry())
    asyncio.run(network.carry())
    for ledger in site.ledgers.values():
        assert control.copies[ledger.origin][1].root == ledger.root
    assert site.control.root == control.ledgers[LEEDS].root
    held.check()


def test_without_a_place_for_evidence_an_altered_ledger_is_refused(tmp_path: Path) -> None:
    network = Network(tmp_path / "network")
    asyncio.run(network.carry())
    network.close_site(LEEDS)
    alter(network.folder / "LEEDS", "aster/LEEDS/HOUSE")
    ledger = SiteHome.open(network.folder / "LEEDS").ledgers()["HOUSE"]
    with pytest.raises(NotTrusted, match=r"ledger aster/LEEDS/HOUSE refused: what is stored is not what was signed.*positions 0 to"):
        ledger.check()
