"""Settings read back from real servers, and modules of unlike protocols joined: over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import pytest

pytest.importorskip("sila", reason="the extra sila is not installed")

from devices import MODULE, UNIT, seen, site, tag, until

from isogenic.clock import ManualClock
from isogenic.errors import NotValid
from isogenic.ids import ModuleId, SeededMint, UnitId
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.drift import DriftEnded, DriftFound
from isogenic.plant.model import Protocol, SitePlant
from isogenic.plant.readings import Frame, Quality
from isogenic.plant.settings import expected_settings
from isogenic.sim.facility import Facility
from isogenic.sim.servers import serve_facility
from isogenic.sim.sila import Incubator
from isogenic.sim.world import document
from isogenic.sites.drift import DriftWatch
from isogenic.sites.drivers.links import Connection
from isogenic.sites.drivers.opcua import OpcUaDriver
from isogenic.sites.drivers.several import SeveralDrivers, drivers_for
from isogenic.sites.state import SiteState

PORTO = load_plant(document("porto.plant.yaml"), name="porto")
VESSEL, FEED = ModuleId("SB-200-VESSEL"), ModuleId("SB-200-FEED")
NOW = ManualClock().at


class Watched:
    """A node's drift watch over a real driver; what it notes is folded."""

    def __init__(self, plant: SitePlant, driver: OpcUaDriver) -> None:
        self.driver, self.watch, self.state, self.mint = driver, DriftWatch(plant), SiteState(plant), SeededMint("wire")

    async def poll(self) -> list[object]:
        frame = await self.driver.read(NOW)
        found = self.watch.look(self.state, frame, await self.driver.settings(), {}, now=NOW, mint=self.mint)
        drifts = dict(self.state.drifts)
        for each in found:
            assert isinstance(each, DriftFound | DriftEnded)
            key = f"{each.module}.{each.setting}"
            drifts = {**drifts, key: each} if isinstance(each, DriftFound) else {name: one for name, one in drifts.items() if name != key}
        self.state = replace(self.state, drifts=drifts)
        return list(found)


def test_what_a_module_really_runs_is_read_back_in_its_own_unit_and_a_change_at_the_panel_is_seen_in_the_next_poll() -> None:
    async def protocol() -> None:
        clock, facility = ManualClock(), Facility(PORTO, seed=1)
        async with serve_facility(PORTO, facility, clock, tick_s=0.005) as endpoints:
            plant = with_endpoints(PORTO, endpoints)
            async with OpcUaDriver(plant, clock=clock, answer_limit_s=10.0) as driver:
                site = Watched(plant, driver)
                for _ in range(30):  # 32-bit floats in kelvin and litres an hour, minutes: no drift
                    clock.advance(300)
                    await asyncio.sleep(0.01)
                    assert await site.poll() == []
                assert set(await driver.settings()) == set(expected_settings(plant.settings()))
                assert (await driver.settings())[f"{VESSEL}.temperature_high"].startswith("313.1")  # kelvin, as it is held
                assert await driver.settings() is await driver.settings()

                facility.set_at_panel(f"{VESSEL}.temperature_high", 315.15)
                clock.advance(300)
                await asyncio.sleep(0.05)
                (found,) = await site.poll()
                assert isinstance(found, DriftFound)
                assert (found.module, found.setting, found.released, found.found) == (VESSEL, "temperature_high", "40 degC", "315.15 K")
                assert await site.poll() == []

        assert set((await driver.read(NOW)).quality) == {Quality.BAD}

    asyncio.run(protocol())


def test_a_module_that_is_lost_and_back_raises_nothing_and_ends_nothing() -> None:
    async def protocol() -> None:
        clock, facility = ManualClock(), Facility(PORTO, seed=1)
        facility.set_at_panel(f"{FEED}.firmware", "R8")
        async with serve_facility(PORTO, facility, clock, tick_s=0.005) as endpoints:
            plant = with_endpoints(PORTO, endpoints)
            driver = OpcUaDriver(plant, clock=clock, answer_limit_s=1.0)
            site = Watched(plant, driver)
            assert [type(each) for each in await site.poll()] == [DriftFound]
        for _ in range(5):
            assert await site.poll() == []  # nobody knows: what stood stands
        assert await driver.settings() == {}
        facility.set_at_panel(f"{FEED}.firmware", None)
        ports = {module: int(url.rsplit(":", 1)[1]) for module, url in endpoints.items()}
        async with serve_facility(PORTO, facility, clock, ports=ports, tick_s=0.005):
            told: list[object] = []

            async def ended() -> bool:
                told.extend(await site.poll())
                return bool(told)

            await until(ended)
            assert told == [DriftEnded(UnitId("SB-200"), FEED, "firmware")]
            await driver.close()

    asyncio.run(protocol())


