"""The courier against a real desk, over a line that fails to order."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

import pytest

from isogenic.errors import NotReachable, NotTrusted, NotValid
from isogenic.ids import NodeId
from isogenic.records import codec
from isogenic.records.healing import LedgerHealed
from isogenic.records.link import Answer, problem
from isogenic.records.sync import PAGE_FACTS, next_page
from isogenic.sites.facts import LedgerRefused, LinkLost, LinkRestored
from small_network import GHENT, LEEDS, LOT, Network

SPONSOR = "aster/LEEDS/ASTER-BIO"
HOUSE = "aster/LEEDS/HOUSE"


def working(folder: Path) -> Network:
    """A site with a batch begun, everything carried."""
    net = Network(folder)
    asyncio.run(net.publish())
    net.start_batch()
    asyncio.run(net.scan())
    asyncio.run(net.carry())
    return net


def work_on(net: Network, scans: int = 4) -> None:
    for _ in range(scans):
        asyncio.run(net.scan())
        net.answer_all(next(iter(net.nodes[LEEDS].state.batches)))


def assert_witnessed(net: Network) -> None:
    for origin, ledger in net.nodes[LEEDS].courier.ledgers.items():
        copy = net.control.copies[origin][1]
        assert (copy.size, copy.root) == (ledger.size, ledger.root)
        assert ledger.witnessed == ledger.size


# ---- losses ----


def test_a_lost_answer_harms_nothing_the_page_is_sent_again_and_stored_once(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    work_on(net)
    line = net.lines[LEEDS]
    line.lose_answers = 1
    with pytest.raises(NotReachable, match="the answer was lost"):
        asyncio.run(net.nodes[LEEDS].courier.upload_once())
    asyncio.run(net.carry())
    assert_witnessed(net)
    pages = [status for method, path, status in line.calls if path == "/v1/pages"]
    assert set(pages) == {200}


def test_every_answer_may_be_lost_once_and_all_arrives(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    line = net.lines[LEEDS]
    courier = net.nodes[LEEDS].courier

    async def stubborn() -> None:
        for _ in range(200):
            line.lose_answers = 1 if len(line.calls) % 2 == 0 else 0
            try:
                if not await courier.upload_once() and not await courier.download_once(wait=0):
                    return
            except NotReachable:
                continue

    asyncio.run(stubborn())
    asyncio.run(net.publish())
    batch = net.start_batch()
    asyncio.run(net.run_batch(batch))
    asyncio.run(stubborn())
    line.lose_answers = 0
    asyncio.run(net.carry())
    assert_witnessed(net)
    assert net.nodes[LEEDS].control.size == net.control.ledgers[LEEDS].size
    assert net.control.ledgers[LEEDS].witnessed == net.control.ledgers[LEEDS].size


def test_a_cosignature_that_was_lost_is_brought_again_even_by_the_next_process(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    line = net.lines[LEEDS]
    net.control.note([next(iter(net.nodes[LEEDS].state.published.values()))], site=LEEDS)

    async def without_cosignature() -> None:
        call = line.call

        async def losing(method: str, path: str, body: bytes = b"") -> Answer:
            if path == "/v1/cosignatures":
                raise NotReachable("no answer", why="the line broke")
            return await call(method, path, body)

        net.nodes[LEEDS].courier.link = type("Losing", (), {"call": staticmethod(losing)})()
        with pytest.raises(NotReachable):
            await net.nodes[LEEDS].courier.download_once(wait=0)

    asyncio.run(without_cosignature())
    ledger = net.control.ledgers[LEEDS]
    assert net.nodes[LEEDS].control.size == ledger.size
    assert ledger.witnessed < ledger.size
    net.restart_site(LEEDS)
    asyncio.run(net.carry())
    assert ledger.witnessed == ledger.size


def test_a_cosignature_that_the_control_site_could_not_keep_is_brought_again(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    ledger, line = net.control.ledgers[LEEDS], net.lines[LEEDS]
    net.control.note([next(iter(net.nodes[LEEDS].state.published.values()))], site=LEEDS)
    call, full = line.call, [True]

    async def refusing(method: str, path: str, body: bytes = b"") -> Answer:
        if path == "/v1/cosignatures" and full:
            return problem(NotReachable("no receipt kept", why="the disk is full"))
        return await call(method, path, body)

    courier = net.nodes[LEEDS].courier
    courier.link = type("Refusing", (), {"call": staticmethod(refusing)})()
    with pytest.raises(NotReachable, match="cosignature not taken"):
        asyncio.run(courier.download_once(wait=0))
    assert ledger.witnessed < ledger.size
    full.clear()
    asyncio.run(courier.download_once(wait=0))
    assert ledger.witnessed == ledger.size


# ---- restored from older copies ----


def test_a_control_site_restored_from_an_older_copy_gets_the_missing_pages_and_blocks_again(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    net.close_control()
    shutil.copytree(net.folder / "CONTROL", tmp_path / "older")
    net.restart_control()
    batch = next(iter(net.nodes[LEEDS].state.batches))
    asyncio.run(net.run_batch(batch))
    asyncio.run(net.carry())
    sealed = net.nodes[LEEDS].state.sealed[batch]
    assert len(sealed) > 10
    assert all(net.control.blobs.has(each.digest) for each in sealed)

    net.lines[LEEDS].up = False  # as it is while a server is restored
    asyncio.run(net.carry())
    with pytest.raises(NotReachable):
        asyncio.run(net.nodes[LEEDS].courier.heartbeat({}))
    net.close_control()
    shutil.rmtree(net.folder / "CONTROL")
    shutil.copytree(tmp_path / "older", net.folder / "CONTROL")
    net.control = net.open_control()
    net.lines[LEEDS].desk = net.control.desk
    net.lines[LEEDS].up = True
    assert net.control.copies[SPONSOR][1].size < net.nodes[LEEDS].ledgers["ASTER-BIO"].size
    asyncio.run(net.carry())
    assert_witnessed(net)
    for each in sealed:
        assert net.control.blobs.get(each.digest) == net.nodes[LEEDS].blobs.get(each.digest)


def test_a_machine_put_back_with_its_beacon_forks_where_it_wrote_and_takes_the_rest_back(tmp_path: Path) -> None:
    """Nothing on the machine can tell; the witness does. What was not written on yet is taken back, the fork is stopped and never fixed."""
    net = working(tmp_path / "net")
    net.close_site(LEEDS)
    shutil.copytree(net.folder / LEEDS, tmp_path / "older")
    shutil.copy(net.folder / "LEEDS.beacon", tmp_path / "older.beacon")
    net.open_site(LEEDS)
    work_on(net, scans=8)
    asyncio.run(net.carry())
    held = {origin: net.control.copies[origin][1].size for origin in (HOUSE, SPONSOR)}
    net.close_site(LEEDS)
    shutil.rmtree(net.folder / LEEDS)
    shutil.copytree(tmp_path / "older", net.folder / LEEDS)
    shutil.copy(tmp_path / "older.beacon", net.folder / "LEEDS.beacon")
    node = net.open_site(LEEDS)
    for _ in range(3):
        net.report_results(LOT, results={})
        asyncio.run(net.carry())
        work_on(net, scans=2)
    asyncio.run(net.carry())
    assert set(node.courier.state.stopped) == {HOUSE}
    assert [each.ledger for each in net.payloads(LedgerRefused)] == [HOUSE]
    assert net.control.copies[HOUSE][1].size == held[HOUSE]
    (healed,) = net.payloads(LedgerHealed)
    assert (healed.ledger, healed.lost, healed.evidence) == (SPONSOR, 0, "")
    assert healed.kept + healed.returned == held[SPONSOR]
    ours, theirs = node.ledgers["ASTER-BIO"], net.control.copies[SPONSOR][1]
    assert ours.size == theirs.size > held[SPONSOR]
    assert ours.root == theirs.root
    assert node.state.running() != []  # the batch goes on (I6)


# ---- lies ----


def test_a_forged_receipt_is_not_kept(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    ghent = Network(tmp_path / "other", sites=(GHENT,))  # same keys everywhere, another line in the tree
    asyncio.run(ghent.carry(GHENT))
    _, stolen = ghent.nodes[GHENT].ledgers["HOUSE"].store.receipt() or (0, b"")
    work_on(net)
    ledger = net.nodes[LEEDS].ledgers["ASTER-BIO"]
    before = ledger.witnessed

    def forged(method: str, path: str, answer: Answer) -> Answer:
        if path != "/v1/pages":
            return answer
        return Answer(200, codec.dumps({"size": codec.loads(answer.body)["size"], "line": stolen.splitlines(keepends=True)[-1].decode()}))

    net.lines[LEEDS].changed = forged
    with pytest.raises(NotTrusted, match="does not verify"):
        asyncio.run(net.nodes[LEEDS].courier.upload_once())
    assert ledger.witnessed == before
    net.lines[LEEDS].changed = lambda method, path, answer: answer
    asyncio.run(net.carry())
    assert_witnessed(net)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"size":-1}', b'{"size":"many"}', b"[]", b"\xff\xfe", b'{"size":99999999999999999999}'])
def test_an_answer_that_is_nonsense_is_a_refusal_and_nothing_is_kept(tmp_path: Path, body: bytes) -> None:
    net = working(tmp_path / "net")
    work_on(net)
    net.lines[LEEDS].changed = lambda method, path, answer: Answer(200, body)
    before = net.nodes[LEEDS].ledgers["ASTER-BIO"].witnessed
    with pytest.raises((NotValid, NotTrusted)):
        asyncio.run(net.nodes[LEEDS].courier.upload_once())
    assert net.nodes[LEEDS].ledgers["ASTER-BIO"].witnessed == before


def test_other_bytes_than_the_published_model_are_refused_and_the_control_ledger_is_read_all_the_same(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    net.lines[LEEDS].changed = lambda method, path, answer: Answer(200, b"another model") if path.startswith("/v1/blobs/") else answer
    asyncio.run(net.carry())
    node = net.nodes[LEEDS]
    (published,) = node.state.models.values()
    assert not node.blobs.has(published.digest)
    assert node.state.directory is not None
    assert [each.ledger for each in net.payloads(LedgerRefused)] == [published.digest]
    net.lines[LEEDS].changed = lambda method, path, answer: answer
    asyncio.run(net.carry())
    assert node.blobs.has(published.digest)


def test_a_page_that_the_control_site_cannot_read_is_told_once_and_tried_again(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    work_on(net)
    net.lines[LEEDS].changed = lambda method, path, answer: (
        Answer(422, codec.dumps({"what": "cannot read a page", "why": "too new", "possible": ""})) if path == "/v1/pages" else answer
    )
    for _ in range(3):
        with pytest.raises(NotReachable, match="too new"):
            asyncio.run(net.nodes[LEEDS].courier.upload_once())
    assert len(net.payloads(LedgerRefused)) <= 2  # the sponsor's ledger, and the house whose page tells of it
    net.lines[LEEDS].changed = lambda method, path, answer: answer
    asyncio.run(net.carry())
    assert_witnessed(net)


# ---- the link ----


def test_a_link_that_goes_and_comes_is_noted_once_each_and_the_scan_goes_on(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    net.lines[LEEDS].up = False
    facts = net.nodes[LEEDS].ledgers["ASTER-BIO"].size
    for _ in range(3):
        work_on(net, scans=2)
        with pytest.raises(NotReachable):
            asyncio.run(net.nodes[LEEDS].courier.upload_once())
    assert net.payloads(LinkLost) == [LinkLost(LEEDS, "the line is down")]
    assert net.nodes[LEEDS].ledgers["ASTER-BIO"].size > facts
    net.lines[LEEDS].up = True
    asyncio.run(net.carry())
    assert net.payloads(LinkRestored) == [LinkRestored(LEEDS)] * 2  # the first when the site was set up
    assert_witnessed(net)


def test_a_batch_runs_from_its_start_to_its_end_without_a_link(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    net.lines[LEEDS].up = False
    batch = next(iter(net.nodes[LEEDS].state.batches))
    asyncio.run(net.run_batch(batch))
    assert net.nodes[LEEDS].state.batches[batch].closed
    net.lines[LEEDS].up = True
    asyncio.run(net.carry())
    assert_witnessed(net)
    assert net.control.state.lots[batch].manifest is not None


# ---- several pages on the wire at once ----


def a_backlog(net: Network, pages: int) -> int:
    """So many pages of facts at the site that the control site does not have."""
    ledger = net.nodes[LEEDS].ledgers["HOUSE"]
    fact = LinkRestored(LEEDS)
    for _ in range(pages):
        ledger.append([fact] * PAGE_FACTS, actor=net.nodes[LEEDS].actor, moment=net.clock.now())
    return ledger.size


def test_a_backlog_goes_with_several_pages_on_the_wire_and_each_is_stored_once(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    a_backlog(net, 10)
    line = net.lines[LEEDS]
    line.calls.clear()

    async def send() -> None:
        while await net.nodes[LEEDS].courier.upload_backlog():
            pass

    asyncio.run(send())
    assert_witnessed(net)
    pages = [(path, status) for method, path, status in line.calls if "/v1/pages" in path]
    assert len(pages) == 10
    assert {status for _, status in pages} == {200}
    assert {path for path, _ in pages} == {"/v1/pages", "/v1/pages?wait=1"}


def test_pages_that_overtake_one_another_wait_for_the_one_before(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    size, house = a_backlog(net, 4), net.nodes[LEEDS].ledgers["HOUSE"]
    desk, held = net.control.desk, net.control.copies[HOUSE][1].size
    pages = []
    while (page := next_page(house.store, start=held)) is not None:
        pages.append(page)
        held = page.start + len(page.bodies)

    async def all_at_once() -> list[Answer]:
        late_first = [desk.handle(NodeId("LEEDS"), "POST", "/v1/pages?wait=1", page.to_bytes()) for page in reversed(pages)]
        return list(await asyncio.gather(*late_first))

    answers = asyncio.run(all_at_once())
    assert [answer.status for answer in answers] == [200] * len(pages)
    assert net.control.copies[HOUSE][1].size == size


def test_a_page_whose_predecessor_is_lost_is_answered_with_what_is_held(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    a_backlog(net, 3)
    held = net.control.copies[HOUSE][1].size
    first = next_page(net.nodes[LEEDS].ledgers["HOUSE"].store, start=held)
    assert first is not None
    second = next_page(net.nodes[LEEDS].ledgers["HOUSE"].store, start=first.start + len(first.bodies))
    assert second is not None
    answer = asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "POST", "/v1/pages?wait=1", second.to_bytes()))
    assert (answer.status, codec.loads(answer.body)) == (409, {"size": held})


def test_a_backlog_survives_lost_answers(tmp_path: Path) -> None:
    net = working(tmp_path / "net")
    a_backlog(net, 8)
    line, courier = net.lines[LEEDS], net.nodes[LEEDS].courier

    async def stubborn() -> None:
        for lost in (1, 1, 3, 1, 2, 0):
            line.lose_answers = lost
            with contextlib.suppress(NotReachable):
                while await courier.upload_backlog():
                    pass

    asyncio.run(stubborn())
    assert_witnessed(net)


def test_a_cosignature_is_brought_again_after_a_break(tmp_path: Path) -> None:
    """The control site may have been put back from a backup: it holds the facts, and not the receipt for them."""
    net = working(tmp_path / "net")
    directed = net.control.ledgers[LEEDS]
    assert directed.witnessed == directed.size
    db = directed.store._db
    for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'receipt'").fetchall():
        db.execute(f"DROP TRIGGER {trigger}")
    db.execute("DELETE FROM receipt")
    assert directed.witnessed == 0
    net.lines[LEEDS].up = False
    asyncio.run(net.carry())
    net.lines[LEEDS].up = True
    asyncio.run(net.carry())
    assert directed.witnessed == directed.size
