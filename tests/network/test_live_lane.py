"""Live values between the processes of a control site, over a real NATS server that is stopped and started."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nats
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.clock import text_of_time
from isogenic.errors import NotTrusted, NotValid
from isogenic.ids import NodeId
from isogenic.network.desk import HEARTBEAT_BYTES_MAX, Desk
from isogenic.network.lane import Lane
from isogenic.records import codec
from isogenic.records.heartbeats import Heartbeat, sign_heartbeat
from isogenic.records.notes import Signer
from isogenic.sim.world import signers
from small_network import LEEDS, SEED, Network

LEEDS_NODE = NodeId("LEEDS")
KEY, _ = signers(SEED, "aster", "LEEDS")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Server:
    """A nats-server of this test's own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [str(Path(sys.executable).parent / "nats-server"), "-a", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


def heartbeat(net: Network, value: float, *, signer: Signer = KEY) -> bytes:
    beat = Heartbeat("LEEDS", 3, int(value * 10), net.clock.at, {"aster/LEEDS/HOUSE": (3, bytes(32))})
    said = {"at": text_of_time(net.clock.at), "noted": {"aster/LEEDS/HOUSE": 3}, "values": {"BR-50": {"ph": value}}}
    return codec.dumps({**said, "note": sign_heartbeat(beat, signer).decode()})


def shown(desk: Desk) -> list[float]:
    return [values["ph"] for _, values in desk.live[LEEDS_NODE].units.get("BR-50", ())]


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> list[Network]:
    """Two control sites' desks stand for two processes of one: the lane is all that is between them."""
    return [Network(tmp_path_factory.mktemp("lane") / name, sites=()) for name in ("one", "two")]


def joined(net: Network, url: str) -> Lane:
    lane = Lane(url, network="aster", hear=net.control.desk.hear_from_another)
    net.control.desk.tell_others = lane.tell
    return lane


def test_what_a_site_says_to_one_process_is_shown_by_the_other_and_no_outage_harms(nets: list[Network]) -> None:
    async def run() -> None:
        server = Server()
        one, two = (net.control.desk for net in nets)
        lanes = [joined(net, server.url) for net in nets]
        running = [asyncio.create_task(lane.run()) for lane in lanes]
        try:
            await until(lambda: all(lane.open for lane in lanes))

            async def say(value: float) -> None:
                assert (await one.handle(LEEDS_NODE, "POST", "/v1/heartbeat", heartbeat(nets[0], value))).status == 200

            await asyncio.sleep(0.1)  # the subscription is on its way
            await say(7.0)
            await until(lambda: shown(two) == [7.0])
            assert shown(one) == [7.0]  # not told back
            assert two.live[LEEDS_NODE].noted == {"aster/LEEDS/HOUSE": 3}
            assert two.live[LEEDS_NODE].heard == nets[1].clock.at
            with pytest.raises(NotTrusted):  # nor does the lane make anybody heard whom the wire would not
                two.hear_from_another(LEEDS_NODE, heartbeat(nets[0], 9.0, signer=Signer.generate("aster/LEEDS")))
            two.hear_from_another(LEEDS_NODE, codec.dumps({**codec.loads(heartbeat(nets[0], 9.0)), "note": ""}))
            assert two.live[LEEDS_NODE].noted == {"aster/LEEDS/HOUSE": 3}
            two.live[LEEDS_NODE].units.clear()
            two.show(LEEDS_NODE, heartbeat(nets[0], 7.0))
            server.stop()
            await until(lambda: not any(lane.open for lane in lanes))
            await say(7.1)
            assert (shown(one), shown(two)) == ([7.0, 7.1], [7.0])
            server.start()
            await until(lambda: all(lane.open for lane in lanes))
            await asyncio.sleep(0.1)
            await say(7.2)
            await until(lambda: shown(two)[-1] == 7.2)
            assert shown(two) == [7.0, 7.2]  # what was said meanwhile is not evidence, and is not brought after
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            server.stop()

    asyncio.run(run())


def test_a_lane_whose_server_is_not_there_yet_opens_when_it_comes(nets: list[Network]) -> None:
    async def run() -> None:
        server = Server()
        server.stop()
        lane = joined(nets[0], server.url)
        running = asyncio.create_task(lane.run())
        try:
            await asyncio.sleep(0.2)
            lane.tell(LEEDS_NODE, heartbeat(nets[0], 1.0))  # nobody listens: dropped
            assert not lane.open and not running.done()
            server.start()
            await until(lambda: lane.open)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            server.stop()

    asyncio.run(run())


def test_a_stranger_on_the_server_changes_nothing(nets: list[Network]) -> None:
    async def run() -> None:
        server = Server()
        desk = nets[1].control.desk
        lane = joined(nets[1], server.url)
        running = asyncio.create_task(lane.run())
        try:
            await until(lambda: lane.open)
            await asyncio.sleep(0.1)
            before = shown(desk)
            stranger = await nats.connect(server.url)
            subject = lane._subject
            for where, what in (
                (f"{subject}.NOBODY", heartbeat(nets[1], 1.0)),
                (f"{subject}.not-an-id", heartbeat(nets[1], 1.0)),
                (f"{subject}.LEEDS", b"nonsense"),
                (f"{subject}.LEEDS", b"x" * (HEARTBEAT_BYTES_MAX + 1)),
                (f"isogenic.{'0' * 24}.live.LEEDS", heartbeat(nets[1], 1.0)),
            ):
                await stranger.publish(where, what)
            await stranger.publish(f"{subject}.LEEDS", heartbeat(nets[1], 6.9))  # the last one: all before it were looked at
            await until(lambda: shown(desk)[-1:] == [6.9])
            assert shown(desk) == [*before, 6.9]
            await stranger.close()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            server.stop()

    asyncio.run(run())


@given(
    st.text(max_size=80),
    st.one_of(st.binary(max_size=200), st.builds(codec.dumps, st.dictionaries(st.text(max_size=8), st.integers(-5, 5), max_size=4))),
)
@settings(max_examples=100, deadline=None)
def test_whatever_comes_over_the_lane_is_taken_or_left(nets: list[Network], subject: str, data: bytes) -> None:
    desk = nets[0].control.desk
    before = set(desk.live)
    Lane("nats://127.0.0.1:1", network="aster", hear=desk.hear_from_another).hear(f"x.{subject}", data)
    Lane("nats://127.0.0.1:1", network="aster", hear=desk.hear_from_another).hear(f"x.{LEEDS}", data)
    assert set(desk.live) == before


def test_a_node_without_the_client_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nats", None)
    with pytest.raises(NotValid, match="nats is not installed"):
        Lane("nats://127.0.0.1:1", network="aster", hear=lambda peer, data: None)
