"""The control site's house, witnessed by its head; heads of other sites' ledgers, held for comparing."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isogenic.errors import NotReachable, NotTrusted, NotValid
from isogenic.ids import SiteId
from isogenic.network import witnessing
from isogenic.network.facts import SiteSilent
from isogenic.network.revoking import revoke_site_key
from isogenic.records.keys import WriterKeys
from isogenic.records.ledger import Ledger
from isogenic.records.notes import Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.records.witness import HeadBook, add_checkpoint, read_add_checkpoint, shown_head
from isogenic.sim.world import signers
from isogenic.sites.facts import LedgerRefused
from isogenic.sites.home import SiteHome
from small_network import BEN, GHENT, LEEDS, SEED, Network, signer_of
from two_sponsors import publish_both, two_sponsors

HOUSE = "aster/CONTROL/HOUSE"


def look(net: Network, site: SiteId = LEEDS) -> None:
    node = net.nodes[site]
    assert node.heads is not None
    asyncio.run(node.heads.look_once(lambda: node.state.directory, read=lambda: node.control.size))


def test_sites_cosign_the_house_by_its_head_and_never_see_its_content(tmp_path: Path) -> None:
    net = Network(tmp_path / "net", sites=(LEEDS, GHENT))
    for site in (LEEDS, GHENT):
        asyncio.run(net.carry(site))
    house = net.control.ledgers["HOUSE"]
    secret = house.store.bodies(0, 1)[0]
    for times in range(3):
        look(net)
        assert net.control.witnessing.cosigned == {LEEDS: house.size}
        assert house.witnessed == house.size
        net.control.note([SiteSilent(GHENT, times)])
    look(net, GHENT)
    assert net.control.witnessing.cosigned[GHENT] == house.size
    book = HeadBook(net.folder / GHENT / "heads.json")
    assert set(book.heads) == {HOUSE, "aster/LEEDS/HOUSE"}  # nothing noted for the sponsor yet
    kept = [path for path in (net.folder / LEEDS).rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert kept == []


def test_a_house_from_an_old_backup_is_named_by_the_site_that_cosigned_more_and_not_written_on(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    net.close_control()
    shutil.copytree(net.folder / "CONTROL", tmp_path / "older")
    shutil.copy(net.folder / "CONTROL.beacon", tmp_path / "older.beacon")
    net.restart_control()
    net.control.note([SiteSilent(GHENT, each) for each in range(5)])
    look(net)
    net.close_control()
    shutil.copy(net.folder / "CONTROL" / "ledgers" / "HOUSE.sqlite", tmp_path / "newest.sqlite")
    shutil.rmtree(net.folder / "CONTROL")
    shutil.copytree(tmp_path / "older", net.folder / "CONTROL")  # with its second copy: all on one disk
    shutil.copy(tmp_path / "older.beacon", net.folder / "CONTROL.beacon")
    net.control = net.open_control()
    net.lines[LEEDS].desk = net.control.desk
    look(net)
    size = net.control.ledgers["HOUSE"].size
    assert "it was restored from an old copy" in net.control.returning.waits[HOUSE]
    for times in range(3):  # and the next processes know it, before any site has said it again
        with pytest.raises(NotReachable, match="a person decides: bring its second copy or the newest backup"):
            net.control.note([SiteSilent(GHENT, times)])
        asyncio.run(net.carry())  # what sites bring is held all the same
        net.control.stop()
        net.restart_control()
    assert net.control.ledgers["HOUSE"].size == size
    net.control.stop()
    net.close_control()
    shutil.copy(tmp_path / "newest.sqlite", net.folder / "CONTROL" / "ledgers" / "HOUSE.sqlite")
    net.restart_control()
    net.control.note([SiteSilent(GHENT, 1)])
    look(net)
    assert net.control.returning.waits == {}
    net.control.stop()
    net.restart_control()
    assert net.control.returning.waits == {}


def test_a_forked_house_is_named_on_both_sides_and_not_cosigned(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    look(net)
    signer, _ = signers(SEED, "aster", "CONTROL")
    twin = Ledger(SqliteStore(tmp_path / "twin.sqlite", origin=HOUSE), signer=signer)
    while twin.size < net.control.ledgers["HOUSE"].size + 3:
        twin.append([SiteSilent(GHENT, 1)], actor=net.control.actor, moment=net.clock.now())
    node = net.nodes[LEEDS]
    assert node.heads is not None
    held = node.heads.book.held(HOUSE)
    assert held is not None
    message = shown_head(twin.store, old=held.size)
    assert message is not None
    keys = WriterKeys.first(HOUSE, signer.verifying_key)
    with pytest.raises(NotTrusted, match="a fork"):
        node.heads.book.take(message, keys=keys, witness=node.control.witness, time=1)
    assert node.heads.book.held(HOUSE) == held
    net.control.witnessing.house = twin  # a second view of the house, shown by the same node
    look(net)
    assert "a fork" in net.control.returning.waits[HOUSE]


def test_a_split_view_of_another_sites_ledger_shows(tmp_path: Path) -> None:
    net = Network(tmp_path / "net", sites=(LEEDS, GHENT))
    for site in (LEEDS, GHENT):
        asyncio.run(net.carry(site))
    look(net, GHENT)
    signer, _ = signers(SEED, "aster", "LEEDS")
    copy = net.control.copies["aster/LEEDS/HOUSE"][1]
    twin = Ledger(SqliteStore(tmp_path / "twin.sqlite", origin="aster/LEEDS/HOUSE"), signer=signer)
    while twin.size < copy.size:
        twin.append([SiteSilent(GHENT, 1)], actor=net.control.actor, moment=net.clock.now())
    copy.store = twin.store
    look(net, GHENT)
    look(net, GHENT)
    (refused,) = net.payloads(LedgerRefused, GHENT)
    assert isinstance(refused, LedgerRefused)
    assert refused.ledger == "aster/LEEDS/HOUSE"
    assert "a split view" in refused.why


def rotate(net: Network, times: int = 1) -> None:
    node = net.nodes[LEEDS]
    assert node.keys.keyring is not None
    for _ in range(times):
        node.keys.keyring.rotate("HOUSE", node.ledgers["HOUSE"], actor=node.actor, moment=net.clock.now())
    asyncio.run(net.carry())


def seen(net: Network) -> tuple[int, int]:
    """How much of a ledger its neighbour has seen, and how much there is."""
    node = net.nodes[GHENT]
    assert node.heads is not None
    held = node.heads.book.held("aster/LEEDS/HOUSE")
    return (held.size if held else 0), net.control.copies["aster/LEEDS/HOUSE"][1].size


def test_heads_of_other_sites_follow_their_rotations_and_a_renewal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Network(tmp_path / "net", sites=(LEEDS, GHENT))
    for site in (LEEDS, GHENT):
        asyncio.run(net.carry(site))
    rotate(net)  # before anything was seen: from the key that the directory names
    for _ in range(2):
        look(net, GHENT)
        assert seen(net)[0] == seen(net)[1]
        rotate(net, 3)  # since then: from the key that signed the head held
    monkeypatch.setattr(witnessing, "ROTATIONS_SHOWN", 1)  # more than one answer brings: look by look
    for _ in range(12):
        look(net, GHENT)
    assert seen(net)[0] == seen(net)[1]
    before = seen(net)[0]
    new = SiteHome.open(net.folder / LEEDS).keyring.prepare()
    revoke_site_key(net.control, net.person(BEN), signer_of(BEN), site=LEEDS, key=str(new), reason="the node's disk was copied")
    look(net, GHENT)  # the old head is under a revoked key, and the new directory is not here yet
    asyncio.run(net.carry())
    asyncio.run(net.carry())
    look(net, GHENT)
    assert seen(net)[0] == before
    asyncio.run(net.carry(GHENT))
    rotate(net)
    for _ in range(6):
        look(net, GHENT)
    assert seen(net)[0] == seen(net)[1] > before
    assert net.payloads(LedgerRefused, GHENT) == []


def test_a_head_under_a_key_that_no_rotation_names_is_noted(tmp_path: Path) -> None:
    net = Network(tmp_path / "net", sites=(LEEDS, GHENT))
    for site in (LEEDS, GHENT):
        asyncio.run(net.carry(site))
    rotate(net)
    copy = net.control.copies["aster/LEEDS/HOUSE"][1]
    stranger = Signer.generate("aster/LEEDS")
    twin = Ledger(SqliteStore(tmp_path / "twin.sqlite", origin="aster/LEEDS/HOUSE"), signer=stranger)
    twin.append([SiteSilent(GHENT, 1)] * (copy.size + 1), actor=net.control.actor, moment=net.clock.now())
    copy.store = twin.store
    look(net, GHENT)
    look(net, GHENT)
    (refused,) = net.payloads(LedgerRefused, GHENT)
    assert isinstance(refused, LedgerRefused)
    assert "not signed by" in refused.why


# ---- the witness by itself ----

LOG, WITNESS = Signer.from_seed("example.org/control", bytes(32)), Signer.from_seed("example.org/witness", bytes(31) + b"1", algorithm=4)
KEYS = WriterKeys.first("example.org/control/house", LOG.verifying_key)


@pytest.fixture
def log(tmp_path: Path) -> Ledger:
    return Ledger(SqliteStore(tmp_path / "log.sqlite", origin=KEYS.origin), signer=LOG)


def test_every_growth_is_proven_and_nothing_else_is_cosigned(tmp_path: Path, log: Ledger) -> None:
    book = HeadBook(tmp_path / "heads.json")
    for size in range(1, 20):
        log.append_bytes([b"%d" % size])
        held = book.held(KEYS.origin)
        message = shown_head(log.store, old=held.size if held else 0)
        assert message is not None
        shown, _ = book.take(message, keys=KEYS, witness=WITNESS, time=1)
        assert shown.size == size
        book = HeadBook(tmp_path / "heads.json")  # another process
        if size > 2:
            for wrong in (size - 2, size + 1):
                other = add_checkpoint(wrong, *read_add_checkpoint(message)[1:])
                with pytest.raises(NotTrusted):
                    book.take(other, keys=KEYS, witness=WITNESS, time=1)
    other = Ledger(SqliteStore(tmp_path / "other.sqlite", origin="example.org/control/other"), signer=LOG)
    other.append_bytes([b"x"])
    message = shown_head(other.store, old=0)
    assert message is not None
    with pytest.raises(NotTrusted, match="a checkpoint of another ledger"):
        book.take(message, keys=KEYS, witness=WITNESS, time=1)
    old = Ledger(SqliteStore(tmp_path / "old.sqlite", origin=KEYS.origin), signer=LOG)
    old.append_bytes([b"1"])
    message = shown_head(old.store, old=0)
    assert message is not None
    with pytest.raises(NotTrusted, match="restored from an old backup"):
        book.take(message, keys=KEYS, witness=WITNESS, time=1)


@given(st.binary(max_size=300))
def test_nonsense_is_refused(data: bytes) -> None:
    try:
        old, proof, note = read_add_checkpoint(data)
    except NotValid:
        return
    assert add_checkpoint(old, proof, note)


def test_a_site_is_not_told_that_another_works_for_a_sponsor_that_is_not_its_own(tmp_path: Path) -> None:
    net = two_sponsors(tmp_path / "net")
    asyncio.run(publish_both(net))
    for sponsor in ("ASTER-BIO", "BORAGE"):
        assert net.control.copies[f"aster/LEEDS/{sponsor}"][1].size
    answers = [net.control.witnessing._others(site, {}) for site in (GHENT, LEEDS)]
    assert "aster/LEEDS/ASTER-BIO" in answers[0]
    assert "BORAGE" not in str(answers[0])
    assert not any(origin.startswith("aster/LEEDS/") for origin in answers[1])