def test_the_fault_of_a_changed_setting_comes_with_the_batch_and_goes() -> None:
    facility = Facility(PORTO, seed=1, faults=("setting_changes:unit=SB-200,signal=temperature_gain,start=0h,hours=4,size=0.25",))
    key = f"{VESSEL}.temperature_gain"
    facility.advance(NOW)
    assert facility.setting(key) == 8.0
    for name, value in (("medium_dose", 50.0), ("medium_dose_number", 1.0), ("seed_dose", 5.0), ("seed_dose_number", 1.0)):
        facility.write(f"SB-200.{name}", value)
    clock = ManualClock()
    seen_values = []
    for _ in range(60):
        clock.advance(1800)
        facility.advance(clock.at)
        seen_values.append(facility.setting(key))
    assert {8.0, 10.0} == set(seen_values) and seen_values[-1] == 8.0


def test_a_setting_is_changed_at_a_time_where_nothing_grows() -> None:
    facility = Facility(PORTO, seed=1, faults=("setting_changes:unit=SB-200,signal=temperature_gain,at=2h,hours=4,size=0.25",))
    clock, seen_values = ManualClock(), []
    for _ in range(16):
        facility.advance(clock.at)
        seen_values.append(facility.setting(f"{VESSEL}.temperature_gain"))
        clock.advance(1800)
    assert seen_values == [8.0] * 4 + [10.0] * 8 + [8.0] * 4
    with pytest.raises(NotValid, match="one of them"):
        Facility(PORTO, seed=1, faults=("setting_changes:unit=SB-200,signal=temperature_gain,at=2h,start=1h,size=0.25",))


# ---- several protocols at once ----

SILA = {
    "temperature": ("Incubation/CurrentTemperature", "degC"),
    "temperature_sp": ("Incubation/TargetTemperature <- SetTargetTemperature(TargetTemperature)", "degC"),
}


def joined(endpoints: Mapping[ModuleId, str], device: Incubator) -> SitePlant:
    """Porto with an incubator beside its vessel."""
    incubator = site(device.endpoint, Protocol.SILA, SILA, {"firmware": "Incubation/FirmwareVersion"}).units[UNIT]
    porto = with_endpoints(PORTO, endpoints)
    return replace(porto, units={**porto.units, UNIT: incubator})


def test_modules_of_unlike_protocols_are_one_frame_and_one_set_of_changes() -> None:
    async def protocol() -> None:
        clock, facility, device = ManualClock(), Facility(PORTO, seed=1), Incubator()
        async with serve_facility(PORTO, facility, clock) as endpoints, device:
            plant = joined(endpoints, device)
            async with drivers_for(plant, clock=clock, answer_limit_s=5.0) as both:
                frame = await both.read(NOW)
                assert set(frame.index.tags) == {signal.tag for signal in plant.signals()}
                assert set(frame.quality) == {Quality.GOOD}
                assert frame.reading(tag("temperature")).value == 36.9
                assert frame.reading("SB-200.ph").value == pytest.approx(facility.read("SB-200.ph"))
                assert set(both.connections()) == {VESSEL, FEED, MODULE}
                assert set(both.connections().values()) == {Connection.CONNECTED}
                assert {f"{MODULE}.firmware", f"{VESSEL}.firmware"} <= set(await both.settings())
                assert await both.settings() is await both.settings()
                assert await both.write({tag("temperature_sp"): 33.0, "SB-200.ph_sp": 7.1, "X.y": 1.0}) == {
                    "X.y": "the plant document does not name it"
                }
                assert (device.target, facility.read("SB-200.ph_sp")) == (33.0, 7.1)
                await device.__aexit__()

                async def gone() -> bool:
                    return (await both.read(NOW)).reading(tag("temperature")).quality is Quality.BAD

                await until(gone)
                assert (await both.read(NOW)).reading("SB-200.ph").good  # the other kind goes on
                assert [(module, up) for module, up, _ in both.changes()] == [(MODULE, False)]
                assert set(both.since()) >= {MODULE}
                await device.__aenter__()

    asyncio.run(protocol())


class Broken:
    """A driver with a defect."""

    def __init__(self, one: OpcUaDriver) -> None:
        self._one, self.index = one, one.index

    async def read(self, at: datetime) -> Frame:
        raise ValueError("a defect")

    def __getattr__(self, name: str) -> object:
        return getattr(self._one, name)


def test_a_driver_that_raises_makes_its_own_signals_bad_and_nobody_elses() -> None:
    async def protocol() -> None:
        clock, facility, device = ManualClock(), Facility(PORTO, seed=1), Incubator()
        async with serve_facility(PORTO, facility, clock) as endpoints, device:
            plant = joined(endpoints, device)
            both = drivers_for(plant, clock=clock, answer_limit_s=5.0)
            opcua, sila = both.drivers
            assert isinstance(opcua, OpcUaDriver)
            async with SeveralDrivers(plant, [Broken(opcua), sila]) as odd:  # type: ignore[list-item]
                frame = await odd.read(NOW)
                assert seen(Frame(NOW, sila.index, *columns(frame, sila.index.tags)))["temperature"] == 36.9
                assert all(frame.reading(each).quality is Quality.BAD for each in opcua.index.tags)

    asyncio.run(protocol())


def columns(frame: Frame, tags: tuple[str, ...]) -> tuple[object, object]:
    where = [frame.index.of(each) for each in tags]
    return frame.values[where], frame.quality[where]
