"""Bit rot in old rows and blobs: found by the scrub at a site and at the control site, mended from the other side, noted."""

from __future__ import annotations

import asyncio
import shutil
from functools import cache
from pathlib import Path

import pytest

from isogenic.errors import NotTrusted
from isogenic.ids import NodeId
from isogenic.records.blocks import ReadingsSealed
from isogenic.records.healing import RotFound, RotMended
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.scrub import Rot, mended
from isogenic.records.sync import next_page
from own_folder import own_folder
from small_network import LEEDS, Network

HOUSE, SPONSOR, DIRECTED, CONTROL_HOUSE = "aster/LEEDS/HOUSE", "aster/LEEDS/ASTER-BIO", "aster/CONTROL/LEEDS", "aster/CONTROL/HOUSE"


@cache
def worked() -> Path:
    """A network that has worked, made once."""
    net = Network(own_folder("isogenic-tests-") / "net")
    asyncio.run(net.publish())
    batch = net.start_batch()
    asyncio.run(net.run_batch(batch, every_h=6.0))
    asyncio.run(net.carry())
    net.close_site(LEEDS)
    net.close_control()
    return net.folder


@pytest.fixture
def net(tmp_path: Path) -> Network:
    shutil.copytree(worked(), tmp_path / "net")
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    return net


def held(net: Network, where: str, origin: str) -> Ledger | Copy:
    if where == "site":
        node = net.nodes[LEEDS]
        return {**node.courier.ledgers, node.control.origin: node.control}[origin]
    return net.control.ledger(origin)


def flip(ledger: Ledger | Copy, position: int, *, bit: int = 3) -> bytes:
    """Rot: one bit of one row, as no SQL statement of ours would do it."""
    (body,) = ledger.store.bodies(position, position + 1)
    rotten = bytes([body[0] ^ (1 << bit)]) + body[1:]
    ledger.store._db.execute("DROP TRIGGER log_is_never_changed")
    ledger.store._db.execute("UPDATE log SET body = ? WHERE pos = ?", (rotten, position))
    return body


async def heal(net: Network) -> None:
    node = net.nodes[LEEDS]
    while await node.mending.mend_once():
        pass
    while await net.control.mending.mend_once():
        pass
    said = await node.courier.heartbeat({})
    await node.mending.send_again(said.get("again"))
    await node.courier.heartbeat({})


def pass_once(mending: object) -> None:
    scrub = mending.scrub  # type: ignore[attr-defined]
    passes = scrub.passes
    while scrub.passes == passes:
        mending.look()  # type: ignore[attr-defined]


def noted(net: Network, where: str, kind: type) -> list[object]:
    house = net.nodes[LEEDS].ledgers["HOUSE"] if where == "site" else net.control.ledgers["HOUSE"]
    return [fact.payload for fact in house.facts() if isinstance(fact.payload, kind)]


@pytest.mark.parametrize(
    ("where", "origin", "source"),
    [
        ("site", HOUSE, "control site"),
        ("site", SPONSOR, "control site"),
        ("site", DIRECTED, "control site"),
        ("control", SPONSOR, "LEEDS"),
        ("control", DIRECTED, "LEEDS"),
        ("control", CONTROL_HOUSE, "second copy"),
    ],
)
def test_a_flipped_bit_in_an_old_row_is_found_mended_from_the_other_side_and_noted(net: Network, where: str, origin: str, source: str) -> None:
    ledger = held(net, where, origin)
    body = flip(ledger, 1)
    with pytest.raises(NotTrusted):
        ledger.check()
    mending = net.nodes[LEEDS].mending if where == "site" else net.control.mending
    pass_once(mending)
    (found,) = noted(net, where, RotFound)
    assert isinstance(found, RotFound)
    assert found.ledger == origin
    assert found.start <= 1 < found.stop
    asyncio.run(heal(net))
    (mended_,) = noted(net, where, RotMended)
    assert isinstance(mended_, RotMended)
    assert (mended_.ledger, mended_.source) == (origin, source)
    blobs = net.nodes[LEEDS].blobs if where == "site" else net.control.blobs
    assert bytes([body[0] ^ 8]) + body[1:] in blobs.get(mended_.evidence)
    assert ledger.store.bodies(1, 2) == [body]
    ledger.check()
    pass_once(mending)
    assert len(noted(net, where, RotFound)) == 1  # and never again
    with pytest.raises(Exception, match="facts are never changed"):
        ledger.store._db.execute("UPDATE log SET body = x'00' WHERE pos = 1")


