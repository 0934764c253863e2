"""The Sparkplug B driver against an edge node of the public library, through a real broker."""

from __future__ import annotations

import asyncio
import math
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("pysparkplug", reason="the extra mqtt is not installed")

import pysparkplug
from devices import MODULE, seen, site, tag, until
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.clock import ManualClock
from isogenic.errors import NotFound, NotValid
from isogenic.plant.model import Protocol, SitePlant
from isogenic.plant.readings import Quality
from isogenic.sim.sparkplug import SimulatedEdge
from isogenic.sites.drivers import sparkplug
from isogenic.sites.drivers.links import Connection
from isogenic.sites.drivers.several import drivers_for
from isogenic.sites.drivers.sparkplug import EdgeNode, SparkplugDriver

NOW = ManualClock().at
NODES = {"temperature": ("Temperature", "degC"), "agitation": ("Speed", "rpm"), "temperature_sp": ("Target", "degC")}
FIRST = {"temperature": 36.9, "agitation": 120.0, "temperature_sp": 37.0}
NOTHING = dict.fromkeys(FIRST)


@contextmanager
def broker(port: int = 0) -> Iterator[int]:
    """A broker in a process of its own; gives its port."""
    if not port:
        with socket.socket() as asked:
            asked.bind(("127.0.0.1", 0))
            port = asked.getsockname()[1]
    command = [sys.executable, str(Path(__file__).with_name("broker_process.py")), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield port
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with broker() as listening:
        yield listening


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparkplug, "REBIRTH_S", 0.2)
    monkeypatch.setattr(sparkplug, "FIRST_LIMIT_S", 1.0)
    monkeypatch.setattr(sparkplug, "KEEPALIVE_S", 60)  # a broker that is gone is told by its socket, also on a busy machine


def plant(port: int, name: str) -> SitePlant:
    """Each test has an edge node of its own name on the one broker."""
    return site(f"mqtt://127.0.0.1:{port}/Plant1/{name}/REACTOR", Protocol.SPARKPLUG, NODES, {"firmware": "Firmware"})


def driver(port: int, name: str) -> SparkplugDriver:
    return SparkplugDriver(plant(port, name), clock=ManualClock())


async def shows(one: SparkplugDriver, wanted: dict[str, float | None]) -> None:
    async def so() -> bool:
        return seen(await one.read(NOW)) == wanted

    await until(so)


def test_values_count_from_a_birth_on_and_set_points_are_commanded(port: int) -> None:
    async def protocol() -> None:
        with SimulatedEdge(port, node="E1") as edge:
            async with driver(port, "E1") as one:
                await shows(one, FIRST)
                assert one.connections() == {MODULE: Connection.CONNECTED} and one.changes() == []
                assert await one.settings() == {f"{MODULE}.firmware": "1.4.0"}
                edge.tell({"Temperature": 38.5})
                await shows(one, {**FIRST, "temperature": 38.5})
                edge.tell({"Speed": 90.0}, by_alias=True)
                await shows(one, {**FIRST, "temperature": 38.5, "agitation": 90.0})
                assert await one.write({tag("temperature_sp"): 35.0}) == {}
                await shows(one, {"temperature": 38.5, "agitation": 90.0, "temperature_sp": 35.0})
                assert await one.write({tag("temperature"): 1.0, tag("temperature_sp"): 99.0, "X.y": 1.0}) == {
                    tag("temperature"): "it is a measurement",
                    tag("temperature_sp"): "99 is not within 0 to 60 degC",
                    "X.y": "the plant document does not name it",
                }

    asyncio.run(protocol())


def test_a_gap_in_the_sequence_is_bad_until_the_rebirth_that_is_asked_for(port: int) -> None:
    async def protocol() -> None:
        with SimulatedEdge(port, node="E2", rebirths=False) as edge:
            async with driver(port, "E2") as one:
                for _ in range(3):  # a birth without need is no news
                    edge.give_birth()
                edge.tell({"Speed": 99.0})  # after them all
                await shows(one, {**FIRST, "agitation": 99.0})
                assert one.changes() == []
                edge.skip()
                edge.tell({"Temperature": 38.5})
                await shows(one, NOTHING)
                ((module, up, why),) = one.changes()
                assert (module, up) == (MODULE, False) and "is missing" in why
                assert await one.settings() == {}
                assert await one.write({tag("temperature_sp"): 35.0}) == {tag("temperature_sp"): f"module {MODULE} is lost"}
                edge.tell({"Temperature": 39.0})  # what comes before a birth counts for nothing
                edge.commands.clear()

                async def asked() -> bool:
                    await one.read(NOW)
                    return {"Node Control/Rebirth": True} in edge.commands

                await until(asked)
                assert set(seen(await one.read(NOW)).values()) == {None}
                edge.rebirths = True
                await shows(one, {**FIRST, "temperature": 39.0, "agitation": 99.0})
                assert [(module, up) for module, up, _ in one.changes()] == [(MODULE, True)]

    asyncio.run(protocol())


