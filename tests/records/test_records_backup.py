"""Backups, and a rehearsal of the worst day: run, back up, run on, lose everything, restore, take back, go on."""

from __future__ import annotations

import asyncio
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from isogenic.clock import text_of_time
from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid, Refusal
from isogenic.ids import BatchId
from isogenic.network.inspection import inspect
from isogenic.records.backup import back_up, backups, restore
from isogenic.records.healing import LedgerHealed
from isogenic.records.notes import Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.shell.files import recover_node, restore_node
from isogenic.sites.facts import NodeStarted
from isogenic.sites.home import SiteHome
from small_network import LEEDS, Network

HOUSE, SPONSOR = "aster/LEEDS/HOUSE", "aster/LEEDS/ASTER-BIO"
PASS = "correct horse battery staple"


@pytest.fixture
def net(tmp_path: Path) -> Network:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    net.start_batch()
    asyncio.run(net.scan())
    asyncio.run(net.carry())
    return net


def the_batch(net: Network) -> BatchId:
    return next(iter(net.nodes[LEEDS].state.batches))


def work_on(net: Network, scans: int = 4) -> None:
    for _ in range(scans):
        asyncio.run(net.scan())
        net.answer_all(the_batch(net))


def backed_up(net: Network, to: Path, *, passphrase: str = "") -> None:
    back_up(net.folder / LEEDS, to, moment=net.clock.now(), passphrase=passphrase, entropy=os.urandom)


def bodies(net: Network) -> dict[str, list[bytes]]:
    return {ledger.origin: ledger.store.bodies(0, 1 << 40) for ledger in net.nodes[LEEDS].ledgers.values()}


def test_everything_is_lost_and_comes_back_and_nothing_is_lost_and_nothing_forked(tmp_path: Path, net: Network) -> None:
    to = tmp_path / "backups"
    backed_up(net, to, passphrase=PASS)  # while it runs
    work_on(net, scans=6)
    asyncio.run(net.carry())
    noted = bodies(net)
    net.close_site(LEEDS)
    shutil.rmtree(net.folder / LEEDS)
    (net.folder / "LEEDS.beacon").unlink()  # another machine
    restored = restore(to, net.folder / LEEDS, passphrase=PASS)
    assert restored.sizes["ledgers/ASTER-BIO.sqlite"] < len(noted[SPONSOR])
    node = net.open_site(LEEDS)
    assert set(node.returning.waits) == {HOUSE, SPONSOR}
    asyncio.run(net.carry())
    assert node.held == ""
    assert {each.ledger: each.lost for each in net.payloads(LedgerHealed)} == {HOUSE: 0, SPONSOR: 0}
    for origin, were in noted.items():
        assert bodies(net)[origin][: len(were)] == were
    work_on(net)
    asyncio.run(net.run_batch(the_batch(net), until_h=8))
    asyncio.run(net.carry())
    for ledger in node.ledgers.values():
        assert net.control.copies[ledger.origin][1].root == ledger.root
    assert net.control.desk.inbox.refused == []
    assert len(net.payloads(NodeStarted)) == 2


def test_a_backup_verifies_by_itself_and_a_second_one_copies_only_what_is_new(tmp_path: Path, net: Network) -> None:
    to = tmp_path / "backups"
    net.nodes[LEEDS].blobs.put(b"a reading block" * 1000)
    backed_up(net, to)
    net.clock.advance(60)
    backed_up(net, to)
    first, second = backups(to)
    shelved = [path for path in (to / "files").rglob("*") if path.is_file()]
    assert len(shelved) == len({path.name for path in shelved})
    assert first.ledgers == second.ledgers
    assert set(first.ledgers) >= {HOUSE, SPONSOR, "aster/CONTROL/LEEDS"}
    report = inspect(second.folder)
    assert report.ok, str(report)


