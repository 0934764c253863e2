"""The wire as it is: sockets, TLS on both sides, a cable that is cut."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from isogenic.errors import NotReachable
from isogenic.ids import NodeId
from isogenic.network.desk import BODY_BYTES_MAX
from isogenic.network.server import node_server, quiet_server, started
from isogenic.records.link import refusal_of
from isogenic.records.sync import Page, next_page
from isogenic.records.tls import issue_certificates, read_certificate
from isogenic.sim.proxy import Line
from isogenic.sites.carrying import download_for_ever, upload_for_ever
from isogenic.sites.facts import LinkLost, LinkRestored
from isogenic.sites.link import HttpsLink
from small_network import GHENT, LEEDS, START, Network


@asynccontextmanager
async def serving(net: Network, *, home: Path | None = None) -> AsyncIterator[int]:
    """The control site's server on a free port."""
    server = node_server(net.control.desk, home=home or net.folder / "CONTROL", host="127.0.0.1", port=0)
    task = asyncio.create_task(server.serve())
    try:
        yield await started(server)
    finally:
        net.control.desk.close()
        server.should_exit = True
        await asyncio.wait([task], timeout=5)


def link(net: Network, port: int, *, home: Path | None = None) -> HttpsLink:
    return HttpsLink(f"https://127.0.0.1:{port}", home=home or net.folder / LEEDS, wait_s=5)


def stolen(tmp_path: Path, *, network: str = "another") -> Path:
    """A folder with certificates of another authority, for the same names."""
    homes = {name: tmp_path / "foreign" / name for name in ("LEEDS", "CONTROL")}
    issue_certificates(homes, network=network, now=START)
    return tmp_path / "foreign"


@pytest.fixture
def net(tmp_path: Path) -> Network:
    return Network(tmp_path / "net")


def test_a_site_is_who_its_certificate_says_and_nobody_else(net: Network) -> None:
    page = next_page(net.nodes[LEEDS].ledgers["HOUSE"].store, start=0)
    assert page is not None

    async def run() -> None:
        async with serving(net) as port:
            ghent, leeds = link(net, port, home=net.folder / GHENT), link(net, port)
            answer = await ghent.call("POST", "/v1/pages", page.to_bytes())
            assert answer.status == 401
            assert "GHENT does not write that ledger" in str(refusal_of(answer))
            assert (await leeds.call("POST", "/v1/pages", page.to_bytes())).status == 200
            assert Page.from_bytes((await ghent.call("GET", "/v1/control?from=0")).body).origin == "aster/CONTROL/GHENT"
            assert net.control.desk.live[NodeId("LEEDS")].heard is not None
            certificate = read_certificate((net.folder / LEEDS / "tls" / "node.crt").read_bytes())
            assert net.control.desk.live[NodeId("LEEDS")].certificate_until == certificate.not_valid_after_utc  # for the screens
            await ghent.close()
            await leeds.close()

    asyncio.run(run())
    assert net.control.copies["aster/LEEDS/HOUSE"][1].size == len(page.bodies)


def test_a_client_with_a_certificate_of_another_authority_is_refused(net: Network, tmp_path: Path) -> None:
    foreign = stolen(tmp_path) / "LEEDS"
    shutil.copy(net.folder / LEEDS / "tls" / "authority.crt", foreign / "tls" / "authority.crt")  # it trusts the server, the server not it

    async def run() -> None:
        async with serving(net) as port:
            intruder = link(net, port, home=foreign)
            with pytest.raises(NotReachable):
                await intruder.call("GET", "/v1/control?from=0")
            await intruder.close()

    asyncio.run(run())
    assert {live.heard for live in net.control.desk.live.values()} == {None}


def test_a_client_without_a_certificate_is_refused(net: Network) -> None:
    import ssl

    import httpx2

    async def run() -> None:
        async with serving(net) as port:
            context = ssl.create_default_context(cafile=str(net.folder / LEEDS / "tls" / "authority.crt"))
            async with httpx2.AsyncClient(verify=context, trust_env=False) as client:
                with pytest.raises(httpx2.HTTPError):
                    await client.get(f"https://127.0.0.1:{port}/v1/control?from=0")

    asyncio.run(run())
    assert {live.heard for live in net.control.desk.live.values()} == {None}


def test_a_server_with_a_certificate_of_another_authority_is_refused(net: Network, tmp_path: Path) -> None:
    foreign = stolen(tmp_path) / "CONTROL"
    shutil.copy(net.folder / "CONTROL" / "tls" / "authority.crt", foreign / "tls" / "authority.crt")  # it trusts the site, the site not it

    async def run() -> None:
        async with serving(net, home=foreign) as port:
            site = link(net, port)
            with pytest.raises(NotReachable, match="CERTIFICATE_VERIFY_FAILED"):
                await site.call("GET", "/v1/control?from=0")
            await site.close()

    asyncio.run(run())


def test_a_body_that_is_too_large_is_refused_while_it_arrives(net: Network) -> None:
    async def run() -> None:
        async with serving(net) as port:
            site = link(net, port)
            try:
                answer = await site.call("POST", "/v1/pages", bytes(BODY_BYTES_MAX + 100_000))
                assert answer.status == 422
            except NotReachable:
                pass  # the server may close before everything is sent
            assert (await site.call("GET", "/v1/control?from=0")).status == 200
            await site.close()

    asyncio.run(run())


def test_a_port_where_nobody_listens_is_not_reachable(net: Network) -> None:
    async def run() -> None:
        site = link(net, 1)
        with pytest.raises(NotReachable):
            await site.call("GET", "/v1/control?from=0")
        await site.close()

    asyncio.run(run())


def test_a_cut_cable_loses_nothing_and_the_courier_recovers_by_itself(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    batch = net.start_batch()
    node = net.nodes[LEEDS]

    def witnessed() -> bool:
        return all(ledger.witnessed == ledger.size for ledger in node.ledgers.values())

    async def until(condition, *, seconds: float = 20.0) -> None:  # type: ignore[no-untyped-def]
        for _ in range(int(seconds / 0.02)):
            if condition():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("it did not come to pass")

    async def run() -> None:
        async with serving(net) as port:
            cable = Line(port)
            near = await cable.start()
            node.courier.link = link(net, near)
            tasks = [
                asyncio.create_task(each)
                for each in (upload_for_ever(node.courier, node._news), download_for_ever(node.courier), node._heartbeat_for_ever(0.1))
            ]
            await net.scan()
            await until(witnessed)
            cable.cut()
            await net.run_batch(batch)
            await until(lambda: net.payloads(LinkLost) != [])
            assert node.state.batches[batch].closed
            assert not witnessed()
            cable.mend()
            await until(witnessed)
            sealed = node.state.sealed[batch]
            await until(lambda: all(net.control.blobs.has(each.digest) for each in sealed))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await cable.stop()

    asyncio.run(run())
    assert len(net.payloads(LinkLost)) == 1
    assert len(net.payloads(LinkRestored)) == 2
    for ledger in node.ledgers.values():
        copy = net.control.copies[ledger.origin][1]
        assert (copy.size, copy.root) == (ledger.size, ledger.root)
    assert all(each.complete for each in net.control.completeness(LEEDS))


def test_a_port_that_is_taken_is_told_and_does_not_end_the_process() -> None:
    async def knock() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            server = quiet_server(uvicorn.Config(lambda *_: None, host="127.0.0.1", port=taken.getsockname()[1], log_level="critical"))
            serving = asyncio.create_task(server.serve())
            with pytest.raises(NotReachable, match=r"cannot listen on 127\.0\.0\.1"):
                await started(server)
            await serving

    asyncio.run(knock())
