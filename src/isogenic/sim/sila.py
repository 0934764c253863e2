"""A simulated SiLA 2 device, built with the public library: an incubator that shakes, with what a real one would offer.

    Incubation  properties CurrentTemperature (observable), TargetTemperature, ShakingSpeed, FirmwareVersion
                commands SetTargetTemperature(TargetTemperature), Incubate(Minutes) (observable), Stop

Guarantees: values and commands go over a real socket on 127.0.0.1; what a test sets here is what a client
reads. A faulty device can be told to answer late, to tell nonsense or to raise.
Leaves to others: reading it (sites.drivers.sila). Needs the extra `sila`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Incubator"]

HOST = "127.0.0.1"


@dataclass
class Incubator:
    """One device; give it a port to come back where it was."""

    port: int = 0
    temperature: float = 36.9
    target: float = 37.0
    shaking: float = 120.0
    firmware: str = "1.4.0"
    late_s: float = 0.0  # before an unobservable property is answered
    raises: set[str] = field(default_factory=set)  # names of what the device answers with an error
    incubations: list[float] = field(default_factory=list)  # minutes of each that was started
    running: int = 0
    fails: bool = False  # the next incubation ends with an error
    step_s: float = 0.02  # wall clock of a minute of incubation
    _server: Any = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def endpoint(self) -> str:
        """As a plant document says it."""
        return f"sila://{HOST}:{self.port}"

    async def __aenter__(self) -> Incubator:
        from sila.server import Server, ServerConfig

        # The same device has the same uuid when it comes back: SiLA 2 part A.
        config = ServerConfig(
            hostname=HOST, port=self.port, tls=False, uuid="00000000-0000-4000-8000-0000000015e2", name="Incubator", type="Incubator"
        )
        self._server = Server(config)
        self._server.register_feature(self._feature())
        await self._server.start()
        self.port = int(self._server._address.rpartition(":")[2])  # the library tells it nowhere else
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop()

    def show(self, temperature: float) -> None:
        """Another temperature, told to those who subscribed."""
        self.temperature = temperature
        self._changed.set()
        self._changed = asyncio.Event()

    def _feature(self) -> Any:
        from sila import server
        from sila.framework import Element, Feature, Real, String

        feature = Feature(identifier="Incubation", display_name="Incubation", originator="org.isogenic", category="simulated", version="1.0")
        target = Element(identifier="TargetTemperature", display_name="Target Temperature", data_type=Real)
        minutes = Element(identifier="Minutes", display_name="Minutes", data_type=Real)
        parts = (
            server.ObservableProperty(
                identifier="CurrentTemperature", display_name="Current Temperature", data_type=Real, function=self._temperatures
            ),
            server.UnobservableProperty(
                "TargetTemperature", "Target Temperature", data_type=Real, function=self._tell("TargetTemperature", "target")
            ),
            server.UnobservableProperty("ShakingSpeed", "Shaking Speed", data_type=Real, function=self._tell("ShakingSpeed", "shaking")),
            server.UnobservableProperty("FirmwareVersion", "Firmware Version", data_type=String, function=self._tell("FirmwareVersion", "firmware")),
            server.UnobservableCommand(
                identifier="SetTargetTemperature",
                display_name="Set Target Temperature",
                parameters={"TargetTemperature": target},
                function=self._set_target,
            ),
            server.UnobservableCommand(identifier="Stop", display_name="Stop", function=self._stop_incubating),
            server.ObservableCommand(identifier="Incubate", display_name="Incubate", parameters={"Minutes": minutes}, function=self._incubate),
        )
        for each in parts:
            each.add_to_feature(feature)
        return feature

    def _tell(self, identifier: str, name: str) -> Any:
        async def read(**_: object) -> Any:
            await asyncio.sleep(self.late_s)
            if name in self.raises:
                raise RuntimeError(f"{name} is not known")
            return {identifier: getattr(self, name)}

        return read

    async def _temperatures(self, **_: object) -> AsyncIterator[dict[str, float]]:
        while True:
            changed = self._changed
            yield {"CurrentTemperature": self.temperature}
            await changed.wait()

    async def _set_target(self, TargetTemperature: float, **_: object) -> dict[str, Any]:  # noqa: N803 - the parameter's own name
        if not math.isfinite(TargetTemperature) or "SetTargetTemperature" in self.raises:
            raise ValueError("the device does not take that")
        self.target = float(TargetTemperature)
        return {}

    async def _stop_incubating(self, **_: object) -> dict[str, Any]:
        self._stop.set()
        return {}

    async def _incubate(self, Minutes: float, **_: object) -> dict[str, Any]:  # noqa: N803
        self.incubations.append(float(Minutes))
        self._stop = asyncio.Event()
        self.running += 1
        try:
            if self.fails:
                raise RuntimeError("the door is open")
            try:
                async with asyncio.timeout(float(Minutes) * self.step_s):
                    await self._stop.wait()
            except TimeoutError:
                return {}
            raise RuntimeError("stopped")
        finally:
            self.running -= 1