def test_a_node_whose_cable_is_pulled_is_bad_and_good_after_its_next_birth(port: int) -> None:
    async def protocol() -> None:
        edge = SimulatedEdge(port, node="E3")
        edge.__enter__()
        async with driver(port, "E3") as one:
            await shows(one, FIRST)
            edge.break_off()
            await shows(one, NOTHING)
            assert [(module, up, why) for module, up, why in one.changes()] == [(MODULE, False, "it died")]
            with edge:
                await shows(one, FIRST)
                edge.die()
                await shows(one, NOTHING)
                assert one.changes()[-1][1:] == (False, "the device died")
                edge.give_birth()
                await shows(one, FIRST)

    asyncio.run(protocol())


def test_what_a_node_is_told_while_its_connection_is_lost_comes_with_its_next_birth(port: int) -> None:
    async def protocol() -> None:
        with SimulatedEdge(port, node="E10", rebirths=False) as edge:
            async with driver(port, "E10") as one:
                edge.give_birth()
                await shows(one, FIRST)
                births = edge.births
                edge.cut()
                edge.tell({"Temperature": 38.5})
                await shows(one, NOTHING)
                edge.tell({"Speed": 90.0})  # nobody is connected: no error
                await shows(one, {**FIRST, "temperature": 38.5, "agitation": 90.0})
                assert edge.births == births + 1
                assert [(up, why) for _, up, why in one.changes()][-2:] == [(False, "it died"), (True, "")]

    asyncio.run(protocol())


def test_bytes_that_are_no_payload_are_bad_and_end_nothing(port: int) -> None:
    async def protocol() -> None:
        with SimulatedEdge(port, node="E4") as edge:
            async with driver(port, "E4") as one:
                await shows(one, FIRST)
                births = edge.births
                edge.send_raw("DDATA", b"\xff" * 40)

                async def reborn() -> bool:
                    await one.read(NOW)
                    return edge.births > births

                await until(reborn)
                await shows(one, FIRST)
                edge.metrics["Temperature"] = math.inf
                edge.metrics["Speed"] = 1e300
                edge.give_birth()
                await shows(one, {"temperature": None, "agitation": None, "temperature_sp": 37.0})

    asyncio.run(protocol())


def test_null_is_bad_history_changes_nothing_and_late_is_uncertain(port: int) -> None:
    async def protocol() -> None:
        with SimulatedEdge(port, node="E5", rebirths=False) as edge:
            async with driver(port, "E5") as one:
                edge.give_birth()  # and no other comes in between
                await shows(one, FIRST)
                edge.tell({"Temperature": None})
                await shows(one, {**FIRST, "temperature": None})
                edge.tell({"Temperature": 20.0}, historical=True)
                edge.tell({"Speed": 80.0}, late_s=60.0)
                await shows(one, {**FIRST, "temperature": None, "agitation": 80.0})
                frame = await one.read(NOW)
                assert frame.reading(tag("agitation")).quality is Quality.UNCERTAIN  # a minute late: it steers nothing
                assert frame.reading(tag("temperature_sp")).quality is Quality.GOOD

    asyncio.run(protocol())


def test_the_site_says_that_it_is_there_and_its_will_that_it_is_gone(port: int) -> None:
    states: list[bool] = []
    from paho.mqtt import client as mqtt

    listener = mqtt.Client(client_id="somebody")
    listener.on_message = lambda _c, _u, message: states.append(pysparkplug.State.decode(message.payload).online)
    listener.connect("127.0.0.1", port)
    listener.subscribe("spBv1.0/STATE/isogenic-HERE", 1)
    listener.loop_start()

    async def protocol() -> None:
        with SimulatedEdge(port, node="E6"):
            async with driver(port, "E6") as one:
                await shows(one, FIRST)

                async def told(wanted: bool) -> bool:
                    return bool(states) and states[-1] is wanted

                await until(lambda: told(True))
                old = pysparkplug.State(timestamp=1, online=False).encode()
                listener.publish("spBv1.0/STATE/isogenic-HERE", old, qos=1, retain=True)  # an old will arrives late

                async def again() -> bool:
                    return states[-2:] == [False, True]

                await until(again)
            await until(lambda: told(False))

    try:
        asyncio.run(protocol())
    finally:
        listener.disconnect()
        listener.loop_stop()


