"""A site's key is stolen: revoked by signature, refused from then on, renewed, and nothing that was witnessed is lost."""

from __future__ import annotations

import asyncio
import functools
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from isogenic.authority.revocation import KeyRevoked
from isogenic.checks import stops
from isogenic.cli import app
from isogenic.errors import NotAllowed, NotTrusted, NotValid
from isogenic.network.facts import PageRefused
from isogenic.network.home import ControlHome, publish_documents
from isogenic.network.inspection import inspect
from isogenic.network.revoking import revoke_site_key
from isogenic.records import codec
from isogenic.records.disclosures import DISCLOSURES
from isogenic.records.facts import Actor
from isogenic.records.heartbeats import Heartbeat, sign_heartbeat
from isogenic.records.keys import KeyRenewed, KeyRotated
from isogenic.records.ledger import Ledger
from isogenic.records.link import Answer
from isogenic.records.notes import Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import next_page
from isogenic.sim.world import password_of
from isogenic.sites.facts import LedgerRefused, LinkLost
from isogenic.sites.home import SiteHome
from isogenic.sites.keyring import Keyring
from small_network import ADA, BEN, LEEDS, SEED, Network, signer_of

HOUSE = "aster/LEEDS/HOUSE"


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on an event loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def faults(folder: Path) -> list[str]:
    """What an inspector finds against a node's ledgers of sites."""
    return [note.text for note in stops(inspect(folder).notes) if "LEEDS" in note.text]


def keyring(net: Network) -> Keyring:
    return SiteHome.open(net.folder / LEEDS).keyring


def revoke(net: Network, key: str = "") -> KeyRevoked:
    return revoke_site_key(net.control, net.person(BEN), signer_of(BEN), site=LEEDS, key=key, reason="the node's disk was copied")


def something(net: Network, count: int = 1) -> None:
    net.nodes[LEEDS].note([LinkLost(LEEDS, f"cable {at}") for at in range(count)])


