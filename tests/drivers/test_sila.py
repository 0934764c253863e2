"""The SiLA 2 driver against a device of the public library, over a real socket."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

pytest.importorskip("sila", reason="the extra sila is not installed")

from devices import MODULE, seen, site, tag, until

from isogenic.clock import ManualClock, monotonic_seconds
from isogenic.errors import NotValid
from isogenic.plant.model import Protocol, SitePlant
from isogenic.plant.services import ServiceOrder
from isogenic.sim.sila import Incubator
from isogenic.sites.drivers.links import Connection
from isogenic.sites.drivers.several import drivers_for
from isogenic.sites.drivers.sila import ABORTED, COMPLETED, EXECUTE, IDLE, SilaDriver

NOW = ManualClock().at
NODES = {
    "temperature": ("Incubation/CurrentTemperature", "degC"),
    "agitation": ("Incubation/ShakingSpeed", "rpm"),
    "temperature_sp": ("Incubation/TargetTemperature <- SetTargetTemperature(TargetTemperature)", "degC"),
    "incubate_state": ("Incubation/Incubate", "1"),
}
SETTINGS = {"firmware": "Incubation/FirmwareVersion"}


def plant(device: Incubator) -> SitePlant:
    return site(device.endpoint, Protocol.SILA, NODES, SETTINGS)


def driver(device: Incubator, folder: Path | None = None, *, limit_s: float = 5.0) -> SilaDriver:
    return SilaDriver(plant(device), clock=ManualClock(), answer_limit_s=limit_s, folder=folder)


def orders(command: str, number: int, minutes: float | None = None) -> dict[str, ServiceOrder]:
    return {tag("incubate"): ServiceOrder("incubate", command, parameters={} if minutes is None else {"minutes": minutes}, number=number)}


async def state(one: SilaDriver) -> float | None:
    return seen(await one.read(NOW))["incubate_state"]


def test_properties_are_read_set_points_told_and_settings_read_back() -> None:
    async def protocol() -> None:
        async with Incubator() as device, driver(device) as one:
            assert one.connections() == {MODULE: Connection.CONNECTED} and one.changes() == []
            assert seen(await one.read(NOW)) == {"temperature": 36.9, "agitation": 120.0, "temperature_sp": 37.0, "incubate_state": IDLE}
            assert await one.settings() == {f"{MODULE}.firmware": "1.4.0"}
            assert await one.settings() is await one.settings()
            device.show(38.25)

            async def told() -> bool:
                return seen(await one.read(NOW))["temperature"] == 38.25

            await until(told)
            assert await one.write({tag("temperature_sp"): 30.0}) == {}
            assert device.target == 30.0
            assert seen(await one.read(NOW))["temperature_sp"] == 30.0

    asyncio.run(protocol())


def test_what_cannot_be_told_is_refused_with_the_reason() -> None:
    async def protocol() -> None:
        async with Incubator() as device, driver(device) as one:
            device.raises.add("SetTargetTemperature")
            refused = await one.write({tag("temperature_sp"): 30.0, tag("temperature"): 1.0, "X.y": 1.0})
            assert refused[tag("temperature")] == "it is a measurement"
            assert refused["X.y"] == "the plant document does not name it"
            assert "the device does not take that" in refused[tag("temperature_sp")]
            assert await one.write({tag("temperature_sp"): 99.0}) == {tag("temperature_sp"): "99 is not within 0 to 60 degC"}
            assert await one.order(orders("hold", 1)) == {tag("incubate"): "the device has no command for hold"}
            refused = await one.order({tag("incubate"): ServiceOrder("incubate", "start", parameters={"hours": 1.0}, number=1)})
            assert refused == {tag("incubate"): "the device's command has no parameter hours; it has Minutes"}
            assert await one.order({tag("bake"): ServiceOrder("bake", "start")}) == {
                tag("bake"): "no signal of the plant document tells the state of this service"
            }
            assert one.connections() == {MODULE: Connection.CONNECTED}  # a refusal is no loss
            assert device.incubations == []

    asyncio.run(protocol())


def test_an_observable_command_runs_as_a_service_and_is_started_once_for_each_number() -> None:
    async def protocol() -> None:
        async with Incubator() as device, driver(device) as one:
            assert await one.order(orders("start", 1, 5.0)) == {}
            assert await one.order(orders("start", 1, 5.0)) == {}  # the same order again

            async def completed() -> bool:
                return await state(one) == COMPLETED

            await until(completed)
            assert await one.order(orders("start", 2, 5.0)) == {tag("incubate"): "it is not idle"}
            assert await one.order(orders("reset", 3)) == {}
            assert await state(one) == IDLE
            assert device.incubations == [5.0]

    asyncio.run(protocol())


def test_a_command_that_fails_or_is_stopped_is_aborted() -> None:
    async def protocol() -> None:
        async with Incubator() as device, driver(device) as one:

            async def aborted() -> bool:
                return await state(one) == ABORTED

            device.fails = True
            assert await one.order(orders("start", 1, 5.0)) == {}
            await until(aborted)
            device.fails = False
            assert await one.order(orders("reset", 2)) == {}
            assert await one.order(orders("start", 3, 1e6)) == {}
            assert await state(one) in (EXECUTE, 8)
            assert await one.order(orders("reset", 4)) == {tag("incubate"): "it runs: stop it first"}
            assert await one.order(orders("stop", 5)) == {}
            await until(aborted)

    asyncio.run(protocol())


def test_after_a_crash_of_the_site_the_execution_is_found_again_and_not_started_twice(tmp_path: Path) -> None:
    async def protocol() -> None:
        async with Incubator() as device:
            async with driver(device, tmp_path) as one:
                assert await one.order(orders("start", 1, 1e6)) == {}
            async with driver(device, tmp_path) as again:

                async def runs() -> bool:
                    return await state(again) == EXECUTE

                await until(runs)
                assert await again.order(orders("start", 1, 1e6)) == {}
                assert device.incubations == [1e6] and device.running == 1
                await again.order(orders("stop", 2))

    asyncio.run(protocol())


def test_what_a_crash_left_unknown_is_bad_until_a_person_has_looked(tmp_path: Path) -> None:
    (tmp_path / f"{MODULE}.json").write_text('{"Incubation/Incubate": {"uuid": "", "number": 1, "ended": ""}}')

    async def protocol() -> None:
        async with Incubator() as device, driver(device, tmp_path) as one:
            assert await state(one) is None
            assert await one.order(orders("start", 2, 1.0)) == {tag("incubate"): "it is not idle"}
            assert await one.order(orders("reset", 3)) == {}
            assert await state(one) == IDLE
            assert device.incubations == []

    asyncio.run(protocol())


def test_an_execution_that_the_device_forgot_is_aborted(tmp_path: Path) -> None:
    kept = '{"Incubation/Incubate": {"uuid": "00000000-0000-4000-8000-000000000001", "number": 1, "ended": ""}}'
    (tmp_path / f"{MODULE}.json").write_text(kept)

    async def protocol() -> None:
        async with Incubator() as device, driver(device, tmp_path) as one:
            assert await state(one) == ABORTED

    asyncio.run(protocol())


def test_a_device_that_vanishes_is_bad_at_once_and_good_again_when_it_is_back() -> None:
    async def protocol() -> None:
        device = Incubator()

        async def whole() -> bool:
            return None not in seen(await one.read(NOW)).values()

        async with device:
            one = driver(device, limit_s=1.0)
            await one.start()
            await until(whole)
            one.changes()
        began = monotonic_seconds()
        assert set(seen(await one.read(NOW)).values()) == {None}
        assert monotonic_seconds() - began < 3.0
        assert await one.settings() == {}  # of a lost device nothing is known
        assert await one.write({tag("temperature_sp"): 30.0}) == {tag("temperature_sp"): f"module {MODULE} is lost"}
        ((module, up, why),) = one.changes()
        assert (module, up) == (MODULE, False) and why

        async with device:
            await until(whole)
            assert [(module, up) for module, up, _ in one.changes()] == [(MODULE, True)]
            assert device.target == 37.0  # the driver tells nothing by itself
            await one.close()

    asyncio.run(protocol())


def test_a_late_answer_is_bad_and_delays_the_scan_by_no_more_than_the_limit() -> None:
    async def protocol() -> None:
        async with Incubator() as device, driver(device, limit_s=0.5) as one:
            device.late_s = 10.0
            began = monotonic_seconds()
            assert set(seen(await one.read(NOW)).values()) == {None}
            assert monotonic_seconds() - began < 3.0
            device.late_s = 0.0

    asyncio.run(protocol())


def test_nonsense_is_bad_and_its_neighbours_are_not() -> None:
    async def protocol() -> None:
        async with Incubator() as device, driver(device) as one:
            device.raises.add("shaking")  # an error of the device's own
            assert seen(await one.read(NOW)) == {"temperature": 36.9, "agitation": None, "temperature_sp": 37.0, "incubate_state": IDLE}
            device.raises.clear()
            for nonsense in (float("nan"), float("inf"), 1e300, -5.0):
                device.shaking = nonsense
                values = seen(await one.read(NOW))
                assert (values["agitation"], values["temperature_sp"]) == (None, 37.0)
            device.firmware = "1.4.0\nrm -rf"
            await one.read(NOW)
            assert await one.settings() == {f"{MODULE}.firmware": "1.4.0 rm -rf"}

    asyncio.run(protocol())


def test_what_a_device_lacks_is_bad() -> None:
    async def protocol() -> None:
        async with Incubator() as device:
            odd = {**NODES, "agitation": ("Incubation/Colour", "rpm"), "temperature_sp": ("Baking/Target <- Set(Target)", "degC")}
            one = SilaDriver(site(device.endpoint, Protocol.SILA, odd), clock=ManualClock(), answer_limit_s=5.0)
            async with one:
                assert seen(await one.read(NOW)) == {"temperature": 36.9, "agitation": None, "temperature_sp": None, "incubate_state": IDLE}
                assert await one.write({tag("temperature_sp"): 3.0}) == {
                    tag("temperature_sp"): "the device has no command Set with a parameter Target"
                }

    asyncio.run(protocol())


def test_a_secured_device_needs_a_certificate_that_somebody_trusts() -> None:
    async def protocol() -> None:
        async with Incubator() as device:
            there = site(device.endpoint.replace("sila://", "silas://"), Protocol.SILA, NODES)
            async with SilaDriver(there, clock=ManualClock(), answer_limit_s=1.0) as one:
                ((_, up, why),) = one.changes()
                assert not up and "nobody trusts" in why

    asyncio.run(protocol())


def test_without_the_library_the_site_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sila", None)
    monkeypatch.setitem(sys.modules, "sila.client", None)
    with pytest.raises(NotValid, match="the extra sila is not installed"):
        drivers_for(site("sila://127.0.0.1:1", Protocol.SILA, NODES), clock=ManualClock(), answer_limit_s=1.0)
