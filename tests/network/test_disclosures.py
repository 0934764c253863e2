"""What left is what is listed: compared with the bytes of a relay that ends TLS between a site and the control site."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capturing_relay import Asked, relay
from isogenic.clock import ManualClock
from isogenic.errors import NotReachable, NotValid
from isogenic.ids import NodeId
from isogenic.network.server import node_server, started
from isogenic.records.disclosures import (
    BytesDisclosed,
    FileDisclosed,
    Journal,
    PageDisclosed,
    TalkClosed,
    TalkOpened,
    bytes_disclosed,
    disclosures,
    page_disclosed,
)
from isogenic.records.facts import Actor
from isogenic.records.ledger import Ledger
from isogenic.records.notes import Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import next_page
from isogenic.shell.inspecting import disclosure_report
from isogenic.sim.world import password_of
from isogenic.sites.facts import LinkRestored
from isogenic.sites.link import HttpsLink
from isogenic.web.control_api import control_app
from isogenic.web.signin import AccountFolder
from small_network import LEEDS, SEED, START, Network
from two_sponsors import OF_ASTER, RECIPE, run_and_abort

Line = tuple[str, str, int, int, str, int]


def pages(journal: Journal) -> list[Line]:
    return [
        (said.to, said.ledger, said.start, said.stop, said.digest, said.size)
        for fact in journal.ledger.facts()
        if isinstance(said := fact.payload, PageDisclosed)
    ]


def blobs(journal: Journal) -> list[tuple[str, str, int]]:
    return [(said.to, said.digest, said.size) for fact in journal.ledger.facts() if isinstance(said := fact.payload, BytesDisclosed)]


def talk(journal: Journal) -> tuple[int, int]:
    closed = [fact.payload for fact in journal.ledger.facts() if isinstance(fact.payload, TalkClosed)]
    assert all(each.counted for each in closed)
    return sum(sum(each.messages.values()) for each in closed), sum(sum(each.sizes.values()) for each in closed)


def as_page(to: str, body: bytes) -> Line:
    said = page_disclosed(to, body)
    return said.to, said.ledger, said.start, said.stop, sha256(body).hexdigest(), len(body)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, list[tuple[Asked, int, bytes]], bytes]:
    """A recipe, a batch, its readings and a dossier, over real TLS with everything captured."""
    net = Network(tmp_path_factory.mktemp("told") / "net")
    node, folder = net.nodes[LEEDS], net.folder
    captured: list[tuple[Asked, int, bytes]] = []
    dossier: list[bytes] = []

    async def run() -> None:
        server = node_server(net.control.desk, home=folder / "CONTROL", host="127.0.0.1", port=0)
        serving = asyncio.create_task(server.serve())
        async with relay(await started(server), control=folder / "CONTROL", site=folder / "LEEDS") as between:
            link = HttpsLink(between.url, home=folder / "LEEDS", wait_s=1)
            node.courier.link.link = link  # type: ignore[attr-defined]
            await net.publish()
            await node.courier.heartbeat({"BR-50": {"ph": 7.0}})
            await run_and_abort(net, RECIPE, OF_ASTER)
            node.note([fact.payload for fact in node.ledgers["HOUSE"].facts()] * 1_500)  # a backlog of several pages
            await node.courier.upload_backlog()
            await net.carry()
            await node.courier.heartbeat(node.live())
            app = control_app(net.control, AccountFolder(folder / "CONTROL" / "accounts"), screens=False)
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://control") as guest:
                token = (await guest.post("/api/sign-in", json={"person": "QUI", "password": password_of("QUI", SEED)})).json()["token"]  # type: ignore[arg-type]
                dossier.append((await guest.get(f"/api/lots/{OF_ASTER}/dossier", headers={"authorization": f"Bearer {token}"})).content)
            await link.close()
            await asyncio.sleep(0.05)
            captured.extend(between.exchanges())
        server.should_exit = True
        await serving
        for journal in (node.journal, net.control.journal):
            assert journal is not None
            journal.close()

    asyncio.run(run())
    return net, captured, dossier[0]


def test_every_page_and_block_that_left_the_site_is_listed_and_nothing_else(told: tuple[Network, list[tuple[Asked, int, bytes]], bytes]) -> None:
    net, captured, _ = told
    journal = net.nodes[LEEDS].journal
    assert journal is not None
    left = [asked for asked, _, _ in captured]
    assert Counter(pages(journal)) == Counter(as_page("node CONTROL", each.body) for each in left if each.path.startswith("/v1/pages"))
    assert Counter(blobs(journal)) == Counter(
        ("node CONTROL", sha256(each.body).hexdigest(), len(each.body)) for each in left if each.method == "PUT"
    )
    rest = [each for each in left if not each.path.startswith("/v1/pages") and each.method != "PUT"]
    assert talk(journal) == (len(rest), sum(len(each.body) for each in rest))
    assert len(pages(journal)) > 8
    assert len(blobs(journal)) == 1
    assert sum(each.path == "/v1/heartbeat" for each in rest) == 2


def test_every_page_model_and_dossier_that_left_the_control_site_is_listed_and_nothing_else(
    told: tuple[Network, list[tuple[Asked, int, bytes]], bytes],
) -> None:
    net, captured, dossier = told
    journal = net.control.journal
    assert journal is not None
    detailed = [(asked.path, body) for asked, status, body in captured if status == 200 and asked.method == "GET"]
    assert Counter(pages(journal)) == Counter(as_page("node LEEDS", body) for path, body in detailed if path.startswith("/v1/control"))
    assert Counter(blobs(journal)) == Counter(
        ("node LEEDS", sha256(body).hexdigest(), len(body)) for path, body in detailed if path.startswith("/v1/blobs/")
    )
    rest = [body for asked, status, body in captured if not (status == 200 and asked.method == "GET")]
    assert talk(journal) == (len(rest), sum(map(len, rest)))
    (given,) = [fact.payload for fact in journal.ledger.facts() if isinstance(fact.payload, FileDisclosed)]
    assert (given.to, given.what, given.about, given.digest, given.size) == (
        "person QUI",
        "dossier",
        str(OF_ASTER),
        sha256(dossier).hexdigest(),
        len(dossier),
    )
    assert set(given.ledgers) == {"aster/LEEDS/ASTER-BIO", "aster/CONTROL/LEEDS"}


def test_the_report_says_what_when_and_to_whom_and_verifies_its_journal(told: tuple[Network, list[tuple[Asked, int, bytes]], bytes]) -> None:
    net, _, dossier = told
    lines = disclosure_report(net.folder / "CONTROL", to="QUI")
    assert len(lines) == 2
    assert f"person QUI            dossier      {len(dossier):>12,} bytes  {OF_ASTER}, aster/" in lines[0]
    assert lines[1].startswith(f"1 disclosures, {len(dossier):,} bytes; the journal of ")
    assert disclosure_report(net.folder / "CONTROL", since="2031-01-01T00:00:00Z")[0].startswith("0 disclosures, 0 bytes")
    assert len(disclosure_report(net.folder / "LEEDS", to="node CONTROL")) == len(disclosure_report(net.folder / "LEEDS"))


def test_the_journal_itself_never_leaves(told: tuple[Network, list[tuple[Asked, int, bytes]], bytes]) -> None:
    net, captured, _ = told
    node = net.nodes[LEEDS]
    assert node.journal is not None
    assert node.journal.ledger.origin not in node.courier.ledgers
    sent = {page_disclosed("node CONTROL", asked.body).ledger for asked, _, _ in captured if asked.path.startswith("/v1/pages")}
    assert sent == {"aster/LEEDS/HOUSE", "aster/LEEDS/ASTER-BIO"}


# ---- a journal by itself ----


def journal_at(folder: Path, clock: ManualClock) -> Journal:
    store = SqliteStore(folder / "disclosures.sqlite", origin="aster/LEEDS/DISCLOSURES")
    return Journal(Ledger(store, signer=Signer.from_seed("aster/LEEDS", b"7" * 32)), actor=Actor.node("LEEDS"), clock=clock, talk_s=60)


def test_small_talk_is_opened_before_the_first_word_and_closed_with_its_counts(tmp_path: Path) -> None:
    clock = ManualClock(START)
    journal = journal_at(tmp_path, clock)
    for seconds in (0, 20, 30, 15):
        clock.advance(seconds)
        journal.talk("node CONTROL", "polls", 0)
        journal.talk("node CONTROL", "heartbeats", 100)
    said = [fact.payload for fact in journal.ledger.facts()]
    assert said == [
        TalkOpened("node CONTROL"),
        TalkClosed("node CONTROL", START, {"polls": 3, "heartbeats": 3}, {"polls": 0, "heartbeats": 300}),
        TalkOpened("node CONTROL"),
    ]
    assert journal.due() == []
    clock.advance(60)
    assert journal.due() == ["node CONTROL"]


def test_after_a_crash_open_talk_is_closed_as_not_counted(tmp_path: Path) -> None:
    clock = ManualClock(START)
    journal_at(tmp_path, clock).talk("node CONTROL", "polls", 0)
    again = journal_at(tmp_path, clock)
    again.start()
    assert [fact.payload for fact in again.ledger.facts()][1] == TalkClosed("node CONTROL", START, {}, {}, counted=False)
    (line,) = disclosures(again.ledger.facts())
    assert "not counted" in line.about
    again.start()
    assert again.ledger.size == 2


def test_what_cannot_be_listed_does_not_leave(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    node = net.nodes[LEEDS]
    assert node.journal is not None
    before = list(net.lines[LEEDS].calls)
    node.journal.ledger.store.close()  # a disk that takes nothing more
    with pytest.raises(NotReachable):
        asyncio.run(node.courier.upload_once())
    assert net.lines[LEEDS].calls == before
    assert net.control.journal is not None
    net.control.journal.ledger.store.close()
    answer = asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "GET", "/v1/control?from=0"))
    assert answer.status == 503
    assert b"directory" not in answer.body


def test_what_leaves_at_once_shares_a_commit(tmp_path: Path) -> None:
    journal = journal_at(tmp_path, ManualClock(START))

    async def many() -> None:
        await asyncio.gather(*(journal.noted(bytes_disclosed("node CONTROL", bytes([number]))) for number in range(8)))

    asyncio.run(many())
    assert journal.ledger.size == 8
    assert journal.ledger.store.checkpoint_after(0)[0] == 8  # type: ignore[index]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_bytes_that_are_no_page_are_refused_not_listed_as_something_else(data: bytes) -> None:
    with pytest.raises(NotValid):
        page_disclosed("node CONTROL", data)


def test_a_page_says_its_ledger_and_range_from_its_first_bytes(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    page = next_page(net.nodes[LEEDS].ledgers["HOUSE"].store, start=0)
    assert page is not None
    said = page_disclosed("node CONTROL", page.to_bytes())
    assert (said.ledger, said.start, said.stop, said.size) == (page.origin, 0, len(page.bodies), len(page.to_bytes()))


def test_a_journal_that_was_changed_is_refused_at_the_start(tmp_path: Path) -> None:
    clock = ManualClock(START + timedelta(days=1))
    journal = journal_at(tmp_path, clock)
    journal.note(bytes_disclosed("person QUI", b"a dossier"))
    journal.ledger.store.close()
    path = tmp_path / "disclosures.sqlite"
    data = path.read_bytes()
    assert b"person QUI" in data
    path.write_bytes(data.replace(b"person QUI", b"person INA"))
    with pytest.raises(Exception, match="what is stored is not what was signed"):
        journal_at(tmp_path, clock).start()


def test_a_page_that_is_tried_again_and_again_is_one_line_until_it_is_answered(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    asyncio.run(net.carry())
    node, line = net.nodes[LEEDS], net.lines[LEEDS]
    node.ledgers["HOUSE"].append([LinkRestored(LEEDS)], actor=node.actor, moment=net.clock.now())
    line.up = False
    before = node.journal.ledger.size
    for _ in range(5):
        with pytest.raises(NotReachable):
            asyncio.run(node.courier.upload_once())
    assert [fact.kind for fact in node.journal.ledger.facts(before)] == [
        "records.page_disclosed"
    ] * 2  # that the link is lost is noted, and makes it another page
    line.up = True
    asyncio.run(net.carry())
    assert node.ledgers["HOUSE"].witnessed == node.ledgers["HOUSE"].size
