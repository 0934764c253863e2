"""A site whose files went wrong: it writes nothing before its witness was heard, takes back what is missing, and goes on."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from isogenic.errors import NotReachable, NotTrusted
from isogenic.ids import BatchId
from isogenic.records.healing import LedgerHealed
from isogenic.sites.facts import NodeStopped
from isogenic.sites.node import SiteNode
from small_network import LEEDS, Network

SPONSOR = "aster/LEEDS/ASTER-BIO"
HOUSE = "aster/LEEDS/HOUSE"
FILES = {SPONSOR: "ASTER-BIO.sqlite", HOUSE: "HOUSE.sqlite"}


def working(folder: Path) -> tuple[Network, BatchId]:
    net = Network(folder)
    asyncio.run(net.publish())
    batch = net.start_batch()
    asyncio.run(net.scan())
    asyncio.run(net.carry())
    return net, batch


def work_on(net: Network, batch: BatchId, scans: int = 4) -> None:
    for _ in range(scans):
        asyncio.run(net.scan())
        net.answer_all(batch)


def bodies(node: SiteNode) -> dict[str, list[bytes]]:
    return {ledger.origin: ledger.store.bodies(0, 1 << 40) for ledger in node.ledgers.values()}


def assert_nothing_lost_nothing_forked(net: Network, before: dict[str, list[bytes]]) -> None:
    """What was noted stands where it stood, and both sides hold the same under the same root."""
    for origin, noted in before.items():
        assert bodies(net.nodes[LEEDS])[origin][: len(noted)] == noted
    for ledger in net.nodes[LEEDS].ledgers.values():
        copy = net.control.copies[ledger.origin][1]
        assert (copy.size, copy.root) == (ledger.size, ledger.root)
        assert ledger.witnessed == ledger.size
    assert net.control.desk.inbox.refused == []


def put_back(net: Network, older: Path) -> None:
    """Somebody copies an old folder back."""
    shutil.rmtree(net.folder / LEEDS)
    shutil.copytree(older, net.folder / LEEDS)


def aged(tmp_path: Path, net: Network, batch: BatchId) -> dict[str, list[bytes]]:
    """A backup is taken, work goes on and is witnessed, the old folder is copied back."""
    net.close_site(LEEDS)
    shutil.copytree(net.folder / LEEDS, tmp_path / "older")
    net.open_site(LEEDS)
    work_on(net, batch, scans=8)
    asyncio.run(net.carry())
    noted = bodies(net.nodes[LEEDS])
    net.close_site(LEEDS)
    put_back(net, tmp_path / "older")
    return noted


def altered(path: Path, *statements: str) -> None:
    db = apsw.Connection(str(path))
    for trigger in ("log_is_never_changed", "log_is_never_deleted", "checkpoint_is_never_changed", "checkpoint_is_never_deleted"):
        db.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        db.execute(statement)
    db.close()


# ---- an old backup ----


def test_an_old_folder_copied_back_writes_nothing_before_its_witness_has_returned_what_is_missing(tmp_path: Path) -> None:
    net, batch = working(tmp_path / "net")
    noted = aged(tmp_path, net, batch)
    net.lines[LEEDS].up = False
    node = net.open_site(LEEDS)
    sizes = {ledger.origin: ledger.size for ledger in node.ledgers.values()}
    assert set(node.returning.waits) == {SPONSOR, HOUSE}
    assert "it was taken from an older copy" in node.held
    for _ in range(2):
        with pytest.raises(NotReachable, match="nothing was noted"):
            asyncio.run(net.scan())
        with pytest.raises(NotReachable, match="nothing was noted"):
            node.note([NodeStopped(LEEDS)])
        asyncio.run(net.carry())
    assert {ledger.origin: ledger.size for ledger in node.ledgers.values()} == sizes

    net.lines[LEEDS].up = True
    asyncio.run(net.carry())
    assert node.held == ""
    healed = {each.ledger: each for each in net.payloads(LedgerHealed)}
    assert {origin: (each.kept + each.returned, each.lost) for origin, each in healed.items()} == {
        SPONSOR: (len(noted[SPONSOR]), 0),
        HOUSE: (len(noted[HOUSE]), 0),
    }
    work_on(net, batch)
    asyncio.run(net.carry())
    assert_nothing_lost_nothing_forked(net, noted)
    net.restart_site(LEEDS)
    assert net.nodes[LEEDS].held == ""


def test_without_a_beacon_a_site_asks_its_witness_first(tmp_path: Path) -> None:
    net, batch = working(tmp_path / "net")
    noted = bodies(net.nodes[LEEDS])
    net.close_site(LEEDS)
    (net.folder / "LEEDS.beacon").unlink()
    node = net.open_site(LEEDS)
    assert "no beacon says how far it had come" in node.held
    with pytest.raises(NotReachable, match="nothing was noted"):
        asyncio.run(net.scan())
    asyncio.run(net.carry())
    assert node.held == ""
    work_on(net, batch)
    asyncio.run(net.carry())
    assert_nothing_lost_nothing_forked(net, noted)


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"[]", b'{"aster/LEEDS/HOUSE":{"size":-1,"root":""}}'])
def test_a_beacon_that_cannot_be_read_is_none(tmp_path: Path, damage: bytes) -> None:
    net, _ = working(tmp_path / "net")
    net.close_site(LEEDS)
    (net.folder / "LEEDS.beacon").write_bytes(damage)
    assert "no beacon" in net.open_site(LEEDS).held


def test_a_site_whose_beacon_fits_starts_at_once_with_the_link_down(tmp_path: Path) -> None:
    """I6: a power cut while the link is down stops no batch."""
    net, batch = working(tmp_path / "net")
    net.lines[LEEDS].up = False
    work_on(net, batch)
    size = net.nodes[LEEDS].ledgers["ASTER-BIO"].size
    net.restart_site(LEEDS)
    work_on(net, batch)
    assert net.nodes[LEEDS].ledgers["ASTER-BIO"].size > size


def test_a_beacon_of_another_history_lets_nothing_be_written(tmp_path: Path) -> None:
    net, _ = working(tmp_path / "net")
    net.close_site(LEEDS)
    beacon = net.folder / "LEEDS.beacon"
    marks = json.loads(beacon.read_text())
    beacon.write_text(json.dumps(marks | {HOUSE: marks[HOUSE] | {"root": "00" * 32}}))
    assert "another root" in net.open_site(LEEDS).held


def test_facts_that_were_never_witnessed_are_counted_as_lost(tmp_path: Path) -> None:
    """The honest end of it: the link was down, the disk was lost, and only the beacon knows that there was more."""
    net, batch = working(tmp_path / "net")
    net.close_site(LEEDS)
    shutil.copytree(net.folder / LEEDS, tmp_path / "older")
    net.open_site(LEEDS)
    asyncio.run(net.carry())
    net.lines[LEEDS].up = False
    work_on(net, batch)
    noted = bodies(net.nodes[LEEDS])
    witnessed = {ledger.origin: ledger.witnessed for ledger in net.nodes[LEEDS].ledgers.values()}
    net.close_site(LEEDS)
    put_back(net, tmp_path / "older")
    net.lines[LEEDS].up = True
    net.open_site(LEEDS)
    asyncio.run(net.carry())
    healed = {each.ledger: each.lost for each in net.payloads(LedgerHealed)}
    assert healed[SPONSOR] == len(noted[SPONSOR]) - witnessed[SPONSOR] > 0
    assert_nothing_lost_nothing_forked(net, {origin: noted[origin][: witnessed[origin]] for origin in noted})


# ---- damaged files ----

CHANGED = "UPDATE log SET body = CAST(replace(CAST(body AS TEXT), 'LEEDS', 'LEEDZ') AS BLOB) WHERE pos = 1"


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        ([CHANGED], "another ledger|changed"),
        (["DELETE FROM log WHERE pos = 1"], "fact 1 is missing"),
        (["UPDATE log SET pos = -1 WHERE pos = 0", "UPDATE log SET pos = 0 WHERE pos = 1", "UPDATE log SET pos = 1 WHERE pos = -1"], "reordered"),
        (["INSERT INTO log SELECT max(pos) + 1, (SELECT body FROM log WHERE pos = 0) FROM log"], "invented"),
        (["UPDATE checkpoint SET frontier = x'00'"], "tree|frontier|wait"),
        (["DROP TABLE checkpoint"], "."),
    ],
)
def test_a_damaged_ledger_is_laid_aside_healed_from_the_witness_and_named(tmp_path: Path, statements: list[str], named: str) -> None:
    net, batch = working(tmp_path / "net")
    work_on(net, batch, scans=8)
    asyncio.run(net.carry())
    noted = bodies(net.nodes[LEEDS])
    net.close_site(LEEDS)
    altered(net.folder / LEEDS / "ledgers" / FILES[SPONSOR], *statements)
    node = net.open_site(LEEDS)
    assert list(node.returning.waits) == [SPONSOR]
    asyncio.run(net.carry())
    (healed,) = net.payloads(LedgerHealed)
    assert (healed.ledger, healed.kept + healed.returned, healed.lost) == (SPONSOR, len(noted[SPONSOR]), statements[0].startswith("INSERT"))
    assert re.search(named, healed.why), healed.why
    kept = [path for path in (net.folder / LEEDS / "evidence").iterdir() if path.name.startswith("ASTER-BIO.sqlite.")]
    assert [path.name for path in kept if not path.name.endswith(("-wal", "-shm"))] == [f"ASTER-BIO.sqlite.{healed.evidence[:16]}"]
    work_on(net, batch)
    asyncio.run(net.carry())
    assert_nothing_lost_nothing_forked(net, noted)
    net.restart_site(LEEDS)
    assert net.nodes[LEEDS].held == ""


def test_what_follows_a_flipped_bit_and_was_never_witnessed_is_not_lost(tmp_path: Path) -> None:
    net, batch = working(tmp_path / "net")
    net.lines[LEEDS].up = False
    work_on(net, batch, scans=8)
    noted = bodies(net.nodes[LEEDS])
    net.close_site(LEEDS)
    altered(net.folder / LEEDS / "ledgers" / FILES[SPONSOR], CHANGED)
    net.lines[LEEDS].up = True
    net.open_site(LEEDS)
    asyncio.run(net.carry())
    (healed,) = net.payloads(LedgerHealed)
    assert healed.lost == 0
    assert_nothing_lost_nothing_forked(net, noted)


@pytest.mark.parametrize("keep", [0, 100, 4096, 10_000, 20_000])
def test_a_torn_file_is_healed_and_reported(tmp_path: Path, keep: int) -> None:
    """A power cut on a disk that lied: the file ends in the middle."""
    net, batch = working(tmp_path / "net")
    work_on(net, batch, scans=8)
    asyncio.run(net.carry())
    noted = bodies(net.nodes[LEEDS])
    net.close_site(LEEDS)
    path = net.folder / LEEDS / "ledgers" / FILES[SPONSOR]
    path.write_bytes(path.read_bytes()[:keep])
    net.open_site(LEEDS)
    asyncio.run(net.carry())
    assert net.nodes[LEEDS].held == ""
    assert [each.ledger for each in net.payloads(LedgerHealed)] == [SPONSOR]
    work_on(net, batch)
    asyncio.run(net.carry())
    assert_nothing_lost_nothing_forked(net, noted)


def test_with_the_link_down_a_damaged_ledger_is_not_written_on(tmp_path: Path) -> None:
    net, batch = working(tmp_path / "net")
    work_on(net, batch)
    asyncio.run(net.carry())
    net.close_site(LEEDS)
    altered(net.folder / LEEDS / "ledgers" / FILES[SPONSOR], CHANGED)
    net.lines[LEEDS].up = False
    node = net.open_site(LEEDS)
    asyncio.run(net.carry())
    with pytest.raises(NotReachable, match="nothing was noted in aster/LEEDS/ASTER-BIO"):
        asyncio.run(net.scan())
    net.restart_site(LEEDS)  # and the next process knows it, too
    assert list(net.nodes[LEEDS].returning.waits) == [SPONSOR]
    net.lines[LEEDS].up = True
    asyncio.run(net.carry())
    assert node is not net.nodes[LEEDS]
    assert net.nodes[LEEDS].held == ""


def test_a_damaged_copy_of_the_control_ledger_is_fetched_again(tmp_path: Path) -> None:
    net, batch = working(tmp_path / "net")
    size, root = net.nodes[LEEDS].control.size, net.nodes[LEEDS].control.root
    net.close_site(LEEDS)
    altered(net.folder / LEEDS / "ledgers" / "CONTROL.sqlite", CHANGED.replace("LEEDZ", "LEEDY"))
    node = net.open_site(LEEDS)
    assert node.held == ""  # our own ledgers are in order
    assert node.control.size < size
    assert node.control.vouched == size
    asyncio.run(net.carry())
    assert (node.control.size, node.control.root) == (size, root)
    assert node.control.vouched == 0
    assert [each.ledger for each in net.payloads(LedgerHealed)] == ["aster/CONTROL/LEEDS"]
    work_on(net, batch)


def test_what_comes_back_as_another_history_is_never_written_over_ours(tmp_path: Path) -> None:
    """A fork: it wrote before anybody could notice. It stops there, and says that a person must decide."""
    net, batch = working(tmp_path / "net")
    aged(tmp_path, net, batch)
    beacon = net.folder / "LEEDS.beacon"
    kept = beacon.read_bytes()
    beacon.write_bytes(b"{}")  # as if it had been put back, too
    net.lines[LEEDS].up = False
    net.open_site(LEEDS)
    work_on(net, batch)
    forked = bodies(net.nodes[LEEDS])
    net.close_site(LEEDS)
    beacon.write_bytes(kept)
    net.lines[LEEDS].up = True
    node = net.open_site(LEEDS)
    for _ in range(3):
        with suppress(NotTrusted):
            asyncio.run(net.carry())
    assert "another history" in node.held
    assert bodies(node) == forked
    with pytest.raises(NotReachable, match="isogenic recover"):
        asyncio.run(net.scan())


def test_rows_of_an_old_buffer_are_not_sealed_again_into_a_batch_that_ended(tmp_path: Path) -> None:
    net, batch = working(tmp_path / "net")
    work_on(net, batch)
    net.nodes[LEEDS].readings.flush()
    assert net.nodes[LEEDS].hot.streams()[str(batch)].rows
    net.close_site(LEEDS)
    shutil.copytree(net.folder / LEEDS, tmp_path / "older")
    net.open_site(LEEDS)
    asyncio.run(net.run_batch(batch, every_h=6.0))
    asyncio.run(net.carry())
    sealed = net.nodes[LEEDS].state.sealed[batch]
    assert sealed[-1].ends
    net.close_site(LEEDS)
    put_back(net, tmp_path / "older")
    node = net.open_site(LEEDS)
    asyncio.run(net.carry())
    assert node.held == ""
    asyncio.run(net.scan())
    node.seal_left_over()
    asyncio.run(net.carry())
    assert node.state.sealed[batch] == sealed
    assert str(batch) not in node.hot.streams()
