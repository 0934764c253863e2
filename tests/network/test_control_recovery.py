"""The control site whose files went wrong: its sites give back what they witnessed, and send again what it held of theirs."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import apsw
import pytest

from isogenic.errors import NotReachable, NotTrusted
from isogenic.ids import NodeId
from isogenic.network.facts import ControlStopped
from isogenic.records.healing import LedgerHealed
from isogenic.records.ledger import Ledger
from isogenic.records.link import refusal_of
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import next_page
from isogenic.sim.world import signers
from isogenic.sites.facts import LedgerRefused
from small_network import LEEDS, SEED, Network

DIRECTED = "aster/CONTROL/LEEDS"
CONTROL_HOUSE = "aster/CONTROL/HOUSE"
SPONSOR = "aster/LEEDS/ASTER-BIO"


def working(folder: Path) -> Network:
    net = Network(folder)
    asyncio.run(net.publish())
    asyncio.run(net.carry())
    return net


def say_more(net: Network, times: int = 3) -> None:
    for _ in range(times):
        net.control.note([next(iter(net.nodes[LEEDS].state.published.values()))], site=LEEDS)


def bodies(ledger: Ledger) -> list[bytes]:
    return ledger.store.bodies(0, 1 << 40)


def healed(net: Network) -> dict[str, LedgerHealed]:
    return {fact.payload.ledger: fact.payload for fact in net.control.ledgers["HOUSE"].facts() if isinstance(fact.payload, LedgerHealed)}


def altered(path: Path, *statements: str) -> None:
    db = apsw.Connection(str(path))
    for trigger in ("log_is_never_changed", "log_is_never_deleted", "checkpoint_is_never_changed", "checkpoint_is_never_deleted"):
        db.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        db.execute(statement)
    db.close()


def reopened(net: Network) -> None:
    net.control = net.open_control()
    for line in net.lines.values():
        line.desk = net.control.desk


CHANGED = "UPDATE log SET body = CAST(replace(CAST(body AS TEXT), 'aster', 'astra') AS BLOB) WHERE pos = 1"


@pytest.mark.parametrize("beacon", ["fits not", "gone", "put back too"])
def test_a_control_site_restored_from_an_older_copy_takes_its_ledger_back_from_the_site_that_witnessed_it(tmp_path: Path, beacon: str) -> None:
    net = working(tmp_path / "net")
    net.close_control()
    shutil.copytree(net.folder / "CONTROL", tmp_path / "older")
    shutil.copy(net.folder / "CONTROL.beacon", tmp_path / "older.beacon")
    reopened(net)
    say_more(net)
    asyncio.run(net.carry())
    noted, house = bodies(net.control.ledgers[LEEDS]), bodies(net.control.ledgers["HOUSE"])
    net.close_control()
    mirror = tmp_path / "mirror"
    shutil.copytree(net.folder / "CONTROL" / "mirror", mirror)  # on another disk, as the setting says
    shutil.rmtree(net.folder / "CONTROL")
    shutil.copytree(tmp_path / "older", net.folder / "CONTROL")
    shutil.rmtree(net.folder / "CONTROL" / "mirror")
    shutil.copytree(mirror, net.folder / "CONTROL" / "mirror")
    match beacon:
        case "gone":
            (net.folder / "CONTROL.beacon").unlink()
        case "put back too":
            shutil.copy(tmp_path / "older.beacon", net.folder / "CONTROL.beacon")
    reopened(net)
    if beacon != "put back too":
        assert DIRECTED in net.control.returning.waits
        with pytest.raises(NotReachable, match=f"nothing was noted in {DIRECTED}"):
            say_more(net)
    asyncio.run(net.carry())
    assert DIRECTED not in net.control.returning.waits
    assert bodies(net.control.ledgers[LEEDS])[: len(noted)] == noted
    assert healed(net)[DIRECTED].returned > 0
    assert healed(net)[DIRECTED].lost == 0
    say_more(net)
    asyncio.run(net.carry())
    assert net.nodes[LEEDS].control.root == net.control.ledgers[LEEDS].root
    assert net.payloads(LedgerRefused) == []
    if beacon != "put back too":  # then only those who hold its head can tell
        assert bodies(net.control.ledgers["HOUSE"])[: len(house)] == house


def test_a_damaged_ledger_of_the_control_site_comes_back_from_the_site(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    say_more(net)
    asyncio.run(net.carry())
    say_more(net)  # not yet witnessed
    noted = bodies(net.control.ledgers[LEEDS])
    net.close_control()
    altered(net.folder / "CONTROL" / "ledgers" / "LEEDS.sqlite", CHANGED)
    reopened(net)
    assert net.control.ledgers[LEEDS].size == 1
    asyncio.run(net.carry())
    assert bodies(net.control.ledgers[LEEDS]) == noted
    assert (healed(net)[DIRECTED].lost, healed(net)[DIRECTED].kept + healed(net)[DIRECTED].returned) == (0, len(noted))
    assert net.nodes[LEEDS].control.root == net.control.ledgers[LEEDS].root


def test_the_damaged_house_of_the_control_site_comes_back_from_its_second_copy(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    noted = bodies(net.control.ledgers["HOUSE"])
    net.close_control()
    altered(net.folder / "CONTROL" / "ledgers" / "HOUSE.sqlite", CHANGED)
    reopened(net)
    assert bodies(net.control.ledgers["HOUSE"])[: len(noted)] == noted
    assert healed(net)[CONTROL_HOUSE].lost == 0
    net.restart_control()


def test_a_damaged_copy_is_sent_again_by_the_site_that_writes_it(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    copy = net.control.copies[SPONSOR][1]
    size = copy.size
    net.close_control()
    altered(net.folder / "CONTROL" / "copies" / "LEEDS.ASTER-BIO.sqlite", CHANGED.replace("pos = 1", "pos = 0"))
    net.lines[LEEDS].up = False
    asyncio.run(net.carry())
    reopened(net)
    copy = net.control.copies[SPONSOR][1]
    assert copy.size < size
    assert copy.vouched == size
    net.lines[LEEDS].up = True
    asyncio.run(net.scan())
    asyncio.run(net.carry())
    copy = net.control.copies[SPONSOR][1]
    assert copy.vouched == 0
    assert copy.size >= size
    assert healed(net)[SPONSOR].kept < size
    assert net.nodes[LEEDS].ledgers["ASTER-BIO"].root == copy.root
    assert net.payloads(LedgerRefused) == []


def test_a_witness_that_lost_its_memory_cosigns_no_other_history(tmp_path: Path) -> None:
    """The copy was damaged, and the thief of a site's key comes with other facts for positions that had been cosigned."""
    net = working(tmp_path / "net")
    size = net.control.copies[SPONSOR][1].size
    net.close_control()
    altered(net.folder / "CONTROL" / "copies" / "LEEDS.ASTER-BIO.sqlite", "DELETE FROM log WHERE pos = 0")
    reopened(net)
    assert net.control.copies[SPONSOR][1].size == 0
    signer, _ = signers(SEED, "aster", "LEEDS")
    forged = Ledger(SqliteStore(tmp_path / "forged.sqlite", origin=SPONSOR), signer=signer)
    genuine = net.nodes[LEEDS].ledgers["ASTER-BIO"]
    net.clock.advance(1.0)
    moment = net.clock.now()
    while forged.size < size + 2:
        payload = next(iter(genuine.facts())).payload
        forged.append([payload], actor=net.nodes[LEEDS].actor, moment=moment)
    page = next_page(forged.store, start=0)
    assert page is not None
    answer = asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "POST", "/v1/pages", page.to_bytes()))
    refusal = refusal_of(answer)
    assert isinstance(refusal, NotTrusted)
    assert "its writer has signed another root for 2 facts before" in str(refusal)
    net.lines[LEEDS].up = False  # as it is while a node is started again
    with pytest.raises(NotReachable):
        asyncio.run(net.nodes[LEEDS].courier.heartbeat({}))
    net.lines[LEEDS].up = True
    asyncio.run(net.carry())
    assert net.control.copies[SPONSOR][1].root == genuine.root