@pytest.mark.parametrize("passphrase", ["", PASS])
def test_private_keys_and_accounts_are_in_a_backup_only_encrypted_and_only_if_asked(tmp_path: Path, net: Network, passphrase: str) -> None:
    to = tmp_path / "backups"
    backed_up(net, to, passphrase=passphrase)
    written = b"".join(path.read_bytes() for path in to.rglob("*") if path.is_file())
    for top in ("keys", "tls", "accounts"):
        for secret in (net.folder / LEEDS / top).iterdir():
            if b"PRIVATE" in secret.read_bytes() or top != "tls":
                assert secret.read_bytes() not in written
    folder = tmp_path / "restored"
    restored = restore(to, folder, passphrase=passphrase)
    assert restored.secrets == bool(passphrase)
    assert (folder / "keys" / "ledger.key").exists() == bool(passphrase)
    if passphrase:
        assert (folder / "keys" / "ledger.key").read_bytes() == (net.folder / LEEDS / "keys" / "ledger.key").read_bytes()
        assert (folder / "keys" / "ledger.key").stat().st_mode & 0o077 == 0
        with pytest.raises(NotTrusted, match="the passphrase is another one"):
            restore(to, tmp_path / "again", passphrase="wrong")


def test_a_restore_to_a_time_or_a_size_ends_there(tmp_path: Path, net: Network) -> None:
    to, then = tmp_path / "backups", net.clock.at + timedelta(minutes=1)
    sizes = {ledger.origin: ledger.size for ledger in net.nodes[LEEDS].ledgers.values()}
    net.clock.advance(3600)
    work_on(net)
    backed_up(net, to)
    by_time = tmp_path / "by-time"
    assert "without private keys" in restore_node(to, by_time, until=text_of_time(then))
    store = SqliteStore(by_time / "ledgers" / "ASTER-BIO.sqlite", origin=SPONSOR)
    assert len(store.bodies(0, 1 << 40)) == sizes[SPONSOR]
    store.close()
    restored = restore(to, tmp_path / "by-size", until=3)
    assert max(restored.sizes.values()) <= 3


def test_what_was_changed_in_a_backup_is_refused(tmp_path: Path, net: Network) -> None:
    to = tmp_path / "backups"
    backed_up(net, to)
    (backup,) = backups(to)
    changed = 0
    for path in sorted(path for path in to.rglob("*") if path.is_file() and path.stat().st_size):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
        with pytest.raises(Refusal):
            restore(to, tmp_path / f"restored {changed}")
        path.write_bytes(data)
        changed += 1
    assert changed > 8
    with pytest.raises(NotTrusted, match="none of those you trust"):
        restore(to, tmp_path / "other", keys="aster/GHENT+00000000+AA==")
    restore(to, tmp_path / "good", keys=f"{backup.key}\n")


def test_refusals(tmp_path: Path, net: Network) -> None:
    with pytest.raises(NotValid, match="in the folder itself"):
        backed_up(net, net.folder / LEEDS / "backups")
    with pytest.raises(NotFound):
        restore(tmp_path / "nothing", tmp_path / "x")
    to = tmp_path / "backups"
    backed_up(net, to)
    with pytest.raises(NotAllowed, match="there is a backup of that moment"):
        backed_up(net, to)
    with pytest.raises(NotAllowed, match="it is not empty"):
        restore(to, net.folder / LEEDS)


def test_a_damaged_ledger_is_not_backed_up_over_good_backups(tmp_path: Path, net: Network) -> None:
    db = net.nodes[LEEDS].ledgers["ASTER-BIO"].store._db
    db.execute("DROP TRIGGER log_is_never_changed")
    db.execute("UPDATE log SET body = x'00' WHERE pos = 1")
    with pytest.raises(NotTrusted, match="what is stored is not what was signed"):
        backed_up(net, tmp_path / "backups")
    assert backups(tmp_path / "backups") == []


