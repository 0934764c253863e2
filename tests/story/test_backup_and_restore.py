"""Backup and restore as a user does them: real processes, real commands, folders that are lost, and nothing else is."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from random import Random

from isogenic.records import codec
from isogenic.records.facts import decode_fact
from isogenic.records.healing import LedgerHealed
from real_network import RealNetwork, check_everything_is_on_both_sides
from small_network import LEEDS

SPONSOR, CONTROL_HOUSE = "aster/LEEDS/ASTER-BIO", "aster/CONTROL/HOUSE"


async def isogenic(*words: object) -> str:
    """A command, as it is typed."""
    run = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from isogenic.cli import main; main()",
        *map(str, words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await run.communicate())[0].decode()
    assert run.returncode == 0, said
    return said


async def started(net: RealNetwork, *names: str) -> None:
    for name in names:
        net.start(name)
        await net.ready(name)


async def gone_on(net: RealNetwork, *, facts: int = 8) -> None:
    """Until the site has noted and the control site has witnessed some more."""
    path = net.folder / "CONTROL" / "copies" / "LEEDS.ASTER-BIO.sqlite"
    size = net.size(path)
    await net.until(lambda: net.size(path) >= size + facts, what="more facts")


def healed(net: RealNetwork, node: str, origin: str) -> list[LedgerHealed]:
    facts = [decode_fact(body) for body in net.bodies(net.folder / node / "ledgers" / "HOUSE.sqlite")]
    return [fact.payload for fact in facts if isinstance(fact.payload, LedgerHealed) and fact.payload.ledger == origin]


def seen(net: RealNetwork, name: str) -> bool:
    """Whether the beacon of a node has seen all that the node wrote."""
    marks = codec.loads((net.folder / f"{name}.beacon").read_bytes(), what="a beacon")
    own = [(origin, path) for origin, path, _ in net.ledgers() if origin.split("/")[1] == name]
    own += [(CONTROL_HOUSE, net.folder / name / "ledgers" / "HOUSE.sqlite")] if name == "CONTROL" else []
    return all(marks.get(origin, {"size": 0})["size"] == net.size(path) for origin, path in own)


def alike(net: RealNetwork) -> bool:
    """Whether both sides of every ledger are of one size: what was restored says that it is witnessed before it hears that it is old."""
    return all(net.size(own) == net.size(copy) for _, own, copy in net.ledgers())


async def lost(net: RealNetwork, name: str) -> None:
    """The machine burns, later than the five seconds in which nobody but the other side could notice; what nodes promised is the test's own."""
    net.calm()
    # A fact that nobody else has yet, a lease granted in this very moment, burns with the machine: so everything is witnessed first.
    await net.until(lambda: net.witnessed() and seen(net, name), what="the beacon and every receipt")
    await net.kill(name)
    for path in net.folder.glob("*/calm"):
        path.unlink()
    folder = net.folder / name
    shutil.move(folder / "promised.txt", net.folder / f"{name}.promised")
    shutil.rmtree(folder)


def found_again(net: RealNetwork, name: str) -> None:
    shutil.move(net.folder / f"{name}.promised", net.folder / name / "promised.txt")
    (net.folder / name / "ready.json").unlink(missing_ok=True)


def test_both_folders_are_lost_one_after_the_other_and_come_back_whole(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("a passphrase that is long enough\n")

    async def run() -> RealNetwork:
        async with asyncio.timeout(280), RealNetwork(tmp_path / "net", sites=(LEEDS,), dice=Random(4)) as net:
            mirror = tmp_path / "other disk"
            settings = net.folder / "CONTROL" / "node.json"
            settings.write_bytes(codec.dumps(codec.loads(settings.read_bytes(), what="node.json") | {"mirror": str(mirror)}))
            await started(net, "CONTROL", LEEDS)
            await gone_on(net)
            for name in ("CONTROL", LEEDS):  # while they run
                await isogenic("backup", net.folder / name, tmp_path / "backups" / name, "--secrets", passphrase)
            await gone_on(net)
            await net.kill("CONTROL")
            await started(net, "CONTROL")
            copied = tmp_path / "copied"
            await (await asyncio.create_subprocess_exec("cp", "-r", str(net.folder / LEEDS), str(copied))).wait()
            await gone_on(net)

            await lost(net, LEEDS)
            await isogenic("restore", tmp_path / "backups" / LEEDS, net.folder / LEEDS, "--secrets", passphrase)
            found_again(net, LEEDS)
            await started(net, LEEDS)
            await gone_on(net)
            assert healed(net, LEEDS, SPONSOR)[0].returned > 0

            await lost(net, LEEDS)
            shutil.copytree(copied, net.folder / LEEDS)  # somebody puts an old copy back
            (net.folder / LEEDS / "promised.txt").unlink()
            found_again(net, LEEDS)
            await started(net, LEEDS)
            await gone_on(net)
            assert healed(net, LEEDS, SPONSOR)[-1].returned > 0

            await lost(net, "CONTROL")
            await isogenic("restore", tmp_path / "backups" / "CONTROL", net.folder / "CONTROL", "--secrets", passphrase)
            found_again(net, "CONTROL")
            await started(net, "CONTROL")
            await gone_on(net)
            assert healed(net, "CONTROL", CONTROL_HOUSE)[-1].returned > 0  # from its second copy

            net.calm()
            await net.until(lambda: net.witnessed() and alike(net), what="everything to be witnessed, and on both sides")
        return net

    net = asyncio.run(run())
    assert check_everything_is_on_both_sides(net) > 30
    for name in ("CONTROL", LEEDS):
        assert all(each.lost == 0 for origin, _, _ in net.ledgers() for each in healed(net, name, origin))
