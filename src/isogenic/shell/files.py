"""A node's files as a whole: backed up, restored, recovered from a fork, moved to a database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isogenic.clock import SystemClock
from isogenic.errors import NotAllowed, NotFound, NotValid

if TYPE_CHECKING:
    from isogenic.network.home import ControlHome
    from isogenic.sites.home import SiteHome

__all__ = ["back_up_node", "migrate_database", "recover_node", "restore_node"]


def back_up_node(folder: Path, to: Path, *, passphrase: str = "") -> str:
    """Back a node's folder up, while it runs."""
    import os

    from isogenic.records.backup import back_up

    if (folder / "directory.json").is_file():
        from isogenic.network.home import ControlHome

        if ControlHome.open(folder).shared:  # a backup without the ledgers would be none
            raise NotAllowed(
                f"cannot back {folder} up",
                why="its ledgers are in a database, and this copies files",
                possible="isogenic migrate --unload writes them into files; or the database's own backup, and this folder's files beside it",
            )
    made = back_up(folder, to, moment=SystemClock().now(), passphrase=passphrase, entropy=os.urandom)
    return f"{made}\nin {made.folder}: {made.copied:,} bytes that no earlier backup had" + (
        "" if passphrase else "; without private keys and accounts"
    )


def restore_node(source: Path, folder: Path, *, until: str = "", passphrase: str = "", keys: str = "") -> str:
    """Restore a node to an empty folder, as it was at a time or at a size."""
    from isogenic.clock import time_of_text
    from isogenic.records.backup import restore

    point = None if not until else int(until) if until.isascii() and until.isdigit() and len(until) < 19 else time_of_text(until)
    return str(restore(source, folder, until=point, passphrase=passphrase, keys=keys))


def recover_node(folder: Path, audiences: Sequence[str], *, by: str, why: str) -> list[str]:
    """Lay forked ledgers aside, up to what their witness has cosigned; the node takes the rest back when it is started."""
    from isogenic.ids import PersonId
    from isogenic.network.control import CONTROL
    from isogenic.network.home import ControlHome
    from isogenic.records.aside import LedgerFiles
    from isogenic.records.lock import sole_process
    from isogenic.sites.home import SiteHome

    site = (folder / "plant.yaml").is_file()
    home: SiteHome | ControlHome = SiteHome.open(folder) if site else ControlHome.open(folder)
    person, files, lines = PersonId(by), LedgerFiles(), []
    with sole_process(folder, who="isogenic recover"):
        for audience in audiences:
            path = folder / "ledgers" / f"{audience}.sqlite"
            if not path.is_file() or (site and audience == CONTROL):
                raise NotFound(
                    f"no ledger {audience[:40]} is written in {folder}", why="there is no file of it", possible="HOUSE, a sponsor or a site"
                )
            origin = f"{home.settings.network}/{CONTROL}/{audience}"
            ledger = home.ledger(audience, files) if isinstance(home, SiteHome) else files.ledger(path, origin=origin, signer=home.signer)
            try:
                wound = files.lay_aside(ledger, why=f"{person} gave up a fork: {why}", upto=ledger.witnessed, by=str(person))
                lines.append(
                    f"{ledger.origin}: {wound.kept} witnessed facts kept, {wound.claimed - wound.kept} beyond them are evidence/{wound.evidence}; "
                    "start the node, and its witness returns the rest"
                )
            finally:
                ledger.store.close()
    return lines


def migrate_database(folder: Path, *, load: bool = False, unload: Path | None = None) -> list[str]:
    """Bring the database of a control site up to date, and its ledgers in or out where that is asked; says what was done."""
    from isogenic.network.control import CONTROL
    from isogenic.network.home import ControlHome
    from isogenic.records.lock import sole_process
    from isogenic.records.migrations import layout, migrate

    home = ControlHome.open(folder)
    database = home.database()
    if database is None:
        raise NotValid(f"cannot migrate {folder}", why="its ledgers are files in the folder", possible="set store to postgresql://...")
    try:
        steps = migrate(database)
        said = [f"{database.name}: {', '.join(steps)} taken" if steps else f"{database.name}: layout {layout(database)} is up to date"]
        if load:
            with sole_process(folder, who=CONTROL):  # a process that writes these files, or this database, ends first
                said.append(f"{home.load(database)} facts brought from the folder's files, which stay as they are")
        if unload is not None:
            said.append(f"{home.unload(database, unload)} facts written into files in {unload}")
        return said
    finally:
        database.close()
