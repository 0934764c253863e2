"""Several control-site processes over one PostgreSQL: any of them serves any site, and a decision is made once."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import json
import pkgutil
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import isogenic.network
import postgres_here
from clear_lines import make_ready
from isogenic.errors import NotAllowed, NotReachable, NotTrusted, Refusal
from isogenic.ids import LotId, NodeId, SeededMint
from isogenic.network import decisions
from isogenic.network.control import ControlNode
from isogenic.network.facts import SiteSilent
from isogenic.network.home import VIEWS, ControlHome, publish_documents
from isogenic.network.revoking import revoke_site_key
from isogenic.network.state import ClaimRefused
from isogenic.quality.release import LotRejected, LotReleased
from isogenic.records import codec
from isogenic.records.derived import Derived
from isogenic.records.facts import Actor
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.notes import Signer
from isogenic.records.postgres import PostgresStore
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import Page, next_page
from isogenic.shell.files import back_up_node, migrate_database
from isogenic.sites.facts import LinkLost
from isogenic.sites.home import SiteHome
from small_network import ADA, BEN, GENERAL, GHENT, LEEDS, LOT, QUI, RECIPE, Network, signer_of, world_folder


class Shared(Network):
    """A small network whose control site keeps its ledgers in a database; more of its processes are started at will."""

    def __init__(self, folder: Path, url: str, **more: Any) -> None:
        self.others: list[ControlNode] = []
        shutil.copytree(world_folder(), folder)
        keep_in(folder, url)
        super().__init__(folder, **more)

    def another(self) -> ControlNode:
        """One more process of the control site, over connections of its own."""
        home = ControlHome.open(self.folder / "CONTROL")
        node = home.node(clock=self.clock, mint=SeededMint(f"control {len(self.others)}"), software="test")
        node.start()
        publish_documents(node, home)
        self.others.append(node)
        return node

    def close(self) -> None:
        for site in list(self.nodes):
            self.close_site(site)
        for node in (self.control, *self.others):
            assert node.processes is not None
            node.processes.close()
            if node.folding.derived is not None:
                node.folding.derived.close()


def keep_in(folder: Path, url: str) -> None:
    file = folder / "CONTROL" / "node.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "store": url}))


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Shared]:
    net = Shared(tmp_path / "net", postgres_here.empty_place())
    yield net
    net.close()


async def finished(net: Network) -> None:
    """One batch, complete, witnessed and tested."""
    await net.publish()
    await net.run_batch(net.start_batch())
    await net.carry()
    net.report_results(LOT)
    await net.carry()
    net.accept_deviations()


def all_ledgers(node: ControlNode) -> list[Ledger | Copy]:
    return [*node.ledgers.values(), *(copy for _, copy in node.copies.values())]


def held(node: ControlNode) -> dict[str, tuple[int, bytes]]:
    return {each.origin: (each.size, each.root) for each in all_ledgers(node)}


def kinds(net: Shared, kind: type) -> list[Any]:
    return [fact.payload for ledger in net.control.ledgers.values() for fact in ledger.facts() if isinstance(fact.payload, kind)]


def forged(net: Shared, path: Path, count: int) -> bytes:
    """A page that whoever has the site's key makes up, of what follows what is held."""
    house = net.control.copies["aster/LEEDS/HOUSE"][1]
    made_up = Ledger(SqliteStore(path, origin=house.origin), signer=Signer.load(net.folder / LEEDS / "keys" / "ledger.key"))
    made_up.append_bytes(house.store.bodies(0, house.size))
    made_up.append([LinkLost(LEEDS, "never happened")] * count, actor=Actor.node(NodeId("LEEDS")), moment=net.clock.now())
    page = next_page(made_up.store, start=0)
    assert page is not None
    return page.to_bytes()


def test_what_one_process_has_revoked_no_other_takes_though_nobody_told_it(net: Shared, tmp_path: Path) -> None:
    other = net.another()
    asyncio.run(net.carry())
    other.follow()
    page, new = forged(net, tmp_path / "forged.sqlite", 1), SiteHome.open(net.folder / LEEDS).keyring.prepare()
    revoked = revoke_site_key(net.control, net.person(BEN), signer_of(BEN), site=LEEDS, key=str(new), reason="stolen")
    answer = asyncio.run(other.desk.handle(NodeId("LEEDS"), "POST", "/v1/pages", page))
    assert (answer.status, b"revoked" in answer.body) == (NotTrusted.http_status, True)
    net.control.follow()
    assert net.control.copies["aster/LEEDS/HOUSE"][1].size == revoked.ledgers["aster/LEEDS/HOUSE"]