def test_every_row_of_a_ledger_is_looked_at_and_a_row_that_is_gone_comes_back(net: Network) -> None:
    ledger = held(net, "site", SPONSOR)
    mending = net.nodes[LEEDS].mending
    for position in (0, ledger.size // 2, ledger.witnessed - 1):
        (body,) = ledger.store.bodies(position, position + 1)
        ledger.store._db.execute("DROP TRIGGER IF EXISTS log_is_never_deleted")
        ledger.store._db.execute("DELETE FROM log WHERE pos = ?", (position,))
        pass_once(mending)
        assert any(rot.start <= position < rot.stop and "missing" in rot.why for rot in mending.rotten.values())
        asyncio.run(heal(net))
        assert ledger.store.bodies(position, position + 1) == [body]
        assert mending.rotten == {}


@pytest.mark.parametrize("where", ["site", "control"])
def test_a_rotten_blob_comes_back_from_the_other_side(net: Network, where: str) -> None:
    sealed = net.payloads(ReadingsSealed)[0]
    assert isinstance(sealed, ReadingsSealed)
    blobs = net.nodes[LEEDS].blobs if where == "site" else net.control.blobs
    data = blobs.get(sealed.digest)
    (file,) = [path for path in (net.folder / (LEEDS if where == "site" else "CONTROL")).rglob("*") if path.is_file() and path.read_bytes() == data]
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    pass_once(net.nodes[LEEDS].mending if where == "site" else net.control.mending)
    assert [each.ledger for each in noted(net, where, RotFound)] == [sealed.digest]
    asyncio.run(heal(net))
    assert blobs.get(sealed.digest) == data
    assert [each.ledger for each in noted(net, where, RotMended)] == [sealed.digest]


@pytest.mark.parametrize("how", ["flipped", "gone", "gone before the first pass"])
def test_a_block_that_rots_at_the_control_site_is_asked_for_again_while_both_nodes_run(net: Network, how: str) -> None:
    mending, blobs = net.control.mending, net.control.blobs
    sealed = net.payloads(ReadingsSealed)[0]
    assert isinstance(sealed, ReadingsSealed)
    data = blobs.get(sealed.digest)
    if how != "gone before the first pass":  # then it was read when its site asked whether it is here
        pass_once(mending)
    assert mending.again(NodeId("LEEDS")) == []
    (file,) = [path for path in (net.folder / "CONTROL").rglob("*") if path.is_file() and path.read_bytes() == data]
    if how == "flipped":
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    else:
        file.unlink()
    pass_once(mending)
    assert mending.again(NodeId("GHENT")) == []  # no fact of it names the block
    said = asyncio.run(net.nodes[LEEDS].courier.heartbeat({}))
    assert said["again"] == [{"blob": sealed.digest}]
    asyncio.run(heal(net))
    assert blobs.get(sealed.digest) == data
    assert [each.ledger for each in noted(net, "control", RotMended)] == [sealed.digest]
    pass_once(mending)
    assert len(noted(net, "control", RotFound)) == 1


def test_nothing_is_found_where_nothing_is_rotten(net: Network) -> None:
    node = net.nodes[LEEDS]
    pass_once(node.mending)
    pass_once(net.control.mending)
    assert noted(net, "site", RotFound) == noted(net, "control", RotFound) == []
    stored = sum(ledger.size for ledger in (*node.ledgers.values(), node.control)) + len(list(node.blobs.digests()))
    assert node.mending.scrub.looked == stored


def test_with_the_link_down_the_rot_is_noted_and_the_work_goes_on(net: Network) -> None:
    flip(held(net, "site", SPONSOR), 1)
    net.lines[LEEDS].up = False
    pass_once(net.nodes[LEEDS].mending)
    size = net.nodes[LEEDS].ledgers["HOUSE"].size
    asyncio.run(net.scan())
    assert net.nodes[LEEDS].ledgers["HOUSE"].size >= size
    net.lines[LEEDS].up = True
    asyncio.run(heal(net))
    assert net.nodes[LEEDS].mending.rotten == {}


def test_nothing_is_put_back_that_the_writer_did_not_sign_there(net: Network) -> None:
    ledger = held(net, "site", SPONSOR)
    flip(ledger, 1)
    pass_once(net.nodes[LEEDS].mending)
    (rot,) = net.nodes[LEEDS].mending.rotten.values()
    assert isinstance(rot, Rot)
    page = net.control.copies[SPONSOR][1].page_back(rot.start, moment=net.clock.now())
    assert page is not None
    lying = type(page)(page.origin, page.start, (page.bodies[0] + b" ", *page.bodies[1:]), page.note)
    other = next_page(net.nodes[LEEDS].ledgers["HOUSE"].store, start=0)
    assert other is not None
    for each in (lying, other):
        with pytest.raises(NotTrusted):
            mended(rot, each, ledger)


def test_a_site_brings_again_only_what_was_asked_of_it(net: Network) -> None:
    page = next_page(net.nodes[LEEDS].ledgers["HOUSE"].store, start=0)
    assert page is not None
    answer = asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "POST", "/v1/again", page.to_bytes()))
    assert answer.status == 404
    flip(held(net, "control", HOUSE), 0)
    pass_once(net.control.mending)
    assert asyncio.run(net.control.desk.handle(NodeId("GHENT"), "POST", "/v1/again", page.to_bytes())).status == 404
    assert asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "POST", "/v1/again", page.to_bytes())).status == 204


@pytest.mark.parametrize(
    "asked", [None, "x", 7, [7], [{}], [{"ledger": 3, "start": "x"}], [{"ledger": HOUSE, "start": -1}], [{"blob": "zz"}], [{"ledger": "?"}]]
)
def test_nonsense_that_is_asked_for_again_is_passed_over(net: Network, asked: object) -> None:
    calls = len(net.lines[LEEDS].calls)
    asyncio.run(net.nodes[LEEDS].mending.send_again(asked))
    assert len(net.lines[LEEDS].calls) == calls
