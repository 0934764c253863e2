"""What the control site merely says stops nothing here: only our own signature shows that we lost something."""

from __future__ import annotations

import asyncio
import gzip
import shutil
from pathlib import Path

import httpx2
import pytest

from isogenic.errors import NotReachable
from isogenic.records import codec
from isogenic.records.link import Answer, problem
from isogenic.records.sync import next_page
from isogenic.sites.facts import LedgerRefused, LinkLost
from isogenic.sites.link import ANSWER_BYTES_MAX, HttpsLink
from small_network import LEEDS, Network

HOUSE = "aster/LEEDS/HOUSE"


def running(folder: Path) -> Network:
    net = Network(folder)
    asyncio.run(net.publish())
    net.start_batch()
    asyncio.run(net.scan())
    asyncio.run(net.carry())
    return net


@pytest.mark.parametrize("shown", [Answer(204), problem(NotReachable("busy", why="said to be")), None], ids=["nothing", "busy", "what is here"])
@pytest.mark.parametrize("claim", ["held", "409"])
def test_a_number_of_the_control_site_stops_no_scan(tmp_path: Path, claim: str, shown: Answer | None) -> None:
    net = running(tmp_path / "net")
    node, line = net.nodes[LEEDS], net.lines[LEEDS]

    def lie(method: str, path: str, answer: Answer) -> Answer:
        if path.startswith("/v1/held"):
            found = next_page(node.ledgers["HOUSE"].store, start=0)

            assert found is not None
            return shown or Answer(200, found.to_bytes())
        if not path.startswith("/v1/pages"):
            return answer
        said = codec.loads(answer.body, what="an answer")
        return Answer(200, codec.dumps({**said, "held": 10**9})) if claim == "held" else Answer(409, b'{"size":1000000000}')

    line.changed = lie
    node.note([LinkLost(LEEDS, "said to have something to send")])
    asyncio.run(net.carry())
    size = node.ledgers["ASTER-BIO"].size
    for _ in range(3):
        asyncio.run(net.scan())
        net.answer_all(next(iter(node.state.batches)))
        asyncio.run(net.carry())
    assert node.held == ""
    assert node.ledgers["ASTER-BIO"].size > size
    line.changed = lambda method, path, answer: answer
    asyncio.run(net.carry())
    for ledger in node.ledgers.values():
        assert ledger.witnessed == ledger.size


def test_who_asks_for_the_same_pages_again_and_again_is_not_answered_without_a_pause(tmp_path: Path) -> None:
    net = running(tmp_path / "net")
    node, line = net.nodes[LEEDS], net.lines[LEEDS]
    line.changed = lambda method, path, answer: Answer(409, b'{"size":0}') if path.startswith("/v1/pages") else answer
    node.note([LinkLost(LEEDS, "said to have something to send")])
    asyncio.run(node.courier.upload_once())
    for _ in range(3):
        with pytest.raises(NotReachable, match="again and again"):
            asyncio.run(node.courier.upload_once())
    line.changed = lambda method, path, answer: answer
    asyncio.run(net.carry())
    assert node.ledgers["HOUSE"].witnessed == node.ledgers["HOUSE"].size


def test_a_flood_of_watermarks_is_noted_once_for_each_ledger_of_ours(tmp_path: Path) -> None:
    net = running(tmp_path / "net")
    node = net.nodes[LEEDS]
    said = {"received": "2026-03-02T06:00:00.000Z", "answered": "2026-03-02T06:00:00.000Z", "again": []}
    flood = {**said, "watermarks": {HOUSE: "no note", **{f"x{each}": "no note" for each in range(2_000)}}}
    net.lines[LEEDS].changed = lambda method, path, answer: Answer(200, codec.dumps(flood)) if path == "/v1/heartbeat" else answer
    for _ in range(3):
        asyncio.run(node.courier.heartbeat({}))
    assert [each.ledger for each in net.payloads(LedgerRefused) if isinstance(each, LedgerRefused)] == [HOUSE]


def linked(answer: httpx2.Response) -> HttpsLink:
    """A link whose other side gives that answer."""
    link = HttpsLink.__new__(HttpsLink)
    link._client = httpx2.AsyncClient(base_url="https://control", transport=httpx2.MockTransport(lambda request: answer))
    return link


def test_an_answer_is_never_unpacked_and_never_larger_than_the_largest_blob() -> None:
    packed = httpx2.Response(200, content=gzip.compress(bytes(1 << 20)), headers={"content-encoding": "gzip"})
    with pytest.raises(NotReachable, match="coded as gzip"):
        asyncio.run(linked(packed).call("GET", "/v1/control?from=0"))

    def stream(size: int) -> httpx2.Response:
        async def parts():  # type: ignore[no-untyped-def]
            for _ in range(size >> 20):
                yield bytes(1 << 20)
            yield bytes(size & ((1 << 20) - 1))

        return httpx2.Response(200, content=parts())

    with pytest.raises(NotReachable, match="more than"):
        asyncio.run(linked(stream(ANSWER_BYTES_MAX + 1)).call("GET", "/v1/control?from=0"))
    assert len(asyncio.run(linked(stream(3 << 20)).call("GET", "/v1/control?from=0")).body) == 3 << 20


def test_a_witness_that_says_it_has_nothing_lets_nobody_forget_what_it_had_cosigned(tmp_path: Path) -> None:
    """An old folder is copied back, and the answer is a bare 204: the beacon knows better, so a person decides; the next start asks again."""
    net = running(tmp_path / "net")
    net.close_site(LEEDS)
    shutil.copytree(net.folder / LEEDS, tmp_path / "older")
    net.open_site(LEEDS).note([LinkLost(LEEDS, f"witnessed {each}") for each in range(20)])
    asyncio.run(net.carry())
    witnessed = net.nodes[LEEDS].ledgers["HOUSE"].witnessed
    net.close_site(LEEDS)
    shutil.rmtree(net.folder / LEEDS)
    shutil.copytree(tmp_path / "older", net.folder / LEEDS)
    net.lines[LEEDS].changed = lambda method, path, answer: Answer(204) if path.startswith("/v1/held") else answer
    node = net.open_site(LEEDS)
    for _ in range(3):
        asyncio.run(net.carry())
    assert f"it had cosigned {witnessed}" in node.returning.waits[HOUSE]
    assert HOUSE not in node.returning.asking
    with pytest.raises(NotReachable, match="a person decides"):
        node.note([LinkLost(LEEDS, "nothing is written meanwhile")])

    net.lines[LEEDS].changed = lambda method, path, answer: answer
    node = net.restart_site(LEEDS)
    assert node.held
    asyncio.run(net.carry())
    assert node.held == ""
    assert node.ledgers["HOUSE"].size > witnessed