def test_a_head_that_one_process_has_shown_is_no_fork_at_another(net: Shared) -> None:
    other = net.another()
    asyncio.run(net.carry())
    other.follow()
    net.control.note([SiteSilent(LEEDS, 20)])
    head = net.control.ledgers["HOUSE"].store.head()
    assert head is not None
    answer = asyncio.run(other.desk.handle(NodeId("LEEDS"), "POST", "/v1/heads", codec.dumps({"held": head.note.decode()})))
    assert (answer.status, other.returning.waits) == (200, {})
    other.note([SiteSilent(LEEDS, 21)])


def test_what_a_site_has_told_one_process_binds_it_at_every_process(net: Shared, tmp_path: Path) -> None:
    other = net.another()
    asyncio.run(net.carry())
    page = forged(net, tmp_path / "forged.sqlite", 3)
    net.nodes[LEEDS].note([LinkLost(LEEDS, "true")])
    asyncio.run(net.nodes[LEEDS].courier.heartbeat({}))
    for node in (other, net.control):  # the first was told by nobody
        answer = asyncio.run(node.desk.handle(NodeId("LEEDS"), "POST", "/v1/pages", page))
        assert (answer.status, b"rewritten" in answer.body) == (NotTrusted.http_status, True)


def test_a_site_is_served_by_any_process_and_all_know_the_same(net: Shared, tmp_path: Path) -> None:
    nodes = [net.control, net.another(), net.another()]
    turn = iter(range(1_000_000))

    class Balancer:
        """Each request of a site goes to the next process."""

        async def handle(self, *request: Any) -> Any:
            return await nodes[next(turn) % 3].desk.handle(*request)

    net.lines[LEEDS].desk = Balancer()  # type: ignore[assignment]

    async def run() -> None:
        await finished(net)
        await net.carry()

    asyncio.run(run())
    assert {call[2] for call in net.lines[LEEDS].calls} <= {200, 204, 404, 409}
    for node in nodes:
        node.follow()
    assert held(nodes[0]) == held(nodes[1]) == held(nodes[2])
    assert nodes[0].state == nodes[1].state == nodes[2].state
    assert nodes[1].state.lot(LOT).batch in nodes[1].state.lots
    for ledger in net.nodes[LEEDS].ledgers.values():
        assert (ledger.witnessed, held(nodes[2])[ledger.origin]) == (ledger.size, (ledger.size, ledger.root))
    lived, anew = nodes[1].derived, Derived(tmp_path / "anew.sqlite", views=VIEWS)
    assert lived is not None
    for each in all_ledgers(nodes[1]):
        each.check()
        anew.catch_up(each)
    assert lived.digest() == anew.digest()  # fed by three in turn, in another kind of database
    followed = nodes[0].state
    net.others.append(net.open_control())
    assert net.others[-1].state == followed


def test_a_process_that_waits_with_a_site_answers_when_another_publishes(net: Shared) -> None:
    other = net.another()

    async def run() -> Page:
        assert net.control.processes is not None
        watching = asyncio.create_task(net.control.processes.watch(net.control.follow, net.control.catch_up))
        start = net.control.ledgers["LEEDS"].size
        waiting = asyncio.create_task(net.control.desk.handle(NodeId("LEEDS"), "GET", f"/v1/control?from={start}&wait=20"))
        await asyncio.sleep(0.1)
        begun = asyncio.get_running_loop().time()
        decisions.publish_directory(other, decisions.directory(other))
        answer = await waiting
        assert asyncio.get_running_loop().time() - begun < 10  # not the end of its wait
        watching.cancel()
        return Page.from_bytes(answer.body)

    page = asyncio.run(run())
    assert (page.origin, len(page.bodies)) == ("aster/CONTROL/LEEDS", 1)