def test_a_broker_that_dies_makes_everything_bad_and_comes_back() -> None:
    async def protocol() -> None:
        edge = None
        with broker() as listening:
            edge = SimulatedEdge(listening, node="E7")
            edge.__enter__()
            one = driver(listening, "E7")
            await one.start()
            await shows(one, FIRST)
        await shows(one, NOTHING)
        assert [(module, up, why) for module, up, why in one.changes()] == [(MODULE, False, "the broker is gone")]
        with broker(listening):
            await shows(one, FIRST)  # both reconnect by themselves
            await one.close()
            edge.__exit__()

    asyncio.run(protocol())


def test_without_the_library_the_site_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysparkplug", None)
    with pytest.raises(NotValid, match="the extra mqtt is not installed"):
        drivers_for(plant(1, "E8"), clock=ManualClock(), answer_limit_s=1.0)


def test_a_broker_over_tls_needs_an_authority_that_somebody_trusts(tmp_path: Path) -> None:
    there = site("mqtts://127.0.0.1:1/Plant1/E9/REACTOR", Protocol.SPARKPLUG, NODES)
    with pytest.raises(NotFound, match=r"sparkplug/ca\.pem is missing"):
        SparkplugDriver(there, clock=ManualClock(), folder=tmp_path)


# ---- without sockets ----

METRIC = pysparkplug.Metric(timestamp=0, name="Temperature", datatype=pysparkplug.DataType.DOUBLE, value=36.9, alias=7)
BD_SEQ = pysparkplug.Metric(timestamp=0, name="bdSeq", datatype=pysparkplug.DataType.INT64, value=3)


def born() -> EdgeNode:
    node = EdgeNode(pysparkplug)
    node.take("NBIRTH", "", pysparkplug.NBirth(timestamp=0, seq=0, metrics=(BD_SEQ,)).encode(), at=0.0)
    node.take("DBIRTH", "R", pysparkplug.DBirth(timestamp=0, seq=1, metrics=(METRIC,)).encode(), at=0.0)
    assert node.born and node.devices == {"", "R"}
    return node


def data(seq: int) -> bytes:
    return pysparkplug.DData(timestamp=0, seq=seq, metrics=(METRIC,)).encode(include_dtypes=True)


def test_the_sequence_goes_around_and_every_gap_is_seen() -> None:
    node = born()
    for seq in range(2, 600):
        node.take("DDATA", "R", data(seq % 256), at=0.0)
    assert node.born
    node.take("DDATA", "R", data(601 % 256), at=0.0)
    assert (node.born, node.asks, node.values, node.why) == (False, True, {}, "message 88 is missing: 89 came")


def test_a_death_of_an_earlier_birth_is_none() -> None:
    node = born()
    node.take(
        "NDEATH",
        "",
        pysparkplug.NDeath(timestamp=0, bd_seq_metric=pysparkplug.Metric(0, "bdSeq", pysparkplug.DataType.INT64, value=2)).encode(),
        at=0.0,
    )
    assert node.born
    node.take("NDEATH", "", pysparkplug.NDeath(timestamp=0, bd_seq_metric=BD_SEQ).encode(), at=0.0)
    assert (node.born, node.asks, node.why) == (False, False, "it died")


def test_a_metric_that_no_birth_named_asks_for_a_birth() -> None:
    node = born()
    other = pysparkplug.Metric(timestamp=0, name="Colour", datatype=pysparkplug.DataType.DOUBLE, value=1.0)
    node.take("DDATA", "R", pysparkplug.DData(timestamp=0, seq=2, metrics=(other,)).encode(include_dtypes=True), at=0.0)
    assert (node.born, node.asks) == (False, True) and "no birth named" in node.why


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH", "STATE"]), st.binary(max_size=60), st.integers(0, 60)),
        max_size=6,
    )
)
def test_whatever_arrives_a_value_is_a_births_or_none(messages: list[tuple[str, bytes, int]]) -> None:
    node = born()
    whole = data(2)
    for kind, raw, cut in messages:
        node.take(kind, "R", whole[:cut] + raw, at=0.0)
        assert node.born or not node.values
