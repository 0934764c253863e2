"""One small network whose lot was released, with its dossier: made once for all tests that look at files."""

from __future__ import annotations

import asyncio
import shutil
from functools import cache
from pathlib import Path

from authenticator import Authenticator, DevicePen
from isogenic.network import credentials, decisions, reviewing
from isogenic.network.dossiers import write_lot_dossier
from own_folder import own_folder
from small_network import BEN, LEEDS, LOT, QUI, Network, signer_of


@cache
def released() -> Path:
    """A folder with `net` (every node's folder, nothing running) and `dossier` with its .zip."""
    place = own_folder("isogenic-released-")
    net = Network(place / "net")

    async def run() -> None:
        await net.publish()
        await net.run_batch(net.start_batch())
        await net.carry()
        net.report_results(LOT)
        await net.carry()
        net.accept_deviations()
        await net.carry()
        # The trail is reviewed with a password, the lot released with a passkey: strangers verify both.
        pen = DevicePen(Authenticator(counter=1))
        credentials.enrol_passkey(net.control, net.person(QUI), signer_of(QUI), pen.passkey())
        batch = net.control.state.lot(LOT).batch
        shown = reviewing.trail_case(net.control, batch).digest
        reviewing.review_trail(net.control, net.person(BEN), signer_of(BEN), batch=batch, shown=shown, remark="Nothing remarkable.")
        out, notes = decisions.release_lot(net.control, net.person(QUI), pen, lot=LOT)
        assert out is not None, notes
        await net.carry()

    asyncio.run(run())
    write_lot_dossier(net.control, LOT, place / "dossier")
    net.close_site(LEEDS)
    net.close_control()
    for lock in place.rglob("*.lock"):
        lock.unlink()
    return place


def copy_of(name: str, folder: Path) -> Path:
    """A copy of `net/LEEDS`, `net/CONTROL`, `net` or `dossier` that a test may spoil."""
    target = folder / Path(name).name
    if (released() / name).is_file():
        shutil.copy(released() / name, target)
    else:
        shutil.copytree(released() / name, target)
    beacon = Path(f"{released() / name}.beacon")
    if beacon.exists():
        shutil.copy(beacon, f"{target}.beacon")
    return target
