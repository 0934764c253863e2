"""A node does not run on facts that somebody has altered on its disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest

from isogenic.errors import NotTrusted
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
def test_a_node_does_not_start_on_an_altered_ledger(tmp_path: Path, node: str, origin: str) -> None:
    network = Network(tmp_path / "network")
    asyncio.run(network.carry())
    network.close_control()
    network.close_site(LEEDS)
    alter(network.folder / node, origin)
    with pytest.raises(NotTrusted, match=f"ledger {origin} refused: what is stored is not what was signed.*positions 0 to"):
        network.open_control() if node == "CONTROL" else network.open_site(LEEDS)