@on_a_loop
async def test_a_stolen_key_is_revoked_and_the_site_goes_on_with_a_new_one(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    await net.carry()
    thief = Signer.load(net.folder / LEEDS / "keys" / "ledger.key")
    net.lines[LEEDS].up = False
    something(net, 700)  # noted and not sent when the key was revoked
    new = keyring(net).prepare()
    held = net.control.copies[HOUSE][1].size
    revoked = revoke(net, str(new))
    assert revoked.ledgers[HOUSE] == held

    stolen = SqliteStore(tmp_path / "stolen.sqlite", origin=HOUSE)
    forged = Ledger(stolen, signer=thief)
    forged.append_bytes(net.control.copies[HOUSE][1].store.bodies(0, held))
    forged.append([LinkLost(LEEDS, "never happened")], actor=Actor.node("LEEDS"), moment=net.clock.now())
    page = next_page(stolen, start=0)
    assert page is not None
    answer = await net.control.desk.handle(net.lines[LEEDS].peer, "POST", "/v1/pages", page.to_bytes())
    assert answer.status == NotTrusted.http_status
    assert b"revoked" in answer.body
    assert isinstance(next(net.control.ledgers["HOUSE"].facts(net.control.ledgers["HOUSE"].size - 1)).payload, PageRefused)

    net.lines[LEEDS].up = True
    await net.carry()
    await net.carry()
    node, copy = net.nodes[LEEDS], net.control.copies[HOUSE][1]
    assert (copy.size, copy.root) == (node.ledgers["HOUSE"].size, node.ledgers["HOUSE"].root)
    assert [fact.first for fact in net.payloads(KeyRenewed)] == [held]  # type: ignore[attr-defined]
    assert node.ledgers["HOUSE"].signer.verifying_key == new
    assert net.control.state.directory is not None
    assert net.control.state.directory.site(LEEDS).keys.ledger == str(new)
    assert not (net.folder / LEEDS / "keys" / "ledger.key").exists(), "the stolen key is of no use, and is gone here too"

    for restart in (net.restart_control, lambda: net.restart_site(LEEDS)):
        restart()
        something(net)
        await net.carry()
        assert net.control.copies[HOUSE][1].size == net.nodes[LEEDS].ledgers["HOUSE"].size
    assert faults(net.folder / "CONTROL") == []
    assert inspect(net.folder / LEEDS).ok


@pytest.mark.parametrize("restarted", [False, True])
@on_a_loop
async def test_what_a_thief_told_in_a_heartbeat_binds_nobody_once_the_key_is_revoked(tmp_path: Path, restarted: bool) -> None:
    net = Network(tmp_path / "net")
    await net.carry()
    thief = Signer.load(net.folder / LEEDS / "keys" / "ledger.key")

    async def tells(ahead: int, count: int) -> int:
        heads = {origin: (copy.size + ahead, b"\7" * 32) for origin, (site, copy) in net.control.copies.items() if site == LEEDS}
        heads[HOUSE] = (net.control.copies[HOUSE][1].size, net.control.copies[HOUSE][1].root) if ahead == 1 else heads[HOUSE]
        note = sign_heartbeat(Heartbeat("LEEDS", 2**55, count, net.clock.now().at, heads), thief).decode()
        body = codec.dumps({"at": "2026-03-02T06:00:00.000Z", "noted": {}, "values": {}, "note": note, "rotations": []})
        return (await net.control.desk.handle(net.lines[LEEDS].peer, "POST", "/v1/heartbeat", body)).status

    assert await tells(2, 0) == 200
    assert not await net.nodes[LEEDS].courier.heartbeat({}), "the thief's is newer"
    revoke(net, str(keyring(net).prepare()))
    assert net.control.state.heartbeats == {}
    assert await tells(1, 1) == NotTrusted.http_status, "the revoked key may not even speak of what was held"
    await net.carry()
    something(net, 5)
    if restarted:
        net.restart_control()
        net.restart_site(LEEDS)
    for _ in range(3):
        await net.carry()
    assert await net.nodes[LEEDS].courier.heartbeat({})
    assert net.nodes[LEEDS].courier.state.stopped == {}
    assert {origin: copy.size for origin, (site, copy) in net.control.copies.items() if site == LEEDS} == {
        ledger.origin: ledger.size for ledger in net.nodes[LEEDS].ledgers.values()
    }


@on_a_loop
async def test_a_site_without_its_new_key_runs_on_and_says_so(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    await net.carry()
    revoke(net)
    await net.carry()
    something(net, 3)
    await net.carry()
    node = net.nodes[LEEDS]
    assert node.ledgers["HOUSE"].revoked
    assert "revoked" in node.courier.state.stopped[HOUSE]
    assert [fact.ledger for fact in net.payloads(LedgerRefused)].count(HOUSE) == 1  # type: ignore[attr-defined]
    held = net.control.copies[HOUSE][1].size
    net.restart_site(LEEDS)  # still without: it opens, and notes
    something(net)
    await net.carry()
    assert net.control.copies[HOUSE][1].size == held
    new = keyring(net).prepare()
    revoke(net, str(new))
    await net.carry()
    await net.carry()
    assert net.control.copies[HOUSE][1].size == net.nodes[LEEDS].ledgers["HOUSE"].size


@on_a_loop
async def test_who_may_not_revoke_does_not(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    with pytest.raises(NotAllowed):
        revoke_site_key(net.control, net.person(ADA), signer_of(ADA), site=LEEDS, key="", reason="because")
    with pytest.raises(NotValid, match="reason"):
        revoke_site_key(net.control, net.person(BEN), signer_of(BEN), site=LEEDS, key="", reason=" ")
    old = Signer.load(net.folder / LEEDS / "keys" / "ledger.key").verifying_key
    with pytest.raises(NotAllowed, match="in use, or was"):
        revoke(net, str(old))
    with pytest.raises(NotValid, match="named"):
        revoke(net, str(Signer.generate("aster/GHENT").verifying_key))
    assert net.control.state.keys.revoked == ()


@on_a_loop
async def test_an_old_directory_file_does_not_bring_a_revoked_key_back(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    await net.carry()
    revoke(net, str(keyring(net).prepare()))
    home = ControlHome.open(net.folder / "CONTROL")
    publish_documents(net.control, home)
    assert net.control.state.directory is not None
    assert net.control.state.directory.version == 2
    with pytest.raises(NotAllowed, match="was revoked"):
        publish_documents(net.control, replace(home, directory=replace(home.directory, version=3)))


@on_a_loop
async def test_a_revocation_that_the_site_was_not_told_of_is_told_at_the_next_start(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    await net.carry()
    new = keyring(net).prepare()
    told = net.control.note

    def killed(payloads, *, site=None, actor=None):  # type: ignore[no-untyped-def]
        if site:
            raise KeyboardInterrupt
        return told(payloads, site=site, actor=actor)

    net.control.publishing.note = killed
    with pytest.raises(KeyboardInterrupt):
        revoke(net, str(new))
    net.restart_control()
    something(net)
    await net.carry()
    await net.carry()
    assert net.control.copies[HOUSE][1].size == net.nodes[LEEDS].ledgers["HOUSE"].size
    assert net.nodes[LEEDS].ledgers["HOUSE"].signer.verifying_key == new


@on_a_loop
async def test_a_revocation_that_nobody_signed_is_not_followed(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    await net.carry()
    made = KeyRevoked(LEEDS, {HOUSE: 0}, "", "made up", elsewhere_signed(net))
    net.control.note([made], site=LEEDS)
    await net.carry()
    assert not net.nodes[LEEDS].ledgers["HOUSE"].revoked
    assert any("over something else" in fact.why for fact in net.payloads(LedgerRefused))  # type: ignore[attr-defined]


def elsewhere_signed(net: Network):  # type: ignore[no-untyped-def]
    from isogenic.authority.people import Role
    from isogenic.authority.signatures import sign

    return sign(signer_of(BEN), net.person(BEN), role=Role.QUALITY, meaning="revoked", at=net.clock.at, digest="0" * 64)


# --- rotation at a node ---


@on_a_loop
async def test_a_node_rotates_its_keys_and_destroys_the_old_ones(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    node, keys = net.nodes[LEEDS], net.folder / LEEDS / "keys"
    node.keys.every_facts = 5
    something(net, 6)
    sponsor = next(name for name in node.ledgers if name != "HOUSE")
    await net.scan()
    await net.carry()
    assert [type(fact) for fact in net.payloads(KeyRotated)] == [KeyRotated]
    assert (keys / "HOUSE.key").exists()
    assert (keys / "ledger.key").exists(), "the sponsor's ledger still has it"
    await net.publish()
    something(net, 6)
    node.keys.rotate_due()
    assert node.keys.keyring is not None
    assert node.journal is not None
    node.keys.keyring.rotate(sponsor, node.ledgers[sponsor], actor=node.actor, moment=net.clock.now())
    node.keys.keyring.rotate(DISCLOSURES, node.journal.ledger, actor=node.actor, moment=net.clock.now())
    await net.carry()
    assert not (keys / "ledger.key").exists()
    assert sorted(path.name for path in keys.iterdir()) == sorted(["DISCLOSURES.key", "HOUSE.key", f"{sponsor}.key", "ledger.pub", "witness.key"])
    for restart in (net.restart_control, lambda: net.restart_site(LEEDS)):
        restart()
        something(net)
        await net.carry()
        assert net.control.copies[HOUSE][1].size == net.nodes[LEEDS].ledgers["HOUSE"].size
    assert faults(net.folder / "CONTROL") == []
    assert inspect(net.folder / LEEDS).ok
    assert inspect(net.folder / LEEDS / "ledgers" / "HOUSE.sqlite", keys=_trusted(tmp_path)).ok


def _trusted(tmp_path: Path) -> str:
    from isogenic.clock import ManualClock
    from isogenic.sim.world import build_world

    return build_world(tmp_path / "again", seed=7, now=ManualClock().now()).keys_text()


@pytest.mark.parametrize("power_goes", ["before the fact", "after the fact"])
@on_a_loop
async def test_a_power_cut_in_the_middle_of_a_rotation_leaves_a_key_that_fits(tmp_path: Path, power_goes: str) -> None:
    net = Network(tmp_path / "net")
    node = net.nodes[LEEDS]
    ring = node.keys.keyring
    assert ring is not None
    ledger = node.ledgers["HOUSE"]
    rotate = ledger.rotate

    def cut(signer, *, actor, moment):  # type: ignore[no-untyped-def]
        if power_goes == "after the fact":
            rotate(signer, actor=actor, moment=moment)
        raise KeyboardInterrupt

    ledger.rotate = cut  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        ring.rotate("HOUSE", ledger, actor=node.actor, moment=net.clock.now())
    net.restart_site(LEEDS)
    something(net)
    await net.carry()
    assert net.control.copies[HOUSE][1].size == net.nodes[LEEDS].ledgers["HOUSE"].size
    assert not (net.folder / LEEDS / "keys" / "HOUSE.next.key").exists()


@on_a_loop
async def test_a_page_that_was_on_the_wire_when_its_key_was_revoked_stops_nothing_once_it_is_renewed(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    await net.carry()
    something(net)
    new, node = keyring(net).prepare(), net.nodes[LEEDS]
    late = next_page(node.ledgers["HOUSE"].store, start=node.ledgers["HOUSE"].witnessed)
    assert late is not None
    real, line = net.lines[LEEDS].call, net.lines[LEEDS]

    async def slow(method: str, path: str, body: bytes = b"") -> Answer:
        if path == "/v1/pages":
            line.call = real  # type: ignore[method-assign]
            revoke(net, str(new))
            await node.courier.download_once(wait=0)  # the site hears of it, and goes on with its new key, while the page is on the wire
        return await real(method, path, body)

    line.call = slow  # type: ignore[method-assign]
    assert await node.courier.upload_once()
    assert node.courier.state.stopped == {}
    await net.carry()
    assert net.control.copies[HOUSE][1].size == node.ledgers["HOUSE"].size


@on_a_loop
async def test_an_old_ledger_file_goes_on_with_the_key_that_counts_once_its_facts_are_back(tmp_path: Path) -> None:
    """The key was changed after the copy was made: the ledger is opened with the key of its time, and grows past that."""
    net = Network(tmp_path / "net")
    await net.carry()
    old = tmp_path / "older"
    net.close_site(LEEDS)
    shutil.copytree(net.folder / LEEDS / "ledgers", old)
    node = net.open_site(LEEDS)
    ledger = node.ledgers["HOUSE"]
    assert node.keys.keyring is not None
    node.keys.keyring.rotate("HOUSE", ledger, actor=Actor.node("LEEDS"), moment=net.clock.now())
    something(net, 3)
    await net.carry()
    net.close_site(LEEDS)
    shutil.rmtree(net.folder / LEEDS / "ledgers")
    shutil.copytree(old, net.folder / LEEDS / "ledgers")
    node = net.open_site(LEEDS)
    assert node.held
    await net.carry()
    await net.carry()
    assert node.held == ""
    something(net)
    await net.carry()
    assert net.control.copies[HOUSE][1].root == node.ledgers["HOUSE"].root
    assert node.ledgers["HOUSE"].witnessed == node.ledgers["HOUSE"].size


# --- a folder from before the renewal ---


def kept_aside(net: Network, to: Path) -> None:
    net.close_site(LEEDS)
    shutil.copytree(net.folder / LEEDS, to)
    net.open_site(LEEDS)


async def renewed(net: Network) -> None:
    """The key is revoked, the site goes on with a new one, and rotates it."""
    revoke(net, str(keyring(net).prepare()))
    something(net, 3)
    await net.carry()
    await net.carry()
    node = net.nodes[LEEDS]
    assert node.keys.keyring is not None
    node.keys.keyring.rotate("HOUSE", node.ledgers["HOUSE"], actor=node.actor, moment=net.clock.now())
    something(net, 3)
    await net.carry()


def put_back(net: Network, older: Path, *, keys: bool) -> list[bytes]:
    """An older folder is copied back, with the keys of its time or those of today; gives what the house had."""
    noted = net.nodes[LEEDS].ledgers["HOUSE"].store.bodies(0, 1 << 40)
    net.close_site(LEEDS)
    if not keys:
        shutil.rmtree(older / "keys")
        shutil.copytree(net.folder / LEEDS / "keys", older / "keys")
        shutil.copy(net.folder / LEEDS / "disclosures.sqlite", older)  # whose key is theirs
    shutil.rmtree(net.folder / LEEDS)
    shutil.copytree(older, net.folder / LEEDS)
    net.open_site(LEEDS)
    return noted


@on_a_loop
async def test_a_folder_from_before_the_renewal_takes_its_facts_back_under_the_keys_of_today(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    await net.carry()
    kept_aside(net, tmp_path / "older")
    await net.carry()
    await renewed(net)
    noted = put_back(net, tmp_path / "older", keys=False)
    assert net.nodes[LEEDS].returning.waits
    await net.carry()
    await net.carry()
    ledger, copy = net.nodes[LEEDS].ledgers["HOUSE"], net.control.copies[HOUSE][1]
    assert ledger.store.bodies(0, len(noted)) == noted
    assert (copy.size, copy.root) == (ledger.size, ledger.root)
    assert net.nodes[LEEDS].returning.waits == {}
    something(net)
    await net.carry()
    assert copy.size == ledger.size
    assert inspect(net.folder / LEEDS).ok


@on_a_loop
async def test_a_folder_with_the_keys_of_its_time_has_its_facts_back_and_goes_on_once_it_is_given_a_key(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    await net.carry()
    kept_aside(net, tmp_path / "older")
    await net.carry()
    await renewed(net)
    noted = put_back(net, tmp_path / "older", keys=True)
    await net.carry()
    assert "renew the key" in net.nodes[LEEDS].alarm
    assert net.nodes[LEEDS].ledgers["HOUSE"].store.bodies(0, 1 << 40) == noted
    revoke(net, str(keyring(net).prepare()))
    await net.carry()
    await net.carry()
    ledger, copy = net.nodes[LEEDS].ledgers["HOUSE"], net.control.copies[HOUSE][1]
    assert ledger.store.bodies(0, len(noted)) == noted
    assert (copy.size, copy.root) == (ledger.size, ledger.root)


def test_the_verb_revokes_at_a_control_site_that_does_not_run(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    held = net.control.copies[HOUSE][1].size
    net.close_control()
    verb = ["revoke-key", str(net.folder / "CONTROL"), "LEEDS", "--reason", "the disk was copied", "--as", "BEN", "--password"]
    assert CliRunner().invoke(app, [*verb, "wrong"]).exit_code != 0
    said = CliRunner().invoke(app, [*verb, password_of(BEN, SEED)])
    assert said.exit_code == 0, said.output
    assert f"{HOUSE}: the old key counts for {held} facts" in said.output
    assert "isogenic renew-key there" in said.output
    net.control = net.open_control()
    assert [each.reason for each in net.control.state.keys.revoked] == ["the disk was copied"]