def test_a_notification_that_was_lost_makes_others_late_and_not_blind(net: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    other = net.another()
    monkeypatch.setattr("isogenic.network.processes.POLL_S", 0.05)
    assert other.processes is not None and net.control.processes is not None

    async def run() -> None:
        assert other.processes is not None and net.control.processes is not None
        other.processes.tell = lambda: None  # type: ignore[method-assign]  # a line that swallows every notification
        watching = asyncio.create_task(net.control.processes.watch(net.control.follow, net.control.catch_up))
        decisions.publish_directory(other, decisions.directory(other))
        size = other.ledgers["HOUSE"].size
        async with asyncio.timeout(10):
            while net.control.ledgers["HOUSE"].size != size:
                await asyncio.sleep(0.02)
        watching.cancel()

    asyncio.run(run())


def test_a_process_whose_database_restarts_its_line_follows_again(net: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    other = net.another()
    monkeypatch.setattr("isogenic.network.processes.POLL_S", 0.05)

    async def run() -> None:
        assert net.control.processes is not None
        watching = asyncio.create_task(net.control.processes.watch(net.control.follow, net.control.catch_up))
        await asyncio.sleep(0.1)
        mine = [net.control.processes.database, net.control.processes._line]
        with psycopg.connect(postgres_here.server(), autocommit=True) as owner:
            for each in mine:
                owner.execute("SELECT pg_terminate_backend(%s)", (each.connection().info.backend_pid,))
        decisions.publish_directory(other, decisions.directory(other))
        async with asyncio.timeout(10):
            while net.control.ledgers["HOUSE"].size != other.ledgers["HOUSE"].size:
                await asyncio.sleep(0.02)
        assert not watching.done()
        watching.cancel()

    asyncio.run(run())


# ---- deciding ----


def release(node: ControlNode) -> object:
    return decisions.release_lot(node, decisions.directory(node).person(QUI), signer_of(QUI), lot=LOT)


def reject(node: ControlNode) -> object:
    return decisions.reject_lot(node, decisions.directory(node).person(QUI), signer_of(QUI), lot=LOT, reason="two of us looked at once")


Decision = Callable[[ControlNode], object]


@pytest.mark.parametrize(("first", "second"), [(release, reject), (reject, release), (release, release), (reject, reject)])
def test_two_processes_decide_on_a_lot_once_even_where_the_second_began_before_the_first_was_done(
    net: Shared, first: Decision, second: Decision
) -> None:
    asyncio.run(finished(net))
    other = net.another()
    outcome: list[object] = []

    def late() -> None:
        try:
            outcome.append(second(other))
        except Refusal as refusal:
            outcome.append(refusal)

    thread = threading.Thread(target=late)
    with net.control.deciding():
        thread.start()  # waits: what it knows of the lot is older than what follows
        thread.join(0.2)
        assert thread.is_alive()
        first(net.control)
    thread.join()
    net.control.follow()
    decided = [*kinds(net, LotReleased), *kinds(net, LotRejected)]
    assert [type(each) for each in decided] == [LotReleased if first is release else LotRejected]
    assert len(outcome) == 1 and (isinstance(outcome[0], Refusal) or outcome[0][0] is None)  # type: ignore[index]
    assert net.control.state == other.state


def test_whatever_the_control_site_decides_is_decided_alone() -> None:
    """A function of the control site's rooms that notes a decision holds the lock; who adds one is told here."""
    noting, alone = set(), set()
    for module in pkgutil.iter_modules(isogenic.network.__path__, "isogenic.network."):
        for name, found in vars(importlib.import_module(module.name)).items():
            if not inspect.isfunction(found) or name.startswith("_") or found.__module__ != module.name:
                continue
            first = next(iter(inspect.signature(found).parameters.values()), None)
            if first is not None and first.annotation == "ControlNode" and re.search(r"\.note\(|\.publish\(|\b_note\(", inspect.getsource(found)):
                noting.add(name)
                alone |= {name} if hasattr(found, "__wrapped__") else set()
    given_away = {"export_statement", "open_vault"}  # what left, once it is decided; the way for the vault to note by itself
    assert noting - alone - given_away == set()
    assert {"release_lot", "reject_lot", "publish_directory"} <= alone


def test_a_race_without_any_order_decides_once(net: Shared) -> None:
    asyncio.run(finished(net))
    nodes = [net.control, net.another(), net.another()]
    gate = threading.Barrier(3)

    def decide(node: ControlNode, what: Decision) -> None:
        gate.wait()
        with contextlib.suppress(Refusal):
            what(node)

    threads = [threading.Thread(target=decide, args=pair) for pair in zip(nodes, (release, reject, reject), strict=True)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for node in nodes:
        node.follow()
    assert len([*kinds(net, LotReleased), *kinds(net, LotRejected)]) == 1
    assert nodes[0].state == nodes[1].state == nodes[2].state


def test_a_recipe_is_signed_once_by_each_wherever_they_sign(net: Shared) -> None:
    other = net.another()
    decisions.submit_recipe(other, other.state.directory.person(ADA), GENERAL)  # type: ignore[union-attr]
    asyncio.run(net.publish())  # at the first process, which knows of the submission
    assert (RECIPE, 1) in net.control.state.submitted
    with pytest.raises(Refusal, match="two different people"):
        decisions.approve_recipe(other, net.person(BEN), signer_of(BEN), recipe=RECIPE, version=1, act=decisions.Act.APPROVE_RECIPE)


def test_processes_that_start_at_once_publish_their_documents_once(tmp_path: Path) -> None:
    net = Shared(tmp_path / "net", postgres_here.empty_place(), sites=())
    sizes = {audience: ledger.size for audience, ledger in net.control.ledgers.items()}
    starts = [threading.Thread(target=net.another) for _ in range(2)]
    for each in starts:
        each.start()
    for each in starts:
        each.join()
    net.control.follow()
    assert {audience: ledger.size for audience, ledger in net.control.ledgers.items()} == {**sizes, "HOUSE": sizes["HOUSE"] + 2}  # two starts
    net.close()


def test_of_two_claims_on_one_lot_the_same_one_stands_at_every_process(tmp_path: Path) -> None:
    net = Shared(tmp_path / "net", postgres_here.empty_place(), sites=(LEEDS, GHENT))
    other = net.another()
    net.lines[GHENT].desk = other.desk

    async def run() -> None:
        await net.publish(LEEDS)
        await net.publish(GHENT)
        for site in (LEEDS, GHENT):
            net.start_batch(site, lot=LotId("LOT-0007"))
        await net.carry(LEEDS)  # each process folds its own site's claim first
        await net.carry(GHENT)

    asyncio.run(run())
    for node in (net.control, other, net.control):
        node.follow()
        _ = node.state
    other.follow()
    assert len(kinds(net, ClaimRefused)) == 1
    assert net.control.state == other.state
    net.close()


def test_a_decision_whose_line_breaks_is_not_made_by_halves(net: Shared) -> None:
    asyncio.run(finished(net))
    door = postgres_here.Door()
    keep_in(net.folder, door.url(json.loads((net.folder / "CONTROL" / "node.json").read_text())["store"]))
    far = net.another()
    made = {"": True}

    def watch(data: bytes) -> str:
        if made and b"COPY" in data:
            made.clear()
            return "cut"
        return "on"

    door.watch = watch
    with pytest.raises(NotReachable, match="nothing was noted"):
        release(far)
    assert kinds(net, LotReleased) == []
    released, _ = release(net.control)  # type: ignore[misc]
    assert released is not None
    far.follow()
    assert far.state == net.control.state
    net.close()
    net.others, door_closed = [], door.close()
    assert door_closed is None


# ---- silence ----


def test_a_site_that_any_process_hears_is_not_silent_and_its_silence_is_noted_once(net: Shared) -> None:
    nodes = [net.control, net.another()]

    def look() -> list[SiteSilent]:
        for node in nodes:
            node.note_silence(net.clock.now().at, silent_s=15)
        net.control.follow()
        return kinds(net, SiteSilent)

    nodes[0].desk.live[NodeId("LEEDS")].heard = net.clock.now().at
    assert look() == []
    net.clock.advance(14)
    nodes[1].desk.live[NodeId("LEEDS")].heard = net.clock.now().at  # the balancer sent it elsewhere
    assert look() == []
    net.clock.advance(14)
    assert look() == []
    assert nodes[0].desk.live[NodeId("LEEDS")].heard == net.clock.now().at - timedelta(seconds=14)
    net.clock.advance(2)
    assert [each.site for each in look()] == [LEEDS]
    assert len(look()) == 1
    nodes[1].desk.live[NodeId("LEEDS")].heard = net.clock.now().at
    assert len(look()) == 1
    net.clock.advance(16)
    assert len(look()) == 2


# ---- the database comes back shorter ----


def lose_the_end(url: str, origin: str, size: int) -> None:
    """As a standby that was promoted before it had everything."""
    with psycopg.connect(url, autocommit=True) as owner:
        number = owner.execute("SELECT id FROM ledger WHERE origin = %s", (origin,)).fetchone()
        for table, column in (("log", "pos"), ("checkpoint", "size - 1"), ("receipt", "size - 1")):
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            owner.execute(f"DELETE FROM {table} WHERE ledger = %s AND {column} >= %s", (*(number or ()), size))
            owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")


def test_what_a_promoted_standby_had_not_got_is_sent_again_by_the_sites(net: Shared) -> None:
    asyncio.run(finished(net))
    ledger = net.nodes[LEEDS].ledgers["ASTER-BIO"]
    kept = net.control.copies[ledger.origin][1].store.checkpoint_at_or_before(ledger.size - 1)
    assert kept is not None and ledger.witnessed == ledger.size > kept[0]
    url = json.loads((net.folder / "CONTROL" / "node.json").read_text())["store"]
    before = held(net.control)
    lose_the_end(url, ledger.origin, kept[0])
    with pytest.raises(NotTrusted, match="the end of it was lost"):
        net.control.follow()
    net.others.append(net.control)
    net.control = net.open_control()  # the process was ended and started again
    assert held(net.control)[ledger.origin][0] == kept[0]
    net.lines[LEEDS].up = False
    asyncio.run(net.carry())
    net.lines[LEEDS].up, net.lines[LEEDS].desk = True, net.control.desk
    asyncio.run(net.carry())  # nothing new was noted: the link's return alone makes the site ask what is held
    assert held(net.control)[ledger.origin] == (ledger.size, ledger.root)
    asyncio.run(net.scan())  # the line hears that its batch is over
    asyncio.run(make_ready(net, LotId("LOT-0002")))
    net.start_batch(lot=LotId("LOT-0002"))
    asyncio.run(net.carry())
    assert held(net.control)[ledger.origin] == (ledger.size, ledger.root)
    assert ledger.witnessed == ledger.size > before[ledger.origin][0]
    net.control.copies[ledger.origin][1].check()


def test_no_process_goes_on_writing_its_own_ledger_where_the_end_was_lost(net: Shared) -> None:
    asyncio.run(net.publish())
    url = json.loads((net.folder / "CONTROL" / "node.json").read_text())["store"]
    lose_the_end(url, "aster/CONTROL/LEEDS", 1)
    with pytest.raises(NotTrusted, match="the end of it was lost"):
        decisions.publish_directory(net.control, decisions.directory(net.control))
    with pytest.raises(NotTrusted, match="the end of it was lost"):
        net.control.follow()


# ---- from one machine to several, and back ----


def test_a_control_site_moves_into_a_database_and_back_with_everything_it_had(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(finished(net))
    before, state = held(net.control), net.control.state
    net.close_control()
    keep_in(net.folder, postgres_here.empty_place())
    assert "facts brought" in migrate_database(net.folder / "CONTROL", load=True)[1]
    assert migrate_database(net.folder / "CONTROL", load=True)[1].startswith("0 facts")  # done again: it is there
    net.control = net.open_control()
    assert net.control.state == state
    assert {**held(net.control), "aster/CONTROL/HOUSE": None} == {**before, "aster/CONTROL/HOUSE": None}  # its start was noted there
    net.lines[LEEDS].desk = net.control.desk
    released, _ = decisions.release_lot(net.control, net.person(QUI), signer_of(QUI), lot=LOT)
    assert released is not None
    asyncio.run(net.carry())
    with pytest.raises(NotAllowed, match="its ledgers are in a database"):
        back_up_node(net.folder / "CONTROL", tmp_path / "backup")
    migrate_database(net.folder / "CONTROL", unload=tmp_path / "back")
    home, latest = ControlHome.open(net.folder / "CONTROL"), held(net.control)
    for origin, path in home.ledger_files(tmp_path / "back").items():
        if latest[origin][0]:
            head = SqliteStore(path, origin=origin).head()
            assert head is not None
            assert (head.size, head.frontier.root()) == latest[origin]
    net.close_site(LEEDS)
    net.close_control()


def test_another_history_is_never_joined_to_what_is_there(tmp_path: Path) -> None:
    net = Network(tmp_path / "net", sites=())
    net.close_control()
    keep_in(net.folder, postgres_here.empty_place())
    migrate_database(net.folder / "CONTROL")
    other = ControlHome.open(net.folder / "CONTROL")
    database = other.database()
    assert database is not None
    house = Ledger(PostgresStore(database, origin="aster/CONTROL/HOUSE"), signer=other.signer)
    house.append([SiteSilent(LEEDS, 20)], actor=Actor("CONTROL"), moment=net.clock.now())
    with pytest.raises(NotTrusted, match="are not the beginning of it"):
        migrate_database(net.folder / "CONTROL", load=True)
    database.close()
