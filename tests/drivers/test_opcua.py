"""The OPC UA driver against real servers over real sockets."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asyncua import ua
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.clock import ManualClock, ScaledClock, monotonic_seconds, wall_seconds
from isogenic.errors import NotReachable, NotValid
from isogenic.ids import ModuleId, UnitId
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.model import SitePlant
from isogenic.plant.readings import Frame, Quality, Reading, TagIndex
from isogenic.sim.facility import Facility
from isogenic.sim.servers import run_facility, serve_facility, written_whole
from isogenic.sites.drivers.opcua import Connection, OpcUaDriver, _Channel, overflow

VESSEL, FEED = ModuleId("SB-200-VESSEL"), ModuleId("SB-200-FEED")
UNIT = UnitId("SB-200")
DOCUMENT = files("isogenic.sim").joinpath("documents/porto.plant.yaml").read_text()
NOW = ManualClock().at
_TEMPERATURE = load_plant(DOCUMENT, name="porto").units[UNIT].signals["temperature"]
_CHANNEL = _Channel.of(_TEMPERATURE, TagIndex([_TEMPERATURE.tag]))
SETTLE_S = 20.0  # how long a test waits for what comes in the background


@pytest.fixture(scope="module")
def plant() -> SitePlant:
    return load_plant(DOCUMENT, name="porto")


def tag(name: str) -> str:
    return f"{UNIT}.{name}"


class Bench:
    """A facility on the wire whose clock moves when told, and a driver that reads it."""

    def __init__(self, facility: Facility, clock: ManualClock, endpoints: dict[ModuleId, str]) -> None:
        self.facility, self.clock = facility, clock
        self.ports = {module: int(url.rsplit(":", 1)[1]) for module, url in endpoints.items()}
        self.plant = with_endpoints(facility.plant, endpoints)
        self.driver: Any = None

    async def hours(self, hours: float) -> Frame:
        """Let so much process time pass, wait until the servers show it, and read."""
        self.clock.advance(hours * 3600.0)
        await asyncio.sleep(0.05)
        frame: Frame = await self.driver.read(self.clock.now().at)
        return frame


@asynccontextmanager
async def bench(plant: SitePlant, *, faults: tuple[str, ...] = ()) -> AsyncIterator[Bench]:
    clock = ManualClock()
    facility = Facility(plant, seed=1, faults=faults)
    async with serve_facility(plant, facility, clock, tick_s=0.005) as endpoints:
        bench = Bench(facility, clock, endpoints)
        async with OpcUaDriver(bench.plant, clock=clock, answer_limit_s=10.0) as driver:
            bench.driver = driver
            yield bench


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    limit = monotonic_seconds() + SETTLE_S
    while not await condition():
        assert monotonic_seconds() < limit, "did not come in time"
        await asyncio.sleep(0.02)


def test_values_of_another_make_arrive_under_canonical_names_and_in_canonical_units(plant: SitePlant) -> None:
    async def protocol() -> None:
        async with bench(plant) as site:
            assert site.driver.connections() == {VESSEL: Connection.CONNECTED, FEED: Connection.CONNECTED}
            orders = {"temperature_sp": 37.0, "agitation_sp": 90.0, "medium_dose": 100.0, "medium_dose_number": 1.0}
            assert await site.driver.write({tag(name): value for name, value in orders.items()}) == {}
            await site.hours(12)
            assert await site.driver.write({tag("feed_flow_sp"): 140.0, tag("glucose_dose"): 250.0, tag("glucose_dose_number"): 1.0}) == {}
            frame = await site.hours(1)
            assert set(frame.index.tags) == {each.tag for each in plant.signals()}
            assert set(frame.quality) == {Quality.GOOD}
            for each in plant.signals():  # the wire adds nothing and loses nothing but rounding of the conversion
                assert frame.reading(each.tag).value == pytest.approx(site.facility.read(each.tag), rel=1e-9, abs=1e-9)
            assert frame.reading(tag("temperature")).value == pytest.approx(37.0, abs=0.2)  # served in kelvin
            assert frame.reading(tag("agitation")).value == pytest.approx(90.0, rel=0.02)  # turns a second
            assert frame.reading(tag("feed_flow")).value == pytest.approx(140.0, rel=0.03)  # litres an hour
            assert frame.reading(tag("feed_pressure")).value == pytest.approx(0.33, rel=0.1)  # millibar
            assert frame.reading(tag("glucose_dosed_total")).value == pytest.approx(250.0)  # litres
            assert frame.at == site.clock.now().at
            assert site.driver.changes() == []

    asyncio.run(protocol())


def test_a_dose_number_written_twice_doses_once_and_amounts_go_before_numbers(plant: SitePlant) -> None:
    async def protocol() -> None:
        async with bench(plant) as site:
            order = {tag("medium_dose_number"): 1.0, tag("medium_dose"): 50.0}  # the number first, as a careless caller might
            for _ in range(3):
                assert await site.driver.write(order) == {}
                await site.hours(3)
            assert (await site.hours(1)).reading(tag("medium_dosed_total")).value == pytest.approx(50.0)

    asyncio.run(protocol())


def test_what_cannot_be_written_is_refused_with_the_reason_and_the_rest_is_written(plant: SitePlant) -> None:
    async def protocol() -> None:
        async with bench(plant) as site:
            refused = await site.driver.write(
                {
                    tag("ph_sp"): 7.1,
                    tag("temperature_sp"): 99.0,
                    tag("agitation_sp"): math.nan,
                    tag("temperature"): 37.0,
                    tag("medium_dose_number"): 1.5,
                    "BR-1.ph_sp": 7.0,
                }
            )
            assert refused == {
                tag("temperature_sp"): "99 is not within 0 to 60 degC",
                tag("agitation_sp"): "nan is not within 0 to 1000 rpm",
                tag("temperature"): "it is a measurement",
                tag("medium_dose_number"): "BadOutOfRange",  # the module's own answer
                "BR-1.ph_sp": "the plant document does not name it",
            }
            frame = await site.hours(1)
            assert frame.reading(tag("ph_sp")) == Reading(7.1, Quality.GOOD)
            assert frame.reading(tag("medium_dose_number")) == Reading(0.0, Quality.GOOD)

    asyncio.run(protocol())


def test_the_module_itself_refuses_wrong_types_measurements_and_unknown_nodes(plant: SitePlant) -> None:
    async def protocol() -> None:
        async with bench(plant) as site:
            client = site.driver._links[VESSEL]._client
            wire = {"sp": "ns=3;s=Reactor/Acidity/Target", "pv": "ns=3;s=Reactor/Acidity/Actual", "none": "ns=3;s=Nothing"}
            nodes = {name: client.get_node(node) for name, node in wire.items()}
            values = [ua.Variant("seven"), ua.Variant(7, ua.VariantType.Int32), ua.Variant(7.0), ua.Variant(7.0), ua.Variant(7.05)]
            places = [nodes["sp"], nodes["sp"], nodes["pv"], nodes["none"], nodes["sp"]]
            answers = await client.write_values(places, values, raise_on_partial_error=False)
            assert [answer.name for answer in answers] == ["BadTypeMismatch", "BadTypeMismatch", "BadNotWritable", "BadNodeIdUnknown", "Good"]
            shown = await nodes["pv"].read_data_value()
            assert shown.SourceTimestamp.replace(tzinfo=NOW.tzinfo) == site.facility.at  # process time, not the machine's
            assert site.facility.read(tag("ph_sp")) == 7.05

    asyncio.run(protocol())


def test_a_lost_sensor_is_bad_and_its_neighbours_are_not(plant: SitePlant) -> None:
    async def protocol() -> None:
        async with bench(plant, faults=("sensor_drops:unit=SB-200,signal=glucose",)) as site:
            await site.driver.write({tag("medium_dose"): 50.0, tag("medium_dose_number"): 1.0, tag("agitation_sp"): 90.0})
            await site.hours(6)
            assert (await site.hours(0.5)).reading(tag("glucose")).good
            await site.driver.write({tag("seed_dose"): 5.0, tag("seed_dose_number"): 1.0})  # the fault begins with the culture
            frame = await site.hours(2)
            assert math.isnan(frame.reading(tag("glucose")).value) and frame.reading(tag("glucose")).quality is Quality.BAD
            assert frame.reading(tag("lactate")).good

    asyncio.run(protocol())


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (ua.DataValue(ua.Variant(math.nan, ua.VariantType.Double)), Quality.BAD),
        (ua.DataValue(ua.Variant(math.inf, ua.VariantType.Double)), Quality.BAD),
        (ua.DataValue(ua.Variant(1e9, ua.VariantType.Double)), Quality.BAD),
        (ua.DataValue(ua.Variant("37.0", ua.VariantType.String)), Quality.BAD),
        (ua.DataValue(ua.Variant(True, ua.VariantType.Boolean)), Quality.BAD),
        (ua.DataValue(ua.Variant([310.0, 311.0], ua.VariantType.Double)), Quality.BAD),
        (ua.DataValue(ua.Variant(b"310", ua.VariantType.ByteString)), Quality.BAD),
        (ua.DataValue(ua.Variant(None, ua.VariantType.Null)), Quality.BAD),
        (ua.DataValue(ua.Variant(310.15, ua.VariantType.Double), ua.StatusCode(ua.StatusCodes.BadSensorFailure)), Quality.BAD),
        (ua.DataValue(ua.Variant(310.15, ua.VariantType.Double), ua.StatusCode(ua.StatusCodes.UncertainLastUsableValue)), Quality.UNCERTAIN),
        (ua.DataValue(ua.Variant(310, ua.VariantType.Int32)), Quality.GOOD),
        (ua.DataValue(ua.Variant(310.15, ua.VariantType.Float)), Quality.GOOD),
    ],
    ids=lambda each: str(getattr(getattr(each, "Value", each), "Value", each))[:20],
)
def test_whatever_a_module_answers_is_judged_and_never_raises(shown: ua.DataValue, expected: Quality) -> None:
    value, quality = _CHANNEL.judge(shown)
    assert quality == expected
    assert math.isnan(value) is (expected is Quality.BAD)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(st.floats(), st.integers(), st.text(max_size=9), st.binary(max_size=9), st.booleans(), st.none(), st.lists(st.floats(), max_size=3)),
    st.sampled_from([0, 0x40000000, 0x80000000, 0x80350000, 0xFFFFFFFF]),
)
def test_any_answer_is_a_number_in_range_or_bad(raw: object, status: int) -> None:
    value, quality = _CHANNEL.judge(SimpleNamespace(Value=SimpleNamespace(Value=raw, VariantType=None), StatusCode=ua.StatusCode(status)))
    assert (quality == Quality.BAD) if math.isnan(value) else (0.0 <= value <= 80.0 and quality != Quality.BAD)


def test_a_facility_that_breaks_closes_its_servers(plant: SitePlant) -> None:
    async def protocol() -> None:
        clock, facility = ManualClock(), Facility(plant, seed=1)
        async with serve_facility(plant, facility, clock):
            facility.advance = None  # type: ignore[assignment, method-assign]
            await asyncio.sleep(10.0)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(protocol())


def test_wild_values_on_the_wire_are_bad_and_the_scan_goes_on(plant: SitePlant) -> None:
    async def protocol() -> None:
        async with bench(plant) as site:
            await site.hours(1)
            for module in site.driver._links.values():
                assert len(module.channels) > 5
            aspace = site.facility  # the facility tells nonsense from here on
            aspace.vessels[UNIT].read = lambda name: {"ph": 1e300, "temperature": math.nan, "glucose": math.inf}.get(name, 1.0)  # type: ignore[method-assign]
            frame = await site.hours(1)
            assert [frame.reading(tag(name)).quality for name in ("ph", "temperature", "glucose", "lactate")] == [2, 2, 2, 0]

    asyncio.run(protocol())


def test_a_module_that_vanishes_is_bad_at_once_and_good_again_when_it_is_back(plant: SitePlant) -> None:
    async def protocol() -> None:
        clock = ManualClock()
        facility = Facility(plant, seed=1)
        async with serve_facility(plant, facility, clock) as endpoints:
            bench = Bench(facility, clock, endpoints)
            driver = OpcUaDriver(bench.plant, clock=clock, answer_limit_s=0.5)
            assert set((await driver.read(NOW)).quality) == {Quality.GOOD}
        began = monotonic_seconds()
        lost = await driver.read(NOW)
        assert monotonic_seconds() - began < 1.0
        assert set(lost.quality) == {Quality.BAD} and all(math.isnan(value) for value in lost.values)
        assert await driver.write({tag("ph_sp"): 7.1}) == {tag("ph_sp"): "module SB-200-VESSEL is lost"}
        assert sorted((module, up) for module, up, _ in driver.changes()) == [(FEED, False), (VESSEL, False)]
        assert set(driver.connections().values()) == {Connection.LOST}
        assert driver.since() == dict.fromkeys((VESSEL, FEED), clock.now().at)

        async with serve_facility(plant, facility, clock, ports=bench.ports):
            await until(lambda: _all_good(driver, clock.now().at))
            assert sorted((module, up) for module, up, _ in driver.changes()) == [(FEED, True), (VESSEL, True)]
            assert facility.read(tag("ph_sp")) == 7.0  # what was refused before is not sent by the driver itself
            assert await driver.write({tag("ph_sp"): 7.1}) == {}
            assert facility.read(tag("ph_sp")) == 7.1
            await driver.close()

    asyncio.run(protocol())


async def _all_good(driver: OpcUaDriver, at: datetime) -> bool:
    return set((await driver.read(at)).quality) == {Quality.GOOD}


async def _dosed(driver: OpcUaDriver, volume: float) -> bool:
    return abs((await driver.read(NOW)).reading(tag("medium_dosed_total")).value - volume) < 1e-3


async def _newer(file: Path, than: int) -> bool:
    return file.exists() and file.stat().st_mtime_ns > than


def test_one_module_lost_leaves_the_other_good(plant: SitePlant) -> None:
    async def protocol() -> None:
        async with bench(plant) as site:
            nowhere = with_endpoints(site.plant, {FEED: "opc.tcp://127.0.0.1:9"})
            async with OpcUaDriver(nowhere, clock=site.clock, answer_limit_s=10.0) as driver:
                frame = await driver.read(site.clock.now().at)
                for each in plant.signals():
                    assert frame.reading(each.tag).good is (each.module == VESSEL)
                ((module, up, why),) = driver.changes()
                assert (module, up) == (FEED, False) and "refused" in why.lower()

    asyncio.run(protocol())


def test_namespaces_are_resolved_by_their_address_and_a_missing_node_is_bad(plant: SitePlant) -> None:
    unit = plant.units[UNIT]
    signals = {
        name: replace(each, node=each.node.replace("ns=3;", "nsu=urn:cinder:reactor;") if each.module == VESSEL else each.node)
        for name, each in unit.signals.items()
    }
    by_address = replace(plant, units={UNIT: replace(unit, signals=signals)})
    odd = {**signals, "glucose": replace(signals["glucose"], node="nsu=urn:cinder:reactor;s=Raman/Sugar")}

    async def protocol() -> None:
        async with bench(by_address) as site:
            assert (await site.hours(1)).reading(tag("ph")).good
            strange = replace(site.plant, units={UNIT: replace(site.plant.units[UNIT], signals=odd)})
            async with OpcUaDriver(strange, clock=site.clock, answer_limit_s=10.0) as driver:
                frame = await driver.read(site.clock.now().at)
                assert (frame.reading(tag("glucose")).good, frame.reading(tag("ph")).good) == (False, True)
            lost = {**signals, "ph": replace(signals["ph"], node="nsu=urn:nobody;s=ph")}
            async with OpcUaDriver(replace(site.plant, units={UNIT: replace(site.plant.units[UNIT], signals=lost)}), clock=site.clock) as driver:
                assert not (await driver.read(site.clock.now().at)).reading(tag("ph")).good
                assert any("urn:nobody" in why for _, _, why in driver.changes())

    asyncio.run(protocol())


def test_a_plant_without_addresses_is_refused_at_once(plant: SitePlant) -> None:
    with pytest.raises(NotValid, match="SB-200-VESSEL"):
        OpcUaDriver(plant, clock=ManualClock())


def test_a_port_that_is_taken_is_told(plant: SitePlant) -> None:
    async def protocol() -> None:
        async with bench(plant) as site:
            with pytest.raises(NotReachable, match="SB-200"):
                async with serve_facility(plant, Facility(plant, seed=1), site.clock, ports=site.ports):
                    pass

    asyncio.run(protocol())


def test_a_harvest_is_ordered_over_the_wire_and_the_laboratory_reports_its_results(plant: SitePlant, tmp_path: Path) -> None:
    clock = ManualClock()
    grown = Facility(plant, seed=1)
    grown.advance(NOW)
    for name, value in {"agitation_sp": 90.0, "medium_dose": 100.0, "medium_dose_number": 1.0}.items():
        grown.write(tag(name), value)
    grown.advance(NOW + timedelta(hours=3))
    grown.write(tag("seed_dose"), 10.0)
    grown.write(tag("seed_dose_number"), 1.0)
    clock.advance(30 * 3600.0)
    grown.advance(clock.now().at)
    memory, out = tmp_path / "memory.json", tmp_path / "endpoints.json"
    written_whole(memory, {"facility": grown.snapshot(), "ports": {}})

    async def protocol() -> None:
        running = asyncio.create_task(run_facility(plant, out, clock, seed=1, samples=tmp_path / "samples", memory=memory))
        await until(lambda: _exists(out))
        endpoints = {ModuleId(module): url for module, url in json.loads(out.read_text()).items()}
        async with OpcUaDriver(with_endpoints(plant, endpoints), clock=clock, answer_limit_s=10.0) as driver:
            assert await driver.write({tag("harvest_dose"): 120.0, tag("harvest_dose_number"): 1.0}) == {}
            clock.advance(6 * 3600.0)
            await until(lambda: _exists(tmp_path / "samples" / "SB-200-run1.json"))
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(protocol())
    report = json.loads((tmp_path / "samples" / "SB-200-run1.json").read_text())
    assert (report["site"], report["unit"], report["run"], report["litres"]) == ("PORTO", "SB-200", 1, pytest.approx(110.0, rel=0.03))
    assert {each["attribute"] for each in report["results"]} == {"titre", "harvest_viability", "galactosylation", "hmw", "acidic", "hcp"}


async def _exists(path: Path) -> bool:
    return path.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"facility": {}, "ports": {}}', '{"facility": 1, "ports": 2}'])
def test_a_spoilt_memory_is_refused_and_nothing_is_served(plant: SitePlant, tmp_path: Path, text: str) -> None:
    memory, out = tmp_path / "memory.json", tmp_path / "endpoints.json"
    memory.write_text(text)
    with pytest.raises(NotValid):
        asyncio.run(run_facility(plant, out, ManualClock(), seed=1, memory=memory))
    assert not out.exists()


@pytest.mark.story
def test_a_facility_that_hangs_or_is_killed_never_holds_up_a_scan_and_comes_back_as_it_was(plant: SitePlant, tmp_path: Path) -> None:
    document, out, memory = tmp_path / "plant.yaml", tmp_path / "endpoints.json", tmp_path / "memory.json"
    document.write_text(DOCUMENT)
    clock = ScaledClock(start=NOW, origin=wall_seconds(), speed=3600.0)
    command = [sys.executable, str(Path(__file__).with_name("facility_process.py")), str(document), str(out), str(memory), clock.spec()]

    async def protocol() -> None:
        process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
        try:
            while not out.exists():
                assert process.returncode is None
                await asyncio.sleep(0.05)
            endpoints = {ModuleId(module): url for module, url in json.loads(out.read_text()).items()}
            async with OpcUaDriver(with_endpoints(plant, endpoints), clock=clock, answer_limit_s=0.5) as driver:
                assert await driver.write({tag("medium_dose"): 100.0, tag("medium_dose_number"): 1.0}) == {}
                await until(lambda: _dosed(driver, 100.0))
                before = memory.stat().st_mtime_ns
                await until(lambda: _newer(memory, before))  # filled, and remembered

                os.kill(process.pid, signal.SIGSTOP)
                began = monotonic_seconds()
                assert set((await driver.read(NOW)).quality) == {Quality.BAD}
                assert set((await driver.read(NOW)).quality) == {Quality.BAD}
                assert monotonic_seconds() - began < 5.0  # half a second each, on a machine that is not busy
                os.kill(process.pid, signal.SIGCONT)
                await until(lambda: _all_good(driver, NOW))

                process.kill()
                await process.wait()
                assert set((await driver.read(NOW)).quality) == {Quality.BAD}
                restarted = asyncio.create_task(run_facility(DOCUMENT, out, clock, seed=1, memory=memory))
                await until(lambda: _all_good(driver, NOW))  # on the same ports
                assert await driver.write({tag("medium_dose"): 100.0, tag("medium_dose_number"): 1.0}) == {}
                await asyncio.sleep(0.5)
                assert (await driver.read(NOW)).reading(tag("medium_dosed_total")).value == pytest.approx(100.0)
                restarted.cancel()
                await asyncio.wait({restarted})
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    asyncio.run(protocol())


def test_a_value_before_which_the_modules_queue_lost_some_is_known_by_its_status() -> None:
    def answer(status: int) -> ua.DataValue:
        return ua.DataValue(ua.Variant(7.0, ua.VariantType.Double), StatusCode=ua.StatusCode(status))

    assert [overflow(answer(status)) for status in (0x0, 0x480, 0x40000480, 0x80, 0x400)] == [False, True, True, False, False]
    assert not overflow(None)