def test_a_copy_of_another_history_than_the_beacon_saw_is_laid_aside_and_the_witnessed_one_comes_back(tmp_path: Path) -> None:
    """Somebody with a site's key has put another file in the place of the copy, as long as the one before."""
    net = working(tmp_path / "net")
    genuine, path = net.nodes[LEEDS].ledgers["ASTER-BIO"], net.folder / "CONTROL" / "copies" / "LEEDS.ASTER-BIO.sqlite"
    size = net.control.copies[SPONSOR][1].size
    net.close_control()
    path.unlink()
    signer, _ = signers(SEED, "aster", "LEEDS")
    forged = Ledger(SqliteStore(path, origin=SPONSOR), signer=signer)
    while forged.size < size:
        net.clock.advance(1.0)
        forged.append([next(iter(genuine.facts())).payload], actor=net.nodes[LEEDS].actor, moment=net.clock.now())
    forged.store.close()
    reopened(net)
    copy = net.control.copies[SPONSOR][1]
    assert (copy.size, copy.vouched) == (0, size)
    assert "another history" in healed(net)[SPONSOR].why
    assert len(list((net.folder / "CONTROL" / "evidence").glob("LEEDS.ASTER-BIO.sqlite.*"))) == 1
    net.lines[LEEDS].up = False
    with pytest.raises(NotReachable):
        asyncio.run(net.nodes[LEEDS].courier.heartbeat({}))
    net.lines[LEEDS].up = True
    asyncio.run(net.carry())
    assert (copy.root, copy.vouched) == (genuine.root, 0)