def test_a_node_whose_keys_were_rotated_is_backed_up_under_the_key_in_force_and_restored_and_goes_on(tmp_path: Path, net: Network) -> None:
    to, node, home = tmp_path / "backups", net.nodes[LEEDS], SiteHome.open(net.folder / LEEDS)
    began = Signer.load(home.folder / "keys" / "ledger.key").verifying_key
    assert node.journal is not None
    ledgers = {**node.ledgers, "DISCLOSURES": node.journal.ledger}
    for _ in range(2):
        for audience in home.keyring.audiences:
            home.keyring.rotate(audience, ledgers[audience], actor=node.actor, moment=net.clock.now())
    asyncio.run(net.carry())
    assert not (home.folder / "keys" / "ledger.key").exists()
    backed_up(net, to, passphrase=PASS)
    (backup,) = backups(to)
    assert backup.key == node.ledgers["HOUSE"].signer.verifying_key
    assert backup.key != began
    assert inspect(backup.folder).ok
    with pytest.raises(NotTrusted, match="none of those you trust"):
        restore(to, tmp_path / "stranger", keys=str(Signer.generate(began.name).verifying_key))
    work_on(net)
    asyncio.run(net.carry())
    noted = bodies(net)
    in_force = {path.name: path.read_bytes() for path in (home.folder / "keys").iterdir()}
    net.close_site(LEEDS)
    shutil.rmtree(net.folder / LEEDS)
    (net.folder / "LEEDS.beacon").unlink()
    restore(to, net.folder / LEEDS, passphrase=PASS, keys=f"{began}\n")  # the key on the list is the one that the directory names
    assert {path.name: path.read_bytes() for path in (home.folder / "keys").iterdir()} == in_force
    node = net.open_site(LEEDS)
    asyncio.run(net.carry())
    assert node.held == ""
    for origin, were in noted.items():
        assert bodies(net)[origin][: len(were)] == were
    work_on(net)
    asyncio.run(net.carry())
    assert net.control.desk.inbox.refused == []


# ---- a fork that happened ----


def test_a_fork_is_given_up_by_a_person_kept_as_evidence_and_the_work_goes_on(tmp_path: Path, net: Network) -> None:
    net.close_site(LEEDS)
    shutil.copytree(net.folder / LEEDS, tmp_path / "older")
    shutil.copy(net.folder / "LEEDS.beacon", tmp_path / "older.beacon")
    net.open_site(LEEDS)
    work_on(net, scans=6)
    asyncio.run(net.carry())
    noted = bodies(net)
    net.close_site(LEEDS)
    shutil.rmtree(net.folder / LEEDS)
    shutil.copytree(tmp_path / "older", net.folder / LEEDS)
    shutil.copy(tmp_path / "older.beacon", net.folder / "LEEDS.beacon")  # the whole machine was put back: nobody here can notice
    net.lines[LEEDS].up = False
    node = net.open_site(LEEDS)
    work_on(net, scans=6)
    net.lines[LEEDS].up = True
    asyncio.run(net.carry())
    stopped = sorted(origin.rpartition("/")[2] for origin in node.courier.state.stopped)
    assert stopped
    assert "is not taken by the control site" in node.alarm
    net.close_site(LEEDS)
    lines = recover_node(net.folder / LEEDS, stopped, by="BEN", why="the virtual machine was put back")
    assert all("kept" in line for line in lines)
    node = net.open_site(LEEDS)
    asyncio.run(net.carry())
    assert node.held == ""
    assert node.courier.state.stopped == {}
    healed = {each.ledger.rpartition("/")[2]: each for each in net.payloads(LedgerHealed)}
    assert set(healed) >= set(stopped)
    assert all("BEN gave up a fork" in healed[each].why for each in stopped)
    assert all((net.folder / LEEDS / "evidence" / f"{each}.sqlite.{healed[each].evidence[:16]}").is_file() for each in stopped)
    for origin, were in noted.items():
        assert bodies(net)[origin][: len(were)] == were
    work_on(net)
    asyncio.run(net.carry())
    for ledger in node.ledgers.values():
        assert net.control.copies[ledger.origin][1].root == ledger.root