# ---- the wire ----


def test_a_site_is_given_back_its_own_ledgers_only(tmp_path: Path) -> None:
    net = working(tmp_path / "net")

    def ask(peer: str, path: str) -> int:
        return asyncio.run(net.control.desk.handle(NodeId(peer), "GET", path)).status

    assert ask("LEEDS", f"/v1/held?ledger={SPONSOR}&from=0") == 200
    assert ask("LEEDS", f"/v1/held?ledger={SPONSOR}&from=999999") == 204
    assert ask("GHENT", f"/v1/held?ledger={SPONSOR}&from=0") == 401
    assert ask("LEEDS", "/v1/held?ledger=aster/CONTROL/LEEDS&from=0") == 401
    assert ask("LEEDS", "/v1/held") == 401
    assert ask("LEEDS", f"/v1/held?ledger={SPONSOR}&from=x") == 422


def test_nothing_is_taken_back_that_is_not_missing_or_not_cosigned_or_another_ledger(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    site = net.nodes[LEEDS]

    def give(page: bytes) -> int:
        return asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "POST", "/v1/held", page)).status

    cosigned = site.control.page_back(0, moment=net.clock.now())
    assert cosigned is not None
    assert give(cosigned.to_bytes()) == 422
    other = next_page(site.ledgers["HOUSE"].store, start=0)
    assert other is not None
    assert give(other.to_bytes()) == 401
    plain = next_page(site.control.store, start=0)
    assert plain is not None
    assert give(plain.to_bytes()) == 422
    assert give(b"nonsense") == 422
    assert ControlStopped.fact_name not in [fact.kind for fact in net.control.ledgers["HOUSE"].facts()]


def test_a_witness_that_lost_facts_too_never_says_that_there_are_no_more(tmp_path: Path) -> None:
    """Both folders are put back from old backups: the site writes nothing, because its witness knows that it held more."""
    net = working(tmp_path / "net")
    net.close_site(LEEDS)
    net.close_control()
    shutil.copytree(net.folder, tmp_path / "older")
    reopened(net)
    net.open_site(LEEDS)
    for _ in range(3):
        asyncio.run(net.scan())
    net.nodes[LEEDS].note([LedgerRefused(SPONSOR, "said to make the house longer")] * 3)
    asyncio.run(net.carry())
    net.control.keep_beacon()
    net.nodes[LEEDS].keep_beacon()
    net.close_site(LEEDS)
    net.close_control()
    for name in (LEEDS, "CONTROL"):
        shutil.rmtree(net.folder / name)
        shutil.copytree(tmp_path / "older" / name, net.folder / name)
    reopened(net)
    node = net.open_site(LEEDS)
    sizes = {ledger.origin: ledger.size for ledger in node.ledgers.values()}
    with pytest.raises(NotReachable, match="both sides have lost some"):
        asyncio.run(node.courier.take_back_once())
    assert {ledger.origin: ledger.size for ledger in node.ledgers.values()} == sizes
    assert node.held


def test_a_number_of_a_site_stops_nothing_that_is_published(tmp_path: Path) -> None:
    """One request with a TLS certificate alone: that more was witnessed has to be shown, under our own signature."""
    net = working(tmp_path / "net")
    asked = asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "GET", f"/v1/control?from={10**17}"))
    assert asked.status == 409
    assert net.control.returning.waits == {}
    size = net.control.ledgers[LEEDS].size
    say_more(net)
    assert net.control.ledgers[LEEDS].size == size + 3
    asyncio.run(net.carry())
    assert net.control.ledgers[LEEDS].witnessed == size + 3
    assert healed(net) == {}
